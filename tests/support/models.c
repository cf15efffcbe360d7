#include "models.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

onnx_model *small_model(void) {
    onnx_model *m = onnx_new(13);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, -1, -1));
    const int64_t one[] = {2}, axes[] = {0};
    onnx_constant(m, "index", TM_INT64, DIMS(1), one);
    onnx_constant(m, "axes", TM_INT64, DIMS(1), axes);
    onnx_add(m, "Shape", "x", "shape");
    onnx_add(m, "Gather", "shape,index", "height");
    onnx_node *constant = onnx_add(m, "Constant", "", "minus");
    onnx_ints(m, constant, "value_ints", DIMS(-1));
    onnx_node *concat = onnx_add(m, "Concat", "height,minus", "target");
    onnx_int(m, concat, "axis", 0);
    onnx_add(m, "Reshape", "x,target", "flat");
    onnx_add(m, "Unsqueeze", "flat,axes", "y");
    onnx_output(m, "y");
    return m;
}

onnx_model *small_network(void) {
    onnx_model *m = onnx_new(13);
    float *noise = test_noise(1, 256, 0.1f, 1);
    const int64_t pads[] = {0, 0, 1, 0, 0, 0, 0, 1}, two[] = {2, 2}, spatial[] = {2, 3};
    const float low = 0, high = 6;
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, -1, -1));
    onnx_constant(m, "pads", TM_INT64, DIMS(8), pads);
    onnx_constant(m, "w", TM_FLOAT32, DIMS(4, 4, 2, 2), noise);
    onnx_constant(m, "k", TM_FLOAT32, DIMS(4), noise);
    onnx_constant(m, "low", TM_FLOAT32, SCALAR, &low);
    onnx_constant(m, "high", TM_FLOAT32, SCALAR, &high);
    onnx_constant(m, "spatial", TM_INT64, DIMS(2), spatial);
    onnx_constant(m, "two", TM_INT64, DIMS(2), two);
    onnx_constant(m, "head", TM_FLOAT32, DIMS(3, 8), noise);
    onnx_add(m, "Pad", "x,pads", "p");
    onnx_node *conv = onnx_add(m, "Conv", "p,w", "c");
    onnx_ints(m, conv, "dilations", DIMS(1, 1));
    onnx_ints(m, conv, "strides", DIMS(1, 1));
    onnx_int(m, conv, "group", 1);
    onnx_float(m, onnx_add(m, "BatchNormalization", "c,k,k,k,k", "n"), "epsilon", 1e-3f);
    onnx_add(m, "Clip", "n,low,high", "r");
    onnx_add(m, "Add", "r,x", "s");
    onnx_node *pool = onnx_add(m, "MaxPool", "s", "half");
    onnx_ints(m, pool, "kernel_shape", DIMS(2, 2));
    onnx_ints(m, pool, "strides", DIMS(2, 2));
    onnx_int(m, pool, "ceil_mode", 1);
    onnx_add(m, "Shape", "s", "shape");
    onnx_add(m, "Gather", "shape,spatial", "hw");
    onnx_add(m, "Shape", "half", "small");
    onnx_int(m, onnx_add(m, "Slice", "small,axis,two_,axis", "nc"), "unused", 3);
    const int64_t zero[] = {0}, end[] = {2};
    onnx_constant(m, "axis", TM_INT64, DIMS(1), zero);
    onnx_constant(m, "two_", TM_INT64, DIMS(1), end);
    onnx_int(m, onnx_add(m, "Concat", "nc,hw", "sizes"), "axis", 0);
    onnx_string(m, onnx_add(m, "Resize", "half,,,sizes", "up"), "mode", "linear");
    onnx_int(m, onnx_add(m, "Concat", "up,s", "wide"), "axis", 1);
    onnx_int(m, onnx_add(m, "Transpose", "wide", "t"), "perm_", 1);
    onnx_add(m, "GlobalAveragePool", "wide", "g");
    onnx_add(m, "Flatten", "g", "f");
    onnx_int(m, onnx_add(m, "Gemm", "f,head", "l"), "transB", 1);
    onnx_int(m, onnx_add(m, "Softmax", "l", "y"), "axis", -1);
    onnx_output(m, "y");
    onnx_output(m, "t");
    free(noise);
    return m;
}

// ---- Chains of operators
static const char *const chains[] = {
    "Conv x,w,k a pads=1,1,1,1 group=1; ConvTranspose a,w b strides=2,2 output_padding=1,1; Relu b y",
    "MaxPool x a kernel_shape=3,3 auto_pad='SAME_UPPER' strides=2,2; AveragePool a y kernel_shape=2,2 ceil_mode=1",
    "Gemm m,n y transB=1 alpha=2.0; MatMul m,n2 z",
    "Einsum m,n y equation='ij,kj->ik'",
    "Slice x,i01,i23,i23 a; Gather a,i1 b axis=1; Squeeze b,i1 c; Unsqueeze c,i1 y",
    "Split x a,b axis=1; Concat b,a y axis=1; Transpose y z perm=0,2,3,1",
    "Shape x d; Gather d,two e; Range zero,e,one y",
    "Expand k,i44 a; Tile a,i23 b; Pad b,i1111 y mode='reflect'",
    "ReduceMean x a axes=2,3 keepdims=1; ReduceSum a,i1 b; ArgMax x y axis=1; Softmax x z axis=1",
    "BatchNormalization x,k,k,k,k a; InstanceNormalization a,k,k b; LayerNormalization x,k8,k8 z; Clip b,half,half y",
    "Resize x,,scales y mode='cubic' coordinate_transformation_mode='align_corners'",
    "Resize x,,,sizes y mode='nearest'",
    "GridSample x,grid y mode='bilinear' padding_mode='zeros'",
    "Cast x t to=9; Where t,x,k8 a; Cast a b to=7; Mod b,one e; Equal e,one y",
    "DepthToSpace x a blocksize=2; SpaceToDepth a b blocksize=2; Flatten b y axis=2",
    "ConstantOfShape s y; Reshape m,s z",
    "PRelu x,k411 a; LeakyRelu a b alpha=0.1; HardSigmoid b c; Pow c,half y",
    "GlobalAveragePool x a; Flatten a b; Gemm b,n4 y transB=1",
};

