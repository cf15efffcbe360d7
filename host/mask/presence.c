#include "mask/presence.h"

#include <math.h>
#include <stdlib.h>

#include "mask/cam.h"
#include "ops/matmul.h"

// Places of a row of the matrices, so that rows can be read as vectors.
static uint32_t row_of(const tm_tensor *features) {
    return (uint32_t)tm_align_up((uint64_t)(features->shape.dim[2] * features->shape.dim[3]), 4);
}

// Rounds of a loop over places, or classes, that every driver makes (tm_check_rounds).
#define MOST_ROUNDS 65000u

bool tm_presence_fits(const tm_gpu_info *info, const tm_tensor *features, uint32_t classes) {
    uint64_t channels = (uint64_t)features->shape.dim[1], row = row_of(features);
    uint64_t largest = TM_MAX(TM_MAX(channels, classes) * row, channels * classes) * 4;
    return largest <= info->max_storage_range && largest / 4 < UINT32_MAX / 4 && row <= MOST_ROUNDS &&
           classes <= MOST_ROUNDS;
}

typedef struct recording {
    tm_work *work;
    tm_op_ctx ctx;  // what the shaders of networks are launched with
    const tm_tensor *features;
    uint32_t classes, channels, places, row;
} recording;

// rows x columns floats.
static tagmask_status matrix(const recording *r, uint32_t rows, uint32_t columns, tm_slice *slice, tm_error *err) {
    TM_TRY(tm_scratch_alloc(r->work->scratch, (uint64_t)rows * columns * 4, slice, err));
    slice->size = (uint64_t)rows * columns * 4;
    return TAGMASK_OK;
}

static tagmask_status record_rows(const recording *r, tm_slice *rows, tm_error *err) {
    *rows = r->features->slice;
    if (r->features->layout == TM_LINEAR && r->row == r->places) return TAGMASK_OK;
    TM_TRY(matrix(r, r->channels, r->row, rows, err));
    struct {
        uint32_t places, channels, row;
    } push = {r->places, r->channels, r->row};
    tm_map_call call = {.shader = "cam/presence_features",
                        .constants = {r->features->layout == TM_C4},
                        .constant_count = 1,
                        .bindings = {r->features->slice, *rows},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = (uint64_t)r->channels * r->row};
    return tm_map_dispatch(r->work, &call, err);
}

// weights of the classes times each column of `right`: alpha * product + added.
static tagmask_status multiply(recording *r, tm_slice weights, tm_slice right, bool vector, float alpha, tm_slice added,
                               tm_slice *out, tm_error *err) {
    tm_matmul push = {.m = r->classes,
                      .n = vector ? 1 : r->row,
                      .k = r->channels,
                      .batches = 1,
                      .a_row = r->channels,
                      .a_col = 1,
                      .b_row = vector ? 1 : r->row,
                      .b_col = vector ? r->channels : 1,
                      .d_row = 1,
                      .alpha = alpha,
                      .beta = 1};
    for (int d = 0; d < 6; d++) push.batch_dim[d] = 1;
    TM_TRY(matrix(r, r->classes, push.n, out, err));
    return tm_matmul_record(&r->ctx, r->work->recorder, &push, weights, right, added, *out, err);
}

// What a class's score has beside its weights: scores - weights . mean of the features.
static tagmask_status record_bias(recording *r, tm_slice weights, const float *scores, tm_slice *bias, tm_error *err) {
    tm_slice given;
    tm_map mean;
    TM_TRY(tm_feature_means(r->work, r->features, &mean, err));
    TM_TRY(matrix(r, r->classes, 1, &given, err));
    TM_TRY(tm_upload(r->work->recorder, given, scores, err));
    return multiply(r, weights, mean.slice, true, -1, given, bias, err);
}

// Over the classes, place by place.
static tagmask_status record_softmax(recording *r, tm_slice logits, tm_slice *shares, tm_error *err) {
    TM_TRY(matrix(r, r->classes, r->row, shares, err));
    struct {
        uint32_t count, axis, inner;
    } push = {r->row, r->classes, r->row};
    tm_launch launch = {.shader = "nn/softmax",
                        .constant_count = 1,
                        .bindings = {logits, *shares},
                        .binding_count = 2,
                        .push = &push,
                        .push_size = sizeof push,
                        .threads = push.count,
                        .rounds = 3 * ((uint64_t)push.axis / 8 + 1) + push.axis / 256 + 1,
                        .flops = 8.0 * push.count * push.axis};
    return tm_launch_threads(&r->ctx, r->work->recorder, &launch, err);
}

