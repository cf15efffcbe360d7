#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "cli/propose.h"

#define MOST_TAGS 254

// ---- Its tags

// It is said when the photo is counted, and so not twice when that is tried again.
static tagmask_status leave_out(propose_photo *photo, const char *why, tm_error *err) {
    photo->complete = false;
    char *copy = tm_strdup(why);
    if (copy &&
        tm_grow((void **)&photo->unknown, &photo->unknown_capacity, photo->unknown_count + 1, sizeof *photo->unknown)) {
        photo->unknown[photo->unknown_count++] = copy;
        return TAGMASK_OK;
    }
    free(copy);
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of tags");
}

// Adds a tag by its canonical name, so that "cat" and "cats" are one; an unknown one is left out.
static tagmask_status add_tag(const propose_job *job, propose_photo *photo, const char *tag, tm_error *err) {
    tagmask_tag_info info = {.struct_size = sizeof info};
    tm_error unknown = TAGMASK_ERROR_INIT;
    if (tagmask_engine_resolve_tag(job->engine, tag, &info, &unknown) != TAGMASK_OK) {
        return leave_out(photo, unknown.message, err);
    }
    for (size_t i = 0; i < photo->tags.count; i++) {
        tagmask_tag_info other = {.struct_size = sizeof other};
        tagmask_status status = tagmask_engine_resolve_tag(job->engine, photo->tags.items[i], &other, err);
        if (status != TAGMASK_OK) return status;
        if (!strcmp(other.name, info.name)) return TAGMASK_OK;
    }
    // A copy: where it came from may hold the next photo's tags by the time this one is computed.
    char *copy = tm_strdup(tag);
    if (copy && cli_list_add(&photo->tags, copy)) return TAGMASK_OK;
    free(copy);
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of tags");
}

static tagmask_status add_given_tags(propose_job *job, propose_photo *photo, tm_error *err) {
    cli_list found = {0};
    for (size_t i = 0; i < job->options->tags.count; i++) {
        TM_TRY(add_tag(job, photo, job->options->tags.items[i], err));
    }
    if (!job->options->tags_from) return TAGMASK_OK;
    tagmask_status status = tag_source_find(job->source, photo->input->path, photo->input->name, &found, err);
    for (size_t i = 0; i < found.count && status == TAGMASK_OK; i++) {
        status = add_tag(job, photo, found.items[i], err);
    }
    free(found.items);
    return status;
}

static tagmask_status add_automatic_tags(propose_job *job, propose_photo *photo, tagmask_session *session,
                                         tm_error *err) {
    size_t wanted = TM_MIN(job->options->automatic, tagmask_engine_class_count(job->engine)), count = 0;
    const char *names[MOST_TAGS];
    float probabilities[MOST_TAGS];
    if (!wanted) return TAGMASK_OK;
    TM_TRY(tagmask_session_auto_tags(session, &job->options->params, wanted, names, probabilities, &count, err));
    for (size_t i = 0; i < count; i++) TM_TRY(add_tag(job, photo, names[i], err));
    return TAGMASK_OK;
}

static tagmask_status check_tags(const propose_job *job, const propose_photo *photo, tm_error *err) {
    if (!photo->tags.count && !photo->complete) {
        return tm_fail(err, TAGMASK_ERROR_UNKNOWN_TAG, "none of its tags is known");
    }
    if (!photo->tags.count) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "no tag for this photo in --tags-from %s",
                       job->options->tags_from ? job->options->tags_from : "");
    }
    if (photo->tags.count > MOST_TAGS) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%zu tags; expected at most %d", photo->tags.count, MOST_TAGS);
    }
    return TAGMASK_OK;
}

// ---- Its place in the journal

