#include "op_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"

tm_shape shape_of(size_t rank, const int64_t *dims) {
    tm_shape shape = {.rank = (int32_t)rank};
    for (size_t d = 0; d < rank; d++) shape.dim[d] = dims[d];
    return shape;
}

size_t elements(const tm_shape *shape) {
    size_t count;
    assert_true(tm_shape_count(shape, &count));
    return count;
}

op_case op_begin(int64_t opset) {
    op_case c = {.model = onnx_new(opset)};
    return c;
}

void op_input(op_case *c, const char *name, tm_dtype dtype, tm_shape shape, const void *data) {
    assert_true(c->input_count < TM_ARRAY_LEN(c->inputs));
    onnx_input(c->model, name, dtype, (size_t)shape.rank, shape.dim);
    c->inputs[c->input_count++] = onnx_value(dtype, (size_t)shape.rank, shape.dim, data);
}

void op_input_c4(op_case *c, const char *name, tm_shape shape, const float *data) {
    char raw[64], weights[64];
    snprintf(raw, sizeof raw, "%s_raw", name);
    snprintf(weights, sizeof weights, "%s_weights", name);
    op_input(c, raw, TM_FLOAT32, shape, data);
    size_t channels = (size_t)shape.dim[1];
    float *ones = malloc(sizeof *ones * channels);
    assert_non_null(ones);
    for (size_t i = 0; i < channels; i++) ones[i] = 1.0f;
    onnx_constant(c->model, weights, TM_FLOAT32, DIMS((int64_t)channels, 1, 1, 1), ones);
    free(ones);
    char inputs[160];
    snprintf(inputs, sizeof inputs, "%s,%s", raw, weights);
    onnx_node *conv = onnx_add(c->model, "Conv", inputs, name);
    onnx_int(c->model, conv, "group", (int64_t)channels);
    assert_true(c->watch_count < TM_ARRAY_LEN(c->watch));
    c->watch[c->watch_count++] = name;
}

void op_input_any(op_case *c, const char *name, tm_shape shape, const float *data, bool c4) {
    if (c4 && shape.rank == 4)
        op_input_c4(c, name, shape, data);
    else
        op_input(c, name, TM_FLOAT32, shape, data);
}

void op_ints(op_case *c, const char *name, size_t count, const int64_t *values) {
    onnx_constant(c->model, name, TM_INT64, DIMS((int64_t)count), values);
}

void op_scalar(op_case *c, const char *name, float value) {
    onnx_constant(c->model, name, TM_FLOAT32, SCALAR, &value);
}

static float element(const tm_host_tensor *t, size_t i) {
    switch (t->dtype) {
        case TM_FLOAT32:
            return ((const float *)t->data)[i];
        case TM_INT32:
            return (float)((const int32_t *)t->data)[i];
        case TM_INT64:
            return (float)((const int64_t *)t->data)[i];
        case TM_UINT8:
        case TM_BOOL:
            return ((const uint8_t *)t->data)[i];
        case TM_INT8:
            return ((const int8_t *)t->data)[i];
        default:
            fail_msg("output of type %d", (int)t->dtype);
            return 0;
    }
}

float *op_finish(op_case *c, tm_shape *shape) {
    onnx_output(c->model, "y");
    for (size_t i = 0; i < c->watch_count; i++) onnx_output(c->model, c->watch[i]);
    tm_graph *graph = onnx_load(c->model, test_gpu());
    tm_host_tensor outputs[1 + TM_ARRAY_LEN(c->watch)];
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_graph_run(graph, c->inputs, c->input_count, outputs, &err), &err);
    *shape = outputs[0].shape;
    size_t count = elements(shape);
    float *y = malloc(sizeof *y * (count + 1));
    assert_non_null(y);
    for (size_t i = 0; i < count; i++) y[i] = element(&outputs[0], i);
    for (size_t i = 0; i <= c->watch_count; i++) free(outputs[i].data);
    tm_graph_free(graph);
    onnx_free(c->model);
    return y;
}

void op_check(op_case *c, const tm_shape *shape, float *expected, double tolerance) {
    tm_shape got;
    float *y = op_finish(c, &got);
    char a[128], b[128];
    if (!tm_shape_equal(&got, shape))
        fail_msg("shape %s, expected %s", tm_shape_text(&got, a, sizeof a), tm_shape_text(shape, b, sizeof b));
    assert_close(y, expected, elements(shape), tolerance);
    free(y);
    free(expected);
}
