// Maps that are weighted sums of a layer's channels.
#include "mask/map_table.h"

tagmask_status tm_map_class(tm_work *work, const tm_tensor *features, tm_slice weights, const tm_map_classes *classes,
                            tm_map *map, tm_error *err) {
    TM_TRY(tm_scratch_map(work, (uint32_t)features->shape.dim[3], (uint32_t)features->shape.dim[2], map, err));
    struct {
        uint32_t positions, channels, rivals;
        float rivalry;
        uint32_t first_row;
    } push = {tm_map_count(map), (uint32_t)features->shape.dim[1], classes->rivals, classes->rivalry, 0};
    tm_slice read[] = {features->slice, weights};
    bool vectors = features->layout == TM_C4 && push.channels % 4 == 0;
    tm_map_call call = {.shader = !vectors                          ? "cam/class_map"
                                  : tm_map_by_texels(work, read, 2) ? "cam/class_map_c4_texel"
                                                                    : "cam/class_map_c4",
                        .constants = {features->layout == TM_C4},
                        .constant_count = !vectors,
                        .bindings = {read[0], read[1], classes->rows, map->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.positions,
                        .flops_per_element = 2.0 * push.channels * (1 + classes->rivals)};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_map_weighted(tm_work *work, const tm_tensor *features, tm_slice weights, tm_map *map, tm_error *err) {
    const uint32_t first = 0;
    tm_map_classes only = {0};
    TM_TRY(tm_scratch_alloc(work->scratch, sizeof first, &only.rows, err));
    only.rows.size = sizeof first;
    TM_TRY(tm_upload(work->recorder, only.rows, &first, err));
    return tm_map_class(work, features, weights, &only, map, err);
}
