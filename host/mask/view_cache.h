// Network outputs of a view on disk. A file is named by the photo, the pack and the view, carries a checksum, and is
// ignored when it does not fit; it never makes a proposal fail.
#ifndef TM_VIEW_CACHE_H
#define TM_VIEW_CACHE_H

#include "mask/views.h"

bool tm_view_cache_load(const tm_views_context *context, tm_view *view);  // true: the view is ready
tagmask_status tm_view_cache_store(const tm_views_context *context, const tm_view *view, tm_error *err);

// The file in memory. It holds its whole key, so that one that was renamed or copied is not taken for another.
typedef struct tm_view_key {
    uint64_t photo;  // hash of its pixels
    uint64_t view;   // hash of the pack, the request, the device, the weights' precision and this version
    uint64_t score_count, output_count;
} tm_view_key;
// A file for outputs of these shapes, zeroed from *start on: scores and outputs follow there, then it is sealed.
// malloc'ed; NULL without memory.
uint8_t *tm_view_cache_encode(const tm_view_key *key, const tm_tensor *outputs, size_t *start, size_t *size);
void tm_view_cache_seal(uint8_t *file, size_t size);
// Where scores and outputs lie in a whole file of this key, with the outputs' shapes (TM_VIEW_OUTPUTS have room;
// without buffers); NULL for any other.
const uint8_t *tm_view_cache_decode(const tm_view_key *key, const uint8_t *file, size_t size, tm_tensor *outputs);

#endif
