#include "cli/eval_photo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"

#define MOST_TAGS 254

// What is needed while one photo is worked on.
typedef struct photo_work {
    const eval_engine *engine;
    const eval_photo *photo;
    tagmask_image image, mask;
    tagmask_session *session;
    tagmask_result *saliency, *together;
    float *box, *stage;  // a baseline, and a stage's map at the photo's size
    uint8_t *bytes;      // truth and valid
    // Of every class: place and probability of the first tag that --auto would give with it; NULL until needed.
    double *class_ranks, *class_probabilities;
    eval_truth truth;
    double start_ms;
} photo_work;

static tagmask_status read_pictures(photo_work *work, tm_error *err) {
    char *photo = tm_path_join(work->engine->data, work->photo->file);
    char *mask = tm_path_join(work->engine->data, work->photo->mask);
    tagmask_status status = photo && mask ? tagmask_image_read(photo, &work->image, err)
                                          : tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the next photo");
    if (status == TAGMASK_OK) status = tagmask_image_read(mask, &work->mask, err);
    bool same = work->image.width == work->mask.width && work->image.height == work->mask.height;
    if (status == TAGMASK_OK && !same) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: %u x %u pixels; expected the photo's %u x %u", mask,
                         work->mask.width, work->mask.height, work->image.width, work->image.height);
    }
    free(photo);
    free(mask);
    TM_TRY(status);
    size_t count = (size_t)work->image.width * work->image.height;
    work->bytes = tm_calloc(count, 2);
    work->box = tm_calloc(count, sizeof *work->box);
    work->stage = tm_calloc(count, sizeof *work->stage);
    if (!work->bytes || !work->box || !work->stage)
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", work->photo->file);
    work->truth = (eval_truth){work->image.width, work->image.height, work->bytes, work->bytes + count, true};
    eval_centre_box(work->image.width, work->image.height, work->box);
    return TAGMASK_OK;
}

// Positive are the pixels of `value`; with 0, every pixel of an object.
static void set_truth(photo_work *work, int value) {
    uint32_t width = work->mask.width;
    size_t stride = work->mask.stride ? work->mask.stride : (size_t)3 * width;
    work->truth.all_valid = true;
    for (uint32_t y = 0; y < work->mask.height; y++) {
        const uint8_t *row = work->mask.pixels + y * stride;
        for (uint32_t x = 0; x < width; x++) {
            uint8_t got = row[3 * x];  // gray: the three bytes are equal
            size_t at = (size_t)y * width + x;
            work->truth.valid[at] = got != EVAL_VOID;
            work->truth.truth[at] = got != EVAL_VOID && (value ? got == value : got > 0);
            work->truth.all_valid &= got != EVAL_VOID;
        }
    }
}

static tagmask_status propose(photo_work *work, const char *const *tags, size_t count, bool refine,
                              tagmask_result **result, tm_error *err) {
    tagmask_params params = work->engine->params;
    if (!refine) params.crf_iterations = -1;
    return tagmask_propose(work->session, tags, count, &params, result, err);
}

