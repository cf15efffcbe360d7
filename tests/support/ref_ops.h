// Plain C references of the operators, written from the ONNX standard with doubles and without any of the library's
// rules. Results are malloc'ed.
#ifndef REF_OPS_H
#define REF_OPS_H

#include "graph/graph.h"

// Walks every index of a shape: at[] counts up like an odometer. Start with at[] zero; false after the last one.
bool ref_next(const tm_shape *shape, int64_t *at);
size_t ref_offset(const tm_shape *shape, const int64_t *at);  // row-major position of an index

// One value of a function by its ONNX name; a and b are its attributes in the standard's order.
double ref_function(const char *type, double x, double a, double b);
float *ref_unary(const char *type, const float *x, size_t count, double a, double b);

double ref_arithmetic(const char *type, double a, double b);
tm_shape ref_broadcast(const tm_shape *a, const tm_shape *b);
float *ref_binary(const char *type, const float *a, tm_shape sa, const float *b, tm_shape sb, tm_shape *out);

typedef struct ref_pool_spec {
    bool maximum, include_pad;
    int64_t kernel[2], stride[2], dilation[2], begin[2], end[2];
} ref_pool_spec;
float *ref_pool(const float *x, tm_shape in, tm_shape out, const ref_pool_spec *spec);

// axes: bit d set: dimension d is reduced. keep: reduced dimensions stay as 1.
float *ref_reduce(const char *type, const float *x, tm_shape in, uint32_t axes, bool keep, tm_shape *out);
float *ref_softmax(const float *x, tm_shape shape, int32_t axis, bool logarithm);
// c[m][n] = sum over k of a[m][k] * b[k][n]
void ref_matmul(const float *a, const float *b, size_t m, size_t n, size_t k, float *c);

// mode nearest, linear, cubic. scale: output pixels an input pixel, along each axis.
typedef struct ref_resize_spec {
    const char *mode, *coordinates, *nearest;
    double scale[TM_MAX_RANK];
    double cubic_a, outside;
    double roi[TM_MAX_RANK][2];
    bool exclude_outside;
} ref_resize_spec;
float *ref_resize(const float *x, tm_shape in, tm_shape out, const ref_resize_spec *spec);

#endif
