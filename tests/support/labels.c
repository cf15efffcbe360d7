#include "labels.h"

#include <stdlib.h>
#include <string.h>

void test_fill_box(uint8_t *map, uint32_t left, uint32_t top, uint32_t w, uint32_t h, uint8_t label) {
    for (uint32_t y = top; y < top + h; y++) memset(map + y * TEST_W + left, label, w);
}

void test_give_maps(tagmask_result *result) {
    static const float plane[] = {0, 0.25f, 0.5f, 1};
    result->map_width = result->map_height = 2;
    result->method = "cam";
    result->maps = malloc(result->tag_count * sizeof plane);
    for (size_t t = 0; t < result->tag_count; t++) memcpy(result->maps + 4 * t, plane, sizeof plane);
}

tagmask_result *test_result_of(const uint8_t *map, const char *const *tags, size_t count) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    uint8_t *labels = malloc(TEST_PIXELS);
    float *probability = malloc(sizeof(float) * TEST_PIXELS * count);
    memcpy(labels, map, TEST_PIXELS);
    for (size_t i = 0; i < TEST_PIXELS * count; i++)
        probability[i] = map[i % (TEST_PIXELS)] == i / (TEST_PIXELS) + 1 ? 0.75f : 0.125f;
    assert_ok(
        tm_result_create(TEST_W, TEST_H, tags, NULL, count, probability, labels, (tm_region_rules){0}, &result, &err),
        &err);
    test_give_maps(result);
    return result;
}

tagmask_result *test_example(const char *second_tag) {
    const char *const tags[] = {"cat", second_tag};
    uint8_t map[TEST_PIXELS] = {0};
    test_fill_box(map, 2, 2, 14, 12, 1);
    test_fill_box(map, 6, 5, 5, 5, 0);
    test_fill_box(map, 20, 4, 6, 6, 1);
    test_fill_box(map, 22, 16, 12, 10, 2);
    return test_result_of(map, tags, 2);
}

tagmask_result *test_one_bird(void) {
    static const char *const tags[] = {"bird"};
    uint8_t map[TEST_PIXELS] = {0};
    test_fill_box(map, 30, 2, 8, 7, 1);
    return test_result_of(map, tags, 1);
}

void test_assert_same_masks(const tagmask_result *a, const tagmask_result *b) {
    assert_int_equal(tagmask_result_width(a), tagmask_result_width(b));
    assert_int_equal(tagmask_result_height(a), tagmask_result_height(b));
    size_t count = (size_t)tagmask_result_width(a) * tagmask_result_height(a);
    for (size_t i = 0; i < count; i++) {
        uint8_t p = tagmask_result_labels(a)[i], q = tagmask_result_labels(b)[i];
        assert_int_equal(!p, !q);
        if (p) assert_string_equal(tagmask_result_tag(a, p - 1u), tagmask_result_tag(b, q - 1u));
    }
}

char *test_read_text(const char *dir, const char *name) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *data = NULL;
    size_t size;
    char *path = tm_path_join(dir, name);
    assert_ok(tm_read_file(path, 1 << 24, &data, &size, &err), &err);
    free(path);
    return (char *)data;
}

void test_write_text(const char *dir, const char *name, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(dir, name);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    free(path);
}

cJSON *test_read_json(const char *dir, const char *name) {
    char *text = test_read_text(dir, name);
    cJSON *json = cJSON_Parse(text);
    if (!json) fail_msg("%s is no JSON: %s", name, text);
    free(text);
    return json;
}

void test_write_json(const char *dir, const char *name, cJSON *json) {
    char *text = cJSON_Print(json);
    test_write_text(dir, name, text);
    cJSON_free(text);
    cJSON_Delete(json);
}

cJSON *test_member(const cJSON *object, const char *key) {
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("no member %s", key);
    return item;
}

void test_flip_ring(uint8_t *map, const double *points, int count) {
    for (int i = 0; i < count; i++) {
        const double *a = points + 2 * i, *b = points + 2 * ((i + 1) % count);
        for (int y = 0; y < TEST_H; y++) {
            if ((a[1] <= y + 0.5) == (b[1] <= y + 0.5)) continue;
            double cut = a[0] + (y + 0.5 - a[1]) * (b[0] - a[0]) / (b[1] - a[1]);
            for (int x = 0; x < TEST_W; x++) map[y * TEST_W + x] ^= x + 0.5 > cut;
        }
    }
}

int test_numbers_of(const cJSON *list, double *out) {
    const cJSON *item;
    int count = 0;
    cJSON_ArrayForEach(item, list) {
        if (cJSON_IsArray(item)) {
            count += test_numbers_of(item, out + count);
        } else {
            out[count++] = item->valuedouble;
        }
    }
    return count;
}
