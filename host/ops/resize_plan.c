// The coordinate transformations and filters of ONNX Resize (opset 10 to current) and Upsample. Cubic convolution: R.
// Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981.
#include "ops/resize_plan.h"

#include <math.h>
#include <string.h>

enum {
    HALF_PIXEL = 0,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_HALF_PIXEL_FOR_NN,
    TF_CROP_AND_RESIZE,
    HALF_PIXEL_SYMMETRIC
};
enum { ROUND_PREFER_FLOOR = 0, ROUND_PREFER_CEIL, FLOOR, CEIL };

static tagmask_status choose(tm_op_ctx *ctx, const char *name, const char *const *names, size_t count,
                             const char *otherwise, int *value, tm_error *err) {
    const char *text = tm_attr_string(ctx->node, name, otherwise);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], text)) continue;
        *value = (int)i;
        return TAGMASK_OK;
    }
    return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "%s is '%s'; expected a name of the standard", name, text);
}

static tagmask_status read_modes(tm_op_ctx *ctx, tm_resize_plan *plan, tm_error *err) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const coordinates[] = {"half_pixel",          "pytorch_half_pixel",   "align_corners",
                                              "asymmetric",          "tf_half_pixel_for_nn", "tf_crop_and_resize",
                                              "half_pixel_symmetric"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const tm_node *node = ctx->node;
    if (!strcmp(tm_attr_string(node, "mode", "nearest"), "bilinear"))
        plan->mode = TM_RESIZE_LINEAR;  // Upsample 1
    else
        TM_TRY(choose(ctx, "mode", modes, 3, "nearest", &plan->mode, err));
    if (node->opset < 11 || !strncmp(node->op_type, "Upsample", 8)) {
        plan->coordinates = ASYMMETRIC;
        plan->nearest = FLOOR;
        return TAGMASK_OK;
    }
    TM_TRY(choose(ctx, "coordinate_transformation_mode", coordinates, 7, "half_pixel", &plan->coordinates, err));
    TM_TRY(choose(ctx, "nearest_mode", roundings, 4, "round_prefer_floor", &plan->nearest, err));
    plan->cubic_a = tm_attr_float(node, "cubic_coeff_a", -0.75f);
    plan->outside = tm_attr_float(node, "extrapolation_value", 0.0f);
    plan->exclude_outside = tm_attr_int(node, "exclude_outside", 0) != 0;
    plan->antialias = tm_attr_int(node, "antialias", 0) != 0 && plan->mode != TM_RESIZE_NEAREST;
    return TAGMASK_OK;
}

// Which axes scales, sizes and roi speak of: all of them, or those of the attribute axes (opset 18).
static tagmask_status read_axes(tm_op_ctx *ctx, int32_t axes[TM_MAX_RANK], size_t *count, tm_error *err) {
    int32_t rank = ctx->in[0].shape.rank;
    size_t named;
    const int64_t *list = tm_attr_ints(ctx->node, "axes", &named);
    *count = list ? named : (size_t)rank;
    if (*count > (size_t)rank) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "names more axes than there are");
    bool seen[TM_MAX_RANK] = {false};
    for (size_t i = 0; i < *count; i++) {
        axes[i] = (int32_t)i;
        if (list) TM_TRY(tm_normalize_axis(ctx, "axes", list[i], rank, &axes[i], err));
        if (seen[axes[i]]) return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "names axis %d twice", (int)axes[i]);
        seen[axes[i]] = true;
    }
    return TAGMASK_OK;
}

static void set_fraction(tm_resize_axis *axis, bool from_sizes) {
    axis->p = axis->out;
    axis->q = from_sizes ? axis->in : 0;
    for (int64_t q = 1; !from_sizes && q <= 64; q++) {
        double p = floor(axis->scale * (double)q + 0.5);
        if (p < 1 || p > 65536 || (float)(p / (double)q) != (float)axis->scale) continue;
        axis->p = (int64_t)p;
        axis->q = q;
        return;
    }
}