static void add_constants(onnx_model *m) {
    static const struct {
        const char *name;
        size_t rank;
        int64_t dims[4], values[4];  // values of integers; floats are noise
        bool integer;
    } constants[] = {
        {"w", 4, {4, 4, 3, 3}},
        {"k", 1, {4}},
        {"k8", 1, {8}},
        {"k411", 3, {4, 1, 1}},
        {"n", 2, {5, 6}},
        {"n2", 2, {6, 3}},
        {"n4", 2, {5, 4}},
        {"grid", 4, {1, 3, 3, 2}},
        {"half", 0, {0}},
        {"i1", 1, {1}, {1}, true},
        {"i01", 1, {2}, {0, 1}, true},
        {"i23", 1, {2}, {2, 3}, true},
        {"i44", 1, {2}, {4, 4}, true},
        {"i1111", 1, {4}, {1, 1, 1, 1}, true},
        {"sizes", 1, {4}, {1, 4, 12, 16}, true},
        {"zero", 0, {0}, {0}, true},
        {"one", 0, {0}, {1}, true},
        {"two", 0, {0}, {2}, true},
        {"wide", 0, {0}, {INT64_C(1000000000000)}, true},
    };
    float *noise = test_noise(1, 256, 0.1f, 1);
    const float scales[] = {1, 1, 2, 2};
    for (size_t i = 0; i < TM_ARRAY_LEN(constants); i++) {
        const void *data = constants[i].integer ? (const void *)constants[i].values : noise;
        onnx_constant(m, constants[i].name, constants[i].integer ? TM_INT64 : TM_FLOAT32, constants[i].rank,
                      constants[i].dims, data);
    }
    onnx_constant(m, "scales", TM_FLOAT32, DIMS(4), scales);
    free(noise);
}

static void add_attribute(onnx_model *m, onnx_node *node, char *text) {
    char *value = strchr(text, '=');
    int64_t numbers[8];
    size_t count = 0;
    *value++ = 0;
    if (*value == '\'') {
        value[strlen(value) - 1] = 0;
        onnx_string(m, node, text, value + 1);
    } else if (strchr(value, '.')) {
        onnx_float(m, node, text, strtof(value, NULL));
    } else {
        for (char *at = value; *at && count < TM_ARRAY_LEN(numbers); at += *at == ',') {
            numbers[count++] = strtoll(at, &at, 10);
        }
        bool single = count == 1 && strcmp(text, "axes");
        if (single) onnx_int(m, node, text, numbers[0]);
        if (!single) onnx_ints(m, node, text, count, numbers);
    }
}

// "x,[2:-3]" -> "x,[2:-3]" with a constant of that name.
static void add_lists(onnx_model *m, const char *inputs) {
    for (const char *at = inputs; (at = strchr(at, '[')) != NULL;) {
        int64_t numbers[8];
        size_t count = 0;
        char *end = (char *)(uintptr_t)at, *name = strndup(at, strcspn(at, "]") + 1);
        while (*end && *end != ']' && count < TM_ARRAY_LEN(numbers)) numbers[count++] = strtoll(end + 1, &end, 10);
        onnx_constant(m, name, TM_INT64, 1, (const int64_t[]){(int64_t)count}, numbers);
        free(name);
        at = end;
    }
}

static void add_operator(onnx_model *m, char *text) {
    char *state = NULL, *op = strtok_r(text, " ", &state), *inputs = strtok_r(NULL, " ", &state);
    char *outputs = strtok_r(NULL, " ", &state);
    add_lists(m, inputs);
    onnx_node *node = onnx_add(m, op, inputs, outputs);
    for (char *name = outputs, *end; *name; name = end + (*end == ',')) {
        end = name + strcspn(name, ",");
        char output[2] = {*name};
        if (end == name + 1 && (*name == 'y' || *name == 'z')) onnx_output(m, output);
    }
    for (char *word; (word = strtok_r(NULL, " ", &state)) != NULL;) add_attribute(m, node, word);
}

void chain_add(onnx_model *m, const char *chain) {
    char *text = strdup(chain), *state = NULL;
    for (char *op = strtok_r(text, ";", &state); op; op = strtok_r(NULL, ";", &state)) add_operator(m, op);
    free(text);
}

onnx_model *chain_model(const char *chain) {
    onnx_model *m = onnx_new(17);
    onnx_input(m, "x", TM_FLOAT32, DIMS(1, 4, 6, 8));
    onnx_input(m, "m", TM_FLOAT32, DIMS(8, 6));
    onnx_input(m, "s", TM_INT64, DIMS(2));
    add_constants(m);
    chain_add(m, chain);
    return m;
}

onnx_model *operator_model(size_t index) {
    return index < TM_ARRAY_LEN(chains) ? chain_model(chains[index]) : NULL;
}
