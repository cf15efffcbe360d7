// Maps of transformers: attention blocks are found without names, and what their maps hold is computed from the same
// probabilities and gradients in plain C, with whole matrices.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/map_blocks.h"
#include "tiny_pack.h"
#include "tiny_transformer.h"

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
    transformer_weight(m, "w", 1, 4, 4);
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
    onnx_model *m = onnx_new(17);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 5, 8));
    transformer_weight(m, "one", 4, 1, 4);
    transformer_weight(m, "scale", 1, 1, 8);
    transformer_weight(m, "qkv_w", 2, 8, 24);
    transformer_weight(m, "qkv_b", 3, 1, 24);
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
    // Keys are normalized once more, queries multiplied by what their shape decides.
    onnx_add(m, "LayerNormalization", "k,one", "kn");
    onnx_ints(m, onnx_add(m, "Transpose", "kn", "kt"), "perm", DIMS(0, 1, 3, 2));
    onnx_add(m, "Shape", "q", "sizes");
    onnx_add(m, "Gather", "sizes,i2", "size");
    onnx_int(m, onnx_add(m, "Cast", "size", "real"), "to", TM_FLOAT32);
    onnx_add(m, "Sqrt", "real", "root");
    onnx_add(m, "Div", "q,root", "qn");
    onnx_add(m, "MatMul", "qn,kt", "alike");
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
                 {96, 64, 25, 0, 6, 4},      {224, 224, 50, 32, 7, 7},     {96, 64, 29, 0, 6, 4}};
    uint32_t columns, rows;
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        assert_true(tm_token_grid(cases[i].width, cases[i].height, cases[i].tokens, cases[i].patch, &columns, &rows));
        assert_int_equal(columns, cases[i].columns);
        assert_int_equal(rows, cases[i].rows);
    }
    assert_false(tm_token_grid(224, 224, 300, 14, &columns, &rows));
    assert_false(tm_token_grid(224, 224, 1, 0, &columns, &rows));
    // Patches of 16 px in 6 x 4, or of 17 in 5 x 4: neither covers the picture.
    assert_false(tm_token_grid(100, 70, 29, 0, &columns, &rows));
    assert_true(tm_token_grid(100, 70, 29, 16, &columns, &rows));
}

// Of one picture: not of the windows that Swin cuts it into.
static void attention_is_of_whole_pictures(void **state) {
    (void)state;
    static char path[] = "vit.onnx";
    const tm_pack pack = {.model_path = path};
    const tm_shape good[] = {{3, {2, 25, 25}}, {4, {1, 2, 25, 25}}};
    const tm_shape bad[] = {
        {4, {4, 2, 16, 16}}, {3, {2, 25, 24}}, {2, {25, 25}}, {5, {1, 1, 2, 25, 25}}, {3, {0, 25, 25}}};
    tm_error err = TAGMASK_ERROR_INIT;
    uint32_t heads, tokens;
    for (size_t i = 0; i < TM_ARRAY_LEN(good); i++) {
        assert_ok(tm_attention_shape(&pack, 1, &good[i], &heads, &tokens, &err), &err);
        assert_true(heads == 2 && tokens == 25);
    }
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++)
        assert_int_equal(tm_attention_shape(&pack, 1, &bad[i], &heads, &tokens, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "vit.onnx: attention block 2 has shape 0x25x25; expected heads"));
}

// ---- What the maps hold

// Probabilities and gradients of both blocks, (heads, tokens, tokens) each.
typedef struct blocks {
    int tokens;
    double a[BLOCKS][HEADS * MOST * MOST], g[BLOCKS][HEADS * MOST * MOST];
} blocks;
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
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH), transformer_input()),
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

static const struct {
    const char *method, *layer;
    int block, head;
} maps[] = {{"attention", NULL, 1, 0},         {"attention", "battention", 1, 0}, {"attention", "aattention", 0, 0},
            {"attention", "aattention", 0, 2}, {"rollout", NULL, 0, 0},           {"relevance", NULL, 0, 0}};

static void check_maps(bool class_token) {
    onnx_model *m = transformer(class_token);
    char *folder = transformer_pack(m, class_token ? "" : ", \"features\": {\"patch\": 16}");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_image photo = transformer_picture();
    static blocks b;
    run_blocks(m, 1, &b);
    assert_int_equal(b.tokens, PLACES + class_token);
    assert_ok(tagmask_engine_create(transformer_device, folder, "none", &engine, &err), &err);
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    for (size_t i = 0; i < TM_ARRAY_LEN(maps); i++) {
        float wanted[PLACES];
        const tm_view *view;
        assert_ok(transformer_propose(session, maps[i].method, maps[i].layer, maps[i].head, &err), &err);
        float *got = transformer_map(session, NULL, &view);
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
static void what_is_wrong_is_told(void **state) {
    (void)state;
    onnx_model *m = transformer(true);
    char *folder = transformer_pack(m, "");
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_image photo = transformer_picture();
    assert_ok(tagmask_engine_create(transformer_device, folder, "none", &engine, &err), &err);
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    transformer_expect_error(session, "attention", "atention", 0, "'atention' is no attention block; did you mean ");
    transformer_expect_error(session, "attention", "atention", 0, "? 'tagmask layers' marks those");
    transformer_expect_error(session, "attention", "patches", 0, "'patches' is no attention block");
    transformer_expect_error(session, "attention", NULL, 3, "head: 3; the attention block has 2 heads");
    // Also before a photo is there.
    char *presets = test_temporary_dir(), *path = tm_path_join(presets, "p.json");
    tagmask_params params = {.struct_size = sizeof params, .preset = path, .method = "attention"};
    transformer_write(presets, "p.json", "{\"preset\": \"fast\", \"head\": 3}", 29);
    assert_int_equal(tagmask_engine_check_params(engine, &params, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "head: 3; the attention block has 2 heads"));
    params.method = "rollout";  // has no head to choose
    assert_ok(tagmask_engine_check_params(engine, &params, &err), &err);
    transformer_write(presets, "p.json", "{\"preset\": \"fast\", \"head\": 2}", 29);
    params.method = "attention";
    assert_ok(tagmask_engine_check_params(engine, &params, &err), &err);
    free(path);
    free(presets);
    transformer_expect_error(session, "rollout", "aattention", 0, "the method rollout has none to choose");
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    assert_ok(tagmask_engine_create(transformer_device, tiny_classifier(), "none", &engine, &err), &err);
    session = tiny_session(engine);
    transformer_expect_error(session, "attention", NULL, 0, "no attention was found");
    transformer_expect_error(session, "relevance", NULL, 0, "no attention was found");
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    onnx_free(m);
    free(folder);
    folder = transformer_pack(m = transformer(true), ", \"features\": {\"patch\": 32}");
    assert_ok(tagmask_engine_create(transformer_device, folder, "none", &engine, &err), &err);
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    transformer_expect_error(session, "rollout", NULL, 0,
                             "25 tokens are no grid of patches of 32 px of a picture of 96 x 64");
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    onnx_free(m);
    free(folder);
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_found),
        cmocka_unit_test(the_operator_shows_its_probabilities),
        cmocka_unit_test(tokens_before_one_matrix),
        cmocka_unit_test(tokens_are_grids),
        cmocka_unit_test(attention_is_of_whole_pictures),
        cmocka_unit_test(maps_with_a_class_token),
        cmocka_unit_test(maps_without_a_class_token),
        cmocka_unit_test(what_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, transformer_open_device, transformer_close_device);
}