static tagmask_status apply_scales(tm_op_ctx *ctx, tm_resize_plan *plan, const float *scales, size_t count,
                                   const int32_t *axes, size_t axis_count, tm_error *err) {
    if (count != axis_count)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has %zu scales; expected %zu", count, axis_count);
    for (size_t i = 0; i < count; i++) {
        tm_resize_axis *axis = &plan->axis[axes[i]];
        axis->scale = scales[i];
        axis->width = (double)axis->in * axis->scale;
        if (!(axis->scale > 0) || axis->width > INT32_MAX)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "scale %g is not positive or too large", axis->scale);
        axis->out = (int64_t)floor(axis->width);
        axis->changes = axis->scale != 1.0;
        set_fraction(axis, false);
    }
    return TAGMASK_OK;
}

static tagmask_status apply_sizes(tm_op_ctx *ctx, tm_resize_plan *plan, const int64_t *sizes, size_t count,
                                  const int32_t *axes, size_t axis_count, tm_error *err) {
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int policy = 0;
    TM_TRY(choose(ctx, "keep_aspect_ratio_policy", policies, 3, "stretch", &policy, err));
    if (count != axis_count)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "has %zu sizes; expected %zu", count, axis_count);
    double common = policy == 1 ? INFINITY : 0.0;
    for (size_t i = 0; i < count; i++) {
        tm_resize_axis *axis = &plan->axis[axes[i]];
        if (sizes[i] < 1 || sizes[i] > INT32_MAX || axis->in < 1)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "resizes %lld elements to %lld; expected at least 1",
                              (long long)axis->in, (long long)sizes[i]);
        axis->out = sizes[i];
        axis->scale = (double)axis->out / (double)axis->in;
        common = policy == 1 ? fmin(common, axis->scale) : fmax(common, axis->scale);
    }
    for (size_t i = 0; i < count; i++) {
        tm_resize_axis *axis = &plan->axis[axes[i]];
        if (policy && common * (double)axis->in > INT32_MAX)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "keeping the aspect ratio resizes %lld elements %g times",
                              (long long)axis->in, common);
        if (policy) {
            axis->scale = common;
            axis->out = (int64_t)floor(common * (double)axis->in + 0.5);
        }
        axis->width = policy ? common * (double)axis->in : (double)axis->out;
        axis->changes = axis->out != axis->in || axis->scale != 1.0;
        set_fraction(axis, policy == 0);
    }
    return TAGMASK_OK;
}

static tagmask_status apply_roi(tm_op_ctx *ctx, tm_resize_plan *plan, const int32_t *axes, size_t count,
                                tm_error *err) {
    if (plan->coordinates != TF_CROP_AND_RESIZE) return TAGMASK_OK;
    size_t have = 0;
    if (tm_has_input(ctx, 1)) tm_shape_count(&ctx->in[1].shape, &have);
    if (have != 2 * count || ctx->in[1].dtype != TM_FLOAT32 || !ctx->in[1].data)
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                          "its roi has %zu elements; expected %zu float32 known before the network runs", have,
                          2 * count);
    const float *roi = ctx->in[1].data;
    for (size_t i = 0; i < count; i++) {
        tm_resize_axis *axis = &plan->axis[axes[i]];
        axis->roi[0] = roi[i];
        axis->roi[1] = roi[i + count];
        axis->changes = axis->changes || roi[i] != 0.0f || roi[i + count] != 1.0f;
    }
    return TAGMASK_OK;
}

// The scales: attribute of old Upsample, input 1 of Upsample 9 and Resize 10, input 2 later.
static tagmask_status find_scales(tm_op_ctx *ctx, const float **scales, size_t *count, tm_error *err) {
    bool old = ctx->node->opset < 11 || !strncmp(ctx->node->op_type, "Upsample", 8);
    size_t input = old ? 1 : 2;
    *scales = tm_attr_floats(ctx->node, "scales", count);
    if (*scales || !tm_has_input(ctx, input)) return TAGMASK_OK;
    const tm_host_tensor *t = &ctx->in[input];
    if (t->dtype != TM_FLOAT32 || !tm_shape_count(&t->shape, count) || (*count && !t->data))
        return tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED,
                          "its scales are not float32 numbers known before the network runs");
    *scales = *count ? t->data : NULL;
    return TAGMASK_OK;
}

