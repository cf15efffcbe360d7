#include "io/viridis.h"

#include "base/base.h"

// Every 15th of the 256 colours of viridis by van der Walt and Smith (matplotlib, CC0): perceptually uniform.
static const uint8_t viridis[18][3] = {{68, 1, 84},    {72, 23, 105},  {71, 42, 122},  {67, 61, 132},  {61, 78, 138},
                                       {53, 94, 141},  {46, 109, 142}, {41, 123, 142}, {35, 137, 142}, {31, 151, 139},
                                       {33, 165, 133}, {46, 179, 124}, {70, 192, 111}, {101, 203, 94}, {137, 213, 72},
                                       {176, 221, 47}, {216, 226, 25}, {253, 231, 37}};

void tm_viridis(float value, uint8_t rgb[3]) {
    float at = TM_CLAMP(value, 0.0f, 1.0f) * 17;  // a NaN becomes 0
    int below = TM_MIN((int)at, 16);
    for (int c = 0; c < 3; c++) {
        float low = viridis[below][c], high = viridis[below + 1][c];
        rgb[c] = (uint8_t)(low + (high - low) * (at - (float)below) + 0.5f);
    }
}
