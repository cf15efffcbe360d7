// Regions: the rules of host/mask/regions.h, checked by rasterizing the polygons again and by a flood fill.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mask/regions.h"
#include "support.h"

static const tm_region_rules exact = {-1, -1, 0};

// Adds one ring to an even-odd mask: flips every pixel whose centre lies to the right of an edge.
static void flip_ring(uint8_t *mask, uint32_t width, uint32_t height, const float *points, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float *a = points + 2 * i, *b = points + 2 * (i + 1 < count ? i + 1 : 0);
        for (uint32_t y = 0; y < height; y++) {
            float centre = (float)y + 0.5f;
            if ((a[1] <= centre) == (b[1] <= centre)) continue;
            float x = a[0] + (centre - a[1]) * (b[0] - a[0]) / (b[1] - a[1]);
            for (uint32_t column = 0; column < width; column++) {
                if ((float)column + 0.5f > x) mask[(size_t)y * width + column] ^= 1;
            }
        }
    }
}

static void rasterize(uint8_t *mask, uint32_t width, uint32_t height, const tagmask_region *region) {
    flip_ring(mask, width, height, region->outline, region->outline_points);
    for (size_t i = 0; i < region->hole_count; i++) {
        flip_ring(mask, width, height, region->holes[i], region->hole_points[i]);
    }
}

// All regions painted with their tag + 1; pixels that two regions claim become 255.
static uint8_t *repaint(const tm_regions *regions, uint32_t width, uint32_t height) {
    uint8_t *map = calloc((size_t)width, height), *one = malloc((size_t)width * height);
    for (size_t i = 0; i < regions->count; i++) {
        memset(one, 0, (size_t)width * height);
        rasterize(one, width, height, &regions->items[i]);
        for (size_t p = 0; p < (size_t)width * height; p++) {
            if (one[p]) map[p] = map[p] ? 255 : (uint8_t)(regions->items[i].tag + 1);
        }
    }
    free(one);
    return map;
}

// '.' is background, '1' the first tag; rows of equal length.
static uint8_t *draw(const char *const *rows, uint32_t width, uint32_t height) {
    uint8_t *map = calloc(width, height);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) map[y * width + x] = rows[y][x] == '.' ? 0 : (uint8_t)(rows[y][x] - '0');
    }
    return map;
}

static tm_regions find(uint8_t *map, uint32_t width, uint32_t height, size_t tags, const float *probability,
                       tm_region_rules rules) {
    tm_regions regions = {0};
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_regions_find(map, width, height, tags, probability, &rules, &regions, &err), &err);
    return regions;
}

static void assert_points(const float *points, size_t count, const float *expected, size_t expected_count) {
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < 2 * count; i++) assert_true(points[i] == expected[i]);
}

static void frame_has_outline_and_hole(void **state) {
    (void)state;
    const char *rows[] = {"......", ".1111.", ".1..1.", ".1111.", "......"};
    uint8_t *map = draw(rows, 6, 5);
    tm_regions regions = find(map, 6, 5, 1, NULL, exact);
    assert_int_equal(regions.count, 1);
    const tagmask_region *region = &regions.items[0];
    const float outer[] = {1, 1, 5, 1, 5, 4, 1, 4}, hole[] = {2, 3, 4, 3, 4, 2, 2, 2};
    assert_points(region->outline, region->outline_points, outer, 4);
    assert_int_equal(region->hole_count, 1);
    assert_points(region->holes[0], region->hole_points[0], hole, 4);
    assert_int_equal(region->area, 10);
    assert_int_equal(region->left, 1);
    assert_int_equal(region->top, 1);
    assert_int_equal(region->right, 4);
    assert_int_equal(region->bottom, 3);
    assert_true(region->score == 1);
    tm_regions_free(&regions);
    free(map);
}

