// Loading a network for its gradients: what it has then, what it computes, and what is refused.
#include <stdlib.h>
#include <string.h>

#include "gradient_case.h"
#include "graph/op.h"
#include "models.h"

// ---- Every allocation of the process, counted; number `refused` fails.
static size_t allocations, refused;

static bool refuse(void) {
    return refused && ++allocations == refused;
}
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size) {
    return refuse() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return refuse() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *memory, size_t size) {
    return refuse() ? NULL : __real_realloc(memory, size);
}

// x -> features -> pool -> logits, and a branch that nothing of it needs.
static onnx_model *classifier(void) {
    onnx_model *m = chain_model(
        "Conv x,w conv pads=1,1,1,1; Relu conv features; GlobalAveragePool features pool; Flatten pool flat; "
        "Gemm flat,n4 y transB=1; Sigmoid x aside; ArgMax features best axis=1; Cast best real to=1; Hardmax x hard; "
        "Add hard,x z");
    return m;
}

static void expect_refusal(const onnx_model *m, const char *of, const char *name, tagmask_status status,
                           const char *text) {
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gradient request = {of, &name, 1, TM_FP32};
    tm_graph *graph = NULL;
    assert_int_equal(tm_graph_load_gradient_memory(NULL, bytes, size, "model", &request, NULL, 0, &graph, &err),
                     status);
    assert_null(graph);
    if (!strstr(err.message, text)) fail_msg("expected \"%s\" in \"%s\"", text, err.message);
    free(bytes);
}

static void names_what_is_wrong(void **state) {
    (void)state;
    onnx_model *m = classifier();
    expect_refusal(m, "y", "feature", TAGMASK_ERROR_ARGUMENT, "no tensor 'feature'; did you mean features?");
    expect_refusal(m, "why", "features", TAGMASK_ERROR_ARGUMENT, "no tensor 'why'");
    expect_refusal(m, "y", "aside", TAGMASK_ERROR_ARGUMENT, "'y' does not depend on 'aside'");
    expect_refusal(m, "real", "features", TAGMASK_ERROR_ARGUMENT, "'real' does not depend on 'features'");
    expect_refusal(m, "features", "pool", TAGMASK_ERROR_ARGUMENT, "'features' does not depend on 'pool'");
    expect_refusal(m, "z", "x", TAGMASK_ERROR_UNSUPPORTED,
                   "(Hardmax, opset 17): the operator cannot be differentiated");
    expect_refusal(m, "y", "s", TAGMASK_ERROR_ARGUMENT, "'s' is not float32");
    onnx_free(m);
}

static void refuses_nothing_and_doubles(void **state) {
    (void)state;
    onnx_model *m = classifier();
    tm_error err = TAGMASK_ERROR_INIT;
    const char *twice[] = {"features", "features"};
    assert_null(gradient_load(m, twice, 2, &err));
    assert_non_null(strstr(err.message, "'features' was named twice"));
    assert_null(gradient_load(m, NULL, 0, &err));
    assert_non_null(strstr(err.message, "no tensor was named"));
    onnx_free(m);
}

static void models_cannot_name_its_operators(void **state) {
    (void)state;
    onnx_model *m = onnx_new(17);
    onnx_input(m, "x", TM_FLOAT32, DIMS(2, 3));
    onnx_node *node = onnx_add(m, "SumLike", "x,x", "y");
    onnx_domain(m, node, TM_GRADIENT_DOMAIN);
    onnx_output(m, "y");
    size_t size;
    uint8_t *bytes = onnx_bytes(m, &size);
    tm_error err = TAGMASK_ERROR_INIT;
    tm_graph *graph = NULL;
    assert_int_equal(tm_graph_load_memory(NULL, bytes, size, "model", NULL, 0, &graph, &err),
                     TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "operator tagmask.gradient.SumLike is not supported"));
    free(bytes);
    onnx_free(m);
}

static void seed_has_the_shape_of_the_output(void **state) {
    (void)state;
    onnx_model *m = classifier();
    tm_error err = TAGMASK_ERROR_INIT;
    const char *names[] = {"features"};
    tm_graph *graph = gradient_load(m, names, 1, &err);
    assert_ok(graph ? TAGMASK_OK : err.status, &err);
    const tm_value_info *infos;
    size_t count = tm_graph_inputs(graph, &infos);
    assert_string_equal(infos[count - 1].name, "gradient of y");
    const int64_t s[] = {1, 2};
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 8), NULL), onnx_value(TM_FLOAT32, DIMS(8, 6), NULL),
                               onnx_value(TM_INT64, DIMS(2), s), onnx_value(TM_FLOAT32, DIMS(1, 4), NULL)};
    tm_plan *plan;
    assert_int_equal(tm_graph_plan(graph, inputs, 4, &plan, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "has shape 1x4; expected 1x5"));
    inputs[3] = onnx_value(TM_FLOAT32, DIMS(1, 5), NULL);
    assert_ok(tm_graph_plan(graph, inputs, 4, &plan, &err), &err);
    count = tm_graph_outputs(graph, &infos);
    assert_string_equal(infos[count - 1].name, "gradient of features");
    tm_shape shape = tm_plan_output(plan, count - 1).shape, expected = {4, {1, 4, 6, 8}};
    assert_true(tm_shape_equal(&shape, &expected));
    // The gradient of what lies before the features is not there.
    tm_layer_info layer;
    for (size_t i = 0; tm_plan_layer(plan, i, &layer); i++) assert_null(strstr(layer.name, "'conv'"));
    tm_graph_free(graph);
    onnx_free(m);
}

