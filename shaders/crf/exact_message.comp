#version 450
// Brute force dense CRF, part 2: both pairwise messages of LABELS labels at TARGETS pixels an invocation, so that each
// source pixel is loaded once for several targets.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint LABELS = 4;
const uint TARGETS = 4;
layout(std430, binding = 0) readonly buffer Image {
    vec4 image[];
};
layout(std430, binding = 1) readonly buffer Norms {
    vec2 norms[];
};
layout(std430, binding = 2) readonly buffer Marginals {
    float marginals[];  // [labels][count]
};
layout(std430, binding = 3) buffer Messages {
    float messages[];  // [labels][count]
};
layout(push_constant) uniform Push {
    uint width, count, first, last;
    float gaussian, bilateral, color;
    uint row, rows;  // of the sources: [row, rows)
    float gaussian_compat, bilateral_compat;
    uint label;  // the first of LABELS
};

void main() {
    uint i0 = first + gl_GlobalInvocationID.x * TARGETS;
    if (i0 >= last) return;
    vec3 own[TARGETS];
    vec2 at[TARGETS], weight[TARGETS];
    float sum[TARGETS * LABELS], line[TARGETS * LABELS];
    for (uint t = 0u; t < TARGETS; t++) {
        uint i = min(i0 + t, count - 1u);
        own[t] = image[i].rgb;
        at[t] = vec2(i % width, i / width);
        weight[t] = norms[i] * vec2(gaussian_compat, bilateral_compat);
        for (uint l = 0u; l < LABELS; l++) {
            sum[t * LABELS + l] = row == 0u ? 0.0 : messages[(label + l) * count + i];
        }
    }
    for (uint y = row, j = row * width; y < rows; y++) {
        for (uint k = 0u; k < TARGETS * LABELS; k++) line[k] = 0.0;
        for (uint x = 0u; x < width; x++, j++) {
            vec3 source = image[j].rgb;
            vec2 norm = norms[j];
            float q[LABELS];
            for (uint l = 0u; l < LABELS; l++) q[l] = marginals[(label + l) * count + j];
            for (uint t = 0u; t < TARGETS; t++) {
                vec2 d = at[t] - vec2(x, y);
                vec3 c = own[t] - source;
                float far = dot(d, d);
                vec2 kernel = norm * vec2(exp(gaussian * far), exp(bilateral * far + color * dot(c, c)));
                float k = dot(kernel, weight[t]);
                for (uint l = 0u; l < LABELS; l++) line[t * LABELS + l] = fma(k, q[l], line[t * LABELS + l]);
            }
        }
        for (uint k = 0u; k < TARGETS * LABELS; k++) sum[k] += line[k];
    }
    for (uint t = 0u; t < TARGETS && i0 + t < last; t++) {
        for (uint l = 0u; l < LABELS; l++) messages[(label + l) * count + i0 + t] = sum[t * LABELS + l];
    }
}