tagmask_status tm_resize_plan_make(tm_op_ctx *ctx, tm_resize_plan *plan, tm_error *err) {
    memset(plan, 0, sizeof *plan);
    plan->shape = ctx->in[0].shape;
    TM_TRY(read_modes(ctx, plan, err));
    for (int32_t d = 0; d < plan->shape.rank; d++) {
        int64_t n = plan->shape.dim[d];
        plan->axis[d] = (tm_resize_axis){.in = n, .out = n, .scale = 1, .width = (double)n, .roi = {0, 1}};
    }
    int32_t axes[TM_MAX_RANK];
    size_t axis_count, count;
    TM_TRY(read_axes(ctx, axes, &axis_count, err));
    const float *scales;
    TM_TRY(find_scales(ctx, &scales, &count, err));
    if (scales) {
        TM_TRY(apply_scales(ctx, plan, scales, count, axes, axis_count, err));
    } else {
        const int64_t *sizes;
        TM_TRY(tm_host_ints(ctx, 3, &sizes, &count, err));
        TM_TRY(apply_sizes(ctx, plan, sizes, count, axes, axis_count, err));
    }
    TM_TRY(apply_roi(ctx, plan, axes, axis_count, err));
    for (int32_t d = 0; d < plan->shape.rank; d++) {
        plan->shape.dim[d] = plan->axis[d].out;
        if (plan->axis[d].changes && plan->axis[d].in < 1 && plan->axis[d].out > 0)
            return tm_op_fail(ctx, err, TAGMASK_ERROR_FORMAT, "resizes the empty axis %d", (int)d);
    }
    return TAGMASK_OK;
}

double tm_resize_source(const tm_resize_plan *plan, const tm_resize_axis *axis, double x) {
    double last = (double)axis->in - 1;
    switch (plan->coordinates) {
        case HALF_PIXEL:
            return (x + 0.5) / axis->scale - 0.5;
        case PYTORCH_HALF_PIXEL:
            return axis->out > 1 ? (x + 0.5) / axis->scale - 0.5 : 0.0;
        case ALIGN_CORNERS:
            return axis->out > 1 ? x * last / (axis->width - 1) : 0.0;
        case ASYMMETRIC:
            return x / axis->scale;
        case TF_HALF_PIXEL_FOR_NN:
            return (x + 0.5) / axis->scale;
        case TF_CROP_AND_RESIZE:
            if (axis->out > 1)
                return axis->roi[0] * last + x * (axis->roi[1] - axis->roi[0]) * last / ((double)axis->out - 1);
            return 0.5 * (axis->roi[0] + axis->roi[1]) * last;
        default: {  // HALF_PIXEL_SYMMETRIC: both borders lose the same
            double offset = (double)axis->in / 2 * (1 - (double)axis->out / axis->width);
            return offset + (x + 0.5) / axis->scale - 0.5;
        }
    }
}

bool tm_resize_nearest_terms(const tm_resize_plan *plan, const tm_resize_axis *axis, int64_t *mul, int64_t *add,
                             int64_t *div) {
    int64_t m, a = 0, d;
    bool exact = (double)axis->out == axis->width;
    if (!axis->changes) {
        *mul = *div = 1;
        *add = 0;
        return true;
    }
    if (axis->q == 0 || plan->coordinates == TF_CROP_AND_RESIZE) return false;
    if (plan->coordinates == HALF_PIXEL_SYMMETRIC && !exact) return false;
    if (plan->coordinates == ALIGN_CORNERS) {
        if (!exact) return false;
        m = axis->out > 1 ? axis->in - 1 : 0;
        d = axis->out > 1 ? axis->out - 1 : 1;
    } else if (plan->coordinates == ASYMMETRIC) {
        m = axis->q;
        d = axis->p;
    } else if (plan->coordinates == PYTORCH_HALF_PIXEL && axis->out == 1) {
        m = 0;
        d = 1;
    } else {
        m = 2 * axis->q;
        a = plan->coordinates == TF_HALF_PIXEL_FOR_NN ? axis->q : axis->q - axis->p;
        d = 2 * axis->p;
    }
    // Rounding: floor(v), ceil(v), floor(v + 1/2) or ceil(v - 1/2) of v = (x * m + a) / d.
    if (plan->nearest == CEIL) a += d - 1;
    if (plan->nearest == ROUND_PREFER_CEIL || plan->nearest == ROUND_PREFER_FLOOR) {
        m *= 2;
        a = 2 * a + d - (plan->nearest == ROUND_PREFER_FLOOR);
        d *= 2;
    }
    *mul = m;
    *add = a;
    *div = d;
    int64_t largest;
    return tm_mul_i64(m, axis->out, &largest) && largest < INT32_MAX / 2 && d < INT32_MAX / 2 && a < INT32_MAX / 2 &&
           a > INT32_MIN / 2;
}

