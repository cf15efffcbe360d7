// Models and run-time inputs that are made to be refused: names, attributes and opsets that contradict each other,
// empty tensors of huge shapes, shape arithmetic near the limits of int64. Shapes only: no device is opened.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models.h"
#include "onnx.pb-c.h"
#include "support.h"

static void expect_bytes_failure(const uint8_t *bytes, size_t size, const char *part) {
    tm_graph *graph = NULL;
    tm_plan *plan;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = tm_graph_load_memory(NULL, bytes, size, "m.onnx", NULL, 0, &graph, &err);
    const tm_value_info *infos;
    tm_host_tensor x = onnx_value(TM_FLOAT32, DIMS(2, 3), NULL);
    if (status == TAGMASK_OK) status = tm_graph_plan(graph, &x, tm_graph_inputs(graph, &infos), &plan, &err);
    tm_graph_free(graph);
    if (status == TAGMASK_OK || status == TAGMASK_ERROR_INTERNAL || !strstr(err.message, part))
        fail_msg("expected '%s', got %d: %s", part, status, err.message);
}

// Loading or planning it for x (2, 3) must fail with a message that contains `part`.
static void expect_failure(onnx_model *model, const char *part) {
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    expect_bytes_failure(bytes, size, part);
    free(bytes);
    onnx_free(model);
}

static onnx_model *start(void) {
    onnx_model *m = onnx_new(17);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2, 3));
    onnx_output(m, "y");
    return m;
}

static void names_are_unique(void **state) {
    (void)state;
    const float values[] = {1, 2};
    onnx_model *m = start();
    onnx_constant(m, "k", TM_FLOAT32, DIMS(2), values);
    onnx_constant(m, "k", TM_FLOAT32, DIMS(2), values);
    onnx_add(m, "Relu", "x", "y");
    expect_failure(m, "two initializers are named 'k'");
    m = start();
    onnx_constant(m, "k", TM_FLOAT32, DIMS(2), values);
    onnx_name(m, onnx_add(m, "Relu", "x", "k"), "second");
    onnx_add(m, "Relu", "x", "y");
    expect_failure(m, "node 'second' makes 'k', which another node, input or initializer makes");
    m = start();
    onnx_name(m, onnx_add(m, "Relu", "x", "x"), "second");
    onnx_add(m, "Relu", "x", "y");
    expect_failure(m, "node 'second' makes 'x', which another node, input or initializer makes");
    m = start();
    onnx_name(m, onnx_add(m, "Split", "x", "y,y"), "twice");
    expect_failure(m, "node 'twice' makes 'y', which another node, input or initializer makes");
    m = start();
    onnx_name(m, onnx_add(m, "Relu", "y", "y"), "self");
    expect_failure(m, "node 'self' (Relu) is part of a cycle");
    m = start();
    onnx_constant(m, "", TM_FLOAT32, DIMS(2), values);
    onnx_add(m, "Relu", "x", "y");
    expect_failure(m, "initializer 0 has no name");
}

static void attributes_are_checked(void **state) {
    (void)state;
    onnx_model *m = start();
    onnx_node *node = onnx_add(m, "Softmax", "x", "y");
    onnx_name(m, node, "soft");
    onnx_int(m, node, "axis", 0);
    onnx_int(m, node, "axis", 1);
    expect_failure(m, "node 'soft' (Softmax) has two attributes named 'axis'");
    m = start();
    node = onnx_add(m, "Softmax", "x", "y");
    onnx_name(m, node, "soft");
    onnx_float(m, node, "axis", 0);
    expect_failure(m, "node 'soft' (Softmax, opset 17): attribute 'axis' is a number; expected an integer");
    m = start();
    node = onnx_add(m, "Transpose", "x", "y");
    onnx_int(m, node, "perm", 1);
    expect_failure(m, "attribute 'perm' is an integer; expected a list of integers");
    m = start();
    node = onnx_add(m, "Relu", "x", "y");
    for (int i = 0; i < 65; i++) {
        char name[8];
        snprintf(name, sizeof name, "a%d", i);
        onnx_int(m, node, name, i);
    }
    expect_failure(m, "has 65 attributes; expected at most 64");
}

