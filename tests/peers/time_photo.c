// Times warm proposals with the views of the Python reference: the classifier at 288, 448 and 640 px with mirror
// images, saliency of the photo and its mirror image, fusion, CRF, probabilities at the photo's size. No preset has
// exactly these views, so the stages are called one by one. A new session for every run: nothing of the photo is kept.
//     time_photo PHOTO TAG RUNS
// Prints a line of ms a run; the first also creates pipelines.
#include <stdio.h>
#include <stdlib.h>

#include "base/platform.h"
#include "mask/session.h"

static tagmask_status run_stages(tagmask_session *session, const tm_settings *settings, const char *tag,
                                 tm_error *err) {
    tagmask_tag_info info = {.struct_size = sizeof info};
    TM_TRY(tagmask_engine_resolve_tag(session->engine, tag, &info, err));
    TM_TRY(tm_session_images(session, settings, err));
    TM_TRY(tm_session_views(session, settings, err));
    TM_TRY(tm_session_fuse(session, settings, &info, 1, err));
    TM_TRY(tm_session_crf(session, settings, 1, err));
    return tm_session_probability(session, settings, 1, err);
}

static tagmask_status time_runs(tagmask_engine *engine, const tagmask_image *photo, const char *tag, int runs,
                                tm_error *err) {
    const tagmask_params params = {.struct_size = sizeof params, .preset = "best"};
    tm_settings settings;
    TM_TRY(tm_settings_resolve(&params, &settings, err));
    settings.scale_count = 3;
    settings.scales[0] = 288;
    settings.scales[1] = 448;
    settings.scales[2] = 640;
    settings.crop_count = 0;
    settings.classifiers = 1;
    settings.affinity_from = TM_AFFINITY_CLASSIFIER;
    for (int i = 0; i < runs; i++) {
        tagmask_session *session = NULL;
        double start = tm_now_ms();
        TM_TRY(tagmask_session_create(engine, photo, &session, err));
        tagmask_status status = run_stages(session, &settings, tag, err);
        double ms = tm_now_ms() - start;
        tagmask_session_free(session);
        if (status != TAGMASK_OK) return status;
        printf("%.1f\n", ms);
        fflush(stdout);
    }
    return TAGMASK_OK;
}

int main(int argc, char **argv) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_image photo = {.struct_size = sizeof photo};
    if (argc != 4) {
        fprintf(stderr, "usage: time_photo PHOTO TAG RUNS\n");
        return 2;
    }
    tagmask_status status = tagmask_image_read(argv[1], &photo, &err);
    if (status == TAGMASK_OK) status = tagmask_device_open(NULL, &device, &err);
    if (status == TAGMASK_OK) status = tagmask_engine_create(device, NULL, NULL, &engine, &err);
    if (status == TAGMASK_OK) status = time_runs(engine, &photo, argv[2], atoi(argv[3]), &err);
    if (status != TAGMASK_OK) fprintf(stderr, "time_photo: %s\n", err.message);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    tagmask_image_release(&photo);
    return status != TAGMASK_OK;
}
