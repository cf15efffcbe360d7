// .npy files: round trips, the element types that are widened, Fortran order, and headers that lie.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"
#include "support.h"

static void round_trip(void **state) {
    (void)state;
    static const struct {
        tagmask_dtype dtype;
        size_t size;
    } types[] = {{TAGMASK_FLOAT32, 4}, {TAGMASK_UINT8, 1}, {TAGMASK_INT8, 1},
                 {TAGMASK_INT32, 4},   {TAGMASK_INT64, 8}, {TAGMASK_BOOL, 1}};
    static const struct {
        int32_t rank;
        int64_t dims[8];
        size_t count;
    } shapes[] = {{0, {0}, 1}, {1, {5}, 5}, {3, {2, 3, 4}, 24}, {2, {0, 7}, 0}, {8, {1, 2, 1, 2, 1, 2, 1, 2}, 16}};
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "a.npy");
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t data[24 * 8];
    for (size_t t = 0; t < TM_ARRAY_LEN(types); t++) {
        for (size_t s = 0; s < TM_ARRAY_LEN(shapes); s++) {
            for (size_t i = 0; i < sizeof data; i++)
                data[i] = (uint8_t)(types[t].dtype == TAGMASK_BOOL ? i & 1 : i * 7);
            tagmask_tensor out = {sizeof out, NULL, types[t].dtype, shapes[s].rank, {0}, data}, in;
            memcpy(out.dims, shapes[s].dims, sizeof out.dims);
            assert_ok(tm_npy_write(path, &out, &err), &err);
            assert_ok(tm_npy_read(path, &in, &err), &err);
            assert_int_equal(in.dtype, out.dtype);
            assert_int_equal(in.rank, out.rank);
            for (int32_t i = 0; i < in.rank; i++) assert_int_equal(in.dims[i], out.dims[i]);
            assert_memory_equal(in.data, data, shapes[s].count * types[t].size);
            free(in.data);
        }
    }
    free(path);
    free(dir);
}

// Bytes that numpy.save writes for arange(3, dtype=float32), so that a header we write is numpy's own.
static void header_is_numpys(void **state) {
    (void)state;
    char *dir = test_temporary_dir(), *path = tm_path_join(dir, "a.npy");
    tm_error err = TAGMASK_ERROR_INIT;
    float values[] = {0, 1, 2};
    tagmask_tensor tensor = {sizeof tensor, NULL, TAGMASK_FLOAT32, 1, {3}, values};
    assert_ok(tm_npy_write(path, &tensor, &err), &err);
    uint8_t *bytes;
    size_t size;
    assert_ok(tm_read_file(path, 1000, &bytes, &size, &err), &err);
    char expected[129];
    snprintf(expected, sizeof expected, "%-117s\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
    assert_int_equal(size, 128 + 12);
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(bytes + 10, expected, 118);
    assert_memory_equal(bytes + 128, values, 12);
    free(bytes);
    free(path);
    free(dir);
}

// A file with the given version, header text and data.
static size_t make(uint8_t *out, int version, const char *text, const void *data, size_t size) {
    size_t length = strlen(text), start = version == 1 ? 10 : 12;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)version, out[7] = 0;
    for (size_t i = 8; i < start; i++) out[i] = (uint8_t)(length >> 8 * (i - 8));
    memcpy(out + start, text, length);
    if (size) memcpy(out + start + length, data, size);
    return start + length + size;
}

