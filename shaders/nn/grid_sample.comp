// GridSample over two or three dimensions of a linear tensor: one thread an output element. Every mode is separable, so
// each axis contributes up to four positions with weights. Cubic: Keys' kernel with a = -0.75.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
layout(constant_id = 1) const uint MODE = 0u;     // 0 nearest, 1 linear, 2 cubic
layout(constant_id = 2) const uint PADDING = 0u;  // 0 zeros, 1 border, 2 reflection
layout(constant_id = 3) const bool ALIGN = false;
layout(push_constant) uniform Push {
    uint count, channels, points;  // points: output positions of an image
    uint axes;                     // 2 or 3
    ivec4 size;                    // along x, y, z (innermost first)
};
layout(binding = 0) readonly buffer In {
    float x[];
};
layout(binding = 1) readonly buffer Grid {
    float grid[];
};
layout(binding = 2) writeonly buffer Out {
    float y[];
};

float reflected(float v, float low, float high) {
    float range = high - low, d = v < low ? low - v : v - high;
    if (range <= 0.0) return low;
    if (d < 0.0) return v;
    float turns = floor(d / range), r = d - turns * range;
    return (mod(turns, 2.0) == 0.0) == (v < low) ? low + r : high - r;
}
float keys(float t) {
    t = abs(t);
    if (t <= 1.0) return (1.25 * t - 2.25) * t * t + 1.0;
    return t < 2.0 ? ((-0.75 * t + 3.75) * t - 6.0) * t + 3.0 : 0.0;
}
// Positions and weights of an axis of n elements for the normalized coordinate g in [-1, 1].
void taps(float g, int n, out ivec4 at, out vec4 weight) {
    float low = ALIGN ? 0.0 : -0.5, high = float(n - 1) - low;
    float v = ALIGN ? (g + 1.0) * 0.5 * float(n - 1) : ((g + 1.0) * float(n) - 1.0) * 0.5;
    if (MODE == 0u) v = roundEven(v);
    if (PADDING == 1u && MODE != 2u) v = clamp(v, 0.0, float(n - 1));  // cubic: its taps are, as PyTorch has it
    if (PADDING == 2u) v = reflected(v, low, high);
    v = clamp(v, -4.0, float(n) + 4.0);  // beyond, nothing changes; integers must not overflow
    float base = floor(v), f = v - base;
    weight = MODE == 0u ? vec4(0.0, 1.0, 0.0, 0.0) : vec4(0.0, 1.0 - f, f, 0.0);
    if (MODE == 2u) weight = vec4(keys(1.0 + f), keys(f), keys(1.0 - f), keys(2.0 - f));
    for (int k = 0; k < 4; k++) {
        int i = int(base) + k - 1;
        if (PADDING == 0u && (i < 0 || i >= n)) weight[k] = 0.0;
        if (PADDING == 2u && (i < 0 || i >= n)) i = int(reflected(float(i), low, high));
        at[k] = clamp(i, 0, n - 1);
    }
}

void main() {
    uint i = thread_index();
    if (i >= count) return;
    uint plane = i / points, image = plane / channels, g = (image * points + i % points) * axes;
    ivec4 ax, ay, az = ivec4(0);
    vec4 wx, wy, wz = vec4(0.0, 1.0, 0.0, 0.0);
    taps(grid[g], size.x, ax, wx);
    taps(grid[g + 1u], size.y, ay, wy);
    if (axes == 3u) taps(grid[g + 2u], size.z, az, wz);
    uint base = plane * uint(size.x) * uint(size.y) * uint(size.z);
    float sum = 0.0;
    for (int c = 0; c < 4; c++) {
        if (wz[c] == 0.0) continue;
        for (int b = 0; b < 4; b++) {
            if (wy[b] == 0.0) continue;
            uint row = base + uint((az[c] * size.y + ay[b]) * size.x);
            for (int a = 0; a < 4; a++)
                if (wx[a] != 0.0) sum += wz[c] * wy[b] * wx[a] * x[row + uint(ax[a])];
        }
    }
    y[i] = sum;
}
