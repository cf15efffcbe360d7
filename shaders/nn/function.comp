// The less common activations, and mathematical functions.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/unary.glsl"
#include "nn/functions.glsl"

vec4 activation(vec4 v) {
    switch (OP) {
        case 7u: return erf4(v);
        case 8u: return 0.5 * v * (1.0 + erf4(v * 0.70710678118));
        case 9u: return 0.5 * v * (1.0 + tanh4(0.7978845608 * (v + 0.044715 * v * v * v)));
        case 10u: return softplus4(v);
        case 11u: return mix(v, a * expm14(v), lessThan(v, vec4(0.0)));
        case 12u: return b * mix(v, a * expm14(v), lessThan(v, vec4(0.0)));
        case 13u: return v * tanh4(softplus4(v));
        case 14u: return v / (1.0 + abs(v));
        case 15u: return mix(vec4(0.0), v, greaterThan(v, vec4(a)));
        case 16u: return max(v, vec4(0.0)) + min(a * expm14(v / a), vec4(0.0));
        case 17u: return mix(mix(vec4(0.0), v + b, lessThan(v, vec4(-a))), v - b, greaterThan(v, vec4(a)));
    }
    return v;
}
vec4 function(vec4 v) {
    switch (OP) {
        case 32u: return exp(v);
        case 33u: return mix(log(v), uintBitsToFloat(uvec4(0xff800000u)), equal(v, vec4(0.0)));  // not all drivers do
        case 34u: return sqrt(v);
        case 35u: return abs(v);
        case 36u: return -v;
        case 37u: return floor(v);
        case 38u: return ceil(v);
        case 39u: return roundEven(v);
        case 40u: return sign(v);
        case 41u: return 1.0 / v;
        case 42u: return sine4(v, 0);
        case 43u: return sine4(v, 1);
        case 44u: return sine4(v, 0) / sine4(v, 1);
        case 45u: return asin4(v);
        case 46u: return 1.57079632679 - asin4(v);
        case 47u: return atan(v);
        case 48u: return 0.5 * (expm14(v) - expm14(-v));
        case 49u: return 0.5 * (exp(v) + exp(-v));
        case 50u: return sign(v) * log(abs(v) + sqrt(v * v + 1.0));
        case 51u: return log(v + sqrt(v * v - 1.0));
        case 52u: return 0.5 * log((1.0 + v) / (1.0 - v));
    }
    return v;
}

uvec4 apply(uvec4 w) {
    vec4 v = uintBitsToFloat(w);
    return floatBitsToUint(OP < 32u ? activation(v) : function(v));
}
