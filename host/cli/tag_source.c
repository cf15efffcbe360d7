#include "cli/tag_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/platform.h"
#include "cli/csv.h"

#define LARGEST_JSON ((size_t)512 << 20)

typedef struct tag_row {
    const char *file, *tag;
    size_t order;
    bool claimed;  // the file is a photo's whole name
} tag_row;

struct tag_source {
    bool labelme, folders;
    csv_table csv;
    cJSON *coco;
    tag_row *rows;  // sorted by the file's last name
    size_t count, capacity;
    // Of the photo asked for last: the labelme file, the name of its folder.
    cJSON *beside;
    char *folder;
};

static int compare_rows(const void *a, const void *b) {
    const tag_row *x = a, *y = b;
    int order = strcmp(tm_file_name(x->file), tm_file_name(y->file));
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

static tagmask_status add_row(tag_source *source, const char *path, const char *file, const char *tag, tm_error *err) {
    if (!tm_grow((void **)&source->rows, &source->capacity, source->count + 1, sizeof *source->rows)) {
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its tags", path);
    }
    while (file[0] == '.' && tm_is_separator(file[1])) file += 2;
    source->rows[source->count] = (tag_row){file, tag, source->count, false};
    source->count++;
    return TAGMASK_OK;
}

// ---- csv:FILE

static tagmask_status open_csv(tag_source *source, const char *path, tm_error *err) {
    TM_TRY(csv_read(path, &source->csv, err));
    size_t file = csv_column(&source->csv, "file"), tag = csv_column(&source->csv, "tag"), first = 1;
    if (!source->csv.count) return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is empty; expected rows file,tag", path);
    if (file == SIZE_MAX || tag == SIZE_MAX) {
        file = 0;
        tag = 1;
        first = 0;
        if (source->csv.rows[0].count > 2) {
            return tm_fail(err, TAGMASK_ERROR_FORMAT,
                           "%s: row %zu: has %zu fields; expected rows file,tag, or a first row that names the columns "
                           "file and tag",
                           path, source->csv.rows[0].line, source->csv.rows[0].count);
        }
    }
    for (size_t i = first; i < source->csv.count; i++) {
        const csv_row *row = &source->csv.rows[i];
        if (!*csv_field(row, file) || !*csv_field(row, tag)) {
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: row %zu: expected a file and a tag", path, row->line);
        }
        TM_TRY(add_row(source, path, csv_field(row, file), csv_field(row, tag), err));
    }
    return TAGMASK_OK;
}

// ---- coco:FILE

static tagmask_status read_object(const char *path, cJSON **root, tm_error *err) {
    TM_TRY(tm_json_read(path, LARGEST_JSON, root, err));
    if (cJSON_IsObject(*root)) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: expected a JSON object", path);
}

typedef struct named_id {
    double id;
    const char *name;
} named_id;

static int compare_ids(const void *a, const void *b) {
    const named_id *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

// The objects of root[key] with their id and the text `field`, sorted by id.
static tagmask_status read_ids(const char *path, const cJSON *root, const char *key, const char *field, named_id **ids,
                               size_t *count, tm_error *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *item;
    *ids = NULL;
    *count = 0;
    size_t room = 0;
    cJSON_ArrayForEach(item, list) room++;
    named_id *made = tm_calloc(room, sizeof *made);
    if (!made) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its %s", path, key);
    cJSON_ArrayForEach(item, list) {
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(item, "id");
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, field));
        if (!cJSON_IsNumber(id) || !name || !*name) {
            free(made);
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: %s[%zu]: expected a number id and a text %s", path, key,
                           *count, field);
        }
        made[(*count)++] = (named_id){id->valuedouble, name};
    }
    qsort(made, *count, sizeof *made, compare_ids);
    *ids = made;
    return TAGMASK_OK;
}

static const char *find_id(const named_id *ids, size_t count, const cJSON *id) {
    named_id wanted = {cJSON_IsNumber(id) ? id->valuedouble : -1, NULL};
    const named_id *found = count ? bsearch(&wanted, ids, count, sizeof *ids, compare_ids) : NULL;
    return found ? found->name : NULL;
}

