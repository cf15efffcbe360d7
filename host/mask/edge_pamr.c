// Pixel-adaptive mask refinement: Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels", CVPR
// 2020.
#include "mask/edge.h"

#define NEIGHBOURS 48  // as in refine/pamr.glsl

static tagmask_status prepare(tm_work *work, tm_edge *edge, tm_error *err) {
    TM_TRY(tm_scratch_map(work, edge->guide.width, edge->guide.height, &edge->spare, err));
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)tm_map_count(&edge->guide) * 16, &edge->kept[0], err));
    return tm_edge_dispatch(work, edge, "refine/pamr_rates", edge->kept, 1, 2 * NEIGHBOURS, err);
}

static tagmask_status refine(tm_work *work, const tm_edge *edge, const tm_map *map, tm_error *err) {
    tm_slice from = map->slice, to = edge->spare.slice;
    for (uint32_t i = 0; i < edge->iterations; i++) {
        tm_slice slices[] = {from, to, edge->kept[0]};
        TM_TRY(tm_edge_dispatch(work, edge, "refine/pamr_step", slices, 3, NEIGHBOURS, err));
        from = slices[1];
        to = slices[0];
    }
    if (edge->iterations % 2 == 0) return TAGMASK_OK;
    return tm_copy(work->recorder, edge->spare.slice, map->slice, err);
}

const tm_edge_method tm_edge_pamr = {prepare, refine};
