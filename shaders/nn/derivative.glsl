// The gradient of an element-wise function's input: the output's gradient times the derivative. The shader that includes
// this defines vec4 slope(vec4 t), where t is the function's input or output, whichever the operation is a function of.
#include "nn/common.glsl"
layout(constant_id = 1) const uint OP = 0u;  // numbers as in host/ops/derivative.c
layout(constant_id = 2) const uint ITEMS = 1u;
layout(push_constant) uniform Push {
    uint count;  // vec4s
    float p, q;  // the function's attributes
};
#include "nn/binary_inputs.glsl"
layout(binding = 2) writeonly buffer Out {
    vec4 y[];
};

vec4 slope(vec4 t);

void main() {
    for (uint k = 0u; k < ITEMS; k++) {
        uint i = item_index(k, ITEMS);
        if (i >= count) return;
        vec4 g = uintBitsToFloat(A(i));
        // Where nothing arrives nothing leaves, however steep the function is: also in the channels that pad C4.
        y[i] = mix(g * slope(uintBitsToFloat(B(i))), vec4(0.0), equal(g, vec4(0.0)));
    }
}
