// Buffers, transfers, dispatches, read-backs, barriers: each with direct access to device memory, where the device
// offers it, and through staging memory (TAGMASK_DISABLE=unified).
#include "test_gpu.h"

#include <math.h>
#include <stdio.h>

#include "base/platform.h"
#include "gpu/internal.h"

#define COUNT 5000

static int open_plain(void **state) {
    tm_error err = TAGMASK_ERROR_INIT;
    unsetenv("TAGMASK_DISABLE");
    assert_ok(tm_gpu_open(NULL, (tm_gpu **)state, &err), &err);
    return 0;
}

static int open_staged(void **state) {
    tm_error err = TAGMASK_ERROR_INIT;
    setenv("TAGMASK_DISABLE", "budget, unified", 1);
    assert_ok(tm_gpu_open(NULL, (tm_gpu **)state, &err), &err);
    unsetenv("TAGMASK_DISABLE");
    assert_false(tm_gpu_get_info(*state)->unified_memory);
    assert_false(tm_gpu_get_info(*state)->memory_budget);
    return 0;
}

static int close_device(void **state) {
    assert_int_equal(tm_gpu_validation_errors(*state), 0);
    tm_gpu_close(*state);
    return 0;
}

static void test_chain(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    float *data = test_noise(1, COUNT, -1, 1), *out = malloc(4 * COUNT), *later = malloc(4 * COUNT);
    tm_buffer *x = make_buffer(gpu, 4 * COUNT), *y = make_buffer(gpu, 4 * COUNT);
    tm_recorder *recorder = begin_recording(gpu);
    assert_ok(tm_upload(recorder, tm_slice_all(x), data, &err), &err);
    record_axpb(recorder, tm_slice_all(x), tm_slice_all(y), 2, 3, 1);
    for (int i = 0; i < 50; i++) record_in_place(recorder, tm_slice_all(y), 0.5f, 1);
    assert_ok(tm_readback(recorder, tm_slice_all(y), out, &err), &err);
    record_in_place(recorder, tm_slice_all(y), 0, 7);  // after the read-back: it must not change what that returns
    assert_ok(tm_readback(recorder, (tm_slice){y, 4, 4 * COUNT - 4}, later, &err), &err);
    finish_recording(recorder);
    for (int i = 0; i < COUNT; i++) {
        float expected = 6 * data[i] + 1;
        for (int k = 0; k < 50; k++) expected = 0.5f * expected + 1;
        assert_true(fabsf(out[i] - expected) < 1e-5f);
        if (i + 1 < COUNT) assert_true(later[i] == 7);
    }
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
    free(data);
    free(out);
    free(later);
}

// Uploads into a range that recorded work still reads or that a read-back still has to return must come after them.
static void test_upload_order(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    float ones[64], twos[64], first[64], sum[64], last[64];
    for (int i = 0; i < 64; i++) ones[i] = 1, twos[i] = 2;
    tm_buffer *x = make_buffer(gpu, 256), *y = make_buffer(gpu, 256);
    tm_recorder *recorder = begin_recording(gpu);
    assert_ok(tm_upload(recorder, tm_slice_all(x), ones, &err), &err);
    assert_ok(tm_readback(recorder, tm_slice_all(x), first, &err), &err);
    assert_ok(tm_upload(recorder, tm_slice_all(x), twos, &err), &err);
    record_axpb(recorder, tm_slice_all(x), tm_slice_all(y), 1, 10, 0);
    assert_ok(tm_upload(recorder, tm_slice_all(x), ones, &err), &err);
    assert_ok(tm_readback(recorder, tm_slice_all(y), sum, &err), &err);
    assert_ok(tm_readback(recorder, tm_slice_all(x), last, &err), &err);
    finish_recording(recorder);
    for (int i = 0; i < 64; i++) assert_true(first[i] == 1 && sum[i] == 20 && last[i] == 1);
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
}

