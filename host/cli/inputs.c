#include "cli/inputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/platform.h"
#include "cli/cli.h"
#include "io/picture_mark.h"

// ---- Which files are photos

static bool has_picture_content(int file) {
    unsigned char head[8] = {0};
    int64_t got = tm_file_read_at(file, head, sizeof head, 0);
    bool png = got == 8 && !memcmp(head, "\x89PNG\r\n\x1a\n", 8);
    return png || (got >= 3 && !memcmp(head, "\xff\xd8\xff", 3));
}

// Label maps, overlays and heat maps of an earlier run bear a mark before their last chunk.
static bool is_our_picture(int file, uint64_t size) {
    uint8_t tail[TM_MARK_CHUNK + TM_MARK_END];
    if (size < sizeof tail || tm_file_read_at(file, tail, sizeof tail, size - sizeof tail) != sizeof tail) return false;
    return !memcmp(tail + 4, "tEXt", 4) && !memcmp(tail + 8, TM_MARK_KEYWORD, sizeof TM_MARK_KEYWORD);
}

static bool is_photo(const char *path, uint64_t size) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const char *dot = strrchr(tm_file_name(path), '.');
    bool named = false;
    for (size_t i = 0; dot && i < TM_ARRAY_LEN(endings); i++) named |= !strcasecmp(dot, endings[i]);
    int file = tm_file_open(path);
    if (file < 0) return named;  // reading it will say why it failed
    bool photo = (named || has_picture_content(file)) && !is_our_picture(file, size);
    tm_file_close(file);
    return photo;
}

// Pictures in formats that are not read, by their names; a camera's raw files lie beside its JPEGs and are meant to.
static bool is_other_picture(const char *path) {
    static const char *const endings[] = {".avif", ".bmp", ".gif", ".heic", ".heif",
                                          ".jp2",  ".jxl", ".tif", ".tiff", ".webp"};
    const char *dot = strrchr(tm_file_name(path), '.');
    for (size_t i = 0; dot && i < TM_ARRAY_LEN(endings); i++) {
        if (!strcasecmp(dot, endings[i])) return true;
    }
    return false;
}

// ---- The list

static tagmask_status add_path(cli_inputs *inputs, const char *path, const char *name, tm_error *err) {
    cli_input made = {
        .order = inputs->count, .path = tm_strdup(path), .name = tm_strdup(name), .stem = tm_strdup(name)};
    bool ok = made.path && made.name && made.stem &&
              tm_grow((void **)&inputs->items, &inputs->capacity, inputs->count + 1, sizeof *inputs->items);
    if (!ok) {
        free(made.path);
        free(made.name);
        free(made.stem);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of photos");
    }
    char *file = made.stem + (tm_file_name(name) - name), *dot = strrchr(file, '.');
    if (dot && dot != file) *dot = 0;
    inputs->items[inputs->count++] = made;
    return TAGMASK_OK;
}

// Walking a folder: the folders that were entered, first the output folder, which is never entered.
typedef struct walk {
    cli_inputs *inputs;
    tm_file_info *seen;
    size_t count, capacity;
    size_t passed_over;  // pictures in formats that are not read
    char *first_passed_over;
} walk;

// *first: it was not entered before.
static tagmask_status enter(walk *w, const tm_file_info *folder, bool *first, tm_error *err) {
    *first = false;
    for (size_t i = 0; i < w->count; i++) {
        if (w->seen[i].number == folder->number && w->seen[i].device == folder->device) return TAGMASK_OK;
    }
    if (!tm_grow((void **)&w->seen, &w->capacity, w->count + 1, sizeof *w->seen)) {
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of folders");
    }
    w->seen[w->count++] = *folder;
    *first = true;
    return TAGMASK_OK;
}

static tagmask_status walk_folder(walk *w, const char *folder, const char *below, tm_error *err);

// FILE: it may be a photo, or hold some, but cannot be looked at.
static tagmask_status walk_entry(walk *w, const char *path, const char *name, tm_error *err) {
    tm_file_info info;
    bool first;
    if (!tm_file_stat(path, &info)) {
        if (errno == ENOENT || errno == ELOOP) return TAGMASK_OK;  // a link to nothing
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be looked at and is left out: %s", path, strerror(errno));
    }
    if (info.regular && is_photo(path, info.size)) return add_path(w->inputs, path, name, err);
    if (info.regular && is_other_picture(path) && !w->passed_over++) w->first_passed_over = tm_strdup(path);
    if (info.regular) return TAGMASK_OK;
    if (!info.folder) return TAGMASK_OK;
    TM_TRY(enter(w, &info, &first, err));
    return first ? walk_folder(w, path, name, err) : TAGMASK_OK;
}

