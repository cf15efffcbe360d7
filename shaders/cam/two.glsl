// Features and their gradients, each in the layout that its network left it in, and what a shader makes of them.
layout(constant_id = 0) const uint FEATURES_C4 = 0;  // 1: as [C/4][places] vec4, 0: as [C][places]
layout(constant_id = 1) const uint GRADIENTS_C4 = 0;
layout(constant_id = 2) const uint RULE = 0;
layout(set = 0, binding = 0) readonly buffer Features { float features[]; };
layout(set = 0, binding = 1) readonly buffer Gradients { float gradients[]; };
layout(set = 0, binding = 2) writeonly buffer Target { float target[]; };
layout(push_constant) uniform Push { uint places, channels; } p;

float feature(uint k, uint i) {
    return features[FEATURES_C4 != 0 ? ((k / 4u) * p.places + i) * 4u + k % 4u : k * p.places + i];
}
float gradient(uint k, uint i) {
    return gradients[GRADIENTS_C4 != 0 ? ((k / 4u) * p.places + i) * 4u + k % 4u : k * p.places + i];
}
