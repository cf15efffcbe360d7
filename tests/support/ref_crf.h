// Plain C references of the dense CRF (host/mask/crf.h): the sum over all pairs of pixels, and the fast filters.
#ifndef REF_CRF_H
#define REF_CRF_H

#include "mask/crf.h"

// image: 4 floats a pixel; unary and q: [labels][height][width]. Brute force in double precision.
void ref_crf_exact(int width, int height, int labels, const float *image, const float *unary,
                   const tm_crf_params *params, float *q);

#endif
