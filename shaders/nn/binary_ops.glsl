// Two operands, elementwise; numbers as in host/ops/binary.c. COMMON: only the arithmetic of floats that networks do
// all the time (drivers take time for every operation a shader could do); else everything, INTEGER tells the type.
layout(constant_id = 1) const uint OP = 0u;
layout(constant_id = 2) const bool INTEGER = false;
layout(constant_id = 3) const uint ACT = 0u;
layout(constant_id = 4) const uint ITEMS = 1u;
#include "nn/act.glsl"

#ifdef COMMON
uvec4 binary(uvec4 a_bits, uvec4 b_bits, float act_a, float act_b) {
    vec4 a = uintBitsToFloat(a_bits), b = uintBitsToFloat(b_bits), r = a;
    switch (OP) {
        case 0u: r = a + b; break;
        case 1u: r = a - b; break;
        case 2u: r = a * b; break;
        case 3u: r = a / b; break;
        case 5u: r = min(a, b); break;
        case 6u: r = max(a, b); break;
        case 7u: r = mix(a, a * b, lessThan(a, vec4(0.0))); break;
    }
    return floatBitsToUint(activate(ACT, r, act_a, act_b));
}
#else
// pow() is undefined for a negative base; exponents that networks use are also worth their exact form.
float power(float a, float b) {
    if (b == 2.0) return a * a;
    if (b == 0.5) return sqrt(a);
    if (b == 0.0) return 1.0;
    if (a == 0.0) return b > 0.0 ? 0.0 : uintBitsToFloat(0x7f800000u);
    float m = exp2(log2(abs(a)) * b);
    if (a > 0.0) return m;
    if (floor(b) != b) return uintBitsToFloat(0x7fc00000u);
    return mod(b, 2.0) == 0.0 ? m : -m;
}
// The inverse of an integer is 0 but for 1 and -1.
int power(int a, int b) {
    if (b < 0) return a == 1 || (a == -1 && (b & 1) == 0) ? 1 : a == -1 ? -1 : 0;
    int r = 1;
    for (; b > 0; b >>= 1, a *= a)
        if ((b & 1) != 0) r *= a;
    return r;
}
// ONNX Mod: sign of the divisor for fmod 0, of the dividend for fmod 1.
int remainder(int a, int b, bool truncated) {
    if (b == 0) return 0;
    int r = a - (a / b) * b;
    return !truncated && r != 0 && ((r ^ b) < 0) ? r + b : r;
}
// As Python's %: a finite number modulo an infinity is itself, or the infinity when the signs differ; zeros take the
// divisor's sign.
float modulo(float a, float b) {
    uint bits = floatBitsToUint(b), finite = 0x7f800000u;
    float r = a - b * floor(a / b);
    if ((bits & 0x7fffffffu) == finite && (floatBitsToUint(a) & 0x7fffffffu) < finite)
        r = a != 0.0 && (a < 0.0) != (b < 0.0) ? b : a;
    return r == 0.0 ? uintBitsToFloat(bits & 0x80000000u) : r;
}
int divide(int a, int b) {
    return b == 0 ? 0 : a / b;
}

uvec4 float_op(vec4 a, vec4 b) {
    switch (OP) {
        case 0u: return floatBitsToUint(a + b);
        case 1u: return floatBitsToUint(a - b);
        case 2u: return floatBitsToUint(a * b);
        case 3u: return floatBitsToUint(a / b);
        case 4u: return floatBitsToUint(vec4(power(a.x, b.x), power(a.y, b.y), power(a.z, b.z), power(a.w, b.w)));
        case 5u: return floatBitsToUint(min(a, b));
        case 6u: return floatBitsToUint(max(a, b));
        case 7u: return floatBitsToUint(mix(a, a * b, lessThan(a, vec4(0.0))));
        case 8u: return floatBitsToUint(vec4(modulo(a.x, b.x), modulo(a.y, b.y), modulo(a.z, b.z), modulo(a.w, b.w)));
        case 9u: return floatBitsToUint(a - b * trunc(a / b));
        case 16u: return uvec4(equal(a, b));
        case 17u: return uvec4(greaterThan(a, b));
        case 18u: return uvec4(lessThan(a, b));
        case 19u: return uvec4(greaterThanEqual(a, b));
        case 20u: return uvec4(lessThanEqual(a, b));
    }
    return uvec4(0u);
}
uvec4 int_op(ivec4 a, ivec4 b) {
    switch (OP) {
        case 0u: return uvec4(a + b);
        case 1u: return uvec4(a - b);
        case 2u: return uvec4(a * b);
        case 3u: return uvec4(divide(a.x, b.x), divide(a.y, b.y), divide(a.z, b.z), divide(a.w, b.w));
        case 4u: return uvec4(power(a.x, b.x), power(a.y, b.y), power(a.z, b.z), power(a.w, b.w));
        case 5u: return uvec4(min(a, b));
        case 6u: return uvec4(max(a, b));
        case 7u: return uvec4(mix(a, a * b, lessThan(a, ivec4(0))));
        case 8u:
        case 9u:
            return uvec4(remainder(a.x, b.x, OP == 9u), remainder(a.y, b.y, OP == 9u), remainder(a.z, b.z, OP == 9u),
                         remainder(a.w, b.w, OP == 9u));
        case 16u: return uvec4(equal(a, b));
        case 17u: return uvec4(greaterThan(a, b));
        case 18u: return uvec4(lessThan(a, b));
        case 19u: return uvec4(greaterThanEqual(a, b));
        case 20u: return uvec4(lessThanEqual(a, b));
        case 24u: return uvec4(a & b);
        case 25u: return uvec4(a | b);
        case 26u: return uvec4(a ^ b);
    }
    return uvec4(0u);
}
#ifdef ALARM
bool power_lost(int a, int b) {
    bool lost = false;
    int r = 1;
    for (; b > 0; b >>= 1) {
        if ((b & 1) != 0) {
            lost = lost || product_lost(ivec4(r), ivec4(a));
            r *= a;
        }
        if (b > 1) {
            lost = lost || product_lost(ivec4(a), ivec4(a));
            a *= a;
        }
    }
    return lost;
}
// Whether r is not what a op b would be in the tensors' own type.
bool is_lost(ivec4 a, ivec4 b, ivec4 r) {
    if ((OP == 3u || OP == 8u || OP == 9u) && any(equal(b, ivec4(0)))) return true;
    if (!WIDE) return false;
    if (UNSIGNED && any(lessThan(r, ivec4(0)))) return true;
    switch (OP) {
        case 0u: return sum_lost(a, b);
        case 1u: return any(lessThan((a ^ b) & (a ^ r), ivec4(0)));
        case 2u: return product_lost(a, b);
        case 3u: return any(equal(ivec4(equal(a, ivec4(0x80000000u))) + ivec4(equal(b, ivec4(-1))), ivec4(2)));
        case 4u: return power_lost(a.x, b.x) || power_lost(a.y, b.y) || power_lost(a.z, b.z) || power_lost(a.w, b.w);
        case 7u: return product_lost(min(a, ivec4(0)), b);
    }
    return false;
}
#endif
uvec4 binary(uvec4 a, uvec4 b, float act_a, float act_b) {
    if (INTEGER) return int_op(ivec4(a), ivec4(b));
    uvec4 r = float_op(uintBitsToFloat(a), uintBitsToFloat(b));
    return ACT == 0u ? r : floatBitsToUint(activate(ACT, uintBitsToFloat(r), act_a, act_b));
}
#endif