static double filter_scale(const tm_resize_plan *plan, const tm_resize_axis *axis) {
    return plan->antialias && axis->scale < 1 ? axis->scale : 1.0;
}

// Taps on each side of the source coordinate.
static int64_t filter_reach(const tm_resize_plan *plan, const tm_resize_axis *axis) {
    double support = plan->mode == TM_RESIZE_LINEAR ? 1.0 : 2.0;
    return (int64_t)ceil(fmin(support / filter_scale(plan, axis), 1e9));
}

size_t tm_resize_taps(const tm_resize_plan *plan, const tm_resize_axis *axis) {
    if (plan->mode == TM_RESIZE_NEAREST) return 1;
    // An output of one element or more shrinks the axis by 2 * in at most; other scales must not make the table large.
    return (size_t)TM_MIN(2 * filter_reach(plan, axis), 8 * axis->in + 8);
}

static double filter(const tm_resize_plan *plan, double t) {
    double a = plan->cubic_a;
    t = fabs(t);
    if (plan->mode == TM_RESIZE_LINEAR) return t < 1 ? 1 - t : 0;
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
    return 0;
}

static int64_t nearest_index(const tm_resize_plan *plan, double v) {
    switch (plan->nearest) {
        case ROUND_PREFER_FLOOR:
            return (int64_t)ceil(v - 0.5);
        case ROUND_PREFER_CEIL:
            return (int64_t)floor(v + 0.5);
        case FLOOR:
            return (int64_t)floor(v);
        default:
            return (int64_t)ceil(v);
    }
}

static void filter_taps(const tm_resize_plan *plan, const tm_resize_axis *axis, double source, size_t taps,
                        tm_resize_tap *row) {
    double scale = filter_scale(plan, axis), sum = 0;
    int64_t base = (int64_t)floor(source), first = base + 1 - (int64_t)(taps / 2);
    for (size_t t = 0; t < taps; t++) {
        int64_t index = first + (int64_t)t;
        double w = filter(plan, ((double)index - source) * scale);
        if (plan->exclude_outside && (index < 0 || index >= axis->in)) w = 0;
        row[t].index = (int32_t)TM_CLAMP(index, 0, axis->in - 1);
        row[t].weight = (float)w;
        sum += w;
    }
    for (size_t t = 0; t < taps && sum != 0; t++) row[t].weight = (float)(row[t].weight / sum);
}

void tm_resize_table(const tm_resize_plan *plan, const tm_resize_axis *axis, tm_resize_tap *table) {
    size_t taps = tm_resize_taps(plan, axis);
    for (int64_t x = 0; x < axis->out; x++) {
        tm_resize_tap *row = table + (size_t)x * taps;
        double last = (double)axis->in - 1, source = tm_resize_source(plan, axis, (double)x);
        if (plan->coordinates == TF_CROP_AND_RESIZE && (source < 0 || source > last)) {
            for (size_t t = 0; t < taps; t++) row[t] = (tm_resize_tap){-1, t == 0 ? 1.0f : 0.0f};
            continue;
        }
        source = TM_CLAMP(source, -(double)axis->in - 4, 2 * (double)axis->in + 4);
        if (plan->mode == TM_RESIZE_NEAREST) {
            int64_t index = nearest_index(plan, source);
            row[0] = (tm_resize_tap){(int32_t)TM_CLAMP(index, 0, axis->in - 1), 1.0f};
        } else {
            filter_taps(plan, axis, source, taps, row);
        }
    }
}
