// Maps of transformers: attention blocks are found without names, and what their maps hold is computed from the same
// probabilities and gradients in plain C, with whole matrices.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/map_blocks.h"
#include "mask/session.h"
#include "onnx_build.h"
#include "tiny_pack.h"

enum { WIDTH = 96, HEIGHT = 64, PATCH = 16, PLACES = 24, DIM = 8, HEADS = 2, CLASSES = 3, BLOCKS = 2, MOST = 25 };

// ---- A transformer of two blocks

static void add_weight(onnx_model *m, const char *name, uint64_t seed, int64_t rows, int64_t columns) {
    float *noise = test_noise(seed, (size_t)(rows * columns), -1, 1);
    onnx_constant(m, name, TM_FLOAT32, DIMS(rows, columns), noise);
    free(noise);
}

// One of queries, keys and values: (1, heads, tokens, size), keys transposed.
static void add_heads(onnx_model *m, const char *from, const char *to, uint64_t seed, bool keys) {
    char names[3][32], in[100];
    static const char *const parts[] = {"w", "flat", "split"};
    for (int i = 0; i < 3; i++) (void)snprintf(names[i], sizeof names[i], "%s_%s", to, parts[i]);
    add_weight(m, names[0], seed, DIM, DIM);
    (void)snprintf(in, sizeof in, "%s,%s", from, names[0]);
    onnx_add(m, "MatMul", in, names[1]);
    (void)snprintf(in, sizeof in, "%s,split_shape", names[1]);
    onnx_add(m, "Reshape", in, names[2]);
    onnx_node *turn = onnx_add(m, "Transpose", names[2], to);
    if (keys) onnx_ints(m, turn, "perm", DIMS(0, 2, 3, 1));
    if (!keys) onnx_ints(m, turn, "perm", DIMS(0, 2, 1, 3));
}

static void add_named(onnx_model *m, const char *type, const char *block, const char *inputs, const char *output,
                      const char *more) {
    char in[200], out[64];
    (void)snprintf(in, sizeof in, "%s%s%s", block, inputs, more);
    (void)snprintf(out, sizeof out, "%s%s", block, output);
    onnx_add(m, type, in, out);
}

// Block "a" or "b": from -> to, with a scale, and a mask in the second.
static void add_block(onnx_model *m, const char *block, const char *from, const char *to, uint64_t seed) {
    char name[3][32], in[200];
    static const char *const parts[] = {"q", "k", "v"};
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name[i], sizeof name[i], "%s%s", block, parts[i]);
        add_heads(m, from, name[i], seed + (uint64_t)i, i == 1);
    }
    (void)snprintf(in, sizeof in, "%s,%s", name[0], name[1]);
    (void)snprintf(name[0], sizeof name[0], "%sproduct", block);
    onnx_add(m, "MatMul", in, name[0]);
    add_named(m, "Mul", block, "product", "scaled", ",scale");
    add_named(m, "Add", block, "scaled", "masked", ",mask");
    add_named(m, "Softmax", block, "masked", "attention", "");
    (void)snprintf(in, sizeof in, "%sattention,%sv", block, block);
    (void)snprintf(name[0], sizeof name[0], "%smixed", block);
    onnx_add(m, "MatMul", in, name[0]);
    (void)snprintf(name[1], sizeof name[1], "%sturned", block);
    onnx_ints(m, onnx_add(m, "Transpose", name[0], name[1]), "perm", DIMS(0, 2, 1, 3));
    add_named(m, "Reshape", block, "turned", "joined", ",join_shape");
    (void)snprintf(in, sizeof in, "%s,%sjoined", from, block);
    onnx_add(m, "Add", in, to);
}

static void add_patches(onnx_model *m, bool class_token) {
    const int64_t flat[] = {1, DIM, PLACES};
    float *noise = test_noise(3, DIM * 3 * PATCH * PATCH, -0.1f, 0.1f), *token = test_noise(4, DIM, -1, 1);
    onnx_constant(m, "patch_w", TM_FLOAT32, DIMS(DIM, 3, PATCH, PATCH), noise);
    onnx_ints(m, onnx_add(m, "Conv", "image,patch_w", "patches"), "strides", DIMS(PATCH, PATCH));
    onnx_constant(m, "flat_shape", TM_INT64, DIMS(3), flat);
    onnx_add(m, "Reshape", "patches,flat_shape", "flat");
    onnx_ints(m, onnx_add(m, "Transpose", "flat", class_token ? "places" : "tokens"), "perm", DIMS(0, 2, 1));
    if (class_token) {
        onnx_constant(m, "class_token", TM_FLOAT32, DIMS(1, 1, DIM), token);
        onnx_int(m, onnx_add(m, "Concat", "class_token,places", "tokens"), "axis", 1);
    }
    free(noise);
    free(token);
}

