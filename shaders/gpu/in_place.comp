#version 450
// x = a * x + b in place: a chain of these is wrong as soon as one barrier is missing.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) buffer X { float x[]; };
layout(push_constant) uniform Push {
    uint count;
    float a, b;
} push;

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < push.count) x[i] = push.a * x[i] + push.b;
}
