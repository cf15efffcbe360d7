// Operators on tensors larger than the device binds: each runs on a device whose range is lowered until the operator
// has to be cut, and gives what it gives on the device as it is (whose answers the other tests compare with plain C).
#include <stdlib.h>
#include <string.h>

#include "op_case.h"

// With coarse alignment few pieces start where they can be bound: the others are staged.
static const char *const alignments[] = {"16", "256"};

static tm_gpu *open_lowered(const char *range, const char *alignment) {
    tm_gpu *gpu = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    setenv("TAGMASK_STORAGE_RANGE", range, 1);
    setenv("TAGMASK_BUFFER_ALIGNMENT", alignment, 1);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    unsetenv("TAGMASK_STORAGE_RANGE");
    unsetenv("TAGMASK_BUFFER_ALIGNMENT");
    return gpu;
}

static tm_host_tensor run_on(tm_gpu *gpu, const op_case *c, uint64_t *dispatches) {
    tm_host_tensor out;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph = onnx_load(c->model, gpu);
    uint64_t before = tm_gpu_get_stats(gpu).dispatches;
    assert_ok(tm_graph_run(graph, c->inputs, c->input_count, &out, &err), &err);
    *dispatches = tm_gpu_get_stats(gpu).dispatches - before;
    tm_graph_free(graph);
    return out;
}

// Output "y" of the model must not depend on the range. tolerance 0: not by a bit.
static void check(const char *name, op_case *c, const char *range, double tolerance) {
    onnx_output(c->model, "y");
    uint64_t whole_dispatches, dispatches;
    tm_host_tensor whole = run_on(test_gpu(), c, &whole_dispatches);
    for (size_t a = 0; a < TM_ARRAY_LEN(alignments); a++) {
        tm_gpu *gpu = open_lowered(range, alignments[a]);
        tm_host_tensor cut = run_on(gpu, c, &dispatches);
        size_t count = elements(&whole.shape), size = whole.dtype == TM_INT64 ? 8 : whole.dtype == TM_BOOL ? 1 : 4;
        assert_true(tm_shape_equal(&whole.shape, &cut.shape));
        // Copies in parts may need no dispatches at all.
        if (dispatches == whole_dispatches)
            fail_msg("%s was not cut: %llu dispatches", name, (unsigned long long)dispatches);
        if (tolerance > 0)
            assert_close(cut.data, whole.data, count, tolerance);
        else if (memcmp(cut.data, whole.data, count * size))
            fail_msg("%s, range %s, alignment %s: differs from the whole", name, range, alignments[a]);
        free(cut.data);
        assert_int_equal(tm_gpu_validation_errors(gpu), 0);
        tm_gpu_close(gpu);
    }
    free(whole.data);
    onnx_free(c->model);
}

// One node "y" that reads x, and whatever constants were added before.
typedef struct unit {
    op_case c;
    float *x;
    onnx_node *node;
} unit;

static unit begin(const char *type, const char *inputs, tm_shape shape, bool c4) {
    unit u = {.c = op_begin(21), .x = test_noise(7, elements(&shape), -2, 2)};
    op_input_any(&u.c, "x", shape, u.x, c4);
    u.node = onnx_add(u.c.model, type, inputs, "y");
    return u;
}

static void finish(unit *u, const char *name, const char *range, double tolerance) {
    check(name, &u->c, range, tolerance);
    free(u->x);
}

static void constant(unit *u, const char *name, tm_shape shape) {
    float *values = test_noise(11, elements(&shape), 0.1f, 1);
    onnx_constant(u->c.model, name, TM_FLOAT32, (size_t)shape.rank, shape.dim, values);
    free(values);
}

#define S(...) shape_of(DIMS(__VA_ARGS__))

