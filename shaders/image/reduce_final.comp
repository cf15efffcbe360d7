#version 450
// Second stage of image/reduce: one invocation combines the pairs into scalars[slot].
layout(local_size_x = 1) in;
layout(constant_id = 0) const uint OP = 0;
layout(set = 0, binding = 0) readonly buffer Partials { vec2 partials[]; };
layout(set = 0, binding = 1) buffer Scalars { vec2 scalars[]; };
layout(push_constant) uniform Push { uint parts, slot; } p;

void main() {
    vec2 result = partials[0];
    for (uint k = 1; k < p.parts; k++) {
        vec2 v = partials[k];
        result = OP == 0 ? vec2(min(result.x, v.x), max(result.y, v.y))
                 : OP == 3 ? vec2(max(result.x, v.x), result.y + v.y)
                           : (OP == 1 ? result + v : vec2(0.0, max(result.y, v.y)));
    }
    scalars[p.slot] = result;
}
