// What gradients cost: the time and the memory of a network's plain run and of its run with gradients.
//     time_gradient MODEL.onnx SIDE ROUNDS TENSOR...
// The network's input is 1 x 3 x SIDE x SIDE of noise; the gradient is that of one class's score by the tensors named.
// Plain runs and runs with gradients take turns. Prints the median and the least of ROUNDS for both, planned memory,
// and the sum of all tensors that the plain run makes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "graph/graph.h"

#define MOST_ROUNDS 1000
#define CLASS 285

static tm_gpu *gpu;

static void require(tagmask_status status, const tm_error *err) {
    if (status == TAGMASK_OK) return;
    fprintf(stderr, "time_gradient: %s\n", err->message);
    exit(1);
}

typedef struct network {
    tm_graph *graph;
    tm_plan *plan;
    tm_host_tensor inputs[2];
    size_t input_count;
    double times[MOST_ROUNDS];
} network;

static float *noise(size_t count) {
    float *values = tm_calloc(count, sizeof *values);
    if (!values) exit(1);
    for (size_t i = 0; i < count; i++) values[i] = (float)((uint32_t)i * 2654435761u >> 16) / 32768 - 1;
    return values;
}

static void plan(network *n, int64_t side, const tm_shape *scores) {
    tm_error err = TAGMASK_ERROR_INIT;
    n->inputs[0] = (tm_host_tensor){TM_FLOAT32, {4, {1, 3, side, side}}, noise((size_t)(3 * side * side))};
    n->input_count = scores ? 2 : 1;
    size_t count;
    if (scores && tm_shape_count(scores, &count)) {
        float *seed = tm_calloc(count, sizeof *seed);
        if (!seed) exit(1);
        seed[TM_MIN((size_t)CLASS, count - 1)] = 1;
        n->inputs[1] = (tm_host_tensor){TM_FLOAT32, *scores, seed};
    }
    require(tm_graph_plan(n->graph, n->inputs, n->input_count, &n->plan, &err), &err);
}

static double run(network *n) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_recorder *recorder;
    double start = tm_now_ms();
    require(tm_graph_plan(n->graph, n->inputs, n->input_count, &n->plan, &err), &err);
    require(tm_recorder_begin(gpu, &recorder, &err), &err);
    for (size_t i = 0; i < n->input_count; i++) {
        tm_tensor to = tm_plan_input(n->plan, i);
        to.slice.size = tm_layout_bytes(&to.shape, TM_LINEAR);
        require(tm_upload(recorder, to.slice, n->inputs[i].data, &err), &err);
    }
    require(tm_plan_record(n->plan, recorder, &err), &err);
    require(tm_recorder_finish(recorder, &err), &err);
    return tm_now_ms() - start;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double print(const char *name, network *n, int rounds) {
    const double mib = 1 << 20;
    tm_plan_stats stats = tm_plan_get_stats(n->plan);
    double sum = 0;
    tm_layer_info layer;
    for (size_t i = 0; tm_plan_layer(n->plan, i, &layer); i++)
        sum += (double)tm_layout_bytes(&layer.shape, layer.shape.rank == 4 ? TM_C4 : TM_LINEAR);
    qsort(n->times, (size_t)rounds, sizeof *n->times, compare);
    printf(
        "%-9s median %7.1f ms, least %7.1f ms, activations %6.1f MiB, all tensors %6.1f MiB, weights %5.1f MiB, "
        "%5.2f GFLOP, %zu dispatches\n",
        name, n->times[rounds / 2], n->times[0], (double)stats.activation_bytes / mib, sum / mib,
        (double)stats.weight_bytes / mib, stats.flops * 1e-9, stats.dispatches);
    return n->times[rounds / 2];
}

int main(int count, char **arguments) {
    static network plain, gradient;
    tm_error err = TAGMASK_ERROR_INIT;
    int rounds = count > 4 ? atoi(arguments[3]) : 0;
    if (rounds < 1 || rounds > MOST_ROUNDS || atoi(arguments[2]) < 1) {
        fprintf(stderr, "usage: time_gradient MODEL.onnx SIDE ROUNDS TENSOR...\n");
        return 2;
    }
    const tm_gradient request = {NULL, (const char *const *)&arguments[4], (size_t)count - 4, TM_FP32};
    require(tm_gpu_open(NULL, &gpu, &err), &err);
    require(tm_graph_load(gpu, arguments[1], NULL, 0, &plain.graph, &err), &err);
    require(tm_graph_load_gradient(gpu, arguments[1], &request, NULL, 0, &gradient.graph, &err), &err);
    plan(&plain, atoi(arguments[2]), NULL);
    tm_shape scores = tm_plan_output(plain.plan, 0).shape;
    plan(&gradient, atoi(arguments[2]), &scores);
    run(&plain);
    run(&gradient);
    for (int i = 0; i < rounds; i++) {
        plain.times[i] = run(&plain);
        gradient.times[i] = run(&gradient);
    }
    double before = print("plain", &plain, rounds), after = print("gradients", &gradient, rounds);
    printf("gradients take %.2f times as long\n", after / before);
    for (int i = 0; i < 2; i++) free(plain.inputs[i].data);
    for (int i = 0; i < 2; i++) free(gradient.inputs[i].data);
    tm_graph_free(plain.graph);
    tm_graph_free(gradient.graph);
    tm_gpu_close(gpu);
    return 0;
}
