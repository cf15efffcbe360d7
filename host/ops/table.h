// The list of operator families; see graph/op.h for what a row is. A family's file exports `const tm_op tm_ops_NAME[]`
// that ends with a row whose type is NULL, and adds one line to table.c.
#ifndef TM_OPS_TABLE_H
#define TM_OPS_TABLE_H

#include "graph/op.h"

// Every row of every family in turn (for the documentation of what is supported, and tests); NULL beyond the last.
const tm_op *tm_op_at(size_t index);

#endif
