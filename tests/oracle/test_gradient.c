// Gradients of every differentiable operator against finite differences, at points where the functions are smooth.
#include "gradient_case.h"

#define X4             \
    {                  \
        "x", 4, {      \
            2, 6, 5, 7 \
        }              \
    }
#define CHECK(name, ...)                                                            \
    static void name(void **state) {                                                \
        (void)state;                                                                \
        static const gradient_case cases[] = {__VA_ARGS__};                         \
        for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) gradient_check(&cases[i]); \
    }

CHECK(activations, {"Relu x y", {{"x", 4, {1, 6, 3, 4}, 0.1f, 1}}},
      {"LeakyRelu x y alpha=0.2", {{"x", 2, {3, 4}, -1, -0.1f}}},
      {"LeakyRelu x y alpha=-0.2", {{"x", 2, {3, 4}, -1, -0.1f}}},
      {"Clip x,low,high y",
       {{"x", 4, {1, 6, 3, 4}, 0.1f, 0.9f}, {"low", 0, {0}, 0, 0.01f, true}, {"high", 0, {0}, 1, 1.1f, true}}},
      {"Sigmoid x y", {{"x", 4, {1, 6, 3, 4}}}}, {"Tanh x y", {{"x", 4, {1, 6, 3, 4}}}},
      {"HardSigmoid x y alpha=0.3", {{"x", 4, {1, 6, 3, 4}}}}, {"HardSwish x y", {{"x", 4, {1, 6, 3, 4}}}},
      {"Erf x y; Mul y,y z", {{"x", 4, {1, 6, 3, 4}}}}, {"Softplus x y", {{"x", 4, {1, 6, 3, 4}}}},
      {"Elu x y alpha=0.7", {{"x", 4, {1, 6, 3, 4}, -1, -0.1f}}}, {"Selu x y", {{"x", 4, {1, 6, 3, 4}, -1, -0.1f}}},
      {"Celu x y alpha=0.7", {{"x", 4, {1, 6, 3, 4}, -1, -0.1f}}}, {"Mish x y", {{"x", 4, {1, 6, 3, 4}}}, 18},
      {"Softsign x y", {{"x", 4, {1, 6, 3, 4}, 0.1f, 1}}},
      {"ThresholdedRelu x y alpha=0.5", {{"x", 4, {1, 6, 3, 4}, 0.6f, 1}}},
      {"Shrink x y lambd=0.25", {{"x", 4, {1, 6, 3, 4}, 0.3f, 1}}}, {"Gelu x y", {{"x", 4, {1, 6, 3, 4}}}, 20},
      {"Gelu x y approximate='tanh'", {{"x", 4, {1, 6, 3, 4}}}, 20},
      {"Swish x y alpha=1.5", {{"x", 4, {1, 6, 3, 4}}}, 24})

CHECK(functions, {"Exp x y", {{"x", 4, {1, 6, 3, 4}}}}, {"Log x y", {{"x", 4, {1, 6, 3, 4}, 0.5f, 1}}},
      {"Sqrt x y", {{"x", 4, {1, 6, 3, 4}, 0.5f, 1}}}, {"Abs x y", {{"x", 4, {1, 6, 3, 4}, -1, -0.1f}}},
      {"Neg x y", {{"x", 4, {1, 6, 3, 4}}}}, {"Reciprocal x y", {{"x", 4, {1, 6, 3, 4}, 0.5f, 1}}},
      {"Sin x y", {{"x", 2, {3, 4}}}}, {"Cos x y", {{"x", 4, {1, 6, 3, 4}}}}, {"Tan x y", {{"x", 2, {3, 4}}}},
      {"Asin x y", {{"x", 2, {3, 4}, -0.5f, 0.5f}}}, {"Acos x y", {{"x", 2, {3, 4}, -0.5f, 0.5f}}},
      {"Atan x y", {{"x", 2, {3, 4}}}}, {"Sinh x y", {{"x", 2, {3, 4}}}}, {"Cosh x y", {{"x", 2, {3, 4}}}},
      {"Asinh x y", {{"x", 2, {3, 4}, 0.1f, 1}}}, {"Acosh x y", {{"x", 2, {3, 4}, 1.5f, 2}}},
      {"Atanh x y", {{"x", 2, {3, 4}, -0.5f, 0.5f}}},
      {"Floor x a; Mul x,a b; Add b,x y", {{"x", 2, {3, 4}, 1.1f, 1.9f}}},
      {"Cast x a to=1; Identity a b; Dropout b y", {{"x", 2, {3, 4}}}})

