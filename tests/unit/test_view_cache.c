// The file that keeps outputs of the networks: only a whole file of its own photo, view, device and version counts.
#include <stdlib.h>
#include <string.h>

#include "mask/view_cache.h"
#include "support.h"

static const tm_view_key key = {.photo = 11, .view = 12, .score_count = 3, .output_count = 2};

// Header, 3 scores, 1 x 4 x 2 x 3 and 1 x 5 x 1 x 2 floats.
static uint8_t *make_file(size_t *start, size_t *size) {
    const tm_tensor outputs[] = {{TM_FLOAT32, TM_LINEAR, {4, {1, 4, 2, 3}}, {0}},
                                 {TM_FLOAT32, TM_C4, {4, {1, 5, 1, 2}}, {0}}};
    uint8_t *file = tm_view_cache_encode(&key, outputs, start, size);
    assert_non_null(file);
    assert_int_equal(*size - *start, 4 * (3 + 24 + 16));
    for (size_t i = *start; i < *size; i++) file[i] = (uint8_t)i;
    tm_view_cache_seal(file, *size);
    return file;
}

static void whole_files_are_read(void **state) {
    (void)state;
    size_t start, size;
    uint8_t *file = make_file(&start, &size);
    tm_tensor outputs[TM_VIEW_OUTPUTS];
    assert_ptr_equal(tm_view_cache_decode(&key, file, size, outputs), file + start);
    assert_true(outputs[0].layout == TM_LINEAR && outputs[0].shape.dim[1] == 4 && outputs[0].shape.dim[3] == 3);
    assert_true(outputs[1].layout == TM_C4 && outputs[1].shape.dim[1] == 5 && outputs[1].shape.rank == 4);
    free(file);
}

static void damaged_files_are_not(void **state) {
    (void)state;
    size_t start, size;
    uint8_t *file = make_file(&start, &size);
    tm_tensor outputs[TM_VIEW_OUTPUTS];
    for (size_t cut = 0; cut < size; cut++) assert_null(tm_view_cache_decode(&key, file, cut, outputs));
    for (size_t bit = 0; bit < 8 * size; bit++) {  // the header, too: a shape that is turned has as many bytes
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (tm_view_cache_decode(&key, file, size, outputs)) fail_msg("bit %zu is not noticed", bit);
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(file);
}

static void files_of_others_are_not(void **state) {
    (void)state;
    size_t start, size;
    uint8_t *file = make_file(&start, &size);
    tm_tensor outputs[TM_VIEW_OUTPUTS];
    const tm_view_key others[] = {{13, 12, 3, 2}, {11, 13, 3, 2}, {11, 12, 2, 2}, {11, 12, 3, 1}};
    for (size_t i = 0; i < TM_ARRAY_LEN(others); i++) {
        assert_null(tm_view_cache_decode(&others[i], file, size, outputs));
    }
    free(file);
}

// Shapes that cannot be, under a right checksum.
static void impossible_shapes_are_not(void **state) {
    (void)state;
    static const int64_t bad[] = {0, -1, 5, INT64_MAX, (int64_t)1 << 32};
    size_t start, size;
    uint8_t *file = make_file(&start, &size);
    tm_tensor outputs[TM_VIEW_OUTPUTS];
    size_t dims = start - 2 * (8 + 8 * TM_MAX_RANK) + 8;  // of the first output
    for (size_t i = 0; i < 4 * TM_ARRAY_LEN(bad); i++) {
        uint8_t *at = file + dims + 8 * (i % 4), before[8];
        memcpy(before, at, 8);
        memcpy(at, &bad[i / 4], 8);
        tm_view_cache_seal(file, size);
        if (tm_view_cache_decode(&key, file, size, outputs)) fail_msg("case %zu is accepted", i);
        memcpy(at, before, 8);
    }
    tm_view_cache_seal(file, size);
    assert_non_null(tm_view_cache_decode(&key, file, size, outputs));
    free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_files_are_read),
        cmocka_unit_test(damaged_files_are_not),
        cmocka_unit_test(files_of_others_are_not),
        cmocka_unit_test(impossible_shapes_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