typedef enum ending { FIRST_TOKEN, MEAN_TOKEN, MEAN_TURNED } ending;

static void end_with(onnx_model *m, ending how) {
    const int64_t first = 0;
    onnx_constant(m, "first", TM_INT64, SCALAR, &first);
    add_weight(m, "dense", 40, DIM, CLASSES);
    if (how == FIRST_TOKEN) onnx_int(m, onnx_add(m, "Gather", "last,first", "head"), "axis", 1);
    if (how == MEAN_TURNED) onnx_ints(m, onnx_add(m, "Transpose", "last", "turned"), "perm", DIMS(0, 2, 1));
    if (how != FIRST_TOKEN) {
        onnx_node *mean = onnx_add(m, "ReduceMean", how == MEAN_TOKEN ? "last" : "turned", "head");
        if (how == MEAN_TOKEN) onnx_ints(m, mean, "axes", DIMS(1));
        if (how == MEAN_TURNED) onnx_ints(m, mean, "axes", DIMS(2));
        onnx_int(m, mean, "keepdims", 0);
    }
    onnx_add(m, "MatMul", "head,dense", "logits");
    onnx_add(m, "Softmax", "logits", "scores");
    onnx_output(m, "scores");
}

static onnx_model *transformer_ending(bool class_token, ending how) {
    const int64_t tokens = PLACES + class_token, split[] = {1, tokens, HEADS, DIM / HEADS}, join[] = {1, tokens, DIM};
    const float scale = 0.5f, mask = 0.25f;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "image", TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH));
    onnx_constant(m, "split_shape", TM_INT64, DIMS(4), split);
    onnx_constant(m, "join_shape", TM_INT64, DIMS(3), join);
    onnx_constant(m, "scale", TM_FLOAT32, SCALAR, &scale);
    onnx_constant(m, "mask", TM_FLOAT32, SCALAR, &mask);
    add_patches(m, class_token);
    add_block(m, "a", "tokens", "middle", 20);
    add_block(m, "b", "middle", "last", 30);
    end_with(m, how);
    return m;
}

static onnx_model *transformer(bool class_token) {
    return transformer_ending(class_token, FIRST_TOKEN);
}

// ---- Finding the blocks

static void expect_attentions(const onnx_model *m, const char *wanted) {
    tm_graph *graph = onnx_load(m, test_gpu());
    const char *const *names;
    size_t count = tm_graph_attentions(graph, &names);
    char all[300] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(all);
        (void)snprintf(all + used, sizeof all - used, "%s%s", i ? "," : "", names[i]);
    }
    assert_string_equal(all, wanted);
    tm_graph_free(graph);
}

// A softmax of class scores, and one whose second factor is a weight, attend to nothing.
static void blocks_are_found(void **state) {
    (void)state;
    onnx_model *m = transformer(true);
    expect_attentions(m, "aattention,battention");
    onnx_free(m);
    m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, 4));
    add_weight(m, "w", 1, 4, 4);
    onnx_add(m, "MatMul", "x,w", "product");
    onnx_add(m, "Softmax", "product", "soft");
    onnx_add(m, "MatMul", "soft,x", "y");
    onnx_output(m, "y");
    expect_attentions(m, "");
    onnx_free(m);
}

static onnx_model *of_operators(void) {
    onnx_model *m = onnx_new(23);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 5, 8));
    onnx_node *attention = onnx_add(m, "Attention", "x,x,x", "y");
    onnx_int(m, attention, "q_num_heads", 2);
    onnx_int(m, attention, "kv_num_heads", 2);
    onnx_output(m, "y");
    return m;
}

