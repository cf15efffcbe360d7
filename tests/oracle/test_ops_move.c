// Operators that move elements: every output element is found in the input by index arithmetic written out here.
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

static float *new_like(const tm_shape *shape) {
    float *y = malloc(sizeof *y * (elements(shape) + 1));
    assert_non_null(y);
    return y;
}

// ---- Concat and Split.
static void check_concat(const tm_shape *parts, size_t count, int32_t axis, bool c4) {
    tm_shape out = parts[0];
    for (size_t i = 1; i < count; i++) out.dim[axis] += parts[i].dim[axis];
    float *expected = new_like(&out), *x[4];
    op_case c = op_begin(13);
    static const char *const names[] = {"p", "q", "r", "s"};
    int64_t first = 0;
    char list[16] = "";
    for (size_t i = 0; i < count; i++) {
        x[i] = test_noise(i + 1, elements(&parts[i]), -1, 1);
        op_input_any(&c, names[i], parts[i], x[i], c4);
        strcat(strcat(list, i ? "," : ""), names[i]);
        int64_t at[TM_MAX_RANK] = {0};
        do {
            int64_t to[TM_MAX_RANK];
            memcpy(to, at, sizeof to);
            to[axis] += first;
            expected[ref_offset(&out, to)] = x[i][ref_offset(&parts[i], at)];
        } while (ref_next(&parts[i], at));
        first += parts[i].dim[axis];
    }
    onnx_int(c.model, onnx_add(c.model, "Concat", list, "y"), "axis", axis - (axis == 1 ? out.rank : 0));
    op_check(&c, &out, expected, 0);
    for (size_t i = 0; i < count; i++) free(x[i]);
}

static void test_concat(void **state) {
    (void)state;
    for (int c4 = 0; c4 < 2; c4++) {
        check_concat((tm_shape[]){shape_of(DIMS(2, 8, 3, 5)), shape_of(DIMS(2, 4, 3, 5)), shape_of(DIMS(2, 5, 3, 5))},
                     3, 1, c4);
        check_concat((tm_shape[]){shape_of(DIMS(1, 8, 3, 5)), shape_of(DIMS(1, 4, 3, 5))}, 2, 1, c4);
        check_concat((tm_shape[]){shape_of(DIMS(1, 3, 3, 5)), shape_of(DIMS(1, 6, 3, 5))}, 2, 1, c4);
        check_concat((tm_shape[]){shape_of(DIMS(1, 6, 3, 5)), shape_of(DIMS(1, 6, 2, 5))}, 2, 2, c4);
        check_concat((tm_shape[]){shape_of(DIMS(1, 6, 3, 5)), shape_of(DIMS(1, 6, 3, 2))}, 2, 3, c4);
        check_concat((tm_shape[]){shape_of(DIMS(1, 6, 3, 5)), shape_of(DIMS(2, 6, 3, 5))}, 2, 0, c4);
    }
    check_concat((tm_shape[]){shape_of(DIMS(20, 3)), shape_of(DIMS(20, 4))}, 2, 1, false);
    check_concat((tm_shape[]){shape_of(DIMS(3)), shape_of(DIMS(4)), shape_of(DIMS(1)), shape_of(DIMS(2))}, 4, 0, false);
}

static void check_split(tm_shape in, int32_t axis, const int64_t *sizes, size_t count, size_t which, int64_t opset,
                        bool c4) {
    tm_shape out = in;
    out.dim[axis] = sizes[which];
    int64_t first = 0;
    for (size_t i = 0; i < which; i++) first += sizes[i];
    float *x = test_noise(1, elements(&in), -1, 1), *expected = new_like(&out);
    int64_t at[TM_MAX_RANK] = {0};
    do {
        int64_t from[TM_MAX_RANK];
        memcpy(from, at, sizeof from);
        from[axis] += first;
        expected[ref_offset(&out, at)] = x[ref_offset(&in, from)];
    } while (ref_next(&out, at));
    op_case c = op_begin(opset);
    op_input_any(&c, "x", in, x, c4);
    if (opset >= 13) op_ints(&c, "sizes", count, sizes);
    onnx_node *node = onnx_add(c.model, "Split", opset >= 13 ? "x,sizes" : "x",
                               which == 0   ? "y,a,b"
                               : which == 1 ? "a,y,b"
                                            : "a,b,y");
    onnx_int(c.model, node, "axis", axis);
    if (opset < 13) onnx_ints(c.model, node, "split", count, sizes);
    op_check(&c, &out, expected, 0);
    free(x);
}

