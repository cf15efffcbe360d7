// Activations that follow another operator in the same dispatch; numbers as in tm_act of host/graph/op.h.
vec4 activate(uint act, vec4 v, float a, float b) {
    if (act == 1u) return max(v, vec4(0.0));
    if (act == 2u) return min(max(v, vec4(a)), vec4(b));
    if (act == 3u) return mix(v, v * a, lessThan(v, vec4(0.0)));
    if (act == 4u) return v * clamp(v * (1.0 / 6.0) + 0.5, vec4(0.0), vec4(1.0));
    if (act == 5u) return 1.0 / (1.0 + exp(-v));
    if (act == 6u) return v / (1.0 + exp(-v));
    return v;
}
