// One operator through the whole library: a tiny ONNX model is built, run, and compared with a reference.
#ifndef OP_CASE_H
#define OP_CASE_H

#include "onnx_build.h"
#include "support.h"

// A model under construction and the inputs it will be run with.
typedef struct op_case {
    onnx_model *model;
    tm_host_tensor inputs[8];
    size_t input_count;
    const char *watch[8];  // values that must stay visible, so that no pass fuses their producer away
    size_t watch_count;
} op_case;

op_case op_begin(int64_t opset);
// A graph input with this shape and data (borrowed until op_finish).
void op_input(op_case *c, const char *name, tm_dtype dtype, tm_shape shape, const void *data);
// The same, but `name` arrives in the C4 layout: it is the output of a depthwise 1x1 convolution by one.
void op_input_c4(op_case *c, const char *name, tm_shape shape, const float *data);
// Either of the two; c4 asks for the second where the shape allows it.
void op_input_any(op_case *c, const char *name, tm_shape shape, const float *data, bool c4);
// A constant vector of int64 or a float scalar.
void op_ints(op_case *c, const char *name, size_t count, const int64_t *values);
void op_scalar(op_case *c, const char *name, float value);
// Runs the model, whose output is "y", and frees it. Integers and bool come back as floats. malloc'ed.
float *op_finish(op_case *c, tm_shape *shape);
// Runs it, checks shape and values against the reference (relative to its largest value), frees both.
void op_check(op_case *c, const tm_shape *shape, float *expected, double tolerance);

tm_shape shape_of(size_t rank, const int64_t *dims);  // shape_of(DIMS(1, 2, 3))
size_t elements(const tm_shape *shape);

#endif