// What the builder cannot write: the model as protobuf-c reads it, to be changed and packed again.
static Onnx__ModelProto *unpack(onnx_model *model) {
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, size, bytes);
    assert_non_null(proto);
    free(bytes);
    onnx_free(model);
    return proto;
}

static void expect_packed_failure(Onnx__ModelProto *proto, const char *part) {
    size_t size = onnx__model_proto__get_packed_size(proto);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    onnx__model_proto__pack(proto, bytes);
    onnx__model_proto__free_unpacked(proto, NULL);
    expect_bytes_failure(bytes, size, part);
    free(bytes);
}

static void contradictions_are_refused(void **state) {
    (void)state;
    onnx_model *m = start();
    onnx_int(m, onnx_add(m, "Softmax", "x", "y"), "axis", 0);
    Onnx__ModelProto *proto = unpack(m);
    proto->graph->node[0]->attribute[0]->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
    expect_packed_failure(proto, "attribute 'axis' is of a type that is not supported; expected an integer");
    m = start();
    onnx_add(m, "Relu", "x", "y");
    proto = unpack(m);
    Onnx__OperatorSetIdProto second = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    second.has_version = true;
    second.version = 11;
    Onnx__OperatorSetIdProto *both[] = {proto->opset_import[0], &second}, **own = proto->opset_import;
    size_t size;
    proto->opset_import = both;
    proto->n_opset_import = 2;
    size = onnx__model_proto__get_packed_size(proto);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    onnx__model_proto__pack(proto, bytes);
    proto->opset_import = own;
    proto->n_opset_import = 1;
    onnx__model_proto__free_unpacked(proto, NULL);
    expect_bytes_failure(bytes, size, "imports domain '' twice, as opset 17 and 11");
    free(bytes);
}

// ---- Empty tensors, of which nothing but the shape is large.
static void huge_rows_of_nothing_are_quick(void **state) {
    (void)state;
    enum { ROWS = 50 };
    const int64_t rows = (int64_t)1 << ROWS;
    const struct {
        const char *op, *inputs, *outputs;
    } cases[] = {{"Concat", "e,e", "y"},  {"Split", "e", "y,z"},    {"Gather", "e,i", "y"}, {"Identity", "e", "y"},
                 {"Neg", "e", "y"},       {"Transpose", "e", "y"},  {"Add", "e,e", "y"},    {"Tile", "e,t", "y"},
                 {"Expand", "e,s", "y"},  {"Slice", "e,z0,t", "y"}, {"Pad", "e,p", "y"},    {"ReduceSum", "e,i1", "y"},
                 {"Where", "b,e,e", "y"}, {"Softmax", "e", "y"},    {"Flatten", "e", "y"}};
    const int64_t i[] = {0}, i1[] = {0}, t[] = {1, 1}, s[] = {rows, 0}, zero[] = {0, 0}, p[] = {0, 0, 0, 0};
    for (size_t c = 0; c < TM_ARRAY_LEN(cases); c++) {
        onnx_model *m = onnx_new(17);
        onnx_constant(m, "e", TM_FLOAT32, DIMS(rows, 0), "");
        onnx_constant(m, "b", TM_BOOL, DIMS(rows, 0), "");
        onnx_constant(m, "i", TM_INT64, DIMS(0), i);
        onnx_constant(m, "i1", TM_INT64, DIMS(1), i1);
        onnx_constant(m, "t", TM_INT64, DIMS(2), t);
        onnx_constant(m, "s", TM_INT64, DIMS(2), s);
        onnx_constant(m, "z0", TM_INT64, DIMS(2), zero);
        onnx_constant(m, "p", TM_INT64, DIMS(4), p);
        onnx_node *node = onnx_add(m, cases[c].op, cases[c].inputs, cases[c].outputs);
        if (strchr("CSG", *cases[c].op) && strcmp(cases[c].op, "Slice")) onnx_int(m, node, "axis", 1);
        onnx_output(m, "y");
        tm_graph *graph = onnx_load(m, NULL);
        tm_error err = TAGMASK_ERROR_INIT;
        tm_plan *plan;
        assert_ok(tm_graph_plan(graph, NULL, 0, &plan, &err), &err);
        tm_shape shape = tm_plan_output(plan, 0).shape;
        size_t count = 1;
        if (!tm_shape_count(&shape, &count) || count) fail_msg("%s: %zu elements", cases[c].op, count);
        tm_graph_free(graph);
        onnx_free(m);
    }
    onnx_model *m = start();
    onnx_constant(m, "e", TM_FLOAT32, DIMS(0, (int64_t)1 << 30, (int64_t)1 << 30), "");
    onnx_add(m, "Relu", "e", "y");
    expect_failure(m, "initializer 'e' has impossible dimensions 0x1073741824x1073741824");
}

