// 16-bit floats (IEEE 754 binary16) and 32-bit ones.
#ifndef TM_HALF_H
#define TM_HALF_H

#include "base/base.h"

float tm_half_to_float(uint16_t half);
// The nearest half, ties to even; beyond 65504, and what rounds there, infinity.
uint16_t tm_half_from_float(float value);

#endif
