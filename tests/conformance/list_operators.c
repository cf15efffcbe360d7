// Prints the operators of the engine, one a line: name, first opset, last opset (0: current), and
// whether it can be differentiated.
#include <stdio.h>
#include <string.h>

#include "ops/table.h"

int main(void) {
    const tm_op *op;
    for (size_t i = 0; (op = tm_op_at(i)) != NULL; i++)
        if (strcmp(op->domain, TM_GRADIENT_DOMAIN) != 0)
            printf("%s\t%d\t%d\t%s\n", op->type, op->since, op->until, op->gradient ? "yes" : "no");
    return 0;
}
