#include "io/region_mask.h"

#include <stdlib.h>
#include <string.h>

// Regions are the components of the label map, which has been cleaned already, in the order of tm_components_order.
tagmask_status tm_region_masks_open(const tagmask_result *result, tm_region_masks *masks, tm_error *err) {
    tm_region_masks m = {.result = result};
    size_t count = 0;
    TM_TRY(tm_components_find(result->labels, result->width, result->height, &m.components, err));
    uint32_t *order = tm_components_order(&m.components, &count);
    m.component = tm_calloc(count, sizeof *m.component);
    if (!order || !m.component || count != result->regions.count) {
        bool memory = !order || !m.component;
        free(order);
        tm_region_masks_close(&m);
        return memory ? tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the masks of %zu regions", count)
                      : tm_fail(err, TAGMASK_ERROR_INTERNAL, "the label map has %zu parts, the result %zu", count,
                                result->regions.count);
    }
    for (uint32_t i = 0; i < m.components.count; i++) {
        if (m.components.items[i].label) m.component[order[i]] = i;
    }
    free(order);
    *masks = m;
    return TAGMASK_OK;
}

bool tm_region_mask(const tm_region_masks *masks, size_t region, tm_box_mask *mask) {
    const tm_components *c = &masks->components;
    uint32_t component = masks->component[region];
    const tm_component *item = &c->items[component];
    size_t width = item->right - item->left + 1u;
    uint8_t *pixels = tm_calloc(item->bottom - item->top + 1u, width);
    if (!pixels) return false;
    for (uint32_t y = item->top; y <= item->bottom; y++) {
        for (size_t i = c->row[y]; i < c->row[y + 1]; i++) {
            if (c->runs[i].component != component) continue;
            memset(pixels + (y - item->top) * width + (c->runs[i].x - item->left), 1,
                   tm_run_end(c, y, i) - c->runs[i].x);
        }
    }
    *mask = (tm_box_mask){pixels, item->left, item->top, item->right, item->bottom, c->width, c->height};
    return true;
}

void tm_region_masks_close(tm_region_masks *masks) {
    tm_components_free(&masks->components);
    free(masks->component);
    masks->component = NULL;
}