static void test_copy_and_fill(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    uint32_t out[256];
    tm_buffer *x = make_buffer(gpu, 1024), *y = make_buffer(gpu, 1024);
    tm_recorder *recorder = begin_recording(gpu);
    assert_ok(tm_fill(recorder, tm_slice_all(x), 5, &err), &err);
    assert_ok(tm_fill(recorder, (tm_slice){x, 100, 8}, 0xdeadbeef, &err), &err);
    assert_ok(tm_copy(recorder, tm_slice_all(x), tm_slice_all(y), &err), &err);
    assert_ok(tm_copy(recorder, (tm_slice){y, 100, 8}, (tm_slice){y, 0, 8}, &err), &err);
    assert_ok(tm_fill(recorder, tm_slice_all(x), 9, &err), &err);
    assert_ok(tm_readback(recorder, tm_slice_all(y), out, &err), &err);
    finish_recording(recorder);
    for (int i = 0; i < 256; i++) assert_int_equal(out[i], i < 2 || i == 25 || i == 26 ? 0xdeadbeef : 5);
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
}

// More than one piece of staging memory, and sizes that are no multiple of anything.
static void test_large_transfer(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    const size_t size = (70 << 20) + 3;
    uint8_t *data = malloc(size), *out = calloc(1, size);
    assert_non_null(data);
    assert_non_null(out);
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
    tm_buffer *x = make_buffer(gpu, size + 5);
    tm_recorder *recorder = begin_recording(gpu);
    assert_ok(tm_fill(recorder, (tm_slice){x, 0, 8}, 0, &err), &err);  // so that the upload goes through staging
    assert_ok(tm_upload(recorder, (tm_slice){x, 5, size}, data, &err), &err);
    assert_ok(tm_readback(recorder, (tm_slice){x, 5, size}, out, &err), &err);
    finish_recording(recorder);
    assert_memory_equal(data, out, size);
    tm_buffer_destroy(x);
    assert_true(tm_gpu_get_stats(gpu).bytes_now <= 16 << 20);  // large staging memory is not kept
    free(data);
    free(out);
}

static void test_mapped(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_buffer *from, *to, *device = make_buffer(gpu, 256);
    assert_ok(tm_buffer_create(gpu, 256, TM_MEMORY_UPLOAD, &from, &err), &err);
    assert_ok(tm_buffer_create(gpu, 256, TM_MEMORY_READBACK, &to, &err), &err);
    assert_null(tm_buffer_mapped(device));
    assert_int_equal(tm_buffer_size(from), 256);
    float *in = tm_buffer_mapped(from);
    const float *out = tm_buffer_mapped(to);
    assert_non_null(in);
    assert_non_null(out);
    for (int i = 0; i < 64; i++) in[i] = (float)i;
    tm_recorder *recorder = begin_recording(gpu);
    record_axpb(recorder, tm_slice_all(from), tm_slice_all(device), 1, 2, 1);
    record_axpb(recorder, tm_slice_all(device), tm_slice_all(to), 1, 1, 1);
    finish_recording(recorder);
    for (int i = 0; i < 64; i++) assert_true(out[i] == 2 * (float)i + 2);
    tm_buffer_destroy(from);
    tm_buffer_destroy(to);
    tm_buffer_destroy(device);
    tm_buffer_destroy(NULL);
}