static void widened_types(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor t;
    uint8_t file[512];
    const double f8[] = {0.5, -3};
    size_t size = make(file, 2, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", f8, sizeof f8);
    assert_ok(tm_npy_parse("a", file, size, &t, &err), &err);
    assert_int_equal(t.dtype, TAGMASK_FLOAT32);
    assert_true(((float *)t.data)[0] == 0.5f && ((float *)t.data)[1] == -3);
    free(t.data);
    const uint16_t f2[] = {0x3c00, 0xc000, 0x0001, 0x7c00, 0x7e00, 0x8000, 0x7bff};
    size = make(file, 3, "{\"shape\": (7L,), \"descr\": \"<f2\", \"fortran_order\": False}\n", f2, sizeof f2);
    assert_ok(tm_npy_parse("a", file, size, &t, &err), &err);
    const float *f = t.data;
    assert_true(f[0] == 1 && f[1] == -2 && f[2] == 0x1p-24f && isinf(f[3]) && isnan(f[4]) && f[5] == 0 &&
                signbit(f[5]));
    assert_true(f[6] == 65504);
    free(t.data);
    const int16_t i2[] = {-2, 300};
    size = make(file, 1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}", i2, sizeof i2);
    assert_ok(tm_npy_parse("a", file, size, &t, &err), &err);
    assert_true(t.dtype == TAGMASK_INT32 && ((int32_t *)t.data)[0] == -2 && ((int32_t *)t.data)[1] == 300);
    free(t.data);
    const uint16_t u2[] = {65535};
    size = make(file, 1, "{'descr': '<u2', 'fortran_order': False, 'shape': ()}", u2, sizeof u2);
    assert_ok(tm_npy_parse("a", file, size, &t, &err), &err);
    assert_true(t.dtype == TAGMASK_INT32 && t.rank == 0 && *(int32_t *)t.data == 65535);
    free(t.data);
    const uint32_t u4[] = {4000000000u};
    size = make(file, 1, "{'descr': '<u4', 'fortran_order': False, 'shape': (1,1)}", u4, sizeof u4);
    assert_ok(tm_npy_parse("a", file, size, &t, &err), &err);
    assert_true(t.dtype == TAGMASK_INT64 && *(int64_t *)t.data == 4000000000);
    free(t.data);
    const uint8_t b1[] = {0, 7};
    size = make(file, 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", b1, sizeof b1);
    assert_ok(tm_npy_parse("a", file, size, &t, &err), &err);
    assert_true(((uint8_t *)t.data)[0] == 0 && ((uint8_t *)t.data)[1] == 1);
    free(t.data);
}

static void fortran_order(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor t;
    uint8_t file[512];
    const int32_t columns[] = {0, 10, 1, 11, 2, 12};
    size_t size = make(file, 1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }", columns, sizeof columns);
    assert_ok(tm_npy_parse("a", file, size, &t, &err), &err);
    const int32_t rows[] = {0, 1, 2, 10, 11, 12};
    assert_memory_equal(t.data, rows, sizeof rows);
    free(t.data);
    size = make(file, 1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 0), }", NULL, 0);
    assert_ok(tm_npy_parse("a", file, size, &t, &err), &err);
    free(t.data);
}

static void hostile_headers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        tagmask_status status;
    } cases[] = {
        {"", TAGMASK_ERROR_FORMAT},
        {"{}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), ", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296,4294967296,4294967296)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0,4294967296,4294967296)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': 1, 'shape': (2,)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", TAGMASK_ERROR_FORMAT},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", TAGMASK_ERROR_UNSUPPORTED},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", TAGMASK_ERROR_UNSUPPORTED},
        {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", TAGMASK_ERROR_UNSUPPORTED},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", TAGMASK_ERROR_UNSUPPORTED},
    };
    const float data[2] = {1, 2};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_tensor t = {.rank = 77};
        uint8_t file[512];
        size_t size = make(file, 1, cases[i].text, data, sizeof data);
        assert_int_equal(tm_npy_parse("bad.npy", file, size, &t, &err), cases[i].status);
        assert_non_null(strstr(err.message, "bad.npy"));
        assert_int_equal(t.rank, 77);
    }
}

// Each prefix lies in its own allocation, so that a sanitizer sees a read beyond it.
static void every_truncation_is_an_error(void **state) {
    (void)state;
    const float data[2] = {1, 2};
    uint8_t file[512];
    for (int version = 1; version <= 4; version++) {
        size_t size = make(file, version, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", data, 8);
        for (size_t cut = 0; cut < size + (version == 4); cut++) {
            tagmask_tensor t;
            tm_error err = TAGMASK_ERROR_INIT;
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, file, cut);
            assert_int_not_equal(tm_npy_parse("cut.npy", part, cut, &t, &err), TAGMASK_OK);
            assert_true(err.message[0]);
            free(part);
        }
    }
}

static void files_that_cannot_be(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *dir = test_temporary_dir(), *missing = tm_path_join(dir, "missing.npy"),
         *deep = tm_path_join(dir, "no/x.npy");
    tagmask_tensor t;
    assert_int_equal(tm_npy_read(missing, &t, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "missing.npy"));
    assert_int_equal(tm_npy_read(dir, &t, &err), TAGMASK_ERROR_FILE);
    float value = 1;
    t = (tagmask_tensor){sizeof t, NULL, TAGMASK_FLOAT32, 0, {0}, &value};
    assert_int_equal(tm_npy_write(deep, &t, &err), TAGMASK_ERROR_FILE);
    t.rank = 9;
    assert_int_equal(tm_npy_write(missing, &t, &err), TAGMASK_ERROR_ARGUMENT);
    t.rank = 1, t.dims[0] = -1;
    assert_int_equal(tm_npy_write(missing, &t, &err), TAGMASK_ERROR_ARGUMENT);
    t.dims[0] = 1, t.dtype = (tagmask_dtype)99;
    assert_int_equal(tm_npy_write(missing, &t, &err), TAGMASK_ERROR_ARGUMENT);
    assert_false(tm_file_exists(missing));
    free(missing);
    free(deep);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),           cmocka_unit_test(header_is_numpys),
        cmocka_unit_test(widened_types),        cmocka_unit_test(fortran_order),
        cmocka_unit_test(hostile_headers),      cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(files_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
