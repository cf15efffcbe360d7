// The dense CRF's iterations with four labels at a time, for more labels than an invocation holds: bindings bound
// nothing but the size of one plane. The softmax over all labels runs along: maximum and sum of each pixel are kept
// between groups.
#include "mask/crf_plan.h"

// A slice of the planes of labels [first, first + count) of [labels][pixels] floats, widened to the device's alignment.
static tm_slice label_planes(const tm_crf *crf, tm_slice all, uint32_t first, uint32_t count, uint32_t *start) {
    uint64_t plane = (uint64_t)crf->count * 4, at = all.offset + plane * first;
    uint64_t aligned = at / crf->info->buffer_alignment * crf->info->buffer_alignment;
    *start = (uint32_t)((at - aligned) / 4);
    return (tm_slice){all.buffer, aligned, at - aligned + plane * count};
}

static uint32_t labels_of(const tm_crf_plan *plan, uint32_t group) {
    return TM_MIN(4, plan->labels - 1 - group * 4);
}

static uint64_t blocks_of(const tm_crf_plan *plan) {
    return (uint64_t)plan->gaussian.columns * plan->gaussian.rows;
}

// The energies of a group, or (group == planes) the bases.
static tagmask_status pack(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, uint32_t group, tm_error *err) {
    const tm_crf_lattice *lattice = &crf->fast->lattice;
    const bool bases = group == plan->planes;
    struct {
        uint32_t width, height, columns, rows, start, labels;
        float gaussian, bilateral;
    } push = {crf->width,
              crf->height,
              plan->gaussian.columns,
              plan->gaussian.rows,
              0,
              bases ? 1 : labels_of(plan, group),
              plan->params->gaussian_compat,
              plan->params->bilateral_compat};
    tm_slice unary = label_planes(crf, plan->unary, bases ? plan->labels - 1 : group * 4, push.labels, &push.start);
    tm_slice to = bases ? plan->bases : tm_crf_planes(plan->energies, plan->plane, group, 1);
    tm_crf_job job = {
        .shader = "crf/stream_pack",
        .constants = {1, plan->gaussian.block, plan->has_gaussian, plan->has_bilateral, 4, bases},
        .constant_count = 6,
        .bindings = {unary, plan->has_bilateral ? tm_slice_all(lattice->pixel_point) : unary,
                     plan->has_bilateral ? tm_slice_all(lattice->norms) : unary, tm_slice_all(crf->fast->table), to},
        .push = &push,
        .push_size = sizeof push,
        .items = blocks_of(plan),
        .flops = 60.0 * crf->count};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

static tagmask_status logits(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, uint32_t group, bool messages,
                             tm_error *err) {
    const tm_crf_lattice *lattice = &crf->fast->lattice;
    const uint32_t push[5] = {crf->width, crf->height, plan->gaussian.columns, plan->gaussian.rows, group == 0};
    const bool gaussian = messages && plan->has_gaussian, bilateral = messages && plan->has_bilateral;
    tm_slice energies = tm_crf_planes(plan->energies, plan->plane, group, 1), points = energies, smoothed = energies;
    if (bilateral) {
        uint64_t bytes = (uint64_t)lattice->point_capacity * 16;
        points = tm_crf_planes(lattice->values, bytes, group, 1);
    }
    if (gaussian) smoothed = tm_crf_planes(plan->smoothed, plan->block_plane, group, 1);
    tm_crf_job job = {.shader = "crf/stream_logits",
                      .constants = {1, plan->gaussian.block, gaussian, bilateral, 4, group + 1 == plan->planes},
                      .constant_count = 6,
                      .bindings = {energies, plan->bases, points, smoothed,
                                   tm_crf_planes(plan->marginals, plan->plane, group, 1), plan->running},
                      .push = push,
                      .push_size = sizeof push,
                      .items = blocks_of(plan),
                      .flops = 150.0 * crf->count};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

// Marginals of a group, or (group == planes) the last label's result.
static tagmask_status finish(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, uint32_t group, bool last,
                             tm_error *err) {
    const bool tail = group == plan->planes;
    uint32_t push[6] = {crf->width,          crf->height, plan->gaussian.columns,
                        plan->gaussian.rows, 0,           tail ? 1 : labels_of(plan, group)};
    tm_slice marginals = tm_crf_planes(plan->marginals, plan->plane, tail ? 0 : group, 1), result = plan->bases;
    if (last) result = label_planes(crf, plan->result, tail ? plan->labels - 1 : group * 4, push[5], &push[4]);
    tm_slice sums =
        plan->has_gaussian ? tm_crf_planes(plan->sums, plan->block_plane, tail ? 0 : group, 1) : plan->bases;
    tm_crf_job job = {.shader = "crf/stream_finish",
                      .constants = {1, plan->gaussian.block, plan->has_gaussian, plan->has_bilateral, 4, last, tail},
                      .constant_count = 7,
                      .bindings = {marginals, plan->running, tm_slice_all(crf->fast->table), sums, result},
                      .push = push,
                      .push_size = sizeof push,
                      .items = blocks_of(plan),
                      .flops = 80.0 * crf->count};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

tagmask_status tm_crf_stream(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, tm_error *err) {
    for (uint32_t g = 0; g <= plan->planes; g++) TM_TRY(pack(crf, recorder, plan, g, err));
    for (int t = 0; t <= plan->params->iterations; t++) {
        const bool last = t == plan->params->iterations;
        // All messages come before any marginal is overwritten.
        for (uint32_t g = 0; t && g < plan->planes; g++) TM_TRY(tm_crf_messages(crf, recorder, plan, g, err));
        for (uint32_t g = 0; g < plan->planes; g++) TM_TRY(logits(crf, recorder, plan, g, t > 0, err));
        for (uint32_t g = 0; g < plan->planes + last; g++) TM_TRY(finish(crf, recorder, plan, g, last, err));
    }
    return TAGMASK_OK;
}
