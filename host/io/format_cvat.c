// "CVAT for images 1.1" (https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/) in one file cvat.xml, with
// mask shapes, which keep holes. People edit in CVAT, not in this file, so the file is only ever ours: its last line
// bears a hash of the rest, and a file without it, or changed, is not overwritten. Our own lines need no XML parser to
// find the photos again.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/region_mask.h"
#include "io/watched.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)
#define FILE_NAME "cvat.xml"
#define SEAL "<!-- tagmask "
#define LABEL "      <label><name>"
#define LABEL_END "</name><attributes></attributes></label>\n"

// One photo: what is between name=" and the next quote, and all that follows the quote up to </image>, as in the file.
typedef struct block {
    char *name, *rest;
} block;

typedef struct cvat {
    char *path;
    tm_watched file;
    char **labels;  // escaped
    block *blocks;
    size_t label_count, label_capacity, block_count, block_capacity, pending;
} cvat;

static void free_cvat(cvat *c) {
    if (!c) return;
    for (size_t i = 0; i < c->label_count; i++) free(c->labels[i]);
    for (size_t i = 0; i < c->block_count; i++) {
        free(c->blocks[i].name);
        free(c->blocks[i].rest);
    }
    free(c->labels);
    free(c->blocks);
    free(c->path);
    free(c);
}

static char *escaped(const char *string) {
    tm_text text = {0};
    tm_text_bytes(&text, "", 0);
    tm_text_xml(&text, string);
    if (!text.failed) return text.data;
    free(text.data);
    return NULL;
}

static char *slice(const char *from, const char *to) {
    char *copy = tm_calloc((size_t)(to - from) + 1, 1);
    if (copy) memcpy(copy, from, (size_t)(to - from));
    return copy;
}

// Takes ownership of label, which may be NULL (out of memory).
static bool add_label(cvat *c, char *label) {
    for (size_t i = 0; label && i < c->label_count; i++) {
        if (strcmp(c->labels[i], label)) continue;
        free(label);
        return true;
    }
    if (!label || !tm_grow((void **)&c->labels, &c->label_capacity, c->label_count + 1, sizeof *c->labels)) {
        free(label);
        return false;
    }
    c->labels[c->label_count++] = label;
    return true;
}

// Takes ownership of both, which may be NULL (out of memory); replaces the block of that name.
static bool put_block(cvat *c, char *name, char *rest) {
    if (name && rest) {
        for (size_t i = 0; i < c->block_count; i++) {
            if (strcmp(c->blocks[i].name, name)) continue;
            free(c->blocks[i].rest);
            c->blocks[i].rest = rest;
            free(name);
            return true;
        }
        if (tm_grow((void **)&c->blocks, &c->block_capacity, c->block_count + 1, sizeof *c->blocks)) {
            c->blocks[c->block_count++] = (block){name, rest};
            return true;
        }
    }
    free(name);
    free(rest);
    return false;
}

// ---- Reading our own file -------------------------------------------------------------------------------------------

static bool is_sealed(const char *text, size_t size) {
    char expected[64];
    const char *seal = size > 64 ? text + size - 34 : NULL;  // "<!-- tagmask 0123456789abcdef -->\n"
    if (!seal || memcmp(seal, SEAL, strlen(SEAL))) return false;
    snprintf(expected, sizeof expected, SEAL "%016llx -->\n", (unsigned long long)tm_hash64(text, size - 34, 1));
    return !memcmp(seal, expected, 34);
}

// A sealed file is as it was written, so that its lines may be trusted.
static bool take_text(cvat *c, const char *text) {
    bool ok = true;
    const char *name, *stop, *rest;
    for (const char *at = text; ok && (at = strstr(at, LABEL)) != NULL; at = stop) {
        at += strlen(LABEL);
        stop = strstr(at, "</name>");
        if (!stop) return true;
        ok = add_label(c, slice(at, stop));
    }
    for (const char *at = text; ok && (at = strstr(at, "  <image id=\"")) != NULL; at = stop) {
        name = strstr(at, "name=\"");
        rest = name ? strchr(name + 6, '"') : NULL;
        stop = rest ? strstr(rest, "</image>") : NULL;
        if (!stop) return true;
        ok = put_block(c, slice(name + 6, rest), slice(rest + 1, stop));
    }
    return ok;
}

static tagmask_status read_file(cvat *c, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    TM_TRY(tm_read_file(c->path, MAX_FILE_BYTES, &bytes, &size, err));
    tagmask_status status = TAGMASK_OK;
    if (!is_sealed((const char *)bytes, size)) {
        status = tm_fail(err, TAGMASK_ERROR_FILE,
                         "%s: exists and is not as tagmask wrote it; it is not overwritten; move it away or choose "
                         "another output folder",
                         c->path);
    } else if (!take_text(c, (const char *)bytes)) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to read it", c->path);
    }
    free(bytes);
    return status;
}