// The operator's probabilities are an output that it need not have.
static void the_operator_shows_its_probabilities(void **state) {
    (void)state;
    onnx_model *m = of_operators();
    const char *name = "probabilities of y";
    expect_attentions(m, name);
    assert_true(tm_attention_is_of(name, "y") && tm_attention_is_of(name, name) && !tm_attention_is_of(name, "x"));
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    float *x = test_noise(9, 40, -1, 1);
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_graph_load_memory(test_gpu(), bytes, size, "model", &name, 1, &graph, &err), &err);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 5, 8), x), outputs[2];
    assert_ok(tm_graph_run(graph, &input, 1, outputs, &err), &err);
    const float *p = outputs[1].data;
    assert_int_equal(outputs[1].shape.rank, 4);
    for (int row = 0; row < 2 * 5; row++) {
        double sum = 0;
        for (int j = 0; j < 5; j++) sum += p[row * 5 + j];
        assert_true(fabs(sum - 1) < 1e-5);
    }
    for (int i = 0; i < 2; i++) free(outputs[i].data);
    tm_graph_free(graph);
    onnx_free(m);
    free(bytes);
    free(x);
}

// One matrix makes queries, keys and values of normalized tokens, which a scale and a shift follow; after it they part.
static void tokens_before_one_matrix(void **state) {
    (void)state;
    static const int64_t shape[] = {1, 5, 3, 2, 4};
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 5, 8));
    add_weight(m, "scale", 1, 1, 8);
    add_weight(m, "qkv_w", 2, 8, 24);
    add_weight(m, "qkv_b", 3, 1, 24);
    onnx_constant(m, "split_shape", TM_INT64, DIMS(5), shape);
    onnx_add(m, "Tanh", "x", "normal");
    onnx_add(m, "Mul", "normal,scale", "scaled");
    onnx_add(m, "MatMul", "scaled,qkv_w", "product");
    onnx_add(m, "Add", "product,qkv_b", "qkv");
    onnx_add(m, "Reshape", "qkv,split_shape", "split");
    onnx_ints(m, onnx_add(m, "Transpose", "split", "turned"), "perm", DIMS(2, 0, 3, 1, 4));
    for (int64_t i = 0; i < 3; i++) {
        char index[16], in[40], out[16];
        (void)snprintf(index, sizeof index, "i%d", (int)i);
        (void)snprintf(in, sizeof in, "turned,%s", index);
        (void)snprintf(out, sizeof out, "%c", "qkv"[i]);
        onnx_constant(m, index, TM_INT64, SCALAR, &i);
        onnx_int(m, onnx_add(m, "Gather", in, out), "axis", 0);
    }
    onnx_ints(m, onnx_add(m, "Transpose", "k", "kt"), "perm", DIMS(0, 1, 3, 2));
    onnx_add(m, "MatMul", "q,kt", "alike");
    onnx_add(m, "Softmax", "alike", "attention");
    onnx_add(m, "MatMul", "attention,v", "y");
    onnx_output(m, "y");
    tm_graph *graph = onnx_load(m, test_gpu());
    const char *const *names;
    assert_int_equal(tm_graph_attentions(graph, &names), 1);
    assert_string_equal(tm_attention_tokens(graph, 0), "scaled");
    tm_graph_free(graph);
    onnx_free(m);
    // Queries and keys that no matrix makes have no such tokens.
    m = of_operators();
    graph = onnx_load(m, test_gpu());
    assert_null(tm_attention_tokens(graph, 0));
    tm_graph_free(graph);
    onnx_free(m);
}

static void tokens_are_grids(void **state) {
    (void)state;
    static const struct {
        uint32_t width, height, tokens, patch, columns, rows;
    } cases[] = {{224, 224, 257, 0, 16, 16}, {224, 224, 197, 0, 14, 14},   {224, 224, 201, 0, 14, 14},
                 {224, 224, 196, 0, 14, 14}, {448, 448, 1025, 14, 32, 32}, {384, 224, 337, 16, 24, 14},
                 {96, 64, 25, 0, 6, 4},      {224, 224, 50, 32, 7, 7}};
    uint32_t columns, rows;
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        assert_true(tm_token_grid(cases[i].width, cases[i].height, cases[i].tokens, cases[i].patch, &columns, &rows));
        assert_int_equal(columns, cases[i].columns);
        assert_int_equal(rows, cases[i].rows);
    }
    assert_false(tm_token_grid(224, 224, 300, 14, &columns, &rows));
    assert_false(tm_token_grid(224, 224, 1, 0, &columns, &rows));
}

// ---- What the maps hold

static void write_text(const char *folder, const char *name, const void *text, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, name);
    assert_ok(tm_write_file(path, text, size, &err), &err);
    free(path);
}

