// The fast path of the dense CRF: iterations with a truncated Gaussian on 2x2 blocks and a permutohedral lattice of
// grouped pixels. See docs/crf.md.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/crf_plan.h"

#define MAX_PLANES 6  // groups of four labels that one invocation holds

void tm_crf_forget_fast(tm_crf *crf) {
    if (crf->fast) crf->fast->lattice.built = false;
}

void tm_crf_destroy_fast(tm_crf *crf) {
    tm_crf_fast *fast = crf->fast;
    if (!fast) return;
    tm_crf_lattice_destroy(&fast->lattice);
    tm_buffer *all[] = {fast->energies, fast->bases,    fast->marginals, fast->sums,
                        fast->half,     fast->smoothed, fast->table,     fast->running};
    for (size_t i = 0; i < TM_ARRAY_LEN(all); i++) tm_buffer_destroy(all[i]);
    free(fast);
    crf->fast = NULL;
}

// ---- Gaussian kernel
// -------------------------------------------------------------------------------------------------

// On blocks of 2 pixels the kernel gives up the variance that summing a block and reading bilinearly add.
static tm_crf_gaussian plan_gaussian(const tm_crf *crf, float sxy) {
    tm_crf_gaussian g = {.block = sxy >= 2 ? 2 : 1};
    double variance = (double)sxy * sxy;
    if (g.block == 2) variance = variance / 4 - 1.0 / 16 - 3.0 / 16;
    g.columns = tm_div_up(crf->width, g.block);
    g.rows = tm_div_up(crf->height, g.block);
    g.radius = (uint32_t)TM_CLAMP(lround(2.5 * sqrt(variance)), 1, (long)TM_MAX(g.columns, g.rows));
    g.falloff = (float)(-0.5 / variance);
    return g;
}

// One direction's norms 1 / sqrt(sum) and what the normalized kernel adds up to. `length` blocks hold `pixels` pixels.
static void gaussian_line(const tm_crf_gaussian *g, uint32_t length, uint32_t pixels, float *norms, float *totals) {
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < length; i++) {
            double sum = 0;
            for (int64_t k = -(int64_t)g->radius; k <= g->radius; k++) {
                int64_t at = i + k;
                if (at < 0 || at >= length) continue;
                double inside = at == length - 1 ? pixels - (length - 1) * g->block : g->block;
                sum += exp((double)g->falloff * (double)(k * k)) * inside * (pass ? (double)norms[at] : 1);
            }
            if (pass) {
                totals[i] = (float)(sum * (double)norms[i]);
            } else {
                norms[i] = (float)(1 / sqrt(sum));
            }
        }
    }
}

static tagmask_status upload_table(tm_crf *crf, tm_recorder *recorder, const tm_crf_gaussian *g, tm_error *err) {
    size_t columns = g->columns, rows = g->rows;
    float *table = tm_calloc(2 * (columns + rows), sizeof *table);
    if (!table) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the CRF's norms");
    gaussian_line(g, g->columns, crf->width, table, table + columns + rows);
    gaussian_line(g, g->rows, crf->height, table + columns, table + columns + rows + columns);
    tm_slice to = {crf->fast->table, 0, 2 * (columns + rows) * sizeof *table};
    tagmask_status status = tm_upload(recorder, to, table, err);
    free(table);
    return status;
}

static tagmask_status smooth(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, uint32_t first, uint32_t count,
                             tm_error *err) {
    const struct {
        uint32_t columns, rows;
        float falloff, compat;
    } push = {p->gaussian.columns, p->gaussian.rows, p->gaussian.falloff, p->params->gaussian_compat};
    tm_slice sums = tm_crf_planes(p->sums, p->block_plane, first, count);
    tm_slice half = tm_crf_planes(p->half, p->block_plane, 0, count);
    tm_slice smoothed = tm_crf_planes(p->smoothed, p->block_plane, first, count);
    for (uint32_t vertical = 0; vertical < 2; vertical++) {
        uint32_t length = vertical ? push.rows : push.columns, lines = vertical ? push.columns : push.rows;
        tm_crf_job job = {
            .shader = "crf/gauss",
            .texel_shader = "crf/gauss_texel",
            .constants = {p->gaussian.radius, vertical, p->channels},
            .constant_count = 3,
            .bindings = {vertical ? half : sums, tm_slice_all(crf->fast->table), vertical ? smoothed : half},
            .push = &push,
            .push_size = sizeof push,
            .flops = 30.0 * length * lines * count * (p->gaussian.radius + 1)};
        tm_crf_grid(crf, (uint64_t)tm_div_up(length, 8) * lines, job.groups);
        job.groups[2] = count;
        TM_TRY(tm_crf_dispatch(crf, recorder, &job, err));
    }
    return TAGMASK_OK;
}