static void corners_do_not_connect_parts(void **state) {
    (void)state;
    const char *rows[] = {"1..", ".1.", "..1"};
    uint8_t *map = draw(rows, 3, 3);
    tm_regions regions = find(map, 3, 3, 1, NULL, exact);
    assert_int_equal(regions.count, 3);
    tm_regions_free(&regions);
    free(map);
    // The background leaks out at the corner, so this is no hole.
    const char *leaky[] = {"111", "1.1", "11."};
    map = draw(leaky, 3, 3);
    regions = find(map, 3, 3, 1, NULL, exact);
    assert_int_equal(regions.count, 1);
    assert_int_equal(regions.items[0].hole_count, 0);
    uint8_t *again = repaint(&regions, 3, 3);
    assert_memory_equal(again, map, 9);
    free(again);
    tm_regions_free(&regions);
    free(map);
}

static void fill_box(uint8_t *map, uint32_t width, uint32_t left, uint32_t top, uint32_t w, uint32_t h, uint8_t label) {
    for (uint32_t y = top; y < top + h; y++) memset(map + y * width + left, label, w);
}

static void small_parts_return_to_the_background(void **state) {
    (void)state;
    uint8_t *map = calloc(100, 100);
    fill_box(map, 100, 0, 0, 40, 40, 1);  // 1600, the largest
    fill_box(map, 100, 50, 0, 10, 8, 1);  // 80 = 5 %: stays
    fill_box(map, 100, 70, 0, 10, 7, 1);  // 70: goes
    fill_box(map, 100, 50, 50, 3, 3, 2);  // 9 pixels, but the largest of its tag: stays
    fill_box(map, 100, 60, 60, 2, 2, 2);  // 4 < 16 pixels: goes, whatever its share
    fill_box(map, 100, 80, 80, 4, 4, 3);  // ties for the largest: both stay
    fill_box(map, 100, 90, 90, 4, 4, 3);
    tm_regions regions = find(map, 100, 100, 3, NULL, (tm_region_rules){0.05f, -1, 0});
    const uint64_t areas[] = {1600, 80, 9, 16, 16};
    const size_t tags[] = {0, 0, 1, 2, 2};
    assert_int_equal(regions.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(regions.items[i].area, areas[i]);
        assert_int_equal(regions.items[i].tag, tags[i]);
    }
    assert_int_equal(regions.items[3].left, 80);
    assert_int_equal(map[75], 0);
    assert_int_equal(map[60 * 100 + 60], 0);
    assert_int_equal(map[55], 1);
    tm_regions_free(&regions);
    free(map);
}

// "One shape a tag": also for small parts that min_part would keep, and also when min_part keeps all.
static void max_parts_keeps_the_largest(void **state) {
    (void)state;
    for (int keep_all = 0; keep_all < 2; keep_all++) {
        for (uint32_t most = 1; most <= 4; most++) {
            uint8_t *map = calloc(100, 100);
            fill_box(map, 100, 0, 0, 20, 20, 1);
            fill_box(map, 100, 50, 0, 20, 30, 1);
            fill_box(map, 100, 50, 50, 20, 25, 1);
            fill_box(map, 100, 0, 50, 30, 30, 2);
            tm_region_rules rules = {keep_all ? -1 : 0.05f, -1, most};
            tm_regions regions = find(map, 100, 100, 2, NULL, rules);
            const uint64_t areas[] = {600, 500, 400};
            size_t kept = TM_MIN(most, 3);
            assert_int_equal(regions.count, kept + 1);
            for (size_t i = 0; i < kept; i++) assert_int_equal(regions.items[i].area, areas[i]);
            assert_int_equal(regions.items[kept].area, 900);
            assert_int_equal(map[0], most >= 3);
            assert_int_equal(map[55], 1);
            tm_regions_free(&regions);
            free(map);
        }
    }
}

