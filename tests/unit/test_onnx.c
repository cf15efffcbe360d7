// The importer on models that are damaged, hostile or unusual. Shapes only: no device is opened.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models.h"
#include "onnx.pb-c.h"
#include "support.h"

static tagmask_status load(const uint8_t *bytes, size_t size, tm_graph **graph, tm_error *err) {
    return tm_graph_load_memory(NULL, bytes, size, "m.onnx", NULL, 0, graph, err);
}

// Loading must fail with this status and a message that contains `part`.
static void expect_failure(const uint8_t *bytes, size_t size, tagmask_status status, const char *part) {
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status got = load(bytes, size, &graph, &err);
    if (got != status || !strstr(err.message, part))
        fail_msg("expected status %d and '%s', got %d: %s", status, part, got, err.message);
    assert_null(graph);
}

static void expect_model_failure(onnx_model *model, tagmask_status status, const char *part) {
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    expect_failure(bytes, size, status, part);
    free(bytes);
    onnx_free(model);
}

// ---- The wire format.
// Writes protobuf backwards, so that lengths are known when they are written.
typedef struct backwards {
    uint8_t *data;
    size_t at, size;
} backwards;

static void put_varint(backwards *b, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (uint8_t)(value & 127);
        value >>= 7;
        if (value) bytes[n] |= 128;
        n++;
    } while (value);
    b->at -= n;
    memcpy(b->data + b->at, bytes, n);
}

static void wrap(backwards *b, unsigned field) {
    put_varint(b, b->size - b->at);
    put_varint(b, field << 3 | 2);
}

static void deep_nesting_is_refused(void **state) {
    (void)state;
    enum { LEVELS = 100000 };
    backwards b = {.size = (size_t)LEVELS * 16 + 64};
    b.at = b.size;
    b.data = malloc(b.size);
    assert_non_null(b.data);
    for (int i = 0; i < LEVELS; i++) {
        wrap(&b, 6);  // AttributeProto.g
        wrap(&b, 5);  // NodeProto.attribute
        wrap(&b, 1);  // GraphProto.node
    }
    wrap(&b, 7);  // ModelProto.graph
    expect_failure(b.data + b.at, b.size - b.at, TAGMASK_ERROR_UNSUPPORTED, "nests messages deeper than");
    free(b.data);
}

// 4 MiB of empty messages of two bytes in one field of GraphProto.
static void expect_flood_failure(unsigned field, tagmask_status status, const char *part) {
    size_t size = (size_t)4 << 20;
    backwards b = {malloc(size + 16), size + 16, size + 16};
    assert_non_null(b.data);
    for (size_t i = 0; i < size / 2; i++) {
        b.data[--b.at] = 0;
        b.data[--b.at] = (uint8_t)(field << 3 | 2);
    }
    wrap(&b, 7);
    expect_failure(b.data + b.at, b.size - b.at, status, part);
    free(b.data);
}

static void floods_are_refused(void **state) {
    (void)state;
    expect_flood_failure(1, TAGMASK_ERROR_UNSUPPORTED, "more than 200000 nodes");
    expect_flood_failure(5, TAGMASK_ERROR_UNSUPPORTED, "more than 200000 tensors");
    expect_flood_failure(13, TAGMASK_ERROR_FORMAT, "out of proportion");
}

static void lengths_beyond_the_file_are_refused(void **state) {
    (void)state;
    const uint8_t beyond[] = {7 << 3 | 2, 0xff, 0xff, 0xff, 0x7f, 1};
    expect_failure(beyond, sizeof beyond, TAGMASK_ERROR_FORMAT, "only 1 are left");
    const uint8_t endless[] = {7 << 3 | 2, 0xff, 0xff};
    expect_failure(endless, sizeof endless, TAGMASK_ERROR_FORMAT, "length does not end");
    const uint8_t twice[] = {7 << 3 | 2, 0, 7 << 3 | 2, 0};
    expect_failure(twice, sizeof twice, TAGMASK_ERROR_FORMAT, "appears twice");
    const uint8_t text[] = "this is a text file and no model";
    expect_failure(text, sizeof text, TAGMASK_ERROR_FORMAT, "");
    expect_failure(text, 0, TAGMASK_ERROR_FORMAT, "empty");
    const uint8_t no_graph[] = {1 << 3, 8};
    expect_failure(no_graph, sizeof no_graph, TAGMASK_ERROR_FORMAT, "no graph");
}

