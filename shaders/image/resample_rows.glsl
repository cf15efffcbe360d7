// The pass along y of resample.comp for rows of whole vectors: four neighbours are loaded at once. The same bits.
#include "image/index.glsl"
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer source;
#define SOURCE(i) texelFetch(source, int(i))
#else
layout(set = 0, binding = 0) readonly buffer Source { uvec4 source[]; };
#define SOURCE(i) source[i]
#endif
layout(set = 0, binding = 1) readonly buffer First { int first[]; };
layout(set = 0, binding = 2) readonly buffer Weights { float weights[]; };
layout(set = 0, binding = 3) writeonly buffer Target { uvec4 target[]; };
layout(push_constant) uniform Push {
    uint width, height;  // of the target; width is a multiple of 4
    uint source_width, source_height;
    uint taps;
} p;

void main() {
    uint i = element_index(), columns = p.width / 4u, y = i / columns, x = i - y * columns;
    if (y >= p.height) return;
    int start = first[y];
    vec3 sum0 = vec3(0.0), sum1 = vec3(0.0), sum2 = vec3(0.0), sum3 = vec3(0.0);
    for (uint k = 0; k < p.taps; k++) {
        uvec4 v = SOURCE(uint(clamp(start + int(k), 0, int(p.source_height) - 1)) * columns + x);
        float weight = weights[y * p.taps + k];
        sum0 += weight * unpack_rgb(v.x);
        sum1 += weight * unpack_rgb(v.y);
        sum2 += weight * unpack_rgb(v.z);
        sum3 += weight * unpack_rgb(v.w);
    }
    target[i] = uvec4(pack_rgb(sum0), pack_rgb(sum1), pack_rgb(sum2), pack_rgb(sum3));
}
