#include "mask/outline.h"

#include <stdlib.h>
#include <string.h>

// ---- Crack following ------------------------------------------------------------------------------------------------

enum { RIGHT, DOWN, LEFT, UP };

typedef struct map_view {
    const uint8_t *labels;
    uint32_t width, height;
    uint8_t label;
} map_view;

static bool inside(const map_view *map, int64_t x, int64_t y) {
    return x >= 0 && y >= 0 && x < map->width && y < map->height &&
           map->labels[(size_t)y * map->width + (size_t)x] == map->label;
}

static bool push_corner(tm_ring *ring, uint32_t x, uint32_t y) {
    if (!tm_grow((void **)&ring->corners, &ring->capacity, ring->count + 1, sizeof *ring->corners)) return false;
    ring->corners[ring->count++] = (tm_corner){(uint16_t)x, (uint16_t)y};
    return true;
}

static int turn(const map_view *map, uint32_t x, uint32_t y, int direction) {
    // Pixels around the corner (x, y), relative to it, ahead on the right and on the left of each direction.
    static const int ahead_right[4][2] = {{0, 0}, {-1, 0}, {-1, -1}, {0, -1}};
    static const int ahead_left[4][2] = {{0, -1}, {0, 0}, {-1, 0}, {-1, -1}};
    const int *right = ahead_right[direction], *left = ahead_left[direction];
    if (!inside(map, (int64_t)x + right[0], (int64_t)y + right[1])) return (direction + 1) & 3;
    if (!inside(map, (int64_t)x + left[0], (int64_t)y + left[1])) return direction;
    return (direction + 3) & 3;
}

bool tm_ring_trace(const uint8_t *labels, uint32_t width, uint32_t height, uint32_t x, uint32_t y, uint8_t *seen,
                   tm_ring *ring) {
    map_view map = {labels, width, height, labels[(size_t)y * width + x]};
    uint32_t start_x = x, start_y = y;
    int direction = RIGHT;
    ring->count = 0;
    if (!push_corner(ring, x, y)) return false;
    for (;;) {
        size_t pixel = (size_t)y * width + x;
        if (direction == RIGHT) seen[pixel >> 3] |= (uint8_t)(1u << (pixel & 7));
        x += (direction == RIGHT) - (direction == LEFT);
        y += (direction == DOWN) - (direction == UP);
        int next = turn(&map, x, y, direction);
        if (x == start_x && y == start_y && next == RIGHT) return true;
        if (next != direction && !push_corner(ring, x, y)) return false;
        direction = next;
    }
}

int64_t tm_ring_area2(const tm_corner *corners, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        tm_corner a = corners[i], b = corners[i + 1 < count ? i + 1 : 0];
        sum += (int64_t)a.x * b.y - (int64_t)b.x * a.y;
    }
    return sum;
}

// ---- Douglas-Peucker ------------------------------------------------------------------------------------------------

static double distance2(tm_corner p, tm_corner a, tm_corner b) {
    double dx = b.x - a.x, dy = b.y - a.y, px = p.x - a.x, py = p.y - a.y;
    double length2 = dx * dx + dy * dy, along = length2 > 0 ? (px * dx + py * dy) / length2 : 0;
    along = TM_CLAMP(along, 0.0, 1.0);
    px -= along * dx;
    py -= along * dy;
    return px * px + py * py;
}

typedef struct chain {
    size_t first, last;  // corner numbers; last may be the ring's count, which is corner 0
} chain;

typedef struct chains {
    chain *items;
    size_t count, capacity;
} chains;

static bool push_chain(chains *stack, size_t first, size_t last) {
    if (!tm_grow((void **)&stack->items, &stack->capacity, stack->count + 1, sizeof *stack->items)) return false;
    stack->items[stack->count++] = (chain){first, last};
    return true;
}

// Marks the corners to keep between the chains on the stack, which it empties.
static bool keep_far_corners(const tm_ring *ring, double tolerance2, chains *stack, bool *keep) {
    while (stack->count) {
        chain c = stack->items[--stack->count];
        tm_corner a = ring->corners[c.first], b = ring->corners[c.last == ring->count ? 0 : c.last];
        double most = tolerance2;
        size_t far = 0;
        for (size_t i = c.first + 1; i < c.last; i++) {
            double d = distance2(ring->corners[i], a, b);
            if (d > most) most = d, far = i;
        }
        if (!far) continue;
        keep[far] = true;
        if (!push_chain(stack, c.first, far) || !push_chain(stack, far, c.last)) return false;
    }
    return true;
}

