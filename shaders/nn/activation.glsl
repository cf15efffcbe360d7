// Activations that convolutional networks use all the time.
#include "nn/unary.glsl"

// exp overflows for large arguments where tanh is 1, and 1 - exp cancels for small ones.
vec4 tanh4(vec4 v) {
    vec4 t = exp(-2.0 * min(abs(v), vec4(20.0)));
    vec4 s = v * v;
    vec4 near = v * (1.0 - s * (1.0 / 3.0 - s * (2.0 / 15.0 - s * (17.0 / 315.0))));
    return mix(sign(v) * (1.0 - t) / (1.0 + t), near, lessThan(abs(v), vec4(0.125)));
}
vec4 sigmoid4(vec4 v) {
    return 1.0 / (1.0 + exp(-v));
}
vec4 activation(vec4 v) {
    switch (OP) {
        case 0u: return max(v, vec4(0.0));
        case 1u: return mix(v, v * a, lessThan(v, vec4(0.0)));
        case 2u: return min(max(v, vec4(a)), vec4(b));
        case 3u: return sigmoid4(v);
        case 4u: return clamp(v * a + b, vec4(0.0), vec4(1.0));
        case 5u: return v * clamp(v * (1.0 / 6.0) + 0.5, vec4(0.0), vec4(1.0));
        case 6u: return tanh4(v);
        case 18u: return v * sigmoid4(a * v);
        case 19u: return v * a + b;
    }
    return v;
}
uvec4 apply(uvec4 w) {
    vec4 v = uintBitsToFloat(w);
    return floatBitsToUint(activation(v));
}
