// Tests of map shaders: an open recording, maps in scratch memory, and what came out.
#ifndef MAP_CASE_H
#define MAP_CASE_H

#include "mask/maps.h"
#include "support.h"

typedef struct map_case {
    tm_scratch scratch;
    tm_work work;
    tm_error err;
} map_case;

int map_case_open(void **state);
int map_case_close(void **state);
#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, map_case_open, map_case_close)

tm_map device_map(map_case *f, uint32_t width, uint32_t height, const void *data);
// Submits what was recorded and returns the map, malloc'ed; the recorder is gone then.
void *fetch(map_case *f, const tm_map *map);

uint32_t *random_image(uint64_t seed, uint32_t width, uint32_t height);  // packed, malloc'ed
void min_max(float *map, int count);

#endif
