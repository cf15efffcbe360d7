#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/platform.h"
#include "cli/propose.h"

// A file with many photos is rewritten whole: not more than about a ninth of the time goes into that.
#define FLUSH_SHARE 8

// Formats that keep all photos in one file.
static bool collects(const char *format) {
    return !strncmp(format, "coco", 4) || !strcmp(format, "cvat") || !strncmp(format, "label-studio", 12);
}

static void free_waiting(propose_output *output) {
    for (size_t i = 0; i < output->waiting_count; i++) {
        cli_journal_entry *entry = &output->waiting[i].entry;
        for (size_t t = 0; t < entry->tag_count; t++) free((char *)entry->tags[t]);
        free((void *)entry->tags);
        free((char *)entry->target);
    }
    output->waiting_count = 0;
}

static bool add_waiting(propose_output *output, const cli_input *input, const cli_journal_entry *entry) {
    if (!tm_grow((void **)&output->waiting, &output->waiting_capacity, output->waiting_count + 1,
                 sizeof *output->waiting)) {
        return false;
    }
    propose_waiting *waiting = &output->waiting[output->waiting_count++];
    cli_journal_entry *copy = &waiting->entry;
    char **tags = tm_calloc(entry->tag_count, sizeof *tags);
    bool ok = tags != NULL;
    waiting->path = input->path;
    *copy = *entry;
    copy->target = tm_strdup(entry->target);
    copy->tag_count = 0;
    copy->tags = (const char *const *)tags;
    for (size_t i = 0; ok && i < entry->tag_count; i++) {
        ok = (tags[i] = tm_strdup(entry->tags[i])) != NULL;
        copy->tag_count += ok;
    }
    return ok && copy->target;
}

// ---- Writers

// Remembers a failure; the one before it is said.
static void keep_failure(tagmask_status *worst, tm_error *err, const tm_error *one) {
    if (*worst != TAGMASK_OK) cli_message("%s", err->message);
    *worst = one->status;
    *err = *one;
}

static tagmask_status close_writers(propose_output *output, int place, tm_error *err) {
    tagmask_status worst = TAGMASK_OK;
    for (size_t i = 0; output->writers[place] && i < output->formats.count; i++) {
        tm_error one = TAGMASK_ERROR_INIT;
        if (tagmask_writer_close(output->writers[place][i], &one) != TAGMASK_OK) keep_failure(&worst, err, &one);
    }
    free(output->writers[place]);
    output->writers[place] = NULL;
    return worst;
}

static tagmask_status open_writers(propose_output *output, int place, size_t root, tm_error *err) {
    tagmask_writer **writers = tm_calloc(output->formats.count, sizeof *writers);
    tagmask_status status = TAGMASK_OK;
    if (!writers) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the formats");
    output->writers[place] = writers;
    for (size_t i = 0; i < output->formats.count && status == TAGMASK_OK; i++) {
        status = tagmask_writer_open(output->formats.items[i], output->inputs->roots[root], &writers[i], err);
    }
    tm_error closing = TAGMASK_ERROR_INIT;  // nothing waits, so nothing can fail
    if (status != TAGMASK_OK) close_writers(output, place, &closing);
    return status;
}

static tagmask_status write_waiting(propose_output *output, tm_error *err) {
    tagmask_status worst = TAGMASK_OK;
    for (size_t i = 0; i < 2 * output->formats.count; i++) {
        tagmask_writer **writers = output->writers[i % 2];
        tm_error one = TAGMASK_ERROR_INIT;
        if (!writers || !writers[i / 2] || tagmask_writer_flush(writers[i / 2], &one) == TAGMASK_OK) continue;
        keep_failure(&worst, err, &one);
    }
    for (size_t i = 0; worst == TAGMASK_OK && i < output->waiting_count && !output->journal_failed; i++) {
        worst = cli_journal_add(output->journal, &output->waiting[i].entry, err);
        output->journal_failed = worst != TAGMASK_OK;
    }
    return worst;
}

// counted: how many of those that wait were counted as done.
static void fail_waiting(propose_output *output, size_t counted, const char *why) {
    for (size_t i = 0; i < counted; i++) cli_summary_fail(output->summary, output->waiting[i].path, why);
    output->summary->done -= counted;
    output->summary->failed += counted;
    for (int place = 0; place < 2; place++) {
        tm_error again = TAGMASK_ERROR_INIT;  // was said
        close_writers(output, place, &again);
    }
}

static tagmask_status flush(propose_output *output, size_t counted, tm_error *err) {
    double start = tm_now_ms();
    tagmask_status status = write_waiting(output, err);
    if (status != TAGMASK_OK) fail_waiting(output, counted, err->message);
    free_waiting(output);
    output->flushed_ms = tm_now_ms();
    output->flush_cost_ms = output->flushed_ms - start;
    return status;
}