static void test_texel(void **state) {
    enum { N = 300 };
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    float *source = test_noise(2, 4 * N, -1, 1), *offsets = test_noise(3, 4 * N, -1, 1), out[4 * N], expected[4 * N];
    int32_t index[4 * N];
    for (int i = 0; i < 4 * N; i++) index[i] = (i * 7) % N;
    for (int i = 0; i < 4 * N; i++) expected[i] = source[4 * index[i / 4 * 4] + i % 4] + offsets[i];
    const uint64_t start = tm_gpu_get_info(gpu)->buffer_alignment, size = 16 * N;
    tm_slice slices[4];
    for (int i = 0; i < 4; i++) slices[i] = (tm_slice){make_buffer(gpu, start + size), start, size};
    // The last texel is covered even where the slice ends inside it.
    slices[2].size -= 12;
    const void *data[] = {source, index, offsets};
    tm_dispatch_info info = {.groups = {tm_div_up(N, 64), 1, 1}, .push = &(uint32_t){N}, .push_size = 4};
    assert_ok(tm_pipeline_get(gpu, "gpu/texel", NULL, 0, &info.pipeline, &err), &err);
    for (int round = 0; round < 2; round++) {  // the second round finds the views made
        tm_recorder *recorder = begin_recording(gpu);
        for (int i = 0; i < 3; i++)
            assert_ok(tm_upload(recorder, (tm_slice){slices[i].buffer, start, size}, data[i], &err), &err);
        for (int i = 0; i < 4; i++) info.bindings[i] = slices[i];
        assert_ok(tm_dispatch(recorder, &info, &err), &err);
        assert_ok(tm_readback(recorder, slices[3], out, &err), &err);
        finish_recording(recorder);
        assert_close(out, expected, 4 * N, 1e-6);
    }
    for (int i = 0; i < 4; i++) tm_buffer_destroy(slices[i].buffer);
    free(source);
    free(offsets);
}

// Many views of one buffer: the table of views grows and still finds each.
static void test_many_views(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    enum { VIEWS = 100 };
    const uint64_t step = TM_MAX(tm_gpu_get_info(gpu)->buffer_alignment, 16);
    tm_buffer *x = make_buffer(gpu, VIEWS * step), *zero = make_buffer(gpu, 16), *out = make_buffer(gpu, VIEWS * step);
    uint8_t *bytes = malloc(VIEWS * step);
    for (size_t i = 0; i < VIEWS * step / 4; i++) ((float *)bytes)[i] = (float)i;
    tm_recorder *recorder = begin_recording(gpu);
    assert_ok(tm_upload(recorder, tm_slice_all(x), bytes, &err), &err);
    assert_ok(tm_fill(recorder, tm_slice_all(zero), 0, &err), &err);
    for (int i = 0; i < 2 * VIEWS; i++) {
        uint64_t at = (uint64_t)(i % VIEWS) * step;
        tm_slice view = {x, at, 16}, result = {out, at, 16}, none = tm_slice_all(zero);
        tm_dispatch_info info = {
            .bindings = {view, none, none, result}, .groups = {1, 1, 1}, .push = &(uint32_t){1}, .push_size = 4};
        assert_ok(tm_pipeline_get(gpu, "gpu/texel", NULL, 0, &info.pipeline, &err), &err);
        assert_ok(tm_dispatch(recorder, &info, &err), &err);
    }
    memset(bytes, 0, VIEWS * step);
    assert_ok(tm_readback(recorder, tm_slice_all(out), bytes, &err), &err);
    finish_recording(recorder);
    for (int i = 0; i < VIEWS; i++) {
        for (int k = 0; k < 4; k++) {
            size_t element = (size_t)i * step / 4 + (size_t)k;
            assert_true(((float *)bytes)[element] == (float)element);
        }
    }
    tm_buffer_destroy(x);
    tm_buffer_destroy(zero);
    tm_buffer_destroy(out);
    free(bytes);
}

static uint64_t barriers_of(tm_gpu *gpu, tm_recorder *recorder, uint64_t before) {
    finish_recording(recorder);
    return tm_gpu_get_stats(gpu).barriers - before;
}