static char *make_pack(const onnx_model *m, const char *more) {
    static const char labels[] = "[{\"name\": \"cat\"}, {\"name\": \"dog\"}, {\"name\": \"cup\"}]";
    char json[400], *folder = test_temporary_dir();
    (void)snprintf(json, sizeof json,
                   "{\"format\": 1, \"name\": \"vit\", \"kind\": \"classifier\", \"model\": \"model.onnx\", "
                   "\"labels\": \"labels.json\", \"preprocess\": {\"mean\": [127, 127, 127], \"scale\": [64, 64, 64], "
                   "\"size\": [%d, %d]}%s}",
                   HEIGHT, WIDTH, more);
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    write_text(folder, "model.onnx", bytes, size);
    write_text(folder, "pack.json", json, strlen(json));
    write_text(folder, "labels.json", labels, strlen(labels));
    free(bytes);
    return folder;
}

// A picture of the network's own size, so that both see the same numbers.
static tagmask_image picture(void) {
    static uint8_t pixels[WIDTH * HEIGHT * 3];
    for (size_t i = 0; i < sizeof pixels; i++) {
        size_t x = i / 3 % WIDTH, y = i / 3 / WIDTH;
        pixels[i] = (uint8_t)(x * (2 + i % 3) + y * (3 - i % 3) + (x / 16 + y / 16) % 2 * 60);
    }
    return (tagmask_image){sizeof(tagmask_image), WIDTH, HEIGHT, 0, pixels};
}

// Probabilities and gradients of both blocks, (heads, tokens, tokens) each.
typedef struct blocks {
    int tokens;
    double a[BLOCKS][HEADS * MOST * MOST], g[BLOCKS][HEADS * MOST * MOST];
} blocks;

static float *network_input(void) {
    static float x[3 * WIDTH * HEIGHT];
    tagmask_image photo = picture();
    for (int i = 0; i < 3 * WIDTH * HEIGHT; i++)
        x[i] = ((float)photo.pixels[i % (WIDTH * HEIGHT) * 3 + i / (WIDTH * HEIGHT)] - 127) / 64;
    return x;
}

static void run_blocks(const onnx_model *m, int row, blocks *b) {
    static const char *const names[BLOCKS] = {"aattention", "battention"};
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph = NULL;
    float seed[CLASSES] = {0};
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    const tm_gradient request = {"logits", names, BLOCKS, TM_FP32};
    seed[row] = 1;
    assert_ok(tm_graph_load_gradient_memory(test_gpu(), bytes, size, "model", &request, names, BLOCKS, &graph, &err),
              &err);
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH), network_input()),
                               onnx_value(TM_FLOAT32, DIMS(1, CLASSES), seed)},
                   outputs[1 + 2 * BLOCKS];
    assert_ok(tm_graph_run(graph, inputs, 2, outputs, &err), &err);
    b->tokens = (int)outputs[1].shape.dim[3];
    for (int k = 0; k < BLOCKS; k++) {
        const float *a = outputs[1 + k].data, *g = outputs[1 + BLOCKS + k].data;
        for (int i = 0; i < HEADS * b->tokens * b->tokens; i++) {
            b->a[k][i] = a[i];
            b->g[k][i] = g[i];
        }
    }
    for (int i = 0; i < 1 + 2 * BLOCKS; i++) free(outputs[i].data);
    tm_graph_free(graph);
    free(bytes);
}

// The mean over the heads of a block, or with gradients of relu(g a).
static double mean_of(const blocks *b, int block, int i, int j, bool gradients) {
    double sum = 0;
    for (int h = 0; h < HEADS; h++) {
        int at = (h * b->tokens + i) * b->tokens + j;
        sum += gradients ? fmax(b->g[block][at] * b->a[block][at], 0) : b->a[block][at];
    }
    return sum / HEADS;
}

// R = M R for each block, from R = I: M = 0.5 A + 0.5 I, or I + A.
static void ref_flow(const blocks *b, bool gradients, double *flow) {
    static double r[MOST * MOST], next[MOST * MOST];
    int n = b->tokens;
    for (int i = 0; i < n * n; i++) r[i] = i % n == i / n;
    for (int k = 0; k < BLOCKS; k++) {
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                double sum = 0;
                for (int t = 0; t < n; t++) sum += mean_of(b, k, i, t, gradients) * r[t * n + j];
                next[i * n + j] = gradients ? r[i * n + j] + sum : 0.5 * r[i * n + j] + 0.5 * sum;
            }
        }
        memcpy(r, next, sizeof r);
    }
    // The class token's row, or the mean of all.
    for (int j = 0; j < n; j++) {
        flow[j] = 0;
        for (int i = 0; i < n; i++) flow[j] += n > PLACES ? (i == 0) * r[i * n + j] : r[i * n + j] / n;
    }
}