// What its labels depend on: those of an earlier run are good when nothing of it changed. Tags of --auto follow from
// the photo and the settings.
static bool describe(const propose_job *job, propose_photo *photo) {
    const cli_input *input = photo->input;
    const char *root = job->inputs.roots[input->root] + strlen(job->inputs.roots[0]);
    tm_file_info info = {0};
    while (tm_is_separator(*root)) root++;
    photo->target = tm_path_join(root, input->stem);
    photo->entry = (cli_journal_entry){.target = photo->target, .settings = job->settings};
    for (size_t i = 0; i < photo->tags.count; i++) {
        tagmask_tag_info tag = {.struct_size = sizeof tag};
        if (tagmask_engine_resolve_tag(job->engine, photo->tags.items[i], &tag, NULL) != TAGMASK_OK) return false;
        photo->entry.settings = tm_hash64(tag.name, strlen(tag.name) + 1, photo->entry.settings);
    }
    bool there = tm_file_stat(input->path, &info);
    photo->entry.size = info.size;
    photo->entry.changed = info.changed;
    return there && photo->target;
}

static tagmask_status settle(propose_job *job, propose_photo *photo, tm_error *err) {
    const char *tags[MOST_TAGS];
    size_t count = tagmask_result_tag_count(photo->result);
    for (size_t i = 0; i < count; i++) tags[i] = tagmask_result_tag(photo->result, i);
    photo->entry.tags = tags;
    photo->entry.tag_count = count;
    return propose_output_settle(&job->output, photo->input, &photo->entry, err);
}

// ---- What is said about it

static void report_empty_tag(propose_job *job, const propose_photo *photo, size_t tag) {
    const tagmask_result *result = photo->result;
    const float *probability = tagmask_result_probability(result, tag);
    size_t pixels = (size_t)tagmask_result_width(result) * tagmask_result_height(result);
    const char *note = tagmask_result_note(result, tag);
    const uint8_t *labels = tagmask_result_labels(result);
    float most = 0;
    bool refused = false;  // for its score: pixels that it could have are nobody's
    for (size_t i = 0; i < pixels; i++) {
        most = TM_MAX(most, probability[i]);
        refused |= probability[i] >= job->threshold && !labels[i];
    }
    char why[400] = "";
    int used = 0;
    if (most < job->threshold)
        used = snprintf(why, sizeof why, "nowhere more probable than %.2f, and --threshold is %.2f", (double)most,
                        (double)job->threshold);
    else if (!refused)
        used = snprintf(why, sizeof why, "wherever it reaches --threshold, another tag is more probable");
    if (*note) snprintf(why + used, sizeof why - (size_t)used, "%s%s", used ? "; " : "", note);
    cli_summary_empty(&job->summary, photo->input->path, tagmask_result_tag(result, tag), why);
}

static void print_photo(propose_job *job, const propose_photo *photo) {
    const tagmask_result *result = photo->result;
    double pixels = (double)tagmask_result_width(result) * tagmask_result_height(result);
    cli_print_begin();
    printf("%s -> %s/%s.* (", photo->input->path, job->inputs.roots[photo->input->root], photo->input->stem);
    for (size_t i = 0; i < job->output.formats.count; i++) printf("%s%s", i ? ", " : "", job->output.formats.items[i]);
    printf(")\n");
    for (size_t tag = 0; tag < tagmask_result_tag_count(result); tag++) {
        double area = 0, score = 0;
        size_t parts = 0;
        for (size_t i = 0; i < tagmask_result_region_count(result); i++) {
            tagmask_region region = {.struct_size = sizeof region};
            if (tagmask_result_region(result, i, &region) != TAGMASK_OK || region.tag != tag) continue;
            parts++;
            area += (double)region.area;
            score += (double)region.area * region.score;
        }
        const char *note = tagmask_result_note(result, tag);
        printf("  %s: %zu part%s, %.1f %% of the photo, score %.2f%s%s\n", tagmask_result_tag(result, tag), parts,
               parts == 1 ? "" : "s", 100 * area / TM_MAX(pixels, 1.0), area > 0 ? score / area : 0.0,
               *note ? "; " : "", note);
        if (!parts) report_empty_tag(job, photo, tag);
    }
    fflush(stdout);
    cli_print_end();
}

// ---- The photo, step by step

