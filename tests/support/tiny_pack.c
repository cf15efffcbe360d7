#include "tiny_pack.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_build.h"

static void write_file(const char *folder, const char *name, const void *data, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, name);
    assert_ok(tm_write_file(path, data, size, &err), &err);
    free(path);
}

static void write_model(const char *folder, const onnx_model *model) {
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    write_file(folder, "model.onnx", bytes, size);
    free(bytes);
}

static void add_conv(onnx_model *m, const char *from, const char *to, int64_t in, int64_t out, int64_t stride) {
    char *weights = tm_format("%s.w", to), *inputs = tm_format("%s,%s.w", from, to);
    float *noise = test_noise((uint64_t)(in * 100 + out), (size_t)(in * out * 9), -0.3f, 0.4f);
    onnx_constant(m, weights, TM_FLOAT32, DIMS(out, in, 3, 3), noise);
    onnx_node *conv = onnx_add(m, "Conv", inputs, to);
    onnx_ints(m, conv, "pads", DIMS(1, 1, 1, 1));
    onnx_ints(m, conv, "strides", DIMS(stride, stride));
    free(noise);
    free(weights);
    free(inputs);
}

// seed: of the dense layer.
static char *make_classifier(uint64_t seed, int64_t classes) {
    static const char json[] =
        "{\"format\": 1, \"name\": \"tiny\", \"kind\": \"classifier\", \"model\": \"model.onnx\", \"labels\": "
        "\"labels.json\", \"tags\": \"tags.json\", \"preprocess\": {\"mean\": [127, 127, 127], \"scale\": [128, 128, "
        "128], \"size\": [96, 128]}, \"affinity\": {\"layer\": \"middle\"}}";
    static const char labels[] = "[{\"name\": \"cat\"}, {\"name\": \"dog\"}, {\"name\": \"cup\"}, {\"name\": \"sky\"}]";
    static const char tags[] =
        "{\"format\": 1, \"tags\": {\"cat\": [0], \"dog\": [1], \"cup\": [2], \"sky\": [3], \"thing\": []}, "
        "\"canonical\": {}, \"notes\": {}}";
    char *folder = test_temporary_dir();
    onnx_model *m = onnx_new(13);
    onnx_input(m, "image", TM_FLOAT32, DIMS(1, 3, -1, -1));
    add_conv(m, "image", "first", 3, 8, 2);
    onnx_add(m, "Relu", "first", "first_relu");
    add_conv(m, "first_relu", "middle", 8, 8, 2);
    onnx_add(m, "Relu", "middle", "middle_relu");
    add_conv(m, "middle_relu", "last", 8, 16, 2);
    onnx_add(m, "Relu", "last", "features");
    onnx_add(m, "GlobalAveragePool", "features", "pooled");
    onnx_add(m, "Flatten", "pooled", "flat");
    float *noise = test_noise(seed, (size_t)(16 * classes), -1, 1);
    onnx_constant(m, "dense", TM_FLOAT32, DIMS(16, classes), noise);
    onnx_add(m, "MatMul", "flat,dense", "logits");
    onnx_output(m, "logits");
    write_model(folder, m);
    write_file(folder, "pack.json", json, strlen(json));
    write_file(folder, "labels.json", labels, strlen(labels));
    write_file(folder, "tags.json", tags, strlen(tags));
    onnx_free(m);
    free(noise);
    return folder;
}

static char *make_saliency(void) {
    static const char json[] =
        "{\"format\": 1, \"name\": \"tiny\", \"kind\": \"saliency\", \"model\": \"model.onnx\", \"preprocess\": "
        "{\"mean\": [0, 0, 0], \"scale\": [255, 255, 255], \"divide_by_max\": true, \"size\": [64, 64]}}";
    char *folder = test_temporary_dir();
    onnx_model *m = onnx_new(13);
    onnx_input(m, "image", TM_FLOAT32, DIMS(1, 3, -1, -1));
    add_conv(m, "image", "first", 3, 8, 1);
    onnx_add(m, "Relu", "first", "first_relu");
    add_conv(m, "first_relu", "second", 8, 1, 1);
    onnx_add(m, "Sigmoid", "second", "map");
    onnx_output(m, "map");
    write_model(folder, m);
    write_file(folder, "pack.json", json, strlen(json));
    onnx_free(m);
    return folder;
}