// ---- Iterations
// ------------------------------------------------------------------------------------------------------

static tagmask_status reserve(tm_crf *crf, tm_crf_plan *p, tm_error *err) {
    tm_crf_fast *fast = crf->fast;
    uint64_t halves = p->streamed ? 1 : p->planes, marginals = p->packed ? tm_div_up(p->planes, 2) : p->planes;
    const struct {
        tm_buffer **buffer;
        tm_slice *slice;
        uint64_t size;
    } parts[] = {
        {&fast->energies, &p->energies, p->plane * p->planes},
        {&fast->bases, &p->bases, p->plane},
        {&fast->marginals, &p->marginals, p->has_bilateral || p->streamed ? p->plane * marginals : 16},
        {&fast->sums, &p->sums, p->has_gaussian ? p->block_plane * p->planes : 16},
        {&fast->half, &p->half, p->has_gaussian ? p->block_plane * halves : 16},
        {&fast->smoothed, &p->smoothed, p->has_gaussian ? p->block_plane * p->planes : 16},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(parts); i++) {
        TM_TRY(tm_crf_reserve(crf, parts[i].buffer, parts[i].size, err));
        *parts[i].slice = (tm_slice){*parts[i].buffer, 0, parts[i].size};
    }
    return tm_crf_reserve(crf, &fast->table, (uint64_t)(p->gaussian.columns + p->gaussian.rows) * 8, err);
}

