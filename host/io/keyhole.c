// The bridges follow Eberly, "Triangulation by Ear Clipping" (2002), section 4, with the nearest visible corner.
#include "io/keyhole.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct point {
    float x, y;
} point;

typedef struct hole {
    const point *points;
    size_t count, leftmost;
} hole;

static int by_left(const void *left, const void *right) {
    const hole *a = left, *b = right;
    point p = a->points[a->leftmost], q = b->points[b->leftmost];
    if (p.x != q.x) return p.x < q.x ? -1 : 1;
    return p.y < q.y ? -1 : p.y > q.y;
}

static double cross(point a, point b, point c) {
    return ((double)b.x - a.x) * ((double)c.y - a.y) - ((double)b.y - a.y) * ((double)c.x - a.x);
}

static bool crosses_ring(point a, point b, const point *ring, size_t count) {
    for (size_t i = 0; i < count; i++) {
        point c = ring[i], d = ring[i + 1 < count ? i + 1 : 0];
        if (cross(a, b, c) * cross(a, b, d) < 0 && cross(c, d, a) * cross(c, d, b) < 0) return true;
    }
    return false;
}

// The nearest corner of the ring to p that is farther than `beyond` (distance, number), or count when there is none.
static size_t nearest_corner(const point *ring, size_t count, point p, double *distance, size_t *number) {
    size_t best = count;
    double least = INFINITY;
    for (size_t i = 0; i < count; i++) {
        double dx = (double)ring[i].x - p.x, dy = (double)ring[i].y - p.y, d = dx * dx + dy * dy;
        if (d < *distance || (d == *distance && i <= *number) || d >= least) continue;
        least = d;
        best = i;
    }
    *distance = least;
    *number = best;
    return best;
}

static size_t choose_corner(const point *ring, size_t count, const hole *holes, size_t hole_count, point p,
                            size_t *budget) {
    enum { TRIES = 16 };
    double distance = -1;
    size_t number = 0, first = 0;
    for (int i = 0; i < TRIES; i++) {
        size_t work = 2 * count;
        for (size_t k = 0; k < hole_count; k++) work += holes[k].count;
        if (work > *budget) break;
        *budget -= work;
        size_t corner = nearest_corner(ring, count, p, &distance, &number);
        if (corner == count) break;
        if (!i) first = corner;
        bool blocked = crosses_ring(p, ring[corner], ring, count);
        for (size_t k = 0; !blocked && k < hole_count; k++) {
            blocked = crosses_ring(p, ring[corner], holes[k].points, holes[k].count);
        }
        if (!blocked) return corner;
    }
    return first;
}

// ... corner, hole from its leftmost point around to it, corner, ...
static void insert_hole(point *ring, size_t *count, size_t corner, const hole *h) {
    size_t added = h->count + 2;
    memmove(ring + corner + added, ring + corner, (*count - corner) * sizeof *ring);
    for (size_t i = 0; i <= h->count; i++) ring[corner + 1 + i] = h->points[(h->leftmost + i) % h->count];
    *count += added;
}

bool tm_keyhole(const tagmask_region *region, float **points, size_t *count) {
    size_t room = region->outline_points, used = region->outline_points;
    for (size_t i = 0; i < region->hole_count; i++) room += region->hole_points[i] + 2;
    point *ring = tm_calloc(room, sizeof *ring);
    hole *holes = tm_calloc(region->hole_count, sizeof *holes);
    if (!ring || !holes) {
        free(ring);
        free(holes);
        return false;
    }
    memcpy(ring, region->outline, used * sizeof *ring);
    for (size_t i = 0; i < region->hole_count; i++) {
        hole *h = &holes[i];
        *h = (hole){(const point *)(const void *)region->holes[i], region->hole_points[i], 0};
        for (size_t k = 1; k < h->count; k++) {
            if (h->points[k].x < h->points[h->leftmost].x) h->leftmost = k;
        }
    }
    qsort(holes, region->hole_count, sizeof *holes, by_left);
    size_t budget = 500u * 1000u * 1000u;
    for (size_t i = 0; i < region->hole_count; i++) {
        point p = holes[i].points[holes[i].leftmost];
        size_t corner = choose_corner(ring, used, holes + i, region->hole_count - i, p, &budget);
        insert_hole(ring, &used, corner, &holes[i]);
    }
    free(holes);
    *points = &ring->x;
    *count = used;
    return true;
}