static char *make_features(bool odd) {
    static const char json[] =
        "{\"format\": 1, \"name\": \"tiny\", \"kind\": \"features\", \"model\": \"model.onnx\", \"preprocess\": "
        "{\"mean\": [127, 127, 127], \"scale\": [128, 128, 128], \"size\": [64, 64]}, \"features\": {\"layer\": "
        "\"tokens\", \"patch\": 8}}";
    char *folder = test_temporary_dir();
    onnx_model *m = onnx_new(13);
    onnx_input(m, "image", TM_FLOAT32, DIMS(1, 3, -1, -1));
    add_conv(m, "image", "first", 3, 8, 2);
    onnx_add(m, "Relu", "first", "first_relu");
    add_conv(m, "first_relu", "second", 8, 8, 2);
    onnx_add(m, "Relu", "second", "second_relu");
    add_conv(m, "second_relu", "third", 8, 12, odd ? 4 : 2);
    const int64_t shape[] = {1, 12, -1};
    onnx_constant(m, "shape", TM_INT64, DIMS(3), shape);
    onnx_add(m, "Reshape", "third,shape", "flat");
    onnx_node *transpose = onnx_add(m, "Transpose", "flat", "patches");
    onnx_ints(m, transpose, "perm", DIMS(0, 2, 1));
    float *noise = test_noise(5, 12, -1, 1);
    onnx_constant(m, "class_token", TM_FLOAT32, DIMS(1, 1, 12), noise);
    onnx_int(m, onnx_add(m, "Concat", "class_token,patches", "tokens"), "axis", 1);
    onnx_add(m, "Relu", "tokens", "output");
    onnx_output(m, "output");
    write_model(folder, m);
    write_file(folder, "pack.json", json, strlen(json));
    onnx_free(m);
    free(noise);
    return folder;
}

static char *classifier, *saliency, *second, *odd_classifier, *features, *odd_features;

static void free_packs(void) {
    free(classifier);
    free(saliency);
    free(second);
    free(odd_classifier);
    free(features);
    free(odd_features);
}

static void make_packs(void) {
    if (classifier) return;
    classifier = make_classifier(7, TINY_CLASSES);
    second = make_classifier(8, TINY_CLASSES);
    odd_classifier = make_classifier(9, 3);
    saliency = make_saliency();
    features = make_features(false);
    odd_features = make_features(true);
    atexit(free_packs);
}

const char *tiny_classifier(void) {
    make_packs();
    return classifier;
}

const char *tiny_saliency(void) {
    make_packs();
    return saliency;
}

const char *tiny_second(void) {
    make_packs();
    return second;
}

const char *tiny_odd_classifier(void) {
    make_packs();
    return odd_classifier;
}

const char *tiny_features(void) {
    make_packs();
    return features;
}

const char *tiny_odd_features(void) {
    make_packs();
    return odd_features;
}

enum { PHOTO_WIDTH = 150, PHOTO_HEIGHT = 100 };
static uint8_t photo_pixels[PHOTO_WIDTH * PHOTO_HEIGHT * 3];

static void paint_photo(void) {
    for (int i = 0; i < PHOTO_WIDTH * PHOTO_HEIGHT; i++) {
        int x = i % PHOTO_WIDTH - 70, y = i / PHOTO_WIDTH - 45;
        bool inside = x * x + y * y < 30 * 30;
        for (int c = 0; c < 3; c++)
            photo_pixels[3 * i + c] = (uint8_t)(inside ? 250 - 50 * c - i % 5 : 30 + i % 11 + 10 * c);
    }
}

tagmask_image tiny_photo(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, paint_photo);
    tagmask_image photo = {sizeof photo, PHOTO_WIDTH, PHOTO_HEIGHT, 0, photo_pixels};
    return photo;
}

tagmask_session *tiny_session(tagmask_engine *engine) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = tiny_photo();
    tagmask_session *session = NULL;
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    return session;
}
