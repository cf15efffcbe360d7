// The relevance of a vision transformer's tokens against data/gradients/relevance.txt, which peers/compare_attention.py
// makes with PyTorch and numpy in double precision. The network is the pack vit-s-focus, as a classifier of one class
// whose score is the mean of its map.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/map_table.h"
#include "mask/session.h"
#include "support.h"

enum { WIDTH = 140, HEIGHT = 112, PLACES = 80 };

static void write_file(const char *folder, const char *name, const void *data, size_t size) {
    char *path = tm_path_join(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static void write_text(const char *folder, const char *name, const char *text) {
    write_file(folder, name, text, strlen(text));
}

// NULL: the pack, which is optional, is not installed.
static char *make_pack(void) {
    const char *models = getenv("TAGMASK_MODELS");
    char *model = tm_format("%s/vit-s-focus/model.onnx", models && *models ? models : TEST_BUILD "/models"),
         *folder = NULL;
    uint8_t *bytes = NULL;
    size_t size;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_non_null(model);
    if (tm_file_exists(model)) {
        folder = test_temporary_dir();
        assert_ok(tm_read_file(model, 1 << 30, &bytes, &size, &err), &err);
        write_file(folder, "model.onnx", bytes, size);
        write_text(folder, "labels.json", "[{\"name\": \"focus\"}]");
        write_text(folder, "preset.json", "{\"preset\": \"fast\", \"scales\": [140], \"affinity_size\": 0}");
        write_text(folder, "pack.json",
                   "{\"format\": 1, \"name\": \"vit\", \"kind\": \"classifier\", \"model\": \"model.onnx\", "
                   "\"labels\": \"labels.json\", \"preprocess\": {\"mean\": [123.675, 116.28, 103.53], "
                   "\"scale\": [58.395, 57.12, 57.375], \"size\": [112, 140]}}");
    }
    free(bytes);
    free(model);
    return folder;
}

// As large as the network wants it, so that both see the same numbers.
static tagmask_image picture(void) {
    static float planes[3 * WIDTH * HEIGHT];
    static uint8_t pixels[3 * WIDTH * HEIGHT];
    test_draw_picture(HEIGHT, WIDTH, planes);
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)planes[i % 3 * WIDTH * HEIGHT + i / 3];
    return (tagmask_image){sizeof(tagmask_image), WIDTH, HEIGHT, 0, pixels};
}

static void read_back(tagmask_session *session, float *map) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_recorder *recorder = NULL;
    const tm_view *view = NULL;
    for (size_t v = 0; v < session->view_count; v++)
        if (session->views[v]->method) view = session->views[v];
    assert_non_null(view);
    assert_int_equal(view->outputs[0].slice.size, PLACES * sizeof *map);
    assert_ok(tm_recorder_begin(session->engine->device->gpu, &recorder, &err), &err);
    assert_ok(tm_readback(recorder, view->outputs[0].slice, map, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
}

static void relevance_agrees(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_result *result = NULL;
    float wanted[PLACES] = {0}, got[PLACES];
    char *folder = make_pack();
    if (!folder) skip();
    char *preset = tm_path_join(folder, "preset.json");
    const tagmask_params params = {.struct_size = sizeof params, .preset = preset, .method = "relevance"};
    tagmask_image photo = picture();
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, folder, "none", &engine, &err), &err);
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    assert_ok(tagmask_propose(session, (const char *const[]){"focus"}, 1, &params, &result, &err), &err);
    read_back(session, got);
    FILE *file = fopen(TEST_DATA "/gradients/relevance.txt", "r");
    assert_non_null(file);
    for (size_t i = 0; i < PLACES; i++) assert_int_equal(fscanf(file, "%f", &wanted[i]), 1);
    (void)fclose(file);
    assert_close(got, wanted, PLACES, 1e-3);
    tagmask_result_free(result);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    free(preset);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(relevance_agrees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
