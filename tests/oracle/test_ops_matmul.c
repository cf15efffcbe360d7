// MatMul and Gemm against plain C.
#include <stdlib.h>
#include <string.h>

#include "op_case.h"
#include "ref_ops.h"

// Matrices of a batch, with broadcasting of the leading dimensions.
static void check_matmul(tm_shape sa, tm_shape sb) {
    tm_shape ma = sa, mb = sb;
    if (sa.rank == 1) ma = shape_of(DIMS(1, sa.dim[0]));
    if (sb.rank == 1) mb = shape_of(DIMS(sb.dim[0], 1));
    size_t m = (size_t)ma.dim[ma.rank - 2], k = (size_t)ma.dim[ma.rank - 1], n = (size_t)mb.dim[mb.rank - 1];
    tm_shape ba = ma, bb = mb;
    ba.rank -= 2;
    bb.rank -= 2;
    tm_shape batch = ref_broadcast(&ba, &bb), out = batch;
    if (sa.rank > 1) out.dim[out.rank++] = (int64_t)m;
    if (sb.rank > 1) out.dim[out.rank++] = (int64_t)n;
    float *a = test_noise(1, elements(&sa), -1, 1), *b = test_noise(2, elements(&sb), -1, 1);
    float *expected = malloc(sizeof *expected * elements(&out));
    int64_t at[TM_MAX_RANK] = {0};
    size_t i = 0;
    do {
        int64_t pa[TM_MAX_RANK], pb[TM_MAX_RANK];
        for (int32_t d = 0; d < ba.rank; d++) pa[d] = ba.dim[d] == 1 ? 0 : at[d + batch.rank - ba.rank];
        for (int32_t d = 0; d < bb.rank; d++) pb[d] = bb.dim[d] == 1 ? 0 : at[d + batch.rank - bb.rank];
        ref_matmul(a + ref_offset(&ba, pa) * m * k, b + ref_offset(&bb, pb) * k * n, m, n, k, expected + i++ * m * n);
    } while (ref_next(&batch, at));
    op_case c = op_begin(13);
    op_input(&c, "a", TM_FLOAT32, sa, a);
    op_input(&c, "b", TM_FLOAT32, sb, b);
    onnx_add(c.model, "MatMul", "a,b", "y");
    op_check(&c, &out, expected, 1e-4);
    free(a);
    free(b);
}

static void test_matmul(void **state) {
    (void)state;
    check_matmul(shape_of(DIMS(5, 7)), shape_of(DIMS(7, 6)));
    check_matmul(shape_of(DIMS(6, 8)), shape_of(DIMS(8, 12)));
    check_matmul(shape_of(DIMS(3, 5, 8)), shape_of(DIMS(3, 8, 12)));
    check_matmul(shape_of(DIMS(1, 33)), shape_of(DIMS(33, 101)));
    check_matmul(shape_of(DIMS(17, 33)), shape_of(DIMS(33, 1)));
    check_matmul(shape_of(DIMS(7)), shape_of(DIMS(7, 6)));
    check_matmul(shape_of(DIMS(5, 7)), shape_of(DIMS(7)));
    check_matmul(shape_of(DIMS(7)), shape_of(DIMS(7)));
    check_matmul(shape_of(DIMS(3, 5, 7)), shape_of(DIMS(7, 6)));
    check_matmul(shape_of(DIMS(5, 7)), shape_of(DIMS(3, 7, 6)));
    check_matmul(shape_of(DIMS(2, 1, 5, 7)), shape_of(DIMS(3, 7, 6)));
    check_matmul(shape_of(DIMS(2, 3, 5, 7)), shape_of(DIMS(2, 3, 7, 6)));
    // Rows that start anywhere in a vector, with every rest of k and n.
    for (int64_t n = 8; n < 13; n++)
        for (int64_t k = 5; k < 10; k++) check_matmul(shape_of(DIMS(2, 3, 9, k)), shape_of(DIMS(2, 3, k, n)));
    check_matmul(shape_of(DIMS(6, 257, 64)), shape_of(DIMS(6, 64, 257)));
    check_matmul(shape_of(DIMS(6, 257, 257)), shape_of(DIMS(6, 257, 64)));
    check_matmul(shape_of(DIMS(2, 1, 2, 1, 2, 1, 3, 2)), shape_of(DIMS(1, 2, 1, 2, 1, 2, 2, 3)));
}

typedef struct gemm_case {
    bool ta, tb;
    float alpha, beta;
    size_t c_rank;
    int64_t c[2];
} gemm_case;