static tagmask_status plan_small(tm_graph *graph, tm_shape *shape, tm_error *err) {
    tm_host_tensor x = onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 5), NULL);
    tm_plan *plan;
    TM_TRY(tm_graph_plan(graph, &x, 1, &plan, err));
    *shape = tm_plan_output(plan, 0).shape;
    return TAGMASK_OK;
}

// Whatever the bytes are: an error with a message, or a graph that plans or says why not.
static void try_bytes(const uint8_t *bytes, size_t size) {
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    // An exact copy on the heap lets the address sanitizer see a read beyond the end.
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    if (load(copy, size, &graph, &err) == TAGMASK_OK) {
        tm_shape shape;
        if (plan_small(graph, &shape, &err) != TAGMASK_OK) assert_true(err.message[0]);
        tm_graph_free(graph);
    } else {
        assert_true(err.message[0]);
    }
    free(copy);
}

// Every prefix, and single bits: what a cut or damaged copy is.
static void truncations_and_flips_never_crash(void **state) {
    (void)state;
    onnx_model *models[] = {small_model(), small_network()};
    for (size_t m = 0; m < TM_ARRAY_LEN(models); m++) {
        size_t size;
        uint8_t *bytes = onnx_bytes(models[m], &size);
        onnx_free(models[m]);
        for (size_t cut = 0; cut < size; cut++) try_bytes(bytes, cut);
        for (size_t i = 0; i < size; i++) {
            bytes[i] ^= (uint8_t)(1 << i % 8);
            try_bytes(bytes, size);
            bytes[i] ^= (uint8_t)(1 << i % 8);
        }
        free(bytes);
    }
}

static void small_models_plan(void **state) {
    (void)state;
    onnx_model *m = small_model();
    tm_graph *graph = onnx_load(m, NULL);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_shape shape;
    assert_ok(plan_small(graph, &shape, &err), &err);
    const tm_shape expected = {3, {1, 6, 20}};
    assert_true(tm_shape_equal(&shape, &expected));
    tm_graph_free(graph);
    onnx_free(m);
    m = small_network();
    graph = onnx_load(m, NULL);
    assert_ok(plan_small(graph, &shape, &err), &err);
    const tm_shape probabilities = {2, {1, 3}};
    assert_true(tm_shape_equal(&shape, &probabilities));
    tm_graph_free(graph);
    onnx_free(m);
}

// ---- What is wrong with a graph is said with names.
static void names_are_checked(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_name(m, onnx_add(m, "Identity", "nowhere", "y"), "first");
    onnx_output(m, "y");
    expect_model_failure(m, TAGMASK_ERROR_FORMAT, "m.onnx: node 'first' (Identity) reads 'nowhere'");

    m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_add(m, "Identity", "x", "y");
    onnx_name(m, onnx_add(m, "Identity", "x", "y"), "again");
    onnx_output(m, "y");
    expect_model_failure(m, TAGMASK_ERROR_FORMAT, "node 'again' makes 'y', which another");

    m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_output(m, "x");
    expect_model_failure(m, TAGMASK_ERROR_FORMAT, "two inputs are named 'x'");

    m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_output(m, "z");
    expect_model_failure(m, TAGMASK_ERROR_FORMAT, "output 'z' is made by no node");

    m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    expect_model_failure(m, TAGMASK_ERROR_FORMAT, "no output");
}

