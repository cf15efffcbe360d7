#include "cli/inputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/platform.h"

static bool has_picture_content(const char *path) {
    unsigned char head[8] = {0};
    int file = tm_file_open(path);
    if (file < 0) return false;
    int64_t got = tm_file_read_at(file, head, sizeof head, 0);
    tm_file_close(file);
    bool png = got == 8 && !memcmp(head, "\x89PNG\r\n\x1a\n", 8);
    return png || (got >= 3 && !memcmp(head, "\xff\xd8\xff", 3));
}

static bool is_picture(const char *path) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const char *dot = strrchr(path, '.');
    if (!tm_file_exists(path)) return false;
    for (size_t i = 0; dot && i < TM_ARRAY_LEN(endings); i++) {
        if (!strcasecmp(dot, endings[i])) return true;
    }
    return has_picture_content(path);
}

static tagmask_status add_path(cli_inputs *inputs, const char *path, tm_error *err) {
    tm_file_info info;
    cli_input made = {.order = inputs->count};
    made.path = tm_strdup(path);
    made.stem = tm_strdup(tm_file_name(path));
    bool ok = made.path && made.stem &&
              tm_grow((void **)&inputs->items, &inputs->capacity, inputs->count + 1, sizeof *inputs->items);
    if (!ok) {
        free(made.path);
        free(made.stem);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of photos");
    }
    char *dot = strrchr(made.stem, '.');
    if (dot && dot != made.stem) *dot = 0;
    if (tm_file_stat(path, &info)) {
        made.device = info.device;
        made.file = info.number;
    }
    inputs->items[inputs->count++] = made;
    return TAGMASK_OK;
}

static tagmask_status add_folder(cli_inputs *inputs, const char *folder, tm_error *err) {
    char **names = NULL;
    size_t count = 0;
    TM_TRY(tm_list_folder(folder, &names, &count, err));
    tagmask_status status = TAGMASK_OK;
    for (size_t i = 0; i < count && status == TAGMASK_OK; i++) {
        char *path = *names[i] != '.' ? tm_path_join(folder, names[i]) : NULL;
        if (path && is_picture(path)) status = add_path(inputs, path, err);
        free(path);
    }
    tm_free_names(names, count);
    return status;
}

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
    free(input->stem);
    free(input->out);
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

static tagmask_status choose_folders(cli_inputs *inputs, const char *out, tm_error *err) {
    size_t same = 1;
    qsort(inputs->items, inputs->count, sizeof *inputs->items, by_stem);
    for (size_t i = 0; i < inputs->count; i++) {
        cli_input *input = &inputs->items[i];
        same = i && !strcasecmp(inputs->items[i - 1].stem, input->stem) ? same + 1 : 1;
        char number[24] = "";
        if (same > 1) snprintf(number, sizeof number, "%zu", same);
        input->out = same > 1 ? tm_path_join(out, number) : tm_strdup(out);
        if (!input->out) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the list of photos");
    }
    qsort(inputs->items, inputs->count, sizeof *inputs->items, by_order);
    return TAGMASK_OK;
}

tagmask_status cli_inputs_collect(char **arguments, int count, const char *out, cli_inputs *inputs, tm_error *err) {
    memset(inputs, 0, sizeof *inputs);
    for (int i = 0; i < count; i++) {
        tagmask_status status =
            tm_is_dir(arguments[i]) ? add_folder(inputs, arguments[i], err) : add_path(inputs, arguments[i], err);
        if (status != TAGMASK_OK) return status;
    }
    if (!inputs->count) {
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: holds no picture; expected PNG or JPEG files", arguments[0]);
    }
    drop_repeated(inputs);
    return choose_folders(inputs, out, err);
}

void cli_inputs_free(cli_inputs *inputs) {
    for (size_t i = 0; i < inputs->count; i++) free_input(&inputs->items[i]);
    free(inputs->items);
    memset(inputs, 0, sizeof *inputs);
}

bool cli_inputs_has_file(const cli_inputs *inputs, const char *path) {
    tm_file_info info;
    if (!tm_file_stat(path, &info)) return false;
    for (size_t i = 0; i < inputs->count; i++) {
        const cli_input *input = &inputs->items[i];
        if (input->file && input->file == info.number && input->device == info.device) return true;
    }
    return false;
}