CHECK(arithmetic, {"Add x,b y", {X4, {"b", 4, {2, 6, 5, 7}}}}, {"Add x,b y", {X4, {"b", 3, {6, 1, 1}}}},
      {"Sub b,x y", {X4, {"b", 1, {7}}}}, {"Sub x,b y", {X4, {"b", 4, {2, 6, 1, 1}}}},
      {"Mul x,b y", {X4, {"b", 4, {2, 6, 1, 1}}}}, {"Mul x,x y", {X4}}, {"Mul x,b y", {X4, {"b", 4, {2, 1, 5, 7}}}},
      {"Div x,b y", {X4, {"b", 4, {2, 6, 5, 7}, 0.5f, 1}}},
      {"Div b,x y", {{"x", 4, {1, 6, 3, 4}, 0.5f, 1}, {"b", 0, {0}}}},
      {"Pow x,two y", {X4, {"two", 0, {0}, 2, 2, true}}},
      {"Pow x,p y", {{"x", 2, {3, 4}, 0.5f, 1}, {"p", 0, {0}, 1.5f, 1.7f, true}}},
      {"Pow x,p y", {{"x", 2, {3, 4}, 0.5f, 1}, {"p", 1, {4}, 0.5f, 1.5f}}},
      {"PRelu x,s y", {{"x", 4, {1, 6, 3, 4}, -1, -0.1f}, {"s", 3, {6, 1, 1}}}},
      {"PRelu x,s y", {{"x", 4, {1, 6, 3, 4}, 0.1f, 1}, {"s", 3, {6, 1, 1}}}}, {"Sum x,b,x y", {X4, {"b", 1, {7}}}},
      {"Mean x,b y", {X4, {"b", 4, {2, 6, 5, 7}}}},
      {"Max x,b y", {{"x", 4, {1, 6, 3, 4}}, {"b", 1, {1}, 0.01f, 0.01f}}, 0, 2e-2},
      {"Min x,b,x y", {{"x", 4, {1, 6, 3, 4}, 0.2f, 1}, {"b", 1, {4}, 1.2f, 2}}},
      {"Greater x,b c; Where c,x,b y", {{"x", 4, {1, 6, 3, 4}, 0.2f, 1}, {"b", 1, {4}, -1, -0.1f}}},
      {"Less x,b c; Where c,x,b y", {{"x", 4, {1, 6, 3, 4}, 0.2f, 1}, {"b", 1, {4}, -1, -0.1f}}})

