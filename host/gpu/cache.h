// Compiled pipelines on disk: one file a device, driver and library version in the user's cache folder.
//
// File: "TMPC", format version (u32), key of the device (u64), payload size (u64), FNV-1a of the payload (u64), payload
// (what vkGetPipelineCacheData gave), all in the machine's byte order: the file never leaves the machine. A file that
// is damaged or belongs to something else is ignored and replaced when the device is closed.
#ifndef TM_GPU_CACHE_H
#define TM_GPU_CACHE_H

#include "gpu/internal.h"

#define TM_CACHE_HEADER 32

uint64_t tm_cache_key(const tm_physical *physical);
// malloc'ed path of the file for key; NULL if the user has no cache folder.
char *tm_cache_path(uint64_t key);
// The file of a payload; malloc'ed, NULL without memory.
uint8_t *tm_cache_encode(uint64_t key, const void *payload, size_t size, size_t *file_size);
// The payload inside a file, or NULL if it is not a whole file of this key.
const uint8_t *tm_cache_decode(uint64_t key, const uint8_t *file, size_t file_size, size_t *size);

// Makes gpu->pipeline_cache, filled from the file if there is a good one.
tagmask_status tm_cache_load(tm_gpu *gpu, tm_error *err);
// Writes the file if there is something worth keeping; failures are logged, never errors.
void tm_cache_store(tm_gpu *gpu);

#endif
