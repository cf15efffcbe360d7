// What a gradient rule (tm_op.gradient) sees and does. For one node whose outputs have gradients, it appends nodes that
// compute the gradients of the node's inputs, and gives the values that they make:
//
//     void tm_gradient_mul(tm_backward *back) {
//         int32_t g = tm_back_from(back, 0);
//         for (size_t i = 0; i < 2; i++)
//             if (tm_back_wants(back, i))
//                 tm_back_give_sum(back, i, TM_BACK(back, "Mul", g, tm_back_in(back, 1 - i)));
//     }
//
// Values are indices into the graph's values, -1 for none. Neither shapes nor ranks are known: operators that need one
// take a tensor that has it as an input (tm_op.shape_inputs). Standard operators are made as of opset 18, those of
// TM_GRADIENT_DOMAIN as of the differentiated node's, so that they read its attributes as it does. The first failure is
// kept, and everything after it does nothing.
#ifndef TM_GRADIENT_H
#define TM_GRADIENT_H

#include "graph/op.h"

const tm_node *tm_back_node(const tm_backward *back);     // the node that is differentiated
int32_t tm_back_in(const tm_backward *back, size_t i);    // its input; -1: absent
int32_t tm_back_out(const tm_backward *back, size_t i);   // its output; -1: absent
int32_t tm_back_from(const tm_backward *back, size_t i);  // the gradient of output i; -1: zero
bool tm_back_wants(const tm_backward *back, size_t i);    // whether anybody needs the gradient of input i
// What is known of a constant; false for what is computed, and for -1.
bool tm_back_constant(const tm_backward *back, int32_t value, tm_host_tensor *tensor);

// The node that makes a value; NULL: none does. Valid until the next node is added.
const tm_node *tm_back_producer(const tm_backward *back, int32_t value);

// Appends a node of one output, which is returned. inputs: -1 for an absent one; trailing ones are dropped.
int32_t tm_back_add(tm_backward *back, const char *type, const int32_t *inputs, size_t count);
#define TM_BACK(back, type, ...) \
    tm_back_add(back, type, (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
// The differentiated operator, with its attributes and opset, on other inputs.
int32_t tm_back_again(tm_backward *back, const int32_t *inputs, size_t count);
// As tm_back_add, with several outputs; outputs[i] is written for each.
void tm_back_add_many(tm_backward *back, const char *type, const int32_t *inputs, size_t count, int32_t *outputs,
                      size_t output_count);
// Attributes of the node added last. Names must live as long as the program.
void tm_back_inherit(tm_backward *back);  // those of the differentiated node; before any other
void tm_back_int(tm_backward *back, const char *name, int64_t value);
void tm_back_float(tm_backward *back, const char *name, float value);
void tm_back_string(tm_backward *back, const char *name, const char *value);
void tm_back_ints(tm_backward *back, const char *name, const int64_t *values, size_t count);
// Room for this many values, as long as the graph lives; NULL: the failure is kept.
int32_t *tm_back_values(tm_backward *back, size_t count);
// Constants.
int32_t tm_back_scalar(tm_backward *back, float value);
int32_t tm_back_vector(tm_backward *back, const int64_t *values, size_t count);

// Says that input i has this gradient. What is given several times adds up; -1 adds nothing.
void tm_back_give(tm_backward *back, size_t i, int32_t value);
// The same for a gradient that still has the shape that the input was broadcast to.
void tm_back_give_sum(tm_backward *back, size_t i, int32_t value);
// "node 'x' (Pad, opset 13): its gradient for mode 'wrap' is not supported", for what a rule cannot do. what: "for
// ...".
void tm_back_refuse(tm_backward *back, const char *what);

// For operators whose outputs do not change with their inputs: comparisons, roundings, what is made of shapes.
void tm_gradient_zero(tm_backward *back);

#endif
