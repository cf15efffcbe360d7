// Gradients of element-wise operators of two or more inputs. What was broadcast is summed again.
#include <string.h>

#include "ops/common.h"
#include "ops/gradients.h"

void tm_gradient_add(tm_backward *back) {
    for (size_t i = 0; i < tm_back_node(back)->input_count; i++)
        if (tm_back_wants(back, i)) tm_back_give_sum(back, i, tm_back_from(back, 0));
}

void tm_gradient_sub(tm_backward *back) {
    int32_t g = tm_back_from(back, 0);
    if (tm_back_wants(back, 0)) tm_back_give_sum(back, 0, g);
    if (tm_back_wants(back, 1)) tm_back_give_sum(back, 1, TM_BACK(back, "Neg", g));
}

void tm_gradient_mul(tm_backward *back) {
    int32_t g = tm_back_from(back, 0);
    for (size_t i = 0; i < 2; i++)
        if (tm_back_wants(back, i)) tm_back_give_sum(back, i, TM_BACK(back, "Mul", g, tm_back_in(back, 1 - i)));
}

// y = a / b: dy/da = 1 / b, dy/db = -y / b.
void tm_gradient_div(tm_backward *back) {
    int32_t over = TM_BACK(back, "Div", tm_back_from(back, 0), tm_back_in(back, 1));
    if (tm_back_wants(back, 0)) tm_back_give_sum(back, 0, over);
    if (!tm_back_wants(back, 1)) return;
    tm_back_give_sum(back, 1, TM_BACK(back, "Neg", TM_BACK(back, "Mul", over, tm_back_out(back, 0))));
}

static bool is_scalar(const tm_backward *back, int32_t value, float *number) {
    tm_host_tensor tensor;
    size_t count;
    if (!tm_back_constant(back, value, &tensor) || tensor.dtype != TM_FLOAT32) return false;
    if (!tm_shape_count(&tensor.shape, &count) || count != 1 || tensor.shape.rank > 1) return false;
    *number = *(const float *)tensor.data;
    return true;
}

// y = a^b: dy/da = b a^(b - 1), dy/db = y log a.
void tm_gradient_pow(tm_backward *back) {
    int32_t g = tm_back_from(back, 0), a = tm_back_in(back, 0), b = tm_back_in(back, 1);
    float exponent;
    if (tm_back_wants(back, 0) && is_scalar(back, b, &exponent)) {
        tm_back_give_sum(back, 0, tm_gradient_power(back, g, exponent));
    } else if (tm_back_wants(back, 0)) {
        int32_t less = TM_BACK(back, "Sub", b, tm_back_scalar(back, 1));
        int32_t slope = TM_BACK(back, "Mul", b, TM_BACK(back, "Pow", a, less));
        tm_back_give_sum(back, 0, TM_BACK(back, "Mul", g, slope));
    }
    if (!tm_back_wants(back, 1)) return;
    int32_t slope = TM_BACK(back, "Mul", tm_back_out(back, 0), TM_BACK(back, "Log", a));
    tm_back_give_sum(back, 1, TM_BACK(back, "Mul", g, slope));
}

void tm_gradient_prelu(tm_backward *back) {
    int32_t g = tm_back_from(back, 0), x = tm_back_in(back, 0), zero = tm_back_scalar(back, 0);
    int32_t below = TM_BACK(back, "Less", x, zero);
    if (tm_back_wants(back, 0))
        tm_back_give(back, 0, TM_BACK(back, "Where", below, TM_BACK(back, "Mul", g, tm_back_in(back, 1)), g));
    if (tm_back_wants(back, 1))
        tm_back_give_sum(back, 1, TM_BACK(back, "Where", below, TM_BACK(back, "Mul", g, x), zero));
}

void tm_gradient_mean(tm_backward *back) {
    size_t count = tm_back_node(back)->input_count;
    int32_t share = TM_BACK(back, "Mul", tm_back_from(back, 0), tm_back_scalar(back, 1.0f / (float)count));
    for (size_t i = 0; i < count; i++)
        if (tm_back_wants(back, i)) tm_back_give_sum(back, i, share);
}

// All of it to the first input that has the output's value.
void tm_gradient_extreme(tm_backward *back) {
    int32_t g = tm_back_from(back, 0), y = tm_back_out(back, 0), zero = tm_back_scalar(back, 0), taken = -1;
    for (size_t i = 0; i < tm_back_node(back)->input_count; i++) {
        int32_t equal = TM_BACK(back, "Equal", tm_back_in(back, i), y);
        int32_t first = taken < 0 ? equal : TM_BACK(back, "And", equal, TM_BACK(back, "Not", taken));
        if (tm_back_wants(back, i)) tm_back_give_sum(back, i, TM_BACK(back, "Where", first, g, zero));
        taken = taken < 0 ? equal : TM_BACK(back, "Or", taken, equal);
    }
}

void tm_gradient_where(tm_backward *back) {
    int32_t g = tm_back_from(back, 0), condition = tm_back_in(back, 0), zero = tm_back_scalar(back, 0);
    if (tm_back_wants(back, 1)) tm_back_give_sum(back, 1, TM_BACK(back, "Where", condition, g, zero));
    if (tm_back_wants(back, 2)) tm_back_give_sum(back, 2, TM_BACK(back, "Where", condition, zero, g));
}