static void test_split(void **state) {
    (void)state;
    for (size_t which = 0; which < 3; which++) {
        for (int c4 = 0; c4 < 2; c4++) {
            check_split(shape_of(DIMS(2, 13, 3, 5)), 1, (int64_t[]){4, 8, 1}, 3, which, 13, c4);
            check_split(shape_of(DIMS(2, 6, 3, 5)), 1, (int64_t[]){1, 2, 3}, 3, which, 11, c4);
            check_split(shape_of(DIMS(1, 6, 7, 5)), 2, (int64_t[]){1, 2, 4}, 3, which, 13, c4);
        }
    }
}

// ---- Slice.
typedef struct slice_case {
    int64_t start[4], step[4], count[4];
} slice_case;

static void check_slice(const slice_case *s, bool c4) {
    tm_shape in = shape_of(DIMS(2, 12, 5, 7)), out = in;
    int64_t ends[4], axes[4] = {0, 1, -2, 3};
    for (int d = 0; d < 4; d++) {
        out.dim[d] = s->count[d];
        ends[d] = s->start[d] + s->step[d] * s->count[d];
        if (ends[d] < 0) ends[d] = INT64_MIN;  // past the beginning; -1 would mean the last element
    }
    float *x = test_noise(1, elements(&in), -1, 1), *expected = new_like(&out);
    int64_t at[TM_MAX_RANK] = {0};
    do {
        int64_t from[TM_MAX_RANK];
        for (int d = 0; d < 4; d++) from[d] = s->start[d] + s->step[d] * at[d];
        expected[ref_offset(&out, at)] = x[ref_offset(&in, from)];
    } while (ref_next(&out, at));
    op_case c = op_begin(13);
    op_input_any(&c, "x", in, x, c4);
    op_ints(&c, "starts", 4, s->start);
    op_ints(&c, "ends", 4, ends);
    op_ints(&c, "axes", 4, axes);
    op_ints(&c, "steps", 4, s->step);
    onnx_add(c.model, "Slice", "x,starts,ends,axes,steps", "y");
    op_check(&c, &out, expected, 0);
    free(x);
}

static void test_slice(void **state) {
    (void)state;
    static const slice_case cases[] = {
        {{0, 4, 0, 0}, {1, 1, 1, 1}, {2, 4, 5, 7}},       {{0, 8, 1, 2}, {1, 1, 1, 1}, {2, 4, 3, 5}},
        {{0, 3, 0, 0}, {1, 1, 1, 1}, {2, 5, 5, 7}},       {{1, 0, 0, 0}, {1, 1, 1, 1}, {1, 12, 5, 7}},
        {{0, 0, 4, 6}, {1, 1, -1, -2}, {2, 12, 5, 4}},    {{0, 1, 0, 1}, {1, 3, 2, 3}, {2, 4, 3, 2}},
        {{1, 11, 4, 6}, {-1, -1, -1, -1}, {2, 12, 5, 7}},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        check_slice(&cases[i], false);
        check_slice(&cases[i], true);
    }
}

// ---- Transpose, Expand, Tile.
static void check_transpose(tm_shape in, const int64_t *perm) {
    tm_shape out = in;
    for (int32_t d = 0; d < in.rank; d++) out.dim[d] = in.dim[perm[d]];
    float *x = test_noise(1, elements(&in), -1, 1), *expected = new_like(&out);
    int64_t at[TM_MAX_RANK] = {0};
    do {
        int64_t from[TM_MAX_RANK];
        for (int32_t d = 0; d < in.rank; d++) from[perm[d]] = at[d];
        expected[ref_offset(&out, at)] = x[ref_offset(&in, from)];
    } while (ref_next(&out, at));
    op_case c = op_begin(13);
    op_input_any(&c, "x", in, x, true);
    onnx_ints(c.model, onnx_add(c.model, "Transpose", "x", "y"), "perm", (size_t)in.rank, perm);
    op_check(&c, &out, expected, 0);
    free(x);
}

