// Run-length codes: the bytes that pycocotools, label-studio-converter and CVAT write for one mask, and round trips.
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/rle.h"
#include "support.h"

// 6 x 4 pixels, rows 1 to 2 and columns 2 to 4 set.
static const uint8_t box[6] = {1, 1, 1, 1, 1, 1};
static const tm_box_mask example = {box, 2, 1, 4, 2, 6, 4};

static void known_codes(void **state) {
    (void)state;
    tm_text text = {0};
    tm_rle_coco(&example, &text);
    assert_string_equal(text.data, "9220003");
    text.size = 0;
    tm_rle_label_studio(&example, &text);
    assert_string_equal(text.data, "0,0,0,96,57,27,254,31,0,183,255,108,2,223,254,27,0,0");
    text.size = 0;
    tm_rle_cvat(&example, &text);
    assert_string_equal(text.data, "0, 6");
    free(text.data);
}

static uint8_t *boxed(const uint8_t *map, uint32_t width, tm_box_mask *mask) {
    uint32_t w = mask->right - mask->left + 1, h = mask->bottom - mask->top + 1;
    uint8_t *pixels = malloc((size_t)w * h);
    for (uint32_t y = 0; y < h; y++) memcpy(pixels + y * w, map + (size_t)(y + mask->top) * width + mask->left, w);
    mask->pixels = pixels;
    return pixels;
}

// "1,2,3" to bytes.
static size_t parse_list(const char *text, uint8_t *out) {
    size_t count = 0;
    char *end;
    for (;; text = end + 1) {
        out[count++] = (uint8_t)strtoul(text, &end, 10);
        if (*end != ',') return count;
    }
}

static void round_trip(uint32_t width, uint32_t height, const uint8_t *map, tm_box_mask mask) {
    tm_text text = {0};
    size_t count = (size_t)width * height;
    uint8_t *pixels = boxed(map, width, &mask), *again = malloc(count), *list;
    tm_rle_coco(&mask, &text);
    assert_true(tm_rle_coco_decode(text.data, text.size, width, height, again));
    assert_memory_equal(again, map, count);
    assert_false(tm_rle_coco_decode(text.data, text.size - 1, width, height, again));
    text.size = 0;
    memset(again, 0xff, count);
    tm_rle_label_studio(&mask, &text);
    list = malloc(text.size + 1);
    size_t bytes = parse_list(text.data, list);
    assert_true(tm_rle_label_studio_decode(list, bytes, width, height, again));
    assert_memory_equal(again, map, count);
    assert_false(tm_rle_label_studio_decode(list, bytes - 2, width, height, again));
    text.size = 0;
    uint32_t w = mask.right - mask.left + 1, h = mask.bottom - mask.top + 1;
    tm_rle_cvat(&mask, &text);
    assert_true(tm_rle_cvat_decode(text.data, w, h, again));
    assert_memory_equal(again, pixels, (size_t)w * h);
    assert_false(tm_rle_cvat_decode(text.data, w, h + 1, again));
    free(list);
    free(again);
    free(pixels);
    free(text.data);
}

static void codes_decode_to_the_mask(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {7, 1}, {1, 9}, {13, 17}, {200, 3}, {64, 64}};
    for (size_t s = 0; s < TM_ARRAY_LEN(sizes); s++) {
        uint32_t w = sizes[s][0], h = sizes[s][1];
        for (int density = 0; density <= 10; density++) {
            float *noise = test_noise(s * 11 + (uint64_t)density, (size_t)w * h, 0, 10);
            uint8_t *map = calloc(w, h);
            for (uint32_t i = 0; i < w * h; i++) map[i] = noise[i] < (float)density;
            round_trip(w, h, map, (tm_box_mask){NULL, 0, 0, w - 1, h - 1, w, h});
            // The same inside a box: everything else is background.
            uint32_t left = w / 3, top = h / 3, right = w - 1 - w / 4, bottom = h - 1 - h / 4;
            for (uint32_t i = 0; i < w * h; i++) {
                map[i] = map[i] && i % w >= left && i % w <= right && i / w >= top && i / w <= bottom;
            }
            round_trip(w, h, map, (tm_box_mask){NULL, left, top, right, bottom, w, h});
            free(map);
            free(noise);
        }
    }
}

static void long_runs_are_split(void **state) {
    (void)state;
    uint8_t *map = calloc(700, 500);
    memset(map + 100000, 1, 200000);
    round_trip(700, 500, map, (tm_box_mask){NULL, 0, 0, 699, 499, 700, 500});
    free(map);
}