static tagmask_status open_coco(tag_source *source, const char *path, tm_error *err) {
    named_id *images = NULL, *categories = NULL;
    size_t image_count, category_count, index = 0;
    TM_TRY(read_object(path, &source->coco, err));
    tagmask_status status = read_ids(path, source->coco, "images", "file_name", &images, &image_count, err);
    if (status == TAGMASK_OK) {
        status = read_ids(path, source->coco, "categories", "name", &categories, &category_count, err);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(source->coco, "annotations")) {
        if (status != TAGMASK_OK) break;
        const char *file = find_id(images, image_count, cJSON_GetObjectItemCaseSensitive(item, "image_id"));
        const char *tag = find_id(categories, category_count, cJSON_GetObjectItemCaseSensitive(item, "category_id"));
        status = file && tag
                     ? add_row(source, path, file, tag, err)
                     : tm_fail(err, TAGMASK_ERROR_FORMAT,
                               "%s: annotations[%zu]: image_id and category_id must be ids of the file", path, index);
        index++;
    }
    free(images);
    free(categories);
    return status;
}

// ---- labelme

static tagmask_status find_labelme(tag_source *source, const char *photo_path, cli_list *tags, tm_error *err) {
    size_t length = strlen(photo_path);
    const char *dot = strrchr(tm_file_name(photo_path), '.');
    if (dot && dot != tm_file_name(photo_path)) length = (size_t)(dot - photo_path);
    char *path = tm_format("%.*s.json", (int)TM_MIN(length, (size_t)INT32_MAX), photo_path);
    if (!path) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its tags", photo_path);
    cJSON_Delete(source->beside);
    source->beside = NULL;
    tagmask_status status = read_object(path, &source->beside, err);
    const cJSON *flags = cJSON_GetObjectItemCaseSensitive(source->beside, "flags"), *flag;
    if (status == TAGMASK_OK && !cJSON_IsObject(flags)) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: expected \"flags\" such as {\"cat\": true}", path);
    }
    cJSON_ArrayForEach(flag, flags) {
        bool set = status == TAGMASK_OK && cJSON_IsTrue(flag) && *flag->string;
        if (set) status = cli_add_tag(tags, flag->string, err);
    }
    free(path);
    return status;
}

// ---- folder

static tagmask_status find_folder(tag_source *source, const char *photo_path, cli_list *tags, tm_error *err) {
    size_t length = (size_t)(tm_file_name(photo_path) - photo_path);
    while (length > 1 && tm_is_separator(photo_path[length - 1])) length--;
    char *given = length ? tm_format("%.*s", (int)length, photo_path) : tm_strdup(".");
    const char *name = given ? tm_file_name(given) : "";
    bool dots = !strcmp(name, ".") || !strcmp(name, "..");
    char *real = given && dots ? tm_real_path(given) : NULL;
    if (dots) name = real ? tm_file_name(real) : "";
    free(source->folder);
    source->folder = tm_strdup(name);
    free(given);
    free(real);
    if (source->folder && *source->folder) return cli_add_tag(tags, source->folder, err);
    return tm_fail(err, TAGMASK_ERROR_FILE,
                   "%s: is in no folder with a name, which --tags-from folder takes as its tag", photo_path);
}

// ----

tagmask_status cli_add_tag(cli_list *tags, const char *tag, tm_error *err) {
    for (size_t i = 0; i < tags->count; i++) {
        if (!strcmp(tags->items[i], tag)) return TAGMASK_OK;
    }
    return cli_list_add(tags, tag) ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the tags");
}