// ---- Element by element.
static void test_elements(void **state) {
    (void)state;
    for (int c4 = 0; c4 < 2; c4++) {
        unit u = begin("Sigmoid", "x", S(2, 6, 31, 33), c4);  // padding channels are masked
        finish(&u, "Sigmoid", "20000", 0);
        u = begin("Sigmoid", "x", S(1, 3, 61, 63), c4);  // cut inside a plane
        finish(&u, "Sigmoid of rows", "20000", 0);
        u = begin("Mul", "x,s", S(2, 10, 31, 33), c4);
        constant(&u, "s", S(1, 10, 1, 1));
        finish(&u, "Mul by channels", "20000", 0);
        u = begin("Add", "x,s", S(2, 10, 31, 33), c4);
        constant(&u, "s", S(31, 33));
        finish(&u, "Add of a plane", "20000", 0);
        u = begin("PRelu", "x,s", S(2, 10, 31, 33), c4);
        constant(&u, "s", S(10, 1, 1));
        finish(&u, "PRelu", "20000", 0);
        u = begin("Sum", "x,x,x", S(2, 10, 31, 33), c4);
        finish(&u, "Sum", "20000", 0);
    }
    unit u = begin("Greater", "x,s", S(9, 1001), false);
    constant(&u, "s", S(1001));
    finish(&u, "Greater", "6000", 0);
    u = begin("Cast", "x", S(9, 1001), false);
    onnx_int(u.c.model, u.node, "to", TM_INT64);
    finish(&u, "Cast", "6000", 0);
}

static void test_where(void **state) {
    (void)state;
    tm_shape shape = S(9, 701);
    unit u = begin("Where", "b,x,s", shape, false);
    uint8_t chosen[701];
    for (size_t i = 0; i < sizeof chosen; i++) chosen[i] = i % 3 == 0;
    onnx_constant(u.c.model, "b", TM_BOOL, DIMS(701), chosen);
    constant(&u, "s", S(9, 1));
    finish(&u, "Where", "6000", 0);
}

// ---- Convolutions. changing: weights and bias are inputs, too.
static void conv_with(const char *name, tm_shape in, tm_shape weights, int64_t groups, int64_t stride, int64_t dilation,
                      bool residual, bool changing, const char *range, double tolerance) {
    op_case c = op_begin(13);
    float *x = test_noise(3, elements(&in), -1, 1), *w = test_noise(5, elements(&weights), -1, 1);
    int64_t pad = weights.dim[2] / 2 * dilation, two[2] = {stride, stride}, apart[2] = {dilation, dilation};
    size_t spatial = (size_t)in.rank - 2;
    op_input(&c, "x", TM_FLOAT32, in, x);
    float *bias = test_noise(9, (size_t)weights.dim[0], -1, 1);
    if (changing) {
        op_input(&c, "w", TM_FLOAT32, weights, w);
        op_input(&c, "b", TM_FLOAT32, S(weights.dim[0]), bias);
    } else {
        onnx_constant(c.model, "w", TM_FLOAT32, (size_t)weights.rank, weights.dim, w);
        onnx_constant(c.model, "b", TM_FLOAT32, DIMS(weights.dim[0]), bias);
    }
    onnx_node *node = onnx_add(c.model, "Conv", "x,w,b", residual ? "made" : "y");
    onnx_int(c.model, node, "group", groups);
    onnx_ints(c.model, node, "strides", spatial, two);
    onnx_ints(c.model, node, "dilations", spatial, apart);
    onnx_ints(c.model, node, "pads", 2 * spatial, (int64_t[]){pad, pad, pad, pad});
    if (residual) {
        onnx_add(c.model, "Add", "made,x", "sum");
        onnx_add(c.model, "Relu", "sum", "y");
    }
    check(name, &c, range, tolerance);
    free(x);
    free(w);
    free(bias);
}

static void conv(const char *name, tm_shape in, tm_shape weights, int64_t groups, int64_t stride, int64_t dilation,
                 bool residual, const char *range, double tolerance) {
    for (int changing = 0; changing < 2; changing++)
        conv_with(name, in, weights, groups, stride, dilation, residual, changing, range, tolerance);
}

