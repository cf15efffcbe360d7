// Keeps the marginals for the next iteration, by pixel for the bilateral kernel and by block for the Gaussian one. The
// including shader declares the buffers. With TEXEL several groups are packed to 16 bits a label, two groups a uvec4:
// half the stores.
uvec2 packed(vec4 value) {
    return uvec2(packUnorm2x16(value.xy), packUnorm2x16(value.zw));
}

void keep_marginals(Block block, uint index, vec4 values[LOGITS]) {
    float norm = GAUSSIAN ? table[block.x] * table[columns + block.y] : 0.0;
    vec4 sums_of[GROUPS];
    [[unroll]] for (uint g = 0u; g < GROUPS; g++) {
        sums_of[g] = vec4(0);
        [[unroll]] for (uint p = 0u; p < PIXELS; p++) {
            sums_of[g] += block.inside[p] ? values[p * GROUPS + g] : vec4(0);
        }
        if (GAUSSIAN) STORE(sums[g * columns * band_rows + index], norm * sums_of[g])
    }
    if (!BILATERAL) return;
#ifdef TEXEL
    [[dont_unroll]] for (uint p = 0u; p < PIXELS; p++) {
        if (!is_inside(block, p)) continue;
        uint pixel = pixel_of(block, p);
        if (GROUPS > 1u) {
            [[unroll]] for (uint g = 0u; g < GROUPS; g += 2u) {
                uint at = g / 2u * pixels + pixel;
                uvec2 even = packed(of_pixel(values, p, g));
                if (g + 1u < GROUPS) {
                    marginals[at] = uvec4(even, packed(of_pixel(values, p, g + 1u)));
                } else {
                    marginals[at].xy = even;
                }
            }
        } else {
            STORE(marginals[pixel], floatBitsToUint(of_pixel(values, p, 0u)))
        }
    }
#else
    for (uint p = 0u; p < PIXELS; p++) {
        if (!block.inside[p]) continue;
        for (uint g = 0u; g < GROUPS; g++) {
            marginals[g * pixels + block.pixel[p]] = floatBitsToUint(values[p * GROUPS + g]);
        }
    }
#endif
}
