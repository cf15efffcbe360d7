// Small steps that the tests of host/gpu share.
#ifndef TEST_GPU_H
#define TEST_GPU_H

#include <stdlib.h>
#include <string.h>

#include "support.h"

typedef struct push_axpb {
    uint32_t count;
    float a, b;
} push_axpb;

static inline tm_buffer *make_buffer(tm_gpu *gpu, uint64_t size) {
    tm_buffer *buffer = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_buffer_create(gpu, size, TM_MEMORY_DEVICE, &buffer, &err), &err);
    return buffer;
}

static inline tm_recorder *begin_recording(tm_gpu *gpu) {
    tm_recorder *recorder = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_recorder_begin(gpu, &recorder, &err), &err);
    return recorder;
}

static inline void finish_recording(tm_recorder *recorder) {
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_recorder_finish(recorder, &err), &err);
}

static inline tm_pipeline *get_axpb(tm_gpu *gpu, uint32_t local_size, float scale) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_pipeline *pipeline = NULL;
    uint32_t constants[2] = {local_size};
    memcpy(&constants[1], &scale, 4);
    assert_ok(tm_pipeline_get(gpu, "gpu/axpb", constants, 2, &pipeline, &err), &err);
    return pipeline;
}

// y = scale * a * x + b
static inline void record_axpb(tm_recorder *recorder, tm_slice x, tm_slice y, float scale, float a, float b) {
    tm_error err = TAGMASK_ERROR_INIT;
    push_axpb push = {(uint32_t)(x.size / 4), a, b};
    tm_dispatch_info info = {.pipeline = get_axpb(tm_recorder_gpu(recorder), 32, scale),
                             .bindings = {x, y},
                             .push = &push,
                             .push_size = sizeof push,
                             .groups = {tm_div_up(push.count, 32), 1, 1},
                             .flops = 2.0 * push.count,
                             .label = "axpb"};
    assert_ok(tm_dispatch(recorder, &info, &err), &err);
}

// x = a * x + b
static inline void record_in_place(tm_recorder *recorder, tm_slice x, float a, float b) {
    tm_error err = TAGMASK_ERROR_INIT;
    push_axpb push = {(uint32_t)(x.size / 4), a, b};
    tm_dispatch_info info = {
        .bindings = {x}, .push = &push, .push_size = sizeof push, .groups = {tm_div_up(push.count, 64), 1, 1}};
    assert_ok(tm_pipeline_get(tm_recorder_gpu(recorder), "gpu/in_place", NULL, 0, &info.pipeline, &err), &err);
    assert_ok(tm_dispatch(recorder, &info, &err), &err);
}

// Busy for about rounds * count steps; flops is the hint it is recorded with.
static inline void record_spin(tm_recorder *recorder, tm_slice x, uint32_t rounds, double flops) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint32_t push[2] = {(uint32_t)(x.size / 4), rounds};
    tm_dispatch_info info = {.bindings = {x},
                             .push = push,
                             .push_size = sizeof push,
                             .groups = {tm_div_up(push[0], 64), 1, 1},
                             .flops = flops};
    assert_ok(tm_pipeline_get(tm_recorder_gpu(recorder), "gpu/spin", NULL, 0, &info.pipeline, &err), &err);
    assert_ok(tm_dispatch(recorder, &info, &err), &err);
}

#endif