CHECK(convolutions, {"Conv x,w,b y pads=1,1,1,1", {{"x", 4, {2, 4, 6, 7}}, {"w", 4, {6, 4, 3, 3}}, {"b", 1, {6}}}},
      {"Conv x,w y", {{"x", 4, {2, 5, 6, 7}}, {"w", 4, {6, 5, 1, 1}}}},
      {"Conv x,w y strides=2,2", {{"x", 4, {1, 5, 6, 7}}, {"w", 4, {6, 5, 1, 1}}}},
      {"Conv x,w y pads=0,1,2,0", {{"x", 4, {1, 4, 6, 7}}, {"w", 4, {6, 4, 3, 3}}}},
      {"Conv x,w y pads=4,5,3,6", {{"x", 4, {1, 4, 4, 3}}, {"w", 4, {5, 4, 3, 3}}}},
      {"Conv x,w y pads=1,1,1,1 strides=2,2", {{"x", 4, {1, 4, 7, 8}}, {"w", 4, {6, 4, 3, 3}}}},
      {"Conv x,w y pads=0,0,1,1 strides=2,2", {{"x", 4, {1, 3, 8, 8}}, {"w", 4, {8, 3, 3, 3}}}},
      {"Conv x,w y auto_pad='SAME_UPPER' strides=2,2", {{"x", 4, {1, 3, 7, 8}}, {"w", 4, {8, 3, 3, 3}}}},
      {"Conv x,w y auto_pad='SAME_LOWER'", {{"x", 4, {1, 4, 7, 8}}, {"w", 4, {8, 4, 4, 4}}}},
      {"Conv x,w y strides=3,2 dilations=2,1", {{"x", 4, {1, 4, 11, 9}}, {"w", 4, {6, 4, 3, 2}}}},
      {"Conv x,w y dilations=2,3 pads=2,3,2,3", {{"x", 4, {1, 4, 7, 8}}, {"w", 4, {6, 4, 3, 3}}}},
      {"Conv x,w y group=2 pads=1,1,1,1", {{"x", 4, {1, 8, 5, 6}}, {"w", 4, {12, 4, 3, 3}}}},
      {"Conv x,w y group=3 pads=1,1,1,1 strides=2,2", {{"x", 4, {1, 6, 5, 6}}, {"w", 4, {9, 2, 3, 3}}}},
      {"Conv x,w y group=6 pads=1,1,1,1", {{"x", 4, {2, 6, 5, 6}}, {"w", 4, {6, 1, 3, 3}}}},
      {"Conv x,w y group=6 pads=0,0,1,1 strides=2,2", {{"x", 4, {2, 6, 6, 8}}, {"w", 4, {6, 1, 3, 3}}}},
      {"Conv x,w y group=6 pads=1,1,2,2 strides=2,2", {{"x", 4, {2, 6, 6, 8}}, {"w", 4, {6, 1, 5, 5}}}},
      {"Conv x,w y group=6 pads=2,2,2,2 dilations=2,2", {{"x", 4, {1, 6, 6, 8}}, {"w", 4, {6, 1, 3, 3}}}},
      {"Conv x,w y group=6 strides=2,1 dilations=2,2", {{"x", 4, {1, 6, 9, 8}}, {"w", 4, {6, 1, 3, 3}}}},
      {"Conv x,w y group=3 pads=1,1,1,1", {{"x", 4, {1, 3, 5, 6}}, {"w", 4, {6, 1, 3, 3}}}},
      {"Conv x,w y pads=1,2", {{"x", 3, {2, 4, 9}}, {"w", 3, {6, 4, 3}}}})

CHECK(products, {"MatMul x,b y", {{"x", 2, {3, 4}}, {"b", 2, {4, 5}}}},
      {"MatMul b,x y", {{"x", 2, {4, 8}}, {"b", 2, {8, 4}}}}, {"MatMul x,b y", {{"x", 3, {2, 3, 4}}, {"b", 2, {4, 5}}}},
      {"MatMul x,b y", {{"x", 3, {2, 3, 4}}, {"b", 3, {2, 4, 5}}}},
      {"MatMul x,b y", {{"x", 4, {2, 1, 3, 4}}, {"b", 3, {3, 4, 5}}}},
      {"MatMul x,b y", {{"x", 1, {4}}, {"b", 2, {4, 5}}}}, {"MatMul x,b y", {{"x", 3, {2, 3, 4}}, {"b", 1, {4}}}},
      {"MatMul x,b y", {{"x", 1, {4}}, {"b", 3, {2, 4, 5}}}}, {"MatMul x,b y", {{"x", 1, {4}}, {"b", 1, {4}}}},
      {"Gemm x,w,b y", {{"x", 2, {3, 4}}, {"w", 2, {4, 5}}, {"b", 1, {5}}}},
      {"Gemm x,w,b y alpha=0.5 beta=2.0 transA=1", {{"x", 2, {4, 3}}, {"w", 2, {4, 5}}, {"b", 2, {3, 1}}}},
      {"Gemm x,w,b y alpha=0.5 transB=1", {{"x", 2, {3, 4}}, {"w", 2, {5, 4}}, {"b", 2, {3, 5}}}},
      {"Gemm x,w y transA=1 transB=1", {{"x", 2, {4, 3}}, {"w", 2, {5, 4}}}})

