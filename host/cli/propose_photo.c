#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "cli/propose.h"

#define MOST_TAGS 254
#define LEAST_SPACE ((uint64_t)1 << 20)

// One photo on its way.
typedef struct propose_photo {
    const cli_input *input;
    tagmask_image image;
    tagmask_session *session;
    tagmask_result *result;
    cli_list tags;
    cli_journal_entry entry;  // its target is `target`
    char *target;
    bool complete;   // no tag had to be left out
    char **unknown;  // what is wrong with those that were
    size_t unknown_count, unknown_capacity;
} propose_photo;

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
    return cli_add_tag(&photo->tags, tag, err);
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

static tagmask_status add_automatic_tags(propose_job *job, propose_photo *photo, tm_error *err) {
    size_t wanted = TM_MIN(job->options->automatic, tagmask_engine_class_count(job->engine)), count = 0;
    const char *names[MOST_TAGS];
    float probabilities[MOST_TAGS];
    if (!wanted) return TAGMASK_OK;
    TM_TRY(tagmask_session_auto_tags(photo->session, &job->options->params, wanted, names, probabilities, &count, err));
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
    float most = 0;
    for (size_t i = 0; i < pixels; i++) most = TM_MAX(most, probability[i]);
    char why[400];
    int used = most < job->threshold
                   ? snprintf(why, sizeof why, "nowhere more probable than %.2f, and --threshold is %.2f", (double)most,
                              (double)job->threshold)
                   : snprintf(why, sizeof why, "wherever it reaches --threshold, another tag is more probable");
    if (*note) snprintf(why + used, sizeof why - (size_t)used, "; %s", note);
    cli_summary_empty(&job->summary, photo->input->path, tagmask_result_tag(result, tag), why);
}

static void print_photo(propose_job *job, const propose_photo *photo) {
    const tagmask_result *result = photo->result;
    double pixels = (double)tagmask_result_width(result) * tagmask_result_height(result);
    cli_progress_clear();
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
}

// ---- The photo

// *skipped: an earlier run did it.
static tagmask_status propose_masks(propose_job *job, propose_photo *photo, bool *skipped, tm_error *err) {
    TM_TRY(add_given_tags(job, photo, err));
    if (!job->options->automatic) TM_TRY(check_tags(job, photo, err));
    bool described = describe(job, photo) && photo->complete;
    *skipped = described && job->options->resume && propose_output_is_done(&job->output, photo->input, &photo->entry);
    if (*skipped) return TAGMASK_OK;
    photo->image.struct_size = sizeof photo->image;
    TM_TRY(tagmask_image_read(photo->input->path, &photo->image, err));
    TM_TRY(tagmask_session_create(job->engine, &photo->image, &photo->session, err));
    TM_TRY(add_automatic_tags(job, photo, err));
    TM_TRY(check_tags(job, photo, err));
    TM_TRY(tagmask_propose(photo->session, photo->tags.items, photo->tags.count, &job->options->params, &photo->result,
                           err));
    if (!photo->target) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of photos");
    TM_TRY(propose_output_write(&job->output, photo->input, photo->target, photo->result, &photo->image, err));
    print_photo(job, photo);
    return described ? settle(job, photo, err) : TAGMASK_OK;
}

static void free_photo(propose_photo *photo) {
    tagmask_result_free(photo->result);
    tagmask_session_free(photo->session);
    tagmask_image_release(&photo->image);
    for (size_t i = 0; i < photo->unknown_count; i++) free(photo->unknown[i]);
    free(photo->unknown);
    free(photo->tags.items);
    free(photo->target);
}

// A driver that was reset works again once the device is opened anew; one that is lost twice will not last.
static tagmask_status rebuild_device(propose_job *job, tm_error *err) {
    const propose_options *options = job->options;
    job->rebuilt = true;
    tagmask_engine_free(job->engine);
    tagmask_device_close(job->device);
    return cli_open_engine(options->device, options->model, options->saliency, &job->device, &job->engine, err);
}

// Why going on makes no sense; NULL: it does.
static const char *reason_to_stop(const propose_job *job, tagmask_status status) {
    if (status == TAGMASK_ERROR_ABORTED) return cli_stop_reason();
    if (!job->engine || status == TAGMASK_ERROR_DEVICE_LOST) return "the device was lost";
    bool full = status == TAGMASK_ERROR_FILE && tm_free_space(job->inputs.roots[0]) < LEAST_SPACE;
    return full ? "the disk of the output folder is full" : NULL;
}

bool propose_run_photo(propose_job *job, const cli_input *input) {
    propose_photo photo = {.input = input, .complete = true};
    tm_error err = TAGMASK_ERROR_INIT;
    bool skipped = false;
    double start = tm_now_ms();
    cli_progress_item(input->path);
    tagmask_status status = propose_masks(job, &photo, &skipped, &err);
    if (status == TAGMASK_ERROR_DEVICE_LOST && !job->rebuilt) {
        cli_message("%s: %s", input->path, err.message);
        cli_message("%s: repeated with the device opened again", input->path);
        free_photo(&photo);
        photo = (propose_photo){.input = input, .complete = true};
        status = rebuild_device(job, &err);
        if (status == TAGMASK_OK) status = propose_masks(job, &photo, &skipped, &err);
    }
    job->summary.stopped = reason_to_stop(job, status);
    if (skipped) {
        job->summary.skipped++;
    } else if (status != TAGMASK_ERROR_ABORTED) {
        bool failed = status != TAGMASK_OK || !photo.complete;
        for (size_t i = 0; i < photo.unknown_count; i++) {
            cli_summary_fail(&job->summary, input->path, photo.unknown[i]);
        }
        if (status != TAGMASK_OK) cli_summary_fail(&job->summary, input->path, err.message);
        job->summary.failed += failed;
        job->summary.done += !failed;
        job->summary.ms += tm_now_ms() - start;
    }
    if (!job->summary.stopped) job->summary.stopped = cli_stop_reason();
    free_photo(&photo);
    return !job->summary.stopped;
}
