// Small ONNX models made in memory, for tests: no Python and no model files.
//
//     onnx_model *m = onnx_new(13);
//     onnx_input(m, "x", TM_FLOAT32, DIMS(1, 3, -1, -1));                // -1: dynamic
//     onnx_constant(m, "w", TM_FLOAT32, DIMS(8, 3, 3, 3), weights);
//     onnx_node *conv = onnx_add(m, "Conv", "x,w", "y");                  // comma-separated names; "x,,b" skips one
//     onnx_ints(m, conv, "pads", DIMS(1, 1, 1, 1));
//     onnx_output(m, "y");
//     tm_graph *graph = onnx_load(m, test_gpu());                         // fails the test on an error
//     onnx_free(m);
#ifndef ONNX_BUILD_H
#define ONNX_BUILD_H

#include "graph/graph.h"

typedef struct onnx_model onnx_model;
typedef struct onnx_node onnx_node;  // belongs to the model

// Expands to two arguments: count and array.
#define DIMS(...)                                                           \
    sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]) { \
        __VA_ARGS__                                                         \
    }
#define SCALAR 0, NULL

onnx_model *onnx_new(int64_t opset);
void onnx_free(onnx_model *model);
void onnx_input(onnx_model *model, const char *name, tm_dtype dtype, size_t rank, const int64_t *dims);
void onnx_output(onnx_model *model, const char *name);
// An initializer; data is copied (as raw_data) in dtype's own width.
void onnx_constant(onnx_model *model, const char *name, tm_dtype dtype, size_t rank, const int64_t *dims,
                   const void *data);
onnx_node *onnx_add(onnx_model *model, const char *op_type, const char *inputs, const char *outputs);
void onnx_name(onnx_model *model, onnx_node *node, const char *name);  // default: none
void onnx_domain(onnx_model *model, onnx_node *node, const char *domain);
void onnx_int(onnx_model *model, onnx_node *node, const char *name, int64_t value);
void onnx_float(onnx_model *model, onnx_node *node, const char *name, float value);
void onnx_string(onnx_model *model, onnx_node *node, const char *name, const char *value);
void onnx_ints(onnx_model *model, onnx_node *node, const char *name, size_t count, const int64_t *values);
void onnx_floats(onnx_model *model, onnx_node *node, const char *name, size_t count, const float *values);
void onnx_tensor(onnx_model *model, onnx_node *node, const char *name, tm_dtype dtype, size_t rank, const int64_t *dims,
                 const void *data);
// Serialized ModelProto; malloc'ed.
uint8_t *onnx_bytes(const onnx_model *model, size_t *size);
// Loads it; an error fails the test.
tm_graph *onnx_load(const onnx_model *model, tm_gpu *gpu);
tm_graph *onnx_load_as(const onnx_model *model, tm_gpu *gpu, tm_precision precision);
// Loads, runs with `inputs` in order, reads output 0 back as floats (malloc'ed), checks its element count. One line for
// tests of one operator. shape may be NULL.
float *onnx_run(const onnx_model *model, tm_gpu *gpu, const tm_host_tensor *inputs, size_t count, tm_shape *shape);
tm_host_tensor onnx_value(tm_dtype dtype, size_t rank, const int64_t *dims, const void *data);  // data is borrowed

#endif
