// `tagmask eval` from end to end with packs of a few layers: every stage is scored, the page holds what it shows, the
// same run gives the same files, and an interrupted one goes on.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval_page.h"
#include "command.h"
#include "io/image.h"
#include "tiny_pack.h"

static char *folder;

static char *path_of(const char *name) {
    char *path = tm_path_join(folder, name);
    assert_non_null(path);
    return path;
}

static void put(const char *name, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = path_of(name);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    free(path);
}

static char *get(const char *name) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *data;
    size_t size;
    char *path = path_of(name);
    assert_ok(tm_read_file(path, (size_t)64 << 20, &data, &size, &err), &err);
    free(path);
    return (char *)data;
}

static bool exists(const char *name) {
    char *path = path_of(name);
    bool there = tm_file_exists(path);
    free(path);
    return there;
}

static void write_picture(const char *name, uint32_t channels, uint32_t width, uint32_t height, const uint8_t *pixels) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = path_of(name);
    tm_png png = {.width = width, .height = height, .channels = channels, .pixels = pixels};
    assert_ok(tm_png_write(path, &png, &err), &err);
    free(path);
}

// Two photos. The name of the first is one that HTML must escape.
static int set_up(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    folder = test_temporary_dir();
    tagmask_image photo = tiny_photo();
    uint8_t *mask = tm_calloc((size_t)photo.width * photo.height, 1);
    char *data = path_of("data");
    assert_ok(tm_make_dirs(data, &err), &err);
    free(data);
    for (uint32_t y = 0; y < photo.height; y++) {
        for (uint32_t x = 0; x < photo.width; x++) mask[(size_t)y * photo.width + x] = x < photo.width / 2 ? 1 : 2;
    }
    write_picture("data/a&b.png", 3, photo.width, photo.height, photo.pixels);
    write_picture("data/c.png", 3, photo.width, photo.height, photo.pixels);
    write_picture("data/mask.png", 1, photo.width, photo.height, mask);
    put("data/index.csv", "file,set,salient,mask\na&b.png,<s>,1,mask.png\nc.png,s,0,mask.png\n");
    put("data/tags.csv",
        "file,mask_value,object,imagenet_indices,tag_quality,class_complete,area_frac\n"
        "a&b.png,1,cat,0,exact,1,0.5\nc.png,1,dog,1,exact,1,0.5\nc.png,2,sky,3,exact,1,0.5\n");
    free(mask);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(folder);
    return 0;
}

#define EVAL(...)                                                                                               \
    run_tagmask(folder, NULL,                                                                                   \
                WORDS("eval", "--data", "data", "--preset", "fast", "--working-size", "128", "--cache", "none", \
                      "--model", tiny_classifier(), "--saliency", __VA_ARGS__))

// What does not depend on the time that a run took.
static char *without_times(const char *name) {
    char *text = get(name);
    cJSON *root = cJSON_Parse(text), *photo;
    assert_non_null(root);
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(root, "summary"), "median_ms");
    cJSON_ArrayForEach(photo, cJSON_GetObjectItem(root, "photos")) cJSON_DeleteItemFromObject(photo, "ms");
    free(text);
    text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

static double number(const cJSON *parent, const char *name) {
    const cJSON *item = cJSON_GetObjectItem(parent, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void check_row(const cJSON *row, bool with_saliency) {
    const cJSON *stages = cJSON_GetObjectItem(row, "stages"), *ours = cJSON_GetObjectItem(row, "tagmask");
    size_t count = 0;
    for (; tagmask_stage_name(count); count++) {
        const char *stage = tagmask_stage_name(count);
        // No built-in preset refines along edges.
        bool expected = strcmp(stage, "refined") != 0 && (with_saliency || strcmp(stage, "saliency") != 0);
        assert_int_equal(cJSON_HasObjectItem(stages, stage), expected);
    }
    assert_int_equal(cJSON_HasObjectItem(row, "saliency_alone"), with_saliency);
    // The last stage is what the proposal is cut from.
    const cJSON *last = cJSON_GetObjectItem(stages, "probability");
    assert_true(cJSON_Compare(last, ours, true));
    double precision = number(ours, "precision"), recall = number(ours, "recall"), iou = number(ours, "iou_fixed");
    if (iou > 0) assert_true(fabs(1 / iou - (1 / precision + 1 / recall - 1)) < 1e-9);
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(row, "proposed")), number(row, "score") > 0);
    double rank = number(row, "class_rank"), probability = number(row, "class_probability");
    assert_true(rank >= 1 && rank <= TINY_CLASSES && probability > 0 && probability <= 1);
}

