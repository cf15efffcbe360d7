// Plain C of the refinement stages' shaders. Maps are rows of width x height floats, photos packed pixels.
#ifndef REF_REFINE_H
#define REF_REFINE_H

#include <stdint.h>

void ref_guided(const uint32_t *photo, float *map, int width, int height, int radius, double eps);
void ref_joint(const uint32_t *photo, float *map, int width, int height, int radius, double srgb);
void ref_pamr(const uint32_t *photo, float *map, int width, int height, int iterations);
// Energies [tags + 1][pixels] with the colour model added.
void ref_colour(const uint32_t *photo, float *unary, int pixels, int tags, double weight, int iterations);
// Saliency of a grid, its own size: 128 sweeps from the border, contrast with the sides.
void ref_classical(const uint32_t *grid, float *map, int width, int height);

#endif
