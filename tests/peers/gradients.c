// Gradients of a network for compare_gradients.py.
//     gradients MODEL.onnx OF INPUT.npy SEED.npy FOLDER TENSOR...
// Differentiates the tensor OF, weighted with SEED, at INPUT by each TENSOR (an input, an inner tensor or a weight),
// and writes FOLDER/0.npy, 1.npy ... in the order of the tensors.
#include <stdio.h>
#include <stdlib.h>

#include "graph/graph.h"
#include "io/npy.h"

#define MOST_TENSORS 64

static void require(tagmask_status status, const tm_error *err) {
    if (status == TAGMASK_OK) return;
    fprintf(stderr, "gradients: %s\n", err->message);
    exit(1);
}

static tm_host_tensor read_array(const char *path) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor tensor = {.struct_size = sizeof tensor};
    require(tm_npy_read(path, &tensor, &err), &err);
    tm_host_tensor array = {(tm_dtype)tensor.dtype, {.rank = tensor.rank}, tensor.data};
    for (int32_t d = 0; d < tensor.rank; d++) array.shape.dim[d] = tensor.dims[d];
    return array;
}

static void write_array(const char *folder, size_t number, const tm_host_tensor *array) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor tensor = {.struct_size = sizeof tensor,
                             .dtype = (tagmask_dtype)array->dtype,
                             .rank = array->shape.rank,
                             .data = array->data};
    for (int32_t d = 0; d < tensor.rank; d++) tensor.dims[d] = array->shape.dim[d];
    char *path = tm_format("%s/%zu.npy", folder, number);
    if (!path) exit(1);
    require(tm_npy_write(path, &tensor, &err), &err);
    free(path);
}

int main(int count, char **arguments) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu;
    tm_graph *graph;
    tm_host_tensor outputs[2 * MOST_TENSORS];
    if (count < 7 || count > 6 + MOST_TENSORS) {
        fprintf(stderr, "usage: gradients MODEL.onnx OF INPUT.npy SEED.npy FOLDER TENSOR...\n");
        return 2;
    }
    size_t tensors = (size_t)count - 6;
    const tm_gradient request = {arguments[2], (const char *const *)&arguments[6], tensors, TM_FP32, false};
    require(tm_gpu_open(NULL, &gpu, &err), &err);
    require(tm_graph_load_gradient(gpu, arguments[1], &request, NULL, 0, &graph, &err), &err);
    const tm_value_info *infos;
    size_t all = tm_graph_outputs(graph, &infos);
    if (all > TM_ARRAY_LEN(outputs)) {
        fprintf(stderr, "gradients: %s has too many outputs\n", arguments[1]);
        return 1;
    }
    tm_host_tensor inputs[2] = {read_array(arguments[3]), read_array(arguments[4])};
    require(tm_graph_run(graph, inputs, 2, outputs, &err), &err);
    for (size_t i = 0; i < all; i++) {
        if (i >= all - tensors) write_array(arguments[5], i - (all - tensors), &outputs[i]);
        free(outputs[i].data);
    }
    for (int i = 0; i < 2; i++) free(inputs[i].data);
    tm_graph_free(graph);
    tm_gpu_close(gpu);
    return 0;
}
