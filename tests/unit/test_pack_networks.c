// Packs whose network is not what pack.json says, or not what a proposal needs: a sentence that names the pack's file.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_build.h"
#include "support.h"

enum { CLASSES = 2, CHANNELS = 4, SIDE = 32, ONE_SIZE = 64 };

// A classifier with everything right, as far as the cases leave it so.
typedef struct network {
    int64_t input_channels;
    bool second_input, constant_scores, nan_weights, integer_map;
    bool channels_last, one_size, whole_numbers;  // of the input
    int64_t map_channels;                         // of the saliency map
} network;

static void write_model(const char *folder, const network *n) {
    float *noise = test_noise(3, 4096, -1, 1);
    if (n->nan_weights) noise[0] = NAN;
    const float scores[CLASSES] = {1, 2};
    onnx_model *m = onnx_new(13);
    const char *photo = n->channels_last ? "photo" : n->whole_numbers ? "bytes" : "x";
    int64_t side = n->one_size ? ONE_SIZE : -1;
    if (n->channels_last)
        onnx_input(m, photo, TM_FLOAT32, DIMS(1, side, side, n->input_channels));
    else
        onnx_input(m, photo, n->whole_numbers ? TM_UINT8 : TM_FLOAT32, DIMS(1, n->input_channels, side, side));
    if (n->channels_last) onnx_ints(m, onnx_add(m, "Transpose", photo, "x"), "perm", DIMS(0, 3, 1, 2));
    if (n->whole_numbers) onnx_int(m, onnx_add(m, "Cast", photo, "x"), "to", TM_FLOAT32);
    if (n->second_input) onnx_input(m, "size", TM_INT64, DIMS(2));
    onnx_constant(m, "k", TM_FLOAT32, DIMS(CHANNELS, n->input_channels, 3, 3), noise);
    onnx_constant(m, "mk", TM_FLOAT32, DIMS(n->map_channels, CHANNELS, 1, 1), noise);
    onnx_constant(m, "w", TM_FLOAT32, DIMS(CLASSES, CHANNELS), noise);
    onnx_constant(m, "fixed", TM_FLOAT32, DIMS(1, CLASSES), scores);
    float *places = test_noise(4, ONE_SIZE * ONE_SIZE, 0, 1);
    onnx_constant(m, "places", TM_FLOAT32, DIMS(1, 1, ONE_SIZE, ONE_SIZE), places);
    onnx_ints(m, onnx_add(m, "Conv", "x,k", n->one_size ? "plain" : "features"), "pads", DIMS(1, 1, 1, 1));
    if (n->one_size) onnx_add(m, "Add", "plain,places", "features");  // as transformers' positions are
    free(places);
    onnx_add(m, "Conv", "features,mk", n->integer_map ? "real" : "map");
    if (n->integer_map) onnx_int(m, onnx_add(m, "Cast", "real", "map"), "to", TM_INT32);
    onnx_add(m, "GlobalAveragePool", "features", "pooled");
    onnx_add(m, "Flatten", "pooled", "flat");
    onnx_int(m, onnx_add(m, "Gemm", "flat,w", "scores"), "transB", 1);
    onnx_add(m, "Identity", "fixed", "constant");
    onnx_output(m, "scores");
    onnx_output(m, n->constant_scores ? "constant" : "map");
    if (n->second_input) {
        onnx_add(m, "Reshape", "flat,size", "odd");
        onnx_output(m, "odd");
    }
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    char *path = tm_path_join(folder, "model.onnx");
    assert_ok(tm_write_file(path, bytes, size, NULL), NULL);
    free(path);
    free(bytes);
    onnx_free(m);
    free(noise);
}

static char *write_pack(const network *n, const char *kind, const char *members) {
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "pack.json");
    char *json = tm_format(
        "{\"format\": 1, \"name\": \"p\", \"kind\": \"%s\", \"model\": \"model.onnx\", \"preprocess\": "
        "{\"mean\": [0, 0, 0], \"scale\": [255, 255, 255]}%s}",
        kind, members);
    assert_ok(tm_write_file(path, json, strlen(json), NULL), NULL);
    write_model(folder, n);
    free(json);
    free(path);
    return folder;
}

static const network good = {.input_channels = 3, .map_channels = 1};

// From the packs to a proposal.
static tagmask_status propose(const char *classifier, const char *saliency, tm_error *err) {
    static uint8_t pixels[SIDE * SIDE * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 11);
    const tagmask_image photo = {sizeof photo, SIDE, SIDE, 0, pixels};
    const char *tags[] = {"#1"};
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_result *result = NULL;
    assert_ok(tagmask_device_open(NULL, &device, err), err);
    tagmask_status status = tagmask_engine_create(device, classifier, saliency, &engine, err);
    if (status == TAGMASK_OK) {
        assert_ok(tagmask_session_create(engine, &photo, &session, err), err);
        const tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .working_size = 128};
        status = tagmask_propose(session, tags, 1, &params, &result, err);
    }
    tagmask_result_free(result);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    return status;
}

