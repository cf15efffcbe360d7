#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
#include "cam/two.glsl"
// A map of products, summed over the channels by the rules of tm_product_rule (map_table.h).

void main() {
    uint i = element_index();
    if (i >= p.places) return;
    float sum = 0.0;
    for (uint k = 0; k < p.channels; k++) {
        float g = gradient(k, i), product = (RULE == 1 && g < 0.0 ? 0.0 : g) * feature(k, i);
        sum += RULE == 2 && product < 0.0 ? 0.0 : product;
    }
    target[i] = sum < 0.0 ? 0.0 : sum;  // a NaN stays one, and is reported
}
