#include "mask/result.h"

#include <stdlib.h>
#include <string.h>

#include "base/platform.h"

static char **copy_texts(const char *const *texts, size_t count) {
    char **copy = tm_calloc(count, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) copy[i] = tm_strdup(texts && texts[i] ? texts[i] : "");
    for (size_t i = 0; copy && i < count; i++) {
        if (copy[i]) continue;
        for (size_t j = 0; j < count; j++) free(copy[j]);
        free(copy);
        return NULL;
    }
    return copy;
}

tagmask_status tm_result_check_memory(uint32_t width, uint32_t height, size_t tag_count, tm_error *err) {
    uint64_t needed = (uint64_t)width * height * (1 + tag_count * sizeof(float));
    uint64_t available = tm_available_memory();
    if (needed <= available) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_MEMORY,
                   "the masks of %zu tag%s on %ux%u pixels need %llu MiB of memory, %llu MiB are available; take fewer "
                   "tags at once or a smaller photo",
                   tag_count, tag_count == 1 ? "" : "s", width, height, (unsigned long long)(needed >> 20),
                   (unsigned long long)(available >> 20));
}

tm_planes *tm_planes_create(size_t count) {
    size_t bytes;
    if (!tm_mul_size(count, sizeof(float), &bytes) || !tm_add_size(bytes, sizeof(tm_planes), &bytes)) return NULL;
    tm_planes *planes = malloc(bytes);
    if (planes) atomic_init(&planes->references, 1);
    return planes;
}

tm_planes *tm_planes_keep(tm_planes *planes) {
    atomic_fetch_add(&planes->references, 1);
    return planes;
}

void tm_planes_drop(tm_planes *planes) {
    if (planes && atomic_fetch_sub(&planes->references, 1) == 1) free(planes);
}

// r has sizes, labels and probabilities; the rest is made, or r is freed.
static tagmask_status complete(tagmask_result *r, const char *const *tags, const char *const *notes,
                               tm_region_rules rules, tagmask_result **result, tm_error *err) {
    if (rules.min_part == 0) rules.min_part = 0.05f;
    if (rules.tolerance == 0) rules.tolerance = 1;
    tagmask_status status = TAGMASK_OK;
    r->tags = copy_texts(tags, r->tag_count);
    r->notes = copy_texts(notes, r->tag_count);
    if (!r->tags || !r->notes)
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "result: no memory for the names of %zu tags", r->tag_count);
    if (!status)
        status =
            tm_regions_find(r->labels, r->width, r->height, r->tag_count, r->probability, &rules, &r->regions, err);
    if (status) {
        tagmask_result_free(r);
        return status;
    }
    *result = r;
    return TAGMASK_OK;
}

tagmask_status tm_result_create(uint32_t width, uint32_t height, const char *const *tags, const char *const *notes,
                                size_t count, float *probability, uint8_t *labels, tm_region_rules rules,
                                tagmask_result **result, tm_error *err) {
    tagmask_result *r = tm_calloc(1, sizeof *r);
    if (!r) {
        free(probability);
        free(labels);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "result: no memory for a proposal");
    }
    *r = (tagmask_result){.width = width,
                          .height = height,
                          .tag_count = count,
                          .probability = probability,
                          .own = probability,
                          .labels = labels};
    return complete(r, tags, notes, rules, result, err);
}

tagmask_status tm_result_create_shared(uint32_t width, uint32_t height, const char *const *tags,
                                       const char *const *notes, size_t count, tm_planes *probability, uint8_t *labels,
                                       tm_region_rules rules, tagmask_result **result, tm_error *err) {
    tagmask_result *r = tm_calloc(1, sizeof *r);
    if (!r) {
        free(labels);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "result: no memory for a proposal");
    }
    *r = (tagmask_result){.width = width,
                          .height = height,
                          .tag_count = count,
                          .probability = probability->data,
                          .shared = tm_planes_keep(probability),
                          .labels = labels};
    return complete(r, tags, notes, rules, result, err);
}

void tagmask_result_free(tagmask_result *result) {
    if (!result) return;
    for (size_t i = 0; i < result->tag_count; i++) {
        if (result->tags) free(result->tags[i]);
        if (result->notes) free(result->notes[i]);
    }
    free(result->tags);
    free(result->notes);
    free(result->own);
    tm_planes_drop(result->shared);
    free(result->labels);
    free(result->maps);
    tm_regions_free(&result->regions);
    free(result);
}

uint32_t tagmask_result_width(const tagmask_result *result) {
    return result ? result->width : 0;
}
uint32_t tagmask_result_height(const tagmask_result *result) {
    return result ? result->height : 0;
}
size_t tagmask_result_tag_count(const tagmask_result *result) {
    return result ? result->tag_count : 0;
}
const char *tagmask_result_tag(const tagmask_result *result, size_t tag) {
    return result && tag < result->tag_count ? result->tags[tag] : NULL;
}
const float *tagmask_result_probability(const tagmask_result *result, size_t tag) {
    return result && tag < result->tag_count ? result->probability + tag * result->width * result->height : NULL;
}
const uint8_t *tagmask_result_labels(const tagmask_result *result) {
    return result ? result->labels : NULL;
}
const char *tagmask_result_note(const tagmask_result *result, size_t tag) {
    return result && tag < result->tag_count ? result->notes[tag] : NULL;
}
size_t tagmask_result_region_count(const tagmask_result *result) {
    return result ? result->regions.count : 0;
}

tagmask_status tagmask_result_region(const tagmask_result *result, size_t index, tagmask_region *region) {
    if (!result || !region || index >= result->regions.count) return TAGMASK_ERROR_ARGUMENT;
    const tagmask_region *made = &result->regions.items[index];
    return tm_struct_write(region, made, sizeof *made) ? TAGMASK_OK : TAGMASK_ERROR_ARGUMENT;
}
