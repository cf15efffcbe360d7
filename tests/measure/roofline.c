// The roofline of a network's kernels (Williams, Waterman and Patterson 2009): what each computes and moves, what the
// device could do at that ratio, and what is reached.
//     roofline MODEL.onnx SIZE [RUNS [GFLOP/S GB/S]]
// The device's own ceilings are measured first: a kernel of nothing but fused multiply-adds, and a copy of 64 MiB. The
// last column is the least time of the same work on a device of the given speed (default: 10,000 GFLOP/s and 300 GB/s,
// a desktop GPU of the middle class). Bytes count every slice that a kernel binds once: what it has to move if caches
// hold the rest. Needs a device with time stamps.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "graph/graph.h"

#define MOST_ROWS 64
#define COPY_BYTES ((uint64_t)64 << 20)
#define FMA_THREADS 65536u
#define FMA_ROUNDS 4000u  // all loops of a thread end after 65,536 rounds on lavapipe
#define FMA_FLOPS (2.0 * 3 * 4 * FMA_ROUNDS * FMA_THREADS)

typedef struct ceiling {
    double flops, bytes;  // a second
} ceiling;

static tm_gpu *gpu;

static void require(tagmask_status status, const tm_error *err) {
    if (status == TAGMASK_OK) return;
    fprintf(stderr, "roofline: %s\n", err->message);
    exit(1);
}

static tm_buffer *make_buffer(uint64_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_buffer *buffer;
    require(tm_buffer_create(gpu, size, TM_MEMORY_DEVICE, &buffer, &err), &err);
    return buffer;
}

static tm_recorder *begin(void) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_recorder *recorder;
    require(tm_recorder_begin(gpu, &recorder, &err), &err);
    return recorder;
}

static void record_fma(tm_recorder *recorder, tm_buffer *y) {
    tm_error err = TAGMASK_ERROR_INIT;
    const struct {
        uint32_t count, rounds;
        float a, b;
    } push = {FMA_THREADS, FMA_ROUNDS, 0.999f, 0.5f};
    uint32_t size = tm_gpu_get_info(gpu)->gpu_class == TM_GPU_CLASS_GPU ? 64 : 8;
    tm_dispatch_info info = {.bindings = {tm_slice_all(y)},
                             .push = &push,
                             .push_size = sizeof push,
                             .groups = {FMA_THREADS / size, 1, 1},
                             .flops = FMA_FLOPS,
                             .label = "fma"};
    require(tm_pipeline_get(gpu, "gpu/fma", &size, 1, &info.pipeline, &err), &err);
    require(tm_dispatch(recorder, &info, &err), &err);
}

// The better of a few runs, since the first one touches fresh memory.
static ceiling measure_device(void) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_buffer *from = make_buffer(COPY_BYTES), *to = make_buffer(COPY_BYTES);
    ceiling best = {0, 0};
    for (int run = 0; run < 4; run++) {
        tm_profile_row rows[MOST_ROWS];
        tm_recorder *recorder = begin();
        record_fma(recorder, to);
        require(tm_copy(recorder, tm_slice_all(from), tm_slice_all(to), &err), &err);
        require(tm_recorder_finish(recorder, &err), &err);
        size_t count = tm_gpu_profile_rows(gpu, rows, MOST_ROWS);
        for (size_t i = 0; i < count; i++) {
            if (!strcmp(rows[i].label, "fma")) best.flops = TM_MAX(best.flops, rows[i].flops / rows[i].ms * 1e3);
            if (!strcmp(rows[i].label, "copy")) best.bytes = TM_MAX(best.bytes, rows[i].bytes / rows[i].ms * 1e3);
        }
    }
    tm_buffer_destroy(from);
    tm_buffer_destroy(to);
    return best;
}

static void run_network(tm_graph *graph, const tm_host_tensor *input) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan;
    require(tm_graph_plan(graph, input, 1, &plan, &err), &err);
    tm_recorder *recorder = begin();
    require(tm_upload(recorder, tm_plan_input(plan, 0).slice, input->data, &err), &err);
    require(tm_plan_record(plan, recorder, &err), &err);
    require(tm_recorder_finish(recorder, &err), &err);
}

static void print_rows(const tm_profile_row *rows, size_t count, int runs, ceiling here, ceiling there) {
    double total = 0, least = 0;
    printf("%-28s %6s %9s %9s %9s %9s %8s %8s %8s %9s\n", "kernel", "calls", "ms", "GFLOP", "MB", "GFLOP/s", "GB/s",
           "ceiling", "reached", "ms there");
    for (size_t i = 0; i < count; i++) {
        double ms = rows[i].ms / runs, flops = rows[i].flops / runs, bytes = rows[i].bytes / runs;
        double bound = TM_MAX(flops / here.flops, bytes / here.bytes) * 1e3;
        double elsewhere = TM_MAX(flops / there.flops, bytes / there.bytes) * 1e3;
        printf("%-28s %6llu %9.2f %9.3f %9.1f %9.2f %8.2f %8s %7.0f%% %9.3f\n", rows[i].label,
               (unsigned long long)rows[i].count / (unsigned)runs, ms, flops * 1e-9, bytes * 1e-6, flops / ms * 1e-6,
               bytes / ms * 1e-6, flops / here.flops > bytes / here.bytes ? "FLOP" : "bytes", 100 * bound / ms,
               elsewhere);
        total += ms;
        least += elsewhere;
    }
    printf("%-28s %6s %9.2f %69s %9.3f\n", "all", "", total, "", least);
}

int main(int count, char **arguments) {
    tm_error err = TAGMASK_ERROR_INIT;
    int size = count > 2 ? atoi(arguments[2]) : 0, runs = count > 3 ? atoi(arguments[3]) : 3;
    if (size < 1 || runs < 1 || (count > 4 && count != 6)) {
        fprintf(stderr, "usage: roofline MODEL.onnx SIZE [RUNS [GFLOP/S GB/S]]\n");
        return 2;
    }
    ceiling there = {(count > 4 ? atof(arguments[4]) : 10000) * 1e9, (count > 4 ? atof(arguments[5]) : 300) * 1e9};
    require(tm_gpu_open(NULL, &gpu, &err), &err);
    if (!tm_gpu_get_info(gpu)->timestamps) {
        fprintf(stderr, "roofline: %s has no time stamps; expected a device with them\n", tm_gpu_get_info(gpu)->name);
        return 1;
    }
    tm_gpu_profile(gpu, true);
    ceiling here = measure_device();
    printf("%s: at most %.1f GFLOP/s and %.1f GB/s\n", tm_gpu_get_info(gpu)->name, here.flops * 1e-9,
           here.bytes * 1e-9);
    tm_graph *graph;
    require(tm_graph_load(gpu, arguments[1], NULL, 0, &graph, &err), &err);
    tm_host_tensor input = {TM_FLOAT32, {4, {1, 3, size, size}}, NULL};
    float *values = tm_calloc((size_t)3 * (size_t)size * (size_t)size, sizeof *values);
    if (!values) return 1;
    for (size_t i = 0; i < (size_t)3 * (size_t)size * (size_t)size; i++) values[i] = (float)(i * 7919 % 256) / 128 - 1;
    input.data = values;
    tm_profile_row rows[MOST_ROWS];
    run_network(graph, &input);
    tm_gpu_profile_rows(gpu, rows, MOST_ROWS);
    for (int run = 0; run < runs; run++) run_network(graph, &input);
    print_rows(rows, tm_gpu_profile_rows(gpu, rows, MOST_ROWS), runs, here, there);
    free(values);
    tm_graph_free(graph);
    tm_gpu_close(gpu);
    return 0;
}
