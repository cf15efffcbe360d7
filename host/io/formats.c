#include "io/formats.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "io/npy.h"

// The order is that of tagmask_format_name.
static const tm_label_format *const formats[] = {
    &tm_format_labelme,        &tm_format_labelme_mask,
    &tm_format_coco,           &tm_format_coco_rle,
    &tm_format_coco_rle_crowd, &tm_format_voc,
    &tm_format_yolo,           &tm_format_cvat,
    &tm_format_label_studio,   &tm_format_label_studio_polygon,
    &tm_format_overlay,        &tm_format_prob,
    &tm_format_heatmap,        &tm_format_map,
    &tm_format_map_npy,
};

const tm_label_format *tm_label_format_at(size_t index) {
    return index < TM_ARRAY_LEN(formats) ? formats[index] : NULL;
}

const tm_label_format *tm_label_format_find(const char *name) {
    for (size_t i = 0; i < TM_ARRAY_LEN(formats); i++) {
        if (!strcmp(formats[i]->name, name)) return formats[i];
    }
    return NULL;
}

const char *tagmask_format_name(size_t index) {
    return index < TM_ARRAY_LEN(formats) ? formats[index]->name : NULL;
}

// ---- Paths ----------------------------------------------------------------------------------------------------------

static char *stem_of(const char *photo_path) {
    char *stem = tm_strdup(tm_file_name(photo_path));
    char *dot = stem ? strrchr(stem, '.') : NULL;
    if (dot && dot != stem) *dot = 0;
    return stem;
}

bool tm_same_file(const char *a, const char *b) {
    tm_file_info info_a, info_b;
    return tm_file_stat(a, &info_a) && tm_file_stat(b, &info_b) && info_a.device == info_b.device &&
           info_a.number == info_b.number;
}

size_t tm_name_fit(const char *stored, const char *photo_path) {
    const char *a = stored + strlen(stored), *b = photo_path + strlen(photo_path);
    size_t shared = 0;  // names; a whole one ends at a separator or at the start of both
    while (a > stored && b > photo_path && (a[-1] == b[-1] || (tm_is_separator(a[-1]) && tm_is_separator(b[-1])))) {
        shared += tm_is_separator(*--a);
        b--;
    }
    bool b_ends = b == photo_path || tm_is_separator(b[-1]), whole = a == stored && b_ends;
    shared += b_ends && (whole || (a > stored && tm_is_separator(a[-1]))) && !tm_is_separator(*a);
    return shared ? 2 * shared + whole : 0;
}

char *tm_label_file(const char *out, const char *stem, const char *tag, const char *ending) {
    char *name = tm_format("%s%s%s%s", stem, tag ? "." : "", tag ? tag : "", ending);
    for (char *at = name ? name + strlen(stem) : NULL; at && *at; at++) {
        if ((unsigned char)*at <= ' ' || strchr("/\\:*?\"<>|", *at)) *at = '_';
    }
    char *joined = name ? tm_path_join(out, name) : NULL;
    free(name);
    return joined;
}

tagmask_status tm_label_path(const tm_label_job *job, const char *tag, const char *ending, char **path, tm_error *err) {
    char *joined = tm_label_file(job->out, job->stem, tag, ending);
    if (!joined) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for a file name", job->photo_path);
    if (tm_same_file(joined, job->photo_path)) {
        tm_fail(err, TAGMASK_ERROR_FILE, "%s: is the photo itself and is not overwritten; choose another output folder",
                joined);
        free(joined);
        return TAGMASK_ERROR_FILE;
    }
    *path = joined;
    return TAGMASK_OK;
}

tagmask_status tm_label_planes(const tm_label_job *job, const char *ending, float *planes, uint32_t width,
                               uint32_t height, tm_error *err) {
    const tagmask_result *r = job->result;
    tagmask_status status = TAGMASK_OK;
    for (size_t tag = 0; tag < r->tag_count && status == TAGMASK_OK; tag++) {
        char *path = NULL;
        tagmask_tensor plane = {.struct_size = sizeof plane,
                                .dtype = TAGMASK_FLOAT32,
                                .rank = 2,
                                .dims = {height, width},
                                .data = planes + tag * width * height};
        TM_TRY(tm_label_path(job, r->tags[tag], ending, &path, err));
        status = tm_npy_write(path, &plane, err);
        free(path);
    }
    return status;
}

char *tm_path_from(const char *out, const char *photo_path) {
    char *from = tm_real_path(*out ? out : "."), *to = tm_real_path(photo_path), *path = NULL;
    if (!from || !to) {  // a photo that exists in memory only
        path = tm_strdup(photo_path);
        goto done;
    }
    size_t common = 0, ups = 0;  // common ends after the last '/' that both paths share
    for (size_t i = 0; from[i] == to[i] || (!from[i] && to[i] == '/'); i++) {
        if (to[i] == '/') common = i + 1;
        if (!from[i] || !to[i]) break;
    }
    if (!common) {  // on another drive
        path = tm_strdup(to);
        goto done;
    }
    const char *rest = common <= strlen(from) ? from + common : "";
    for (const char *at = rest; *at; at++) ups += *at == '/' || !at[1];
    path = tm_calloc(3 * ups + strlen(to + common) + 1, 1);
    for (size_t i = 0; path && i < ups; i++) memcpy(path + 3 * i, "../", 3);
    if (path) strcpy(path + 3 * ups, to + common);
done:
    free(from);
    free(to);
    return path;
}

