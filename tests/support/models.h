// Models of a few nodes, to be planned or damaged.
#ifndef TEST_MODELS_H
#define TEST_MODELS_H

#include "onnx_build.h"

// A model with most kinds of things in it that needs no device. Input x: (1, 4, any, any).
onnx_model *small_model(void);
// A small network: what passes rewrite, windows, sizes computed from shapes, and a classifier's head. The same input.
onnx_model *small_network(void);
// One model of a few operators each, so that together they reach the shape rules of every family; NULL beyond the last.
// Inputs: x (1, 4, 6, 8) and m (8, 6), floats; s, two integers.
onnx_model *operator_model(size_t index);

#endif