static void cycles_are_refused(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_add(m, "Reshape", "x,b", "a");
    onnx_name(m, onnx_add(m, "Shape", "a", "b"), "loop");
    onnx_output(m, "a");
    expect_model_failure(m, TAGMASK_ERROR_FORMAT, "is part of a cycle");
}

static void unsorted_nodes_are_sorted(void **state) {
    (void)state;
    enum { LENGTH = 3000 };
    onnx_model *m = onnx_new(13);
    onnx_input(m, "v0", TM_FLOAT32, DIMS(2, 3));
    for (int i = LENGTH; i > 0; i--) {
        char from[16], to[16];
        snprintf(from, sizeof from, "v%d", i - 1);
        snprintf(to, sizeof to, "v%d", i);
        onnx_add(m, "Flatten", from, to);
    }
    char last[16];
    snprintf(last, sizeof last, "v%d", LENGTH);
    onnx_output(m, last);
    tm_graph *graph = onnx_load(m, NULL);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_host_tensor x = onnx_value(TM_FLOAT32, DIMS(2, 3), NULL);
    tm_plan *plan;
    assert_ok(tm_graph_plan(graph, &x, 1, &plan, &err), &err);
    tm_graph_free(graph);
    onnx_free(m);
}

static void unsupported_operators_are_named(void **state) {
    (void)state;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_name(m, onnx_add(m, "Frobnicate", "x", "a"), "odd");
    onnx_add(m, "Frobnicate", "a", "b");
    onnx_node *custom = onnx_add(m, "Blur", "b", "y");
    onnx_domain(m, custom, "com.example");
    onnx_output(m, "y");
    expect_model_failure(m, TAGMASK_ERROR_UNSUPPORTED,
                         "node 'odd': operator Frobnicate is not supported, opset 13 (and 2 more nodes)");
    m = onnx_new(0);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_output(m, "x");
    expect_model_failure(m, TAGMASK_ERROR_UNSUPPORTED, "imports opset 0");
    m = onnx_new(1000);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2));
    onnx_output(m, "x");
    expect_model_failure(m, TAGMASK_ERROR_UNSUPPORTED, "imports opset 1000");
}

static void impossible_shapes_are_refused(void **state) {
    (void)state;
    const int64_t huge[] = {(int64_t)1 << 40, (int64_t)1 << 40}, negative[] = {-5, 2}, large[] = {1 << 16, 1 << 16};
    const struct {
        const int64_t *dims;
        const char *part;
    } cases[] = {{huge, "impossible shape"}, {negative, "impossible shape -5x2"}, {large, "out of proportion"}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        onnx_model *m = onnx_new(13);
        onnx_constant(m, "dims", TM_INT64, DIMS(2), cases[i].dims);
        onnx_add(m, "ConstantOfShape", "dims", "y");
        onnx_output(m, "y");
        size_t size;
        uint8_t *bytes = onnx_bytes(m, &size);
        tm_graph *graph = NULL;
        tm_error err = TAGMASK_ERROR_INIT;
        assert_int_not_equal(load(bytes, size, &graph, &err), TAGMASK_OK);
        if (!strstr(err.message, cases[i].part)) fail_msg("expected '%s' in: %s", cases[i].part, err.message);
        free(bytes);
        onnx_free(m);
    }
}

// ---- Initializers.
static void initialize_tensor(Onnx__TensorProto *tensor, char *name, int32_t dtype, int64_t *dims, size_t rank) {
    onnx__tensor_proto__init(tensor);
    tensor->name = name;
    tensor->has_data_type = true;
    tensor->data_type = dtype;
    tensor->dims = dims;
    tensor->n_dims = rank;
}

// A model whose only output is the initializer "w".
static uint8_t *pack_initializer(Onnx__TensorProto *tensor, size_t *size) {
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    Onnx__ValueInfoProto output = ONNX__VALUE_INFO_PROTO__INIT, *outputs[] = {&output};
    Onnx__TensorProto *tensors[] = {tensor};
    opset.has_version = true;
    opset.version = 13;
    output.name = "w";
    model.opset_import = opsets;
    model.n_opset_import = 1;
    model.graph = &graph;
    graph.initializer = tensors;
    graph.n_initializer = 1;
    graph.output = outputs;
    graph.n_output = 1;
    *size = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = malloc(*size);
    assert_non_null(bytes);
    onnx__model_proto__pack(&model, bytes);
    return bytes;
}