static void nine_dimensions_are_refused(void **state) {
    (void)state;
    const int64_t ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, axes[] = {0, 1, 2, 3, 4, 5, 6};
    onnx_model *m = start();
    onnx_constant(m, "s", TM_INT64, DIMS(9), ones);
    onnx_add(m, "ConstantOfShape", "s", "y");
    expect_failure(m, "shape has 9 dimensions");
    m = start();
    onnx_constant(m, "s", TM_INT64, DIMS(9), ones);
    onnx_add(m, "Reshape", "x,s", "y");
    expect_failure(m, "the new shape has more than 8 dimensions");
    m = start();
    onnx_constant(m, "a", TM_INT64, DIMS(7), axes);
    onnx_add(m, "Unsqueeze", "x,a", "y");
    expect_failure(m, "more than 8 dimensions");
    m = start();
    onnx_constant(m, "s", TM_INT64, DIMS(9), ones);
    onnx_add(m, "Expand", "x,s", "y");
    expect_failure(m, "8");
    m = start();
    onnx_constant(m, "i", TM_INT64, DIMS(1, 1, 1, 1, 1, 1, 1, 1), ones);
    onnx_add(m, "Gather", "x,i", "y");
    expect_failure(m, "makes 9 dimensions; at most 8");
    m = start();
    onnx_constant(m, "w", TM_INT64, 9, ones, ones);
    onnx_add(m, "Relu", "w", "y");
    expect_failure(m, "initializer 'w' has 9 dimensions; at most 8");
    m = onnx_new(17);
    onnx_input(m, "x", TM_FLOAT32, 9, ones);
    onnx_add(m, "Relu", "x", "y");
    onnx_output(m, "y");
    expect_failure(m, "input 'x' has 9 dimensions; at most 8");
}

// ---- Run-time inputs that decide shapes: s, two integers, through every operator that takes them.
static const char *const chains[] = {
    "Reshape x,s y",
    "Expand k,s y",
    "ConstantOfShape s y",
    "Mul s,s a; ConstantOfShape a y",
    "Tile m,s y",
    "Concat s,s a axis=0; Pad m,a y",
    "Concat s,s a axis=0; Pad m,a y mode='reflect'",
    "Concat s,s a axis=0; Pad m,a y mode='wrap'",
    "Concat i23,s a axis=0; Resize x,,,a y mode='linear'",
    "Resize m,,,s y mode='cubic' keep_aspect_ratio_policy='not_smaller'",
    "Resize m,,,s y mode='nearest' keep_aspect_ratio_policy='not_larger'",
    "Cast s a to=1; Resize m,,a y mode='linear'",
    "Gather s,zero a; Gather s,one b; Range a,b,one y",
    "Gather s,zero a; Gather s,one b; Range zero,a,b y",
    "Gather s,zero a; Gather s,one b; Range a,zero,b y",
    "Slice m,s,i44 y",
    "Slice m,i01,s y",
    "Slice m,i01,i44,i01,s y",
    "Slice m,i01,i44,s y",
    "Unsqueeze m,s y",
    "Squeeze x,s y",
    "ReduceSum x,s y",
    "Split m,s y,z axis=0",
    "Gather s,zero a; ConstantOfShape s b; Equal b,half t; Where t,a,a y",
    "Add s,s a; Sub a,s b; Reshape x,b y",
    "Div s,s a; Reshape x,a y",
    "Mod s,s a; Expand k,a y",
    "Abs s a; Neg a b; Tile m,b y",
    "ReduceProd s a; Unsqueeze a,i1_ b; ConstantOfShape b y",
    "Cast s a to=6; Reshape x,a y",
    "Cast s a to=1; Cast a b to=7; Reshape x,b y",
    "Pow s,s a; ConstantOfShape a y",
};

