// Map methods through the public interface: what each makes of a photo, layers by name, and what cannot be made.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_build.h"
#include "tiny_pack.h"

static tagmask_device *device;

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

// ---- Packs whose networks end otherwise than CAM wants

typedef enum ending { TWO_DENSE, MAPS, CHAIN, CHANNELS_FIRST, CHANNELS_LAST } ending;
enum { LINKS = 8 };  // of CHAIN

static void write_text(const char *folder, const char *name, const char *text, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, name);
    assert_ok(tm_write_file(path, text, size, &err), &err);
    free(path);
}

static void add_conv(onnx_model *m, const char *from, const char *to, int64_t in, int64_t out) {
    char *weights = tm_format("%s.w", to), *inputs = tm_format("%s,%s.w", from, to);
    float *noise = test_noise((uint64_t)(in * 100 + out), (size_t)(in * out * 9), -0.3f, 0.4f);
    onnx_constant(m, weights, TM_FLOAT32, DIMS(out, in, 3, 3), noise);
    onnx_node *conv = onnx_add(m, "Conv", inputs, to);
    onnx_ints(m, conv, "pads", DIMS(1, 1, 1, 1));
    onnx_ints(m, conv, "strides", DIMS(2, 2));
    free(noise);
    free(weights);
    free(inputs);
}

// link0 to link7.
static void add_chain(onnx_model *m) {
    for (int i = 0; i < LINKS; i++) {
        char *from = i ? tm_format("link%d", i - 1) : tm_format("features"), *to = tm_format("link%d", i);
        onnx_add(m, "Sin", from, to);
        free(from);
        free(to);
    }
}

// The same function twice: a product with a matrix, Relu, mean over the places, one linear map. `mixed` are the
// features.
static void end_by_places(onnx_model *m, bool last) {
    float *mix = test_noise(3, 8 * 8, -1, 1), *turned = test_noise(3, 8 * 8, -1, 1),
          *dense = test_noise(4, 8 * 3, -1, 1);
    for (int i = 0; i < 64; i++) turned[i] = mix[i % 8 * 8 + i / 8];
    onnx_constant(m, "dense", TM_FLOAT32, DIMS(8, 3), dense);
    if (last) {
        onnx_constant(m, "mix", TM_FLOAT32, DIMS(8, 8), mix);
        onnx_ints(m, onnx_add(m, "Transpose", "features", "turned"), "perm", DIMS(0, 2, 3, 1));
        onnx_add(m, "MatMul", "turned,mix", "product");
    } else {
        onnx_constant(m, "mix", TM_FLOAT32, DIMS(8, 8, 1, 1), turned);
        onnx_add(m, "Conv", "features,mix", "product");
    }
    onnx_add(m, "Relu", "product", "mixed");
    onnx_node *mean = onnx_add(m, "ReduceMean", "mixed", "mean");
    if (last) onnx_ints(m, mean, "axes", DIMS(1, 2));
    if (!last) onnx_ints(m, mean, "axes", DIMS(2, 3));
    onnx_int(m, mean, "keepdims", 0);
    onnx_add(m, "MatMul", "mean,dense", "scores");
    free(mix);
    free(turned);
    free(dense);
}

static void end_with_dense(onnx_model *m, const char *from) {
    float *first = test_noise(1, 8 * 6, -1, 1), *second = test_noise(2, 6 * 3, -1, 1);
    for (int i = 0; i < 6; i++) second[3 * i + 2] = 0;
    onnx_constant(m, "first_dense", TM_FLOAT32, DIMS(8, 6), first);
    onnx_constant(m, "second_dense", TM_FLOAT32, DIMS(6, 3), second);
    onnx_add(m, "GlobalAveragePool", from, "pooled");
    onnx_add(m, "Flatten", "pooled", "flat");
    onnx_add(m, "MatMul", "flat,first_dense", "hidden");
    onnx_add(m, "Relu", "hidden", "hidden_relu");
    onnx_add(m, "MatMul", "hidden_relu,second_dense", "scores");
    free(first);
    free(second);
}

