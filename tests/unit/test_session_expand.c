// Further views through the public interface: each kind changes the map, the same bits come out every time, in a new
// session and after other presets, and nothing runs twice.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tiny_pack.h"

static tagmask_device *device;
static tagmask_engine *engine;
static char *folder, *path;
static const char *tag;  // the most probable one: erasing goes on only while its class stands out

static int open_engine(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    folder = test_temporary_dir();
    path = tm_path_join(folder, "p.json");
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, tiny_classifier(), tiny_saliency(), &engine, &err), &err);
    tagmask_session *session = tiny_session(engine);
    size_t count;
    assert_ok(tagmask_session_auto_tags(session, NULL, 1, &tag, NULL, &count, &err), &err);
    tagmask_session_free(session);
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    free(folder);
    free(path);
    return 0;
}

// The CAM of the tag with a preset of these members; the dispatches of the proposal.
static float *cam_of(tagmask_session *session, const char *members, size_t *count, uint64_t *dispatches) {
    tm_error err = TAGMASK_ERROR_INIT;
    char text[256];
    (void)snprintf(text, sizeof text, "{\"preset\": \"fast\", \"working_size\": 256%s%s}", *members ? ", " : "",
                   members);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    const tagmask_params params = {.struct_size = sizeof params, .preset = path};
    tagmask_device_stats before = {.struct_size = sizeof before}, after = {.struct_size = sizeof after};
    tagmask_result *result = NULL;
    tagmask_tensor map = {.struct_size = sizeof map};
    assert_int_equal(tagmask_device_get_stats(device, &before), TAGMASK_OK);
    assert_ok(tagmask_propose(session, (const char *const[]){tag, "thing"}, 2, &params, &result, &err), &err);
    assert_int_equal(tagmask_device_get_stats(device, &after), TAGMASK_OK);
    if (dispatches) *dispatches = after.dispatches - before.dispatches;
    assert_ok(tagmask_session_map(session, "cam", 0, &map, &err), &err);
    *count = (size_t)(map.dims[0] * map.dims[1]);
    float *data = malloc(*count * sizeof *data);
    memcpy(data, map.data, *count * sizeof *data);
    tagmask_tensor_release(&map);
    tagmask_result_free(result);
    return data;
}

static const char *const kinds[] = {
    "\"turns\": [10, -7]",
    "\"shifts\": [0.1]",
    "\"cutouts\": 3",
    "\"mixup\": 0.5",
    "\"dilations\": [2]",
    "\"dilations\": [1, 2], \"dense\": true",
    "\"erase_steps\": 2, \"erase_stop\": 0",
    "\"drop_steps\": 2, \"erase_stop\": 0",
};

static void each_kind_changes_the_map(void **state) {
    (void)state;
    tagmask_session *kept = tiny_session(engine);
    size_t count, same_count;
    float *plain = cam_of(kept, "", &count, NULL);
    for (size_t k = 0; k < TM_ARRAY_LEN(kinds); k++) {
        uint64_t first, again;
        float *map = cam_of(kept, kinds[k], &same_count, &first);
        assert_int_equal(same_count, count);
        if (!memcmp(map, plain, count * sizeof *map)) fail_msg("%s changes nothing", kinds[k]);
        for (size_t i = 0; i < count; i++) assert_true(map[i] >= 0 && map[i] <= 1);
        // Bit for bit the same in a session that saw nothing else.
        tagmask_session *fresh = tiny_session(engine);
        float *other = cam_of(fresh, kinds[k], &same_count, NULL);
        assert_memory_equal(map, other, count * sizeof *map);
        free(other);
        tagmask_session_free(fresh);
        other = cam_of(kept, kinds[k], &same_count, &again);
        assert_memory_equal(map, other, count * sizeof *map);
        assert_int_equal(again, 0);
        free(other);
        free(map);
    }
    // And back: every view is still there.
    uint64_t dispatches;
    float *back = cam_of(kept, "", &same_count, &dispatches);
    assert_memory_equal(back, plain, count * sizeof *back);
    free(back);
    free(plain);
    tagmask_session_free(kept);
}

static void the_seed_draws_other_cells(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    size_t count;
    float *a = cam_of(session, "\"cutouts\": 2", &count, NULL);
    float *b = cam_of(session, "\"cutouts\": 2, \"seed\": 77", &count, NULL);
    assert_true(memcmp(a, b, count * sizeof *a) != 0);
    free(a);
    free(b);
    tagmask_session_free(session);
}

// A class that is gone without what is erased adds nothing: with the strictest rule the map stays as it is.
static void erasing_stops(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    size_t count;
    float *plain = cam_of(session, "", &count, NULL);
    float *map = cam_of(session, "\"erase_steps\": 4, \"erase_stop\": 1, \"erase_above\": 0.05", &count, NULL);
    assert_memory_equal(map, plain, count * sizeof *map);
    free(plain);
    free(map);
    tagmask_session_free(session);
}

static void doubt_moves_the_fused_map(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_session *session = tiny_session(engine);
    tagmask_tensor sure = {.struct_size = sizeof sure}, unsure = {.struct_size = sizeof unsure};
    size_t count;
    free(cam_of(session, "\"turns\": [20]", &count, NULL));
    assert_ok(tagmask_session_map(session, "fused", 0, &sure, &err), &err);
    free(cam_of(session, "\"turns\": [20], \"uncertainty\": 1, \"unary_centre\": 0.5", &count, NULL));
    assert_ok(tagmask_session_map(session, "fused", 0, &unsure, &err), &err);
    size_t moved = 0;
    for (size_t i = 0; i < count; i++) {
        float a = ((const float *)sure.data)[i] - 0.5f, b = ((const float *)unsure.data)[i] - 0.5f;
        assert_true(a * b >= 0 && (b < 0 ? -b : b) <= (a < 0 ? -a : a) + 1e-6f);
        moved += a != b;
    }
    assert_true(moved > 0);
    tagmask_tensor_release(&sure);
    tagmask_tensor_release(&unsure);
    tagmask_session_free(session);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_changes_the_map),
        cmocka_unit_test(the_seed_draws_other_cells),
        cmocka_unit_test(erasing_stops),
        cmocka_unit_test(doubt_moves_the_fused_map),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