// ---- Colours --------------------------------------------------------------------------------------------------------

void tm_voc_colours(uint8_t rgb[256 * 3]) {
    for (uint32_t i = 0; i < 256; i++) {
        for (uint32_t c = 0; c < 3; c++) {
            uint32_t value = 0;
            for (uint32_t bit = 0; 3 * bit + c < 8; bit++) value |= (i >> (3 * bit + c) & 1) << (7 - bit);
            rgb[3 * i + c] = (uint8_t)value;
        }
    }
}

void tm_label_colour(uint32_t label, uint8_t rgb[3]) {
    static const uint8_t okabe_ito[8][3] = {{230, 159, 0}, {86, 180, 233}, {0, 158, 115},   {240, 228, 66},
                                            {0, 114, 178}, {213, 94, 0},   {204, 121, 167}, {0, 0, 0}};
    uint8_t voc[256 * 3];
    if (label >= 1 && label <= 8) {
        memcpy(rgb, okabe_ito[label - 1], 3);
        return;
    }
    tm_voc_colours(voc);
    memcpy(rgb, voc + 3 * (label & 255), 3);
}

bool tm_label_flush_due(size_t pending, size_t total) {
    return 8 * pending >= total;
}

// ---- Writing --------------------------------------------------------------------------------------------------------

struct tagmask_writer {
    const tm_label_format *format;
    char *out;
    void *state;
    tm_lock *lock;  // of formats with state: what two writers read and write again would lose one's photos
};

static void free_writer(tagmask_writer *w) {
    if (!w) return;
    tm_lock_release(w->lock);
    free(w->out);
    free(w);
}

static tagmask_status begin(tagmask_writer *w, tm_error *err) {
    char *name = tm_format(".tagmask-%s.lock", w->format->name), *path = name ? tm_path_join(w->out, name) : NULL;
    tagmask_status status = path ? tm_lock_take(path, &w->lock, err)
                                 : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write labels", w->out);
    if (status == TAGMASK_OK && !w->lock) {
        status = tm_fail(err, TAGMASK_ERROR_FILE,
                         "%s: another writer of %s files is at work in this folder; wait until it is done or choose "
                         "another output folder",
                         w->out, w->format->name);
    }
    free(name);
    free(path);
    return status == TAGMASK_OK ? w->format->begin(w->out, &w->state, err) : status;
}

tagmask_status tagmask_writer_open(const char *format, const char *out, tagmask_writer **writer, tm_error *err) {
    if (!format || !out || !writer) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tagmask_writer_open: format, out and writer must not be NULL");
    }
    const tm_label_format *found = tm_label_format_find(format);
    if (!found) {
        char names[256] = "";
        for (size_t i = 0; i < TM_ARRAY_LEN(formats); i++) {
            strncat(names, i ? ", " : "", sizeof names - strlen(names) - 1);
            strncat(names, formats[i]->name, sizeof names - strlen(names) - 1);
        }
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "format \"%s\" is not known; expected one of %s", format, names);
    }
    TM_TRY(tm_make_dirs(*out ? out : ".", err));
    tagmask_writer *w = tm_calloc(1, sizeof *w);
    if (w) w->out = tm_strdup(*out ? out : ".");
    if (!w || !w->out) {
        free_writer(w);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write labels", out);
    }
    w->format = found;
    tagmask_status status = found->begin ? begin(w, err) : TAGMASK_OK;
    if (status != TAGMASK_OK) {
        free_writer(w);
        return status;
    }
    *writer = w;
    return TAGMASK_OK;
}

// A path below a folder: names with separators between, none of them "." or "..".
static bool is_relative_name(const char *name) {
    if (tm_path_root(name)) return false;
    for (const char *at = name;; at++) {
        size_t length = strcspn(at, TM_SEPARATORS);
        if (!length || (length <= 2 && !strncmp(at, "..", length))) return false;
        at += length;
        if (!*at) return true;
    }
}

static tagmask_status check_photo(const tm_label_format *format, const tm_label_job *job, tm_error *err) {
    const tagmask_image *photo = job->photo;
    if (photo && photo->struct_size < sizeof *photo) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: the photo's struct_size is not set", job->photo_path);
    }
    if (format->needs_photo && !photo) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: the format \"%s\" needs the photo's pixels", job->photo_path,
                       format->name);
    }
    if (photo && (photo->width != job->result->width || photo->height != job->result->height)) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: is %u x %u pixels, but its result is %u x %u", job->photo_path,
                       photo->width, photo->height, job->result->width, job->result->height);
    }
    // One such name would make the file unreadable for all other photos in it, too.
    if (format->holds_name && !tm_text_is_utf8(job->name)) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: the photo's name is not UTF-8, which the format \"%s\" holds names in; rename the photo",
                       job->photo_path, format->name);
    }
    if (is_relative_name(job->name)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: the name \"%s\" must be a path below a folder, such as a/1.jpg",
                   job->photo_path, job->name);
}