CHECK(pools, {"MaxPool x y kernel_shape=2,2 strides=2,2", {{"x", 4, {2, 6, 6, 8}}}, 0, 2e-2},
      {"MaxPool x y kernel_shape=3,3 strides=2,2 pads=1,1,1,1", {{"x", 4, {1, 6, 7, 8}}}, 0, 2e-2},
      {"AveragePool x y kernel_shape=3,2 strides=2,1 pads=1,0,1,1", {{"x", 4, {1, 6, 7, 8}}}},
      {"AveragePool x y kernel_shape=3,3 pads=1,1,1,1 count_include_pad=1", {{"x", 4, {1, 6, 7, 8}}}},
      {"AveragePool x y kernel_shape=3,3 strides=2,2 ceil_mode=1 count_include_pad=1", {{"x", 4, {1, 5, 6, 8}}}, 19},
      {"AveragePool x y kernel_shape=3,3 strides=2,2 auto_pad='SAME_UPPER'", {{"x", 4, {1, 6, 6, 8}}}},
      {"AveragePool x y kernel_shape=2,2 dilations=2,3", {{"x", 4, {1, 6, 6, 8}}}, 19}, {"GlobalAveragePool x y", {X4}},
      {"GlobalAveragePool x a; Flatten a y", {X4}}, {"GlobalMaxPool x y", {X4}, 0, 2e-2})

CHECK(reductions, {"ReduceMean x y axes=2,3", {X4}, 13}, {"ReduceMean x,[1] y keepdims=0", {X4}, 18},
      {"ReduceSum x,[0:-1] y", {X4}}, {"ReduceSum x y keepdims=0", {X4}},
      {"ReduceMax x y axes=2 keepdims=0", {{"x", 3, {2, 3, 4}}}, 13, 2e-2},
      {"ReduceMin x y axes=1", {{"x", 3, {2, 3, 4}}}, 13, 2e-2},
      {"ReduceProd x y axes=1", {{"x", 3, {2, 3, 4}, 0.5f, 1}}, 13},
      {"ReduceL1 x y axes=1", {{"x", 3, {2, 3, 4}, 0.5f, 1}}, 13},
      {"ReduceL2 x y axes=1 keepdims=0", {{"x", 3, {2, 3, 4}, 0.5f, 1}}, 13},
      {"ReduceSumSquare x y axes=1", {{"x", 3, {2, 3, 4}}}, 13},
      {"ReduceLogSum x y axes=1", {{"x", 3, {2, 3, 4}, 0.5f, 1}}, 13},
      {"ReduceLogSumExp x y axes=1 keepdims=0", {{"x", 3, {2, 3, 4}}}, 13})

CHECK(views, {"Flatten x y axis=2", {X4}}, {"Reshape x,[0:-1] y", {X4}},
      {"Squeeze x,[2] a; Unsqueeze a,[0:1] y", {{"x", 4, {2, 6, 1, 7}}}},
      {"Shape x s; Reshape x,[-1] a; Reshape a,s y", {X4}})

CHECK(moves, {"Slice x,[1:-2],[9:-9],[2:3],[2:-1] y", {X4}}, {"Slice x,[4],[6],[1] y", {{"x", 4, {1, 8, 3, 4}}}},
      {"Slice x y starts=1,1 ends=2,3", {{"x", 2, {3, 4}}}, 9}, {"Gather x,[2:0:2:-1] y axis=1", {X4}},
      {"Gather x,[1] y", {{"x", 2, {3, 4}}}},
      {"Concat x,b,x y axis=1", {{"x", 4, {1, 4, 3, 4}}, {"b", 4, {1, 6, 3, 4}}}},
      {"Concat b,x y axis=1", {{"x", 4, {1, 4, 3, 4}}, {"b", 4, {1, 6, 3, 4}}}},
      {"Concat b,x y axis=-1", {{"x", 4, {1, 6, 3, 4}}, {"b", 4, {1, 6, 3, 2}}}},
      {"Split x,[4:4] a,b axis=1; Mul a,a y", {{"x", 4, {1, 8, 3, 4}}}},
      {"Split x,[1:2:1] a,b,c axis=2; Mul a,c y", {{"x", 4, {1, 8, 4, 4}}}}, {"Transpose x y perm=0,2,3,1", {X4}},
      {"Transpose x y", {{"x", 3, {2, 3, 4}}}}, {"Expand x,[2:3:4] y", {{"x", 2, {3, 1}}}},
      {"Tile x,[2:1:3] y", {{"x", 3, {2, 3, 2}}}}, {"Pad x,[0:1:2:0:0:0:1:3] y", {{"x", 4, {1, 4, 3, 4}}}},
      {"Pad x,[0:0:-1:1:0:0:2:-1] y", {{"x", 4, {1, 4, 3, 4}}}},
      {"Pad x,[0:0:2:1:0:0:5:3] y mode='reflect'", {{"x", 4, {1, 4, 3, 4}}}},
      {"Pad x,[0:0:2:1:0:0:1:3] y mode='edge'", {{"x", 4, {1, 4, 3, 4}}}},
      {"Pad x,[0:0:2:1:0:0:1:3] y mode='wrap'", {{"x", 4, {1, 4, 3, 4}}}, 19},
      {"DepthToSpace x y blocksize=2", {{"x", 4, {1, 8, 3, 4}}}},
      {"DepthToSpace x y blocksize=2 mode='CRD'", {{"x", 4, {1, 8, 3, 4}}}},
      {"SpaceToDepth x y blocksize=2", {{"x", 4, {1, 3, 4, 6}}}})

