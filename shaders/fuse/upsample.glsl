// Joint bilateral upsampling (Kopf et al. 2007): COLUMNS x ROWS neighbouring pixels of the photo share the loads of the
// map's samples around them. See host/mask/upsample.h.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
layout(constant_id = 1) const uint LABELS = 1;
const uint COLUMNS = 4u, ROWS = 2u, PIXELS = COLUMNS * ROWS;

VEC4_INPUT(0, Guide, guide);
layout(std430, binding = 1) readonly buffer Photo {
    uint photo[];
};
layout(std430, binding = 2) readonly buffer Maps {
    float maps[];  // [labels][map_height][map_width]
};
layout(std430, binding = 3) writeonly buffer Out {
    float upsampled[];  // [labels][rows][width]
};
layout(push_constant) uniform Push {
    uint width, rows, map_width, map_height;
    uint first_row, label;  // the band's first row; first of LABELS
    vec2 scale;                          // samples of the map a pixel
    vec2 reach;                          // samples that count on either side
    float falloff;                       // -log2(e) / (2 sigma^2) of the colours
    float rest;                          // weight of a sample of quite another colour
};

float near(float distance, float most) {
    float t = max(0.0, 1.0 - distance * distance / (most * most));
    return t * t;
}

void main() {
    uint tiles = (width + COLUMNS - 1u) / COLUMNS, index = linear_index();
    if (index >= tiles * ((rows + ROWS - 1u) / ROWS)) return;
    uint x0 = index % tiles * COLUMNS, y0 = index / tiles * ROWS;
    vec3 own[PIXELS];
    float sum[PIXELS * LABELS], total[PIXELS];
    for (uint p = 0u; p < PIXELS; p++) {
        uint x = min(x0 + p % COLUMNS, width - 1u), y = min(y0 + p / COLUMNS, rows - 1u);
        uint word = photo[y * width + x];
        own[p] = vec3(word & 255u, word >> 8 & 255u, word >> 16 & 255u);
        total[p] = 0.0;
        for (uint l = 0u; l < LABELS; l++) sum[p * LABELS + l] = 0.0;
    }
    // Place of the first and the last pixel among the samples, whose centres are at whole numbers.
    vec2 first = (vec2(x0, first_row + y0) + 0.5) * scale - 0.5;
    vec2 last = first + vec2(COLUMNS - 1u, ROWS - 1u) * scale;
    ivec2 low = ivec2(floor(first - reach)) + 1, high = ivec2(ceil(last + reach)) - 1;
    for (int y = low.y; y <= high.y; y++) {
        for (int x = low.x; x <= high.x; x++) {
            uint at = uint(clamp(y, 0, int(map_height) - 1)) * map_width + uint(clamp(x, 0, int(map_width) - 1));
            vec3 color = FETCH(guide, at).rgb;
            float value[LABELS], across[COLUMNS], down[ROWS];
            for (uint l = 0u; l < LABELS; l++) value[l] = maps[(label + l) * map_width * map_height + at];
            for (uint c = 0u; c < COLUMNS; c++) across[c] = near(float(x) - first.x - float(c) * scale.x, reach.x);
            for (uint r = 0u; r < ROWS; r++) down[r] = near(float(y) - first.y - float(r) * scale.y, reach.y);
            for (uint p = 0u; p < PIXELS; p++) {
                vec3 d = own[p] - color;
                float weight = across[p % COLUMNS] * down[p / COLUMNS] * (exp2(falloff * dot(d, d)) + rest);
                total[p] += weight;
                for (uint l = 0u; l < LABELS; l++) sum[p * LABELS + l] = fma(weight, value[l], sum[p * LABELS + l]);
            }
        }
    }
    for (uint p = 0u; p < PIXELS; p++) {
        uint x = x0 + p % COLUMNS, y = y0 + p / COLUMNS;
        if (x >= width || y >= rows) continue;
        for (uint l = 0u; l < LABELS; l++) {
            upsampled[((label + l) * rows + y) * width + x] = sum[p * LABELS + l] / total[p];
        }
    }
}
