// Derivatives of the activations that convolutional networks use all the time, in this order: leaky and plain Relu, Clip,
// Sigmoid and Tanh (of their outputs), HardSigmoid (output), HardSwish, Swish.
#include "nn/derivative.glsl"

vec4 slope(vec4 t) {
    switch (OP) {
        case 0u: return mix(vec4(p), vec4(1.0), greaterThan(t, vec4(0.0)));
        case 1u: return vec4(greaterThan(t, vec4(p))) * vec4(lessThan(t, vec4(q)));
        case 2u: return t * (1.0 - t);
        case 3u: return 1.0 - t * t;
        case 4u: return p * vec4(greaterThan(t, vec4(0.0))) * vec4(lessThan(t, vec4(1.0)));
        case 5u: return clamp(sign(t + 3.0), 0.0, 1.0) * mix(t * (1.0 / 3.0) + 0.5, vec4(1.0), greaterThanEqual(t, vec4(3.0)));
    }
    vec4 s = 1.0 / (1.0 + exp(-p * t));
    return s + p * t * s * (1.0 - s);
}
