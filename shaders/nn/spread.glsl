// Elements of type T repeated along some dimensions, and scaled: the gradient of sums and means.
#include "nn/common.glsl"
layout(push_constant) uniform Push {
    uint dim[8], stride[8];  // strides of the input; 0: repeated
    uint count, rank;
    float scale;
};
layout(binding = 0) readonly buffer In {
    T x[];
};
layout(binding = 1) writeonly buffer Out {
    T y[];
};

void main() {
    uint index = thread_index(), rest = index, from = 0u;
    if (index >= count) return;
    for (uint d = rank; d-- > 0u;) {
        uint q = rest / dim[d];
        from += (rest - q * dim[d]) * stride[d];
        rest = q;
    }
    y[index] = x[from] * scale;
}
