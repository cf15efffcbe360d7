// Joint bilateral upsampling of probability maps in bands of rows. See upsample.h.
#include "mask/upsample.h"

#define COLUMNS 4  // pixels an invocation, as in fuse/upsample
#define ROWS 2
#define CHUNK 4         // labels an invocation at most
#define SIGMA 16.0f     // levels: colours that differ by more belong to different things
#define REST 1e-3f      // weight of samples of quite another colour, for pixels whose colour no sample has
#define MAX_REACH 2.0f  // samples on either side

typedef struct upsample_push {
    uint32_t width, rows, map_width, map_height, first_row, label;
    float scale[2], reach[2], falloff, rest;
} upsample_push;

static tagmask_status check(const tm_gpu_info *info, const tm_upsample *job, tm_error *err) {
    bool sizes = job->width && job->height && job->map_width && job->map_height && job->map_width <= job->width &&
                 job->map_height <= job->height && job->width <= 65535 && job->height <= 65535;
    if (!sizes || !job->labels || job->labels > 255) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "%u maps of %u x %u cannot be brought to %u x %u pixels: expected 1 to 255 maps, not larger "
                       "than the photo, sides 1 to 65535",
                       job->labels, job->map_width, job->map_height, job->width, job->height);
    }
    if (!job->rows || job->first_row >= job->height || job->rows > job->height - job->first_row) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "rows %u to %u are not in a photo of %u rows", job->first_row,
                       job->first_row + job->rows, job->height);
    }
    uint64_t samples = (uint64_t)job->map_width * job->map_height, out = (uint64_t)job->rows * job->width * 4;
    if (job->photo.size < out || job->guide.size < samples * 16 || job->maps.size < samples * 4 * job->labels ||
        job->out.size < out * job->labels) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "a buffer for bringing %u maps of %u x %u to %u rows of a photo of %u x %u is too small",
                       job->labels, job->map_width, job->map_height, job->rows, job->width, job->height);
    }
    if (out * job->labels > info->max_storage_range || samples * 4 * job->labels > info->max_storage_range ||
        samples * 16 > info->max_storage_range) {
        return tm_fail(
            err, TAGMASK_ERROR_ARGUMENT,
            "%u maps of %u x %u and a band of %u x %u pixels exceed the %llu bytes that %s binds: take fewer "
            "rows or maps at a time",
            job->labels, job->map_width, job->map_height, job->width, job->rows,
            (unsigned long long)info->max_storage_range, info->name);
    }
    return TAGMASK_OK;
}

uint32_t tm_upsample_band(const tm_gpu_info *info, uint32_t width, uint32_t height, uint32_t labels, uint64_t bytes) {
    uint64_t row = (uint64_t)TM_MAX(width, 1) * TM_MAX(labels, 1) * 4;
    uint64_t rows = TM_MIN(bytes, info->max_storage_range - info->buffer_alignment) / row;
    return (uint32_t)TM_CLAMP(rows, 1, TM_MAX(height, 1));
}

static float reach(float scale) {
    return TM_MIN(1 / scale, MAX_REACH);  // 1 where the sizes agree: then a pixel sees its own sample only
}

tagmask_status tm_upsample_run(tm_recorder *recorder, const tm_upsample *job, tm_error *err) {
    tm_gpu *gpu = tm_recorder_gpu(recorder);
    const tm_gpu_info *info = tm_gpu_get_info(gpu);
    TM_TRY(check(info, job, err));
    const uint64_t samples = (uint64_t)job->map_width * job->map_height, pixels = (uint64_t)job->rows * job->width;
    upsample_push push = {.width = job->width,
                          .rows = job->rows,
                          .map_width = job->map_width,
                          .map_height = job->map_height,
                          .first_row = job->first_row,
                          .falloff = -1.44269504f / (2 * SIGMA * SIGMA),
                          .rest = REST};
    push.scale[0] = (float)job->map_width / (float)job->width;
    push.scale[1] = (float)job->map_height / (float)job->height;
    push.reach[0] = reach(push.scale[0]);
    push.reach[1] = reach(push.scale[1]);
    const uint32_t local = info->gpu_class == TM_GPU_CLASS_GPU ? 64 : 16;
    const uint64_t tiles = (uint64_t)tm_div_up(job->width, COLUMNS) * tm_div_up(job->rows, ROWS);
    const uint64_t groups = (tiles + local - 1) / local;
    tm_dispatch_info dispatch = {.bindings = {{job->guide.buffer, job->guide.offset, samples * 16},
                                              {job->photo.buffer, job->photo.offset, pixels * 4},
                                              {job->maps.buffer, job->maps.offset, samples * 4 * job->labels},
                                              {job->out.buffer, job->out.offset, pixels * 4 * job->labels}},
                                 .push = &push,
                                 .push_size = sizeof push,
                                 .divisible = true,
                                 .label = "fuse/upsample"};
    const bool texels = tm_gpu_by_texels(info, dispatch.bindings[0], false);
    dispatch.groups[0] = (uint32_t)TM_MIN(groups, 32768);
    dispatch.groups[1] = (uint32_t)((groups + dispatch.groups[0] - 1) / dispatch.groups[0]);
    dispatch.groups[2] = 1;
    for (push.label = 0; push.label < job->labels;) {
        uint32_t constants[2] = {local, TM_MIN(job->labels - push.label, CHUNK)};
        TM_TRY(tm_pipeline_get(gpu, texels ? "fuse/upsample_texel" : "fuse/upsample", constants, 2, &dispatch.pipeline,
                               err));
        dispatch.flops = (double)pixels * 20 * (20 + 2.0 * constants[1]);
        TM_TRY(tm_dispatch(recorder, &dispatch, err));
        push.label += constants[1];
    }
    return TAGMASK_OK;
}