// With / between, so that a photo has one name on every system; malloc'ed, NULL: out of memory.
static char *plain_name(const char *name) {
    char *plain = tm_strdup(name);
    for (char *at = plain; at && *at; at++) {
        if (tm_is_separator(*at)) *at = '/';
    }
    return plain;
}

// The folder of the photo's own files; malloc'ed, NULL: out of memory.
static char *own_folder(const tagmask_writer *writer, const char *name) {
    const char *slash = strrchr(name, '/');
    char *below = slash ? tm_format("%.*s", (int)(slash - name), name) : NULL;
    char *folder = below ? tm_path_join(writer->out, below) : slash ? NULL : tm_strdup(writer->out);
    free(below);
    return folder;
}

tagmask_status tagmask_writer_add(tagmask_writer *writer, const tagmask_result *result, const char *photo_path,
                                  const tagmask_image *photo, tm_error *err) {
    if (!photo_path) return tagmask_writer_add_as(writer, result, NULL, NULL, photo, err);
    if (*tm_file_name(photo_path)) {
        return tagmask_writer_add_as(writer, result, photo_path, tm_file_name(photo_path), photo, err);
    }
    return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "\"%s\": expected a photo's path that ends in a file name", photo_path);
}

tagmask_status tagmask_writer_add_as(tagmask_writer *writer, const tagmask_result *result, const char *photo_path,
                                     const char *name, const tagmask_image *photo, tm_error *err) {
    if (!writer || !result || !photo_path || !name) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "tagmask_writer_add: writer, result, photo_path and name must not be NULL");
    }
    tm_label_job job = {.result = result, .photo_path = photo_path, .name = name, .photo = photo};
    TM_TRY(check_photo(writer->format, &job, err));
    char *plain = plain_name(name), *stem = stem_of(name), *folder = plain ? own_folder(writer, plain) : NULL;
    tagmask_status status = stem && folder ? TAGMASK_OK : TAGMASK_ERROR_MEMORY;
    if (status != TAGMASK_OK) tm_fail(err, status, "%s: no memory to write its labels", photo_path);
    if (status == TAGMASK_OK && strcmp(folder, writer->out)) status = tm_make_dirs(folder, err);
    job.name = plain;
    job.out = folder;
    job.stem = stem;
    if (status == TAGMASK_OK) status = writer->format->add(writer->state, &job, err);
    free(folder);
    free(stem);
    free(plain);
    return status;
}

tagmask_status tagmask_writer_flush(tagmask_writer *writer, tm_error *err) {
    if (!writer) return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "tagmask_writer_flush: writer must not be NULL");
    return writer->format->flush ? writer->format->flush(writer->state, err) : TAGMASK_OK;
}

bool tagmask_writer_has(const tagmask_writer *writer, const char *name, const char *const *tags, size_t tag_count) {
    if (!writer || !name || !is_relative_name(name)) return false;
    const tm_label_format *format = writer->format;
    char *plain = plain_name(name), *stem = stem_of(name), *folder = plain ? own_folder(writer, plain) : NULL;
    bool there = stem && folder && (!format->each_tag || (tags && tag_count));
    if (there && format->has) there = format->has(writer->state, plain);
    for (size_t i = 0; there && !format->has && i < (format->each_tag ? tag_count : 1); i++) {
        char *path = tm_label_file(folder, stem, format->each_tag ? tags[i] : NULL, format->ending);
        there = path && tm_file_exists(path);
        free(path);
    }
    free(folder);
    free(stem);
    free(plain);
    return there;
}

tagmask_status tagmask_writer_close(tagmask_writer *writer, tm_error *err) {
    if (!writer) return TAGMASK_OK;
    tagmask_status status = writer->format->end ? writer->format->end(writer->state, err) : TAGMASK_OK;
    free_writer(writer);
    return status;
}

tagmask_status tagmask_result_write(const tagmask_result *result, const char *format, const char *photo_path,
                                    const tagmask_image *photo, const char *out, tagmask_error *error) {
    if (!result || !format || !photo_path || !out) {
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT,
                       "tagmask_result_write: result, format, photo_path and out must not be NULL");
    }
    tagmask_writer *writer = NULL;
    TM_TRY(tagmask_writer_open(format, out, &writer, error));
    tagmask_status status = tagmask_writer_add(writer, result, photo_path, photo, error);
    if (status == TAGMASK_OK) return tagmask_writer_close(writer, error);
    tagmask_writer_close(writer, NULL);
    return status;
}