static tagmask_status begin(const char *out, void **state, tm_error *err) {
    cvat *c = tm_calloc(1, sizeof *c);
    if (c) c->path = tm_path_join(out, FILE_NAME);
    tagmask_status status = TAGMASK_ERROR_MEMORY;
    if (!c || !c->path) {
        tm_fail(err, status, "%s/" FILE_NAME ": no memory to write it", out);
    } else {
        tm_watch(&c->file, c->path);
        status = c->file.there ? read_file(c, err) : TAGMASK_OK;
    }
    if (status != TAGMASK_OK) {
        free_cvat(c);
        return status;
    }
    *state = c;
    return TAGMASK_OK;
}

// ---- Writing --------------------------------------------------------------------------------------------------------

static tagmask_status flush(void *state, tm_error *err) {
    cvat *c = state;
    tm_text text = {0};
    if (!c->pending) return TAGMASK_OK;
    tm_text_add(&text, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n  <version>1.1</version>\n");
    tm_text_add(&text, "  <meta>\n    <task>\n      <labels>\n");
    for (size_t i = 0; i < c->label_count; i++) tm_text_add(&text, LABEL "%s" LABEL_END, c->labels[i]);
    tm_text_add(&text, "      </labels>\n    </task>\n  </meta>\n");
    for (size_t i = 0; i < c->block_count; i++) {
        tm_text_add(&text, "  <image id=\"%zu\" name=\"%s\"", i, c->blocks[i].name);
        tm_text_bytes(&text, c->blocks[i].rest, strlen(c->blocks[i].rest));
        tm_text_add(&text, "</image>\n");
    }
    tm_text_add(&text, "</annotations>\n");
    if (!text.failed) tm_text_add(&text, SEAL "%016llx -->\n", (unsigned long long)tm_hash64(text.data, text.size, 1));
    TM_TRY(tm_watched_write(&c->file, &text, c->path, err));
    c->pending = 0;
    return TAGMASK_OK;
}

static tagmask_status end(void *state, tm_error *err) {
    tagmask_status status = flush(state, err);
    free_cvat(state);
    return status;
}

static bool has(const void *state, const char *name) {
    const cvat *c = state;
    bool found = false;
    char *wanted = escaped(name);
    for (size_t i = 0; wanted && i < c->block_count && !found; i++) found = !strcmp(c->blocks[i].name, wanted);
    free(wanted);
    return found;
}

static char *describe(const tagmask_result *r, const tm_region_masks *masks) {
    tm_text text = {0};
    tm_text_add(&text, " width=\"%u\" height=\"%u\">\n", r->width, r->height);
    for (size_t i = 0; i < r->regions.count && !text.failed; i++) {
        const tagmask_region *region = &r->regions.items[i];
        tm_box_mask mask;
        if (!tm_region_mask(masks, i, &mask)) {
            text.failed = true;
            break;
        }
        tm_text_add(&text, "    <mask label=\"");
        tm_text_xml(&text, r->tags[region->tag]);
        tm_text_add(&text, "\" source=\"auto\" occluded=\"0\" rle=\"");
        tm_rle_cvat(&mask, &text);
        tm_text_add(&text, "\" left=\"%u\" top=\"%u\" width=\"%u\" height=\"%u\" z_order=\"0\"></mask>\n", region->left,
                    region->top, region->right - region->left + 1, region->bottom - region->top + 1);
        free((void *)mask.pixels);
    }
    tm_text_add(&text, "  ");
    if (!text.failed) return text.data;
    free(text.data);
    return NULL;
}

static tagmask_status add(void *state, const tm_label_job *job, tm_error *err) {
    cvat *c = state;
    tm_region_masks masks = {0};
    bool ok = true;
    TM_TRY(tm_region_masks_open(job->result, &masks, err));
    for (size_t i = 0; ok && i < job->result->tag_count; i++) ok = add_label(c, escaped(job->result->tags[i]));
    ok = ok && put_block(c, escaped(job->name), describe(job->result, &masks));
    tm_region_masks_close(&masks);
    if (!ok) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to add %s", c->path, job->photo_path);
    c->pending++;
    return tm_label_flush_due(c->pending, c->block_count) ? flush(c, err) : TAGMASK_OK;
}

const tm_label_format tm_format_cvat = {.name = "cvat",
                                        .holds_name = true,
                                        .ending = FILE_NAME,
                                        .begin = begin,
                                        .add = add,
                                        .flush = flush,
                                        .has = has,
                                        .end = end,
                                        .read = tm_read_cvat};
