#include "gradient_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models.h"

enum { SAMPLES = 16 };  // elements of a tensor whose differences are taken

static size_t tensor_count(const gradient_case *c) {
    size_t count = 0;
    while (count < TM_ARRAY_LEN(c->tensors) && c->tensors[count].name) count++;
    return count;
}

static size_t element_count(const gradient_tensor *tensor) {
    tm_shape shape = shape_of(tensor->rank, tensor->dims);
    return elements(&shape);
}

static void make_data(const gradient_case *c, float *data[5]) {
    for (size_t i = 0; i < tensor_count(c); i++) {
        const gradient_tensor *t = &c->tensors[i];
        bool plain = t->low == 0 && t->high == 0;
        data[i] = test_noise(11 + i, element_count(t), plain ? -1 : t->low, plain ? 1 : t->high);
    }
}

// As op_input_c4: through a depthwise convolution by one.
static void add_c4(onnx_model *m, const gradient_tensor *t) {
    float ones[64];
    assert_true(t->rank == 4 && t->dims[1] <= 64);
    for (size_t i = 0; i < TM_ARRAY_LEN(ones); i++) ones[i] = 1;
    onnx_input(m, "raw", TM_FLOAT32, t->rank, t->dims);
    onnx_constant(m, "ones", TM_FLOAT32, DIMS(t->dims[1], 1, 1, 1), ones);
    onnx_node *conv = onnx_add(m, "Conv", "raw,ones", t->name);
    onnx_int(m, conv, "group", t->dims[1]);
}

// Takes the data.
static onnx_model *model_of(const gradient_case *c, bool constants, bool c4, float **data) {
    onnx_model *m = onnx_new(c->opset ? c->opset : 17);
    for (size_t i = 0; i < tensor_count(c); i++) {
        const gradient_tensor *t = &c->tensors[i];
        if (i > 0 && (constants || t->fixed))
            onnx_constant(m, t->name, TM_FLOAT32, t->rank, t->dims, data[i]);
        else if (i == 0 && c4)
            add_c4(m, t);
        else
            onnx_input(m, t->name, TM_FLOAT32, t->rank, t->dims);
        free(data[i]);
    }
    chain_add(m, c->chain);
    return m;
}

static onnx_model *make_model(const gradient_case *c, bool constants, bool c4) {
    float *data[5];
    make_data(c, data);
    return model_of(c, constants, c4, data);
}

onnx_model *gradient_model(const gradient_case *c, uint64_t seed) {
    float *data[5];
    make_data(c, data);
    if (tensor_count(c) > 1) {
        free(data[1]);
        data[1] = test_noise(seed, element_count(&c->tensors[1]), -1, 1);
    }
    return model_of(c, true, false, data);
}

static tm_graph *load_as(const onnx_model *model, tm_precision precision, const char *const *names, size_t count,
                         tm_error *err) {
    size_t size;
    uint8_t *bytes = onnx_bytes(model, &size);
    tm_gradient request = {"y", names, count, precision};
    tm_graph *graph = NULL;
    tagmask_status status =
        tm_graph_load_gradient_memory(test_gpu(), bytes, size, "model", &request, NULL, 0, &graph, err);
    assert_int_equal(status == TAGMASK_OK, graph != NULL);
    free(bytes);
    return graph;
}

tm_graph *gradient_load(const onnx_model *model, const char *const *names, size_t count, tm_error *err) {
    return load_as(model, TM_FP32, names, count, err);
}

static size_t list_inputs(const gradient_case *c, bool constants, float *const *data, tm_host_tensor *inputs) {
    size_t count = 0;
    for (size_t i = 0; i < tensor_count(c); i++) {
        const gradient_tensor *t = &c->tensors[i];
        if (i == 0 || (!constants && !t->fixed)) inputs[count++] = onnx_value(TM_FLOAT32, t->rank, t->dims, data[i]);
    }
    return count;
}

// The sum of y's elements, each times its weight.
static double loss(tm_graph *graph, const tm_host_tensor *inputs, size_t count, float **weights) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_host_tensor outputs[4];
    assert_ok(tm_graph_run(graph, inputs, count, outputs, &err), &err);
    size_t n = elements(&outputs[0].shape);
    if (!*weights) *weights = test_noise(99, n, 0.5f, 1.5f);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)((const float *)outputs[0].data)[i] * (double)(*weights)[i];
    const tm_value_info *infos;
    for (size_t i = 0; i < tm_graph_outputs(graph, &infos); i++) free(outputs[i].data);
    return sum;
}

