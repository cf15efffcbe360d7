// The colour map of heat maps.
#ifndef TM_VIRIDIS_H
#define TM_VIRIDIS_H

#include <stdint.h>

// From dark violet (0) over green to yellow (1); values outside and NaN become the nearest end, NaN 0.
void tm_viridis(float value, uint8_t rgb[3]);

#endif
