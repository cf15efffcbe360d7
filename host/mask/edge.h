// Refinement of maps along the photo's edges before the CRF: preset member `edge`.
#ifndef TM_EDGE_H
#define TM_EDGE_H

#include "mask/maps.h"
#include "mask/preset.h"

// maps: planes of width x height, `stride` bytes apart, refined in place. image: vec4 a pixel, r, g, b in 0..255.
typedef struct tm_edge_job {
    tm_slice image, maps;
    uint64_t stride;
    uint32_t width, height, count;
} tm_edge_job;
tagmask_status tm_edge_record(tm_work *work, const tm_edge_job *job, const tm_settings *settings, tm_error *err);

// ---- For the methods (edge_*.c)

// What refine/filter.glsl takes.
typedef struct tm_edge_push {
    uint32_t width, height, first, count, radius;
    float eps, far, unlike;
} tm_edge_push;

// A photo as packed words, with what the method keeps of it while it goes from map to map.
typedef struct tm_edge {
    tm_map guide;
    tm_edge_push push;
    uint32_t iterations;
    tm_slice kept[5];
    tm_map spare;  // a map
} tm_edge;
// Dispatches a shader with the guide as binding 0, the others in order, in bands that no watchdog minds; taps: pixels
// that an invocation reads.
tagmask_status tm_edge_dispatch(tm_work *work, const tm_edge *edge, const char *shader, const tm_slice *slices,
                                size_t count, uint32_t taps, tm_error *err);

typedef struct tm_edge_method {
    tagmask_status (*prepare)(tm_work *work, tm_edge *edge, tm_error *err);
    tagmask_status (*refine)(tm_work *work, const tm_edge *edge, const tm_map *map, tm_error *err);  // in place
} tm_edge_method;
extern const tm_edge_method tm_edge_guided, tm_edge_pamr, tm_edge_joint;

#endif
