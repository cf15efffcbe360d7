// Gather: y[outer][j][inner] = x[outer][index[j]][inner]. Indices from the end are negative; those out of range are
// an alarm where they are not known before, and read an element that exists.
#include "nn/common.glsl"
#include "nn/alarm.glsl"
layout(push_constant) uniform Push {
    uint count, axis, indices, inner;
};
layout(binding = 0) readonly buffer In {
    uint x[];
};
layout(binding = 1) readonly buffer Index {
    int j[];
};
layout(binding = 2) writeonly buffer Out {
    uint y[];
};

void main() {
    uint i = thread_index();
    if (i >= count) return;
    uint row = i / inner, outer = row / indices;
    int at = j[row % indices];
    if (at < 0) at += int(axis);
    ALARM_IF(at < 0 || at >= int(axis))
    at = clamp(at, 0, int(axis) - 1);
    y[i] = x[(outer * axis + uint(at)) * inner + i % inner];
}
