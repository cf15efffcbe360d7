#version 450
#extension GL_GOOGLE_include_directive : require
#include "image/index.glsl"
#include "cam/two.glsl"
// A weight a channel, by the rules of tm_channel_rule (map_table.h).

void main() {
    uint k = element_index();
    if (k >= p.channels) return;
    float total = 0.0, sum = 0.0;
    if (RULE != 0)
        for (uint i = 0; i < p.places; i++) total += feature(k, i);
    for (uint i = 0; i < p.places; i++) {
        float g = gradient(k, i);
        if (RULE == 0) {
            sum += g;
        } else if (RULE == 1) {
            float square = g * g;
            // relu(g) first: where g is not above 0 its share counts for nothing, however large.
            if (!(g <= 0.0)) sum += g * (square / (2.0 * square + total * square * g + 1e-6));
        } else {
            sum += g * feature(k, i) / (total + 1e-7);
        }
    }
    target[k] = RULE == 0 ? sum / float(p.places) : sum;
}
