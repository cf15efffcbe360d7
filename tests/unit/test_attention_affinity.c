// Affinity by attention: the matrix that a view holds against plain C, made of the same probabilities; whose network it
// is taken of, and what is told where there is none.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tiny_pack.h"
#include "tiny_transformer.h"

// ---- A transformer of two blocks: the operator of two heads, and a softmax between products, of one

static onnx_model *two_kinds(bool class_token) {
    const int64_t first = 0;
    onnx_model *m = onnx_new(23);
    onnx_input(m, "image", TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH));
    transformer_tokens(m, class_token);
    onnx_node *attention = onnx_add(m, "Attention", "tokens,tokens,tokens", "mixed");
    onnx_int(m, attention, "q_num_heads", HEADS);
    onnx_int(m, attention, "kv_num_heads", HEADS);
    onnx_add(m, "Add", "tokens,mixed", "middle");
    onnx_ints(m, onnx_add(m, "Transpose", "middle", "keys"), "perm", DIMS(0, 2, 1));
    onnx_add(m, "MatMul", "middle,keys", "product");
    onnx_add(m, "Softmax", "product", "attention");
    onnx_add(m, "MatMul", "attention,middle", "last");
    onnx_constant(m, "first", TM_INT64, SCALAR, &first);
    onnx_int(m, onnx_add(m, "Gather", "last,first", "head"), "axis", 1);
    transformer_weight(m, "dense", 5, DIM, CLASSES);
    onnx_add(m, "MatMul", "head,dense", "scores");
    onnx_output(m, "scores");
    onnx_output(m, "attention");  // an exporter may make probabilities outputs: they count once
    return m;
}

static char *make_pack(const onnx_model *m, const char *kind, int patch) {
    char *
        json = tm_format(
           "{\"format\": 1, \"name\": \"vit\", \"kind\": \"%s\", \"model\": \"model.onnx\", \"preprocess\": {\"mean\": "
           "[127, 127, 127], \"scale\": [64, 64, 64], \"size\": [%d, %d]}%s, \"features\": {\"patch\": %d}}",
           kind, HEIGHT, WIDTH, strcmp(kind, "features") ? ", \"labels\": \"labels.json\"" : "", patch),
       *folder = test_temporary_dir();
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    static const char labels[] = "[{\"name\": \"cat\"}, {\"name\": \"dog\"}, {\"name\": \"cup\"}]";
    transformer_write(folder, "model.onnx", bytes, size);
    transformer_write(folder, "pack.json", json, strlen(json));
    transformer_write(folder, "labels.json", labels, strlen(labels));
    free(bytes);
    free(json);
    return folder;
}

// The mean of the heads of each block.
typedef struct blocks {
    int tokens;
    double mean[BLOCKS][MOST * MOST];
} blocks;

static void run_blocks(const onnx_model *m, blocks *b) {
    static const char *const names[] = {"probabilities of mixed"};
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph = NULL;
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    assert_ok(tm_graph_load_memory(test_gpu(), bytes, size, "model", names, 1, &graph, &err), &err);
    tm_host_tensor input = onnx_value(TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH), transformer_input()), outputs[3];
    assert_ok(tm_graph_run(graph, &input, 1, outputs, &err), &err);
    const float *one = outputs[1].data, *two = outputs[2].data;
    b->tokens = (int)outputs[1].shape.dim[2];
    int count = b->tokens * b->tokens;
    for (int i = 0; i < count; i++) {
        b->mean[0][i] = (two[i] + two[count + i]) / 2;
        b->mean[1][i] = one[i];
    }
    for (int i = 0; i < 3; i++) free(outputs[i].data);
    tm_graph_free(graph);
    free(bytes);
}

// ---- What views hold