static void test_transpose(void **state) {
    (void)state;
    check_transpose(shape_of(DIMS(2, 5, 3, 4)), (int64_t[]){0, 2, 3, 1});
    check_transpose(shape_of(DIMS(2, 5, 3, 4)), (int64_t[]){3, 2, 1, 0});
    check_transpose(shape_of(DIMS(2, 5, 3, 4)), (int64_t[]){0, 1, 2, 3});
    check_transpose(shape_of(DIMS(7, 9)), (int64_t[]){1, 0});
    check_transpose(shape_of(DIMS(2, 3, 2, 2, 3, 2, 1, 2)), (int64_t[]){7, 3, 0, 2, 5, 1, 6, 4});
}

static void test_expand_and_tile(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(3, 1, 4)), wide = shape_of(DIMS(2, 3, 5, 4)), tiled = shape_of(DIMS(3, 2, 12));
    float *x = test_noise(1, 12, -1, 1), *expected = new_like(&wide);
    for (size_t i = 0; i < 120; i++) expected[i] = x[i / 20 % 3 * 4 + i % 4];
    op_case c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, in, x);
    op_ints(&c, "shape", 4, (int64_t[]){2, 1, 5, 1});
    onnx_add(c.model, "Expand", "x,shape", "y");
    op_check(&c, &wide, expected, 0);

    expected = new_like(&tiled);
    for (size_t i = 0; i < 72; i++) expected[i] = x[i / 24 * 4 + i % 12 % 4];
    c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, in, x);
    op_ints(&c, "repeats", 3, (int64_t[]){1, 2, 3});
    onnx_add(c.model, "Tile", "x,repeats", "y");
    op_check(&c, &tiled, expected, 0);
    free(x);
}

// ---- Pad.
static int64_t pad_source(const char *mode, int64_t i, int64_t n) {
    if (!strcmp(mode, "edge")) return i < 0 ? 0 : i >= n ? n - 1 : i;
    if (!strcmp(mode, "wrap")) return (i % n + n) % n;
    while (!strcmp(mode, "reflect") && (i < 0 || i >= n)) i = i < 0 ? -i : 2 * (n - 1) - i;
    return i;
}

static void check_pad(const char *mode, const int64_t *pads, float value, int64_t opset, bool c4) {
    tm_shape in = shape_of(DIMS(2, 5, 4, 6)), out = in;
    for (int d = 0; d < 4; d++) out.dim[d] += pads[d] + pads[d + 4];
    float *x = test_noise(1, elements(&in), -1, 1), *expected = new_like(&out);
    int64_t at[TM_MAX_RANK] = {0};
    do {
        int64_t from[TM_MAX_RANK];
        bool inside = true;
        for (int d = 0; d < 4; d++) {
            from[d] = pad_source(mode, at[d] - pads[d], in.dim[d]);
            inside = inside && from[d] >= 0 && from[d] < in.dim[d];
        }
        expected[ref_offset(&out, at)] = inside ? x[ref_offset(&in, from)] : value;
    } while (ref_next(&out, at));
    op_case c = op_begin(opset);
    op_input_any(&c, "x", in, x, c4);
    if (opset >= 11) {
        op_ints(&c, "pads", 8, pads);
        op_scalar(&c, "value", value);
    }
    onnx_node *node = onnx_add(c.model, "Pad", opset < 11 ? "x" : "x,pads,value", "y");
    onnx_string(c.model, node, "mode", mode);
    if (opset < 11) {
        onnx_ints(c.model, node, "pads", 8, pads);
        onnx_float(c.model, node, "value", value);
    }
    op_check(&c, &out, expected, 0);
    free(x);
}

