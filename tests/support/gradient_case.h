// Gradients of a few operators: those of the device against finite differences of its forward values.
#ifndef GRADIENT_CASE_H
#define GRADIENT_CASE_H

#include "op_case.h"

typedef struct gradient_tensor {
    const char *name;
    size_t rank;
    int64_t dims[4];
    float low, high;  // of its noise; both 0: -1 to 1
    bool fixed;       // a constant that nothing is differentiated by
} gradient_tensor;

// A chain of operators (models.h) from these tensors to y. The first tensor is always an input of the network.
typedef struct gradient_case {
    const char *chain;
    gradient_tensor tensors[5];  // ended by a name of NULL
    int64_t opset;               // 0: 17
    double tolerance;            // 0: 1e-3
} gradient_case;

// Differentiates a random combination of the elements of y by every tensor that is not fixed: with all of them as
// inputs, with all but the first as constants, and by the first alone, which may arrive in the C4 layout. Compares with
// central differences.
void gradient_check(const gradient_case *c);

// The same ways of running it against a reference in C, which gets the data of the tensors and the gradient g of y, of
// this shape, and returns the gradient of one tensor, malloc'ed.
typedef float *(*gradient_reference)(float *const *data, const float *g, const void *user);
void gradient_compare(const gradient_case *c, tm_shape y, size_t tensor, gradient_reference reference,
                      const void *user);

// The gradient of the first tensor with weights of 16 bits against that with 32, where the others are constants.
void gradient_halves(const gradient_case *c);

// The model with all tensors but the first as constants, the second of them made anew: -1 to 1 of this seed.
onnx_model *gradient_model(const gradient_case *c, uint64_t seed);
tm_shape gradient_shape(const gradient_case *c);  // of y
// Loads the model for gradients of y by the tensors named.
tm_graph *gradient_load(const onnx_model *model, const char *const *names, size_t count, tm_error *err);

#endif
