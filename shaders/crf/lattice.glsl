// The permutohedral lattice (Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice",
// 2010) in five dimensions. A vertex has six coordinates that sum to 0 and agree modulo 6; the first five name it. They
// are kept as 12 bits of k / 6 each and 3 bits of the common remainder.
uvec2 pack_vertex(int k[5]) {
    int r = (k[0] % 6 + 6) % 6;
    uint m[5];
    for (int i = 0; i < 5; i++) m[i] = uint((k[i] - r) / 6 + 2048) & 4095u;
    return uvec2(m[0] | m[1] << 12 | (m[4] & 255u) << 24, m[2] | m[3] << 12 | (m[4] >> 8) << 24 | uint(r) << 28);
}

void unpack_vertex(uvec2 key, out int k[5]) {
    int r = int(key.y >> 28);
    uint m[5] = {key.x & 4095u, key.x >> 12 & 4095u, key.y & 4095u, key.y >> 12 & 4095u,
                 key.x >> 24 | (key.y >> 24 & 15u) << 8};
    for (int i = 0; i < 5; i++) k[i] = (int(m[i]) - 2048) * 6 + r;
}

// The neighbour along an axis: directions 0..5 forwards, 6..11 backwards.
uvec2 move_vertex(uvec2 key, uint direction) {
    int k[5], axis = int(direction % 6u), sign = direction < 6u ? 1 : -1;
    unpack_vertex(key, k);
    for (int i = 0; i < 5; i++) k[i] += sign * (i == axis ? 5 : -1);
    return pack_vertex(k);
}

uint hash_vertex(uvec2 key) {
    uint h = key.x * 2654435761u ^ (key.y * 2246822519u + 0x9e3779b9u);
    h ^= h >> 15;
    h *= 2246822519u;
    return h ^ h >> 13;
}

// The simplex that holds a point: its six vertices and their barycentric weights. `feature` is already scaled.
void embed(float feature[5], out uvec2 keys[6], out float weights[6]) {
    float elevated[6], offset[6], sum = 0.0;
    for (int i = 5; i > 0; i--) {
        float f = feature[i - 1] * inversesqrt(float(i * (i + 1)));
        elevated[i] = sum - float(i) * f;
        sum += f;
    }
    elevated[0] = sum;
    int nearest[6], rank[6], total = 0;
    for (int i = 0; i < 6; i++) {
        float rounded = roundEven(elevated[i] * (1.0 / 6.0));
        nearest[i] = int(rounded) * 6;
        total += int(rounded);
        offset[i] = elevated[i] - rounded * 6.0;
        rank[i] = 0;
    }
    for (int i = 0; i < 5; i++) {
        for (int j = i + 1; j < 6; j++) {
            if (offset[i] < offset[j]) {
                rank[i]++;
            } else {
                rank[j]++;
            }
        }
    }
    for (int i = 0; i < 6; i++) {
        rank[i] += total;
        int wrap = rank[i] < 0 ? 6 : rank[i] > 5 ? -6 : 0;
        rank[i] += wrap;
        nearest[i] += wrap;
        offset[i] -= float(wrap);
    }
    float sorted[6];  // offsets by descending size
    for (int r = 0; r < 6; r++) {
        sorted[r] = 0.0;
        for (int i = 0; i < 6; i++) sorted[r] += rank[i] == r ? offset[i] : 0.0;
    }
    weights[0] = 1.0 - (sorted[0] - sorted[5]) * (1.0 / 6.0);
    for (int r = 1; r < 6; r++) weights[r] = (sorted[5 - r] - sorted[6 - r]) * (1.0 / 6.0);
    for (int r = 0; r < 6; r++) {
        int k[5];
        for (int i = 0; i < 5; i++) k[i] = nearest[i] + (rank[i] <= 5 - r ? r : r - 6);
        keys[r] = pack_vertex(k);
    }
}