static void keep_all_keeps_all(void **state) {
    (void)state;
    uint8_t *map = calloc(100, 100), *before = malloc(10000);
    fill_box(map, 100, 0, 0, 40, 40, 1);
    fill_box(map, 100, 10, 10, 1, 1, 0);
    fill_box(map, 100, 70, 70, 1, 1, 1);
    memcpy(before, map, 10000);
    tm_regions regions = find(map, 100, 100, 1, NULL, exact);
    assert_int_equal(regions.count, 2);
    assert_int_equal(regions.items[0].hole_count, 1);
    assert_memory_equal(map, before, 10000);
    tm_regions_free(&regions);
    free(before);
    free(map);
}

static void small_holes_are_filled_and_others_stay(void **state) {
    (void)state;
    uint8_t *map = calloc(100, 100);
    fill_box(map, 100, 0, 0, 90, 90, 1);
    fill_box(map, 100, 10, 10, 5, 3, 0);  // 15 pixels: filled
    fill_box(map, 100, 30, 10, 4, 4, 0);  // 16: stays
    fill_box(map, 100, 50, 10, 5, 2, 0);  // 10 pixels, but it also borders tag 2: stays
    fill_box(map, 100, 50, 12, 5, 4, 2);
    fill_box(map, 100, 0, 50, 3, 3, 0);  // at the photo's edge: no hole
    tm_regions regions = find(map, 100, 100, 2, NULL, (tm_region_rules){0.05f, -1, 0});
    assert_int_equal(regions.count, 2);
    assert_int_equal(map[11 * 100 + 12], 1);
    assert_int_equal(map[11 * 100 + 31], 0);
    assert_int_equal(map[11 * 100 + 52], 0);
    assert_int_equal(map[51 * 100 + 1], 0);
    assert_int_equal(regions.items[0].hole_count, 2);
    assert_int_equal(regions.items[0].area, 8100 - 16 - 30 - 9);
    uint8_t *again = repaint(&regions, 100, 100);
    assert_memory_equal(again, map, 10000);
    free(again);
    tm_regions_free(&regions);
    free(map);
}

static void score_is_the_mean_inside(void **state) {
    (void)state;
    const char *rows[] = {"11.2", "1..2"};
    const float probability[] = {0.5f, 0.75f, 9, 9, 1, 9, 9, 9, 9, 9, 9, 0.25f, 9, 9, 9, 0.5f};
    uint8_t *map = draw(rows, 4, 2);
    tm_regions regions = find(map, 4, 2, 2, probability, exact);
    assert_int_equal(regions.count, 2);
    assert_true(fabsf(regions.items[0].score - 0.75f) < 1e-6f);
    assert_true(fabsf(regions.items[1].score - 0.375f) < 1e-6f);
    tm_regions_free(&regions);
    free(map);
}

static size_t flood(uint8_t *map, uint32_t width, uint32_t height, size_t start, size_t *stack) {
    uint8_t label = map[start];
    size_t depth = 0, area = 0;
    stack[depth++] = start;
    map[start] = 0;
    while (depth) {
        size_t p = stack[--depth], x = p % width, y = p / width;
        const size_t near[4] = {x ? p - 1 : p, x + 1 < width ? p + 1 : p, y ? p - width : p,
                                y + 1 < height ? p + width : p};
        area++;
        for (int i = 0; i < 4; i++) {
            if (map[near[i]] != label) continue;
            map[near[i]] = 0;
            stack[depth++] = near[i];
        }
    }
    return area;
}

static void noise_agrees_with_a_flood_fill(void **state) {
    (void)state;
    enum { W = 61, H = 47, TAGS = 3 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        float *noise = test_noise(seed, W * H, 0, TAGS + 1.5f);
        uint8_t *map = calloc(W, H), *copy = calloc(W, H);
        size_t stack[W * H], parts = 0, pixels = 0;
        for (size_t i = 0; i < W * H; i++) map[i] = noise[i] >= TAGS + 1 ? 0 : (uint8_t)noise[i];
        tm_regions regions = find(map, W, H, TAGS, NULL, exact);
        uint8_t *again = repaint(&regions, W, H);
        assert_memory_equal(again, map, W * H);
        memcpy(copy, map, W * H);
        for (size_t i = 0; i < W * H; i++) {
            if (!copy[i]) continue;
            pixels += flood(copy, W, H, i, stack);
            parts++;
        }
        assert_int_equal(regions.count, parts);
        for (size_t i = 0; i < regions.count; i++) pixels -= regions.items[i].area;
        assert_int_equal(pixels, 0);
        tm_regions_free(&regions);
        free(again);
        free(copy);
        free(map);
        free(noise);
    }
}

