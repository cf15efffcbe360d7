// Buffers, transfers, dispatches, specialization constants, texel buffers, read-backs, errors.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define COUNT 5000

typedef struct push_axpb {
    uint32_t count;
    float a, b;
} push_axpb;

static tm_buffer *make(uint64_t size) {
    tm_buffer *buffer;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_buffer_create(test_gpu(), size, TM_MEMORY_DEVICE, &buffer, &err), &err);
    return buffer;
}

static tm_recorder *begin(void) {
    tm_recorder *recorder;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_recorder_begin(test_gpu(), &recorder, &err), &err);
    return recorder;
}

static void axpb(tm_recorder *recorder, tm_slice x, tm_slice y, float scale, float a, float b) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint32_t count = (uint32_t)(x.size / 4), constants[2] = {32};
    memcpy(&constants[1], &scale, 4);
    push_axpb push = {count, a, b};
    tm_dispatch_info info = {.bindings = {x, y},
                             .push = &push,
                             .push_size = sizeof push,
                             .groups = {tm_div_up(count, 32), 1, 1},
                             .flops = 2.0 * count,
                             .label = "axpb"};
    assert_ok(tm_pipeline_get(test_gpu(), "gpu/axpb", constants, 2, &info.pipeline, &err), &err);
    assert_ok(tm_dispatch(recorder, &info, &err), &err);
}

static void in_place(tm_recorder *recorder, tm_slice x, float a, float b) {
    tm_error err = TAGMASK_ERROR_INIT;
    push_axpb push = {(uint32_t)(x.size / 4), a, b};
    tm_dispatch_info info = {
        .bindings = {x}, .push = &push, .push_size = sizeof push, .groups = {tm_div_up(push.count, 64), 1, 1}};
    assert_ok(tm_pipeline_get(test_gpu(), "gpu/in_place", NULL, 0, &info.pipeline, &err), &err);
    assert_ok(tm_dispatch(recorder, &info, &err), &err);
}

static void test_chain(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    float *data = test_noise(1, COUNT, -1, 1), *out = malloc(4 * COUNT), *expected = malloc(4 * COUNT);
    tm_buffer *x = make(4 * COUNT), *y = make(4 * COUNT);
    tm_recorder *recorder = begin();
    assert_ok(tm_upload(recorder, tm_slice_all(x), data, &err), &err);
    axpb(recorder, tm_slice_all(x), tm_slice_all(y), 2, 3, 1);
    for (int i = 0; i < 50; i++) in_place(recorder, tm_slice_all(y), 0.5f, 1);
    assert_ok(tm_readback(recorder, tm_slice_all(y), out, &err), &err);
    in_place(recorder, tm_slice_all(y), 0, 7);  // after the read-back: must not change what it returns
    assert_ok(tm_recorder_finish(recorder, &err), &err);
    for (int i = 0; i < COUNT; i++) {
        expected[i] = 6 * data[i] + 1;
        for (int k = 0; k < 50; k++) expected[i] = 0.5f * expected[i] + 1;
    }
    assert_close(out, expected, COUNT, 1e-6);
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
    free(data);
    free(out);
    free(expected);
}

static void test_texel(void **state) {
    (void)state;
    enum { N = 300 };
    tm_error err = TAGMASK_ERROR_INIT;
    float *source = test_noise(2, 4 * N, -1, 1), *offsets = test_noise(3, 4 * N, -1, 1), out[4 * N], expected[4 * N];
    int32_t index[4 * N];
    for (int i = 0; i < 4 * N; i++) {
        index[i] = (i * 7) % N;
    }
    for (int i = 0; i < 4 * N; i++) expected[i] = source[4 * index[i / 4 * 4] + i % 4] + offsets[i];
    tm_buffer *buffers[4];
    for (int i = 0; i < 4; i++) buffers[i] = make(16 * N);
    tm_recorder *recorder = begin();
    assert_ok(tm_upload(recorder, tm_slice_all(buffers[0]), source, &err), &err);
    assert_ok(tm_upload(recorder, tm_slice_all(buffers[1]), index, &err), &err);
    assert_ok(tm_upload(recorder, tm_slice_all(buffers[2]), offsets, &err), &err);
    uint32_t count = N;
    tm_dispatch_info info = {.push = &count, .push_size = 4, .groups = {tm_div_up(N, 64), 1, 1}};
    for (int i = 0; i < 4; i++) info.bindings[i] = tm_slice_all(buffers[i]);
    assert_ok(tm_pipeline_get(test_gpu(), "gpu/texel", NULL, 0, &info.pipeline, &err), &err);
    assert_ok(tm_dispatch(recorder, &info, &err), &err);
    assert_ok(tm_readback(recorder, tm_slice_all(buffers[3]), out, &err), &err);
    assert_ok(tm_recorder_finish(recorder, &err), &err);
    assert_close(out, expected, 4 * N, 1e-6);
    for (int i = 0; i < 4; i++) tm_buffer_destroy(buffers[i]);
    free(source);
    free(offsets);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_texel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
