// Reductions over any axes of a linear tensor: one thread an output. The dimensions that stay come first in dim[], then
// those that go. Sums are built from blocks, so that their rounding error grows with the number of blocks only.
#include "nn/common.glsl"
#include "nn/unroll.glsl"
#include "nn/alarm.glsl"
layout(constant_id = 1) const uint OP = 0u;  // as in host/ops/reduce.c
layout(constant_id = 2) const bool INTEGER = false;
layout(constant_id = 3) const bool BOOLEAN = false;  // integers that are 0 or 1
layout(constant_id = 4) const bool LINE = false;     // one dimension goes: no loop to find an element
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
    if (LINE) return x[base + r * stride[kept]];
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
float value(uint r, float shift) {
    float v = uintBitsToFloat(load(r));
    return OP == 8u ? exp(v - shift) : term(v);
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
#ifdef ALARM
bool lost = false;
bool is_lost(int a, int v) {
    if (OP == 1u || OP == 2u) return false;
    if (OP == 3u) return product_lost(ivec4(a), ivec4(v));
    if (OP == 4u) return v == int(0x80000000u) || sum_lost(ivec4(a), ivec4(abs(v)));
    if (OP == 6u) return product_lost(ivec4(v), ivec4(v)) || sum_lost(ivec4(a), ivec4(v * v));
    return sum_lost(ivec4(a), ivec4(v));
}
#define WATCH(a, v) lost = lost || is_lost(a, v);
#else
#define WATCH(a, v)
#endif
#define COMBINE_INT(i) \
    { \
        int v = int(load(i)); \
        WATCH(r, v) \
        r = combine(r, v); \
    }
#define SHIFT(i) shift = max(shift, uintBitsToFloat(load(i)));
#define COMBINE_FLOAT(i) part = combine(part, value(b + i, shift));
uint reduce_int() {
    int least = BOOLEAN ? 0 : int(0x80000000u), greatest = BOOLEAN ? 1 : 0x7fffffff;
    int r = OP == 1u ? least : OP == 2u ? greatest : OP == 3u ? 1 : 0;
    EACH_OF(i, length, COMBINE_INT)
    ALARM_IF(lost)
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
        EACH_OF(i, length, SHIFT)
        if ((floatBitsToUint(shift) & 0x7fffffffu) == 0x7f800000u) return shift;
    }
    float total = start;
    for (uint b = 0u; b < length; b += 256u) {
        float part = start;
        uint end = min(256u, length - b);
        EACH_OF(i, end, COMBINE_FLOAT)
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