static void ref_map(const blocks *b, const char *method, int block, int head, float *map) {
    double flow[MOST] = {0};
    int n = b->tokens;
    if (strcmp(method, "attention")) {
        ref_flow(b, !strcmp(method, "relevance"), flow);
    } else {
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < (n > PLACES ? 1 : n); i++) {
                double a = head ? b->a[block][((head - 1) * n + i) * n + j] : mean_of(b, block, i, j, false);
                flow[j] += n > PLACES ? a : a / n;
            }
        }
    }
    for (int i = 0; i < PLACES; i++) map[i] = (float)flow[n - PLACES + i];
}

// The map that the last proposal took of the layer (NULL: of any), as large as the grid of patches.
static float *made_map_of(tagmask_session *session, const char *layer, const tm_view **found) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_recorder *recorder = NULL;
    const tm_view *view = NULL;
    for (size_t v = 0; v < session->view_count; v++) {
        const tm_view *kept = session->views[v];
        bool wanted = !layer || !strcmp(layer, kept->layer);
        if (kept->method && kept->asked == session->proposal && !kept->mirror && wanted) view = kept;
    }
    assert_non_null(view);
    *found = view;
    float *map = malloc(PLACES * sizeof *map);
    assert_int_equal(view->outputs[0].slice.size, PLACES * sizeof *map);
    assert_ok(tm_recorder_begin(session->engine->device->gpu, &recorder, &err), &err);
    assert_ok(tm_readback(recorder, view->outputs[0].slice, map, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
    return map;
}

static float *made_map(tagmask_session *session, const tm_view **found) {
    return made_map_of(session, NULL, found);
}

static tagmask_device *device;

static tagmask_status propose(tagmask_session *session, const char *method, const char *layer, int head,
                              tm_error *err) {
    char text[200], *folder = test_temporary_dir(), *path = tm_path_join(folder, "p.json");
    tagmask_result *result = NULL;
    (void)snprintf(text, sizeof text,
                   "{\"preset\": \"fast\", \"affinity_size\": 0, \"mirror\": false, \"rivals\": 0, \"head\": %d}",
                   head);
    write_text(folder, "p.json", text, strlen(text));
    const tagmask_params params = {
        .struct_size = sizeof params, .preset = path, .method = method, .layer = layer, .working_size = 128};
    tagmask_status status = tagmask_propose(session, (const char *const[]){"dog"}, 1, &params, &result, err);
    tagmask_result_free(result);
    free(folder);
    free(path);
    return status;
}

static const struct {
    const char *method, *layer;
    int block, head;
} maps[] = {{"attention", NULL, 1, 0},         {"attention", "battention", 1, 0}, {"attention", "aattention", 0, 0},
            {"attention", "aattention", 0, 2}, {"rollout", NULL, 0, 0},           {"relevance", NULL, 0, 0}};

static void check_maps(bool class_token) {
    onnx_model *m = transformer(class_token);
    char *folder = make_pack(m, class_token ? "" : ", \"features\": {\"patch\": 16}");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_image photo = picture();
    static blocks b;
    run_blocks(m, 1, &b);
    assert_int_equal(b.tokens, PLACES + class_token);
    assert_ok(tagmask_engine_create(device, folder, "none", &engine, &err), &err);
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    for (size_t i = 0; i < TM_ARRAY_LEN(maps); i++) {
        float wanted[PLACES];
        const tm_view *view;
        assert_ok(propose(session, maps[i].method, maps[i].layer, maps[i].head, &err), &err);
        float *got = made_map(session, &view);
        assert_string_equal(view->method->name, maps[i].method);
        ref_map(&b, maps[i].method, maps[i].block, maps[i].head, wanted);
        assert_close(got, wanted, PLACES, 1e-4);
        free(got);
    }
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    onnx_free(m);
    free(folder);
}
static void maps_with_a_class_token(void **state) {
    (void)state;
    check_maps(true);
}
static void maps_without_a_class_token(void **state) {
    (void)state;
    check_maps(false);
}

static void expect_error(tagmask_session *session, const char *method, const char *layer, int head, const char *words) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = propose(session, method, layer, head, &err);
    if (status == TAGMASK_OK || !strstr(err.message, words))
        fail_msg("status %d: \"%s\"; expected \"%s\"", status, err.message, words);
}

