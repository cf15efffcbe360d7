// The fast path of the dense CRF, a truncated Gaussian on 2x2 blocks and a permutohedral lattice of grouped pixels: how
// a run is cut, and its memory. See docs/crf.md.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/crf_plan.h"

#define MAX_PLANES 6                     // groups of four labels that one invocation holds
#define BAND_BYTES ((uint64_t)32 << 20)  // of an array of all labels of a band

void tm_crf_forget_fast(tm_crf *crf) {
    if (crf->fast) crf->fast->lattice.built = false;
}

void tm_crf_destroy_fast(tm_crf *crf) {
    tm_crf_fast *fast = crf->fast;
    if (!fast) return;
    tm_crf_lattice_destroy(&fast->lattice);
    for (size_t i = 0; i < TM_ARRAY_LEN(crf->scratch); i++) tm_buffer_destroy(crf->scratch[i]);
    tm_buffer_destroy(fast->table);
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

// ---- Plan
// ------------------------------------------------------------------------------------------------------------

tm_crf_band tm_crf_band_at(const tm_crf *crf, const tm_crf_plan *plan, uint32_t index) {
    const tm_crf_gaussian *g = &plan->gaussian;
    uint32_t top = index * plan->band_height, bottom = TM_MIN(top + plan->band_height, crf->height);
    uint32_t end = tm_div_up(bottom, g->block), margin = g->block - 1;  // blocks of one pixel read nothing around them
    tm_crf_band band = {.index = index,
                        .first_row = top / g->block,
                        .first_pixel = top * crf->width,
                        .pixels = (bottom - top) * crf->width,
                        .first_tile = top / TM_CRF_TILE * tm_div_up(crf->width, TM_CRF_TILE),
                        .end_tile = tm_div_up(bottom, TM_CRF_TILE) * tm_div_up(crf->width, TM_CRF_TILE)};
    band.rows = end - band.first_row;
    band.smooth_row = band.first_row - TM_MIN(band.first_row, margin);
    band.smooth_rows = TM_MIN(end + margin, g->rows) - band.smooth_row;
    return band;
}

// One invocation holds all labels of its pixels, if they are few, in bands of the image in which every array can be
// bound whole. The lattice's arrays of points always can: see crf_lattice.c.
static void plan_bands(const tm_crf *crf, tm_crf_plan *p) {
    uint64_t pixel = TM_MAX(p->planes * 16, p->labels * 4), row = pixel * crf->width;
    p->bands = 1;
    p->band_height = crf->height;
    if (p->planes > MAX_PLANES) p->streamed = true;
    if (p->streamed || row * crf->height <= p->limit) return;
    uint64_t rows = TM_MIN(p->limit, BAND_BYTES) / row / TM_CRF_TILE * TM_CRF_TILE;
    p->band_height = (uint32_t)TM_CLAMP(rows, TM_CRF_TILE, (uint64_t)crf->height);
    p->streamed = row * TM_CRF_TILE > p->limit;
    if (p->streamed) p->band_height = crf->height;
    p->bands = tm_div_up(crf->height, p->band_height);
}

static void plan_sizes(const tm_crf *crf, tm_crf_plan *p) {
    const uint64_t alignment = TM_MAX(crf->info->buffer_alignment, 16);
    const tm_crf_gaussian *g = &p->gaussian;
    p->plane = tm_align_up((uint64_t)crf->count * 16, alignment);
    p->block_plane = tm_align_up((uint64_t)g->columns * g->rows * 16, alignment);
    tm_crf_band band = tm_crf_band_at(crf, p, 0);
    uint64_t vectors = p->packed ? tm_div_up(p->planes, 2) : p->planes;
    p->energy_band = tm_align_up((uint64_t)band.pixels * 16 * p->planes, alignment);
    p->marginal_band = tm_align_up((uint64_t)band.pixels * 16 * vectors, alignment);
    p->smoothed_band = tm_align_up((uint64_t)(band.rows + 2 * (g->block - 1)) * g->columns * 16 * p->planes, alignment);
}

static tagmask_status reserve(tm_crf *crf, tm_crf_plan *p, tm_error *err) {
    const bool gaussian = p->has_gaussian, streamed = p->streamed;
    const tm_crf_band band = tm_crf_band_at(crf, p, 0);
    const uint64_t planes = p->planes, whole = p->plane * planes;
    const uint64_t marginals = streamed ? whole : p->has_bilateral ? p->marginal_band * p->bands : 0;
    const uint64_t smoothed = streamed ? p->block_plane * planes : p->smoothed_band * p->bands;
    const uint64_t sums = streamed ? p->block_plane : (uint64_t)band.rows * p->gaussian.columns * 16;
    // The result is written when the marginals have been read for the last time; streaming reads them in between.
    const bool in_result = !streamed && marginals && marginals <= p->result.size;
    tm_crf_room building[TM_CRF_LATTICE_ROOMS], filtering[TM_CRF_LATTICE_FILTER_ROOMS + 8];
    tm_crf_room rooms[] = {
        // The energy of the only label but the last is kept in the bases.
        {&p->energies, streamed        ? whole
                       : p->labels > 2 ? p->energy_band * p->bands
                                       : 0},
        {&p->bases, p->plane},
        {&p->marginals, in_result ? 0 : marginals},
        {&p->half, gaussian ? p->block_plane * (streamed ? 1 : planes) : 0},
        {&p->smoothed, gaussian ? smoothed : 0},
        {&p->sums, gaussian ? sums * planes : 0},
        {&p->staging, p->bands > 1 ? (uint64_t)band.pixels * 4 * p->labels : 0},
        {&p->running, streamed ? p->plane : 0},
    };
    size_t count = TM_ARRAY_LEN(rooms);
    memcpy(filtering, rooms, sizeof rooms);
    if (p->has_bilateral) {
        tm_crf_lattice *lattice = &crf->fast->lattice;
        TM_TRY(tm_crf_lattice_reserve(crf, lattice, p->params->bilateral_sxy, p->params->bilateral_srgb, p->planes,
                                      p->streamed ? 1 : p->limit, err));
        tm_crf_lattice_rooms(crf, lattice, p->planes, filtering + count, building);
        count += TM_CRF_LATTICE_FILTER_ROOMS;
    }
    TM_TRY(tm_crf_scratch_place(crf, filtering, count, building, p->has_bilateral ? TM_CRF_LATTICE_ROOMS : 0, err));
    if (in_result) p->marginals = (tm_slice){p->result.buffer, p->result.offset, marginals};
    return tm_crf_reserve(crf, &crf->fast->table, (uint64_t)(p->gaussian.columns + p->gaussian.rows) * 8, err);
}

tagmask_status tm_crf_run_fast(tm_crf *crf, tm_recorder *recorder, const tm_crf_params *params, uint32_t labels,
                               tm_slice unary, tm_slice marginals, tm_error *err) {
    if (!crf->fast) crf->fast = tm_calloc(1, sizeof *crf->fast);
    if (!crf->fast) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for a CRF");
    const uint64_t range = crf->info->max_storage_range;
    tm_crf_plan p = {.params = params,
                     .planes = tm_div_up(labels - 1, 4),
                     .labels = labels,
                     .channels = TM_MIN(labels - 1, 4),
                     .has_gaussian = params->gaussian_compat != 0,
                     .has_bilateral = params->bilateral_compat != 0,
                     .limit = crf->bind_at_most ? TM_MIN(range, crf->bind_at_most) : range,
                     .gaussian = plan_gaussian(crf, params->gaussian_sxy),
                     .unary = unary,
                     .result = marginals};
    plan_bands(crf, &p);
    if (p.streamed) p.channels = 4;
    p.packed = !p.streamed && p.planes > 1 && crf->info->gpu_class == TM_GPU_CLASS_LAVAPIPE;
    plan_sizes(crf, &p);
    TM_TRY(reserve(crf, &p, err));
    if (p.has_bilateral) {
        TM_TRY(tm_crf_lattice_build(crf, &crf->fast->lattice, recorder, params->bilateral_sxy, params->bilateral_srgb,
                                    err));
    }
    TM_TRY(upload_table(crf, recorder, &p.gaussian, err));
    return p.streamed ? tm_crf_stream(crf, recorder, &p, err) : tm_crf_bands(crf, recorder, &p, err);
}
