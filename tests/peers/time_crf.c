// Times the dense CRF's fast path, set-up and inference, for tests/peers/time_crf.py.
//   time_crf PHOTO.npy UNARY.npy RUNS OUT.npy
// PHOTO.npy: float32 (height, width, 4), 0..255; UNARY.npy: float32 (labels, height, width). Prints the milliseconds of
// each run: everything that the image decides anew, then 5 iterations with 3/3 and 80/13/10, and the way back to the
// host; then the most device memory that was in use at once, in bytes, of which photo, energies and result are a part.
// TAGMASK_PROFILE=1 TAGMASK_LOG=info adds the device time by shader.
#include <stdio.h>
#include <stdlib.h>

#include "base/platform.h"
#include "gpu/gpu.h"
#include "io/npy.h"
#include "mask/crf.h"

typedef struct job {
    tm_gpu *gpu;
    tagmask_tensor photo, unary, out;
    uint32_t width, height, labels;
    tm_buffer *photo_buffer, *unary_buffer, *out_buffer;
} job;

static tagmask_status record(job *j, tm_crf *crf, tm_recorder *recorder, tm_error *err) {
    const tm_crf_params params = {3, 3, 80, 13, 10, 5, false};
    tm_slice photo = tm_slice_all(j->photo_buffer), unary = tm_slice_all(j->unary_buffer);
    tm_slice out = tm_slice_all(j->out_buffer);
    TM_TRY(tm_upload(recorder, photo, j->photo.data, err));
    TM_TRY(tm_upload(recorder, unary, j->unary.data, err));
    TM_TRY(tm_crf_set_image(crf, recorder, photo, err));
    TM_TRY(tm_crf_run(crf, recorder, &params, j->labels, unary, out, err));
    return tm_readback(recorder, out, j->out.data, err);
}

static tagmask_status run(job *j, tm_crf *crf, tm_error *err) {
    tm_recorder *recorder;
    TM_TRY(tm_recorder_begin(j->gpu, &recorder, err));
    tagmask_status status = record(j, crf, recorder, err);
    if (!status) return tm_recorder_finish(recorder, err);
    tm_recorder_abandon(recorder);
    return status;
}

static tagmask_status prepare(job *j, char **arguments, tm_error *err) {
    TM_TRY(tm_npy_read(arguments[1], &j->photo, err));
    TM_TRY(tm_npy_read(arguments[2], &j->unary, err));
    bool fits = j->photo.dtype == TAGMASK_FLOAT32 && j->unary.dtype == TAGMASK_FLOAT32 && j->photo.rank == 3 &&
                j->unary.rank == 3 && j->photo.dims[2] == 4 && j->photo.dims[0] == j->unary.dims[1] &&
                j->photo.dims[1] == j->unary.dims[2];
    if (!fits) return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s, %s: do not fit each other", arguments[1], arguments[2]);
    j->labels = (uint32_t)j->unary.dims[0];
    j->height = (uint32_t)j->unary.dims[1];
    j->width = (uint32_t)j->unary.dims[2];
    uint64_t pixels = (uint64_t)j->width * j->height, bytes = pixels * j->labels * 4;
    j->out = j->unary;
    j->out.data = malloc(bytes);
    if (!j->out.data) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory");
    TM_TRY(tm_gpu_open(NULL, &j->gpu, err));
    TM_TRY(tm_buffer_create(j->gpu, pixels * 16, TM_MEMORY_DEVICE, &j->photo_buffer, err));
    TM_TRY(tm_buffer_create(j->gpu, bytes, TM_MEMORY_DEVICE, &j->unary_buffer, err));
    return tm_buffer_create(j->gpu, bytes, TM_MEMORY_DEVICE, &j->out_buffer, err);
}

int main(int count, char **arguments) {
    tm_error err = TAGMASK_ERROR_INIT;
    job j = {.photo.struct_size = sizeof(tagmask_tensor), .unary.struct_size = sizeof(tagmask_tensor)};
    if (count != 5) return 2;
    tagmask_status status = prepare(&j, arguments, &err);
    tm_crf *crf = NULL;
    if (!status) status = tm_crf_create(j.gpu, j.width, j.height, &crf, &err);
    for (int i = 0; !status && i < atoi(arguments[3]); i++) {
        double start = tm_now_ms();
        status = run(&j, crf, &err);
        if (!status) printf("%.1f\n", tm_now_ms() - start);
    }
    if (!status) status = tm_npy_write(arguments[4], &j.out, &err);
    if (!status) printf("%llu\n", (unsigned long long)tm_gpu_get_stats(j.gpu).bytes_peak);
    tm_crf_destroy(crf);
    tm_buffer_destroy(j.photo_buffer);
    tm_buffer_destroy(j.unary_buffer);
    tm_buffer_destroy(j.out_buffer);
    if (j.gpu) tm_gpu_close(j.gpu);
    free(j.photo.data);
    free(j.unary.data);
    free(j.out.data);
    if (status) fprintf(stderr, "time_crf: %s\n", err.message);
    return status != TAGMASK_OK;
}
