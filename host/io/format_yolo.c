// YOLO segmentation (https://docs.ultralytics.com/datasets/segment/): NAME.txt with a line "class x1 y1 x2 y2 ..." a
// part, coordinates in shares of width and height, and one classes.txt in the main folder with a name a line. The lines
// have no room for a mark, so .tagmask-yolo lists the hashes of what was written: another NAME.txt, or one that is not
// as it was written last, is not overwritten.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "io/formats.h"
#include "io/keyhole.h"
#include "io/watched.h"

#define MAX_FILE_BYTES ((size_t)256 << 20)

// A line of the record: "? NAME CONTENT" before a file is written, so that a batch that is killed in between can go on,
// and "= NAME CONTENT" afterwards; both hashes in 16 digits. Only what was written last counts: what a person put back
// or emptied may have been ours once. Lines of CONTENT alone are those of earlier versions.
typedef struct entry {
    uint64_t name, content;
    char kind;  // '?', '=', or 0 in earlier versions' lines
} entry;
enum { LINE = 2 + 16 + 1 + 16, EARLIER_LINE = 16 };

typedef struct yolo {
    char *classes_path, *record_path;
    tm_watched classes_file;
    char **classes;
    size_t class_count, class_capacity;
    entry *entries;
    size_t entry_count, entry_capacity;
    bool open_line;  // the record ends inside a line, since a write was cut short
} yolo;

static void free_yolo(yolo *y) {
    if (!y) return;
    for (size_t i = 0; i < y->class_count; i++) free(y->classes[i]);
    free(y->classes);
    free(y->entries);
    free(y->classes_path);
    free(y->record_path);
    free(y);
}

static bool add_class(yolo *y, const char *name, size_t length) {
    if (!tm_grow((void **)&y->classes, &y->class_capacity, y->class_count + 1, sizeof *y->classes)) return false;
    char *copy = tm_format("%.*s", (int)length, name);
    if (copy) y->classes[y->class_count++] = copy;
    return copy;
}

static bool add_entry(yolo *y, entry added) {
    if (!tm_grow((void **)&y->entries, &y->entry_capacity, y->entry_count + 1, sizeof *y->entries)) return false;
    y->entries[y->entry_count++] = added;
    return true;
}

// A line that was cut short, or is none of ours, is passed over.
static bool read_entry(yolo *y, const char *line, size_t length) {
    if (length == EARLIER_LINE) return add_entry(y, (entry){.content = strtoull(line, NULL, 16)});
    if (length != LINE || (*line != '?' && *line != '=')) return true;
    return add_entry(y, (entry){strtoull(line + 2, NULL, 16), strtoull(line + 2 + 16, NULL, 16), *line});
}

// The line at *at without its end; false after the last.
static bool next_line(const char **at, const char **line, size_t *length) {
    if (!**at) return false;
    const char *end = strchr(*at, '\n');
    *line = *at;
    *length = end ? (size_t)(end - *at) : strlen(*at);
    *at += *length + (end != NULL);
    if (*length && (*line)[*length - 1] == '\r') --*length;
    return true;
}

static tagmask_status read_lines(yolo *y, const char *path, bool classes, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0, length;
    bool ok = true;
    if (!tm_file_exists(path)) return TAGMASK_OK;
    TM_TRY(tm_read_file(path, MAX_FILE_BYTES, &bytes, &size, err));
    const char *at = (const char *)bytes, *line;
    if (size >= 3 && !memcmp(at, "\xef\xbb\xbf", 3)) at += 3;  // a byte order mark
    if (!classes) y->open_line = size && bytes[size - 1] != '\n';
    while (ok && next_line(&at, &line, &length)) {
        ok = classes ? add_class(y, line, length) : read_entry(y, line, length);
    }
    free(bytes);
    return ok ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to read it", path);
}

static tagmask_status begin(const char *out, void **state, tm_error *err) {
    yolo *y = tm_calloc(1, sizeof *y);
    tagmask_status status = TAGMASK_ERROR_MEMORY;
    if (y) y->classes_path = tm_path_join(out, "classes.txt");
    if (y) y->record_path = tm_path_join(out, ".tagmask-yolo");
    if (!y || !y->classes_path || !y->record_path) {
        tm_fail(err, status, "%s: no memory to write labels", out);
    } else {
        tm_watch(&y->classes_file, y->classes_path);
        status = read_lines(y, y->classes_path, true, err);
    }
    if (status == TAGMASK_OK) status = read_lines(y, y->record_path, false, err);
    if (status == TAGMASK_OK && y->entry_count && !y->classes_file.there) {
        status = tm_fail(err, TAGMASK_ERROR_FILE,
                         "%s: is gone, but label files hold numbers of its lines; put it back, or delete those files "
                         "and %s to start anew",
                         y->classes_path, y->record_path);
    }
    if (status != TAGMASK_OK) {
        free_yolo(y);
        return status;
    }
    *state = y;
    return TAGMASK_OK;
}

static tagmask_status end(void *state, tm_error *err) {
    (void)err;
    free_yolo(state);
    return TAGMASK_OK;
}

static tagmask_status add_classes(yolo *y, const tagmask_result *r, size_t numbers[256], tm_error *err) {
    for (size_t tag = 0; tag < r->tag_count; tag++) {
        size_t i = 0;
        while (i < y->class_count && strcmp(y->classes[i], r->tags[tag])) i++;
        numbers[tag] = i;
        if (i < y->class_count) continue;
        if (strchr(r->tags[tag], '\n') || !add_class(y, r->tags[tag], strlen(r->tags[tag]))) {
            return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: \"%s\" cannot be added as a class", y->classes_path,
                           r->tags[tag]);
        }
    }
    return TAGMASK_OK;
}