static void check_gemm(const gemm_case *g, size_t m, size_t n, size_t k) {
    float *a = test_noise(1, m * k, -1, 1), *b = test_noise(2, k * n, -1, 1);
    float *at = malloc(sizeof *at * m * k), *bt = malloc(sizeof *bt * k * n), *expected = malloc(sizeof *at * m * n);
    for (size_t i = 0; i < m * k; i++) at[g->ta ? i % k * m + i / k : i] = a[i];
    for (size_t i = 0; i < k * n; i++) bt[g->tb ? i % n * k + i / n : i] = b[i];
    ref_matmul(a, b, m, n, k, expected);
    float *d = test_noise(3, m * n, -1, 1);
    int64_t rows = g->c_rank > 1 ? g->c[0] : 1, cols = g->c_rank ? g->c[g->c_rank - 1] : 1;
    for (size_t i = 0; i < m * n; i++) {
        size_t j = (rows > 1 ? i / n * (size_t)cols : 0) + (cols > 1 ? i % n : 0);
        expected[i] = g->alpha * expected[i] + (g->c_rank == 9 ? 0 : g->beta * d[j]);
    }
    op_case c = op_begin(13);
    op_input(&c, "a", TM_FLOAT32,
             g->ta ? shape_of(DIMS((int64_t)k, (int64_t)m)) : shape_of(DIMS((int64_t)m, (int64_t)k)), at);
    onnx_constant(c.model, "b", TM_FLOAT32, 2, (int64_t[]){(int64_t)(g->tb ? n : k), (int64_t)(g->tb ? k : n)}, bt);
    if (g->c_rank != 9) onnx_constant(c.model, "c", TM_FLOAT32, g->c_rank, g->c, d);
    onnx_node *node = onnx_add(c.model, "Gemm", g->c_rank == 9 ? "a,b" : "a,b,c", "y");
    onnx_int(c.model, node, "transA", g->ta);
    onnx_int(c.model, node, "transB", g->tb);
    onnx_float(c.model, node, "alpha", g->alpha);
    onnx_float(c.model, node, "beta", g->beta);
    tm_shape out = shape_of(DIMS((int64_t)m, (int64_t)n));
    op_check(&c, &out, expected, 1e-4);
    free(a);
    free(b);
    free(at);
    free(bt);
    free(d);
}

static void test_gemm(void **state) {
    (void)state;
    const gemm_case cases[] = {
        {false, false, 1, 1, 1, {6}},     {false, true, 1, 1, 1, {6}},    {true, false, 0.5f, 2, 2, {5, 6}},
        {true, true, 1, 0.5f, 2, {5, 1}}, {false, true, 2, 1, 2, {1, 6}}, {false, false, 1.5f, 1, 9, {0}},
        {false, false, 1, 1, 0, {0}},     {false, false, 1, 1, 1, {1}},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) check_gemm(&cases[i], 5, 6, 9);
    check_gemm(&(gemm_case){false, true, 1, 1, 1, {1000}}, 1, 1000, 1280);
    check_gemm(&(gemm_case){false, true, 1, 1, 1, {7}}, 6, 7, 8);
    check_gemm(&(gemm_case){false, false, 1, 1, 1, {8}}, 6, 8, 12);
}

// Sums over every index of all labels, in the order of `all`; labels are lower-case letters of sizes 2, 3, 4, ...
static void check_einsum(const char *equation, const char *a, const char *b, const char *out, const char *all) {
    tm_shape sa = {.rank = (int32_t)strlen(a)}, sb = {.rank = (int32_t)strlen(b)}, so = {.rank = (int32_t)strlen(out)};
    tm_shape every = {.rank = (int32_t)strlen(all)};
    for (size_t d = 0; a[d]; d++) sa.dim[d] = a[d] - 'a' + 2;
    for (size_t d = 0; b[d]; d++) sb.dim[d] = b[d] - 'a' + 2;
    for (size_t d = 0; out[d]; d++) so.dim[d] = out[d] - 'a' + 2;
    for (size_t d = 0; all[d]; d++) every.dim[d] = all[d] - 'a' + 2;
    float *x = test_noise(1, elements(&sa), -1, 1), *z = test_noise(2, elements(&sb), -1, 1);
    float *expected = calloc(elements(&so), sizeof *expected);
    int64_t at[TM_MAX_RANK] = {0}, ia[TM_MAX_RANK], ib[TM_MAX_RANK], io[TM_MAX_RANK];
    do {
        for (size_t d = 0; a[d]; d++) ia[d] = at[strchr(all, a[d]) - all];
        for (size_t d = 0; b[d]; d++) ib[d] = at[strchr(all, b[d]) - all];
        for (size_t d = 0; out[d]; d++) io[d] = at[strchr(all, out[d]) - all];
        expected[ref_offset(&so, io)] += x[ref_offset(&sa, ia)] * (*b ? z[ref_offset(&sb, ib)] : 1);
    } while (ref_next(&every, at));
    op_case c = op_begin(13);
    op_input(&c, "a", TM_FLOAT32, sa, x);
    if (*b) op_input(&c, "b", TM_FLOAT32, sb, z);
    onnx_string(c.model, onnx_add(c.model, "Einsum", *b ? "a,b" : "a", "y"), "equation", equation);
    op_check(&c, &so, expected, 1e-5);
    free(x);
    free(z);
}

static void test_einsum(void **state) {
    (void)state;
    check_einsum("ab,bc->ac", "ab", "bc", "ac", "abc");
    check_einsum("ab,bc", "ab", "bc", "ac", "abc");
    check_einsum(" abc , abd -> acd ", "abc", "abd", "acd", "abcd");
    check_einsum("a...b,...bc->...ac", "aedb", "edbc", "edac", "abcde");
    check_einsum("...ab->...ba", "cdab", "", "cdba", "abcd");
    check_einsum("aab->b", "aab", "", "b", "ab");
    check_einsum("ab,ab->", "ab", "ab", "", "ab");
    check_einsum("a,b->ba", "a", "b", "ba", "ab");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matmul), cmocka_unit_test(test_gemm),
                                       cmocka_unit_test(test_einsum)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
