// Functions of four numbers, to the precision that networks expect of a float.

// Rational erf of Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26 (|error| <= 1.5e-7); near zero its
// relative error is large, so the series takes over.
vec4 erf4(vec4 v) {
    vec4 m = abs(v);
    vec4 t = 1.0 / (1.0 + 0.3275911 * m);
    vec4 p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    vec4 far = sign(v) * (1.0 - p * exp(-m * m));
    vec4 s = v * v;
    vec4 near = v * 1.1283791671 * (1.0 - s * (1.0 / 3.0 - s * (0.1 - s * (1.0 / 42.0))));
    return mix(far, near, lessThan(m, vec4(0.3)));
}
// exp overflows for large arguments where tanh is 1, and 1 - exp cancels for small ones.
vec4 tanh4(vec4 v) {
    vec4 t = exp(-2.0 * min(abs(v), vec4(20.0)));
    vec4 s = v * v;
    vec4 near = v * (1.0 - s * (1.0 / 3.0 - s * (2.0 / 15.0 - s * (17.0 / 315.0))));
    return mix(sign(v) * (1.0 - t) / (1.0 + t), near, lessThan(abs(v), vec4(0.125)));
}
// GLSL allows sin, cos and asin errors of 2^-11; networks expect a float's precision. Reduction to a quarter turn in two
// parts, then Taylor series, which reach 1e-7 there.
vec4 sine4(vec4 v, int quarter) {
    vec4 k = roundEven(v * 0.63661977237);
    vec4 r = (v - k * 1.5703125) - k * 4.83826794897e-4, s = r * r;
    vec4 odd = r * (1.0 - s * (1.0 / 6.0 - s * (1.0 / 120.0 - s * (1.0 / 5040.0 - s * (1.0 / 362880.0)))));
    vec4 even = 1.0 - s * (0.5 - s * (1.0 / 24.0 - s * (1.0 / 720.0 - s * (1.0 / 40320.0))));
    ivec4 q = ivec4(k) + quarter;
    vec4 result = mix(odd, even, notEqual(q & 1, ivec4(0)));
    return mix(result, -result, notEqual(q & 2, ivec4(0)));
}
vec4 asin4(vec4 v) {
    vec4 m = abs(v);
    bvec4 steep = greaterThan(m, vec4(0.5));
    vec4 t = mix(m, sqrt(max(0.5 - 0.5 * m, vec4(0.0))), steep), s = t * t;
    vec4 series = t * (1.0 + s * (1.0 / 6.0 + s * (0.075 + s * (0.04464285714 + s * (0.03038194444 + s * (0.02237215909 +
                  s * (0.01735276442 + s * 0.01396484375)))))));
    vec4 result = sign(v) * mix(series, 1.57079632679 - 2.0 * series, steep);
    return mix(result, uintBitsToFloat(uvec4(0x7fc00000u)), greaterThan(m, vec4(1.0)));
}
// exp(v) - 1 without cancellation for small |v|.
vec4 expm14(vec4 v) {
    vec4 near = v * (1.0 + v * (0.5 + v * (1.0 / 6.0 + v * (1.0 / 24.0))));
    return mix(exp(v) - 1.0, near, lessThan(abs(v), vec4(0.05)));
}
// log(1 + v) for v in [0, 1].
vec4 log1p4(vec4 v) {
    vec4 near = v * (1.0 - v * (0.5 - v * (1.0 / 3.0 - v * 0.25)));
    return mix(log(1.0 + v), near, lessThan(v, vec4(0.01)));
}
// max(x, 0) + log(1 + exp(-|x|)): exact for both signs.
vec4 softplus4(vec4 v) {
    return max(v, vec4(0.0)) + log1p4(exp(-abs(v)));
}
