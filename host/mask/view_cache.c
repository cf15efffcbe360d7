#include "mask/view_cache.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LIMIT ((size_t)1 << 30)
static const char cache_magic[8] = "tmview1";

// One file: header, tensors, scores. Native byte order: a cache does not travel between machines.
typedef struct cache_header {
    char magic[8];
    uint64_t checksum;  // of everything after the header
    uint64_t score_count;
    uint64_t output_count;
    struct {
        int32_t layout, rank;
        int64_t dim[TM_MAX_RANK];
    } outputs[TM_VIEW_OUTPUTS];
} cache_header;

static char *cache_path(const tm_views_context *context, const tm_view *view) {
    const tm_pack *pack = view->saliency ? &context->engine->saliency : &context->engine->classifier;
    struct {
        uint32_t width, height, mirror, device_class;
        tm_box box;
        uint8_t device[16];
    } key = {view->width, view->height, view->mirror, 0, view->box, {0}};
    const tm_gpu_info *info = tm_gpu_get_info(context->engine->device->gpu);
    memcpy(key.device, info->cache_key, sizeof key.device);
    key.device_class = (uint32_t)info->gpu_class;
    uint64_t hash = tm_hash64(&key, sizeof key, pack->hash);
    return tm_format("%s/%016llx-%016llx.view", context->cache_dir, (unsigned long long)context->photo_hash,
                     (unsigned long long)hash);
}

static size_t output_bytes(const tm_tensor *tensor) {
    return tm_layout_bytes(&tensor->shape, tensor->layout);
}

// Fills view->outputs (without buffers) from a header; false when the file does not fit.
static bool parse(const tm_views_context *context, const uint8_t *data, size_t size, tm_view *view) {
    cache_header header;
    if (size < sizeof header) return false;
    memcpy(&header, data, sizeof header);
    size_t expected = view->saliency ? 0 : (size_t)context->engine->class_count;
    size_t outputs = !view->saliency && context->engine->affinity_output != SIZE_MAX ? 2 : 1;
    if (memcmp(header.magic, cache_magic, sizeof cache_magic) || header.score_count != expected ||
        header.output_count != outputs || header.checksum != tm_hash64(data + sizeof header, size - sizeof header, 0))
        return false;
    size_t total = sizeof header + expected * 4;
    for (size_t i = 0; i < outputs; i++) {
        tm_tensor *tensor = &view->outputs[i];
        *tensor = (tm_tensor){TM_FLOAT32, (tm_layout)header.outputs[i].layout, {4, {0}}, {NULL, 0, 0}};
        size_t count;
        if (header.outputs[i].rank != 4 || header.outputs[i].layout < 0 || header.outputs[i].layout > TM_C4)
            return false;
        memcpy(tensor->shape.dim, header.outputs[i].dim, sizeof tensor->shape.dim);
        if (!tm_shape_count(&tensor->shape, &count) || count > CACHE_LIMIT / 16) return false;
        total += output_bytes(tensor);
    }
    return total == size;
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

bool tm_view_cache_load(const tm_views_context *context, tm_view *view) {
    char *path = cache_path(context, view);
    uint8_t *data = NULL;
    size_t size = 0;
    bool ok = path && tm_file_exists(path) && !tm_read_file(path, CACHE_LIMIT, &data, &size, NULL) &&
              parse(context, data, size, view);
    if (ok && !view->saliency) {
        size_t count = (size_t)context->engine->class_count;
        view->scores = tm_calloc(count, sizeof *view->scores);
        ok = view->scores != NULL;
        if (ok) memcpy(view->scores, data + sizeof(cache_header), count * 4);
    }
    if (ok) {
        size_t scores = view->saliency ? 0 : (size_t)context->engine->class_count * 4;
        size_t outputs = !view->saliency && context->engine->affinity_output != SIZE_MAX ? 2 : 1;
        ok = !upload(context, data + sizeof(cache_header) + scores, view, outputs, NULL);
    }
    if (!ok) tm_view_clear(view);
    view->ready = ok;
    free(path);
    free(data);
    return ok;
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
    cache_header header = {.score_count = view->saliency ? 0 : (uint64_t)context->engine->class_count,
                           .output_count = view->output_count};
    memcpy(header.magic, cache_magic, sizeof cache_magic);
    size_t size = sizeof header + header.score_count * 4;
    for (size_t i = 0; i < view->output_count; i++) {
        const tm_tensor *tensor = &view->outputs[i];
        header.outputs[i].layout = (int32_t)tensor->layout;
        header.outputs[i].rank = tensor->shape.rank;
        memcpy(header.outputs[i].dim, tensor->shape.dim, sizeof tensor->shape.dim);
        size += output_bytes(tensor);
    }
    char *path = cache_path(context, view);
    uint8_t *data = malloc(size);
    tagmask_status status = TAGMASK_OK;
    if (!path || !data) status = tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to cache network outputs");
    if (!status) status = tm_make_dirs(context->cache_dir, err);
    if (!status) {
        if (view->scores) memcpy(data + sizeof header, view->scores, header.score_count * 4);
        status = read_outputs(context, view, data + sizeof header + header.score_count * 4, err);
    }
    if (!status) {
        header.checksum = tm_hash64(data + sizeof header, size - sizeof header, 0);
        memcpy(data, &header, sizeof header);
        status = tm_write_file(path, data, size, err);
    }
    free(path);
    free(data);
    return status;
}