// The score of "cup" is 0 whatever the photo. Beside the way to the scores lie `dead`, which is 0 everywhere, and
// `wild`, which overflows.
static char *make_pack(ending how) {
    static const char json[] =
        "{\"format\": 1, \"name\": \"other\", \"kind\": \"classifier\", \"model\": \"model.onnx\", \"labels\": "
        "\"labels.json\", \"preprocess\": {\"mean\": [127, 127, 127], \"scale\": [128, 128, 128], \"size\": [64, 96]}}";
    static const char labels[] = "[{\"name\": \"cat\"}, {\"name\": \"dog\"}, {\"name\": \"cup\"}]";
    char *folder = test_temporary_dir();
    onnx_model *m = onnx_new(13);
    const float large = 1e30f, far = 1e9f;
    onnx_input(m, "image", TM_FLOAT32, DIMS(1, 3, -1, -1));
    add_conv(m, "image", "first", 3, 8);
    onnx_add(m, "Relu", "first", "first_relu");
    add_conv(m, "first_relu", "last", 8, 8);
    onnx_add(m, "Relu", "last", "features");
    onnx_constant(m, "large", TM_FLOAT32, SCALAR, &large);
    onnx_constant(m, "far", TM_FLOAT32, SCALAR, &far);
    onnx_add(m, "Sub", "features,far", "below");
    onnx_add(m, "Relu", "below", "dead");
    onnx_add(m, "Mul", "features,large", "larger");
    onnx_add(m, "Mul", "larger,large", "wild");
    if (how == TWO_DENSE) end_with_dense(m, "features");
    if (how == MAPS) add_conv(m, "features", "scores", 8, 3);
    if (how == CHAIN) {
        add_chain(m);
        end_with_dense(m, "link7");
    }
    if (how == CHANNELS_FIRST || how == CHANNELS_LAST) end_by_places(m, how == CHANNELS_LAST);
    onnx_output(m, "scores");
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    write_text(folder, "model.onnx", (const char *)bytes, size);
    write_text(folder, "pack.json", json, strlen(json));
    write_text(folder, "labels.json", labels, strlen(labels));
    onnx_free(m);
    free(bytes);
    return folder;
}

static tagmask_engine *open_engine(const char *classifier) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine = NULL;
    assert_ok(tagmask_engine_create(device, classifier, "none", &engine, &err), &err);
    return engine;
}

// ---- What a method makes

static tagmask_params params_of(const char *method, const char *layer) {
    return (tagmask_params){
        .struct_size = sizeof(tagmask_params), .preset = "fast", .method = method, .layer = layer, .working_size = 128};
}

static uint64_t dispatches(void) {
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    return stats.dispatches;
}

// The class maps of "cat" and "dog", one after the other; malloc'ed.
static float *maps_of(tagmask_session *session, const tagmask_params *params, size_t *count) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    float *maps = NULL;
    assert_ok(tagmask_propose(session, (const char *const[]){"cat", "dog"}, 2, params, &result, &err), &err);
    for (size_t tag = 0; tag < 2; tag++) {
        tagmask_tensor map = {.struct_size = sizeof map};
        assert_ok(tagmask_session_map(session, "cam", tag, &map, &err), &err);
        *count = (size_t)(map.dims[0] * map.dims[1]);
        maps = realloc(maps, 2 * *count * sizeof *maps);
        memcpy(maps + tag * *count, map.data, *count * sizeof *maps);
        tagmask_tensor_release(&map);
    }
    tagmask_result_free(result);
    return maps;
}

static const struct {
    const char *name;
    bool of_class, of_layer, on_path;  // on_path: of layers that the scores depend on
} methods[] = {{"cam", true, false, false},     {"eigencam", false, true, false},  {"gradcam", true, true, true},
               {"gradcam++", true, true, true}, {"xgradcam", true, true, true},    {"hirescam", true, true, true},
               {"layercam", true, true, true},  {"elementwise", true, true, true}, {"eigengradcam", true, true, true},
               {"fullgrad", true, false, true}, {"scorecam", true, true, false},   {"ablationcam", true, true, true}};

