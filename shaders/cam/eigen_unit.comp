#version 450
// Between the products of a power step (map_eigen.c); vectors are by place and lose their mean first. One workgroup.
//   FIRST  vector = last = the vector at unit length, or 0 where all its elements are the same; before = 0
//   STEP   vector is A last: vector = last = A last / (last . A last) - MOMENTUM before, which, like the new `before`
//          (the old `last`), is divided by its length
//   LAST   the vector at unit length, turned to the side of `start` and cut off below 0
layout(local_size_x = 256) in;
const uint FIRST = 0, STEP = 1, LAST = 2;
layout(constant_id = 0) const uint MODE = FIRST;
layout(set = 0, binding = 0) buffer Vector { float vector[]; };
layout(set = 0, binding = 1) readonly buffer Start { float start[]; };
layout(set = 0, binding = 2) buffer Last { float last[]; };
layout(set = 0, binding = 3) buffer Before { float before[]; };
layout(push_constant) uniform Push {
    uint places;
    float momentum;
} p;

const uint LANES = 256;
shared float partial[LANES];

float sum_all(float value) {
    partial[gl_LocalInvocationID.x] = value;
    barrier();
    for (uint half_way = LANES / 2u; half_way > 0u; half_way /= 2u) {
        if (gl_LocalInvocationID.x < half_way)
            partial[gl_LocalInvocationID.x] += partial[gl_LocalInvocationID.x + half_way];
        barrier();
    }
    float sum = partial[0];
    barrier();
    return sum;
}

void main() {
    uint lane = gl_LocalInvocationID.x;
    float part = 0.0;
    for (uint i = lane; i < p.places; i += LANES) part += vector[i];
    float mean = sum_all(part) / float(p.places);
    // Numbers as large as a power step makes them have no square: they are brought near 1 first.
    part = 0.0;
    for (uint i = lane; i < p.places; i += LANES) part += abs(vector[i] - mean);
    float scale = sum_all(part) / float(p.places), side = 1.0;
    scale = scale > 0.0 ? 1.0 / scale : 0.0;
    if (MODE == STEP) {
        part = 0.0;
        for (uint i = lane; i < p.places; i += LANES) part = fma((vector[i] - mean) * scale, last[i], part);
        float growth = sum_all(part);
        scale = growth > 0.0 ? scale / growth : 0.0;
    }
    part = 0.0;
    for (uint i = lane; i < p.places; i += LANES) {
        float x = (vector[i] - mean) * scale;
        if (MODE == STEP) x = fma(-p.momentum, before[i], x);
        vector[i] = x;
        part = fma(x, x, part);
    }
    float square = sum_all(part);
    scale = square > 0.0 ? inversesqrt(square) : 0.0;
    if (MODE == LAST) {
        part = 0.0;
        for (uint i = lane; i < p.places; i += LANES) part = fma(vector[i], start[i], part);
        side = sum_all(part) < 0.0 ? -1.0 : 1.0;
    }
    for (uint i = lane; i < p.places; i += LANES) {
        float x = vector[i] * scale * side;
        vector[i] = MODE == LAST && x < 0.0 ? 0.0 : x;  // a NaN stays one, and is reported
        if (MODE == LAST) continue;
        before[i] = MODE == STEP ? last[i] * scale : 0.0;
        last[i] = x;
    }
}
