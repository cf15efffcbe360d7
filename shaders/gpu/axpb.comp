#version 450
// y = a * x + b, elementwise: the smallest useful shader, and what the tests of host/gpu run.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const float scale = 1.0;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push {
    uint count;
    float a, b;
} push;

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < push.count) y[i] = scale * push.a * x[i] + push.b;
}