// A convolution and its activation are one dispatch still: the derivative of Relu is told by its output.
static void activations_stay_fused(void **state) {
    (void)state;
    onnx_model *m = chain_model("Conv x,w a pads=1,1,1,1; Relu a b; Conv b,w c pads=1,1,1,1; Relu c y");
    tm_error err = TAGMASK_ERROR_INIT;
    const char *names[] = {"x"};
    tm_graph *graph = gradient_load(m, names, 1, &err);
    assert_ok(graph ? TAGMASK_OK : err.status, &err);
    const int64_t s[] = {1, 2};
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 8), NULL), onnx_value(TM_FLOAT32, DIMS(8, 6), NULL),
                               onnx_value(TM_INT64, DIMS(2), s), onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 8), NULL)};
    tm_plan *plan;
    assert_ok(tm_graph_plan(graph, inputs, 4, &plan, &err), &err);
    tm_layer_info layer;
    for (size_t i = 0; tm_plan_layer(plan, i, &layer); i++) assert_string_not_equal(layer.op_type, "Relu");
    tm_graph_free(graph);
    onnx_free(m);
}

// Shapes only: no device is needed to plan.
static tagmask_status load_and_plan(const uint8_t *bytes, size_t size, const tm_shape *y, tm_error *err) {
    const char *names[] = {"x", "w"};
    const tm_gradient request = {"y", names, 2, TM_FP32, false};
    tm_graph *graph = NULL;
    TM_TRY(tm_graph_load_gradient_memory(NULL, bytes, size, "model", &request, NULL, 0, &graph, err));
    const int64_t s[] = {1, 2};
    tm_host_tensor inputs[] = {onnx_value(TM_FLOAT32, DIMS(1, 4, 6, 8), NULL), onnx_value(TM_FLOAT32, DIMS(8, 6), NULL),
                               onnx_value(TM_INT64, DIMS(2), s), onnx_value(TM_FLOAT32, (size_t)y->rank, y->dim, NULL)};
    tm_plan *plan;
    tagmask_status status = tm_graph_plan(graph, inputs, 4, &plan, err);
    tm_graph_free(graph);
    return status;
}

static void refused_memory_is_an_error(void **state) {
    (void)state;
    static const struct {
        const char *chain;
        tm_shape y;
    } cases[] = {
        {"Conv x,w,k a pads=1,1,1,1; BatchNormalization a,k,k,k,k b; Relu b c; MaxPool c d kernel_shape=2,2; "
         "Concat d,d e axis=1; Split e f,g axis=1; Mul f,g h; Softmax h i axis=1; Resize i,,scales y mode='linear'",
         {4, {1, 4, 10, 14}}},
        {"Conv x,w a pads=1,1,1,1; InstanceNormalization a,k,k b; Pad b,[0:0:1:1:0:0:1:1] c; Pow c,half d; "
         "ReduceMean d e axes=2,3; Flatten e f; Gemm f,n4 y transB=1",
         {2, {1, 5}}}};
    for (size_t c = 0; c < TM_ARRAY_LEN(cases); c++) {
        onnx_model *m = chain_model(cases[c].chain);
        size_t size, n = 0;
        uint8_t *bytes = onnx_bytes(m, &size);
        tagmask_status status;
        tm_error err = TAGMASK_ERROR_INIT;
        assert_ok(load_and_plan(bytes, size, &cases[c].y, &err), &err);
        do {
            allocations = 0;
            refused = ++n;
            status = load_and_plan(bytes, size, &cases[c].y, &err);
            bool done = allocations < refused;
            refused = 0;
            if (done) break;
            if (status != TAGMASK_ERROR_MEMORY && status != TAGMASK_OK) fail_msg("allocation %zu: %s", n, err.message);
        } while (n < 100000);
        assert_ok(status, &err);
        assert_true(n > 50);
        free(bytes);
        onnx_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(refuses_nothing_and_doubles),
        cmocka_unit_test(models_cannot_name_its_operators),
        cmocka_unit_test(seed_has_the_shape_of_the_output),
        cmocka_unit_test(activations_stay_fused),
        cmocka_unit_test(refused_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