static tagmask_status writers_for(propose_output *output, const cli_input *input, tagmask_writer ***writers,
                                  tm_error *err) {
    int place = input->root != 0;
    if (place && output->writers[1] && output->root != input->root) {
        TM_TRY(flush(output, output->waiting_count, err));
        TM_TRY(close_writers(output, 1, err));
    }
    if (!output->writers[place]) {
        if (place) output->root = input->root;
        TM_TRY(open_writers(output, place, input->root, err));
    }
    *writers = output->writers[place];
    return TAGMASK_OK;
}

// ----

// What killed runs left in the folders of results.
static void clean(const cli_inputs *inputs) {
    char *last = NULL;
    for (size_t i = 0; i < inputs->root_count; i++) tm_remove_leftovers(inputs->roots[i]);
    for (size_t i = 0; i < inputs->count; i++) {
        const cli_input *input = &inputs->items[i];
        size_t length = (size_t)(tm_file_name(input->name) - input->name);
        char *below = length ? tm_format("%.*s", (int)length - 1, input->name) : NULL;
        char *folder = below ? tm_path_join(inputs->roots[input->root], below) : NULL;
        free(below);
        if (!folder || (last && !strcmp(last, folder))) {
            free(folder);
            continue;
        }
        tm_remove_leftovers(folder);
        free(last);
        last = folder;
    }
    free(last);
}

tagmask_status propose_output_open(propose_output *output, tm_error *err) {
    clean(output->inputs);
    return open_writers(output, 0, 0, err);
}

bool propose_output_is_done(propose_output *output, const cli_input *input, const cli_journal_entry *entry) {
    tagmask_writer **writers = NULL;
    tm_error err = TAGMASK_ERROR_INIT;  // will come again when the photo is done
    const cli_journal_entry *found = cli_journal_find(output->journal, entry);
    if (!found || writers_for(output, input, &writers, &err) != TAGMASK_OK) return false;
    for (size_t i = 0; i < output->formats.count; i++) {
        if (!tagmask_writer_has(writers[i], input->name, found->tags, found->tag_count)) return false;
    }
    return true;
}

// A labelme file in the main folder may have the name of the one that collects all photos, NAME.json of format NAME.
static tagmask_status check_name(const propose_output *output, const cli_input *input, tm_error *err) {
    const char *const *formats = (const char *const *)output->formats.items;
    for (size_t i = 0; i < output->formats.count; i++) {
        if (strncmp(formats[i], "labelme", 7)) continue;
        for (size_t k = 0; k < output->formats.count; k++) {
            if (!collects(formats[k]) || !strcmp(formats[k], "cvat") || strcasecmp(formats[k], input->stem)) continue;
            return tm_fail(err, TAGMASK_ERROR_FILE,
                           "%s/%s.json: is the file in which %s keeps all photos, and %s needs it for this one; rename "
                           "the photo, or write one of the formats to another folder",
                           output->inputs->roots[input->root], formats[k], formats[k], formats[i]);
        }
    }
    return TAGMASK_OK;
}

tagmask_status propose_output_write(propose_output *output, const cli_input *input, const char *target,
                                    const tagmask_result *result, const tagmask_image *photo, tm_error *err) {
    tagmask_status worst = TAGMASK_OK;
    tagmask_writer **writers = NULL;
    bool collecting = false;
    TM_TRY(check_name(output, input, err));
    TM_TRY(writers_for(output, input, &writers, err));
    TM_TRY(cli_journal_void(output->journal, target, err));
    for (size_t i = 0; i < output->formats.count; i++) {
        tm_error one = TAGMASK_ERROR_INIT;
        if (tagmask_writer_add_as(writers[i], result, input->path, input->name, photo, &one) == TAGMASK_OK) continue;
        keep_failure(&worst, err, &one);
        collecting |= collects(output->formats.items[i]);
    }
    // A file with many photos that cannot be written would fail all that follow, too.
    tm_error flushing = TAGMASK_ERROR_INIT;
    if (collecting) flush(output, output->waiting_count, &flushing);
    return worst;
}

tagmask_status propose_output_settle(propose_output *output, const cli_input *input, const cli_journal_entry *entry,
                                     tm_error *err) {
    if (!add_waiting(output, input, entry))
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of photos");
    bool due = tm_now_ms() - output->flushed_ms >= FLUSH_SHARE * output->flush_cost_ms;
    return due ? flush(output, output->waiting_count - 1, err) : TAGMASK_OK;
}

tagmask_status propose_output_close(propose_output *output, tm_error *err) {
    tagmask_status worst = flush(output, output->waiting_count, err);
    for (int place = 0; place < 2; place++) {
        tm_error one = TAGMASK_ERROR_INIT;
        if (close_writers(output, place, &one) != TAGMASK_OK) keep_failure(&worst, err, &one);
    }
    free(output->waiting);
    return worst;
}
