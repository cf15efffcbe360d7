#include "map_case.h"

#include <math.h>
#include <stdlib.h>

int map_case_open(void **state) {
    map_case *f = calloc(1, sizeof *f);
    f->scratch.gpu = test_gpu();
    assert_ok(tm_work_begin(&f->work, test_gpu(), &f->scratch, &f->err), &f->err);
    *state = f;
    return 0;
}

int map_case_close(void **state) {
    map_case *f = *state;
    tm_work_abandon(&f->work);
    tm_scratch_free(&f->scratch);
    free(f);
    return 0;
}

tm_map device_map(map_case *f, uint32_t width, uint32_t height, const void *data) {
    tm_map map;
    assert_ok(tm_scratch_map(&f->work, width, height, &map, &f->err), &f->err);
    if (data) assert_ok(tm_upload(f->work.recorder, map.slice, data, &f->err), &f->err);
    return map;
}

// Submits what was recorded and returns the map; the fixture's recorder is gone then.
void *fetch(map_case *f, const tm_map *map) {
    void *data = malloc(map->slice.size);
    assert_ok(tm_readback(f->work.recorder, map->slice, data, &f->err), &f->err);
    assert_ok(tm_work_finish(&f->work, &f->err), &f->err);
    return data;
}

uint32_t *random_image(uint64_t seed, uint32_t width, uint32_t height) {
    test_random random = {seed};
    uint32_t *image = calloc((size_t)width * height, sizeof *image);
    for (uint32_t i = 0; i < width * height; i++) image[i] = (uint32_t)test_uniform(&random, 0, 16777215);
    return image;
}

void min_max(float *map, int count) {
    float low = INFINITY, high = -INFINITY;
    for (int i = 0; i < count; i++) {
        low = fminf(low, map[i]);
        high = fmaxf(high, map[i]);
    }
    for (int i = 0; i < count; i++) map[i] = (map[i] - low) / (high - low);
}