// Smooth shapes with holes: the sign of a few waves.
static uint8_t *blobs(uint32_t width, uint32_t height, uint64_t seed, float scale) {
    uint8_t *map = calloc(width, height);
    float *wave = test_noise(seed, 24, -1, 1);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            float sum = 0;
            for (int i = 0; i < 8; i++) {
                sum += sinf((wave[3 * i] * (float)x + wave[3 * i + 1] * (float)y) / scale + 9 * wave[3 * i + 2]);
            }
            map[(size_t)y * width + x] = sum > 0.4f;
        }
    }
    free(wave);
    return map;
}

static bool proper_crossing(const float *a, const float *b, const float *c, const float *d) {
    float s1 = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    float s2 = (b[0] - a[0]) * (d[1] - a[1]) - (b[1] - a[1]) * (d[0] - a[0]);
    float s3 = (d[0] - c[0]) * (a[1] - c[1]) - (d[1] - c[1]) * (a[0] - c[0]);
    float s4 = (d[0] - c[0]) * (b[1] - c[1]) - (d[1] - c[1]) * (b[0] - c[0]);
    return s1 * s2 < 0 && s3 * s4 < 0;
}

static void assert_simple(const float *points, size_t count) {
    assert_true(count >= 3);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            assert_false(proper_crossing(points + 2 * i, points + 2 * ((i + 1) % count), points + 2 * j,
                                         points + 2 * ((j + 1) % count)));
        }
    }
}

static float distance_to_ring(const float *p, const float *points, size_t count) {
    float least = INFINITY;
    for (size_t i = 0; i < count; i++) {
        const float *a = points + 2 * i, *b = points + 2 * ((i + 1) % count);
        float dx = b[0] - a[0], dy = b[1] - a[1];
        float t = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy);
        t = fminf(fmaxf(t, 0), 1);
        least = fminf(least, hypotf(p[0] - a[0] - t * dx, p[1] - a[1] - t * dy));
    }
    return least;
}

static void simplified_polygons_stay_close(void **state) {
    (void)state;
    enum { W = 240, H = 180 };
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint8_t *map = blobs(W, H, seed, 14);
        tm_regions all = find(map, W, H, 1, NULL, (tm_region_rules){0.05f, -1, 0});
        tm_regions few = find(map, W, H, 1, NULL, (tm_region_rules){0.05f, 1, 0});
        uint8_t *again = repaint(&few, W, H);
        size_t both = 0, either = 0, all_points = 0, few_points = 0;
        for (size_t i = 0; i < W * H; i++) both += map[i] && again[i], either += map[i] || again[i];
        if (!((double)both >= 0.98 * (double)either)) fail_msg("IoU %g", (double)both / (double)either);
        assert_int_equal(all.count, few.count);
        for (size_t i = 0; i < all.count; i++) {
            const tagmask_region *a = &all.items[i], *b = &few.items[i];
            all_points += a->outline_points;
            few_points += b->outline_points;
            assert_simple(b->outline, b->outline_points);
            for (size_t k = 0; k < a->outline_points; k++) {
                assert_true(distance_to_ring(a->outline + 2 * k, b->outline, b->outline_points) <= 1.0001f);
            }
            assert_int_equal(a->hole_count, b->hole_count);
            for (size_t k = 0; k < b->hole_count; k++) assert_simple(b->holes[k], b->hole_points[k]);
        }
        assert_true(few_points * 3 < all_points);
        free(again);
        tm_regions_free(&all);
        tm_regions_free(&few);
        free(map);
    }
}

