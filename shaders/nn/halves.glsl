// Four 16-bit floats as two words, as they lie in memory.
vec4 from_halves(uvec2 pairs) {
    return vec4(unpackHalf2x16(pairs.x), unpackHalf2x16(pairs.y));
}