// below: the folder's path below the one that was given, "" for that one.
static tagmask_status walk_folder(walk *w, const char *folder, const char *below, tm_error *err) {
    char **names = NULL;
    size_t count = 0;
    TM_TRY(tm_list_folder(folder, &names, &count, err));
    tagmask_status status = TAGMASK_OK;
    for (size_t i = 0; i < count && status == TAGMASK_OK; i++) {
        if (*names[i] == '.') continue;
        char *path = tm_path_join(folder, names[i]), *name = tm_path_join(below, names[i]);
        tm_error left_out = TAGMASK_ERROR_INIT;
        status = path && name ? walk_entry(w, path, name, &left_out)
                              : tm_fail(&left_out, TAGMASK_ERROR_MEMORY, "no memory for the list of photos");
        if (status == TAGMASK_ERROR_FILE) {  // the others are taken
            cli_message("%s", left_out.message);
            w->inputs->incomplete = true;
            status = TAGMASK_OK;
        }
        if (status != TAGMASK_OK) *err = left_out;
        free(path);
        free(name);
    }
    tm_free_names(names, count);
    return status;
}

static tagmask_status add_argument(cli_inputs *inputs, const char *path, const char *out, tm_error *err) {
    tm_file_info info;
    walk w = {.inputs = inputs};
    if (!tm_file_stat(path, &info) || !info.folder) return add_path(inputs, path, tm_file_name(path), err);
    tm_file_info output;
    bool first;
    tagmask_status status = tm_file_stat(out, &output) ? enter(&w, &output, &first, err) : TAGMASK_OK;
    if (status == TAGMASK_OK) status = enter(&w, &info, &first, err);
    if (status == TAGMASK_OK) status = walk_folder(&w, path, "", err);
    if (w.passed_over) {
        cli_message("%s: %zu picture%s passed over, %s%s; expected PNG or JPEG: convert %s first", path, w.passed_over,
                    w.passed_over == 1 ? " is" : "s are", w.passed_over == 1 ? "" : "such as ",
                    w.first_passed_over ? w.first_passed_over : "", w.passed_over == 1 ? "it" : "them");
    }
    free(w.first_passed_over);
    free(w.seen);
    return status;
}

// ---- Where results go

static int by_path(const void *a, const void *b) {
    const cli_input *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}
static int by_stem(const void *a, const void *b) {
    const cli_input *x = a, *y = b;
    int order = strcasecmp(x->stem, y->stem);  // file systems exist that do not tell case apart
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}
static int by_order(const void *a, const void *b) {
    const cli_input *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void free_input(cli_input *input) {
    free(input->path);
    free(input->name);
    free(input->stem);
}

static void drop_repeated(cli_inputs *inputs) {
    size_t kept = 0;
    qsort(inputs->items, inputs->count, sizeof *inputs->items, by_path);
    for (size_t i = 0; i < inputs->count; i++) {
        if (kept && !strcmp(inputs->items[kept - 1].path, inputs->items[i].path)) {
            free_input(&inputs->items[i]);
        } else {
            inputs->items[kept++] = inputs->items[i];
        }
    }
    inputs->count = kept;
}

static bool is_folder_of_photos(const cli_inputs *inputs, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < inputs->count; i++) {
        if (!strncmp(inputs->items[i].name, name, length) && inputs->items[i].name[length] == '/') return true;
    }
    return false;
}

static bool make_roots(cli_inputs *inputs, const char *out, size_t count) {
    unsigned long number = 1;
    inputs->roots = tm_calloc(count, sizeof *inputs->roots);
    if (!inputs->roots) return false;
    for (size_t i = 0; i < count; i++) {
        char name[24] = "";
        if (i) {
            do snprintf(name, sizeof name, "%lu", ++number);
            while (is_folder_of_photos(inputs, name));
        }
        inputs->roots[i] = i ? tm_path_join(out, name) : tm_strdup(out);
        if (!inputs->roots[i]) return false;
        inputs->root_count++;
    }
    return true;
}

static tagmask_status choose_folders(cli_inputs *inputs, const char *out, tm_error *err) {
    size_t most = 1;
    qsort(inputs->items, inputs->count, sizeof *inputs->items, by_stem);
    for (size_t i = 1; i < inputs->count; i++) {
        cli_input *input = &inputs->items[i];
        input->root = !strcasecmp(input[-1].stem, input->stem) ? input[-1].root + 1 : 0;
        most = TM_MAX(most, input->root + 1);
    }
    qsort(inputs->items, inputs->count, sizeof *inputs->items, by_order);
    if (make_roots(inputs, out, most)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of photos");
}

tagmask_status cli_inputs_collect(char **arguments, int count, const char *out, cli_inputs *inputs, tm_error *err) {
    memset(inputs, 0, sizeof *inputs);
    for (int i = 0; i < count; i++) TM_TRY(add_argument(inputs, arguments[i], out, err));
    if (!inputs->count) {
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: holds no picture%s; expected PNG or JPEG files", arguments[0],
                       inputs->incomplete ? " that can be reached" : "");
    }
    drop_repeated(inputs);
    return choose_folders(inputs, out, err);
}

void cli_inputs_free(cli_inputs *inputs) {
    for (size_t i = 0; i < inputs->count; i++) free_input(&inputs->items[i]);
    for (size_t i = 0; i < inputs->root_count; i++) free(inputs->roots[i]);
    free(inputs->items);
    free(inputs->roots);
    memset(inputs, 0, sizeof *inputs);
}
