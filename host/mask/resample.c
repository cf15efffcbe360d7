// Antialiased separable resampling as in Pillow's Image.resize (libImaging/Resample.c documents the method: a filter
// stretched by the reduction factor, weights normalized for each output pixel). Weights are made on the host; the
// passes run in shaders/image/resample.comp.
#include <math.h>
#include <stdlib.h>

#include "mask/maps.h"

static double filter_value(tm_filter filter, double x) {
    const double pi = 3.14159265358979323846;
    x = fabs(x);
    switch (filter) {
        case TM_FILTER_BOX:
            return x <= 0.5 ? 1 : 0;
        case TM_FILTER_BILINEAR:
            return x < 1 ? 1 - x : 0;
        case TM_FILTER_BICUBIC:  // Keys 1981, a = -0.5
            if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
            return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
        case TM_FILTER_LANCZOS:
            if (x >= 3) return 0;
            return x < 1e-8 ? 1 : sin(pi * x) * sin(pi * x / 3) / (pi * x * pi * x / 3);
    }
    return 0;
}

static double filter_support(tm_filter filter) {
    static const double supports[] = {0.5, 1, 2, 3};
    return supports[filter];
}

typedef struct axis_weights {
    uint32_t taps;
    int32_t *first;
    float *weights;
} axis_weights;

// Weights for `target` outputs over the source interval [low, high) of `source` pixels.
static bool make_weights(tm_filter filter, uint32_t source, double low, double high, uint32_t target,
                         axis_weights *axis) {
    double scale = (high - low) / target, stretch = scale < 1 ? 1 : scale;
    double support = filter_support(filter) * stretch;
    axis->taps = (uint32_t)ceil(support) * 2 + 1;
    axis->first = tm_calloc(target, sizeof *axis->first);
    axis->weights = tm_calloc((size_t)target * axis->taps, sizeof *axis->weights);
    if (!axis->first || !axis->weights) return false;
    for (uint32_t i = 0; i < target; i++) {
        double centre = low + (i + 0.5) * scale, sum = 0;
        int32_t from = (int32_t)(centre - support + 0.5), to = (int32_t)(centre + support + 0.5);
        from = TM_MAX(from, 0);
        to = TM_MIN(to, (int32_t)source);
        if (to - from > (int32_t)axis->taps) to = from + (int32_t)axis->taps;
        float *weights = axis->weights + (size_t)i * axis->taps;
        for (int32_t x = from; x < to; x++) sum += filter_value(filter, (x - centre + 0.5) / stretch);
        for (int32_t x = from; x < to; x++)
            weights[x - from] = (float)(filter_value(filter, (x - centre + 0.5) / stretch) / (sum != 0 ? sum : 1));
        axis->first[i] = from;
    }
    return true;
}

static tagmask_status run_pass(tm_work *work, uint32_t along, const tm_map *source, const axis_weights *axis,
                               const tm_map *target, tm_error *err) {
    uint32_t outputs = along ? target->height : target->width;
    tm_slice first, weights;
    uint64_t weight_bytes = (uint64_t)outputs * axis->taps * 4;
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)outputs * 4, &first, err));
    TM_TRY(tm_scratch_alloc(work->scratch, weight_bytes, &weights, err));
    first.size = (uint64_t)outputs * 4;
    weights.size = weight_bytes;
    TM_TRY(tm_upload(work->recorder, first, axis->first, err));
    TM_TRY(tm_upload(work->recorder, weights, axis->weights, err));
    struct {
        uint32_t width, height, source_width, source_height, taps;
    } push = {target->width, target->height, source->width, source->height, axis->taps};
    bool vectors = along && target->width % 4 == 0;  // source and target are equally wide
    tm_map_call call = {.shader = !vectors                                    ? "image/resample"
                                  : tm_map_by_texels(work, &source->slice, 1) ? "image/resample_rows_texel"
                                                                              : "image/resample_rows",
                        .constants = {along},
                        .constant_count = !vectors,
                        .bindings = {source->slice, first, weights, target->slice},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = along ? (uint64_t)tm_div_up(target->width, 4) * target->height
                                          : (uint64_t)target->width * tm_div_up(target->height, 4),
                        .flops_per_element = 32.0 * axis->taps};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_image_resample(tm_work *work, const tm_map *source, const tm_box *box, tm_filter filter,
                                 const tm_map *target, tm_error *err) {
    tm_box all = {0, 0, (float)source->width, (float)source->height};
    if (!box) box = &all;
    axis_weights x = {0}, y = {0};
    tm_map middle;
    tagmask_status status = TAGMASK_OK;
    if (!make_weights(filter, source->width, box->left, box->right, target->width, &x) ||
        !make_weights(filter, source->height, box->top, box->bottom, target->height, &y)) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the weights of a resampling to %ux%u", target->width,
                         target->height);
    }
    if (!status) status = tm_scratch_map(work, target->width, source->height, &middle, err);
    if (!status) status = run_pass(work, 0, source, &x, &middle, err);
    if (!status) status = run_pass(work, 1, &middle, &y, target, err);
    free(x.first);
    free(x.weights);
    free(y.first);
    free(y.weights);
    return status;
}