static void hostile_codes_are_refused(void **state) {
    (void)state;
    uint8_t pixels[64] = {0}, bytes[40];
    static const char *const coco[] = {"", "9", "9220004", "922000300", "~~~", "oooooooooooooooooo", "/", "OOOO", "o"};
    for (size_t i = 0; i < TM_ARRAY_LEN(coco); i++)
        assert_false(tm_rle_coco_decode(coco[i], strlen(coco[i]), 6, 4, pixels));
    static const char *const cvat[] = {"",      "5",     "7", "0, 7", "a", "0,", "0;6", "99999999999999999999999999",
                                       "-1, 7", "0, , 6"};
    for (size_t i = 0; i < TM_ARRAY_LEN(cvat); i++) assert_false(tm_rle_cvat_decode(cvat[i], 3, 2, pixels));
    test_random random = {5};
    for (int i = 0; i < 20000; i++) {
        size_t size = (size_t)test_uniform(&random, 0, 40);
        for (size_t k = 0; k < size; k++) bytes[k] = (uint8_t)test_uniform(&random, 0, 256);
        const uint8_t head[7] = {0, 0, 0, 96, 57, 27, 254};
        if (size >= 7 && i & 1) memcpy(bytes, head, 7);
        uint8_t *exact = malloc(size ? size : 1), *out = malloc(24);  // so that a sanitizer sees every step beyond
        memcpy(exact, bytes, size);
        tm_rle_label_studio_decode(exact, size, 6, 4, out);
        for (size_t k = 0; k < size; k++) exact[k] = (uint8_t)(48 + exact[k] % 64);
        tm_rle_coco_decode((const char *)exact, size, 6, 4, out);
        free(exact);
        free(out);
    }
    assert_false(tm_rle_label_studio_decode(bytes, 0, 6, 4, pixels));
}

static void text_is_escaped_and_numbers_are_short(void **state) {
    (void)state;
    tm_text text = {0};
    tm_text_xml(&text, "a<b>&\"'\n\x01z\xc3\xa9");
    assert_string_equal(text.data, "a&lt;b&gt;&amp;&quot;&apos;&#10;z\xc3\xa9");
    text.size = 0;
    static const double numbers[] = {0, 1, -2.5, 0.1, 1.0 / 3, 123456.0000004, -0.0000001, 65535};
    for (size_t i = 0; i < TM_ARRAY_LEN(numbers); i++) {
        tm_text_number(&text, numbers[i]);
        tm_text_add(&text, " ");
    }
    assert_string_equal(text.data, "0 1 -2.5 0.1 0.333333 123456 0 65535 ");
    text.size = 0;
    tm_text_percent(&text, "a/b-1_~.jpg?d=\xc3\xa9 100%&");
    assert_string_equal(text.data, "a/b-1_~.jpg%3Fd%3D%C3%A9%20100%25%26");
    tm_percent_decode(text.data);
    assert_string_equal(text.data, "a/b-1_~.jpg?d=\xc3\xa9 100%&");
    strcpy(text.data, "%41%6a%6A%%4%zz%00%e");
    tm_percent_decode(text.data);
    assert_string_equal(text.data, "Ajj%%4%zz%00%e");
    text.size = 0;
    for (int i = 0; i < 1000; i++) tm_text_add(&text, "%0300d", i);
    assert_int_equal(text.size, 300000);
    free(text.data);
}

// Also in a host program whose locale writes 0,5.
static void numbers_are_read_in_every_locale(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
        size_t used;
    } cases[] = {{"0.5 1", 0.5, 3}, {" -1.25e2,", -125, 8}, {"7", 7, 1},       {"0,5", 0, 1}, {"x", 0, 0},
                 {"inf", 0, 0},     {"0x10", 0, 1},         {"1.2.3", 1.2, 3}, {"", 0, 0},    {"-", 0, 0}};
    char *dir = test_temporary_dir(), command[4400];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s/comma' >'%s/log' 2>&1", dir, dir);
    bool comma = !system(command) && !setenv("LOCPATH", dir, 1) && setlocale(LC_NUMERIC, "comma");
    for (int with_comma = 0; with_comma <= comma; with_comma++) {
        setlocale(LC_NUMERIC, with_comma ? "comma" : "C");
        for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
            char *end;
            double value = tm_parse_number(cases[i].text, &end);
            if (value != cases[i].value || (size_t)(end - cases[i].text) != cases[i].used) {
                fail_msg("\"%s\" is %g, %zu characters", cases[i].text, value, (size_t)(end - cases[i].text));
            }
        }
    }
    setlocale(LC_NUMERIC, "C");
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_codes),
        cmocka_unit_test(codes_decode_to_the_mask),
        cmocka_unit_test(long_runs_are_split),
        cmocka_unit_test(hostile_codes_are_refused),
        cmocka_unit_test(text_is_escaped_and_numbers_are_short),
        cmocka_unit_test(numbers_are_read_in_every_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