static void test_barriers(void **state) {
    tm_gpu *gpu = *state;
    tm_buffer *a = make_buffer(gpu, 4096), *b = make_buffer(gpu, 4096), *c = make_buffer(gpu, 4096);
    const tm_slice x = tm_slice_all(a), y = tm_slice_all(b), z = tm_slice_all(c);
    const tm_slice x0 = {a, 0, 1024}, x1 = {a, 1024, 1024}, x2 = {a, 512, 1024}, x3 = {a, 2048, 1024};
    const struct {
        const char *name;
        tm_slice from[4], to[4];
        uint64_t barriers;
    } cases[] = {
        {"two readers of one buffer", {x, x}, {y, z}, 0},
        {"read after write", {x, y}, {y, z}, 1},
        {"write after read", {x, y}, {z, x}, 1},
        {"write after write", {x, y}, {z, z}, 1},
        {"a barrier serves all before it", {x0, x0, y, z}, {y, z, x1, x3}, 1},
        {"ranges apart in one buffer", {y, y}, {x0, x1}, 0},
        {"ranges that touch", {x0, y}, {y, x1}, 1},
        {"ranges that overlap", {y, y}, {x0, x2}, 1},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        uint64_t before = tm_gpu_get_stats(gpu).barriers;
        tm_recorder *recorder = begin_recording(gpu);
        for (int k = 0; k < 4 && cases[i].from[k].buffer; k++)
            record_axpb(recorder, cases[i].from[k], cases[i].to[k], 1, 1, 0);
        uint64_t barriers = barriers_of(gpu, recorder, before);
        if (barriers != cases[i].barriers)
            fail_msg("%s: %d barriers, expected %d", cases[i].name, (int)barriers, (int)cases[i].barriers);
    }
    tm_buffer_destroy(a);
    tm_buffer_destroy(b);
    tm_buffer_destroy(c);
}

// Thousands of dispatches on ranges apart: the lists stay bounded and barriers rare, and the sum is right.
static void test_many_ranges(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    enum { RANGES = 1000 };
    const uint64_t step = 2 * TM_MAX(tm_gpu_get_info(gpu)->buffer_alignment, 64);
    tm_buffer *x = make_buffer(gpu, RANGES * step);
    uint32_t *out = malloc(RANGES * step);
    uint64_t before = tm_gpu_get_stats(gpu).barriers;
    tm_recorder *recorder = begin_recording(gpu);
    assert_ok(tm_fill(recorder, tm_slice_all(x), 0, &err), &err);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < RANGES; i++) record_in_place(recorder, (tm_slice){x, i * step, step / 2}, 1, 1);
    }
    assert_ok(tm_readback(recorder, tm_slice_all(x), out, &err), &err);
    uint64_t barriers = barriers_of(gpu, recorder, before);
    assert_in_range(barriers, 3, 30);
    for (uint64_t i = 0; i < RANGES * step / 4; i++) {
        float value = i * 4 % step < step / 2 ? 3.0f : 0.0f;
        assert_memory_equal(&out[i], &value, 4);
    }
    tm_buffer_destroy(x);
    free(out);
}

static void test_submits(void **state) {
    tm_gpu *gpu = *state;
    tm_buffer *a = make_buffer(gpu, 4096);
    for (int costly = 0; costly < 2; costly++) {
        uint64_t before = tm_gpu_get_stats(gpu).submits, dispatches = tm_gpu_get_stats(gpu).dispatches;
        tm_recorder *recorder = begin_recording(gpu);
        for (int i = 0; i < 6; i++) record_spin(recorder, tm_slice_all(a), 10, costly ? 1e15 : 0);
        finish_recording(recorder);
        assert_int_equal(tm_gpu_get_stats(gpu).submits - before, costly ? 6 : 1);
        assert_int_equal(tm_gpu_get_stats(gpu).dispatches - dispatches, 6);
    }
    // Nothing recorded, or only empty dispatches: nothing submitted.
    uint64_t before = tm_gpu_get_stats(gpu).submits;
    tm_recorder *recorder = begin_recording(gpu);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_dispatch_info info = {.pipeline = get_axpb(gpu, 32, 1),
                             .bindings = {tm_slice_all(a), tm_slice_all(a)},
                             .groups = {1, 0, 1},
                             .push = &(push_axpb){0},
                             .push_size = sizeof(push_axpb)};
    assert_ok(tm_dispatch(recorder, &info, &err), &err);
    finish_recording(recorder);
    assert_int_equal(tm_gpu_get_stats(gpu).submits, before);
    tm_buffer_destroy(a);
}