static void each_method_makes_its_own_map(void **state) {
    (void)state;
    tagmask_engine *engine = open_engine(tiny_classifier());
    tagmask_session *session = tiny_session(engine);
    float *all[TM_ARRAY_LEN(methods)];
    size_t count;
    for (size_t m = 0; m < TM_ARRAY_LEN(methods); m++) {
        // At the last layer most methods of gradients are CAM: see below.
        const tagmask_params params = params_of(methods[m].name, methods[m].of_layer ? "middle" : NULL);
        all[m] = maps_of(session, &params, &count);
        for (size_t i = 0; i < 2 * count; i++) assert_true(all[m][i] >= 0 && all[m][i] <= 1);
        for (size_t other = 0; other < m; other++) {
            // Before a ReLU no feature below 0 has a gradient, so that relu(g) a is relu(g a).
            bool may_be = !strcmp(methods[m].name, "elementwise") && !strcmp(methods[other].name, "layercam");
            if (!may_be && !memcmp(all[m], all[other], 2 * count * sizeof **all))
                fail_msg("%s makes what %s makes", methods[m].name, methods[other].name);
        }
        bool same = !memcmp(all[m], all[m] + count, count * sizeof **all);
        assert_int_equal(same, !methods[m].of_class);
        // Bit for bit the same in a session that saw nothing else, and nothing runs twice.
        tagmask_session *fresh = tiny_session(engine);
        float *again = maps_of(fresh, &params, &count);
        assert_memory_equal(again, all[m], 2 * count * sizeof **all);
        free(again);
        tagmask_result *result = NULL;
        tm_error err = TAGMASK_ERROR_INIT;
        uint64_t before = dispatches();
        assert_ok(tagmask_propose(fresh, (const char *const[]){"cat", "dog"}, 2, &params, &result, &err), &err);
        assert_int_equal(dispatches(), before);
        tagmask_result_free(result);
        tagmask_session_free(fresh);
    }
    for (size_t m = 0; m < TM_ARRAY_LEN(methods); m++) free(all[m]);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
}

// More layers than an engine keeps networks for, twice: one that went comes back as it was.
static void layers_by_name(void **state) {
    (void)state;
    static const char *const ways[] = {"eigencam", "layercam"};  // the others find their layers in the same ways
    char *folder = make_pack(CHAIN);
    tagmask_engine *engine = open_engine(folder);
    for (size_t w = 0; w < TM_ARRAY_LEN(ways); w++) {
        float *first[LINKS];
        size_t count;
        for (size_t i = 0; i < (size_t)2 * LINKS; i++) {
            size_t at = i % LINKS;
            char *layer = tm_format("link%zu", at);
            tagmask_session *session = tiny_session(engine);
            const tagmask_params params = params_of(ways[w], layer);
            float *maps = maps_of(session, &params, &count);
            tagmask_session_free(session);
            free(layer);
            if (i == at) {
                first[at] = maps;
                continue;
            }
            assert_memory_equal(maps, first[at], 2 * count * sizeof *maps);
            free(maps);
        }
        for (size_t i = 1; i < LINKS; i++)
            if (!memcmp(first[i], first[i - 1], count * sizeof **first))
                fail_msg("%s: link%zu changes nothing", ways[w], i);
        for (size_t i = 0; i < LINKS; i++) free(first[i]);
    }
    tagmask_engine_free(engine);
    free(folder);
}

static void expect_error(tagmask_engine *engine, const char *method, const char *layer, const char *words);

