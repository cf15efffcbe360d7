// Edge-aware upsampling of probability maps to the photo's own resolution: joint bilateral upsampling (Kopf, Cohen,
// Lischinski and Uyttendaele, "Joint Bilateral Upsampling", SIGGRAPH 2007). Each pixel of the photo averages the map's
// samples around it, those of its own colour most: a weighted mean, so that nothing overshoots and a confident map
// stays confident; where photo and map have the same size the map comes out unchanged.
//
// Everything is only recorded. The photo is processed in bands of rows, so that memory does not grow with its height.
#ifndef TM_UPSAMPLE_H
#define TM_UPSAMPLE_H

#include "gpu/gpu.h"

typedef struct tm_upsample {
    tm_slice photo;          // the band's pixels: uint [rows][width], R | G << 8 | B << 16, the highest byte is ignored
    uint32_t width, height;  // of the photo
    tm_slice guide;          // the photo at the maps' size: vec4 [map_height][map_width], r, g, b in 0..255
    tm_slice maps;           // float [labels][map_height][map_width]
    uint32_t map_width, map_height, labels;  // neither side of the maps may exceed the photo's
    uint32_t first_row, rows;                // of the photo: the band that is computed
    tm_slice out;                            // float [labels][rows][width], written
} tm_upsample;

// Every slice starts at a multiple of buffer_alignment.
tagmask_status tm_upsample_run(tm_recorder *recorder, const tm_upsample *job, tm_error *err);

// How many rows a band should have so that `out` takes at most `bytes` and can be bound; at least 1.
uint32_t tm_upsample_band(const tm_gpu_info *info, uint32_t width, uint32_t height, uint32_t labels, uint64_t bytes);

#endif
