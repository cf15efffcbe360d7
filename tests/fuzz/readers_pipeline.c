// The files of compiled pipelines and of chosen kernels. (gpu/cache.h and the masks' headers do not go together: both
// have a tm_view.)
#include "gpu/cache.h"
#include "gpu/tune.h"
#include "readers.h"

static bool read_pipeline_cache(const uint8_t *file, size_t file_size) {
    size_t size = 0;
    const uint8_t *data = tm_cache_decode(42, file, file_size, &size);
    fuzz_require(!data || data + size == file + file_size, "a cache file holds what its header says");
    return data != NULL;
}

static bool seed_pipeline_cache(size_t index, uint8_t **data, size_t *size) {
    static const uint8_t payload[50] = {1, 2, 3};
    if (index) return false;
    *data = tm_cache_encode(42, payload, sizeof payload, size);
    fuzz_require(*data != NULL, "no memory for a seed");
    return true;
}

const fuzz_reader fuzz_pipeline_cache = {"pipeline-cache", "tables", read_pipeline_cache, seed_pipeline_cache, NULL};

static bool read_tuning(const uint8_t *file, size_t file_size) {
    static tm_tune_choice choices[TM_TUNE_MOST];
    size_t count = 0;
    bool good = tm_tune_decode(42, file, file_size, choices, &count);
    fuzz_require(!good || (count <= TM_TUNE_MOST && count * sizeof *choices < file_size), "a file holds its choices");
    return good;
}

static bool seed_tuning(size_t index, uint8_t **data, size_t *size) {
    static const tm_tune_choice choices[3] = {{1, 2}, {3, 4}, {5, 0}};
    if (index > 1) return false;
    *data = tm_tune_encode(42, choices, index ? 3 : 0, size);
    fuzz_require(*data != NULL, "no memory for a seed");
    return true;
}

const fuzz_reader fuzz_tuning = {"tuning", "tables", read_tuning, seed_tuning, NULL};
