// Guided filter with a colour guide: He, Sun and Tang, "Guided Image Filtering", ECCV 2010 and TPAMI 2013. Windows are
// clipped at the border; each pass sums along one axis, so that the cost grows with the radius and not its square.
#include "mask/edge.h"

enum { MEANS, SQUARES, MIXED, LAST, MODELS, PLANES };  // of what the passes hand on

static tagmask_status prepare(tm_work *work, tm_edge *edge, tm_error *err) {
    uint64_t pixels = tm_map_count(&edge->guide);
    for (int i = 0; i < PLANES; i++)
        TM_TRY(tm_scratch_alloc(work->scratch, pixels * (i == LAST ? 4 : 16), &edge->kept[i], err));
    return TAGMASK_OK;
}

static tagmask_status refine(tm_work *work, const tm_edge *edge, const tm_map *map, tm_error *err) {
    const tm_slice *kept = edge->kept, plane = map->slice;
    const tm_slice rows[] = {plane, kept[MEANS], kept[SQUARES], kept[MIXED], kept[LAST]};
    const tm_slice mean[] = {kept[MODELS], kept[MEANS]}, apply[] = {kept[MEANS], plane};
    uint32_t taps = 2 * edge->push.radius + 1;
    TM_TRY(tm_edge_dispatch(work, edge, "refine/guided_rows", rows, 5, taps, err));
    TM_TRY(tm_edge_dispatch(work, edge, "refine/guided_solve", kept, 5, 4 * taps, err));
    TM_TRY(tm_edge_dispatch(work, edge, "refine/guided_mean", mean, 2, taps, err));
    return tm_edge_dispatch(work, edge, "refine/guided_apply", apply, 2, taps, err);
}

const tm_edge_method tm_edge_guided = {prepare, refine};
