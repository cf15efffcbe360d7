// Joint bilateral filter on the photo: Petschnigg et al., "Digital Photography with Flash and No-Flash Image Pairs",
// SIGGRAPH 2004. The deviation of distances is half the radius.
#include "mask/edge.h"

static tagmask_status prepare(tm_work *work, tm_edge *edge, tm_error *err) {
    return tm_scratch_map(work, edge->guide.width, edge->guide.height, &edge->spare, err);
}

static tagmask_status refine(tm_work *work, const tm_edge *edge, const tm_map *map, tm_error *err) {
    uint32_t side = 2 * edge->push.radius + 1;
    tm_slice slices[] = {map->slice, edge->spare.slice};
    TM_TRY(tm_edge_dispatch(work, edge, "refine/joint", slices, 2, side * side, err));
    return tm_copy(work->recorder, edge->spare.slice, map->slice, err);
}

const tm_edge_method tm_edge_joint = {prepare, refine};
