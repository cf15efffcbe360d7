#include "mask/view_cache.h"

#include <stdlib.h>
#include <string.h>

#include "mask/map_table.h"

#define CACHE_LIMIT ((size_t)1 << 30)
static const char cache_magic[8] = "tmview3";

// One file: header, scores, tensors. Native byte order: a cache does not travel between machines.
typedef struct cache_header {
    char magic[8];
    uint64_t checksum;  // of everything after it, the rest of the header too
    tm_view_key key;
    struct {
        int32_t layout, rank;
        int64_t dim[TM_MAX_RANK];
    } outputs[TM_VIEW_OUTPUTS];
} cache_header;
enum { CHECKED_FROM = offsetof(cache_header, key) };
_Static_assert(sizeof(tm_view_key) == 32, "the header is written as it lies in memory, without padding");

// What a view is asked for beyond the engine's own features.
static uint64_t hash_map(const tm_view *view, uint64_t seed) {
    const uint32_t numbers[] = {view->row, view->option};
    if (*view->layer) seed = tm_hash64(view->layer, strlen(view->layer), seed);
    if (!view->method) return seed;
    if (view->method->revision) seed = tm_hash64(&view->method->revision, sizeof view->method->revision, seed);
    return tm_hash64(view->method->name, strlen(view->method->name), tm_hash64(numbers, sizeof numbers, seed));
}

static tm_view_key make_key(const tm_views_context *context, const tm_view *view) {
    const tagmask_engine *engine = context->engine;
    const tm_pack *pack = tm_engine_pack(engine, view->role);
    struct {
        uint32_t version[3], width, height, mirror, device_class, tail_dilation, tail_dense, precision;
        tm_box box;
        tm_edit edit;
        uint8_t device[16];
    } what = {.version = {TAGMASK_VERSION_MAJOR, TAGMASK_VERSION_MINOR, TAGMASK_VERSION_PATCH},
              .width = view->width,
              .height = view->height,
              .mirror = view->mirror,
              .precision = (uint32_t)engine->precision,
              .tail_dilation = view->tail_dilation,
              .tail_dense = view->tail_dense,
              .box = view->box,
              .edit = view->edit};
    _Static_assert(sizeof what == 104, "hashed as it lies in memory, without padding");
    const tm_gpu_info *info = tm_gpu_get_info(engine->device->gpu);
    memcpy(what.device, info->cache_key, sizeof what.device);
    what.device_class = (uint32_t)info->gpu_class;
    bool one_output = view->role != TM_ROLE_CLASSIFIER || view->method || view->tail_dilation || !pack->affinity_layer;
    return (tm_view_key){.photo = context->photo_hash,
                         .view = hash_map(view, tm_hash64(&what, sizeof what, pack->hash)),
                         .score_count = tm_view_has_scores(view) ? (uint64_t)engine->class_count : 0,
                         .output_count = one_output ? 1 : 2};
}

static char *cache_path(const tm_views_context *context, const tm_view_key *key) {
    return tm_format("%s/%016llx-%016llx.view", context->cache_dir, (unsigned long long)key->photo,
                     (unsigned long long)key->view);
}

static size_t output_bytes(const tm_tensor *tensor) {
    return tm_layout_bytes(&tensor->shape, tensor->layout);
}

uint8_t *tm_view_cache_encode(const tm_view_key *key, const tm_tensor *outputs, size_t *start, size_t *size) {
    cache_header header = {.key = *key};
    memcpy(header.magic, cache_magic, sizeof cache_magic);
    *start = sizeof header;
    *size = sizeof header + key->score_count * 4;
    for (size_t i = 0; i < key->output_count; i++) {
        header.outputs[i].layout = (int32_t)outputs[i].layout;
        header.outputs[i].rank = outputs[i].shape.rank;
        memcpy(header.outputs[i].dim, outputs[i].shape.dim, sizeof outputs[i].shape.dim);
        *size += output_bytes(&outputs[i]);
    }
    uint8_t *file = tm_calloc(*size, 1);
    if (file) memcpy(file, &header, sizeof header);
    return file;
}

void tm_view_cache_seal(uint8_t *file, size_t size) {
    if (size < sizeof(cache_header)) return;
    uint64_t checksum = tm_hash64(file + CHECKED_FROM, size - CHECKED_FROM, 0);
    memcpy(file + offsetof(cache_header, checksum), &checksum, sizeof checksum);
}

