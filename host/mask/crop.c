// Crops around the CAM on the host: the map is a few thousand pixels after its read-back.
#include <stdlib.h>

#include "mask/fusion.h"

typedef struct part {
    uint32_t left, top, right, bottom;  // inclusive
    double mass;
} part;

// Flood fill from `seed` over unvisited pixels above the limit (4-connected).
static part flood(const float *cam, uint8_t *visited, uint32_t *stack, uint32_t width, uint32_t height, uint32_t seed,
                  float limit) {
    part found = {width, height, 0, 0, 0};
    size_t depth = 0;
    stack[depth++] = seed;
    visited[seed] = 1;
    while (depth) {
        uint32_t at = stack[--depth], x = at % width, y = at / width;
        found.mass += cam[at];
        found.left = TM_MIN(found.left, x);
        found.right = TM_MAX(found.right, x);
        found.top = TM_MIN(found.top, y);
        found.bottom = TM_MAX(found.bottom, y);
        const uint32_t next[4] = {at - 1, at + 1, at - width, at + width};
        const bool inside[4] = {x > 0, x + 1 < width, y > 0, y + 1 < height};
        for (int n = 0; n < 4; n++) {
            if (!inside[n] || visited[next[n]] || !(cam[next[n]] > limit)) continue;
            visited[next[n]] = 1;
            stack[depth++] = next[n];
        }
    }
    return found;
}

static void join(part *box, const part *other) {
    box->left = TM_MIN(box->left, other->left);
    box->right = TM_MAX(box->right, other->right);
    box->top = TM_MIN(box->top, other->top);
    box->bottom = TM_MAX(box->bottom, other->bottom);
}

// [low, high) of one axis grown around its centre to `wanted`, moved inside [0, size).
static void grow_axis(float low, float high, float wanted, float size, float *from, float *to) {
    float centre = (low + high) / 2;
    wanted = TM_MIN(wanted, size);
    *from = TM_CLAMP(centre - wanted / 2, 0.0f, size - wanted);
    *to = *from + wanted;
}

tagmask_status tm_crop_box(const float *cam, uint32_t width, uint32_t height, float above, float grow, tm_box *crop,
                           tm_error *err) {
    uint32_t count = width * height, peak = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (cam[i] > cam[peak]) peak = i;
    }
    if (!(cam[peak] > 0)) {
        *crop = (tm_box){0, 0, (float)width, (float)height};
        return TAGMASK_OK;
    }
    uint8_t *visited = tm_calloc(count, 1);
    uint32_t *stack = tm_calloc(count, sizeof *stack);
    if (!visited || !stack) {
        free(visited);
        free(stack);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to find the parts of a CAM of %ux%u", width, height);
    }
    float limit = above * cam[peak];
    part box = flood(cam, visited, stack, width, height, peak, limit);
    for (uint32_t i = 0; i < count; i++) {
        if (visited[i] || !(cam[i] > limit)) continue;
        part other = flood(cam, visited, stack, width, height, i, limit);
        if (other.mass >= box.mass / 2) join(&box, &other);
    }
    free(visited);
    free(stack);
    float right = (float)box.right + 1, bottom = (float)box.bottom + 1;
    float w = TM_MAX((right - (float)box.left) * grow, (float)width / 4);
    float h = TM_MAX((bottom - (float)box.top) * grow, (float)height / 4);
    w = TM_MAX(w, h / 2);
    h = TM_MAX(h, w / 2);
    grow_axis((float)box.left, right, w, (float)width, &crop->left, &crop->right);
    grow_axis((float)box.top, bottom, h, (float)height, &crop->top, &crop->bottom);
    return TAGMASK_OK;
}
