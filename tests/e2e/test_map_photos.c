// Map methods of EfficientNet-Lite0 on a part of a photo, which nobody resamples, against numbers that pytorch-grad-cam
// 1.5.5 made of both: tests/data/maps/efficientnet-lite0, written by tests/peers/compare_gradcam_photos.py.
#include "map_records.h"

#define FOLDER TEST_DATA "/maps/efficientnet-lite0"
#define CLASS "#285"
enum { LEFT = 112, TOP = 64, WIDTH = 192, HEIGHT = 128 };

static tagmask_device *device;
static tagmask_engine *engine;
static tagmask_session *session;

static int open_photo(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = {.struct_size = sizeof photo};
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, "efficientnet-lite0", "none", &engine, &err), &err);
    assert_ok(tagmask_image_read(TEST_BUILD "/photos/chelsea.png", &photo, &err), &err);
    assert_true(photo.width >= LEFT + WIDTH && photo.height >= TOP + HEIGHT);
    size_t stride = photo.stride ? photo.stride : 3 * (size_t)photo.width;
    const tagmask_image part = {sizeof part, WIDTH, HEIGHT, stride, photo.pixels + TOP * stride + LEFT * 3};
    assert_ok(tagmask_session_create(engine, &part, &session, &err), &err);
    tagmask_image_release(&photo);
    return 0;
}

static int close_photo(void **state) {
    (void)state;
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    return 0;
}

static void maps_are_those_of_the_peer(void **state) {
    (void)state;
    compare_with_records(session, FOLDER, "#", 21);
}

static tagmask_tensor class_map(const char *method) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    tagmask_tensor map = {.struct_size = sizeof map};
    const tagmask_params params = {.struct_size = sizeof params, .preset = FOLDER "/preset.json", .method = method};
    assert_ok(tagmask_propose(session, (const char *const[]){CLASS}, 1, &params, &result, &err), &err);
    tagmask_result_free(result);
    assert_ok(tagmask_session_map(session, "cam", 0, &map, &err), &err);
    return map;
}

// Before a global average pooling and one dense layer, CAM without rivals is Grad-CAM but for its scale.
static void cam_is_gradcam(void **state) {
    (void)state;
    tagmask_tensor cam = class_map("cam"), gradcam = class_map("gradcam");
    assert_int_equal(cam.dims[0], gradcam.dims[0]);
    assert_int_equal(cam.dims[1], gradcam.dims[1]);
    double r = test_correlation(cam.data, gradcam.data, (size_t)(cam.dims[0] * cam.dims[1]));
    if (!(r >= 0.9999)) fail_msg("cam and gradcam correlate %g", r);
    tagmask_tensor_release(&cam);
    tagmask_tensor_release(&gradcam);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps_are_those_of_the_peer), cmocka_unit_test(cam_is_gradcam)};
    return cmocka_run_group_tests(tests, open_photo, close_photo);
}
