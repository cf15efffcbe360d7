// Outlines of parts along the cracks between pixels, and their simplification.
#ifndef TM_OUTLINE_H
#define TM_OUTLINE_H

#include "base/base.h"

typedef struct tm_corner {
    uint16_t x, y;
} tm_corner;

typedef struct tm_ring {
    tm_corner *corners;  // only where the direction changes; not closed
    size_t count, capacity;
} tm_ring;

// Follows the crack above the pixel (x, y), whose label differs from the one above it, around until it closes, with the
// part on the right-hand side: an outer ring runs clockwise on the screen, a hole counter-clockwise. Pixels of the same
// label that touch only at a corner count as apart. Every pixel below a crack that is followed to the right gets its
// bit in `seen` (bit y * width + x). false: out of memory.
bool tm_ring_trace(const uint8_t *labels, uint32_t width, uint32_t height, uint32_t x, uint32_t y, uint8_t *seen,
                   tm_ring *ring);

// Twice the signed area, positive when clockwise on the screen.
int64_t tm_ring_area2(const tm_corner *corners, size_t count);

// Douglas-Peucker in place; see regions.h. false: out of memory.
bool tm_ring_simplify(tm_ring *ring, float tolerance);

#endif