static tagmask_status first(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, tm_error *err) {
    const tm_crf_lattice *lattice = &crf->fast->lattice;
    const struct {
        uint32_t width, height, columns, rows, labels;
        float gaussian, bilateral;
    } push = {crf->width,
              crf->height,
              p->gaussian.columns,
              p->gaussian.rows,
              p->labels,
              p->params->gaussian_compat,
              p->params->bilateral_compat};
    tm_slice pixel_point = p->has_bilateral ? tm_slice_all(lattice->pixel_point) : p->bases;
    tm_slice norms = p->has_bilateral ? tm_slice_all(lattice->norms) : p->bases;
    tm_crf_job job = {.shader = "crf/first",
                      .texel_shader = "crf/first_texel",
                      .constants = {p->planes, p->gaussian.block, p->has_gaussian, p->has_bilateral, p->channels},
                      .constant_count = 5,
                      .bindings = {p->unary, pixel_point, norms, tm_slice_all(crf->fast->table), p->energies, p->bases,
                                   p->marginals, p->sums},
                      .push = &push,
                      .push_size = sizeof push,
                      .items = (uint64_t)p->gaussian.columns * p->gaussian.rows,
                      .flops = 200.0 * crf->count * p->planes};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

static tagmask_status update(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, bool last, tm_error *err) {
    const tm_crf_lattice *lattice = &crf->fast->lattice;
    const uint32_t push[6] = {crf->width,       crf->height, p->gaussian.columns,
                              p->gaussian.rows, p->labels,   lattice->point_capacity};
    tm_slice messages = p->bases;
    if (p->has_bilateral) {
        messages = (tm_slice){lattice->messages, 0, (uint64_t)lattice->point_capacity * 16 * p->planes};
    }
    tm_crf_job job = {.shader = "crf/update",
                      .texel_shader = "crf/update_texel",
                      .constants = {p->planes, p->gaussian.block, p->has_gaussian, p->has_bilateral, p->channels, last},
                      .constant_count = 6,
                      .bindings = {p->energies, p->bases, messages, p->smoothed, tm_slice_all(crf->fast->table),
                                   p->marginals, p->sums, p->result},
                      .push = push,
                      .push_size = sizeof push,
                      .items = (uint64_t)p->gaussian.columns * p->gaussian.rows,
                      .flops = 200.0 * crf->count * p->planes};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

static tagmask_status gather(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, uint32_t first, uint32_t count,
                             tm_error *err) {
    const tm_crf_lattice *lattice = &crf->fast->lattice;
    const uint32_t push[2] = {crf->count, lattice->point_capacity};
    tm_slice values = {lattice->values, 0, (uint64_t)lattice->point_capacity * 16 * count};
    tm_crf_job job = {.shader = "crf/gather",
                      .texel_shader = "crf/gather_texel",
                      .constants = {count, p->channels, p->packed},
                      .constant_count = 3,
                      .bindings = {p->packed ? p->marginals : tm_crf_planes(p->marginals, p->plane, first, count),
                                   tm_slice_all(lattice->point_range), tm_slice_all(lattice->members),
                                   tm_slice_all(lattice->norms), values, tm_slice_all(lattice->state)},
                      .push = push,
                      .push_size = sizeof push,
                      .at_most = lattice->point_capacity,
                      .flops = 40.0 * crf->count * count};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

tagmask_status tm_crf_messages(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *plan, uint32_t first,
                               uint32_t count, tm_error *err) {
    if (plan->has_gaussian) TM_TRY(smooth(crf, recorder, plan, first, count, err));
    if (!plan->has_bilateral) return TAGMASK_OK;
    TM_TRY(gather(crf, recorder, plan, first, count, err));
    return tm_crf_lattice_filter(crf, &crf->fast->lattice, recorder, first, count, plan->channels,
                                 plan->params->bilateral_compat, err);
}

// One invocation holds all labels of its pixels if they are few and every array can be bound whole.
static bool must_stream(const tm_crf *crf, const tm_crf_plan *p) {
    uint64_t largest = TM_MAX((uint64_t)crf->count * 16, tm_crf_lattice_vertices(crf) * 16);
    uint64_t range = TM_MIN(crf->info->max_storage_range, crf->stream_above ? crf->stream_above : UINT64_MAX);
    return p->planes > MAX_PLANES || largest * p->planes > range || p->unary.size > range;
}

tagmask_status tm_crf_run_fast(tm_crf *crf, tm_recorder *recorder, const tm_crf_params *params, uint32_t labels,
                               tm_slice unary, tm_slice marginals, tm_error *err) {
    if (!crf->fast) crf->fast = tm_calloc(1, sizeof *crf->fast);
    if (!crf->fast) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a CRF");
    tm_crf_plan p = {.params = params,
                     .planes = tm_div_up(labels - 1, 4),
                     .labels = labels,
                     .channels = TM_MIN(labels - 1, 4),
                     .has_gaussian = params->gaussian_compat != 0,
                     .has_bilateral = params->bilateral_compat != 0,
                     .gaussian = plan_gaussian(crf, params->gaussian_sxy),
                     .unary = unary,
                     .result = marginals};
    p.streamed = must_stream(crf, &p);
    if (p.streamed) p.channels = 4;
    p.packed = !p.streamed && p.planes > 1 && crf->info->gpu_class == TM_GPU_CLASS_LAVAPIPE;
    uint64_t alignment = p.streamed ? TM_MAX(crf->info->buffer_alignment, 16) : 16;
    p.plane = tm_align_up((uint64_t)crf->count * 16, alignment);
    p.block_plane = tm_align_up((uint64_t)p.gaussian.columns * p.gaussian.rows * 16, alignment);
    tm_crf_lattice *lattice = &crf->fast->lattice;
    TM_TRY(reserve(crf, &p, err));
    if (p.has_bilateral) {
        TM_TRY(tm_crf_lattice_prepare(crf, lattice, recorder, params->bilateral_sxy, params->bilateral_srgb,
                                      p.streamed ? 1 : p.planes, p.planes, err));
    }
    TM_TRY(upload_table(crf, recorder, &p.gaussian, err));
    if (p.streamed) return tm_crf_stream(crf, recorder, &p, err);
    TM_TRY(first(crf, recorder, &p, err));
    for (int t = 0; t < params->iterations; t++) {
        TM_TRY(tm_crf_messages(crf, recorder, &p, 0, p.planes, err));
        TM_TRY(update(crf, recorder, &p, t + 1 == params->iterations, err));
    }
    return TAGMASK_OK;
}
