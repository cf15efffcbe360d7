// Reads index.csv and tags.csv of an evaluation folder.
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"

typedef struct columns {
    size_t file, mask, set, salient;
    size_t tag_file, mask_value, object, indices, quality, complete, area;
} columns;

static tagmask_status find_columns(const char *folder, const eval_data *data, columns *c, tm_error *err) {
    const struct {
        const csv_table *table;
        const char *file, *name;
        size_t *column;
    } wanted[] = {
        {&data->index, "index.csv", "file", &c->file},
        {&data->index, "index.csv", "mask", &c->mask},
        {&data->index, "index.csv", "set", &c->set},
        {&data->index, "index.csv", "salient", &c->salient},
        {&data->tags, "tags.csv", "file", &c->tag_file},
        {&data->tags, "tags.csv", "mask_value", &c->mask_value},
        {&data->tags, "tags.csv", "object", &c->object},
        {&data->tags, "tags.csv", "imagenet_indices", &c->indices},
        {&data->tags, "tags.csv", "tag_quality", &c->quality},
        {&data->tags, "tags.csv", "class_complete", &c->complete},
        {&data->tags, "tags.csv", "area_frac", &c->area},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(wanted); i++) {
        *wanted[i].column = csv_column(wanted[i].table, wanted[i].name);
        if (*wanted[i].column != SIZE_MAX) continue;
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s/%s: expected a column named %s", folder, wanted[i].file,
                       wanted[i].name);
    }
    return TAGMASK_OK;
}

// "444;671" -> "#444,671"; NULL for "" or without memory.
static char *index_tag(const char *indices) {
    char *tag = *indices ? tm_format("#%s", indices) : NULL;
    for (char *at = tag; at && *at; at++) {
        if (*at == ';') *at = ',';
    }
    return tag;
}

static bool is_scored(const csv_row *row, const columns *c, double area) {
    const char *quality = csv_field(row, c->quality);
    bool named = !strcmp(quality, "exact") || !strcmp(quality, "generic");
    return named && *csv_field(row, c->indices) && !strcmp(csv_field(row, c->complete), "1") && area >= 0.02;
}

static eval_photo *find_photo(eval_data *data, const char *file) {
    // Rows follow the photos' order nearly everywhere, so the search starts where the last one ended.
    for (size_t i = 0; i < data->photo_count; i++) {
        size_t at = (data->last_found + i) % data->photo_count;
        if (strcmp(data->photos[at].file, file)) continue;
        data->last_found = at;
        return &data->photos[at];
    }
    return NULL;
}

static tagmask_status add_row(const char *folder, eval_data *data, const csv_row *row, const columns *c, size_t limit,
                              tm_error *err) {
    eval_photo *photo = find_photo(data, csv_field(row, c->tag_file));
    if (!photo) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s/tags.csv: row %zu: the photo \"%.200s\" is not in index.csv",
                       folder, row->line, csv_field(row, c->tag_file));
    }
    if (!tm_grow((void **)&photo->rows, &photo->row_capacity, photo->row_count + 1, sizeof *photo->rows)) {
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its rows", folder);
    }
    eval_row made = {.object = csv_field(row, c->object),
                     .mask_value = atoi(csv_field(row, c->mask_value)),
                     .index_tag = index_tag(csv_field(row, c->indices)),
                     .area = atof(csv_field(row, c->area))};
    made.scored = made.index_tag && is_scored(row, c, made.area) && (!limit || data->scored_count < limit);
    if (made.mask_value < 1 || made.mask_value > 255 || made.mask_value == EVAL_VOID) {
        free(made.index_tag);
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s/tags.csv: row %zu: mask_value must be in 1..255 and not %d",
                       folder, row->line, EVAL_VOID);
    }
    photo->rows[photo->row_count++] = made;
    photo->scored_count += made.scored;
    data->row_count++;
    data->scored_count += made.scored;
    return TAGMASK_OK;
}

static uint64_t hash_table(const csv_table *table, uint64_t hash) {
    for (size_t i = 0; i < table->count; i++) {
        const csv_row *row = &table->rows[i];
        for (size_t f = 0; f < row->count; f++) hash = tm_hash64(row->fields[f], strlen(row->fields[f]) + 1, hash);
        hash = tm_hash64("\n", 1, hash);
    }
    return hash;
}

static tagmask_status read_tables(const char *folder, size_t limit, eval_data *data, tm_error *err) {
    columns c;
    char *index = tm_path_join(folder, "index.csv"), *tags = tm_path_join(folder, "tags.csv");
    tagmask_status status = index && tags ? csv_read(index, &data->index, err)
                                          : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to read it", folder);
    if (status == TAGMASK_OK) status = csv_read(tags, &data->tags, err);
    free(index);
    free(tags);
    TM_TRY(status);
    TM_TRY(find_columns(folder, data, &c, err));
    data->hash = hash_table(&data->tags, hash_table(&data->index, 0));
    data->photos = tm_calloc(data->index.count, sizeof *data->photos);
    if (!data->photos) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its photos", folder);
    for (size_t i = 1; i < data->index.count; i++) {
        const csv_row *row = &data->index.rows[i];
        eval_photo *photo = &data->photos[data->photo_count++];
        photo->file = csv_field(row, c.file);
        photo->mask = csv_field(row, c.mask);
        photo->set = csv_field(row, c.set);
        photo->salient = !strcmp(csv_field(row, c.salient), "1");
        photo->saliency_scored = photo->salient && (!limit || data->saliency_count < limit);
        data->saliency_count += photo->saliency_scored;
    }
    for (size_t i = 1; i < data->tags.count; i++) {
        TM_TRY(add_row(folder, data, &data->tags.rows[i], &c, limit, err));
    }
    return TAGMASK_OK;
}

tagmask_status eval_data_read(const char *folder, size_t limit, eval_data *data, tm_error *err) {
    memset(data, 0, sizeof *data);
    tagmask_status status = read_tables(folder, limit, data, err);
    if (status == TAGMASK_OK && !data->scored_count && !data->saliency_count) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: no row of its tables can be scored", folder);
    }
    if (status != TAGMASK_OK) eval_data_free(data);
    return status;
}

void eval_data_free(eval_data *data) {
    for (size_t i = 0; i < data->photo_count; i++) {
        for (size_t r = 0; r < data->photos[i].row_count; r++) free(data->photos[i].rows[r].index_tag);
        free(data->photos[i].rows);
    }
    free(data->photos);
    csv_free(&data->index);
    csv_free(&data->tags);
    memset(data, 0, sizeof *data);
}
