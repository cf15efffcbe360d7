#include "models.h"

#include <stdlib.h>

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
