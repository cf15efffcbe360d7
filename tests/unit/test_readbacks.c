// What of a photo comes back to the host between its upload and its probabilities. Class scores come with the
// classifier's passes, and of each class how much a pass sees of it: a few KB that choose which classes compete and
// which tags are refused. After them everything stays on the device, except two numbers a tag that tell whether its map
// shows anything, and in presets with crops of the photo around what is found: their boxes are found on the host in a
// small map.
#include <stdlib.h>
#include <string.h>

#include "mask/session.h"
#include "tiny_pack.h"

static tagmask_device *device;
static tagmask_engine *engine;
static uint64_t bytes_at_maps, bytes_at_mask;

static tm_gpu_stats stats(void) {
    return tm_gpu_get_stats(device->gpu);
}

static bool note_stage(void *user, float done, const char *stage) {
    (void)user, (void)done;
    if (!strcmp(stage, "maps") && !bytes_at_maps) bytes_at_maps = stats().readback_bytes;
    if (!strcmp(stage, "mask")) bytes_at_mask = stats().readback_bytes;
    return true;
}

// Bytes that come back: with the networks, with the maps and the CRF, with the probabilities.
typedef struct bytes_back {
    uint64_t networks, maps, probabilities, eighth;  // eighth: of a map at an eighth of the working size
    uint64_t pixels, views;
} bytes_back;

// Scales that come to the same size are one pass.
static uint64_t distinct_views(const tagmask_session *session) {
    uint64_t count = 0;
    for (size_t v = 0; v < session->classifier_count; v++) {
        size_t first = 0;
        while (session->parts[first].view != session->parts[v].view) first++;
        count += first == v;
    }
    return count;
}

static bytes_back propose(const char *preset, const char *const *tags, size_t tag_count) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_session *session = NULL;
    tagmask_result *result = NULL;
    tagmask_image photo = tiny_photo();
    tagmask_params params = {.struct_size = sizeof params, .preset = preset, .progress = note_stage};
    bytes_at_maps = bytes_at_mask = 0;
    uint64_t before = stats().readback_bytes;
    assert_ok(tagmask_session_create(engine, &photo, &session, &err), &err);
    assert_ok(tagmask_propose(session, tags, tag_count, &params, &result, &err), &err);
    uint64_t width = tm_div_up(session->work.width, 8), height = tm_div_up(session->work.height, 8);
    bytes_back back = {.networks = bytes_at_maps - before,
                       .maps = bytes_at_mask - bytes_at_maps,
                       .probabilities = stats().readback_bytes - bytes_at_mask,
                       .eighth = width * height * sizeof(float),
                       .pixels = (uint64_t)photo.width * photo.height,
                       .views = distinct_views(session)};
    tagmask_result_free(result);
    tagmask_session_free(session);
    return back;
}

enum { CONTENT = 2 * sizeof(float), A_VIEW = 2 * TINY_CLASSES * sizeof(float) };
static const char *const tags[] = {"cat", "dog"};

static void maps_stay_on_the_device(void **state) {
    (void)state;
    bytes_back back = propose("fast", tags, 2);
    assert_true(back.views > 0);
    assert_int_equal(back.networks, back.views * A_VIEW);
    assert_int_equal(back.maps, 2 * CONTENT);
    assert_int_equal(back.probabilities, back.pixels * 2 * sizeof(float));
}

static void crops_follow_a_small_map(void **state) {
    (void)state;
    static const char *const presets[] = {"balanced", "best"};
    for (size_t i = 0; i < TM_ARRAY_LEN(presets); i++) {
        bytes_back back = propose(presets[i], tags, 2);
        assert_int_equal(back.networks, back.views * A_VIEW);
        assert_int_equal(back.maps, 2 * (CONTENT + back.eighth));
        assert_int_equal(back.probabilities, back.pixels * 2 * sizeof(float));
    }
}

static int set_up(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, tiny_classifier(), tiny_saliency(), &engine, &err), &err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_stay_on_the_device),
        cmocka_unit_test(crops_follow_a_small_map),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
