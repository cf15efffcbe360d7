// Failures: memory budget, injected allocation failures, device loss, time-outs. Each is told apart, each leaves
// nothing behind.
#include "test_gpu.h"

static tm_gpu *open_with(const char *variable, const char *value) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = NULL;
    if (variable) setenv(variable, value, 1);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    if (variable) unsetenv(variable);
    return gpu;
}

static void test_memory_limit(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = open_with("TAGMASK_MEMORY_LIMIT", "64");
    tm_buffer *refused = NULL, *first = make_buffer(gpu, 40 << 20);
    assert_int_equal(tm_buffer_create(gpu, 40 << 20, TM_MEMORY_DEVICE, &refused, &err), TAGMASK_ERROR_DEVICE_MEMORY);
    assert_null(refused);
    assert_non_null(strstr(err.message, "TAGMASK_MEMORY_LIMIT=64"));
    tm_buffer *small = make_buffer(gpu, 1000);
    tm_buffer_destroy(first);
    tm_buffer *second = make_buffer(gpu, 40 << 20);
    tm_buffer_destroy(second);
    tm_buffer_destroy(small);
    assert_int_equal(tm_gpu_get_stats(gpu).bytes_now, 0);
    assert_int_equal(tm_gpu_get_stats(gpu).allocations, 0);
    assert_in_range(tm_gpu_get_stats(gpu).bytes_peak, 40 << 20, 64 << 20);
    tm_gpu_close(gpu);
}

static void test_impossible_sizes(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = open_with(NULL, NULL);
    const uint64_t sizes[] = {tm_gpu_get_info(gpu)->device_memory, tm_gpu_get_info(gpu)->device_memory + 1,
                              (uint64_t)1 << 47};
    for (size_t i = 0; i < TM_ARRAY_LEN(sizes); i++) {
        tm_buffer *buffer = NULL;
        err.message[0] = 0;
        assert_int_equal(tm_buffer_create(gpu, sizes[i], TM_MEMORY_DEVICE, &buffer, &err), TAGMASK_ERROR_DEVICE_MEMORY);
        assert_non_null(strstr(err.message, "MiB"));
    }
    assert_int_equal(tm_gpu_get_stats(gpu).bytes_now, 0);
    tm_gpu_close(gpu);
}

// Buffers of all sizes made and freed in mixed order: none overlaps another, and all memory returns.
static void test_sub_allocation(void **state) {
    (void)state;
    enum { BUFFERS = 120, ROUNDS = 600 };
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = open_with(NULL, NULL);
    tm_buffer *buffers[BUFFERS] = {NULL};
    uint32_t state_of_noise = 1;
    for (int i = 0; i < ROUNDS; i++) {
        state_of_noise = state_of_noise * 1664525u + 1013904223u;
        size_t at = state_of_noise >> 8, size = 4 + at % (i % 50 ? 40000 : 3000000);
        at %= BUFFERS;
        tm_buffer_destroy(buffers[at]);
        buffers[at] = NULL;
        if (i % 3 == 0) continue;
        assert_ok(tm_buffer_create(gpu, size, TM_MEMORY_UPLOAD, &buffers[at], &err), &err);
        memset(tm_buffer_mapped(buffers[at]), (int)at + 1, size);
    }
    for (int i = 0; i < BUFFERS; i++) {
        const uint8_t *bytes = buffers[i] ? tm_buffer_mapped(buffers[i]) : NULL;
        for (uint64_t k = 0; bytes && k < tm_buffer_size(buffers[i]); k++) assert_int_equal(bytes[k], i + 1);
        tm_buffer_destroy(buffers[i]);
    }
    assert_int_equal(tm_gpu_get_stats(gpu).bytes_now, 0);
    tm_gpu_close(gpu);
}