static void expect_values(Onnx__TensorProto *tensor, tm_dtype dtype, const void *expected, size_t bytes) {
    size_t size;
    uint8_t *model = pack_initializer(tensor, &size);
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(load(model, size, &graph, &err), &err);
    tm_plan *plan;
    assert_ok(tm_graph_plan(graph, NULL, 0, &plan, &err), &err);
    const tm_host_tensor *host = tm_plan_output_host(plan, 0);
    assert_non_null(host);
    assert_int_equal(host->dtype, dtype);
    assert_memory_equal(host->data, expected, bytes);
    tm_graph_free(graph);
    free(model);
}

// Numbers that make a shape absurd: refused when the model is loaded or planned, by a sentence that names the node,
// before memory or time is spent on them.
static void absurd_numbers_are_refused(void **state) {
    (void)state;
    static const char *const chains[] = {
        "ConstantOfShape [1000000:1000000] y",
        "ConstantOfShape [-4] y",
        "ConstantOfShape [4294967296:4294967296:16] y",
        "Expand k,[1000000:1000000:4] y",
        "Tile x,[1:1:1000000000:1000000000] y",
        "Tile x,[1:1:-1:1] y",
        "Range zero,wide,one y",
        "Pad x,[0:0:0:1099511627776:0:0:0:0] y",
        "Pad x,[0:0:-9223372036854775807:0:0:0:-9223372036854775807:0] y",
        "Resize x,,,[1:4:4294967295:4294967295] y",
        "Resize x,,,[1:4:-1:8] y",
        "Conv x,w y pads=4611686018427387904,0,0,0",
        "Conv x,w y strides=0,1",
        "Conv x,w y dilations=9223372036854775807,1",
        "Conv x,w y group=-1",
        "Conv x,w y group=3",
        "ConvTranspose x,w y strides=4294967296,4294967296",
        "MaxPool x y kernel_shape=9223372036854775807,2",
        "MaxPool x y kernel_shape=0,0",
        "AveragePool x y kernel_shape=2,2 pads=-9223372036854775807,0,0,0",
        "Slice x,[0],[2],[1],[00] y",
        "Slice x,[0],[2],[99] y",
        "Gather k,[4] y",
        "Gather k,[-9223372036854775807] y",
        "Split x,[-1:5] y,z axis=1",
        "Split x,[4611686018427387904:4611686018427387908] y,z axis=1",
        "Reshape x,[-1:-1] y",
        "Reshape x,[4294967296:4294967296:-1] y",
        "Reshape x,[-7] y",
        "Transpose x y perm=0,0,1,2",
        "Transpose x y perm=0,1,2,9",
        "Concat x,x y axis=99",
        "Concat x,m y axis=0",
        "Flatten x y axis=-99",
        "Squeeze x,[1] y",
        "Unsqueeze x,[0:0] y",
        "Unsqueeze x,[9223372036854775807] y",
        "DepthToSpace x y blocksize=0",
        "DepthToSpace x y blocksize=2147483648",
        "SpaceToDepth x y blocksize=4294967296",
        "Einsum m,n y equation='ij,jk,kl->il'",
        "Einsum m,n y equation='->->'",
        "ReduceSum x,[9] y",
        "ReduceMean x y axes=9223372036854775807,0",
        "ArgMax x y axis=-9",
        "Softmax x y axis=77",
        "Gemm m,n y",
        "MatMul m,m y",
        "Gemm x,n y",
        "Cast x y to=8",
        "Cast x y to=99",
        "BatchNormalization x,k8,k8,k8,k8 y",
        "GridSample x,k y",
        "Where x,x,x y",
        "PRelu x,k8 a; PRelu a,n y",
        "LayerNormalization x,k y axis=9",
        // Read by the pass that makes the second node part of the first, not by a shape rule.
        "Conv x,w a; LeakyRelu a y alpha=1",
        "Conv x,w a; BatchNormalization a,k,k,k,k y epsilon=1",
    };
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 8), NULL), onnx_value(TM_FLOAT32, DIMS(8, 6), NULL),
                               onnx_value(TM_INT64, DIMS(2), (const int64_t[]){8, 6})};
    for (size_t i = 0; i < TM_ARRAY_LEN(chains); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tm_graph *graph = NULL;
        tm_plan *plan;
        size_t size;
        onnx_model *m = chain_model(chains[i]);
        uint8_t *bytes = onnx_bytes(m, &size);
        tagmask_status status = load(bytes, size, &graph, &err);
        if (status == TAGMASK_OK) status = tm_graph_plan(graph, inputs, 3, &plan, &err);
        if (status == TAGMASK_OK || status == TAGMASK_ERROR_INTERNAL || !strstr(err.message, "m.onnx: node '")) {
            fail_msg("%s: status %d: \"%s\"", chains[i], status, err.message);
        }
        tm_graph_free(graph);
        free(bytes);
        onnx_free(m);
    }
}

