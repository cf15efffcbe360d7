// Reductions over any axes of a linear tensor: one thread an output. The dimensions that stay come first in dim[], then
// those that go. Sums are built from blocks, so that their rounding error grows with the number of blocks only.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
layout(constant_id = 1) const uint OP = 0u;  // as in host/ops/reduce.c
layout(constant_id = 2) const bool INTEGER = false;
layout(constant_id = 3) const bool BOOLEAN = false;  // integers that are 0 or 1
layout(push_constant) uniform Push {
    uint dim[8], stride[8];
    uint kept, rank;       // dimensions that stay; all
    uint outputs, length;  // elements; elements reduced into each
    float scale;
};
layout(binding = 0) readonly buffer In {
    uint x[];
};
layout(binding = 1) writeonly buffer Out {
    uint y[];
};

uint base;
uint load(uint r) {
    uint at = base;
    for (uint d = rank; d-- > kept;) {
        uint q = r / dim[d];
        at += (r - q * dim[d]) * stride[d];
        r = q;
    }
    return x[at];
}
float term(float v) {
    if (OP == 4u) return abs(v);
    if (OP == 5u || OP == 6u) return v * v;
    return v;
}
float combine(float a, float v) {
    if (OP == 1u) return max(a, v);
    if (OP == 2u) return min(a, v);
    if (OP == 3u) return a * v;
    return a + v;
}
int combine(int a, int v) {
    if (OP == 1u) return max(a, v);
    if (OP == 2u) return min(a, v);
    if (OP == 3u) return a * v;
    if (OP == 4u) return a + abs(v);
    if (OP == 6u) return a + v * v;
    return a + v;
}
uint reduce_int() {
    int least = BOOLEAN ? 0 : int(0x80000000u), greatest = BOOLEAN ? 1 : 0x7fffffff;
    int r = OP == 1u ? least : OP == 2u ? greatest : OP == 3u ? 1 : 0;
    for (uint i = 0u; i < length; i++) r = combine(r, int(load(i)));
    if (OP == 9u) r = length > 0u ? r / int(length) : 0;
    return uint(r);
}
float reduce_float() {
    float start = OP == 1u   ? uintBitsToFloat(0xff800000u)
                  : OP == 2u ? uintBitsToFloat(0x7f800000u)
                  : OP == 3u ? 1.0
                             : 0.0;
    float shift = 0.0;
    if (OP == 8u) {  // log-sum-exp: relative to the largest term
        shift = uintBitsToFloat(0xff800000u);
        for (uint i = 0u; i < length; i++) shift = max(shift, uintBitsToFloat(load(i)));
        if ((floatBitsToUint(shift) & 0x7fffffffu) == 0x7f800000u) return shift;
    }
    float total = start;
    for (uint b = 0u; b < length; b += 256u) {
        float part = start;
        uint end = min(b + 256u, length);
        for (uint i = b; i < end; i++) {
            float v = uintBitsToFloat(load(i));
            part = combine(part, OP == 8u ? exp(v - shift) : term(v));
        }
        total = combine(total, part);
    }
    if (OP == 5u) return sqrt(total);
    if (OP == 7u) return total == 0.0 ? uintBitsToFloat(0xff800000u) : log(total);  // not all drivers know log(0)
    if (OP == 8u) return shift + log(total);
    return total * scale;
}

void main() {
    uint index = thread_index(), rest = index;
    if (index >= outputs) return;
    base = 0u;
    for (uint d = kept; d-- > 0u;) {
        uint q = rest / dim[d];
        base += (rest - q * dim[d]) * stride[d];
        rest = q;
    }
    y[index] = INTEGER ? reduce_int() : floatBitsToUint(reduce_float());
}
