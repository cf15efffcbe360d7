// Attention's scores [batch][head][query][key], in place: soft cap, mask, softmax over the keys. One thread a query and
// head. A query that may attend to no key gets zeros.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "nn/common.glsl"
#include "nn/unroll.glsl"
layout(constant_id = 1) const uint MASK = 0u;     // 1 float, added; 2 bool
layout(constant_id = 2) const bool VALID = false;  // the number of keys that are no padding differs within the batch
layout(constant_id = 3) const uint SHOW = 0u;     // 1 raw scores, 2 soft-capped, 3 masked, 4 probabilities
layout(push_constant) uniform Push {
    uint rows, heads, queries, keys;
    uint mask_batch, mask_head, mask_query, mask_key;  // strides
    uint mask_keys;                                    // keys beyond are masked
    float softcap;
    int causal, left, right, past;
};
layout(binding = 0) buffer Scores {
    float scores[];
};
layout(binding = 1) readonly buffer Mask {
    uint mask[];
};
layout(binding = 2) readonly buffer Valid {
    int valid[];
};
layout(binding = 3) writeonly buffer Shown {
    float shown[];
};

uint base, mask_base;
int position, valid_keys;  // of the query among the keys

bool attends(uint k) {
    int ahead = int(k) - position;
    bool yes = causal == 0 || ahead <= 0;
    yes = yes && (left < 0 || -ahead <= left) && (right < 0 || ahead <= right);
    return yes && (!VALID || int(k) < valid_keys);
}
float minus_infinity() {
    return uintBitsToFloat(0xff800000u);
}
float masked(uint k, float v) {
    if (!attends(k)) return minus_infinity();
    if (MASK == 0u) return v;
    if (k >= mask_keys) return minus_infinity();
    uint word = mask[mask_base + k * mask_key];
    if (MASK == 2u) return word != 0u ? v : minus_infinity();
    return word == 0xff800000u ? minus_infinity() : v + uintBitsToFloat(word);  // infinity less infinity is no number
}
float step_mask(uint k) {
    float v = scores[base + k];
    if (SHOW == 1u) shown[base + k] = v;
    if (softcap > 0.0) v = softcap * tanh(v / softcap);
    if (SHOW == 2u) shown[base + k] = v;
    v = masked(k, v);
    if (SHOW == 3u) shown[base + k] = v;
    scores[base + k] = v;
    return v;
}
float share(float v, float largest) {
    return floatBitsToUint(v) == 0xff800000u ? 0.0 : exp(v - largest);
}
void step_share(uint k, float largest, float scale) {
    float p = share(scores[base + k], largest) * scale;
    scores[base + k] = p;
    if (SHOW == 4u) shown[base + k] = p;
}
#define STEP_MASK(k) largest = max(largest, step_mask(k));
#define STEP_SUM(k) sum += share(scores[base + k], largest);
#define STEP_SHARE(k) step_share(k, largest, scale);

void main() {
    uint row = thread_index();
    if (row >= rows) return;
    uint query = row % queries, head = row / queries % heads, batch = row / queries / heads;
    base = row * keys;
    mask_base = batch * mask_batch + head * mask_head + query * mask_query;
    valid_keys = VALID ? valid[batch] : 0;
    position = int(query) + (VALID ? valid_keys - int(queries) : past);
    float largest = minus_infinity(), sum = 0.0;
    EACH_OF(k, keys, STEP_MASK)
    EACH_OF(k, keys, STEP_SUM)
    float scale = sum > 0.0 ? 1.0 / sum : 0.0;
    EACH_OF(k, keys, STEP_SHARE)
}
