#version 450
// Many labels or pixels, part 2: the logits of four labels, and per pixel the running maximum and sum of the softmax. The
// softmax of all labels is thus done with one group of labels at a time. The FINAL group adds the last label.
#extension GL_GOOGLE_include_directive : require
#include "crf/access.glsl"
#include "crf/blocks.glsl"

layout(constant_id = 6) const bool FINAL = false;
VEC4_INPUT(0, Energies, energies);
VEC4_INPUT(1, Bases, bases);
VEC4_INPUT(2, Messages, messages);
VEC4_INPUT(3, Smooth, smoothed);
layout(std430, binding = 4) writeonly buffer Logits {
    vec4 logits[];
};
layout(std430, binding = 5) buffer Running {
    vec4 running[];  // maximum, sum of exp(logit - maximum), sum of the messages, logit of the last label
};
layout(push_constant) uniform Push {
    uint width, height, columns, rows;
    uint first;  // 1 for the first group
};

#include "crf/smooth.glsl"

vec4 with_logit(vec4 now, float logit) {
    float top = max(now.x, logit);
    now.y = now.y * exp(now.x - top) + exp(logit - top);
    now.x = top;
    return now;
}

void main() {
    uint index = linear_index();
    if (index >= columns * rows) return;
    Block block = block_at(index, 0u, columns, width, height);
    vec4 message[PIXELS];
    for (uint p = 0u; p < PIXELS; p++) message[p] = vec4(0);
    if (GAUSSIAN) smooth_messages(block, 0u, 0u, message);
    for (uint p = 0u; p < PIXELS; p++) {
        if (!block.inside[p]) continue;
        uint pixel = block.pixel[p];
        vec4 base = FETCH(bases, pixel), now = first == 1u ? vec4(-3e38, 0, 0, 0) : running[pixel];
        if (BILATERAL) message[p] += FETCH(messages, uint(base.x));
        vec4 logit = message[p] - FETCH(energies, pixel);
        for (uint c = 0u; c < 4u; c++) now = with_logit(now, logit[c]);
        now.z += message[p].x + message[p].y + message[p].z + message[p].w;
        if (FINAL) {
            now.w = (GAUSSIAN || BILATERAL ? base.y - now.z : 0.0) - base.z;
            now = with_logit(now, now.w);
        }
        logits[pixel] = logit;
        running[pixel] = now;
    }
}
