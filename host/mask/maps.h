// Small dispatches shared by the stages of a proposal: planes of floats and packed images on the device.
#ifndef TM_MAPS_H
#define TM_MAPS_H

#include "gpu/gpu.h"

// Transient device memory of one recording: slices live until tm_scratch_reset, which keeps the buffers for the next
// recording. Not thread-safe.
typedef struct tm_scratch {
    tm_gpu *gpu;
    tm_buffer **buffers;
    size_t count, capacity;
    size_t current;  // buffer that is being filled
    uint64_t used;   // bytes of it
} tm_scratch;
tagmask_status tm_scratch_alloc(tm_scratch *scratch, uint64_t size, tm_slice *slice, tm_error *err);
void tm_scratch_reset(tm_scratch *scratch);
void tm_scratch_free(tm_scratch *scratch);

// What the stages need to record work.
typedef struct tm_work {
    tm_gpu *gpu;
    tm_recorder *recorder;
    tm_scratch *scratch;
    tm_slice scalars;  // TM_SCALAR_SLOTS pairs of floats, see image/reduce
    uint32_t next_slot;
} tm_work;
#define TM_SCALAR_SLOTS 8192u
// Opens a recorder and gives it scalars. Close with tm_work_finish, or tm_work_abandon after a failure.
tagmask_status tm_work_begin(tm_work *work, tm_gpu *gpu, tm_scratch *scratch, tm_error *err);
tagmask_status tm_work_finish(tm_work *work, tm_error *err);
void tm_work_abandon(tm_work *work);
// Finishes what was recorded with success, abandons it after a failure: `status` says which, and is returned then.
tagmask_status tm_work_close(tm_work *work, tagmask_status status, tm_error *err);
tagmask_status tm_work_slots(tm_work *work, uint32_t count, uint32_t *first, tm_error *err);

// One invocation an element (shaders that use image/index.glsl).
typedef struct tm_map_call {
    const char *shader;
    uint32_t constants[4];
    size_t constant_count;
    tm_slice bindings[8];
    const void *push;
    uint32_t push_size;
    uint64_t elements;
    double flops_per_element;
} tm_map_call;
// Whether the device reads these slices of vec4 best through texel buffers: drivers on the CPU.
bool tm_map_by_texels(const tm_work *work, const tm_slice *slices, size_t count);
tagmask_status tm_map_dispatch(tm_work *work, const tm_map_call *call, tm_error *err);

// A plane of width x height floats, or an image of packed RGB words (R | G << 8 | B << 16), on the device.
typedef struct tm_map {
    tm_slice slice;
    uint32_t width, height;
} tm_map;
static inline uint32_t tm_map_count(const tm_map *map) {
    return map->width * map->height;
}
// Bytes of a plane, rounded up so that planes can follow each other in a buffer and each can be bound.
static inline uint64_t tm_plane_bytes(uint32_t width, uint32_t height) {
    return tm_align_up((uint64_t)width * height * 4, 256);
}
static inline tm_slice tm_plane(tm_buffer *buffer, uint32_t width, uint32_t height, size_t index) {
    tm_slice slice = {buffer, tm_plane_bytes(width, height) * index, (uint64_t)width * height * 4};
    return slice;
}
// Makes *buffer hold at least size bytes, contents lost when it grows.
tagmask_status tm_ensure_buffer(tm_gpu *gpu, tm_buffer **buffer, uint64_t size, tm_error *err);
tagmask_status tm_scratch_map(tm_work *work, uint32_t width, uint32_t height, tm_map *map, tm_error *err);

typedef enum tm_reduce {
    TM_REDUCE_MINMAX = 0,   // (minimum, maximum) of map
    TM_REDUCE_WHERE = 1,    // (sum of map, count) where other > threshold
    TM_REDUCE_MAX_RGB = 2,  // (0, largest channel) of a packed image
    TM_REDUCE_FINITE = 3    // (largest |map| of the finite elements, count of the others)
} tm_reduce;
// Result in scalars[slot]. other may be NULL except for TM_REDUCE_WHERE.
tagmask_status tm_map_reduce(tm_work *work, tm_reduce op, const tm_map *map, const tm_map *other, float threshold,
                             uint32_t slot, tm_error *err);
// target = (source - min) / (max - min + 1e-8); source and target may be the same.
tagmask_status tm_map_normalize(tm_work *work, const tm_map *source, const tm_map *target, tm_error *err);
// target = (first ? 0 : target) + v, v = source / (max + 1e-8); squares (may be NULL) gets the sum of v^2 likewise.
tagmask_status tm_map_accumulate(tm_work *work, const tm_map *source, const tm_map *target, const tm_map *squares,
                                 bool first, tm_error *err);

// A rectangle in pixels of some image; right and bottom are exclusive.
typedef struct tm_box {
    float left, top, right, bottom;
} tm_box;
// Bilinear, half-pixel centres; the source covers `box` of the target (NULL: all of it), 0 outside.
tagmask_status tm_map_resize(tm_work *work, const tm_map *source, const tm_map *target, const tm_box *box, bool mirror,
                             tm_error *err);

typedef enum tm_filter { TM_FILTER_BOX = 0, TM_FILTER_BILINEAR, TM_FILTER_BICUBIC, TM_FILTER_LANCZOS } tm_filter;
// Antialiased separable resampling of `box` (NULL: all) of a packed image, 8-bit between the passes; the convolution
// resampling of Pillow's Image.resize.
tagmask_status tm_image_resample(tm_work *work, const tm_map *source, const tm_box *box, tm_filter filter,
                                 const tm_map *target, tm_error *err);

#endif