// The numbers of the result's tags; a new class is written before a file uses it. Without any class the list is
// written, too: it is missed once there are label files.
static tagmask_status number_classes(yolo *y, const tagmask_result *r, size_t numbers[256], tm_error *err) {
    size_t written = y->class_count;
    tm_text text = {0};
    tagmask_status status = add_classes(y, r, numbers, err);
    for (size_t i = 0; i < y->class_count; i++) tm_text_add(&text, "%s\n", y->classes[i]);
    if (status == TAGMASK_OK && (y->class_count > written || !y->classes_file.there)) {
        status = tm_watched_write(&y->classes_file, &text, y->classes_path, err);
    }
    free(text.data);
    while (status != TAGMASK_OK && y->class_count > written) free(y->classes[--y->class_count]);
    return status;
}

static void add_part(tm_text *text, const tagmask_result *r, const tagmask_region *region, size_t number) {
    float *points = NULL;
    size_t count = 0;
    if (!tm_keyhole(region, &points, &count)) {
        text->failed = true;
        return;
    }
    tm_text_add(text, "%zu", number);
    for (size_t i = 0; i < count; i++) {
        tm_text_add(text, " ");
        tm_text_number(text, (double)points[2 * i] / r->width);
        tm_text_add(text, " ");
        tm_text_number(text, (double)points[2 * i + 1] / r->height);
    }
    tm_text_add(text, "\n");
    free(points);
}

// Of the file's path below the main folder.
static uint64_t name_hash(const tm_label_job *job, const char *path) {
    const char *file = tm_file_name(path);
    size_t folder = (size_t)(tm_file_name(job->name) - job->name);
    return tm_hash64(file, strlen(file), tm_hash64(job->name, folder, 1));
}

// The file's newest entry before the one at `end`; NULL: none.
static const entry *newest(const yolo *y, uint64_t name, size_t end) {
    while (end-- > 0) {
        if (y->entries[end].kind && y->entries[end].name == name) return &y->entries[end];
    }
    return NULL;
}

// Whether the content was written last, or was about to be written since then.
static bool is_newest(const yolo *y, uint64_t name, uint64_t content) {
    const entry *e = newest(y, name, y->entry_count);
    if (!e) {
        for (size_t i = 0; i < y->entry_count; i++) {
            if (!y->entries[i].kind && y->entries[i].content == content) return true;
        }
    }
    while (e && e->kind == '?' && e->content != content) e = newest(y, name, (size_t)(e - y->entries));
    return e && e->content == content;
}

static tagmask_status check_replaceable(const yolo *y, uint64_t name, const char *path, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (!tm_file_exists(path)) return TAGMASK_OK;
    TM_TRY(tm_read_file(path, MAX_FILE_BYTES, &bytes, &size, err));
    uint64_t content = tm_hash64(bytes, size, name);
    free(bytes);
    if (is_newest(y, name, content)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FILE,
                   "%s: exists and is not as tagmask wrote it; it is not overwritten; move it away or choose another "
                   "output folder",
                   path);
}

// Appended, because the record of many photos would otherwise be written as many times.
static tagmask_status record(yolo *y, entry added, tm_error *err) {
    FILE *file = tm_file_stream(y->record_path, 'a');
    bool ok = file && fprintf(file, "%s%c %016llx %016llx\n", y->open_line ? "\n" : "", added.kind,
                              (unsigned long long)added.name, (unsigned long long)added.content) > 0;
    if (file && fclose(file)) ok = false;
    y->open_line = !ok;
    if (!ok) return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written: %s", y->record_path, strerror(errno));
    return add_entry(y, added) ? TAGMASK_OK
                               : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for it", y->record_path);
}

static tagmask_status write_labels(yolo *y, uint64_t name, tm_text *text, const char *path, tm_watched *before,
                                   tm_error *err) {
    entry added = {name, tm_hash64(text->size ? text->data : "", text->size, name), '?'};
    const entry *last = newest(y, name, y->entry_count);
    bool known = last && last->kind == '=' && last->content == added.content;
    if (!known && !text->failed) TM_TRY(record(y, added, err));
    TM_TRY(tm_watched_write(before, text, path, err));
    added.kind = '=';
    return known ? TAGMASK_OK : record(y, added, err);
}

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    yolo *y = state;
    const tagmask_result *r = job->result;
    size_t numbers[256];
    char *path = NULL;
    tm_text text = {0};
    tm_watched before;
    TM_TRY(tm_label_path(job, NULL, tm_format_yolo.ending, &path, err));
    uint64_t name = name_hash(job, path);
    tm_watch(&before, path);
    tagmask_status status =
        strcmp(job->stem, "classes")
            ? check_replaceable(y, name, path, err)
            : tm_fail(err, TAGMASK_ERROR_FILE, "%s: is the list of classes; rename the photo to label it", path);
    if (status == TAGMASK_OK) status = number_classes(y, r, numbers, err);
    if (status != TAGMASK_OK) goto done;
    for (size_t i = 0; i < r->regions.count; i++) {
        add_part(&text, r, &r->regions.items[i], numbers[r->regions.items[i].tag]);
    }
    status = write_labels(y, name, &text, path, &before, err);
done:
    free(text.data);
    free(path);
    return status;
}

const tm_label_format tm_format_yolo = {
    .name = "yolo", .ending = ".txt", .begin = begin, .add = add, .end = end, .read = tm_read_yolo};
