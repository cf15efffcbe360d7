// |gradient times bias|, or with PICTURE |gradient times picture|, of a channel at a place.
layout(constant_id = 0) const uint C4 = 0;  // 1: gradients as [C/4][places] vec4, 0: as [C][places]
layout(constant_id = 1) const uint PICTURE = 0;
layout(set = 0, binding = 0) readonly buffer Gradients { float gradients[]; };
layout(set = 0, binding = 1) readonly buffer Factors { float factors[]; };  // [C], or with PICTURE [C][places]
layout(push_constant) uniform Push { uint places, channels; } p;

float value(uint k, uint i) {
    float g = gradients[C4 != 0 ? ((k / 4u) * p.places + i) * 4u + k % 4u : k * p.places + i];
    return abs(g * factors[PICTURE != 0 ? k * p.places + i : k]);
}
