// Activation of a finished vector; needs the constant ACT (numbers as in tm_act of host/graph/op.h), act_a and act_b.
vec4 activate(vec4 v) {
    if (ACT == 1u) return max(v, vec4(0.0));
    if (ACT == 2u) return min(max(v, vec4(act_a)), vec4(act_b));
    if (ACT == 3u) return mix(v, v * act_a, lessThan(v, vec4(0.0)));
    if (ACT == 4u) return v * clamp(v * (1.0 / 6.0) + 0.5, vec4(0.0), vec4(1.0));
    if (ACT == 5u) return 1.0 / (1.0 + exp(-v));
    if (ACT == 6u) return v / (1.0 + exp(-v));
    return v;
}