static tagmask_status take_given_tags(propose_job *job, propose_photo *photo, tm_error *err) {
    TM_TRY(add_given_tags(job, photo, err));
    if (!job->options->automatic) TM_TRY(check_tags(job, photo, err));
    photo->given = photo->tags.count;
    photo->given_unknown = photo->unknown_count;
    photo->described = describe(job, photo) && photo->complete;
    return TAGMASK_OK;
}

void propose_photo_begin(propose_job *job, const cli_input *input, propose_photo *photo) {
    *photo = (propose_photo){.job = job, .input = input, .complete = true, .start_ms = tm_now_ms()};
    photo->status = take_given_tags(job, photo, &photo->err);
    photo->skipped =
        photo->described && job->options->resume && propose_output_is_done(&job->output, photo->input, &photo->entry);
}

void propose_photo_read(propose_photo *photo) {
    photo->read = true;
    photo->image.struct_size = sizeof photo->image;
    photo->status = tagmask_image_read(photo->input->path, &photo->image, &photo->err);
}

void propose_photo_unread(propose_photo *photo) {
    tagmask_image_release(&photo->image);
    if (photo->status == TAGMASK_ERROR_MEMORY) photo->status = TAGMASK_OK;
    photo->read = false;
}

static tagmask_status propose_masks(propose_job *job, propose_photo *photo, tm_error *err) {
    tagmask_session *session = NULL;
    tagmask_params params = job->options->params;
    params.keep_maps = job->keep_maps;
    TM_TRY(tagmask_session_create(job->engine, &photo->image, &session, err));
    tagmask_status status = add_automatic_tags(job, photo, session, err);
    if (status == TAGMASK_OK) status = check_tags(job, photo, err);
    if (status == TAGMASK_OK) {
        status = tagmask_propose(session, photo->tags.items, photo->tags.count, &params, &photo->result, err);
    }
    tagmask_session_free(session);
    return status;
}

// A driver that was reset works again once the device is opened anew; one that is lost twice will not last.
static tagmask_status rebuild_device(propose_job *job, tm_error *err) {
    const propose_options *options = job->options;
    job->rebuilt = true;
    tagmask_engine_free(job->engine);
    tagmask_device_close(job->device);
    return cli_open_engine(options->device, &options->packs, &job->device, &job->engine, err);
}

// Tags of --auto are found again.
static void drop_automatic_tags(propose_photo *photo) {
    while (photo->tags.count > photo->given) free((char *)photo->tags.items[--photo->tags.count]);
    while (photo->unknown_count > photo->given_unknown) free(photo->unknown[--photo->unknown_count]);
}

void propose_photo_compute(propose_job *job, propose_photo *photo) {
    drop_automatic_tags(photo);
    photo->status = propose_masks(job, photo, &photo->err);
    if (photo->status != TAGMASK_ERROR_DEVICE_LOST || job->rebuilt) return;
    cli_message("%s: %s", photo->input->path, photo->err.message);
    cli_message("%s: repeated with the device opened again", photo->input->path);
    drop_automatic_tags(photo);
    photo->status = rebuild_device(job, &photo->err);
    if (photo->status == TAGMASK_OK) photo->status = propose_masks(job, photo, &photo->err);
}

static tagmask_status write_labels(propose_job *job, propose_photo *photo, tm_error *err) {
    if (!photo->target) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of photos");
    TM_TRY(propose_output_write(&job->output, photo->input, photo->target, photo->result, &photo->image, err));
    print_photo(job, photo);
    return photo->described ? settle(job, photo, err) : TAGMASK_OK;
}

void propose_photo_write(propose_photo *photo) {
    photo->status = write_labels(photo->job, photo, &photo->err);
}

void propose_photo_end(propose_photo *photo) {
    tagmask_result_free(photo->result);
    tagmask_image_release(&photo->image);
    for (size_t i = 0; i < photo->unknown_count; i++) free(photo->unknown[i]);
    free(photo->unknown);
    for (size_t i = 0; i < photo->tags.count; i++) free((char *)photo->tags.items[i]);
    free(photo->tags.items);
    free(photo->target);
    *photo = (propose_photo){0};
}
