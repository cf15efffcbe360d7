#version 450
// Brute force dense CRF (Kraehenbuehl and Koltun 2011), part 1: 1 / sqrt(sum of each kernel) of every pixel.
layout(local_size_x_id = 0) in;
layout(std430, binding = 0) readonly buffer Image {
    vec4 image[];
};
layout(std430, binding = 1) buffer Norms {
    vec2 norms[];  // Gaussian, bilateral: sums until the last rows are in
};
layout(push_constant) uniform Push {
    uint width, count, first, last;  // targets [first, last) of count pixels
    float gaussian, bilateral, color;   // -1 / (2 sigma^2)
    uint row, rows;                     // of the sources: [row, rows)
};

void main() {
    uint i = first + gl_GlobalInvocationID.x;
    if (i >= last) return;
    vec3 own = image[i].rgb;
    vec2 at = vec2(i % width, i / width), sum = row == 0u ? vec2(0) : norms[i];
    for (uint y = row, j = row * width; y < rows; y++) {
        vec2 line = vec2(0);  // summed by rows: float sums of a whole image lose digits
        for (uint x = 0u; x < width; x++, j++) {
            vec2 d = at - vec2(x, y);
            vec3 c = own - image[j].rgb;
            float far = dot(d, d);
            line += vec2(exp(gaussian * far), exp(bilateral * far + color * dot(c, c)));
        }
        sum += line;
    }
    norms[i] = rows * width == count ? inversesqrt(sum + 1e-20) : sum;
}