// Channels behind height and width, as transformers have them: the same maps as with channels first.
static void channels_may_be_last(void **state) {
    (void)state;
    static const char *const same[] = {"cam", "eigencam", "gradcam", "gradcam++", "layercam", "scorecam"};
    char *folders[] = {make_pack(CHANNELS_FIRST), make_pack(CHANNELS_LAST)};
    tagmask_engine *engines[] = {open_engine(folders[0]), open_engine(folders[1])};
    for (size_t i = 0; i < TM_ARRAY_LEN(same); i++) {
        float *maps[2];
        size_t count;
        for (int k = 0; k < 2; k++) {
            tagmask_session *session = tiny_session(engines[k]);
            const tagmask_params params = params_of(same[i], strcmp(same[i], "cam") ? "mixed" : NULL);
            maps[k] = maps_of(session, &params, &count);
            tagmask_session_free(session);
        }
        assert_close(maps[1], maps[0], 2 * count, 1e-4);
        free(maps[0]);
        free(maps[1]);
    }
    expect_error(engines[1], "ablationcam", "mixed", "'mixed' lies otherwise");
    for (int k = 0; k < 2; k++) {
        tagmask_engine_free(engines[k]);
        free(folders[k]);
    }
}

// Where a pooling and one linear map follow, the gradients of a channel are its class weight at every place (Selvaraju
// et al. 2017, appendix A).
static void of_the_last_features_gradients_make_cam(void **state) {
    (void)state;
    static const char *const same[] = {"gradcam", "xgradcam", "hirescam"};
    tagmask_engine *engine = open_engine(tiny_classifier());
    tagmask_session *session = tiny_session(engine);
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "p.json");
    static const char preset[] = "{\"preset\": \"fast\", \"rivals\": 0}";
    size_t count;
    write_text(folder, "p.json", preset, strlen(preset));
    tagmask_params params = params_of("cam", NULL);
    params.preset = path;
    float *cam = maps_of(session, &params, &count);
    for (size_t i = 0; i < TM_ARRAY_LEN(same); i++) {
        params.method = same[i];
        float *map = maps_of(session, &params, &count);
        for (size_t tag = 0; tag < 2; tag++) {
            double r = test_correlation(cam + tag * count, map + tag * count, count);
            if (!(r >= 0.9999)) fail_msg("%s: the correlation with cam is %g", same[i], r);
        }
        free(map);
    }
    free(cam);
    free(path);
    free(folder);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
}

static void maps_are_found_in_the_cache(void **state) {
    (void)state;
    tagmask_engine *engine = open_engine(tiny_classifier());
    char *folder = test_temporary_dir();
    for (size_t m = 0; m < TM_ARRAY_LEN(methods); m++) {
        tagmask_params params = params_of(methods[m].name, methods[m].of_layer ? "middle" : NULL);
        size_t count;
        params.cache_dir = folder;
        tagmask_session *session = tiny_session(engine), *later = tiny_session(engine);
        float *maps = maps_of(session, &params, &count), *cached = maps_of(later, &params, &count);
        assert_memory_equal(cached, maps, 2 * count * sizeof *maps);
        free(maps);
        free(cached);
        tagmask_session_free(session);
        tagmask_session_free(later);
    }
    free(folder);
    tagmask_engine_free(engine);
}

// ---- What cannot be made

static void expect_error(tagmask_engine *engine, const char *method, const char *layer, const char *words) {
    tm_error err = TAGMASK_ERROR_INIT;
    const tagmask_params params = params_of(method, layer);
    tagmask_session *session = tiny_session(engine);
    tagmask_result *result = NULL;
    tagmask_status status = tagmask_engine_check_params(engine, &params, &err);
    if (status == TAGMASK_OK || !strstr(err.message, words))
        fail_msg("status %d: \"%s\"; expected \"%s\"", status, err.message, words);
    assert_int_equal(tagmask_propose(session, (const char *const[]){"cat"}, 1, &params, &result, &err), status);
    tagmask_session_free(session);
}

static void wrong_names_are_told(void **state) {
    (void)state;
    tagmask_engine *engine = open_engine(tiny_classifier());
    expect_error(engine, "camm", NULL, "\"camm\" is unknown; expected cam, eigencam");
    expect_error(engine, "cam", "middle", "the method cam reads the features before the pooling, \"features\"");
    expect_error(engine, "eigencam", "midle", "no tensor 'midle'; did you mean middle");
    expect_error(engine, "eigencam", "flat", "has shape 1x16; expected 1 x channels x height x width");
    expect_error(engine, "eigencam", "pooled", "has shape 1x16x1x1; expected");
    tagmask_engine_free(engine);
}