static double difference(const gradient_case *c, tm_graph *plain, float *const *data, float *element, float **weights) {
    tm_host_tensor inputs[5];
    size_t count = list_inputs(c, false, data, inputs);
    const float at = *element;
    double slope[2];
    for (int k = 0; k < 2; k++) {  // with half the step, the error is a quarter: what remains is of the fourth order
        volatile float step = k ? 0x1p-7f : 0x1p-6f, above = at + step, below = at - step;
        *element = above;
        double high = loss(plain, inputs, count, weights);
        *element = below;
        slope[k] = (high - loss(plain, inputs, count, weights)) / ((double)above - (double)below);
        *element = at;
    }
    return (4 * slope[1] - slope[0]) / 3;
}

static void check_tensor(const gradient_case *c, const char *mode, size_t tensor, const tm_host_tensor *got,
                         const double *expected) {
    const gradient_tensor *t = &c->tensors[tensor];
    tm_shape shape = shape_of(t->rank, t->dims);
    assert_true(tm_shape_equal(&got->shape, &shape));
    size_t n = elements(&shape), samples = TM_MIN(n, (size_t)SAMPLES);
    double largest = 1e-6, worst = 0;
    for (size_t k = 0; k < samples; k++) largest = fmax(largest, fabs(expected[k]));
    for (size_t k = 0; k < samples; k++) {
        double off = fabs((double)((const float *)got->data)[k * n / samples] - expected[k]) / largest;
        if (!(off <= worst)) worst = isnan(off) ? INFINITY : off;
    }
    double tolerance = c->tolerance > 0 ? c->tolerance : 1e-3;
    if (!(worst <= tolerance))
        fail_msg("%s, %s: gradient of %s is off by %g of the largest, more than %g", c->chain, mode, t->name, worst,
                 tolerance);
}

// The ways a case is run: with all tensors as inputs; with all but the first as constants, differentiated by them, too,
// or not (then they are packed); and with the first tensor in C4.
static const struct {
    const char *name;
    bool constants, c4, first_only;
} modes[] = {{"inputs", false, false, false},
             {"weights", true, false, false},
             {"constants", true, false, true},
             {"weights, c4", true, true, false},
             {"constants, c4", true, true, true}};

static bool has_mode(const gradient_case *c, size_t mode) {
    return mode == 0 || (modes[mode].c4 ? c->tensors[0].rank == 4 : tensor_count(c) > 1);
}

// got: by tensor; data malloc'ed, NULL for those that are not differentiated by.
static void run_mode(const gradient_case *c, size_t mode, float *const *data, const float *weights, const tm_shape *y,
                     tm_host_tensor *got) {
    tm_error err = TAGMASK_ERROR_INIT;
    const char *names[5];
    size_t count = 0, which[5];
    for (size_t i = 0; i < tensor_count(c); i++) {
        got[i].data = NULL;
        if (c->tensors[i].fixed || (i > 0 && modes[mode].first_only)) continue;
        which[count] = i;
        names[count++] = c->tensors[i].name;
    }
    onnx_model *m = make_model(c, modes[mode].constants, modes[mode].c4);
    tm_graph *graph = gradient_load(m, names, count, &err);
    if (!graph) fail_msg("%s, %s: %s", c->chain, modes[mode].name, err.message);
    onnx_free(m);
    tm_host_tensor inputs[6], outputs[9];
    size_t input_count = list_inputs(c, modes[mode].constants, data, inputs);
    inputs[input_count++] = onnx_value(TM_FLOAT32, (size_t)y->rank, y->dim, weights);
    if (tm_graph_run(graph, inputs, input_count, outputs, &err) != TAGMASK_OK)
        fail_msg("%s, %s: %s", c->chain, modes[mode].name, err.message);
    const tm_value_info *infos;
    size_t output_count = tm_graph_outputs(graph, &infos);
    for (size_t i = 0; i < output_count; i++) {
        if (i + count < output_count)
            free(outputs[i].data);
        else
            got[which[i + count - output_count]] = outputs[i];
    }
    tm_graph_free(graph);
}

static tm_shape shape_of_y(tm_graph *plain, const tm_host_tensor *inputs, size_t count) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *plan;
    assert_ok(tm_graph_plan(plain, inputs, count, &plan, &err), &err);
    return tm_plan_output(plan, 0).shape;
}

