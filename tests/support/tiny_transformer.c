#include "tiny_transformer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- A transformer of two blocks

void transformer_weight(onnx_model *m, const char *name, uint64_t seed, int64_t rows, int64_t columns) {
    float *noise = test_noise(seed, (size_t)(rows * columns), -1, 1);
    onnx_constant(m, name, TM_FLOAT32, DIMS(rows, columns), noise);
    free(noise);
}

// One of queries, keys and values: (1, heads, tokens, size), keys transposed.
static void add_heads(onnx_model *m, const char *from, const char *to, uint64_t seed, bool keys) {
    char names[3][32], in[100];
    static const char *const parts[] = {"w", "flat", "split"};
    for (int i = 0; i < 3; i++) (void)snprintf(names[i], sizeof names[i], "%s_%s", to, parts[i]);
    transformer_weight(m, names[0], seed, DIM, DIM);
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

void transformer_tokens(onnx_model *m, bool class_token) {
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

static void end_with(onnx_model *m, ending how) {
    const int64_t first = 0;
    onnx_constant(m, "first", TM_INT64, SCALAR, &first);
    transformer_weight(m, "dense", 40, DIM, CLASSES);
    if (how == FIRST_TOKEN) onnx_int(m, onnx_add(m, "Gather", "last,first", "head"), "axis", 1);
    if (how > MEAN_TOKEN) onnx_ints(m, onnx_add(m, "Transpose", "last", "turned"), "perm", DIMS(0, 2, 1));
    if (how == CONV_LAST) {
        float *weights = test_noise(40, CLASSES * DIM, -1, 1);
        onnx_constant(m, "kernel", TM_FLOAT32, DIMS(CLASSES, DIM, 1), weights);
        onnx_add(m, "Conv", "turned,kernel", "maps");
        onnx_add(m, "GlobalAveragePool", "maps", "pooled");
        onnx_add(m, "Flatten", "pooled", "logits");
        free(weights);
    }
    if (how == RELU_TURNED) {
        onnx_add(m, "Relu", "turned", "rectified");
        onnx_add(m, "GlobalAveragePool", "rectified", "pooled");
        onnx_add(m, "Flatten", "pooled", "head");
    }
    if (how == MEAN_TOKEN || how == MEAN_TURNED) {
        onnx_node *mean = onnx_add(m, "ReduceMean", how == MEAN_TOKEN ? "last" : "turned", "head");
        if (how == MEAN_TOKEN) onnx_ints(m, mean, "axes", DIMS(1));
        if (how == MEAN_TURNED) onnx_ints(m, mean, "axes", DIMS(2));
        onnx_int(m, mean, "keepdims", 0);
    }
    if (how != CONV_LAST) onnx_add(m, "MatMul", "head,dense", "logits");
    onnx_add(m, "Softmax", "logits", "scores");
    onnx_output(m, "scores");
}

onnx_model *transformer_ending(bool class_token, ending how) {
    const int64_t tokens = PLACES + class_token, split[] = {1, tokens, HEADS, DIM / HEADS}, join[] = {1, tokens, DIM};
    const float scale = 0.5f, mask = 0.25f;
    onnx_model *m = onnx_new(13);
    onnx_input(m, "image", TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH));
    onnx_constant(m, "split_shape", TM_INT64, DIMS(4), split);
    onnx_constant(m, "join_shape", TM_INT64, DIMS(3), join);
    onnx_constant(m, "scale", TM_FLOAT32, SCALAR, &scale);
    onnx_constant(m, "mask", TM_FLOAT32, SCALAR, &mask);
    transformer_tokens(m, class_token);
    add_block(m, "a", "tokens", "middle", 20);
    add_block(m, "b", "middle", "last", 30);
    end_with(m, how);
    return m;
}

onnx_model *transformer(bool class_token) {
    return transformer_ending(class_token, FIRST_TOKEN);
}

// ---- As a pack, and in a session

void transformer_write(const char *folder, const char *name, const void *text, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, name);
    assert_ok(tm_write_file(path, text, size, &err), &err);
    free(path);
}

char *transformer_pack(const onnx_model *m, const char *more) {
    static const char labels[] = "[{\"name\": \"cat\"}, {\"name\": \"dog\"}, {\"name\": \"cup\"}]";
    char json[400], *folder = test_temporary_dir();
    (void)snprintf(json, sizeof json,
                   "{\"format\": 1, \"name\": \"vit\", \"kind\": \"classifier\", \"model\": \"model.onnx\", "
                   "\"labels\": \"labels.json\", \"preprocess\": {\"mean\": [127, 127, 127], \"scale\": [64, 64, 64], "
                   "\"size\": [%d, %d]}%s}",
                   HEIGHT, WIDTH, more);
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    transformer_write(folder, "model.onnx", bytes, size);
    transformer_write(folder, "pack.json", json, strlen(json));
    transformer_write(folder, "labels.json", labels, strlen(labels));
    free(bytes);
    return folder;
}

// A picture of the network's own size, so that both see the same numbers.
tagmask_image transformer_picture(void) {
    static uint8_t pixels[WIDTH * HEIGHT * 3];
    for (size_t i = 0; i < sizeof pixels; i++) {
        size_t x = i / 3 % WIDTH, y = i / 3 / WIDTH;
        pixels[i] = (uint8_t)(x * (2 + i % 3) + y * (3 - i % 3) + (x / 16 + y / 16) % 2 * 60);
    }
    return (tagmask_image){sizeof(tagmask_image), WIDTH, HEIGHT, 0, pixels};
}

float *transformer_input(void) {
    static float x[3 * WIDTH * HEIGHT];
    tagmask_image photo = transformer_picture();
    for (int i = 0; i < 3 * WIDTH * HEIGHT; i++)
        x[i] = ((float)photo.pixels[i % (WIDTH * HEIGHT) * 3 + i / (WIDTH * HEIGHT)] - 127) / 64;
    return x;
}

float *transformer_map(tagmask_session *session, const char *layer, const tm_view **found) {
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

tagmask_device *transformer_device;

tagmask_status transformer_propose(tagmask_session *session, const char *method, const char *layer, int head,
                                   tm_error *err) {
    char text[200], *folder = test_temporary_dir(), *path = tm_path_join(folder, "p.json");
    tagmask_result *result = NULL;
    (void)snprintf(text, sizeof text,
                   "{\"preset\": \"fast\", \"affinity_size\": 0, \"mirror\": false, \"rivals\": 0, \"head\": %d}",
                   head);
    transformer_write(folder, "p.json", text, strlen(text));
    const tagmask_params params = {
        .struct_size = sizeof params, .preset = path, .method = method, .layer = layer, .working_size = 128};
    tagmask_status status = tagmask_propose(session, (const char *const[]){"dog"}, 1, &params, &result, err);
    tagmask_result_free(result);
    free(folder);
    free(path);
    return status;
}

void transformer_expect_error(tagmask_session *session, const char *method, const char *layer, int head,
                              const char *words) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = transformer_propose(session, method, layer, head, &err);
    if (status == TAGMASK_OK || !strstr(err.message, words))
        fail_msg("status %d: \"%s\"; expected \"%s\"", status, err.message, words);
}

int transformer_open_device(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_device_open(NULL, &transformer_device, &err), &err);
    return 0;
}

int transformer_close_device(void **state) {
    (void)state;
    tagmask_device_close(transformer_device);
    return 0;
}