static tagmask_status record_peaks(const recording *r, tm_slice shares, tm_slice *peaks, tm_error *err) {
    struct {
        uint32_t width, height, row, classes;
    } push = {(uint32_t)r->features->shape.dim[3], (uint32_t)r->features->shape.dim[2], r->row, r->classes};
    TM_TRY(matrix(r, r->classes, 1, peaks, err));
    tm_map_call call = {.shader = "cam/presence_peak",
                        .bindings = {shares, *peaks},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = push.classes,
                        .flops_per_element = 6.0 * r->places};
    return tm_map_dispatch(r->work, &call, err);
}

tagmask_status tm_presence_record(tm_work *work, const tm_tensor *features, tm_slice weights, const float *scores,
                                  uint32_t classes, tm_slice *peaks, tm_error *err) {
    tm_node node = {.name = "presence", .op_type = "MatMul"};
    recording r = {.work = work,
                   .ctx = {.gpu = work->gpu, .node = &node},
                   .features = features,
                   .classes = classes,
                   .channels = (uint32_t)features->shape.dim[1],
                   .places = (uint32_t)(features->shape.dim[2] * features->shape.dim[3]),
                   .row = row_of(features)};
    tm_slice rows, bias, logits, shares;
    TM_TRY(record_rows(&r, &rows, err));
    TM_TRY(record_bias(&r, weights, scores, &bias, err));
    TM_TRY(multiply(&r, weights, rows, false, 1, bias, &logits, err));
    TM_TRY(record_softmax(&r, logits, &shares, err));
    return record_peaks(&r, shares, peaks, err);
}

// ---- Of a session's views

// The class weights that fit the view's features; NULL: they are not those before the pooling, or there are none.
static tm_buffer *weights_of(const tagmask_session *session, const tm_view *view) {
    const tagmask_engine *engine = session->engine;
    bool first = view->role == TM_ROLE_CLASSIFIER;
    tm_buffer *weights = first ? engine->class_weights : engine->second.class_weights;
    const tm_tensor *features = &view->outputs[0];
    bool fit = weights && !*view->layer &&
               features->shape.dim[1] == (first ? engine->channels : engine->second.channels) &&
               tm_presence_fits(tm_gpu_get_info(engine->device->gpu), features, (uint32_t)engine->class_count);
    return fit ? weights : NULL;
}

static tagmask_status look(tagmask_session *session, const tm_view *view, tm_buffer *weights, float *seen,
                           tm_error *err) {
    tm_work work;
    tm_slice peaks;
    TM_TRY(tm_work_begin(&work, session->engine->device->gpu, &session->scratch, err));
    tagmask_status status = tm_presence_record(&work, &view->outputs[0], tm_slice_all(weights), view->scores,
                                               (uint32_t)session->engine->class_count, &peaks, err);
    if (!status) status = tm_readback(work.recorder, peaks, seen, err);
    return tm_work_close(&work, status, err);
}

tagmask_status tm_session_look(tagmask_session *session, const tm_settings *settings, tm_error *err) {
    for (size_t v = 0; settings->score_limit > 0 && v < session->classifier_count; v++) {
        tm_view *view = session->parts[v].view;
        tm_buffer *weights = view->seen ? NULL : weights_of(session, view);
        if (!weights) continue;
        float *seen = tm_calloc((size_t)session->engine->class_count, sizeof *seen);
        if (!seen) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for what a view sees of the classes");
        tagmask_status status = look(session, view, weights, seen, err);
        if (status) {
            free(seen);
            return status;
        }
        view->seen = seen;
    }
    return TAGMASK_OK;
}

// How probable a tag's likeliest class is beside the photo's: 1 for the most probable class.
static float beside_the_likeliest(const tagmask_session *session, const tagmask_tag_info *info) {
    float best = -INFINITY, own = -INFINITY;
    for (size_t c = 0; c < (size_t)session->engine->class_count; c++) best = TM_MAX(best, session->scores[c]);
    for (size_t i = 0; i < info->class_count; i++) own = TM_MAX(own, session->scores[info->classes[i]]);
    return expf(own - best);
}

float tm_session_presence(const tagmask_session *session, const tagmask_tag_info *info) {
    const double least = 1e-30;  // of which there is a logarithm
    double sum = 0;
    if (!info->class_count) return 1;
    for (size_t v = 0; v < session->classifier_count; v++) {
        const float *seen = session->parts[v].view->seen;
        double most = least;
        if (!seen) return beside_the_likeliest(session, info);
        for (size_t i = 0; i < info->class_count; i++) most = TM_MAX(most, (double)seen[info->classes[i]]);
        sum += log(most);
    }
    // The largest of many shares is large by chance: a tag of many classes must show more.
    double presence = exp(sum / (double)session->classifier_count) / sqrt((double)info->class_count);
    return (float)TM_MIN(presence, 1.0);
}

bool tm_session_sees(const tagmask_session *session, const tm_settings *settings, const tagmask_tag_info *info) {
    return settings->score_limit <= 0 || tm_session_presence(session, info) >= settings->score_limit;
}