static void hostile_inputs_are_answered(void **state) {
    (void)state;
    static const int64_t values[] = {
        INT64_MIN,        INT64_MIN + 1,    -((int64_t)1 << 32), INT32_MIN,        -1,       0, 1, 2, INT32_MAX,
        (int64_t)1 << 32, (int64_t)1 << 40, (int64_t)1 << 56,    (int64_t)1 << 62, INT64_MAX};
    enum { VALUES = sizeof values / sizeof *values };
    for (size_t c = 0; c < TM_ARRAY_LEN(chains); c++) {
        size_t size, refused = 0;
        onnx_model *m = chain_model(chains[c]);
        const int64_t zero[] = {0};
        onnx_constant(m, "i1_", TM_INT64, DIMS(1), zero);
        uint8_t *bytes = onnx_bytes(m, &size);
        tm_graph *graph = NULL;
        tm_error err = TAGMASK_ERROR_INIT;
        if (tm_graph_load_memory(NULL, bytes, size, "m.onnx", NULL, 0, &graph, &err) != TAGMASK_OK)
            fail_msg("%s: %s", chains[c], err.message);
        for (size_t v = 0; v < VALUES * VALUES; v++) {
            const int64_t s[] = {values[v / VALUES], values[v % VALUES]};
            tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 8), NULL),
                                       onnx_value(TM_FLOAT32, DIMS(8, 6), NULL), onnx_value(TM_INT64, DIMS(2), s)};
            tm_plan *plan;
            tagmask_status status = tm_graph_plan(graph, inputs, 3, &plan, &err);
            if (status == TAGMASK_OK) continue;
            refused++;
            if (status == TAGMASK_ERROR_INTERNAL || !strstr(err.message, "m.onnx: node '"))
                fail_msg("%s with %lld and %lld: status %d: \"%s\"", chains[c], (long long)s[0], (long long)s[1],
                         status, err.message);
        }
        // A slice takes any bounds.
        if (!refused && strncmp(chains[c], "Slice", 5)) fail_msg("%s: nothing was refused", chains[c]);
        tm_graph_free(graph);
        free(bytes);
        onnx_free(m);
    }
}

// Doubles cannot tell these numbers apart.
static void long_ranges_are_exact(void **state) {
    (void)state;
    const int64_t start = ((int64_t)1 << 62) + 1;
    onnx_model *m = onnx_new(17);
    onnx_constant(m, "from", TM_INT64, SCALAR, (const int64_t[]){start});
    onnx_constant(m, "to", TM_INT64, SCALAR, (const int64_t[]){start + 5});
    onnx_constant(m, "by", TM_INT64, SCALAR, (const int64_t[]){2});
    onnx_add(m, "Range", "from,to,by", "y");
    onnx_output(m, "y");
    tm_graph *graph = onnx_load(m, NULL);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan;
    assert_ok(tm_graph_plan(graph, NULL, 0, &plan, &err), &err);
    const tm_host_tensor *host = tm_plan_output_host(plan, 0);
    assert_non_null(host);
    assert_int_equal(host->shape.dim[0], 3);
    const int64_t expected[] = {start, start + 2, start + 4};
    assert_memory_equal(host->data, expected, sizeof expected);
    tm_graph_free(graph);
    onnx_free(m);
}