static tagmask_status score(photo_work *work, const float *probability, double threshold, eval_score *into,
                            tm_error *err) {
    if (eval_score_map(probability, threshold, &work->truth, into)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to score it", work->photo->file);
}

// ---- How sure a proposal is of its tag

static tagmask_status rank_classes(photo_work *work, tm_error *err) {
    tagmask_engine *engine = work->engine->engine;
    size_t classes = tagmask_engine_class_count(engine), count = 0;
    if (work->class_ranks) return TAGMASK_OK;
    work->class_ranks = tm_calloc(classes, sizeof *work->class_ranks);
    work->class_probabilities = tm_calloc(classes, sizeof *work->class_probabilities);
    const char **names = tm_calloc(classes, sizeof *names);
    float *probabilities = tm_calloc(classes, sizeof *probabilities);
    tagmask_status status = work->class_ranks && work->class_probabilities && names && probabilities
                                ? tagmask_session_auto_tags(work->session, &work->engine->params, classes, names,
                                                            probabilities, &count, err)
                                : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", work->photo->file);
    for (size_t i = 0; i < count; i++) {
        tagmask_tag_info info = {.struct_size = sizeof info};
        if (tagmask_engine_resolve_tag(engine, names[i], &info, NULL) != TAGMASK_OK) continue;
        for (size_t c = 0; c < info.class_count; c++) {
            size_t index = (size_t)info.classes[c];
            if (index >= classes || work->class_ranks[index] > 0) continue;
            work->class_ranks[index] = (double)(i + 1);
            work->class_probabilities[index] = probabilities[i];
        }
    }
    free(names);
    free(probabilities);
    return status;
}

// name: as it was proposed.
static tagmask_status score_tag(photo_work *work, const tagmask_result *result, size_t tag, const char *name,
                                eval_tag_score *into, tm_error *err) {
    tagmask_tag_info info = {.struct_size = sizeof info};
    double sum = 0, area = 0;
    for (size_t i = 0; i < tagmask_result_region_count(result); i++) {
        tagmask_region region = {.struct_size = sizeof region};
        if (tagmask_result_region(result, i, &region) != TAGMASK_OK || region.tag != tag) continue;
        sum += (double)region.score * (double)region.area;
        area += (double)region.area;
    }
    *into = (eval_tag_score){area > 0, area > 0 ? sum / area : 0, NAN, NAN};
    TM_TRY(rank_classes(work, err));
    TM_TRY(tagmask_engine_resolve_tag(work->engine->engine, name, &info, err));
    for (size_t c = 0; c < info.class_count; c++) {
        double rank = work->class_ranks[info.classes[c]];
        if (rank == 0 || rank >= into->class_rank) continue;
        into->class_rank = rank;
        into->class_probability = work->class_probabilities[info.classes[c]];
    }
    return TAGMASK_OK;
}

// ---- Rows

// The stage's map of a tag of the session's last proposal, brought to the photo's size; *applies: there is one.
static tagmask_status read_stage(photo_work *work, const char *stage, size_t tag, bool *applies, tm_error *err) {
    tagmask_tensor map = {.struct_size = sizeof map};
    tagmask_status status = tagmask_session_map(work->session, stage, tag, &map, err);
    *applies = status == TAGMASK_OK;
    if (status == TAGMASK_ERROR_UNSUPPORTED) return TAGMASK_OK;
    TM_TRY(status);
    eval_resize(map.data, (uint32_t)map.dims[1], (uint32_t)map.dims[0], work->image.width, work->image.height,
                work->stage);
    tagmask_tensor_release(&map);
    return TAGMASK_OK;
}

static tagmask_status score_stages(photo_work *work, size_t tag, size_t row, eval_row_record *record, tm_error *err) {
    const eval_page *page = work->engine->page;
    for (size_t m = EVAL_METHODS; m < eval_method_count(); m++) {
        const char *stage = eval_method_name(m);
        bool applies;
        TM_TRY(read_stage(work, stage, tag, &applies, err));
        if (!applies) continue;
        double threshold = eval_stage_threshold(stage, work->engine->threshold);
        TM_TRY(score(work, work->stage, threshold, &record->stages[m - EVAL_METHODS], err));
        if (!page) continue;
        TM_TRY(eval_page_map(page, work->photo->file, row, stage, work->image.width, work->image.height, work->stage,
                             err));
    }
    return TAGMASK_OK;
}

// Scores tag number `tag` of a result, its stages and the baselines, for a row. name: as it was proposed.
static tagmask_status score_row(photo_work *work, const tagmask_result *result, size_t tag, const char *name,
                                const eval_row *row, eval_record *into, tm_error *err) {
    const eval_page *page = work->engine->page;
    double threshold = work->engine->threshold;
    size_t number = into->row_count++;
    eval_row_record *record = &into->rows[number];
    set_truth(work, row->mask_value);
    record->mask_value = row->mask_value;
    record->area = row->area;
    record->object = tm_strdup(row->object);
    record->resolved = result != NULL;
    record->tag.class_rank = record->tag.class_probability = NAN;
    record->scores[EVAL_TAGMASK].known = true;  // nothing, where the name is no known tag
    if (!record->object || !eval_row_make_stages(record))
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", work->photo->file);
    if (result) {
        record->label_iou = eval_iou_label(tagmask_result_labels(result), (uint8_t)(tag + 1), &work->truth);
        const float *probability = tagmask_result_probability(result, tag);
        TM_TRY(score(work, probability, threshold, &record->scores[EVAL_TAGMASK], err));
        TM_TRY(score_stages(work, tag, number, record, err));
        TM_TRY(score_tag(work, result, tag, name, &record->tag, err));
        if (page) {
            TM_TRY(eval_page_proposal(page, work->photo->file, number, &work->image, probability, threshold, err));
        }
    }
    if (page) TM_TRY(eval_page_truth(page, work->photo->file, number, &work->truth, err));
    const float *saliency = tagmask_result_probability(work->saliency, 0);
    if (saliency) TM_TRY(score(work, saliency, threshold, &record->scores[EVAL_SALIENCY_ALONE], err));
    return score(work, work->box, threshold, &record->scores[EVAL_CENTRE_BOX], err);
}

static tagmask_status run_one_tag(photo_work *work, eval_record *record, tm_error *err) {
    for (size_t i = 0; i < work->photo->row_count; i++) {
        const eval_row *row = &work->photo->rows[i];
        if (!row->scored) continue;
        const char *tags[] = {row->index_tag};
        tagmask_result *result = NULL;
        tagmask_status status = propose(work, tags, 1, true, &result, err);
        if (!record->row_count) record->ms = tm_now_ms() - work->start_ms;
        if (status == TAGMASK_OK) status = score_row(work, result, 0, row->index_tag, row, record, err);
        tagmask_result_free(result);
        TM_TRY(status);
    }
    return TAGMASK_OK;
}

// The canonical name behind an object's name, or NULL. Names such as "hot_dog" come as the data set writes them.
static const char *canonical_name(const photo_work *work, const eval_row *row) {
    tagmask_tag_info info = {.struct_size = sizeof info};
    tagmask_status status = tagmask_engine_resolve_tag(work->engine->engine, row->object, &info, NULL);
    return status == TAGMASK_OK ? info.name : NULL;
}

static size_t find_name(const char *const *names, size_t count, const char *name) {
    size_t at = 0;
    while (at < count && strcmp(names[at], name)) at++;
    return at;
}

static tagmask_status run_together(photo_work *work, eval_record *record, tm_error *err) {
    const char *names[MOST_TAGS];
    size_t count = 0;
    for (size_t i = 0; i < work->photo->row_count; i++) {
        const eval_row *row = &work->photo->rows[i];
        const char *name = row->index_tag || work->engine->all_objects ? canonical_name(work, row) : NULL;
        bool is_new = name && count < MOST_TAGS && find_name(names, count, name) == count;
        if (is_new) names[count++] = name;
    }
    if (count) TM_TRY(propose(work, names, count, true, &work->together, err));
    record->ms = tm_now_ms() - work->start_ms;
    for (size_t i = 0; i < work->photo->row_count; i++) {
        const eval_row *row = &work->photo->rows[i];
        if (!row->scored) continue;
        const char *name = canonical_name(work, row);
        size_t tag = name ? find_name(names, count, name) : count;
        const tagmask_result *result = tag < count ? work->together : NULL;
        TM_TRY(score_row(work, result, tag, name, row, record, err));
    }
    return TAGMASK_OK;
}

// Comes last: it takes the place of the proposal whose stages are scored.
static tagmask_status run_absent(photo_work *work, eval_record *record, tm_error *err) {
    size_t wanted = work->engine->absent;
    const char **tags = tm_calloc(wanted, sizeof *tags);
    record->absent = tm_calloc(wanted, sizeof *record->absent);
    size_t count =
        tags && record->absent ? eval_data_absent(work->engine->tables, work->photo, wanted, tags) : SIZE_MAX;
    tagmask_status status =
        count == SIZE_MAX ? tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", work->photo->file) : TAGMASK_OK;
    for (size_t i = 0; status == TAGMASK_OK && i < count; i++) {
        eval_absent_record *absent = &record->absent[record->absent_count++];
        tagmask_result *result = NULL;
        absent->tag = tm_strdup(tags[i]);
        status = absent->tag ? propose(work, &tags[i], 1, true, &result, err)
                             : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", work->photo->file);
        if (status == TAGMASK_OK) status = score_tag(work, result, 0, tags[i], &absent->score, err);
        tagmask_result_free(result);
    }
    free(tags);
    return status;
}

static tagmask_status run_work(photo_work *work, eval_record *record, tm_error *err) {
    static const char *const no_class[] = {"#"};
    const eval_photo *photo = work->photo;
    TM_TRY(read_pictures(work, err));
    work->start_ms = tm_now_ms();
    TM_TRY(tagmask_session_create(work->engine->engine, &work->image, &work->session, err));
    // The baseline counts in the photo's time: the tags need its network's output too.
    // Without a saliency network there is none.
    tagmask_status status = propose(work, no_class, 1, false, &work->saliency, err);
    if (status != TAGMASK_ERROR_UNSUPPORTED) TM_TRY(status);
    if (photo->scored_count) {
        TM_TRY(work->engine->way == 1 ? run_one_tag(work, record, err) : run_together(work, record, err));
        if (work->engine->page) TM_TRY(eval_page_photo(work->engine->page, photo->file, &work->image, err));
        if (work->engine->absent) TM_TRY(run_absent(work, record, err));
    }
    if (photo->saliency_scored && work->saliency) {
        set_truth(work, 0);
        eval_saliency_map(tagmask_result_probability(work->saliency, 0), &work->truth, &record->saliency);
        record->has_saliency = true;
    }
    return TAGMASK_OK;
}

tagmask_status eval_run_photo(const eval_engine *engine, const eval_photo *photo, eval_record *record, tm_error *err) {
    photo_work work = {.engine = engine, .photo = photo};
    work.image.struct_size = sizeof work.image;
    work.mask.struct_size = sizeof work.mask;
    *record = (eval_record){.file = tm_strdup(photo->file), .set = tm_strdup(photo->set), .salient = photo->salient};
    record->rows = tm_calloc(photo->scored_count, sizeof *record->rows);
    tagmask_status status = record->file && record->set && record->rows
                                ? run_work(&work, record, err)
                                : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory", photo->file);
    tagmask_result_free(work.together);
    tagmask_result_free(work.saliency);
    tagmask_session_free(work.session);
    tagmask_image_release(&work.image);
    tagmask_image_release(&work.mask);
    free(work.box);
    free(work.stage);
    free(work.class_ranks);
    free(work.class_probabilities);
    free(work.bytes);
    if (status != TAGMASK_OK) eval_record_free(record);
    return status;
}