// The measured speed replaces the first guess, and the size of the submits follows it.
static void test_calibration(void **state) {
    tm_gpu *gpu = *state;
    tm_buffer *a = make_buffer(gpu, 64 * 256);
    const double hint = 1e4;  // far below the true cost: the device looks slow
    tm_pipeline *spin = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_pipeline_get(gpu, "gpu/spin", NULL, 0, &spin, &err), &err);
    spin->program->pace.factor = 1;
    const tm_cost cost = {&spin->program->pace, hint, 0};
    double slowest = 0, guess = hint / (tm_pace_estimate(gpu, &cost) - TM_COMMAND_MS);
    for (int i = 0; i < 16; i++) {
        double start = tm_now_ms();
        tm_recorder *recorder = begin_recording(gpu);
        record_spin(recorder, tm_slice_all(a), 8000, hint);
        finish_recording(recorder);
        slowest = TM_MAX(slowest, tm_now_ms() - start);
    }
    // Work took no longer than the slowest recording; a busy machine moves the rest.
    double speed = hint / (tm_pace_estimate(gpu, &cost) - TM_COMMAND_MS);
    assert_true(speed < guess / 4);
    assert_true(speed > 0.9 * hint / slowest);
    uint64_t before = tm_gpu_get_stats(gpu).submits;
    tm_recorder *recorder = begin_recording(gpu);
    for (int i = 0; i < 4; i++) record_spin(recorder, tm_slice_all(a), 1, speed * 90);
    finish_recording(recorder);
    assert_int_equal(tm_gpu_get_stats(gpu).submits - before, 4);
    tm_buffer_destroy(a);
}

// A shader that is slower than the others of its submits is told apart from them.
static void test_paces(void **state) {
    tm_gpu *gpu = *state;
    tm_pace slow = {0}, fast = {0};
    const double flops = 20 * gpu->pace.flops_per_ms, true_slow = 6, true_fast = 0.5;
    for (int i = 0; i < 200; i++) {
        tm_batch batch = {0};
        int slow_ones = i % 4, fast_ones = 3;
        for (int k = 0; k < slow_ones; k++) tm_pace_add(gpu, &batch, &(tm_cost){&slow, flops, 0});
        for (int k = 0; k < fast_ones; k++) tm_pace_add(gpu, &batch, &(tm_cost){&fast, flops, 0});
        tm_pace_learn(gpu, &batch, 20 * (slow_ones * true_slow + fast_ones * true_fast), true);
    }
    assert_float_equal(slow.factor, true_slow, 0.2 * true_slow);
    assert_float_equal(fast.factor, true_fast, 0.2 * true_fast);
    // What was found done says nothing when it looks slow.
    tm_batch batch = {0};
    tm_pace_add(gpu, &batch, &(tm_cost){&fast, flops, 0});
    double before = fast.factor;
    tm_pace_learn(gpu, &batch, 1e6, false);
    assert_true(fast.factor == before);
}

