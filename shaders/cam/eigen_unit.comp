#version 450
// vector = (vector - mean) / |vector - mean|, or 0 where all are the same; with LAST, the same turned to the side of
// `start` and cut off below 0. One workgroup.
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint LAST = 0;
layout(set = 0, binding = 0) buffer Vector { float vector[]; };
layout(set = 0, binding = 1) readonly buffer Start { float start[]; };
layout(push_constant) uniform Push { uint places; } p;

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
    float scale = sum_all(part) / float(p.places);
    scale = scale > 0.0 ? 1.0 / scale : 0.0;
    part = 0.0;
    for (uint i = lane; i < p.places; i += LANES) {
        float x = (vector[i] - mean) * scale;
        part = fma(x, x, part);
    }
    float square = sum_all(part), side = 1.0;
    scale = square > 0.0 ? scale * inversesqrt(square) : 0.0;
    if (LAST != 0) {
        part = 0.0;
        for (uint i = lane; i < p.places; i += LANES) part = fma(vector[i] - mean, start[i], part);
        side = sum_all(part) < 0.0 ? -1.0 : 1.0;
    }
    for (uint i = lane; i < p.places; i += LANES) {
        float x = (vector[i] - mean) * scale * side;
        vector[i] = LAST != 0 && x < 0.0 ? 0.0 : x;  // a NaN stays one, and is reported
    }
}
