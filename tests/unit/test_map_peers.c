// Map methods against numbers that pytorch-grad-cam 1.5.5 made of a small network and a picture: tests/data/maps,
// written by tests/peers/compare_gradcam.py.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/image.h"
#include "mask/map_table.h"
#include "mask/session.h"
#include "support.h"

#define FOLDER TEST_DATA "/maps"

typedef struct record {
    char method[32], layer[128];
    int32_t row, height, width;
    const float *map;
} record;

static const uint8_t *take(const uint8_t *at, const uint8_t *end, void *to, size_t size) {
    assert_true((size_t)(end - at) >= size);
    memcpy(to, at, size);
    return at + size;
}

// The next record; NULL at the end.
static const uint8_t *next_record(const uint8_t *at, const uint8_t *end, record *r, float *room, size_t most) {
    int32_t head[5];
    if (at == end) return NULL;
    *r = (record){.map = room};
    at = take(at, end, head, sizeof head);
    assert_true(head[0] > 0 && (size_t)head[0] < sizeof r->method && head[1] > 0 && (size_t)head[1] < sizeof r->layer);
    r->row = head[2];
    r->height = head[3];
    r->width = head[4];
    assert_true(head[3] > 0 && head[4] > 0 && (size_t)head[3] * (size_t)head[4] <= most);
    at = take(at, end, r->method, (size_t)head[0]);
    at = take(at, end, r->layer, (size_t)head[1]);
    return take(at, end, room, (size_t)head[3] * (size_t)head[4] * 4);
}

// The view that the proposal made as the method's map.
static float *small_map(tagmask_session *session, const record *r) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_recorder *recorder = NULL;
    for (size_t v = 0; v < session->view_count; v++) {
        const tm_view *view = session->views[v];
        bool wanted = view->method && !strcmp(view->method->name, r->method) && (int32_t)view->row == r->row;
        const char *layer = *view->layer ? view->layer : tm_engine_features(session->engine);
        if (!wanted || strcmp(layer, r->layer)) continue;
        assert_int_equal(view->outputs[0].shape.dim[2], r->height);
        assert_int_equal(view->outputs[0].shape.dim[3], r->width);
        float *map = malloc(view->outputs[0].slice.size);
        assert_ok(tm_recorder_begin(session->engine->device->gpu, &recorder, &err), &err);
        assert_ok(tm_readback(recorder, view->outputs[0].slice, map, &err), &err);
        assert_ok(tm_recorder_finish(recorder, &err), &err);
        return map;
    }
    fail_msg("%s made no map of class %d at %s", r->method, (int)r->row, r->layer);
    return NULL;
}

// The largest difference of both maps, each over its largest value; sign: of the expected one, which is then cut off at
// 0.
static double difference(const float *got, const record *r, float sign) {
    size_t count = (size_t)r->height * (size_t)r->width;
    double peak = 0, wanted_peak = 0, worst = 0;
    for (size_t i = 0; i < count; i++) {
        peak = fmax(peak, got[i]);
        wanted_peak = fmax(wanted_peak, sign * r->map[i]);
    }
    for (size_t i = 0; i < count; i++) {
        double wanted = wanted_peak > 0 ? fmax(sign * r->map[i], 0) / wanted_peak : 0;
        worst = fmax(worst, fabs((peak > 0 ? got[i] / peak : 0) - wanted));
    }
    return worst;
}

static void propose(tagmask_session *session, const record *r) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    char tag[32];
    (void)snprintf(tag, sizeof tag, "thing %d", (int)r->row);
    const char *tags[] = {tag};
    const tagmask_params params = {
        .struct_size = sizeof params, .preset = FOLDER "/preset.json", .method = r->method, .layer = r->layer};
    assert_ok(tagmask_propose(session, tags, 1, &params, &result, &err), &err);
    tagmask_result_free(result);
}

static void maps_are_those_of_the_peer(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_image picture = {.struct_size = sizeof picture};
    static float room[64 * 64];
    uint8_t *bytes;
    size_t size, records = 0, flat = 0;
    record r;
    assert_ok(tm_read_file(FOLDER "/maps.bin", 1 << 20, &bytes, &size, &err), &err);
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, FOLDER, "none", &engine, &err), &err);
    assert_ok(tagmask_image_read(FOLDER "/picture.png", &picture, &err), &err);
    assert_ok(tagmask_session_create(engine, &picture, &session, &err), &err);
    const uint8_t *at = bytes, *end = bytes + size;
    while ((at = next_record(at, end, &r, room, TM_ARRAY_LEN(room))) != NULL) {
        propose(session, &r);
        float *got = small_map(session, &r), peak = 0;
        double worst = difference(got, &r, 1);
        // A principal component has no sign of its own.
        if (!strncmp(r.method, "eigen", 5)) worst = fmin(worst, difference(got, &r, -1));
        if (!(worst <= 1e-3)) fail_msg("%s, class %d, %s: differs by %g", r.method, (int)r.row, r.layer, worst);
        for (int32_t i = 0; i < r.height * r.width; i++) peak = fmaxf(peak, got[i]);
        flat += !(peak > 0);
        records++;
        free(got);
    }
    assert_true(records >= 20 && flat <= records / 4);
    tagmask_session_free(session);
    tagmask_image_release(&picture);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps_are_those_of_the_peer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