static void test_conv(void **state) {
    (void)state;
    conv("pointwise, by channels", S(1, 16, 24, 24), S(70, 16, 1, 1), 1, 1, 1, false, "40000", 0);
    conv("pointwise, by rows", S(2, 64, 24, 24), S(9, 64, 1, 1), 1, 1, 1, false, "40000", 0);
    conv("dilated, by rows", S(1, 16, 33, 31), S(20, 16, 3, 3), 1, 1, 2, false, "30000", 0);
    conv("strided, by rows", S(2, 16, 33, 31), S(20, 16, 3, 3), 1, 2, 1, false, "30000", 0);
    conv("with a residual", S(1, 16, 33, 31), S(16, 16, 3, 3), 1, 1, 2, true, "30000", 0);
    conv("weights, by channels", S(1, 64, 5, 5), S(160, 64, 3, 3), 1, 2, 1, false, "150000", 0);
    conv("groups", S(1, 32, 24, 24), S(64, 8, 3, 3), 4, 1, 1, false, "40000", 0);
    conv("depthwise", S(1, 38, 24, 24), S(38, 1, 3, 3), 38, 2, 1, false, "40000", 0);
    conv("one dimension", S(2, 5, 2100), S(7, 5, 3), 1, 1, 1, false, "20000", 0);
    conv("odd groups", S(1, 6, 24, 24), S(10, 3, 3, 3), 2, 1, 1, false, "6000", 0);
}

// Winograd's own memory has to fit, so that the tensors are large.
static void test_winograd(void **state) {
    (void)state;
    conv_with("Winograd", S(1, 16, 512, 514), S(16, 16, 3, 3), 1, 1, 1, true, false, "13000000", 0);
}

static void test_transposed(void **state) {
    (void)state;
    unit u = begin("ConvTranspose", "x,w,b", S(2, 12, 23, 25), false);
    constant(&u, "w", S(12, 9, 3, 3));
    constant(&u, "b", S(9));
    onnx_ints(u.c.model, u.node, "strides", DIMS(2, 2));
    onnx_ints(u.c.model, u.node, "pads", DIMS(1, 1, 0, 1));
    finish(&u, "ConvTranspose", "10000", 0);
    u = begin("ConvTranspose", "x,w,b", S(2, 12, 23, 25), false);  // by the kernel that gathers
    constant(&u, "w", S(12, 9, 3, 3));
    constant(&u, "b", S(9));
    onnx_ints(u.c.model, u.node, "dilations", DIMS(2, 2));
    onnx_ints(u.c.model, u.node, "strides", DIMS(2, 2));
    onnx_ints(u.c.model, u.node, "pads", DIMS(1, 1, 0, 1));
    finish(&u, "ConvTranspose, dilated", "9000", 0);
    u = begin("ConvTranspose", "x,w", S(1, 12, 23, 25), false);
    constant(&u, "w", S(12, 2, 2, 2));
    onnx_int(u.c.model, u.node, "group", 4);
    onnx_ints(u.c.model, u.node, "strides", DIMS(3, 3));
    finish(&u, "ConvTranspose in groups", "16000", 0);
}

