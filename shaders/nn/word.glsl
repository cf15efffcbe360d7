// Operations on integers and bool, casts, tests of a float's bits.
#include "nn/alarm.glsl"
#include "nn/unary.glsl"

bvec4 is_nan(uvec4 w) {
    return greaterThan(w & 0x7fffffffu, uvec4(0x7f800000u));
}

// Toward zero. What does not fit becomes the nearest that does, and what is no number 0: drivers differ there.
ivec4 to_int(uvec4 w) {
    vec4 f = uintBitsToFloat(w), high = vec4(2147483648.0);
    ivec4 i = mix(ivec4(clamp(f, -high, vec4(2147483520.0))), ivec4(0x7fffffff), greaterThanEqual(f, high));
    return mix(i, ivec4(0), is_nan(w));
}
#ifdef ALARM
// Whether the result is not what a type of more than 32 bits would hold.
bool is_lost(uvec4 w) {
    vec4 f = uintBitsToFloat(w), high = vec4(2147483648.0);
    switch (OP) {
        case 64u:
        case 65u: return any(equal(w, uvec4(0x80000000u))) || (UNSIGNED && OP == 65u && any(notEqual(w, uvec4(0u))));
        case 81u:
            return any(is_nan(w)) || any(greaterThanEqual(f, high)) ||
                   any(UNSIGNED ? lessThanEqual(f, vec4(-1.0)) : lessThan(f, -high));
        case 90u: return UNSIGNED && any(lessThan(ivec4(w), ivec4(0)));
    }
    return false;
}
#endif

uvec4 apply(uvec4 w) {
    ivec4 i = ivec4(w);
    switch (OP) {
        case 64u: return uvec4(abs(i));
        case 65u: return uvec4(-i);
        case 66u: return uvec4(sign(i));
        case 67u: return uvec4(equal(w, uvec4(0u)));
        case 68u: return uvec4(max(i, ivec4(0)));
        case 69u: return uvec4(min(max(i, ivec4(floatBitsToInt(a))), ivec4(floatBitsToInt(b))));
        case 70u: return uvec4(is_nan(w));
        case 71u: {  // a: which signs count, 1 positive, 2 negative
            uint signs = floatBitsToUint(a);
            uvec4 positive = uvec4(equal(w, uvec4(0x7f800000u))), negative = uvec4(equal(w, uvec4(0xff800000u)));
            return positive * (signs & 1u) | negative * (signs >> 1);
        }
        case 72u: return uvec4(~i);
        case 80u: return floatBitsToUint(vec4(i));                           // int -> float
        case 81u: return uvec4(to_int(w));                                    // float -> int, toward zero
        case 82u: return uvec4(notEqual(w & 0x7fffffffu, uvec4(0u)));        // float -> bool
        case 83u: return uvec4(notEqual(w, uvec4(0u)));                      // int -> bool
        case 84u: return w & 0xffu;                                          // int -> uint8
        case 85u: return uvec4((i << 24) >> 24);                             // int -> int8
        case 86u: return uvec4(to_int(w)) & 0xffu;                            // float -> uint8
        case 87u: return uvec4((to_int(w) << 24) >> 24);                      // float -> int8
        case 88u: return w & 0xffffu;                                        // int -> uint16
        case 89u: return uvec4((i << 16) >> 16);                             // int -> int16
    }
    return w;
}