CHECK(resizes, {"Cast [1:1:2:3] s to=1; Resize x,,s y mode='linear'", {{"x", 4, {1, 4, 3, 4}}}},
      {"Resize x,,,[1:4:7:6] y mode='linear'", {{"x", 4, {1, 4, 3, 4}}}},
      {"Resize x,,,[1:4:7:6] y mode='linear' coordinate_transformation_mode='align_corners'", {{"x", 4, {1, 4, 3, 4}}}},
      {"Resize x,,,[1:4:3:3] y mode='linear' antialias=1", {{"x", 4, {1, 4, 7, 6}}}, 18},
      {"Resize x,,,[1:4:6:8] y mode='nearest'", {{"x", 4, {1, 4, 3, 4}}}},
      {"Resize x,,,[1:4:2:3] y mode='nearest' coordinate_transformation_mode='asymmetric' nearest_mode='floor'",
       {{"x", 4, {1, 4, 5, 4}}}},
      {"Resize x,,,[1:4:7:6] y mode='cubic'", {{"x", 4, {1, 4, 3, 4}}}},
      {"Cast [1:1:2:3] s to=1; Upsample x,s y mode='nearest'", {{"x", 4, {1, 4, 3, 4}}}, 9})

CHECK(transposed, {"ConvTranspose x,w,b y", {{"x", 4, {2, 4, 4, 5}}, {"w", 4, {4, 6, 3, 3}}, {"b", 1, {6}}}},
      {"ConvTranspose x,w y strides=2,2 pads=1,0,0,1 output_padding=1,1",
       {{"x", 4, {1, 4, 4, 5}}, {"w", 4, {4, 6, 3, 3}}}},
      {"ConvTranspose x,w y group=2 strides=2,3 dilations=2,1", {{"x", 4, {1, 4, 4, 5}}, {"w", 4, {4, 3, 3, 3}}}},
      {"ConvTranspose x,w y pads=1,1", {{"x", 3, {2, 4, 5}}, {"w", 3, {4, 6, 3}}}})

CHECK(einsums, {"Einsum x,b y equation='ij,kj->ik'", {{"x", 2, {3, 4}}, {"b", 2, {5, 4}}}},
      {"Einsum x,b y equation='bij,bjk'", {{"x", 3, {2, 3, 4}}, {"b", 3, {2, 4, 5}}}},
      {"Einsum x,b y equation='...ij,...jk->...ki'", {{"x", 3, {2, 3, 4}}, {"b", 3, {1, 4, 5}}}},
      {"Einsum x y equation='ijk->kji'", {{"x", 3, {2, 3, 4}}}},
      {"Einsum x,b y equation='ij,ik->k'", {{"x", 2, {2, 3}}, {"b", 2, {2, 4}}}},
      {"Einsum x y equation='ijk->ki'", {{"x", 3, {2, 3, 4}}}})

