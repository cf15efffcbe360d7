#version 450
// Ridge regression weights from the products of cam/ridge_gram.glsl: with centred columns x and map y,
//   (X'X + lambda I) w = X'y
// by conjugate gradients (Hestenes and Stiefel 1952): the matrix is symmetric, lambda bounds its condition, and a fixed
// number of steps gives the same bits every time. One workgroup; out: w with zeros up to side - 4, then the constant
// mean(y) - mean(x) w.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer Products { float products[]; };
layout(set = 0, binding = 1) writeonly buffer Weights { float weights[]; };  // [side]
layout(push_constant) uniform Push {
    uint channels, side;  // side of the products' matrix: columns, padding included
    float lambda;
} p;

const uint LANES = 64, EACH = 4, STEPS = 32;  // EACH channels an invocation
shared float direction[LANES * EACH], mean[LANES * EACH], partial[LANES];

float product(uint a, uint b) {
    return products[a * p.side + b];
}

float sum_all(float value) {
    partial[gl_LocalInvocationID.x] = value;
    barrier();
    float sum = 0.0;
    for (uint k = 0; k < LANES; k++) sum += partial[k];
    barrier();
    return sum;
}

// Row c of X'X + lambda I times the direction; middle: mean(x) times it.
float apply(uint c, float middle, float count) {
    float sum = p.lambda * direction[c] - count * mean[c] * middle;
    for (uint j = 0; j < p.channels; j++) sum = fma(product(c, j), direction[j], sum);
    return sum;
}

void main() {
    uint lane = gl_LocalInvocationID.x, y = p.side - 4, one = p.side - 3;  // the map's column and the constant's
    float count = product(one, one), mean_y = product(y, one) / count, square = 0.0;
    float w[EACH], residual[EACH];
    for (uint k = 0; k < EACH; k++) {
        uint c = lane + LANES * k;
        w[k] = residual[k] = 0.0;
        if (c < p.channels) {
            mean[c] = product(c, one) / count;
            residual[k] = product(c, y) - count * mean[c] * mean_y;
            direction[c] = residual[k];
        }
        square += residual[k] * residual[k];
    }
    square = sum_all(square);
    for (uint step = 0; step < STEPS; step++) {
        float image[EACH], part = 0.0, along = 0.0, next = 0.0;
        for (uint c = lane; c < p.channels; c += LANES) part = fma(mean[c], direction[c], part);
        float middle = sum_all(part);
        for (uint k = 0; k < EACH; k++) {
            uint c = lane + LANES * k;
            image[k] = c < p.channels ? apply(c, middle, count) : 0.0;
            if (c < p.channels) along = fma(image[k], direction[c], along);
        }
        along = sum_all(along);
        float length = along > 1e-30 ? square / along : 0.0;
        for (uint k = 0; k < EACH; k++) {
            uint c = lane + LANES * k;
            if (c < p.channels) w[k] = fma(length, direction[c], w[k]);
            residual[k] = fma(-length, image[k], residual[k]);
            next = fma(residual[k], residual[k], next);
        }
        next = sum_all(next);
        float turn = square > 1e-30 ? next / square : 0.0;
        for (uint k = 0; k < EACH; k++) {
            uint c = lane + LANES * k;
            if (c < p.channels) direction[c] = fma(turn, direction[c], residual[k]);
        }
        square = next;
        barrier();
    }
    float offset = 0.0;
    for (uint k = 0; k < EACH; k++) {
        uint c = lane + LANES * k;
        if (c < y) weights[c] = w[k];
        if (c < p.channels) offset = fma(mean[c], w[k], offset);
    }
    offset = sum_all(offset);
    if (lane == 0) weights[y] = mean_y - offset;
}