// Lines of one pixel would collapse to nothing, combs to crossings: they keep what they need.
static void thin_parts_keep_their_area(void **state) {
    (void)state;
    enum { W = 64, H = 40 };
    uint8_t *map = calloc(W, H);
    for (uint32_t i = 0; i < 30; i++) map[i * W + i] = map[i * W + i + 1] = 1;
    for (uint32_t x = 34; x < 64; x += 2) fill_box(map, W, x, 2, 1, 30, 2);
    fill_box(map, W, 34, 32, 30, 1, 2);
    fill_box(map, W, 2, 38, 25, 1, 3);
    tm_regions regions = find(map, W, H, 3, NULL, (tm_region_rules){-1, 4, 0});
    assert_int_equal(regions.count, 3);
    for (size_t i = 0; i < regions.count; i++) {
        const tagmask_region *region = &regions.items[i];
        double area = 0;
        assert_simple(region->outline, region->outline_points);
        for (size_t k = 0; k < region->outline_points; k++) {
            const float *a = region->outline + 2 * k, *b = region->outline + 2 * ((k + 1) % region->outline_points);
            area += (double)(a[0] * b[1] - b[0] * a[1]) / 2;
        }
        assert_true(area > 0);
    }
    tm_regions_free(&regions);
    free(map);
}

static void same_input_same_bits(void **state) {
    (void)state;
    uint8_t *map = blobs(300, 200, 7, 6);
    tm_regions a = find(map, 300, 200, 1, NULL, (tm_region_rules){0.05f, 1, 0});
    tm_regions b = find(map, 300, 200, 1, NULL, (tm_region_rules){0.05f, 1, 0});
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.items[i].outline_points, b.items[i].outline_points);
        assert_memory_equal(a.items[i].outline, b.items[i].outline, 8 * a.items[i].outline_points);
    }
    tm_regions_free(&a);
    tm_regions_free(&b);
    free(map);
}

static void extremes(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_regions regions = {0};
    uint8_t *map = calloc(65535, 2);
    regions = find(map, 65535, 2, 1, NULL, (tm_region_rules){0.05f, 1, 0});
    assert_int_equal(regions.count, 0);
    tm_regions_free(&regions);
    memset(map, 1, 65535 * 2);
    regions = find(map, 2, 65535, 1, NULL, (tm_region_rules){0.05f, 1, 0});
    const float outline[] = {0, 0, 2, 0, 2, 65535, 0, 65535};
    assert_int_equal(regions.count, 1);
    assert_points(regions.items[0].outline, regions.items[0].outline_points, outline, 4);
    tm_regions_free(&regions);
    map[5] = 9;
    const tm_region_rules rules = {-1, 1, 0};
    assert_int_equal(tm_regions_find(map, 65535, 2, 1, NULL, &rules, &regions, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "label 9"));
    assert_int_equal(tm_regions_find(map, 65536, 1, 1, NULL, &rules, &regions, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tm_regions_find(map, 0, 1, 1, NULL, &rules, &regions, &err), TAGMASK_ERROR_ARGUMENT);
    free(map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_has_outline_and_hole),
        cmocka_unit_test(corners_do_not_connect_parts),
        cmocka_unit_test(small_parts_return_to_the_background),
        cmocka_unit_test(max_parts_keeps_the_largest),
        cmocka_unit_test(keep_all_keeps_all),
        cmocka_unit_test(small_holes_are_filled_and_others_stay),
        cmocka_unit_test(score_is_the_mean_inside),
        cmocka_unit_test(noise_agrees_with_a_flood_fill),
        cmocka_unit_test(simplified_polygons_stay_close),
        cmocka_unit_test(thin_parts_keep_their_area),
        cmocka_unit_test(same_input_same_bits),
        cmocka_unit_test(extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