static void expect_refusal(const char *classifier, const char *saliency, const char *folder, const char *words) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = propose(classifier, saliency, &err);
    if (status == TAGMASK_OK || !strstr(err.message, words) || !strstr(err.message, folder)) {
        fail_msg("status %d: \"%s\"; expected \"%s\" about %s", status, err.message, words, folder);
    }
}

static void good_packs_propose(void **state) {
    (void)state;
    char *classifier = write_pack(&good, "classifier", ""),
         *saliency = write_pack(&good, "saliency", ", \"output\": 1");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(propose(classifier, "none", &err), &err);
    assert_ok(propose(classifier, saliency, &err), &err);
    free(classifier);
    free(saliency);
}

// The member `size` may be left out where the network says its size, and takes no other.
static void the_only_size_is_found(void **state) {
    (void)state;
    const network fixed = {.input_channels = 3, .map_channels = 1, .one_size = true};
    char *classifier = write_pack(&fixed, "classifier", ""),
         *named = write_pack(&fixed, "classifier", ", \"cam\": {\"layer\": \"features\"}"),
         *saliency = write_pack(&fixed, "saliency", ", \"output\": 1");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(propose(classifier, saliency, &err), &err);
    assert_ok(propose(named, "none", &err), &err);
    free(classifier);
    free(named);
    free(saliency);
}

static void bad_classifiers_are_named(void **state) {
    (void)state;
    static const struct {
        network network;
        const char *members, *words;
    } cases[] = {
        {{.input_channels = 3, .map_channels = 1},
         ", \"output\": 40",
         "\"output\" is 40, but the network has 2 outputs"},
        {{.input_channels = 3, .map_channels = 1},
         ", \"output\": 2, \"affinity\": {\"layer\": \"map\"}",
         "\"output\" is 2"},
        {{.input_channels = 3, .map_channels = 1}, ", \"output\": 1", "expected a global average pooling"},
        {{.input_channels = 3, .map_channels = 1, .constant_scores = true},
         ", \"output\": 1",
         "computed from the photo"},
        {{.input_channels = 3, .map_channels = 1, .nan_weights = true}, "", "not finite"},
        {{.input_channels = 3, .map_channels = 1},
         ", \"cam\": {\"layer\": \"nowhere\"}",
         "pack.json: member \"cam.layer\": "},
        {{.input_channels = 3, .map_channels = 1}, ", \"cam\": {\"layer\": \"nowhere\"}", "has no tensor 'nowhere'"},
        {{.input_channels = 3, .map_channels = 1},
         ", \"cam\": {\"layer\": \"features\"}, \"affinity\": {\"layer\": \"featres\"}",
         "pack.json: member \"affinity.layer\": "},
        {{.input_channels = 3, .map_channels = 1}, ", \"cam\": {\"layer\": \"flat\"}", "has shape 1x4"},
        {{.input_channels = 3, .map_channels = 3}, ", \"cam\": {\"layer\": \"map\"}", "CAM layer has 3 channels"},
        {{.input_channels = 4, .map_channels = 1}, "", "has shape 1x4x?x?; expected one input for the photo"},
        {{.input_channels = 1, .map_channels = 1}, "", "has shape 1x1x?x?; expected one input for the photo"},
        {{.input_channels = 3, .map_channels = 1, .channels_last = true},
         "",
         "1x?x?x3; expected one input for the photo"},
        {{.input_channels = 3, .map_channels = 1, .whole_numbers = true}, "", "'bytes' is of whole numbers; expected"},
        {{.input_channels = 3, .map_channels = 1, .second_input = true}, "", "has 2 inputs, the last is 'size'"},
        {{.input_channels = 3, .map_channels = 1, .second_input = true},
         ", \"cam\": {\"layer\": \"features\"}",
         "has 2 inputs"},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        char *folder = write_pack(&cases[i].network, "classifier", cases[i].members);
        expect_refusal(folder, "none", folder, cases[i].words);
        free(folder);
    }
}

static void bad_saliency_packs_are_named(void **state) {
    (void)state;
    static const struct {
        network network;
        const char *members, *words;
    } cases[] = {
        {{.input_channels = 3, .map_channels = 1}, ", \"output\": 2", "\"output\" is 2"},
        {{.input_channels = 3, .map_channels = 1}, "", "has shape 1x2"},
        {{.input_channels = 3, .map_channels = 2}, ", \"output\": 1", "2 channels"},
        {{.input_channels = 3, .map_channels = 1, .second_input = true}, ", \"output\": 1", "has 2 inputs"},
        {{.input_channels = 3, .map_channels = 1, .integer_map = true}, ", \"output\": 1", "float32"},
    };
    char *classifier = write_pack(&good, "classifier", "");
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        char *folder = write_pack(&cases[i].network, "saliency", cases[i].members);
        expect_refusal(classifier, folder, folder, cases[i].words);
        free(folder);
    }
    free(classifier);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_packs_propose),
        cmocka_unit_test(the_only_size_is_found),
        cmocka_unit_test(bad_classifiers_are_named),
        cmocka_unit_test(bad_saliency_packs_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