static void every_data_type_is_read(void **state) {
    (void)state;
    int64_t dims[] = {3};
    char name[] = "w";
    Onnx__TensorProto t;
    float floats[] = {1.5f, -2, 0.25f};
    double doubles[] = {1.5, -2, 0.25};
    int32_t ints[] = {5, -3, 100}, bools[] = {0, 1, 7}, half_bits[] = {0x3e00, 0xc000, 0x3400};
    int64_t longs[] = {5, -3, (int64_t)1 << 40};
    uint64_t unsigned_longs[] = {5, 3, (uint64_t)1 << 31};
    uint32_t unsigned_ints[] = {5, 3, (uint32_t)1 << 31};
    int8_t bytes[] = {5, -3, 100};
    int16_t shorts[] = {5, -3, 100};
    uint8_t truths[] = {0, 1, 1};
    uint16_t halves[] = {0x3e00, 0xc000, 0x3400}, bfloats[] = {0x3fc0, 0xc000, 0x3e80};

    initialize_tensor(&t, name, TM_FLOAT32, dims, 1);
    t.float_data = floats;
    t.n_float_data = 3;
    expect_values(&t, TM_FLOAT32, floats, sizeof floats);
    initialize_tensor(&t, name, TM_FLOAT64, dims, 1);
    t.double_data = doubles;
    t.n_double_data = 3;
    expect_values(&t, TM_FLOAT32, floats, sizeof floats);
    initialize_tensor(&t, name, TM_FLOAT16, dims, 1);
    t.int32_data = half_bits;
    t.n_int32_data = 3;
    expect_values(&t, TM_FLOAT32, floats, sizeof floats);
    initialize_tensor(&t, name, TM_INT8, dims, 1);
    t.int32_data = ints;
    t.n_int32_data = 3;
    expect_values(&t, TM_INT8, bytes, sizeof bytes);
    t.data_type = TM_INT16;
    expect_values(&t, TM_INT16, shorts, sizeof shorts);
    t.data_type = TM_INT32;
    expect_values(&t, TM_INT32, ints, sizeof ints);
    t.data_type = TM_BOOL;
    t.int32_data = bools;
    expect_values(&t, TM_BOOL, truths, sizeof truths);
    initialize_tensor(&t, name, TM_INT64, dims, 1);
    t.int64_data = longs;
    t.n_int64_data = 3;
    expect_values(&t, TM_INT64, longs, sizeof longs);
    initialize_tensor(&t, name, TM_UINT32, dims, 1);
    t.uint64_data = unsigned_longs;
    t.n_uint64_data = 3;
    expect_values(&t, TM_UINT32, unsigned_ints, sizeof unsigned_ints);
    t.data_type = TM_UINT64;
    expect_values(&t, TM_UINT64, unsigned_longs, sizeof unsigned_longs);

    const struct {
        int32_t type;
        void *data;
        size_t size;
        tm_dtype held;
        const void *expected;
        size_t expected_size;
    } raw[] = {{TM_FLOAT16, halves, sizeof halves, TM_FLOAT32, floats, sizeof floats},
               {TM_BFLOAT16, bfloats, sizeof bfloats, TM_FLOAT32, floats, sizeof floats},
               {TM_FLOAT64, doubles, sizeof doubles, TM_FLOAT32, floats, sizeof floats},
               {TM_INT64, longs, sizeof longs, TM_INT64, longs, sizeof longs},
               {TM_INT16, shorts, sizeof shorts, TM_INT16, shorts, sizeof shorts},
               {TM_UINT8, bytes, sizeof bytes, TM_UINT8, bytes, sizeof bytes}};
    for (size_t i = 0; i < TM_ARRAY_LEN(raw); i++) {
        initialize_tensor(&t, name, raw[i].type, dims, 1);
        t.has_raw_data = true;
        t.raw_data.data = raw[i].data;
        t.raw_data.len = raw[i].size;
        expect_values(&t, raw[i].held, raw[i].expected, raw[i].expected_size);
    }
}

