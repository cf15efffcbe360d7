// The operator Attention against plain C with doubles: shared heads, masks of both kinds, causal order, windows, soft
// cap.
#include <math.h>
#include <stdlib.h>

#include "op_case.h"

enum { BATCH = 2, HEADS = 4, SHARED = 2, QUERIES = 5, KEYS = 11, SIZE = 6, VALUE_SIZE = 3 };

typedef enum mask_kind { NO_MASK, FLOAT_MASK, BOOL_MASK } mask_kind;

typedef struct attention_case {
    mask_kind mask;
    bool causal, flat;  // flat: [batch][length][heads * size]
    int left, right;    // window; -1: unbounded
    float softcap;
} attention_case;

typedef struct tensors {
    float *q, *k, *v, *mask;  // mask [QUERIES][KEYS]
    uint8_t *allowed;         // the same as bool
} tensors;

static size_t place(bool flat, int heads, int length, int size, int b, int h, int i, int c) {
    if (flat) return (((size_t)b * length + i) * heads + h) * size + c;
    return (((size_t)b * heads + h) * length + i) * size + c;
}

// -infinity where query i may not look at key j.
static double score(const tensors *t, const attention_case *a, int b, int h, int i, int j) {
    int shared = h / (HEADS / SHARED);
    if (a->causal && j > i) return -INFINITY;
    if (a->left >= 0 && i - j > a->left) return -INFINITY;
    if (a->right >= 0 && j - i > a->right) return -INFINITY;
    if (a->mask == BOOL_MASK && !t->allowed[i * KEYS + j]) return -INFINITY;
    double sum = 0;
    for (int c = 0; c < SIZE; c++)
        sum += (double)t->q[place(a->flat, HEADS, QUERIES, SIZE, b, h, i, c)] *
               t->k[place(a->flat, SHARED, KEYS, SIZE, b, shared, j, c)];
    sum /= sqrt(SIZE);
    if (a->softcap > 0) sum = a->softcap * tanh(sum / a->softcap);
    return sum + (a->mask == FLOAT_MASK ? t->mask[i * KEYS + j] : 0);
}

static void reference_row(const tensors *t, const attention_case *a, int b, int h, int i, float *y) {
    double scores[KEYS], largest = -INFINITY, total = 0;
    for (int j = 0; j < KEYS; j++) largest = fmax(largest, scores[j] = score(t, a, b, h, i, j));
    for (int j = 0; j < KEYS; j++) total += scores[j] = isinf(scores[j]) ? 0 : exp(scores[j] - largest);
    for (int c = 0; c < VALUE_SIZE; c++) {
        double sum = 0;
        for (int j = 0; j < KEYS; j++)
            sum += scores[j] * t->v[place(a->flat, SHARED, KEYS, VALUE_SIZE, b, h / (HEADS / SHARED), j, c)];
        y[place(a->flat, HEADS, QUERIES, VALUE_SIZE, b, h, i, c)] = (float)(total > 0 ? sum / total : 0);
    }
}

static tm_shape shape(bool flat, int heads, int length, int size) {
    return flat ? shape_of(DIMS(BATCH, length, heads * size)) : shape_of(DIMS(BATCH, heads, length, size));
}

static void check(const attention_case *a) {
    tm_shape q = shape(a->flat, HEADS, QUERIES, SIZE), k = shape(a->flat, SHARED, KEYS, SIZE);
    tm_shape v = shape(a->flat, SHARED, KEYS, VALUE_SIZE), y = shape(a->flat, HEADS, QUERIES, VALUE_SIZE);
    tensors t = {test_noise(1, elements(&q), -2, 2), test_noise(2, elements(&k), -2, 2),
                 test_noise(3, elements(&v), -2, 2), test_noise(4, QUERIES * KEYS, -3, 3), malloc(QUERIES * KEYS)};
    // One query sees nothing.
    for (int i = 0; i < QUERIES * KEYS; i++) t.allowed[i] = i / KEYS != 2 && i % 3 != 0;
    float *expected = malloc(elements(&y) * sizeof *expected);
    for (int row = 0; row < BATCH * HEADS * QUERIES; row++)
        reference_row(&t, a, row / QUERIES / HEADS, row / QUERIES % HEADS, row % QUERIES, expected);
    op_case c = op_begin(25);
    op_input(&c, "q", TM_FLOAT32, q, t.q);
    op_input(&c, "k", TM_FLOAT32, k, t.k);
    op_input(&c, "v", TM_FLOAT32, v, t.v);
    tm_shape mask = shape_of(DIMS(QUERIES, KEYS));
    if (a->mask == FLOAT_MASK) op_input(&c, "m", TM_FLOAT32, mask, t.mask);
    if (a->mask == BOOL_MASK) op_input(&c, "m", TM_BOOL, mask, t.allowed);
    onnx_node *node = onnx_add(c.model, "Attention", a->mask ? "q,k,v,m" : "q,k,v", "y");
    onnx_int(c.model, node, "is_causal", a->causal);
    onnx_int(c.model, node, "left_window_size", a->left);
    onnx_int(c.model, node, "right_window_size", a->right);
    onnx_float(c.model, node, "softcap", a->softcap);
    if (a->flat) onnx_int(c.model, node, "q_num_heads", HEADS);
    if (a->flat) onnx_int(c.model, node, "kv_num_heads", SHARED);
    op_check(&c, &y, expected, 1e-4);
    free(t.q);
    free(t.k);
    free(t.v);
    free(t.mask);
    free(t.allowed);
}

static void test_attention(void **state) {
    (void)state;
    const attention_case cases[] = {
        {NO_MASK, false, false, -1, -1, 0},   {FLOAT_MASK, false, false, -1, -1, 0},
        {BOOL_MASK, false, false, -1, -1, 0}, {NO_MASK, true, false, -1, -1, 0},
        {NO_MASK, false, false, 2, 1, 0},     {FLOAT_MASK, true, false, 1, -1, 1.5f},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        attention_case a = cases[i];
        for (int flat = 0; flat < 2; flat++) {
            a.flat = flat;
            check(&a);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_attention)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