static void what_is_wrong_is_told(void **state) {
    (void)state;
    onnx_model *m = transformer(true);
    char *folder = make_pack(m, "");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_image photo = picture();
    assert_ok(tagmask_engine_create(device, folder, "none", &engine, &err), &err);
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    expect_error(session, "attention", "atention", 0, "'atention' is no attention block; did you mean ");
    expect_error(session, "attention", "atention", 0, "? 'tagmask layers' marks those");
    expect_error(session, "attention", "patches", 0, "'patches' is no attention block");
    expect_error(session, "attention", NULL, 3, "head: 3; the attention block has 2 heads");
    // Also before a photo is there.
    char *presets = test_temporary_dir(), *path = tm_path_join(presets, "p.json");
    tagmask_params params = {.struct_size = sizeof params, .preset = path, .method = "attention"};
    write_text(presets, "p.json", "{\"preset\": \"fast\", \"head\": 3}", 29);
    assert_int_equal(tagmask_engine_check_params(engine, &params, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "head: 3; the attention block has 2 heads"));
    params.method = "rollout";  // has no head to choose
    assert_ok(tagmask_engine_check_params(engine, &params, &err), &err);
    write_text(presets, "p.json", "{\"preset\": \"fast\", \"head\": 2}", 29);
    params.method = "attention";
    assert_ok(tagmask_engine_check_params(engine, &params, &err), &err);
    free(path);
    free(presets);
    expect_error(session, "rollout", "aattention", 0, "the method rollout has none to choose");
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    assert_ok(tagmask_engine_create(device, tiny_classifier(), "none", &engine, &err), &err);
    session = tiny_session(engine);
    expect_error(session, "attention", NULL, 0, "no attention was found");
    expect_error(session, "relevance", NULL, 0, "no attention was found");
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    onnx_free(m);
    free(folder);
    folder = make_pack(m = transformer(true), ", \"features\": {\"patch\": 32}");
    assert_ok(tagmask_engine_create(device, folder, "none", &engine, &err), &err);
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    expect_error(session, "rollout", NULL, 0, "25 tokens are no grid of patches of 32 px of a picture of 96 x 64");
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    onnx_free(m);
    free(folder);
}

// ---- Layers of tokens

// Features of a layer and their gradients of "dog", of the patches alone: [place][channel].
static void run_layer(const onnx_model *m, const char *layer, float *features, float *gradients) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph = NULL;
    float seed[CLASSES] = {0, 1, 0};
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    const tm_gradient request = {"logits", &layer, 1, TM_FP32};
    assert_ok(tm_graph_load_gradient_memory(test_gpu(), bytes, size, "model", &request, &layer, 1, &graph, &err), &err);
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH), network_input()),
                               onnx_value(TM_FLOAT32, DIMS(1, CLASSES), seed)},
                   outputs[3];
    assert_ok(tm_graph_run(graph, inputs, 2, outputs, &err), &err);
    size_t others = (size_t)outputs[1].shape.dim[1] - PLACES;
    memcpy(features, (const float *)outputs[1].data + others * DIM, PLACES * DIM * sizeof *features);
    memcpy(gradients, (const float *)outputs[2].data + others * DIM, PLACES * DIM * sizeof *gradients);
    for (int i = 0; i < 3; i++) free(outputs[i].data);
    tm_graph_free(graph);
    free(bytes);
}

static void ref_token_map(const onnx_model *m, const char *method, const char *layer, float *map) {
    static float a[PLACES * DIM], g[PLACES * DIM];
    double mean[DIM] = {0};
    run_layer(m, layer, a, g);
    for (int i = 0; i < PLACES * DIM; i++) mean[i % DIM] += g[i] / (double)PLACES;
    for (int p = 0; p < PLACES; p++) {
        double sum = 0;
        for (int c = 0; c < DIM; c++) {
            double gradient = g[p * DIM + c], value = a[p * DIM + c];
            if (!strcmp(method, "gradcam")) gradient = mean[c];
            if (!strcmp(method, "layercam")) gradient = fmax(gradient, 0);
            sum += gradient * value;
        }
        map[p] = (float)fmax(sum, 0);
    }
}