// A dispatch that would take too long is made in parts: the same bits, in several submits.
static void test_divided(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    float *data = test_noise(1, COUNT, -1, 1), *out = malloc(4 * COUNT);
    tm_buffer *x = make_buffer(gpu, 4 * COUNT), *y = make_buffer(gpu, 4 * COUNT);
    push_axpb push = {COUNT, 3, 1};
    for (int divisible = 0; divisible < 2; divisible++) {
        tm_gpu_stats before = tm_gpu_get_stats(gpu);
        tm_recorder *recorder = begin_recording(gpu);
        assert_ok(tm_upload(recorder, tm_slice_all(x), data, &err), &err);
        assert_ok(tm_fill(recorder, tm_slice_all(y), 0, &err), &err);
        tm_dispatch_info info = {.pipeline = get_axpb(gpu, 32, 1),
                                 .bindings = {tm_slice_all(x), tm_slice_all(y)},
                                 .push = &push,
                                 .push_size = sizeof push,
                                 .groups = {tm_div_up(COUNT, 32), 1, 1},
                                 .divisible = divisible,
                                 .flops = 1e15};
        assert_ok(tm_dispatch(recorder, &info, &err), &err);
        assert_ok(tm_readback(recorder, tm_slice_all(y), out, &err), &err);
        finish_recording(recorder);
        tm_gpu_stats after = tm_gpu_get_stats(gpu);
        assert_int_equal(after.dispatches - before.dispatches, 1);
        assert_in_range(after.submits - before.submits, divisible ? info.groups[0] : 1, divisible ? 1000 : 3);
        for (int i = 0; i < COUNT; i++) assert_true(out[i] == 3 * data[i] + 1);
    }
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
    free(data);
    free(out);
}

