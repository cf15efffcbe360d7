// Gradients of a few operators: those of the device against finite differences of its forward values.
#ifndef GRADIENT_CASE_H
#define GRADIENT_CASE_H

#include "onnx_build.h"
#include "support.h"

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
// inputs, with all but the first as constants, and then with the first in the C4 layout, too. Compares with central
// differences.
void gradient_check(const gradient_case *c);

// The model of a case. constants: all but the first are; c4: the first arrives in that layout.
onnx_model *gradient_model(const gradient_case *c, bool constants, bool c4);
// Its data, by tensor; each malloc'ed.
void gradient_data(const gradient_case *c, float *data[5]);
size_t gradient_elements(const gradient_tensor *tensor);
size_t gradient_tensors(const gradient_case *c);
// Loads the model for gradients of y by the tensors named.
tm_graph *gradient_load(const onnx_model *model, const char *const *names, size_t count, tm_error *err);

#endif