CHECK(softmaxes, {"Softmax x y", {{"x", 2, {3, 5}}}}, {"Softmax x y axis=1", {X4}},
      {"Softmax x y axis=1", {{"x", 3, {2, 3, 4}}}, 11}, {"Softmax x y axis=1", {{"x", 3, {2, 21, 3}}}},
      {"LogSoftmax x y axis=1", {{"x", 3, {2, 21, 3}}}}, {"LogSoftmax x y axis=-2", {X4}},
      {"LogSoftmax x y axis=3", {{"x", 3, {2, 3, 4}}}, 11})

CHECK(
    normalizations, {"LayerNormalization x,s,b y", {{"x", 3, {2, 3, 8}}, {"s", 1, {8}}, {"b", 1, {8}}}},
    {"LayerNormalization x,s y axis=1 epsilon=0.01", {{"x", 3, {2, 3, 4}}, {"s", 2, {3, 4}}}},
    {"RMSNormalization x,s y", {{"x", 3, {2, 3, 8}}, {"s", 1, {8}}}, 23},
    {"InstanceNormalization x,s,b y", {X4, {"s", 1, {6}}, {"b", 1, {6}}}},
    {"GroupNormalization x,s,b y num_groups=3", {X4, {"s", 1, {6}}, {"b", 1, {6}}}, 21},
    {"GroupNormalization x,s,b y num_groups=3", {X4, {"s", 1, {3}}, {"b", 1, {3}}}, 18},
    {"ReduceMean x m axes=-1; Sub x,m d; Mul d,d q; ReduceMean q v axes=-1; Sqrt v r; Div d,r n; Mul n,s p; Add p,b y",
     {{"x", 3, {2, 3, 8}}, {"s", 1, {8}}, {"b", 1, {8}}},
     13},
    {"BatchNormalization x,s,b,m,v y",
     {X4, {"s", 1, {6}}, {"b", 1, {6}}, {"m", 1, {6}, -1, 1, true}, {"v", 1, {6}, 0.5f, 2, true}}},
    {"BatchNormalization x,s,b,m,v y epsilon=0.1",
     {{"x", 2, {4, 6}}, {"s", 1, {6}}, {"b", 1, {6}}, {"m", 1, {6}, -1, 1, true}, {"v", 1, {6}, 0.5f, 2, true}}},
    {"Conv x,w a pads=1,1,1,1; BatchNormalization a,s,s,s,s b; Sigmoid b y",
     {X4, {"w", 4, {6, 6, 3, 3}}, {"s", 1, {6}, 0.5f, 2, true}}})

// Blocks of networks: attention as exporters write it (Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021),
// a gated convolution (Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018), residual sums, skip connections.
CHECK(blocks,
      {"LayerNormalization x,s,b n; MatMul n,w qkv; Reshape qkv,[1:5:3:2:4] r; Transpose r t perm=2,0,3,1,4; "
       "Split t,[1:1:1] q0,k0,v0 axis=0; Squeeze q0,[0] q; Squeeze k0,[-5] k; Squeeze v0,[00] v; "
       "Transpose k kt perm=0,1,3,2; MatMul q,kt a; Softmax a p axis=-1; MatMul p,v o; Transpose o ot perm=0,2,1,3; "
       "Reshape ot,[0:0:-1] f; MatMul f,u m; Add m,x y",
       {{"x", 3, {1, 5, 8}}, {"s", 1, {8}}, {"b", 1, {8}}, {"w", 2, {8, 24}}, {"u", 2, {8, 8}}}},
      {"Conv x,w c strides=2,2; Reshape c,[1:8:-1] r; Transpose r t perm=0,2,1; Concat e,t j axis=1; "
       "Gather j,[0] g axis=1; Squeeze g,[1] h; Erf h i; Mul h,i y",
       {{"x", 4, {1, 3, 4, 6}}, {"w", 4, {8, 3, 2, 2}}, {"e", 3, {1, 1, 8}}}},
      {"Conv x,w c pads=1,1,1,1; GlobalAveragePool c p; Conv p,v q; Sigmoid q s; Mul c,s m; Sigmoid m n; Mul m,n o; "
       "Add o,x y",
       {{"x", 4, {1, 8, 5, 6}}, {"w", 4, {8, 8, 3, 3}}, {"v", 4, {8, 8, 1, 1}}}},
      {"Conv x,w a pads=1,1,1,1; Add a,x r; Sigmoid r s; Conv s,v b pads=1,1,1,1; Add b,s t; Tanh t y",
       {{"x", 4, {1, 8, 5, 6}}, {"w", 4, {8, 8, 3, 3}}, {"v", 4, {8, 8, 3, 3}}}},
      {"Conv x,w a pads=1,1,1,1; AveragePool a p kernel_shape=2,2 strides=2,2; Conv p,v c pads=1,1,1,1; "
       "Resize c,,,[1:8:6:6] d mode='linear'; Concat d,a e axis=1; Conv e,u y",
       {{"x", 4, {1, 4, 6, 6}}, {"w", 4, {8, 4, 3, 3}}, {"v", 4, {8, 8, 3, 3}}, {"u", 4, {4, 16, 1, 1}}}})