// A ring has no ends to start from: corner 0 and the one farthest from it are kept. The method takes quadratic time on
// unlucky chains, so very long ones are cut first, which costs a point in CHAIN_MAX.
static bool simplify_once(const tm_ring *ring, double tolerance, bool *keep) {
    enum { CHAIN_MAX = 4096 };
    chains stack = {0};
    size_t far = 0, last = 0;
    double most = -1;
    for (size_t i = 1; i < ring->count; i++) {
        double d = distance2(ring->corners[i], ring->corners[0], ring->corners[0]);
        if (d > most) most = d, far = i;
    }
    memset(keep, 0, ring->count);
    keep[0] = true;
    bool ok = true;
    for (size_t at = 1; ok && at <= ring->count; at++) {
        if (at != far && at != ring->count && at - last < CHAIN_MAX) continue;
        if (at < ring->count) keep[at] = true;
        ok = push_chain(&stack, last, at);
        last = at;
    }
    ok = ok && keep_far_corners(ring, tolerance * tolerance, &stack, keep);
    free(stack.items);
    return ok;
}

// ---- Is the simplified ring still a ring? ---------------------------------------------------------------------------

typedef struct segment {
    tm_corner a, b;
    uint16_t top, bottom;
    size_t index;
} segment;

static int by_top(const void *left, const void *right) {
    const segment *a = left, *b = right;
    if (a->top != b->top) return a->top < b->top ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int side(tm_corner a, tm_corner b, tm_corner p) {
    int64_t cross = (int64_t)(b.x - a.x) * (p.y - a.y) - (int64_t)(b.y - a.y) * (p.x - a.x);
    return (cross > 0) - (cross < 0);
}

static bool cross_properly(const segment *s, const segment *t) {
    return side(s->a, s->b, t->a) * side(s->a, s->b, t->b) < 0 && side(t->a, t->b, s->a) * side(t->a, t->b, s->b) < 0;
}

// Sweeps from top to bottom. A ring that needs more than the budgeted comparisons counts as crossing: it keeps its
// corners, which is always right, and the time stays bounded.
static bool crosses_itself(segment *segments, size_t count) {
    size_t budget = 1000000 + 64 * count;
    qsort(segments, count, sizeof *segments, by_top);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count && segments[j].top < segments[i].bottom; j++) {
            if (!budget-- || cross_properly(&segments[i], &segments[j])) return true;
        }
    }
    return false;
}

static bool is_ring(const tm_corner *corners, size_t count, bool clockwise, segment *scratch) {
    int64_t area2 = tm_ring_area2(corners, count);
    if (count < 3 || !area2 || (area2 > 0) != clockwise) return false;
    for (size_t i = 0; i < count; i++) {
        tm_corner a = corners[i], b = corners[i + 1 < count ? i + 1 : 0];
        scratch[i] = (segment){a, b, TM_MIN(a.y, b.y), TM_MAX(a.y, b.y), i};
    }
    return !crosses_itself(scratch, count);
}

bool tm_ring_simplify(tm_ring *ring, float tolerance) {
    if (tolerance < 0 || ring->count <= 4) return true;
    bool clockwise = tm_ring_area2(ring->corners, ring->count) > 0, ok = false;
    bool *keep = tm_calloc(ring->count, sizeof *keep);
    tm_corner *kept = tm_calloc(ring->count, sizeof *kept);
    segment *scratch = tm_calloc(ring->count, sizeof *scratch);
    if (!keep || !kept || !scratch) goto done;
    // Below half a pixel every corner of a slanted edge stays anyway.
    for (double t = tolerance; t >= 0.25 || t == (double)tolerance; t /= 2) {
        size_t count = 0;
        if (!simplify_once(ring, t, keep)) goto done;
        for (size_t i = 0; i < ring->count; i++) {
            if (keep[i]) kept[count++] = ring->corners[i];
        }
        if (!is_ring(kept, count, clockwise, scratch)) continue;
        memcpy(ring->corners, kept, count * sizeof *kept);
        ring->count = count;
        break;
    }
    ok = true;
done:
    free(keep);
    free(kept);
    free(scratch);
    return ok;
}
