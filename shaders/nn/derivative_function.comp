// Derivatives of the less common activations, and of mathematical functions.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/derivative.glsl"
#include "nn/functions.glsl"

vec4 logistic4(vec4 v) {
    return 1.0 / (1.0 + exp(-v));
}
vec4 gelu_slope(vec4 v) {
    return 0.5 * (1.0 + erf4(v * 0.70710678118)) + v * 0.3989422804 * exp(-0.5 * v * v);
}
vec4 gelu_tanh_slope(vec4 v) {
    vec4 t = tanh4(0.7978845608 * (v + 0.044715 * v * v * v));
    return 0.5 * (1.0 + t) + 0.5 * v * (1.0 - t * t) * 0.7978845608 * (1.0 + 0.134145 * v * v);
}
vec4 mish_slope(vec4 v) {
    vec4 t = tanh4(softplus4(v));
    return t + v * (1.0 - t * t) * logistic4(v);
}
// power is p - 1; p is what networks square or root with.
vec4 power_slope(vec4 v) {
    if (p == 2.0) return 2.0 * v;
    if (p == 1.0) return vec4(1.0);
    if (p == 3.0) return 3.0 * v * v;
    vec4 size = exp2(log2(abs(v)) * (p - 1.0));
    bool odd = floor(p) == p && mod(p - 1.0, 2.0) != 0.0;
    return p * (odd ? size * sign(v) : size);
}

vec4 slope(vec4 t) {
    bvec4 positive = greaterThan(t, vec4(0.0));
    switch (OP) {
        case 16u: return 1.1283791671 * exp(-t * t);
        case 17u: return gelu_slope(t);
        case 18u: return gelu_tanh_slope(t);
        case 19u: return logistic4(t);
        case 20u: return q * mix(p * exp(t), vec4(1.0), positive);
        case 21u: return mix(exp(t / p), vec4(1.0), positive);
        case 22u: return mish_slope(t);
        case 23u: return 1.0 / ((1.0 + abs(t)) * (1.0 + abs(t)));
        case 24u: return vec4(greaterThan(t, vec4(p)));
        case 25u: return vec4(greaterThan(abs(t), vec4(p)));
        case 26u: return t;
        case 27u: return 1.0 / t;
        case 28u: return 0.5 / t;
        case 29u: return sign(t);
        case 30u: return -t * t;
        case 31u: return sine4(t, 1);
        case 32u: return -sine4(t, 0);
        case 33u: return 1.0 + t * t;
        case 34u: return 1.0 / sqrt(1.0 - t * t);
        case 35u: return -1.0 / sqrt(1.0 - t * t);
        case 36u: return 1.0 / (1.0 + t * t);
        case 37u: return 0.5 * (exp(t) + exp(-t));
        case 38u: return 0.5 * (expm14(t) - expm14(-t));
        case 39u: return 1.0 / sqrt(t * t + 1.0);
        case 40u: return 1.0 / sqrt(t * t - 1.0);
        case 41u: return 1.0 / (1.0 - t * t);
    }
    return power_slope(t);
}
