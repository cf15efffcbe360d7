#include "ops/table.h"

#include <string.h>

// One line a family, sorted: X(NAME) means `const tm_op tm_ops_NAME[]` in host/ops/.
#define FAMILIES(X)         \
    X(attention)            \
    X(binary)               \
    X(conv)                 \
    X(conv_gradient)        \
    X(conv_transpose)       \
    X(conv_weight_gradient) \
    X(derivative)           \
    X(einsum)               \
    X(gradient_like)        \
    X(matmul)               \
    X(matmul_gradient)      \
    X(move)                 \
    X(move_gradient)        \
    X(norm)                 \
    X(norm_gradient)        \
    X(pad)                  \
    X(pool)                 \
    X(pool_gradient)        \
    X(reduce)               \
    X(reduce_gradient)      \
    X(resize)               \
    X(resize_gradient)      \
    X(sample)               \
    X(shape_reshape)        \
    X(shape_source)         \
    X(softmax)              \
    X(softmax_gradient)     \
    X(unary)

#define DECLARE(name) extern const tm_op tm_ops_##name[];
FAMILIES(DECLARE)
#undef DECLARE

#define LIST(name) tm_ops_##name,
static const tm_op *const families[] = {FAMILIES(LIST)};
#undef LIST

const tm_op *tm_op_at(size_t index) {
    for (size_t f = 0; f < TM_ARRAY_LEN(families); f++)
        for (const tm_op *op = families[f]; op->type; op++)
            if (index-- == 0) return op;
    return NULL;
}

const tm_op *tm_op_find(const char *domain, const char *type, int64_t opset, bool *known) {
    if (known) *known = false;
    if (!strcmp(domain, "ai.onnx")) domain = "";
    for (size_t f = 0; f < TM_ARRAY_LEN(families); f++) {
        for (const tm_op *op = families[f]; op->type; op++) {
            if (strcmp(op->type, type) || strcmp(op->domain, domain)) continue;
            if (known) *known = true;
            if (opset >= op->since && (!op->until || opset <= op->until)) return op;
        }
    }
    return NULL;
}
