#include "map_records.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/map_table.h"

// layer: empty for a method that has none. A map of a layer is as large as the layer, before it is cut off below 0;
// without a layer it is the middle pixels of squares of the map.
typedef struct record {
    char method[32], layer[128];
    int32_t row, height, width;
    float map[64 * 64];
} record;

static const uint8_t *take(const uint8_t *at, const uint8_t *end, void *to, size_t size) {
    assert_true((size_t)(end - at) >= size);
    memcpy(to, at, size);
    return at + size;
}

static size_t places(const record *r) {
    return (size_t)r->height * (size_t)r->width;
}

// What follows it.
static const uint8_t *read_record(const uint8_t *at, const uint8_t *end, record *r) {
    int32_t head[5];
    memset(r, 0, sizeof *r);
    at = take(at, end, head, sizeof head);
    assert_true(head[0] > 0 && (size_t)head[0] < sizeof r->method && head[1] >= 0 &&
                (size_t)head[1] < sizeof r->layer && head[3] > 0 && head[4] > 0);
    r->row = head[2];
    r->height = head[3];
    r->width = head[4];
    assert_true(places(r) <= TM_ARRAY_LEN(r->map));
    at = take(at, end, r->method, (size_t)head[0]);
    at = take(at, end, r->layer, (size_t)head[1]);
    return take(at, end, r->map, places(r) * sizeof *r->map);
}

static const tm_view *find_view(const tagmask_session *session, const record *r) {
    for (size_t v = 0; v < session->view_count; v++) {
        const tm_view *view = session->views[v];
        const char *layer = *view->layer ? view->layer : tm_engine_features(session->engine);
        if (!view->method || strcmp(view->method->name, r->method) != 0) continue;
        bool of_class = !view->method->of_class || (int32_t)view->row == r->row;
        if (of_class && (!*r->layer || !strcmp(layer, r->layer))) return view;
    }
    fail_msg("%s made no map of class %d at '%s'", r->method, (int)r->row, r->layer);
    return NULL;
}

// What the proposal made as the method's map, at the record's places.
static float *read_map(tagmask_session *session, const record *r) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_recorder *recorder = NULL;
    const tm_tensor *made = &find_view(session, r)->outputs[0];
    size_t width = (size_t)made->shape.dim[3], side = *r->layer ? 1 : width / (size_t)r->width;
    assert_int_equal(width, side * (size_t)r->width);
    assert_int_equal(made->shape.dim[2], side * (size_t)r->height);
    float *whole = malloc(made->slice.size), *map = calloc(places(r), sizeof *map);
    assert_non_null(whole);
    assert_non_null(map);
    assert_ok(tm_recorder_begin(session->engine->device->gpu, &recorder, &err), &err);
    assert_ok(tm_readback(recorder, made->slice, whole, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
    for (size_t i = 0; i < places(r); i++) {
        size_t y = i / (size_t)r->width, x = i % (size_t)r->width;
        map[i] = whole[(y * side + side / 2) * width + x * side + side / 2];
    }
    free(whole);
    return map;
}

typedef struct range {
    double low, high;
} range;

static range find_range(const float *map, size_t count, float sign) {
    range found = {INFINITY, 0};
    for (size_t i = 0; i < count; i++) {
        found.low = fmin(found.low, fmax(sign * map[i], 0));
        found.high = fmax(found.high, sign * map[i]);
    }
    return found;
}

static double normalized(float value, range of) {
    double above = value < 0 ? 0 : value;  // a NaN stays
    return of.high > of.low ? (above - of.low) / (of.high - of.low) : 0;
}

// The largest difference of both maps, cut off below 0 and min-max normalized; sign: of the record's.
static double difference(const float *got, const record *r, float sign) {
    range made = find_range(got, places(r), 1), wanted = find_range(r->map, places(r), sign);
    double worst = 0;
    for (size_t i = 0; i < places(r); i++) {
        double off = fabs(normalized(got[i], made) - normalized(sign * r->map[i], wanted));
        worst = fmax(worst, isnan(off) ? INFINITY : off);
    }
    return worst;
}

static void propose(tagmask_session *session, const char *folder, const char *prefix, const record *r) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    char *tag = tm_format("%s%d", prefix, (int)r->row), *preset = tm_path_join(folder, "preset.json");
    const char *tags[] = {tag};
    const tagmask_params params = {
        .struct_size = sizeof params, .preset = preset, .method = r->method, .layer = *r->layer ? r->layer : NULL};
    assert_ok(tagmask_propose(session, tags, 1, &params, &result, &err), &err);
    tagmask_result_free(result);
    free(preset);
    free(tag);
}

// Whether the map shows a place.
static bool compare(tagmask_session *session, const record *r) {
    float *got = read_map(session, r);
    double worst = difference(got, r, 1);
    // A principal component has no sign of its own.
    if (!strncmp(r->method, "eigen", 5)) worst = fmin(worst, difference(got, r, -1));
    if (!(worst <= 1e-3)) fail_msg("%s, class %d, '%s': differs by %g", r->method, (int)r->row, r->layer, worst);
    bool shows = find_range(got, places(r), 1).high > 0;
    free(got);
    return shows;
}

void compare_with_records(tagmask_session *session, const char *folder, const char *prefix, size_t least) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, "maps.bin");
    uint8_t *bytes;
    size_t size, count = 0, flat = 0;
    static record r;
    assert_ok(tm_read_file(path, 1 << 20, &bytes, &size, &err), &err);
    for (const uint8_t *at = bytes; at < bytes + size; count++) {
        at = read_record(at, bytes + size, &r);
        propose(session, folder, prefix, &r);
        flat += !compare(session, &r);
    }
    assert_true(count >= least && flat <= count / 4);
    free(bytes);
    free(path);
}