// The default layer of other methods, as `tagmask layers` marks it.
static void expect_marked(const char *folder, const char *wanted) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, "model.onnx");
    float *pixels = test_noise(4, 3 * 64 * 96, -1, 1);
    tagmask_network *network = NULL;
    tagmask_tensor input = {sizeof input, "image", TAGMASK_FLOAT32, 4, {1, 3, 64, 96}, pixels},
                   output = {.struct_size = sizeof output};
    const tagmask_layer *layers;
    size_t marked = 0;
    assert_ok(tagmask_network_load(device, path, NULL, 0, &network, &err), &err);
    assert_ok(tagmask_network_run(network, &input, 1, &output, &err), &err);
    size_t count = tagmask_network_layers(network, &layers);
    for (size_t i = 0; i < count; i++) {
        marked += layers[i].map;
        if (layers[i].map) assert_string_equal(layers[i].name, wanted);
        assert_false(layers[i].cam);
    }
    assert_int_equal(marked, 1);
    tagmask_tensor_release(&output);
    tagmask_network_free(network);
    free(pixels);
    free(path);
}

static void a_network_without_a_pooling_has_maps(void **state) {
    (void)state;
    for (ending how = TWO_DENSE; how <= MAPS; how++) {
        char *folder = make_pack(how);
        tagmask_engine *engine = open_engine(folder);
        expect_error(engine, "cam", NULL, "no CAM can be made");
        assert_int_equal(tagmask_engine_class_count(engine), 3);
        tagmask_session *session = tiny_session(engine);
        expect_marked(folder, "features");
        for (size_t m = 1; m < TM_ARRAY_LEN(methods); m++) {
            const tagmask_params params = params_of(methods[m].name, NULL);
            size_t count;
            free(maps_of(session, &params, &count));
        }
        tagmask_session_free(session);
        tagmask_engine_free(engine);
        free(folder);
    }
}

static void expect_empty(tagmask_session *session, const char *tag, const tagmask_params *params) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    assert_ok(tagmask_propose(session, &tag, 1, params, &result, &err), &err);
    assert_int_equal(tagmask_result_region_count(result), 0);
    if (!strstr(tagmask_result_note(result, 0), "the same everywhere"))
        fail_msg("%s: the note is \"%s\"", params->method, tagmask_result_note(result, 0));
    tagmask_result_free(result);
}

// A map that shows no place is an empty proposal that says so, and numbers that overflow are an error.
static void empty_and_endless_maps_are_told(void **state) {
    (void)state;
    char *folder = make_pack(TWO_DENSE);
    tagmask_engine *engine = open_engine(folder);
    for (size_t m = 0; m < TM_ARRAY_LEN(methods); m++) {
        if (!methods[m].of_layer) continue;
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_session *session = tiny_session(engine);
        tagmask_result *result = NULL;
        tagmask_params params = params_of(methods[m].name, methods[m].on_path ? "features" : "dead");
        expect_empty(session, methods[m].on_path ? "cup" : "cat", &params);
        params.layer = "wild";
        assert_int_not_equal(tagmask_propose(session, (const char *const[]){"cat"}, 1, &params, &result, &err),
                             TAGMASK_OK);
        bool told = methods[m].on_path ? strstr(err.message, "'scores' does not depend on 'wild'") ||
                                             strstr(err.message, "cannot be cut at 'wild'")
                                       : strstr(err.message, "not finite") != NULL;
        if (!told) fail_msg("%s: \"%s\"", methods[m].name, err.message);
        assert_non_null(strstr(err.message, methods[m].name));
        tagmask_session_free(session);
    }
    tagmask_engine_free(engine);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_makes_its_own_map),
        cmocka_unit_test(layers_by_name),
        cmocka_unit_test(channels_may_be_last),
        cmocka_unit_test(of_the_last_features_gradients_make_cam),
        cmocka_unit_test(maps_are_found_in_the_cache),
        cmocka_unit_test(wrong_names_are_told),
        cmocka_unit_test(a_network_without_a_pooling_has_maps),
        cmocka_unit_test(empty_and_endless_maps_are_told),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