const uint8_t *tm_view_cache_decode(const tm_view_key *key, const uint8_t *file, size_t size, tm_tensor *outputs) {
    cache_header header;
    if (size < sizeof header) return NULL;
    memcpy(&header, file, sizeof header);
    if (memcmp(header.magic, cache_magic, sizeof cache_magic) || memcmp(&header.key, key, sizeof *key) ||
        header.checksum != tm_hash64(file + CHECKED_FROM, size - CHECKED_FROM, 0))
        return NULL;
    size_t total = sizeof header + key->score_count * 4;
    for (size_t i = 0; i < key->output_count; i++) {
        tm_tensor *tensor = &outputs[i];
        *tensor = (tm_tensor){TM_FLOAT32, (tm_layout)header.outputs[i].layout, {4, {0}}, {NULL, 0, 0}};
        if (header.outputs[i].rank != 4 || header.outputs[i].layout < 0 || header.outputs[i].layout > TM_C4)
            return NULL;
        size_t count = 1;
        for (int d = 0; d < 4; d++) {
            int64_t dim = tensor->shape.dim[d] = header.outputs[i].dim[d];
            if (dim < 1 || dim > (int64_t)CACHE_LIMIT || (count *= (size_t)dim) > CACHE_LIMIT / 16) return NULL;
        }
        total += output_bytes(tensor);
    }
    return total == size ? file + sizeof header : NULL;
}

static tagmask_status upload(const tm_views_context *context, const uint8_t *data, tm_view *view, size_t outputs,
                             tm_error *err) {
    tm_gpu *gpu = context->engine->device->gpu;
    tm_recorder *recorder = NULL;
    TM_TRY(tm_recorder_begin(gpu, &recorder, err));
    tagmask_status status = TAGMASK_OK;
    for (size_t i = 0; i < outputs && !status; i++) {
        tm_slice *slice = &view->outputs[i].slice;
        slice->size = output_bytes(&view->outputs[i]);
        status = tm_buffer_create(gpu, slice->size, TM_MEMORY_DEVICE, &slice->buffer, err);
        if (status) break;
        view->output_count++;
        status = tm_upload(recorder, *slice, data, err);
        data += slice->size;
    }
    if (status) {
        tm_recorder_abandon(recorder);
        return status;
    }
    return tm_recorder_finish(recorder, err);
}

// The scores and outputs of a file's content.
static bool take(const tm_views_context *context, const tm_view_key *key, const uint8_t *data, tm_view *view) {
    if (key->score_count) {
        view->scores = tm_calloc(key->score_count, sizeof *view->scores);
        if (!view->scores) return false;
        memcpy(view->scores, data, key->score_count * 4);
    }
    return upload(context, data + key->score_count * 4, view, key->output_count, NULL) == TAGMASK_OK;
}

bool tm_view_cache_load(const tm_views_context *context, tm_view *view) {
    tm_view_key key = make_key(context, view);
    char *path = cache_path(context, &key);
    uint8_t *file = NULL;
    const uint8_t *data = NULL;
    size_t size = 0;
    if (path && tm_file_exists(path) && !tm_read_file(path, CACHE_LIMIT, &file, &size, NULL)) {
        data = tm_view_cache_decode(&key, file, size, view->outputs);
        if (!data) tm_log(TAGMASK_LOG_INFO, "%s is damaged or of another version: it is made anew", path);
    }
    view->ready = data && take(context, &key, data, view);
    if (!view->ready) tm_view_clear(view);
    free(path);
    free(file);
    return view->ready;
}

static tagmask_status read_outputs(const tm_views_context *context, const tm_view *view, uint8_t *to, tm_error *err) {
    tm_recorder *recorder = NULL;
    TM_TRY(tm_recorder_begin(context->engine->device->gpu, &recorder, err));
    for (size_t i = 0; i < view->output_count; i++) {
        tagmask_status status = tm_readback(recorder, view->outputs[i].slice, to, err);
        to += view->outputs[i].slice.size;
        if (!status) continue;
        tm_recorder_abandon(recorder);
        return status;
    }
    return tm_recorder_finish(recorder, err);
}

tagmask_status tm_view_cache_store(const tm_views_context *context, const tm_view *view, tm_error *err) {
    tm_view_key key = make_key(context, view);
    size_t start, size;
    char *path = cache_path(context, &key);
    uint8_t *file = tm_view_cache_encode(&key, view->outputs, &start, &size);
    tagmask_status status = TAGMASK_OK;
    if (!path || !file) status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to cache network outputs");
    if (!status) status = tm_make_dirs(context->cache_dir, err);
    if (!status) {
        if (view->scores) memcpy(file + start, view->scores, key.score_count * 4);
        status = read_outputs(context, view, file + start + key.score_count * 4, err);
    }
    if (!status) {
        tm_view_cache_seal(file, size);
        status = tm_write_file(path, file, size, err);
    }
    free(path);
    free(file);
    return status;
}
