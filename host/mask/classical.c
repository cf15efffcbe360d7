// The parts of MB+ (Zhang, Sclaroff, Lin, Shen, Price and Mech, "Minimum Barrier Salient Object Detection at 80 FPS",
// ICCV 2015) on a small grid: what differs from the photo's border by every path from it and by colour is salient. In
// RGB, and without the paper's morphological smoothing.
#include "mask/classical.h"

#include <math.h>

// Paths grow by a cell a sweep: as long as the grid reaches its middle even when they wind.
#define SWEEPS TM_CLASSICAL_SIDE
#define MAPS 5u  // of saliency/contrast

static tagmask_status make_grid(tm_work *work, const tm_map *photo, tm_map *grid, tm_error *err) {
    double scale = fmin(1, (double)TM_CLASSICAL_SIDE / TM_MAX(photo->width, photo->height));
    uint32_t width = (uint32_t)lround(photo->width * scale), height = (uint32_t)lround(photo->height * scale);
    TM_TRY(tm_scratch_map(work, TM_MAX(width, 1), TM_MAX(height, 1), grid, err));
    return tm_image_resample(work, photo, NULL, TM_FILTER_BOX, grid, err);
}

// -> packed (highest, lowest) a cell.
static tagmask_status record_barrier(tm_work *work, const tm_map *grid, tm_slice *paths, tm_error *err) {
    uint64_t bytes = (uint64_t)tm_map_count(grid) * 8;
    tm_slice states[2];
    for (int i = 0; i < 2; i++) TM_TRY(tm_scratch_alloc(work->scratch, bytes, &states[i], err));
    for (uint32_t sweep = 0; sweep <= SWEEPS; sweep++) {
        struct {
            uint32_t width, height, first;
        } push = {grid->width, grid->height, sweep == 0};
        *paths = states[sweep % 2];
        tm_map_call call = {.shader = "saliency/barrier",
                            .bindings = {grid->slice, states[(sweep + 1) % 2], *paths},
                            .push = &push,
                            .push_size = sizeof push,
                            .elements = tm_map_count(grid),
                            .flops_per_element = 60};
        TM_TRY(tm_map_dispatch(work, &call, err));
    }
    return TAGMASK_OK;
}

static tagmask_status record_contrast(tm_work *work, const tm_map *grid, tm_slice paths, tm_slice maps, uint32_t stride,
                                      tm_error *err) {
    tm_slice sides;
    TM_TRY(tm_scratch_alloc(work->scratch, 12 * 16, &sides, err));
    struct {
        uint32_t width, height, depth;
    } border_push = {grid->width, grid->height, TM_MAX(1, TM_MIN(grid->width, grid->height) / 10)};
    tm_map_call border = {.shader = "saliency/border",
                          .bindings = {grid->slice, sides},
                          .push = &border_push,
                          .push_size = sizeof border_push,
                          .elements = 4,
                          .flops_per_element = 40.0 * TM_CLASSICAL_SIDE * border_push.depth};
    TM_TRY(tm_map_dispatch(work, &border, err));
    struct {
        uint32_t count, stride;
    } push = {tm_map_count(grid), stride};
    tm_map_call call = {.shader = "saliency/contrast",
                        .bindings = {grid->slice, paths, sides, maps},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.count,
                        .flops_per_element = 80};
    return tm_map_dispatch(work, &call, err);
}

static tagmask_status record_join(tm_work *work, tm_slice maps, uint32_t stride, const tm_map *joined, tm_error *err) {
    struct {
        uint32_t width, height, stride, slot;
    } push = {joined->width, joined->height, stride, 0};
    TM_TRY(tm_work_slots(work, MAPS, &push.slot, err));
    for (uint32_t m = 0; m < MAPS; m++) {
        tm_map map = {{maps.buffer, maps.offset + (uint64_t)m * stride * 4, (uint64_t)tm_map_count(joined) * 4},
                      joined->width,
                      joined->height};
        TM_TRY(tm_map_reduce(work, TM_REDUCE_MINMAX, &map, NULL, 0, push.slot + m, err));
    }
    tm_map_call call = {.shader = "saliency/join",
                        .bindings = {maps, work->scalars, joined->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = tm_map_count(joined),
                        .flops_per_element = 40};
    TM_TRY(tm_map_dispatch(work, &call, err));
    return tm_map_normalize(work, joined, joined, err);
}

tagmask_status tm_classical_saliency_record(tm_work *work, const tm_map *photo, const tm_map *target, tm_error *err) {
    tm_map grid, joined;
    tm_slice paths, maps;
    TM_TRY(make_grid(work, photo, &grid, err));
    TM_TRY(tm_scratch_map(work, grid.width, grid.height, &joined, err));
    uint64_t plane = tm_plane_bytes(grid.width, grid.height);
    TM_TRY(tm_scratch_alloc(work->scratch, plane * MAPS, &maps, err));
    TM_TRY(record_barrier(work, &grid, &paths, err));
    TM_TRY(record_contrast(work, &grid, paths, maps, (uint32_t)(plane / 4), err));
    TM_TRY(record_join(work, maps, (uint32_t)(plane / 4), &joined, err));
    uint32_t count = tm_map_count(&joined);
    tm_map_call steepen = {.shader = "saliency/steepen",
                           .bindings = {joined.slice},
                           .push = &count,
                           .push_size = sizeof count,
                           .elements = count,
                           .flops_per_element = 20};
    TM_TRY(tm_map_dispatch(work, &steepen, err));
    TM_TRY(tm_map_normalize(work, &joined, &joined, err));
    return tm_map_resize(work, &joined, target, NULL, false, err);
}
