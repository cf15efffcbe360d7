// The iterations of the dense CRF's fast path, with all labels of a pixel in one invocation. The image is worked on in
// bands where an array of all labels exceeds what the device binds; most images are one band. What a pixel needs from
// other bands comes through the Gaussian filter's grid of blocks and through the lattice, which are whole.
#include <string.h>

#include "mask/crf_plan.h"

// ---- Gaussian filter
// -------------------------------------------------------------------------------------------------

// Groups of blocks' values; elements from the start of the slice.
typedef struct blocks {
    tm_slice slice;
    uint32_t start, stride;  // row 0 of the first group in use, which may lie before the slice; from group to group
} blocks;

static blocks blocks_of_band(const tm_crf_plan *p, tm_slice slice, uint32_t first_row, uint32_t rows, uint32_t group) {
    uint32_t stride = p->gaussian.columns * rows;
    return (blocks){slice, group * stride - first_row * p->gaussian.columns, stride};
}

static blocks blocks_of_image(const tm_crf_plan *p, tm_slice planes, uint32_t first, uint32_t count) {
    return (blocks){tm_crf_planes(planes, p->block_plane, first, count), 0, (uint32_t)(p->block_plane / 16)};
}

static tagmask_status filter(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, bool vertical, blocks from,
                             blocks to, uint32_t first_row, uint32_t rows, uint32_t count, tm_error *err) {
    const struct {
        uint32_t columns, rows, first_row, band_rows, from_start, from_stride, to_start, to_stride;
        float falloff, compat;
    } push = {
        p->gaussian.columns, p->gaussian.rows,          first_row, rows, from.start, from.stride, to.start, to.stride,
        p->gaussian.falloff, p->params->gaussian_compat};
    uint32_t length = vertical ? rows : push.columns, lines = vertical ? push.columns : rows;
    tm_crf_job job = {.shader = "crf/gauss",
                      .texel_shader = "crf/gauss_texel",
                      .constants = {p->gaussian.radius, vertical, p->channels},
                      .constant_count = 3,
                      .bindings = {from.slice, tm_slice_all(crf->fast->table), to.slice},
                      .push = &push,
                      .push_size = sizeof push,
                      .flops = 30.0 * length * lines * count * (p->gaussian.radius + 1)};
    tm_crf_grid(crf, (uint64_t)tm_div_up(length, 8) * lines, job.groups);
    job.groups[2] = count;
    return tm_crf_dispatch(crf, recorder, &job, err);
}

// Groups of labels whose planes of the image's blocks are bound at once.
static uint32_t groups_bound(const tm_crf_plan *p) {
    return (uint32_t)TM_CLAMP(p->limit / p->block_plane, 1, (uint64_t)p->planes);
}

static tm_slice smoothed_of(const tm_crf_plan *p, const tm_crf_band *band) {
    return (tm_slice){p->smoothed.buffer, p->smoothed.offset + p->smoothed_band * band->index,
                      (uint64_t)p->planes * band->smooth_rows * p->gaussian.columns * 16};
}

// Along the rows of a band: sums -> half.
static tagmask_status smooth_rows(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, const tm_crf_band *band,
                                  tm_error *err) {
    for (uint32_t group = 0, step = groups_bound(p); group < p->planes; group += step) {
        uint32_t count = TM_MIN(step, p->planes - group);
        blocks from = blocks_of_band(p, p->sums, band->first_row, band->rows, group);
        blocks to = blocks_of_image(p, p->half, group, count);
        TM_TRY(filter(crf, recorder, p, false, from, to, band->first_row, band->rows, count, err));
    }
    return TAGMASK_OK;
}

// Along the columns: half -> smoothed of a band.
static tagmask_status smooth_columns(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, const tm_crf_band *band,
                                     tm_error *err) {
    for (uint32_t group = 0, step = groups_bound(p); group < p->planes; group += step) {
        uint32_t count = TM_MIN(step, p->planes - group);
        blocks from = blocks_of_image(p, p->half, group, count);
        blocks to = blocks_of_band(p, smoothed_of(p, band), band->smooth_row, band->smooth_rows, group);
        TM_TRY(filter(crf, recorder, p, true, from, to, band->smooth_row, band->smooth_rows, count, err));
    }
    return TAGMASK_OK;
}