// Every picture that the page names is there.
static size_t check_pictures(const char *page, const char *html) {
    size_t count = 0;
    for (const char *at = html; (at = strstr(at, "src=\"")) != NULL; count++) {
        at += 5;
        char *name = tm_format("%s/%.*s", page, (int)strcspn(at, "\""), at);
        if (!exists(name)) fail_msg("%s is missing", name);
        free(name);
    }
    return count;
}

static void every_stage_is_scored(void **state) {
    (void)state;
    expect_command(EVAL(tiny_saliency(), "--absent", "2", "--page", "page", "--out", "one.json"), 0,
                   "3 absent tags on 2 photos", NULL);
    char *text = get("one.json");
    cJSON *root = cJSON_Parse(text);
    const cJSON *photos = cJSON_GetObjectItem(root, "photos"), *photo, *row;
    size_t stages = eval_method_count() - EVAL_METHODS - 1;  // all but "refined"
    assert_int_equal(cJSON_GetArraySize(photos), 2);
    cJSON_ArrayForEach(photo, photos) {
        cJSON_ArrayForEach(row, cJSON_GetObjectItem(photo, "rows")) check_row(row, true);
    }
    // Two other tags for the cat, one for dog and sky.
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetArrayItem(photos, 0), "absent")), 2);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetArrayItem(photos, 1), "absent")), 1);
    const cJSON *summary = cJSON_GetObjectItem(root, "summary");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(summary, "stages")), (int)stages);
    cJSON_Delete(root);
    free(text);
    // The page: three rows of a photo, the stages, a proposal and the truth; names are escaped.
    text = get("page/index.html");
    assert_int_equal(check_pictures("page", text), 3 * (stages + 3));
    assert_non_null(strstr(text, "a&amp;b.png"));
    assert_non_null(strstr(text, "set &lt;s&gt;"));
    assert_null(strstr(text, "<s>"));
    double last = -1;
    for (const char *at = text; (at = strstr(at, "<b>IoU ")) != NULL; at++) {
        double iou = strtod(at + 7, NULL);
        assert_true(iou >= last);
        last = iou;
    }
    free(text);
    // The same again gives the same files.
    expect_command(EVAL(tiny_saliency(), "--absent", "2", "--page", "again", "--out", "two.json"), 0, NULL, NULL);
    static const char *const same[] = {"index.html", "settings.json", NULL};
    for (size_t i = 0; same[i]; i++) {
        char *a = tm_format("page/%s", same[i]), *b = tm_format("again/%s", same[i]), *x = get(a), *y = get(b);
        assert_string_equal(x, y);
        free(a);
        free(b);
        free(x);
        free(y);
    }
    char *one = without_times("one.json"), *two = without_times("two.json");
    assert_string_equal(one, two);
    free(one);
    free(two);
}

static void other_ways(void **state) {
    (void)state;
    // All tags at once: the stages are those of the proposal's tags.
    expect_command(EVAL(tiny_saliency(), "--way", "2", "--out", "way2.json", "--against", "one.json"), 0,
                   "less that of one.json", NULL);
    char *text = get("way2.json");
    cJSON *root = cJSON_Parse(text);
    const cJSON *photo, *row;
    cJSON_ArrayForEach(photo, cJSON_GetObjectItem(root, "photos")) {
        cJSON_ArrayForEach(row, cJSON_GetObjectItem(photo, "rows")) check_row(row, true);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(photo, "absent")), 0);
    }
    const cJSON *against = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "summary"), "against");
    assert_true(number(cJSON_GetObjectItem(cJSON_GetObjectItem(against, "stages"), "cam"), "mIoU_difference") == 0);
    cJSON_Delete(root);
    free(text);
    // Without a saliency network there is no such stage and no such baseline.
    expect_command(EVAL("none", "--page", "bare", "--out", "bare.json"), 0, "centre box", NULL);
    text = get("bare.json");
    root = cJSON_Parse(text);
    cJSON_ArrayForEach(photo, cJSON_GetObjectItem(root, "photos")) {
        cJSON_ArrayForEach(row, cJSON_GetObjectItem(photo, "rows")) check_row(row, false);
    }
    cJSON_Delete(root);
    free(text);
    text = get("bare/index.html");
    check_pictures("bare", text);
    assert_null(strstr(text, "saliency.png"));
    free(text);
}

// What stands between two pieces of a text; malloc'ed.
static char *between(const char *text, const char *before, const char *after) {
    const char *from = strstr(text, before), *to = from ? strstr(from, after) : NULL;
    assert_true(from && to);
    from += strlen(before);
    return tm_format("%.*s", (int)(to - from), from);
}