// An engine and a session for a network; made anew for each test, freed by end().
typedef struct transformer_case {
    onnx_model *model;
    char *folder;
    tagmask_engine *engine;
    tagmask_session *session;
} transformer_case;

static transformer_case start(onnx_model *m) {
    transformer_case c = {.model = m, .folder = make_pack(m, "")};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = picture();
    assert_ok(tagmask_engine_create(device, c.folder, "none", &c.engine, &err), &err);
    assert_ok(tagmask_session_create(c.engine, &photo, &c.session, &err), &err);
    return c;
}

static void end(const transformer_case *c) {
    tagmask_session_free(c->session);
    tagmask_engine_free(c->engine);
    onnx_free(c->model);
    free(c->folder);
}

// Without a layer: the tokens from which the last block makes queries and keys.
static void gradients_of_tokens(void **state) {
    (void)state;
    static const struct {
        const char *method, *layer;
    } cases[] = {{"gradcam", NULL},      {"gradcam", "tokens"},  {"hirescam", "middle"},
                 {"hirescam", "tokens"}, {"layercam", "tokens"}, {"layercam", NULL}};
    transformer_case c = start(transformer(true));
    tm_error err = TAGMASK_ERROR_INIT;
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        const tm_view *view;
        float wanted[PLACES];
        assert_ok(propose(c.session, cases[i].method, cases[i].layer, 0, &err), &err);
        float *got = made_map(c.session, &view);
        assert_int_equal(view->outputs[0].shape.dim[2], HEIGHT / PATCH);
        assert_int_equal(view->outputs[0].shape.dim[3], WIDTH / PATCH);
        ref_token_map(c.model, cases[i].method, cases[i].layer ? cases[i].layer : "middle", wanted);
        assert_close(got, wanted, PLACES, 1e-4);
        free(got);
    }
    // And what reads features without gradients.
    assert_ok(propose(c.session, "eigencam", "middle", 0, &err), &err);
    assert_ok(propose(c.session, "scorecam", NULL, 0, &err), &err);
    end(&c);
}

static void the_layer_of_tokens_is_marked(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_network *network = NULL;
    const tagmask_layer *layers;
    transformer_case c = start(transformer(true));
    char *path = tm_path_join(c.folder, "model.onnx");
    assert_ok(tagmask_network_load(device, path, NULL, 0, &network, &err), &err);
    tagmask_tensor photo = {.struct_size = sizeof photo,
                            .dtype = (tagmask_dtype)TM_FLOAT32,
                            .rank = 4,
                            .dims = {1, 3, HEIGHT, WIDTH},
                            .data = network_input()},
                   scores = {.struct_size = sizeof scores};
    assert_ok(tagmask_network_run(network, &photo, 1, &scores, &err), &err);
    tagmask_tensor_release(&scores);
    size_t count = tagmask_network_layers(network, &layers);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(layers[i].map, !strcmp(layers[i].name, "middle"));
        assert_false(layers[i].cam);
    }
    tagmask_network_free(network);
    free(path);
    end(&c);
}

static float *cam_stage(tagmask_session *session, size_t *count) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor map = {.struct_size = sizeof map};
    assert_ok(tagmask_session_map(session, "cam", 0, &map, &err), &err);
    assert_int_equal(map.dims[0], HEIGHT);
    assert_int_equal(map.dims[1], WIDTH);
    *count = WIDTH * HEIGHT;
    return map.data;
}

// The mean of all tokens and one linear map: CAM, which Grad-CAM is there up to a factor.
static void mean_tokens_have_a_cam(void **state) {
    (void)state;
    for (int how = MEAN_TOKEN; how <= MEAN_TURNED; how++) {
        transformer_case c = start(transformer_ending(false, (ending)how));
        tm_error err = TAGMASK_ERROR_INIT;
        size_t count;
        assert_ok(propose(c.session, "cam", NULL, 0, &err), &err);
        float *cam = cam_stage(c.session, &count);
        assert_ok(propose(c.session, "gradcam", NULL, 0, &err), &err);
        float *gradcam = cam_stage(c.session, &count);
        double sum = 0;
        for (size_t i = 0; i < count; i++) sum += cam[i];
        assert_true(sum > 1);
        assert_close(cam, gradcam, count, 1e-4);
        free(cam);
        free(gradcam);
        end(&c);
    }
    // The class token's own scores are no mean over places.
    transformer_case c = start(transformer(true));
    expect_error(c.session, "cam", NULL, 0, "expected a global average pooling");
    end(&c);
}

