#include "graph/op.h"

const tm_op tm_ops_shape_reshape[] = {{.type = NULL}};