static void wrong_amounts_of_data_are_refused(void **state) {
    (void)state;
    int64_t dims[] = {3}, negative[] = {-3}, overflow[] = {(int64_t)1 << 62, 16}, giant[] = {1 << 29};
    char name[] = "w";
    float floats[] = {1, 2, 3};
    Onnx__TensorProto t;
    size_t size;
    initialize_tensor(&t, name, TM_FLOAT32, dims, 1);
    t.has_raw_data = true;
    t.raw_data.data = (uint8_t *)floats;
    t.raw_data.len = 8;
    uint8_t *bytes = pack_initializer(&t, &size);
    expect_failure(bytes, size, TAGMASK_ERROR_FORMAT, "initializer 'w': expected 12 bytes of data, found 8");
    free(bytes);
    initialize_tensor(&t, name, TM_FLOAT32, dims, 1);
    t.float_data = floats;
    t.n_float_data = 2;
    bytes = pack_initializer(&t, &size);
    expect_failure(bytes, size, TAGMASK_ERROR_FORMAT, "expected 3 elements of data, found 2");
    free(bytes);
    initialize_tensor(&t, name, TM_FLOAT32, negative, 1);
    bytes = pack_initializer(&t, &size);
    expect_failure(bytes, size, TAGMASK_ERROR_FORMAT, "impossible dimensions");
    free(bytes);
    initialize_tensor(&t, name, TM_FLOAT32, overflow, 2);
    bytes = pack_initializer(&t, &size);
    expect_failure(bytes, size, TAGMASK_ERROR_FORMAT, "impossible dimensions");
    free(bytes);
    initialize_tensor(&t, name, TM_FLOAT32, giant, 1);  // 2 GiB that the file does not hold
    bytes = pack_initializer(&t, &size);
    expect_failure(bytes, size, TAGMASK_ERROR_FORMAT, "expected 536870912 elements of data, found 0");
    free(bytes);
    initialize_tensor(&t, name, TM_STRING, dims, 1);
    bytes = pack_initializer(&t, &size);
    expect_failure(bytes, size, TAGMASK_ERROR_UNSUPPORTED, "data type 8");
    free(bytes);
}