static void test_pad(void **state) {
    (void)state;
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    static const int64_t same[8] = {0, 0, 0, 1, 0, 0, 1, 2}, all[8] = {1, 2, 3, 0, 0, 1, 2, 5},
                         crop[8] = {0, 0, -1, 2, 0, 0, 1, -3};
    for (size_t m = 0; m < 4; m++) {
        for (int c4 = 0; c4 < 2; c4++) {
            check_pad(modes[m], same, 0, 19, c4);
            if (m != 3) check_pad(modes[m], crop, 1.5f, 19, c4);
            if (m != 1) check_pad(modes[m], all, 1.5f, 19, c4);  // one channel more than reflect allows is not needed
        }
    }
    check_pad("constant", same, 0.25f, 9, true);
}

// What wraps around after a crop is not defined.
static void test_pad_wraps_no_crop(void **state) {
    (void)state;
    static const int64_t crop[4] = {0, -1, 0, 2};
    onnx_model *m = onnx_new(19);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2, 5));
    onnx_constant(m, "pads", TM_INT64, DIMS(4), crop);
    onnx_string(m, onnx_add(m, "Pad", "x,pads", "y"), "mode", "wrap");
    onnx_output(m, "y");
    tm_graph *graph = onnx_load(m, test_gpu());
    const tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(2, 5), NULL);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan;
    assert_int_equal(tm_graph_plan(graph, &input, 1, &plan, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "pads dimension 1 by -1 and 2 in mode wrap"));
    tm_graph_free(graph);
    onnx_free(m);
}

// ---- Gather, DepthToSpace, SpaceToDepth.
static void test_gather(void **state) {
    (void)state;
    tm_shape in = shape_of(DIMS(3, 5, 4)), index = shape_of(DIMS(2, 3)), out = shape_of(DIMS(3, 2, 3, 4));
    static const int64_t at[6] = {4, 0, -1, 2, -5, 1};
    float *x = test_noise(1, 60, -1, 1), *expected = new_like(&out);
    for (size_t i = 0; i < 72; i++) {
        int64_t k = at[i / 4 % 6];
        expected[i] = x[i / 24 * 20 + (size_t)(k < 0 ? k + 5 : k) * 4 + i % 4];
    }
    op_case c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, in, x);
    onnx_constant(c.model, "index", TM_INT64, DIMS(index.dim[0], index.dim[1]), at);
    onnx_int(c.model, onnx_add(c.model, "Gather", "x,index", "y"), "axis", 1);
    op_check(&c, &out, expected, 0);
    free(x);
}

static void check_depth(bool to_space, bool crd) {
    tm_shape deep = shape_of(DIMS(2, 12, 3, 5)), wide = shape_of(DIMS(2, 3, 6, 10));
    tm_shape in = to_space ? deep : wide, out = to_space ? wide : deep;
    float *x = test_noise(1, elements(&in), -1, 1), *expected = new_like(&out);
    int64_t at[TM_MAX_RANK] = {0};
    do {  // over the wide side
        int64_t b = at[2] % 2 * 2 + at[3] % 2;
        int64_t from[4] = {at[0], crd ? at[1] * 4 + b : b * 3 + at[1], at[2] / 2, at[3] / 2};
        if (to_space)
            expected[ref_offset(&wide, at)] = x[ref_offset(&deep, from)];
        else
            expected[ref_offset(&deep, from)] = x[ref_offset(&wide, at)];
    } while (ref_next(&wide, at));
    op_case c = op_begin(13);
    op_input(&c, "x", TM_FLOAT32, in, x);
    onnx_node *node = onnx_add(c.model, to_space ? "DepthToSpace" : "SpaceToDepth", "x", "y");
    onnx_int(c.model, node, "blocksize", 2);
    if (crd) onnx_string(c.model, node, "mode", "CRD");
    op_check(&c, &out, expected, 0);
    free(x);
}

static void test_depth(void **state) {
    (void)state;
    check_depth(true, false);
    check_depth(true, true);
    check_depth(false, false);
    check_depth(false, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_pad),
        cmocka_unit_test(test_expand_and_tile),
        cmocka_unit_test(test_pad_wraps_no_crop),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
