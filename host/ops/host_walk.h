// Walking a shape in row-major order with up to three operands that follow with strides of their own; shared by the
// files of the host evaluators.
#ifndef TM_OPS_HOST_WALK_H
#define TM_OPS_HOST_WALK_H

#include "graph/graph.h"

typedef struct tm_walk {
    int32_t rank;
    int64_t dim[2 * TM_MAX_RANK], index[2 * TM_MAX_RANK];
    int64_t stride[3][2 * TM_MAX_RANK], at[3];  // in elements; at: where the operands are now
} tm_walk;
void tm_walk_start(tm_walk *walk, const tm_shape *shape);
// Operand k broadcasts to the walk's shape: dimensions of 1 stand still.
void tm_walk_operand(tm_walk *walk, int k, const tm_shape *operand);
void tm_walk_next(tm_walk *walk);

#endif