// ---- External data.
static tagmask_status load_external(const char *folder, const char *location, const char *length, tm_graph **graph,
                                    tm_error *err) {
    int64_t dims[] = {2};
    char name[] = "w";
    Onnx__TensorProto t;
    Onnx__StringStringEntryProto entries[3], *list[3];
    const char *pairs[3][2] = {{"location", location}, {"offset", "4"}, {"length", length}};
    for (size_t i = 0; i < 3; i++) {
        onnx__string_string_entry_proto__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)pairs[i][0];
        entries[i].value = (char *)(uintptr_t)pairs[i][1];
        list[i] = &entries[i];
    }
    initialize_tensor(&t, name, TM_FLOAT32, dims, 1);
    t.has_data_location = true;
    t.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    t.external_data = list;
    t.n_external_data = 3;
    size_t size;
    uint8_t *bytes = pack_initializer(&t, &size);
    char *path = tm_path_join(folder, "model.onnx");
    assert_ok(tm_write_file(path, bytes, size, err), err);
    tagmask_status status = tm_graph_load(NULL, path, NULL, 0, graph, err);
    free(path);
    free(bytes);
    return status;
}

static void external_data_stays_in_its_folder(void **state) {
    (void)state;
    char *outer = test_temporary_dir(), *folder = tm_path_join(outer, "model");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_make_dirs(folder, &err), &err);
    const float data[] = {9, 1.5f, -2};
    char *inside = tm_path_join(folder, "w.bin"), *outside = tm_path_join(outer, "secret.bin");
    char *link = tm_path_join(folder, "link.bin");
    assert_ok(tm_write_file(inside, data, sizeof data, &err), &err);
    assert_ok(tm_write_file(outside, data, sizeof data, &err), &err);
    assert_int_equal(symlink(outside, link), 0);
    tm_graph *graph = NULL;
    assert_ok(load_external(folder, "w.bin", "8", &graph, &err), &err);
    tm_plan *plan;
    assert_ok(tm_graph_plan(graph, NULL, 0, &plan, &err), &err);
    assert_memory_equal(tm_plan_output_host(plan, 0)->data, data + 1, 8);
    tm_graph_free(graph);
    graph = NULL;
    const struct {
        const char *location, *length, *part;
    } bad[] = {{"../secret.bin", "8", "outside the model's own folder"},
               {outside, "8", "outside the model's own folder"},
               {"link.bin", "8", "outside the model's own folder"},
               {"missing.bin", "8", "cannot be opened"},
               {"w.bin", "12", "the model declares 12"},
               {"w.bin", "-8", "not a number"}};
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++) {
        assert_int_not_equal(load_external(folder, bad[i].location, bad[i].length, &graph, &err), TAGMASK_OK);
        if (!strstr(err.message, bad[i].part)) fail_msg("expected '%s' in: %s", bad[i].part, err.message);
    }
    assert_ok(tm_write_file(inside, data, 8, &err), &err);
    assert_int_not_equal(load_external(folder, "w.bin", "8", &graph, &err), TAGMASK_OK);
    assert_non_null(strstr(err.message, "too short"));
    free(link);
    free(inside);
    free(outside);
    free(folder);
    free(outer);
}

static void files_that_are_no_models_are_named(void **state) {
    (void)state;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "empty.onnx");
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph = NULL;
    assert_int_equal(tm_graph_load(NULL, path, NULL, 0, &graph, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "empty.onnx: cannot be opened"));
    assert_ok(tm_write_file(path, "", 0, &err), &err);
    assert_int_equal(tm_graph_load(NULL, path, NULL, 0, &graph, &err), TAGMASK_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "the file is empty"));
    assert_int_equal(tm_graph_load(NULL, folder, NULL, 0, &graph, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "is a folder; expected a file"));
    free(path);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(floods_are_refused),
        cmocka_unit_test(lengths_beyond_the_file_are_refused),
        cmocka_unit_test(small_models_plan),
        cmocka_unit_test(truncations_and_flips_never_crash),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(cycles_are_refused),
        cmocka_unit_test(unsorted_nodes_are_sorted),
        cmocka_unit_test(unsupported_operators_are_named),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(absurd_numbers_are_refused),
        cmocka_unit_test(every_data_type_is_read),
        cmocka_unit_test(wrong_amounts_of_data_are_refused),
        cmocka_unit_test(external_data_stays_in_its_folder),
        cmocka_unit_test(files_that_are_no_models_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
