// Models of a few nodes, to be planned or damaged.
#ifndef TEST_MODELS_H
#define TEST_MODELS_H

#include "onnx_build.h"

// A model with most kinds of things in it that needs no device. Input x: (1, 4, any, any).
onnx_model *small_model(void);
// A small network: what passes rewrite, windows, sizes computed from shapes, and a classifier's head. The same input.
onnx_model *small_network(void);
// A chain of operators: "Op inputs outputs attribute=1,2 other=0.5 text='x'; Op ...", on x (1, 4, 6, 8) and m (8, 6),
// floats, s, two integers, the constants of models.c, and integers in place: "Tile x,[2:3:1:1] y". What is called y or
// z is an output.
onnx_model *chain_model(const char *chain);
void chain_add(onnx_model *model, const char *chain);  // to a model with other inputs and constants
// One model of a few operators each, so that together they reach the shape rules of every family; NULL beyond the last.
onnx_model *operator_model(size_t index);

#endif