tm_shape gradient_shape(const gradient_case *c) {
    onnx_model *m = make_model(c, true, false);
    tm_graph *plain = onnx_load(m, test_gpu());
    onnx_free(m);
    tm_host_tensor input = onnx_value(TM_FLOAT32, c->tensors[0].rank, c->tensors[0].dims, NULL);
    tm_shape y = shape_of_y(plain, &input, 1);
    tm_graph_free(plain);
    return y;
}

void gradient_check(const gradient_case *c) {
    float *data[5] = {NULL}, *weights = NULL;
    double expected[5][SAMPLES];
    onnx_model *m = make_model(c, false, false);
    tm_graph *plain = onnx_load(m, test_gpu());
    onnx_free(m);
    make_data(c, data);
    for (size_t i = 0; i < tensor_count(c); i++) {
        size_t n = element_count(&c->tensors[i]), samples = TM_MIN(n, (size_t)SAMPLES);
        for (size_t k = 0; k < samples && !c->tensors[i].fixed; k++)
            expected[i][k] = difference(c, plain, data, &data[i][k * n / samples], &weights);
    }
    tm_host_tensor inputs[5], got[5];
    tm_shape y = shape_of_y(plain, inputs, list_inputs(c, false, data, inputs));
    tm_graph_free(plain);
    for (size_t mode = 0; mode < TM_ARRAY_LEN(modes); mode++) {
        if (!has_mode(c, mode)) continue;
        run_mode(c, mode, data, weights, &y, got);
        for (size_t i = 0; i < tensor_count(c); i++) {
            if (got[i].data) check_tensor(c, modes[mode].name, i, &got[i], expected[i]);
            free(got[i].data);
        }
    }
    for (size_t i = 0; i < tensor_count(c); i++) free(data[i]);
    free(weights);
}

void gradient_compare(const gradient_case *c, tm_shape y, size_t tensor, gradient_reference reference,
                      const void *user) {
    float *data[5] = {NULL}, *g = test_noise(99, elements(&y), -1, 1);
    tm_host_tensor got[5];
    make_data(c, data);
    float *expected = reference(data, g, user);
    for (size_t mode = 0; mode < TM_ARRAY_LEN(modes); mode++) {
        if (!has_mode(c, mode)) continue;
        run_mode(c, mode, data, g, &y, got);
        size_t count = element_count(&c->tensors[tensor]);
        assert_true(!got[tensor].data || count == elements(&got[tensor].shape));
        double off = got[tensor].data ? test_relative_error(got[tensor].data, expected, count) : 0;
        if (!(off <= 1e-4)) fail_msg("%s, %s: off by %g of the largest", c->chain, modes[mode].name, off);
        for (size_t i = 0; i < tensor_count(c); i++) free(got[i].data);
    }
    for (size_t i = 0; i < tensor_count(c); i++) free(data[i]);
    free(expected);
    free(g);
}

void gradient_halves(const gradient_case *c) {
    tm_error err = TAGMASK_ERROR_INIT;
    float *data[5] = {NULL}, *g = NULL;
    tm_host_tensor inputs[2], outputs[2][4];
    make_data(c, data);
    list_inputs(c, true, data, inputs);
    onnx_model *m = make_model(c, true, false);
    tm_shape y = gradient_shape(c);
    for (int half = 0; half < 2; half++) {
        if (!g) g = test_noise(99, elements(&y), -1, 1);
        inputs[1] = onnx_value(TM_FLOAT32, (size_t)y.rank, y.dim, g);
        tm_graph *graph = load_as(m, half ? TM_FP16 : TM_FP32, &c->tensors[0].name, 1, &err);
        assert_ok(graph ? TAGMASK_OK : err.status, &err);
        assert_ok(tm_graph_run(graph, inputs, 2, outputs[half], &err), &err);
        tm_graph_free(graph);
    }
    // Winograd makes more of what is rounded.
    assert_close((const float *)outputs[1][1].data, (const float *)outputs[0][1].data, element_count(&c->tensors[0]),
                 1e-2);
    for (int i = 0; i < 4; i++) free(outputs[i / 2][i % 2].data);
    for (size_t i = 0; i < tensor_count(c); i++) free(data[i]);
    onnx_free(m);
    free(g);
}