tagmask_status tag_source_open(const char *text, tag_source **source, tm_error *err) {
    tag_source *made = tm_calloc(1, sizeof *made);
    if (!made) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the tags");
    tagmask_status status = TAGMASK_OK;
    if (text && !strcmp(text, "labelme")) {
        made->labelme = true;
    } else if (text && !strncmp(text, "csv:", 4)) {
        status = open_csv(made, text + 4, err);
    } else if (text && !strncmp(text, "coco:", 5)) {
        status = open_coco(made, text + 5, err);
    } else if (text && !strcmp(text, "folder")) {
        made->folders = true;
    } else if (text) {
        status = tm_fail(err, TAGMASK_ERROR_ARGUMENT, "--tags-from %s: expected labelme, csv:FILE, coco:FILE or folder",
                         text);
    }
    if (status != TAGMASK_OK) {
        tag_source_close(made);
        return status;
    }
    if (made->count) qsort(made->rows, made->count, sizeof *made->rows, compare_rows);
    *source = made;
    return TAGMASK_OK;
}

void tag_source_close(tag_source *source) {
    if (!source) return;
    csv_free(&source->csv);
    cJSON_Delete(source->coco);
    cJSON_Delete(source->beside);
    free(source->folder);
    free(source->rows);
    free(source);
}

// ---- Which rows are a photo's

// The first row of a file name, or the count.
static size_t first_row(const tag_source *source, const char *file_name) {
    size_t low = 0, high = source->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(tm_file_name(source->rows[middle].file), file_name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool has_file_name(const tag_source *source, size_t row, const char *file_name) {
    return row < source->count && !strcmp(tm_file_name(source->rows[row].file), file_name);
}

static bool same_path(const char *a, const char *b) {
    while (*a && (*a == *b || (tm_is_separator(*a) && tm_is_separator(*b)))) a++, b++;
    return *a == *b;
}

void tag_source_claim(tag_source *source, const char *name) {
    const char *file_name = tm_file_name(name);
    for (size_t i = first_row(source, file_name); has_file_name(source, i, file_name); i++) {
        if (same_path(source->rows[i].file, name)) source->rows[i].claimed = true;
    }
}

// Names of `file`, if it is the end of the path.
static size_t names_at_end(const char *file, const char *path) {
    size_t length = strlen(file), whole = strlen(path), names = 1;
    if (length > whole || !same_path(file, path + whole - length)) return 0;
    if (length < whole && !tm_is_separator(path[whole - length - 1])) return 0;
    for (; *file; file++) names += tm_is_separator(*file);
    return names;
}

static size_t row_fit(const tag_row *row, const char *path, const char *absolute, const char *name) {
    if (same_path(row->file, name)) return SIZE_MAX;
    if (row->claimed) return 0;
    return TM_MAX(names_at_end(row->file, path), names_at_end(row->file, absolute));
}

// Of the folder, not of the photo itself: links may give photos other names.
static char *absolute_path(const char *path) {
    const char *file_name = tm_file_name(path);
    char *given = file_name > path ? tm_format("%.*s", (int)(file_name - path), path) : tm_strdup(".");
    char *folder = given ? tm_real_path(given) : NULL;
    char *absolute = folder ? tm_path_join(folder, file_name) : tm_strdup(path);
    free(given);
    free(folder);
    return absolute;
}

tagmask_status tag_source_find(tag_source *source, const char *photo_path, const char *name, cli_list *tags,
                               tm_error *err) {
    if (source->labelme) return find_labelme(source, photo_path, tags, err);
    if (source->folders) return find_folder(source, photo_path, tags, err);
    const char *file_name = tm_file_name(photo_path);
    char *absolute = absolute_path(photo_path);
    if (!absolute) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its tags", photo_path);
    tagmask_status status = TAGMASK_OK;
    size_t first = first_row(source, file_name), best = 0;
    for (size_t i = first; has_file_name(source, i, file_name); i++) {
        best = TM_MAX(best, row_fit(&source->rows[i], photo_path, absolute, name));
    }
    for (size_t i = first; best && status == TAGMASK_OK && has_file_name(source, i, file_name); i++) {
        if (row_fit(&source->rows[i], photo_path, absolute, name) != best) continue;
        status = cli_add_tag(tags, source->rows[i].tag, err);
    }
    free(absolute);
    return status;
}
