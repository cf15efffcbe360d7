// Fully connected conditional random field with Gaussian edge potentials (Kraehenbuehl and Koltun, "Efficient Inference
// in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011), with the parameters and the meaning of
// pydensecrf: features x/sxy, y/sxy and r, g, b (0..255)/srgb, kernel exp(-|fi - fj|^2 / 2) with the pixel itself,
// symmetric normalization (1/sqrt(sum) before and after), Potts compatibility, Q0 = softmax(-U), then `iterations`
// times Q = softmax(-U + compat * message of each kernel).
//
// Everything is only recorded: nothing reaches the CPU between the image and the marginals. What depends on the image
// alone (the lattice and its norms) is kept and found again while only energies, compatibilities or iterations change.
#ifndef TM_CRF_H
#define TM_CRF_H

#include "gpu/gpu.h"

typedef struct tm_crf_params {
    float gaussian_sxy, gaussian_compat;                    // smoothness kernel; pixels; compat 0 leaves it out
    float bilateral_sxy, bilateral_srgb, bilateral_compat;  // appearance kernel; pixels, levels of 0..255
    int iterations;                                         // 0..1000
    bool exact;  // sum over all pairs of pixels: exact, quadratic in pixels; else fast filters
} tm_crf_params;

typedef struct tm_crf tm_crf;

// For images of width x height pixels. The recorders that used it must be finished before it is destroyed.
tagmask_status tm_crf_create(tm_gpu *gpu, uint32_t width, uint32_t height, tm_crf **crf, tm_error *err);
void tm_crf_destroy(tm_crf *crf);  // NULL allowed

// image: one vec4 (16 bytes) a pixel, row-major, r, g, b in 0..255 and a fourth number that is ignored. It is copied.
// Call it again after a recorder that used crf failed or was abandoned.
tagmask_status tm_crf_set_image(tm_crf *crf, tm_recorder *recorder, tm_slice image, tm_error *err);

// unary: energies (negative log probabilities), float [labels][height][width], labels in 1..255; marginals: the same
// shape, written. Both are device slices that start at a multiple of buffer_alignment and do not overlap: marginals is
// working memory, too. Finish what was recorded before running with other labels or parameters: working memory moves.
tagmask_status tm_crf_run(tm_crf *crf, tm_recorder *recorder, const tm_crf_params *params, uint32_t labels,
                          tm_slice unary, tm_slice marginals, tm_error *err);

#endif
