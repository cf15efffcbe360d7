// Prints the operators of the engine, one a line: name, first opset, last opset (0: current).
#include <stdio.h>

#include "ops/table.h"

int main(void) {
    const tm_op *op;
    for (size_t i = 0; (op = tm_op_at(i)) != NULL; i++) printf("%s\t%d\t%d\n", op->type, op->since, op->until);
    return 0;
}