static void test_misuse(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    const tm_gpu_info *limits = tm_gpu_get_info(gpu);
    tm_buffer *a = make_buffer(gpu, 4096), *none = NULL;
    tm_pipeline *pipeline = NULL;
    push_axpb push = {1, 1, 1};
    tm_dispatch_info good = {.pipeline = get_axpb(gpu, 32, 1),
                             .bindings = {{a, 0, 1024}, {a, 1024, 1024}},
                             .groups = {1, 1, 1},
                             .push = &push,
                             .push_size = sizeof push};
    tm_recorder *recorder = begin_recording(gpu);
    tm_dispatch_info bad[7];
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++) bad[i] = good;
    bad[0].bindings[1].buffer = NULL;
    bad[1].bindings[1].size = 4096;
    bad[2].bindings[1].offset = UINT64_MAX - 100;
    bad[3].bindings[1].offset = 1;
    bad[4].push_size = 4;
    bad[5].groups[1] = UINT32_MAX;
    bad[6].pipeline = NULL;
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++) {
        if (i == 5 && limits->max_groups[1] == UINT32_MAX) continue;
        err.message[0] = 0;
        assert_int_not_equal(tm_dispatch(recorder, &bad[i], &err), TAGMASK_OK);
        assert_true(strlen(err.message) > 20);
    }
    assert_int_not_equal(tm_copy(recorder, (tm_slice){a, 0, 64}, (tm_slice){a, 32, 64}, &err), TAGMASK_OK);
    assert_int_not_equal(tm_copy(recorder, (tm_slice){a, 0, 64}, (tm_slice){a, 64, 32}, &err), TAGMASK_OK);
    assert_int_not_equal(tm_fill(recorder, (tm_slice){a, 2, 4}, 0, &err), TAGMASK_OK);
    assert_int_not_equal(tm_upload(recorder, (tm_slice){a, 4000, 100}, &push, &err), TAGMASK_OK);
    assert_int_not_equal(tm_readback(recorder, (tm_slice){a, 4000, 100}, &push, &err), TAGMASK_OK);
    // What was refused left no trace: the recording still works.
    assert_ok(tm_dispatch(recorder, &good, &err), &err);
    finish_recording(recorder);
    assert_int_equal(tm_buffer_create(gpu, 0, TM_MEMORY_DEVICE, &none, &err), TAGMASK_ERROR_ARGUMENT);
    assert_null(none);
    assert_int_equal(tm_pipeline_get(gpu, "gpu/no_such", NULL, 0, &pipeline, &err), TAGMASK_ERROR_INTERNAL);
    assert_non_null(strstr(err.message, "gpu/no_such"));
    uint32_t huge = limits->max_invocations + 1;
    assert_int_equal(tm_pipeline_get(gpu, "gpu/axpb", &huge, 1, &pipeline, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_null(pipeline);
    tm_recorder_abandon(NULL);
    tm_buffer_destroy(a);
}

// A slice longer than one binding may be is refused with both sizes; a texel buffer alike.
static void test_binding_limits(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    const tm_gpu_info *limits = tm_gpu_get_info(gpu);
    uint64_t elements = limits->max_texel_elements + 1;
    if (elements > 1 << 20) skip();  // it would take gigabytes on this device
    tm_buffer *x = make_buffer(gpu, 16 * elements), *y = make_buffer(gpu, 64);
    tm_slice small = tm_slice_all(y);
    tm_dispatch_info info = {.bindings = {tm_slice_all(x), small, small, small},
                             .groups = {1, 1, 1},
                             .push = &(uint32_t){1},
                             .push_size = 4};
    assert_ok(tm_pipeline_get(gpu, "gpu/texel", NULL, 0, &info.pipeline, &err), &err);
    tm_recorder *recorder = begin_recording(gpu);
    assert_int_equal(tm_dispatch(recorder, &info, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "texel"));
    tm_recorder_abandon(recorder);
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
}

static void test_profile(void **state) {
    tm_gpu *gpu = *state;
    tm_profile_row rows[8];
    if (!tm_gpu_get_info(gpu)->timestamps) skip();
    tm_buffer *a = make_buffer(gpu, 4096), *b = make_buffer(gpu, 4096);
    tm_gpu_profile(gpu, true);
    tm_recorder *recorder = begin_recording(gpu);
    for (int i = 0; i < 1500; i++) record_axpb(recorder, tm_slice_all(a), tm_slice_all(b), 1, 1, 1);
    record_spin(recorder, tm_slice_all(a), 100000, 0);
    finish_recording(recorder);
    tm_gpu_profile(gpu, false);
    recorder = begin_recording(gpu);
    record_axpb(recorder, tm_slice_all(a), tm_slice_all(b), 1, 1, 1);
    finish_recording(recorder);
    assert_int_equal(tm_gpu_profile_rows(gpu, rows, 8), 2);
    assert_true(rows[0].ms >= rows[1].ms && rows[0].ms > 0);
    const tm_profile_row *axpb = &rows[strcmp(rows[1].label, "axpb") == 0], *spin = &rows[axpb == &rows[0]];
    assert_string_equal(axpb->label, "axpb");
    assert_int_equal(axpb->count, 1500);
    assert_true(axpb->flops == 1500 * 2.0 * 1024 && axpb->bytes == 1500 * 2.0 * 4096);
    assert_string_equal(spin->label, "gpu/spin");
    assert_int_equal(spin->count, 1);
    assert_int_equal(tm_gpu_profile_rows(gpu, rows, 8), 0);
    tm_buffer_destroy(a);
    tm_buffer_destroy(b);
}

// The shader that measures what a device computes at most.
static void test_fma(void **state) {
    enum { THREADS = 40 };
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    const struct {
        uint32_t count, rounds;
        float a, b;
    } push = {THREADS - 1, 20, 0.75f, 0.5f};
    const uint32_t size = 8;
    float y[THREADS], expected = 0;
    tm_buffer *buffer = make_buffer(gpu, sizeof y);
    tm_dispatch_info info = {
        .bindings = {tm_slice_all(buffer)}, .push = &push, .push_size = sizeof push, .groups = {THREADS / size, 1, 1}};
    assert_ok(tm_pipeline_get(gpu, "gpu/fma", &size, 1, &info.pipeline, &err), &err);
    tm_recorder *recorder = begin_recording(gpu);
    assert_ok(tm_fill(recorder, tm_slice_all(buffer), 0, &err), &err);
    assert_ok(tm_dispatch(recorder, &info, &err), &err);
    assert_ok(tm_readback(recorder, tm_slice_all(buffer), y, &err), &err);
    finish_recording(recorder);
    for (int v = 0; v < 12; v++) {
        float value = (float)v / 4;
        for (uint32_t k = 0; k < push.rounds; k++) value = push.a * value + push.b;
        expected += value;
    }
    for (int i = 0; i < THREADS - 1; i++) assert_float_equal(y[i], expected, 1e-4f * expected);
    assert_true(y[THREADS - 1] == 0);
    tm_buffer_destroy(buffer);
}

// An abandoned recording has no effect on later ones, wherever it stopped.
static void test_abandon(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    float out[256];
    tm_buffer *a = make_buffer(gpu, 1024);
    tm_recorder *recorder = begin_recording(gpu);
    tm_recorder_abandon(recorder);
    recorder = begin_recording(gpu);
    assert_ok(tm_fill(recorder, tm_slice_all(a), 0, &err), &err);
    finish_recording(recorder);
    for (int costly = 0; costly < 2; costly++) {
        recorder = begin_recording(gpu);
        for (int i = 0; i < 3; i++) record_spin(recorder, tm_slice_all(a), 0, costly ? 1e15 : 0);
        assert_ok(tm_readback(recorder, tm_slice_all(a), out, &err), &err);
        tm_recorder_abandon(recorder);
    }
    recorder = begin_recording(gpu);
    record_in_place(recorder, tm_slice_all(a), 1, 4);
    assert_ok(tm_readback(recorder, tm_slice_all(a), out, &err), &err);
    finish_recording(recorder);
    for (int i = 0; i < 256; i++) assert_true(out[i] == 4);
    tm_buffer_destroy(a);
}

static void destroy_buffer(void *buffer) {
    tm_buffer_destroy(buffer);
}
static void count_call(void *counter) {
    ++*(int *)counter;
}

// What a recording still uses may be given up by its owner; it goes once the work is done, finished or abandoned.
static void test_defer(void **state) {
    tm_gpu *gpu = *state;
    tm_error err = TAGMASK_ERROR_INIT;
    uint32_t out[64];
    uint64_t before = tm_gpu_get_stats(gpu).allocations;
    int calls = 0;
    tm_buffer *a = make_buffer(gpu, 256);
    tm_recorder *recorder = begin_recording(gpu);
    assert_ok(tm_fill(recorder, tm_slice_all(a), 77, &err), &err);
    assert_ok(tm_readback(recorder, tm_slice_all(a), out, &err), &err);
    assert_ok(tm_recorder_defer(recorder, destroy_buffer, a, &err), &err);
    for (int i = 0; i < 20; i++) assert_ok(tm_recorder_defer(recorder, count_call, &calls, &err), &err);
    assert_int_equal(calls, 0);
    finish_recording(recorder);
    assert_int_equal(calls, 20);
    for (int i = 0; i < 64; i++) assert_int_equal(out[i], 77);
    recorder = begin_recording(gpu);
    assert_ok(tm_recorder_defer(recorder, count_call, &calls, &err), &err);
    tm_recorder_abandon(recorder);
    assert_int_equal(calls, 21);
    recorder = begin_recording(gpu);
    finish_recording(recorder);
    assert_int_equal(calls, 21);
    assert_true(tm_gpu_get_stats(gpu).allocations <= before + 1);  // one chunk of staging memory may be kept
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),         cmocka_unit_test(test_upload_order),
        cmocka_unit_test(test_copy_and_fill), cmocka_unit_test(test_large_transfer),
        cmocka_unit_test(test_mapped),        cmocka_unit_test(test_texel),
        cmocka_unit_test(test_many_views),    cmocka_unit_test(test_barriers),
        cmocka_unit_test(test_many_ranges),   cmocka_unit_test(test_submits),
        cmocka_unit_test(test_misuse),        cmocka_unit_test(test_binding_limits),
        cmocka_unit_test(test_profile),       cmocka_unit_test(test_fma),
        cmocka_unit_test(test_abandon),       cmocka_unit_test(test_calibration),
        cmocka_unit_test(test_defer),         cmocka_unit_test(test_paces),
        cmocka_unit_test(test_divided),
    };
    int failed = cmocka_run_group_tests_name("direct", tests, open_plain, close_device);
    return failed + cmocka_run_group_tests_name("staged", tests, open_staged, close_device);
}