// Longer than what a round of a shader's loop takes, or a block of its sums.
CHECK(long_lines, {"InstanceNormalization x,s,b y", {{"x", 4, {1, 3, 19, 21}}, {"s", 1, {3}}, {"b", 1, {3}}}},
      {"GroupNormalization x,s,b y num_groups=2", {{"x", 4, {1, 4, 19, 17}}, {"s", 1, {4}}, {"b", 1, {4}}}, 21},
      {"MatMul x,b y", {{"x", 3, {2, 17, 40}}, {"b", 2, {40, 24}}}},
      {"MatMul x,b y", {{"x", 3, {2, 40, 36}}, {"b", 3, {2, 36, 41}}}},
      {"Gemm x,w,b y transB=1", {{"x", 2, {19, 37}}, {"w", 2, {22, 37}}, {"b", 1, {22}}}},
      {"ReduceMean x y axes=0,2 keepdims=0", {{"x", 4, {3, 5, 23, 21}}}, 13},
      {"Mul x,b y", {{"x", 4, {1, 5, 19, 23}}, {"b", 4, {1, 5, 1, 1}}}},
      {"Expand x,[3:19:5:23] y", {{"x", 3, {19, 1, 23}}}}, {"Tile x,[11:1:9] y", {{"x", 3, {2, 3, 2}}}},
      {"Tile [2:0:-1],[20] k; Gather x,k y axis=1", {{"x", 3, {2, 3, 5}}}})

// With weights of 16 bits: by each way that the gradient of a convolution is computed.
static void halves(void **state) {
    (void)state;
    static const gradient_case cases[] = {
        {"Conv x,w y", {{"x", 4, {1, 16, 6, 8}}, {"w", 4, {16, 16, 1, 1}}}},
        {"Conv x,w y pads=1,1,1,1", {{"x", 4, {1, 16, 16, 16}}, {"w", 4, {16, 16, 3, 3}}}},
        {"Conv x,w y pads=1,1,1,1 strides=2,2", {{"x", 4, {1, 16, 6, 8}}, {"w", 4, {16, 16, 3, 3}}}},
        {"Conv x,w y group=16 pads=1,1,1,1", {{"x", 4, {1, 16, 6, 8}}, {"w", 4, {16, 1, 3, 3}}}},
        {"Conv x,w y group=16 pads=0,0,1,1 strides=2,2", {{"x", 4, {1, 16, 6, 8}}, {"w", 4, {16, 1, 3, 3}}}},
        {"MatMul x,w y", {{"x", 2, {8, 16}}, {"w", 2, {16, 12}}}},
        {"Gemm x,w y transB=1", {{"x", 2, {8, 16}}, {"w", 2, {12, 16}}}}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) gradient_halves(&cases[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations),  cmocka_unit_test(functions),      cmocka_unit_test(arithmetic),
        cmocka_unit_test(convolutions), cmocka_unit_test(products),       cmocka_unit_test(pools),
        cmocka_unit_test(reductions),   cmocka_unit_test(views),          cmocka_unit_test(moves),
        cmocka_unit_test(transposed),   cmocka_unit_test(einsums),        cmocka_unit_test(softmaxes),
        cmocka_unit_test(blocks),       cmocka_unit_test(long_lines),     cmocka_unit_test(halves),
        cmocka_unit_test(resizes),      cmocka_unit_test(normalizations),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