// ---- Several layers

// Each map bilinear to the picture's size over its largest number, added up, and stretched to 0..1.
static void add_enlarged(const float *small, float *sum) {
    const int columns = WIDTH / PATCH, rows = HEIGHT / PATCH;
    static float large[WIDTH * HEIGHT];
    float most = 0;
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        double x = (i % WIDTH + 0.5) / PATCH - 0.5, y = (double)(i / WIDTH + 0.5) / PATCH - 0.5;
        x = fmin(fmax(x, 0), columns - 1);
        y = fmin(fmax(y, 0), rows - 1);
        int x0 = (int)x, y0 = (int)y, x1 = x0 + 1 < columns ? x0 + 1 : x0, y1 = y0 + 1 < rows ? y0 + 1 : y0;
        double u = x - x0, v = y - y0;
        double upper = small[y0 * columns + x0] * (1 - u) + small[y0 * columns + x1] * u;
        double lower = small[y1 * columns + x0] * (1 - u) + small[y1 * columns + x1] * u;
        large[i] = (float)(upper * (1 - v) + lower * v);
        most = fmaxf(most, large[i]);
    }
    for (int i = 0; i < WIDTH * HEIGHT; i++) sum[i] += large[i] / most;
}

static void layers_are_fused(void **state) {
    (void)state;
    static const char *const methods[] = {"gradcam", "eigencam", "attention"};
    static const char *const names[][2] = {{"middle", "tokens"}, {"middle", "tokens"}, {"aattention", "battention"}};
    static float sum[WIDTH * HEIGHT];
    transformer_case c = start(transformer(true));
    tm_error err = TAGMASK_ERROR_INIT;
    for (size_t i = 0; i < TM_ARRAY_LEN(methods); i++) {
        char *both = tm_format("%s, %s", names[i][0], names[i][1]);
        const tm_view *view;
        size_t count;
        assert_ok(propose(c.session, methods[i], both, 0, &err), &err);
        memset(sum, 0, sizeof sum);
        float least = INFINITY, most = 0, *fused = cam_stage(c.session, &count);
        for (int k = 0; k < 2; k++) {
            float *map = made_map_of(c.session, names[i][k], &view);
            add_enlarged(map, sum);
            free(map);
        }
        for (size_t p = 0; p < count; p++) {
            least = fminf(least, sum[p]);
            most = fmaxf(most, sum[p]);
        }
        for (size_t p = 0; p < count; p++) sum[p] = (sum[p] - least) / (most - least);
        assert_close(fused, sum, count, 1e-4);
        free(fused);
        free(both);
    }
    end(&c);
}

static void wrong_layers_are_told(void **state) {
    (void)state;
    transformer_case c = start(transformer(true));
    expect_error(c.session, "gradcam", "middle,,tokens", 0, "\"middle,,tokens\": name 2 is empty");
    expect_error(c.session, "gradcam", "middle,", 0, "name 2 is empty");
    expect_error(c.session, "gradcam", "a,b,c,d,e,f,g", 0, "names 7 layers; expected at most 6");
    expect_error(c.session, "gradcam", "middle,midle", 0, "middle");
    expect_error(c.session, "gradcam", "middle,logits", 0, "layer 'logits' has shape 1x3; expected");
    expect_error(c.session, "ablationcam", "middle", 0, "'middle' lies otherwise");
    expect_error(c.session, "rollout", "aattention,battention", 0, "the method rollout has none to choose");
    end(&c);
}

static int open_device(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    return 0;
}

static int close_device(void **state) {
    (void)state;
    tagmask_device_close(device);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_found),
        cmocka_unit_test(the_operator_shows_its_probabilities),
        cmocka_unit_test(tokens_before_one_matrix),
        cmocka_unit_test(tokens_are_grids),
        cmocka_unit_test(maps_with_a_class_token),
        cmocka_unit_test(maps_without_a_class_token),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(gradients_of_tokens),
        cmocka_unit_test(the_layer_of_tokens_is_marked),
        cmocka_unit_test(mean_tokens_have_a_cam),
        cmocka_unit_test(layers_are_fused),
        cmocka_unit_test(wrong_layers_are_told),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
