#include "gpu/cache.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION 1
#define MAX_FILE ((size_t)512 << 20)
// A payload of VkPipelineCacheHeaderVersionOne alone holds no pipeline: software drivers return just that.
#define BARE_HEADER 32

typedef struct file_header {
    char magic[4];
    uint32_t version;
    uint64_t key, size, hash;
} file_header;
_Static_assert(sizeof(file_header) == TM_CACHE_HEADER, "the header is written as it lies in memory");

uint64_t tm_cache_key(const tm_physical *physical) {
    const uint32_t numbers[] = {physical->vendor_id,   physical->device_id,   physical->driver_version,
                                TAGMASK_VERSION_MAJOR, TAGMASK_VERSION_MINOR, TAGMASK_VERSION_PATCH};
    uint64_t key = tm_hash64(numbers, sizeof numbers, 0);
    key = tm_hash64(physical->info.cache_key, sizeof physical->info.cache_key, key);
    return tm_hash64(physical->info.driver, strlen(physical->info.driver), key);
}

char *tm_cache_path(uint64_t key) {
    char *folder = tm_cache_dir();
    if (!folder) return NULL;
    char *path = tm_format("%s/pipelines-%016llx.bin", folder, (unsigned long long)key);
    free(folder);
    return path;
}

uint8_t *tm_cache_encode(uint64_t key, const void *payload, size_t size, size_t *file_size) {
    file_header header = {{'T', 'M', 'P', 'C'}, FORMAT_VERSION, key, size, tm_hash64(payload, size, key)};
    size_t total;
    uint8_t *file = tm_add_size(size, sizeof header, &total) ? malloc(total) : NULL;
    if (!file) return NULL;
    memcpy(file, &header, sizeof header);
    memcpy(file + sizeof header, payload, size);
    *file_size = total;
    return file;
}

const uint8_t *tm_cache_decode(uint64_t key, const uint8_t *file, size_t file_size, size_t *size) {
    file_header header;
    if (file_size < sizeof header) return NULL;
    memcpy(&header, file, sizeof header);
    if (memcmp(header.magic, "TMPC", 4) != 0 || header.version != FORMAT_VERSION || header.key != key) return NULL;
    if (header.size != file_size - sizeof header) return NULL;
    if (tm_hash64(file + sizeof header, header.size, key) != header.hash) return NULL;
    *size = header.size;
    return file + sizeof header;
}

tagmask_status tm_cache_load(tm_gpu *gpu, tm_error *err) {
    uint64_t key = tm_cache_key(&gpu->physical);
    char *path = tm_cache_path(key);
    uint8_t *file = NULL;
    const uint8_t *payload = NULL;
    size_t file_size = 0, size = 0;
    if (path && tm_file_exists(path) && tm_read_file(path, MAX_FILE, &file, &file_size, NULL) == TAGMASK_OK) {
        payload = tm_cache_decode(key, file, file_size, &size);
        tm_log(TAGMASK_LOG_DEBUG, payload ? "pipeline cache %s: %zu bytes" : "pipeline cache %s is damaged and ignored",
               path, size);
    }
    VkPipelineCacheCreateInfo create = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                        .initialDataSize = payload ? size : 0,
                                        .pInitialData = payload};
    VkResult result = gpu->vk.vkCreatePipelineCache(gpu->device, &create, NULL, &gpu->pipeline_cache);
    if (result != VK_SUCCESS && payload) {
        create.initialDataSize = 0;
        result = gpu->vk.vkCreatePipelineCache(gpu->device, &create, NULL, &gpu->pipeline_cache);
    }
    free(file);
    free(path);
    if (result == VK_SUCCESS) return TAGMASK_OK;
    gpu->pipeline_cache = VK_NULL_HANDLE;
    return tm_vk_fail(gpu, err, result, "making a pipeline cache");
}

static void write_cache(const char *path, const uint8_t *file, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = tm_cache_dir();
    tagmask_status status = folder ? tm_make_dirs(folder, &err) : TAGMASK_ERROR_MEMORY;
    if (!status) tm_remove_leftovers(folder);
    if (!status) status = tm_write_file(path, file, size, &err);
    if (status) tm_log(TAGMASK_LOG_INFO, "the pipeline cache is not kept: %s", err.message);
    free(folder);
}

void tm_cache_store(tm_gpu *gpu) {
    if (!gpu->pipeline_cache || !atomic_load(&gpu->pipelines_created) || atomic_load(&gpu->lost)) return;
    uint64_t key = tm_cache_key(&gpu->physical);
    size_t size = 0, file_size = 0;
    // The size is asked for first even though a large buffer would do: lavapipe fails otherwise.
    if (gpu->vk.vkGetPipelineCacheData(gpu->device, gpu->pipeline_cache, &size, NULL) != VK_SUCCESS) return;
    if (size <= BARE_HEADER || size > MAX_FILE - TM_CACHE_HEADER) return;
    char *path = tm_cache_path(key);
    uint8_t *payload = malloc(size), *file = NULL;
    if (path && payload &&
        gpu->vk.vkGetPipelineCacheData(gpu->device, gpu->pipeline_cache, &size, payload) == VK_SUCCESS &&
        size > BARE_HEADER)
        file = tm_cache_encode(key, payload, size, &file_size);
    if (file) write_cache(path, file, file_size);
    free(file);
    free(payload);
    free(path);
}