static float *read_slice(tm_gpu *gpu, tm_slice slice, size_t count) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_recorder *recorder = NULL;
    float *data = malloc(count * sizeof *data);
    assert_int_equal(slice.size, count * sizeof *data);
    assert_ok(tm_recorder_begin(gpu, &recorder, &err), &err);
    assert_ok(tm_readback(recorder, slice, data, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
    return data;
}

// Of the last blocks: [place j][place i], how much j counts for i.
static void ref_affinity(const blocks *b, int last, float *matrix) {
    int others = b->tokens - PLACES;
    for (int i = 0; i < PLACES; i++) {
        double row[PLACES], sum = 0;
        for (int j = 0; j < PLACES; j++) {
            row[j] = 0;
            for (int k = BLOCKS - last; k < BLOCKS; k++) row[j] += b->mean[k][(others + i) * b->tokens + others + j];
            sum += row[j];
        }
        for (int j = 0; j < PLACES; j++) matrix[j * PLACES + i] = (float)(row[j] / sum);
    }
}

static char *write_preset(const char *first, const char *others) {
    static char *presets;
    tm_error err = TAGMASK_ERROR_INIT;
    if (!presets) presets = test_temporary_dir();
    char *text = tm_format("{\"preset\": \"fast\"%s%s}", first, others), *path = tm_path_join(presets, "p.json");
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    free(text);
    return path;
}

static tagmask_status propose_with(tagmask_session *session, const char *members, const char *cache, tm_error *err) {
    char *path = write_preset(", \"working_size\": 128, ", members);
    tagmask_result *result = NULL;
    const tagmask_params params = {.struct_size = sizeof params, .preset = path, .cache_dir = cache};
    tagmask_status status = tagmask_propose(session, (const char *const[]){"dog"}, 1, &params, &result, err);
    tagmask_result_free(result);
    free(path);
    return status;
}

// features NULL: the classifier is the transformer.
static void check_affinity(const blocks *b, const char *classifier, const char *features, const char *cache) {
    const tagmask_load_options options = {.struct_size = sizeof options, .features = features};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_image photo = transformer_picture();
    assert_ok(tagmask_engine_create_with(transformer_device, classifier, "none", &options, &engine, &err), &err);
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    static const int asked[][2] = {{0, BLOCKS}, {1, 1}, {BLOCKS + 1, BLOCKS}};
    for (size_t i = 0; i < TM_ARRAY_LEN(asked); i++) {
        char members[200];
        float wanted[PLACES * PLACES];
        (void)snprintf(members, sizeof members, "%s\"affinity_from\": \"attention\", \"attention_blocks\": %d",
                       features ? "" : "\"method\": \"attention\", ", asked[i][0]);
        assert_ok(propose_with(session, members, cache, &err), &err);
        const tm_view *view = session->features_view;
        assert_non_null(view);
        assert_int_equal(view->role, features ? TM_ROLE_FEATURES : TM_ROLE_CLASSIFIER);
        assert_int_equal(view->outputs[0].shape.dim[2], HEIGHT / PATCH);
        float *got = read_slice(engine->device->gpu, view->outputs[0].slice, TM_ARRAY_LEN(wanted));
        ref_affinity(b, asked[i][1], wanted);
        assert_close(got, wanted, TM_ARRAY_LEN(wanted), 1e-4);
        free(got);
    }
    tagmask_session_free(session);
    tagmask_engine_free(engine);
}

static void check_affinities(bool class_token) {
    static blocks b;
    onnx_model *m = two_kinds(class_token);
    char *vit = make_pack(m, "classifier", PATCH), *features = make_pack(m, "features", PATCH),
         *cache = test_temporary_dir();
    run_blocks(m, &b);
    check_affinity(&b, vit, NULL, NULL);
    check_affinity(&b, tiny_classifier(), features, NULL);
    // From the cache, too.
    check_affinity(&b, tiny_classifier(), features, cache);
    check_affinity(&b, tiny_classifier(), features, cache);
    onnx_free(m);
    free(vit);
    free(features);
    free(cache);
}
static void affinities_with_a_class_token(void **state) {
    (void)state;
    check_affinities(true);
}
static void affinities_without_a_class_token(void **state) {
    (void)state;
    check_affinities(false);
}

// Before there is a photo.
static void expect_refusal(const char *classifier, const char *features, const char *members, const char *words) {
    const tagmask_load_options options = {.struct_size = sizeof options, .features = features};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    char *path = write_preset(", \"affinity_from\": \"attention\"", members);
    const tagmask_params params = {.struct_size = sizeof params, .preset = path};
    assert_ok(tagmask_engine_create_with(transformer_device, classifier, "none", &options, &engine, &err), &err);
    tagmask_status status = tagmask_engine_check_params(engine, &params, &err);
    if ((status == TAGMASK_OK) != (words == NULL) || (words && !strstr(err.message, words)))
        fail_msg("status %d: \"%s\"; expected \"%s\"", status, err.message, words ? words : "");
    if (words) assert_non_null(strstr(err.message, "preset affinity_from: attention"));
    tagmask_engine_free(engine);
    free(path);
}

static void missing_attention_is_told(void **state) {
    (void)state;
    onnx_model *m = two_kinds(true);
    char *vit = make_pack(m, "features", PATCH), *odd = make_pack(m, "features", 2 * PATCH),
         *classifier = make_pack(m, "classifier", PATCH);
    const char *method = ", \"method\": \"rollout\"";
    expect_refusal(tiny_classifier(), vit, "", NULL);
    expect_refusal(classifier, "none", method, NULL);
    expect_refusal(classifier, tiny_features(), method, NULL);  // whose features network has no attention
    expect_refusal(tiny_classifier(), "none", "", "model.onnx: no operator Attention");
    expect_refusal(tiny_classifier(), "none", "", "the engine has no features network: install the pack vit-s-focus");
    expect_refusal(tiny_classifier(), tiny_features(), "", "take affinity_from features or classifier");
    expect_refusal(tiny_classifier(), "none", ", \"affinity_size\": 0", NULL);
    expect_refusal(tiny_classifier(), odd, "", "25 tokens are no grid of patches of 32 px of a picture of 96 x 64");
    onnx_free(m);
    free(vit);
    free(odd);
    free(classifier);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(affinities_with_a_class_token),
                                       cmocka_unit_test(affinities_without_a_class_token),
                                       cmocka_unit_test(missing_attention_is_told)};
    return cmocka_run_group_tests(tests, transformer_open_device, transformer_close_device);
}