// The file that a run leaves which was stopped after its first photo; `ms` tells the photo from one done again.
static void interrupt(const char *finished, const char *partial) {
    char *text = get(finished), *settings = between(text, "\"settings\":", ",\"summary\":");
    char *head = between(text, "\"photos\":[", "\"ms\":"), *rows = between(text, "\"rows\":[{", ",{\"file\":\"c.png\"");
    char *lines = tm_format("%s\n%s\"ms\":123456,\"rows\":[{%s\n{\"fi", settings, head, rows);
    put(partial, lines);
    free(text);
    free(settings);
    free(head);
    free(rows);
    free(lines);
}

static bool first_was_kept(const char *out) {
    char *text = get(out);
    cJSON *root = cJSON_Parse(text);
    double ms = number(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "photos"), 0), "ms");
    cJSON_Delete(root);
    free(text);
    return ms == 123456;
}

static void an_interrupted_run_goes_on(void **state) {
    (void)state;
    expect_command(EVAL(tiny_saliency(), "--absent", "1", "--page", "p", "--out", "p.json"), 0, NULL, NULL);
    char *whole = without_times("p.json"), *name = eval_page_name("a&b.png", 0, "cam");
    char *picture = tm_format("p/%s", name), *path = path_of(picture);
    // The photo that is done keeps its figures and its pictures.
    interrupt("p.json", "p.json.partial");
    put(picture, "kept");
    expect_command(EVAL(tiny_saliency(), "--absent", "1", "--page", "p", "--out", "p.json"), 0, NULL,
                   "going on after 1");
    assert_true(first_was_kept("p.json"));
    assert_false(exists("p.json.partial"));
    char *text = get(picture);
    assert_string_equal(text, "kept");
    free(text);
    text = without_times("p.json");
    assert_string_equal(text, whole);
    free(text);
    // With a picture missing it is done again.
    interrupt("p.json", "p.json.partial");
    assert_int_equal(remove(path), 0);
    expect_command(EVAL(tiny_saliency(), "--absent", "1", "--page", "p", "--out", "p.json"), 0, NULL, "done again");
    assert_false(first_was_kept("p.json"));
    assert_true(exists(picture));
    // So it is when the pictures are those of other settings, and when other settings are asked for.
    interrupt("p.json", "p.json.partial");
    put("p/settings.json", "{}");
    expect_command(EVAL(tiny_saliency(), "--absent", "1", "--page", "p", "--out", "p.json"), 0, NULL, "done again");
    assert_false(first_was_kept("p.json"));
    interrupt("p.json", "p.json.partial");
    expect_command(EVAL(tiny_saliency(), "--absent", "2", "--out", "p.json"), 0, NULL, NULL);
    assert_false(first_was_kept("p.json"));
    free(whole);
    free(name);
    free(picture);
    free(path);
}

static void folders_that_cannot_be_used(void **state) {
    (void)state;
    put("file", "x");
    expect_command(EVAL(tiny_saliency(), "--page", "file"), 1, NULL, "file: is a file; expected a folder");
    expect_command(EVAL(tiny_saliency(), "--page", "file/below"), 1, NULL, "file");
    char *mine = path_of("mine");
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_make_dirs(mine, &err), &err);
    put("mine/index.html", "<p>mine</p>");
    expect_command(EVAL(tiny_saliency(), "--page", "mine"), 1, NULL, "was not written by tagmask eval");
    char *text = get("mine/index.html");
    assert_string_equal(text, "<p>mine</p>");
    free(text);
    free(mine);
    expect_command(EVAL(tiny_saliency(), "--page", ""), 2, NULL, "--page: the value is empty");
    expect_command(EVAL(tiny_saliency(), "--absent", "-1"), 2, NULL, "--absent");
}

static void names_of_pictures(void **state) {
    (void)state;
    char *a = eval_page_name("a/x<1>.jpg", 0, "cam"), *b = eval_page_name("b/x<1>.jpg", 0, "cam");
    char *photo = eval_page_name("a/x<1>.jpg", 5, NULL);
    assert_string_not_equal(a, b);
    assert_int_equal(strncmp(a, "pictures/x_1_-", 14), 0);
    assert_non_null(strstr(a, "-1-cam.png"));
    assert_null(strstr(photo, "-6"));
    free(a);
    free(b);
    free(photo);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stage_is_scored),      cmocka_unit_test(other_ways),
        cmocka_unit_test(an_interrupted_run_goes_on), cmocka_unit_test(folders_that_cannot_be_used),
        cmocka_unit_test(names_of_pictures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
