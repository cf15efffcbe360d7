// Shared by the parts of the dense CRF: crf.c (interface, sum over all pairs), crf_lattice.c (the bilateral filter's
// structure), crf_fast.c (the iterations of the fast path), crf_scratch.c (memory of the fast path).
#ifndef TM_CRF_INTERNAL_H
#define TM_CRF_INTERNAL_H

#include "mask/crf.h"

typedef struct tm_crf_fast tm_crf_fast;

// Memory of the fast path that keeps nothing between runs. What is in use at different times shares it.
#define TM_CRF_SCRATCH_BUFFERS 24
typedef struct tm_crf_room {
    tm_slice *slice;
    uint64_t size;  // bytes; 0: none is needed
} tm_crf_room;

struct tm_crf {
    tm_gpu *gpu;
    const tm_gpu_info *info;
    uint32_t width, height, count;  // pixels
    tm_buffer *image;
    bool has_image;

    tm_buffer *norms, *messages;  // of the exact path
    bool has_norms;
    float norms_key[3];

    tm_crf_fast *fast;
    tm_buffer *scratch[TM_CRF_SCRATCH_BUFFERS];
    uint64_t bind_at_most;  // tests lower it, so that work is cut; 0: what the device binds
};

// Invocations a workgroup: CPU devices run a group as one unit of work on few lanes.
uint32_t tm_crf_local_size(const tm_crf *crf);
// Fills groups for `items` invocations in a grid that shaders read with linear_index().
void tm_crf_grid(const tm_crf *crf, uint64_t items, uint32_t groups[3]);
// Makes *buffer at least `size` bytes, dropping its content when it has to grow.
tagmask_status tm_crf_reserve(tm_crf *crf, tm_buffer **buffer, uint64_t size, tm_error *err);

// Places two lists of rooms in crf->scratch: those of one list do not overlap, the lists share their memory. Buffers
// that do not suffice are replaced.
tagmask_status tm_crf_scratch_place(tm_crf *crf, const tm_crf_room *first, size_t first_count,
                                    const tm_crf_room *second, size_t second_count, tm_error *err);

// A dispatch; the shader's specialization constant 0 is the local size, `constants` follow.
typedef struct tm_crf_job {
    const char *shader;
    const char *texel_shader;  // the same with texel fetches, taken where they are faster and possible; may be NULL
    uint32_t constants[8], constant_count;
    tm_slice bindings[TM_MAX_BINDINGS];
    const void *push;
    uint32_t push_size;
    uint64_t items;    // invocations of a linear grid; 0: at_most or groups is given
    uint64_t at_most;  // elements of a shader that walks over them with FOR_EACH
    uint32_t groups[3];
    double flops;
} tm_crf_job;
tagmask_status tm_crf_dispatch(const tm_crf *crf, tm_recorder *recorder, const tm_crf_job *job, tm_error *err);

tagmask_status tm_crf_run_fast(tm_crf *crf, tm_recorder *recorder, const tm_crf_params *params, uint32_t labels,
                               tm_slice unary, tm_slice marginals, tm_error *err);
void tm_crf_forget_fast(tm_crf *crf);  // the image changed
void tm_crf_destroy_fast(tm_crf *crf);

#endif
