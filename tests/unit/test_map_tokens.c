// Maps of layers of tokens, of several layers, and CAM of the mean of tokens, compared with plain C.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tiny_transformer.h"

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
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 3, HEIGHT, WIDTH), transformer_input()),
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
    transformer_case c = {.model = m, .folder = transformer_pack(m, "")};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = transformer_picture();
    assert_ok(tagmask_engine_create(transformer_device, c.folder, "none", &c.engine, &err), &err);
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
        assert_ok(transformer_propose(c.session, cases[i].method, cases[i].layer, 0, &err), &err);
        float *got = transformer_map(c.session, NULL, &view);
        assert_int_equal(view->outputs[0].shape.dim[2], HEIGHT / PATCH);
        assert_int_equal(view->outputs[0].shape.dim[3], WIDTH / PATCH);
        ref_token_map(c.model, cases[i].method, cases[i].layer ? cases[i].layer : "middle", wanted);
        assert_close(got, wanted, PLACES, 1e-4);
        free(got);
    }
    // And what reads features without gradients.
    assert_ok(transformer_propose(c.session, "eigencam", "middle", 0, &err), &err);
    assert_ok(transformer_propose(c.session, "scorecam", NULL, 0, &err), &err);
    end(&c);
}

static void the_layer_of_tokens_is_marked(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_network *network = NULL;
    const tagmask_layer *layers;
    transformer_case c = start(transformer(true));
    char *path = tm_path_join(c.folder, "model.onnx");
    assert_ok(tagmask_network_load(transformer_device, path, NULL, 0, &network, &err), &err);
    tagmask_tensor photo = {.struct_size = sizeof photo,
                            .dtype = (tagmask_dtype)TM_FLOAT32,
                            .rank = 4,
                            .dims = {1, 3, HEIGHT, WIDTH},
                            .data = transformer_input()},
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
    for (int how = MEAN_TOKEN; how <= CONV_LAST; how++) {
        transformer_case c = start(transformer_ending(false, (ending)how));
        tm_error err = TAGMASK_ERROR_INIT;
        size_t count;
        assert_ok(transformer_propose(c.session, "cam", NULL, 0, &err), &err);
        float *cam = cam_stage(c.session, &count);
        assert_ok(transformer_propose(c.session, "gradcam", NULL, 0, &err), &err);
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
    transformer_expect_error(c.session, "cam", NULL, 0, "expected a global average pooling");
    end(&c);
    // Channels by tokens are none of these forms; other methods take the block's tokens.
    c = start(transformer_ending(false, RELU_TURNED));
    tm_error err = TAGMASK_ERROR_INIT;
    transformer_expect_error(c.session, "cam", NULL, 0, "is of 'rectified', whose shape is 1x8x24; expected");
    transformer_expect_error(c.session, "layercam", "rectified", 0, "layer 'rectified' has shape 1x8x24; expected");
    assert_ok(transformer_propose(c.session, "layercam", NULL, 0, &err), &err);
    assert_string_equal(tm_engine_features(c.engine), "middle");
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
        assert_ok(transformer_propose(c.session, methods[i], both, 0, &err), &err);
        memset(sum, 0, sizeof sum);
        float least = INFINITY, most = 0, *fused = cam_stage(c.session, &count);
        for (int k = 0; k < 2; k++) {
            float *map = transformer_map(c.session, names[i][k], &view);
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
    transformer_expect_error(c.session, "gradcam", "middle,,tokens", 0, "\"middle,,tokens\": name 2 is empty");
    transformer_expect_error(c.session, "gradcam", "middle,", 0, "name 2 is empty");
    transformer_expect_error(c.session, "gradcam", "a,b,c,d,e,f,g", 0, "names 7 layers; expected at most 6");
    transformer_expect_error(c.session, "gradcam", "middle,midle", 0, "middle");
    transformer_expect_error(c.session, "gradcam", "middle,logits", 0, "layer 'logits' has shape 1x3; expected");
    transformer_expect_error(c.session, "ablationcam", "middle", 0, "'middle' lies otherwise");
    transformer_expect_error(c.session, "rollout", "aattention,battention", 0, "the method rollout has none to choose");
    end(&c);
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_tokens),    cmocka_unit_test(the_layer_of_tokens_is_marked),
        cmocka_unit_test(mean_tokens_have_a_cam), cmocka_unit_test(layers_are_fused),
        cmocka_unit_test(wrong_layers_are_told),
    };
    return cmocka_run_group_tests(tests, transformer_open_device, transformer_close_device);
}