static tagmask_status run_once(tm_gpu *gpu, tm_error *err) {
    tm_buffer *x = NULL, *y = NULL;
    tm_recorder *recorder = NULL;
    float data[64] = {1}, out[64];
    tagmask_status status = tm_buffer_create(gpu, 256, TM_MEMORY_DEVICE, &x, err);
    if (!status) status = tm_buffer_create(gpu, 256, TM_MEMORY_DEVICE, &y, err);
    if (!status) status = tm_recorder_begin(gpu, &recorder, err);
    if (!status) status = tm_fill(recorder, tm_slice_all(x), 0, err);
    if (!status) status = tm_upload(recorder, tm_slice_all(x), data, err);
    if (!status) status = tm_copy(recorder, tm_slice_all(x), tm_slice_all(y), err);
    if (!status) status = tm_readback(recorder, tm_slice_all(y), out, err);
    if (!status) {
        status = tm_recorder_finish(recorder, err);
        if (!status) assert_memory_equal(data, out, sizeof data);
    } else {
        tm_recorder_abandon(recorder);
    }
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
    return status;
}

static void test_allocation_failures(void **state) {
    (void)state;
    tm_gpu *gpu = open_with("TAGMASK_DISABLE", "unified");
    int failures = 0;
    for (uint64_t nth = 1;; nth++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tm_gpu_inject(TM_FAULT_ALLOCATION, nth);
        tagmask_status status = run_once(gpu, &err);
        if (!status) break;
        assert_int_equal(status, TAGMASK_ERROR_DEVICE_MEMORY);
        assert_true(strlen(err.message) > 20);
        failures++;
    }
    tm_gpu_inject(TM_FAULT_ALLOCATION, 0);
    assert_int_equal(failures, 4);  // two buffers, staging for the upload and for the read-back
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(run_once(gpu, &err), &err);
    tm_gpu_close(gpu);
}

static void test_device_loss(void **state) {
    (void)state;
    for (uint64_t countdown = 1; countdown <= 3; countdown++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tm_gpu *gpu = open_with(NULL, NULL);
        tm_buffer *x = make_buffer(gpu, 4096);
        tm_gpu_inject(TM_FAULT_SUBMIT, countdown);
        tm_recorder *recorder = begin_recording(gpu), *next = NULL;
        uint32_t push[2] = {1024, 10};
        tm_dispatch_info info = {
            .bindings = {tm_slice_all(x)}, .push = push, .push_size = 8, .groups = {16, 1, 1}, .flops = 1e15};
        assert_ok(tm_pipeline_get(gpu, "gpu/spin", NULL, 0, &info.pipeline, &err), &err);
        tagmask_status status =
            TAGMASK_OK;  // each dispatch fills a submit, so the loss shows in the middle or at the end
        for (int i = 0; i < 3 && !status; i++) status = tm_dispatch(recorder, &info, &err);
        assert_int_equal(status, countdown < 3 ? TAGMASK_ERROR_DEVICE_LOST : TAGMASK_OK);
        assert_int_equal(tm_recorder_finish(recorder, &err), TAGMASK_ERROR_DEVICE_LOST);
        assert_non_null(strstr(err.message, "lost"));
        assert_int_equal(tm_recorder_begin(gpu, &next, &err), TAGMASK_ERROR_DEVICE_LOST);
        tm_buffer_destroy(x);
        tm_gpu_close(gpu);
    }
    tm_gpu_inject(TM_FAULT_SUBMIT, 0);
    tm_error err = TAGMASK_ERROR_INIT;  // a new device works
    tm_gpu *gpu = open_with(NULL, NULL);
    assert_ok(run_once(gpu, &err), &err);
    tm_gpu_close(gpu);
}

static void test_timeout(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = open_with("TAGMASK_TIMEOUT", "1");
    tm_buffer *x = make_buffer(gpu, 4 << 16);
    tm_recorder *recorder = begin_recording(gpu), *next = NULL;
    record_spin(recorder, tm_slice_all(x), 20000, 0);
    assert_int_equal(tm_recorder_finish(recorder, &err), TAGMASK_ERROR_TIMEOUT);
    assert_non_null(strstr(err.message, "in time"));
    tm_buffer_destroy(x);  // while the device still works on it
    assert_int_equal(tm_recorder_begin(gpu, &next, &err), TAGMASK_ERROR_DEVICE_LOST);
    tm_gpu_close(gpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_limit),   cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_sub_allocation), cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_device_loss),    cmocka_unit_test(test_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