// ---- Windows and planes.
static void test_planes(void **state) {
    (void)state;
    for (int c4 = 0; c4 < 2; c4++) {
        unit u = begin("MaxPool", "x", S(2, 10, 31, 33), c4);
        onnx_ints(u.c.model, u.node, "kernel_shape", DIMS(3, 3));
        onnx_ints(u.c.model, u.node, "pads", DIMS(1, 1, 1, 1));
        finish(&u, "MaxPool", "20000", 0);
        u = begin("Resize", "x,,scales", S(2, 10, 15, 17), c4);
        onnx_constant(u.c.model, "scales", TM_FLOAT32, DIMS(4), (float[]){1, 1, 2, 2});
        onnx_string(u.c.model, u.node, "mode", "linear");
        finish(&u, "Resize", "20000", 0);
        u = begin("Resize", "x,,,sizes", S(1, 10, 15, 17), c4);
        op_ints(&u.c, "sizes", DIMS(1, 10, 33, 28));
        onnx_string(u.c.model, u.node, "mode", "cubic");
        finish(&u, "Resize in passes", "6000", 0);
        u = begin("BatchNormalization", "x,s,b,m,v", S(2, 10, 31, 33), c4);
        for (const char *name = "sbmv"; *name; name++) constant(&u, (const char[]){*name, 0}, S(10));
        finish(&u, "BatchNormalization", "20000", 0);
        u = begin("Pad", "x,pads", S(2, 10, 31, 33), c4);
        op_ints(&u.c, "pads", DIMS(0, 0, 1, 2, 0, 0, 1, 0));
        onnx_string(u.c.model, u.node, "mode", "reflect");
        finish(&u, "Pad", "20000", 0);
        u = begin("GlobalAveragePool", "x", S(2, 10, 31, 33), c4);
        finish(&u, "GlobalAveragePool", "20000", 0);
    }
    unit u = begin("AveragePool", "x", S(2, 5, 7, 8, 9), false);
    onnx_ints(u.c.model, u.node, "kernel_shape", DIMS(2, 2, 2));
    finish(&u, "AveragePool of volumes", "6000", 0);
}

static void test_sample(void **state) {
    (void)state;
    unit u = begin("GridSample", "x,g", S(2, 6, 15, 17), false);
    constant(&u, "g", S(2, 30, 20, 2));
    finish(&u, "GridSample", "6000", 0);
}

// ---- Rows.
static void test_rows(void **state) {
    (void)state;
    static const char *const types[] = {"Softmax", "LogSoftmax", "ReduceMax", "ReduceMean", "ArgMax"};
    for (size_t t = 0; t < TM_ARRAY_LEN(types); t++)
        for (int axis = 1; axis < 3; axis++) {
            unit u = begin(types[t], t == 2 || t == 3 ? "x,axes" : "x", S(7, 41, 43), false);
            op_ints(&u.c, "axes", 1, (int64_t[]){axis});
            if (t != 2 && t != 3) onnx_int(u.c.model, u.node, "axis", axis);
            if (t > 1) onnx_int(u.c.model, u.node, "keepdims", axis == 1);
            finish(&u, types[t], "5000", 0);
        }
    unit u = begin("LayerNormalization", "x,s,b", S(7, 41, 43), false);
    constant(&u, "s", S(43));
    constant(&u, "b", S(43));
    finish(&u, "LayerNormalization", "5000", 0);
    u = begin("InstanceNormalization", "x,s,b", S(2, 21, 43), false);
    constant(&u, "s", S(21));
    constant(&u, "b", S(21));
    finish(&u, "InstanceNormalization", "1000", 0);
    u = begin("GroupNormalization", "x,s,b", S(2, 20, 43), false);
    constant(&u, "s", S(20));
    constant(&u, "b", S(20));
    onnx_int(u.c.model, u.node, "num_groups", 4);
    finish(&u, "GroupNormalization", "2000", 0);
}

// ---- Copies.
static void test_moves(void **state) {
    (void)state;
    for (int c4 = 0; c4 < 2; c4++) {
        unit u = begin("Concat", "x,x,x", S(9, 8, 5, 7), c4);
        onnx_int(u.c.model, u.node, "axis", 1);
        finish(&u, "Concat", "4500", 0);
        u = begin("Slice", "x,starts,ends,axes,steps", S(3, 8, 25, 27), c4);
        op_ints(&u.c, "starts", DIMS(0, -1));
        op_ints(&u.c, "ends", DIMS(3, -100));
        op_ints(&u.c, "axes", DIMS(0, 2));
        op_ints(&u.c, "steps", DIMS(2, -2));
        finish(&u, "Slice", "9000", 0);
    }
    unit u = begin("Transpose", "x", S(31, 41, 9), false);
    onnx_ints(u.c.model, u.node, "perm", DIMS(2, 1, 0));
    finish(&u, "Transpose", "3000", 0);
    u = begin("Expand", "x,sizes", S(3, 1, 41), false);
    op_ints(&u.c, "sizes", DIMS(3, 31, 41));
    finish(&u, "Expand", "3000", 0);
    u = begin("Tile", "x,times", S(31, 41), false);
    op_ints(&u.c, "times", DIMS(1, 3));
    finish(&u, "Tile", "3000", 0);
    u = begin("DepthToSpace", "x", S(1, 8, 15, 17), false);
    onnx_int(u.c.model, u.node, "blocksize", 2);
    finish(&u, "DepthToSpace", "3000", 0);
    u = begin("Gather", "x,at", S(31, 41), false);
    op_ints(&u.c, "at", DIMS(3, 40, 7, 7, 0));
    onnx_int(u.c.model, u.node, "axis", 1);
    finish(&u, "Gather", "3000", 0);
}