// ---- Pixels
// ----------------------------------------------------------------------------------------------------------

// What a dispatch does not use still has to be bound.
static tm_slice bound(const tm_crf_plan *p, tm_slice slice) {
    return slice.buffer ? slice : p->bases;
}

static tm_slice part_of(const tm_crf_plan *p, tm_slice all, uint64_t bytes, const tm_crf_band *band) {
    if (!all.buffer) return p->bases;
    return (tm_slice){all.buffer, all.offset + bytes * band->index, bytes};
}

// Planes of the caller, [labels][pixels], to or from those of a band.
static tagmask_status stage(const tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, tm_slice all,
                            const tm_crf_band *band, bool back, tm_error *err) {
    const uint64_t size = (uint64_t)band->pixels * 4;
    for (uint64_t label = 0; p->bands > 1 && label < p->labels; label++) {
        tm_slice far = {all.buffer, all.offset + (label * crf->count + band->first_pixel) * 4, size};
        tm_slice near = {p->staging.buffer, p->staging.offset + label * size, size};
        TM_TRY(back ? tm_copy(recorder, near, far, err) : tm_copy(recorder, far, near, err));
    }
    return TAGMASK_OK;
}

static tagmask_status first(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, const tm_crf_band *band,
                            tm_error *err) {
    const tm_crf_lattice *lattice = &crf->fast->lattice;
    const tm_crf_gaussian *g = &p->gaussian;
    const struct {
        uint32_t width, height, columns, rows, first_row, band_rows, pixels, labels;
        float gaussian, bilateral;
    } push = {crf->width,
              crf->height,
              g->columns,
              g->rows,
              band->first_row,
              band->rows,
              band->pixels,
              p->labels,
              p->params->gaussian_compat,
              p->params->bilateral_compat};
    TM_TRY(stage(crf, recorder, p, p->unary, band, false, err));
    tm_crf_job job = {.shader = "crf/first",
                      .texel_shader = "crf/first_texel",
                      .constants = {p->planes, g->block, p->has_gaussian, p->has_bilateral, p->channels},
                      .constant_count = 5,
                      .bindings = {p->bands > 1 ? p->staging : p->unary,
                                   p->has_bilateral ? tm_slice_all(lattice->pixel_point) : p->bases,
                                   p->has_bilateral ? tm_slice_all(lattice->norms) : p->bases,
                                   tm_slice_all(crf->fast->table), part_of(p, p->energies, p->energy_band, band),
                                   p->bases, part_of(p, p->marginals, p->marginal_band, band), bound(p, p->sums)},
                      .push = &push,
                      .push_size = sizeof push,
                      .items = (uint64_t)g->columns * band->rows,
                      .flops = 200.0 * band->pixels * p->planes};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

static tagmask_status update(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, const tm_crf_band *band,
                             bool last, tm_error *err) {
    const tm_crf_lattice *lattice = &crf->fast->lattice;
    const tm_crf_gaussian *g = &p->gaussian;
    const uint32_t push[11] = {crf->width,       crf->height,      g->columns,
                               g->rows,          band->first_row,  band->rows,
                               band->pixels,     p->labels,        lattice->point_capacity,
                               band->smooth_row, band->smooth_rows};
    // The marginals may lie where the result goes.
    tm_slice marginals = last ? bound(p, p->sums) : part_of(p, p->marginals, p->marginal_band, band);
    tm_slice result = p->bands > 1 ? p->staging : last ? p->result : bound(p, p->sums);
    tm_crf_job job = {
        .shader = "crf/update",
        .texel_shader = "crf/update_texel",
        .constants = {p->planes, g->block, p->has_gaussian, p->has_bilateral, p->channels, last},
        .constant_count = 6,
        .bindings = {part_of(p, p->energies, p->energy_band, band), p->bases,
                     p->has_bilateral ? lattice->values : p->bases, p->has_gaussian ? smoothed_of(p, band) : p->bases,
                     tm_slice_all(crf->fast->table), marginals, bound(p, p->sums), result},
        .push = push,
        .push_size = sizeof push,
        .items = (uint64_t)g->columns * band->rows,
        .flops = 200.0 * band->pixels * p->planes};
    TM_TRY(tm_crf_dispatch(crf, recorder, &job, err));
    return last ? stage(crf, recorder, p, p->result, band, true, err) : TAGMASK_OK;
}

// ---- Bilateral filter
// ------------------------------------------------------------------------------------------------

// Marginals of a band -> the points' values, `count` groups of labels from the first one of `marginals` on.
static tagmask_status gather(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, const tm_crf_band *band,
                             tm_slice marginals, uint32_t group, uint32_t count, tm_error *err) {
    const tm_crf_lattice *lattice = &crf->fast->lattice;
    const uint32_t push[5] = {band->pixels, band->first_pixel, band->first_tile, band->end_tile,
                              lattice->point_capacity};
    tm_crf_job job = {.shader = "crf/gather",
                      .texel_shader = "crf/gather_texel",
                      .constants = {count, p->channels, p->packed},
                      .constant_count = 3,
                      .bindings = {marginals, tm_slice_all(lattice->point_range), tm_slice_all(lattice->members),
                                   tm_slice_all(lattice->norms),
                                   tm_crf_planes(lattice->values, (uint64_t)lattice->point_capacity * 16, group, count),
                                   tm_slice_all(lattice->tile_first)},
                      .push = push,
                      .push_size = sizeof push,
                      .at_most = tm_div_up(lattice->point_capacity, p->bands),
                      .flops = 40.0 * band->pixels * count};
    return tm_crf_dispatch(crf, recorder, &job, err);
}

tagmask_status tm_crf_messages(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, uint32_t group,
                               tm_error *err) {
    const tm_crf_band whole = tm_crf_band_at(crf, p, 0);
    if (p->has_gaussian) {
        blocks sums = blocks_of_image(p, p->sums, group, 1), half = blocks_of_image(p, p->half, 0, 1);
        blocks smoothed = blocks_of_image(p, p->smoothed, group, 1);
        TM_TRY(filter(crf, recorder, p, false, sums, half, 0, whole.rows, 1, err));
        TM_TRY(filter(crf, recorder, p, true, half, smoothed, 0, whole.rows, 1, err));
    }
    if (!p->has_bilateral) return TAGMASK_OK;
    tm_slice marginals = tm_crf_planes(p->marginals, p->plane, group, 1);
    TM_TRY(gather(crf, recorder, p, &whole, marginals, group, 1, err));
    return tm_crf_lattice_filter(crf, &crf->fast->lattice, recorder, group, 1, p->channels, p->params->bilateral_compat,
                                 err);
}

static tagmask_status messages(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, tm_error *err) {
    tm_crf_lattice *lattice = &crf->fast->lattice;
    for (uint32_t b = 0; b < p->bands; b++) {
        const tm_crf_band band = tm_crf_band_at(crf, p, b);
        if (p->has_gaussian) TM_TRY(smooth_columns(crf, recorder, p, &band, err));
        if (!p->has_bilateral) continue;
        tm_slice marginals = part_of(p, p->marginals, p->marginal_band, &band);
        TM_TRY(gather(crf, recorder, p, &band, marginals, 0, p->planes, err));
    }
    for (uint32_t group = 0; p->has_bilateral && group < p->planes; group += lattice->at_once) {
        uint32_t count = TM_MIN(lattice->at_once, p->planes - group);
        TM_TRY(
            tm_crf_lattice_filter(crf, lattice, recorder, group, count, p->channels, p->params->bilateral_compat, err));
    }
    return TAGMASK_OK;
}

tagmask_status tm_crf_bands(tm_crf *crf, tm_recorder *recorder, const tm_crf_plan *p, tm_error *err) {
    for (int t = 0; t <= p->params->iterations; t++) {
        const bool last = t == p->params->iterations;
        if (t) TM_TRY(messages(crf, recorder, p, err));
        for (uint32_t b = 0; b < p->bands; b++) {
            const tm_crf_band band = tm_crf_band_at(crf, p, b);
            TM_TRY(t ? update(crf, recorder, p, &band, last, err) : first(crf, recorder, p, &band, err));
            if (p->has_gaussian && !last) TM_TRY(smooth_rows(crf, recorder, p, &band, err));
        }
    }
    return TAGMASK_OK;
}