// ---- External data: where it may lie, and what happens when it changed.
static tagmask_status load_external(const char *folder, const char *location, const char *offset, tm_error *err) {
    const float floats[] = {0, 0};
    onnx_model *m = onnx_new(17);
    onnx_constant(m, "w", TM_FLOAT32, DIMS(2), floats);
    onnx_output(m, "w");
    Onnx__ModelProto *proto = unpack(m);
    Onnx__TensorProto *tensor = proto->graph->initializer[0];
    Onnx__StringStringEntryProto entries[2], *list[] = {&entries[0], &entries[1]};
    const char *pairs[2][2] = {{"location", location}, {"offset", offset}};
    for (size_t i = 0; i < 2; i++) {
        onnx__string_string_entry_proto__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)pairs[i][0];
        entries[i].value = (char *)(uintptr_t)pairs[i][1];
    }
    tensor->has_data_location = true;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    tensor->external_data = list;
    tensor->n_external_data = 2;
    size_t size = onnx__model_proto__get_packed_size(proto);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    onnx__model_proto__pack(proto, bytes);
    tensor->external_data = NULL;
    tensor->n_external_data = 0;
    onnx__model_proto__free_unpacked(proto, NULL);
    char *path = tm_path_join(folder, "model.onnx");
    assert_ok(tm_write_file(path, bytes, size, err), err);
    tm_graph *graph = NULL;
    tagmask_status status = tm_graph_load(NULL, path, NULL, 0, &graph, err);
    tm_graph_free(graph);
    free(path);
    free(bytes);
    return status;
}

static void external_data_is_bounded(void **state) {
    (void)state;
    char *outer = test_temporary_dir(), *folder = tm_path_join(outer, "model"), *sub = tm_path_join(folder, "sub");
    char *sibling = tm_path_join(outer, "model-2"), *link = tm_path_join(folder, "up");
    char *inside = tm_path_join(sub, "w.bin"), *outside = tm_path_join(sibling, "w.bin");
    tm_error err = TAGMASK_ERROR_INIT;
    const float data[] = {9, 1.5f, -2};
    assert_ok(tm_make_dirs(sub, &err), &err);
    assert_ok(tm_make_dirs(sibling, &err), &err);
    assert_ok(tm_write_file(inside, data, sizeof data, &err), &err);
    assert_ok(tm_write_file(outside, data, sizeof data, &err), &err);
    assert_int_equal(symlink(sibling, link), 0);
    assert_ok(load_external(folder, "sub/w.bin", "4", &err), &err);
    static const struct {
        const char *location, *offset, *part;
    } bad[] = {
        {"up/w.bin", "0", "outside the model's own folder"},
        {"sub/../../model-2/w.bin", "0", "outside the model's own folder"},
        {"..", "0", "outside the model's own folder"},
        {".", "0", "m"},
        {"sub", "0", "is a folder"},
        {"", "0", "names no file"},
        {"sub/w.bin", "8", "too short for 8 bytes at 8"},
        {"sub/w.bin", "18446744073709551615", "is not a number"},
        {"sub/w.bin", "99999999999999999999999", "is not a number"},
        {"sub/w.bin", "9223372036854775807", "too short"},
        {"sub/w.bin", "0x4", "is not a number"},
        {"sub/w.bin", "", "is not a number"},
        {"/dev/zero", "0", "outside the model's own folder"},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++) {
        assert_int_not_equal(load_external(folder, bad[i].location, bad[i].offset, &err), TAGMASK_OK);
        if (!strstr(err.message, bad[i].part) || !strstr(err.message, "model.onnx: "))
            fail_msg("'%s' at %s: expected '%s' in: %s", bad[i].location, bad[i].offset, bad[i].part, err.message);
    }
    // Cut after the model was made.
    assert_ok(tm_write_file(inside, data, 8, &err), &err);
    assert_int_not_equal(load_external(folder, "sub/w.bin", "4", &err), TAGMASK_OK);
    assert_non_null(strstr(err.message, "initializer 'w': its data file 'sub/w.bin' is too short for 8 bytes at 4"));
    assert_int_equal(remove(inside), 0);
    assert_int_not_equal(load_external(folder, "sub/w.bin", "4", &err), TAGMASK_OK);
    assert_non_null(strstr(err.message, "initializer 'w': its data file 'sub/w.bin' cannot be opened"));
    free(inside);
    free(outside);
    free(link);
    free(sibling);
    free(sub);
    free(folder);
    free(outer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(attributes_are_checked),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(huge_rows_of_nothing_are_quick),
        cmocka_unit_test(nine_dimensions_are_refused),
        cmocka_unit_test(hostile_inputs_are_answered),
        cmocka_unit_test(long_ranges_are_exact),
        cmocka_unit_test(external_data_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