// ---- Products.
static void test_products(void **state) {
    (void)state;
    unit u = begin("MatMul", "x,w", S(3, 37, 29), false);
    constant(&u, "w", S(3, 29, 31));
    finish(&u, "MatMul of batches", "5000", 0);
    u = begin("MatMul", "x,w", S(2, 37, 29), false);
    constant(&u, "w", S(29, 31));
    finish(&u, "MatMul by one matrix", "5000", 0);
    u = begin("MatMul", "x,w", S(3, 320), false);
    constant(&u, "w", S(320, 20));
    finish(&u, "MatMul by parts of a matrix", "9000", 1e-6);
    for (int transposed = 0; transposed < 2; transposed++) {
        u = begin("Gemm", "x,w,b", S(3, 128), false);
        constant(&u, "w", transposed ? S(60, 128) : S(128, 60));
        constant(&u, "b", S(60));
        onnx_int(u.c.model, u.node, "transB", transposed);
        onnx_float(u.c.model, u.node, "alpha", 0.5f);
        onnx_float(u.c.model, u.node, "beta", 2.0f);
        finish(&u, "Gemm", "20000", transposed ? 0 : 1e-6);
    }
    u = begin("Einsum", "x,w", S(9, 37, 29), false);
    constant(&u, "w", S(9, 29, 31));
    onnx_string(u.c.model, u.node, "equation", "bij,bjk->kbi");
    finish(&u, "Einsum", "8000", 0);
}

static void test_attention(void **state) {
    (void)state;
    tm_shape shape = S(2, 4, 30, 8);
    op_case c = op_begin(23);
    float *x = test_noise(7, elements(&shape), -2, 2);
    op_input(&c, "x", TM_FLOAT32, shape, x);
    onnx_add(c.model, "Attention", "x,x,x", "y");
    check("Attention", &c, "5000", 0);
    free(x);
}

// ---- What cannot be cut says so.
static void test_refusal(void **state) {
    (void)state;
    tm_gpu *gpu = open_lowered("1024", "16");
    unit u = begin("Softmax", "x", S(3, 1000), false);
    onnx_name(u.c.model, u.node, "weigh");
    onnx_output(u.c.model, "y");
    tm_graph *graph = onnx_load(u.c.model, gpu);
    tm_plan *plan;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_int_equal(tm_graph_plan(graph, u.c.inputs, 1, &plan, &err), TAGMASK_ERROR_UNSUPPORTED);
    static const char *const parts[] = {"weigh", "Softmax", "12000 bytes", "1024 bytes", "smaller input"};
    for (size_t i = 0; i < TM_ARRAY_LEN(parts); i++)
        if (!strstr(err.message, parts[i])) fail_msg("no '%s' in: %s", parts[i], err.message);
    tm_graph_free(graph);
    onnx_free(u.c.model);
    free(u.x);
    tm_gpu_close(gpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements), cmocka_unit_test(test_where),      cmocka_unit_test(test_conv),
        cmocka_unit_test(test_winograd), cmocka_unit_test(test_transposed), cmocka_unit_test(test_planes),
        cmocka_unit_test(test_sample),   cmocka_unit_test(test_rows),       cmocka_unit_test(test_moves),
        cmocka_unit_test(test_products), cmocka_unit_test(test_attention),  cmocka_unit_test(test_refusal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
