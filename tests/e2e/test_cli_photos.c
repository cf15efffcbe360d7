// The command on photos with the real networks: what is written, printed and returned, above all when something is
// wrong. The fast preset without saliency keeps it short where the masks do not matter.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "io/image.h"
#include "io/npy.h"

#define QUICK "--preset", "fast", "--saliency", "none", "--crf-iterations", "0"

static char *folder;

static char *path_of(const char *name) {
    static char paths[8][4200];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_write_file(path_of(name), text, strlen(text), &err), &err);
}

// A bright disc on a dark ground; with gray set, the disc's mask.
static void write_disc(const char *name, bool gray) {
    enum { WIDTH = 96, HEIGHT = 64 };
    static uint8_t pixels[WIDTH * HEIGHT * 3];
    tm_error err = TAGMASK_ERROR_INIT;
    uint32_t channels = gray ? 1 : 3;
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        int x = i % WIDTH - 40, y = i / WIDTH - 30;
        bool inside = x * x + y * y < 20 * 20;
        for (uint32_t c = 0; c < channels; c++) {
            int colour = inside ? 250 - 60 * (int)c : 20 + i % 7;
            pixels[(uint32_t)i * channels + c] = (uint8_t)(gray ? 255 * inside : colour);
        }
    }
    tm_png png = {.width = WIDTH, .height = HEIGHT, .channels = channels, .pixels = pixels};
    assert_ok(tm_png_write(path_of(name), &png, &err), &err);
}

static const command_result *run(const char *const *words) {
    return run_tagmask(folder, NULL, words);
}

static int set_up(void **state) {
    (void)state;
    folder = test_temporary_dir();
    mkdir(path_of("a"), 0777);
    mkdir(path_of("b"), 0777);
    write_disc("a/disc.png", false);
    write_disc("b/disc.png", false);
    write_text("a/notes.txt", "no picture");
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    free(folder);
    return 0;
}

static void test_tags(void **state) {
    (void)state;
    expect_command(run(WORDS("tags", "Cats")), 0, "cat: 5 classes\n   281 ", NULL);
    expect_command(run(WORDS("tags", "person")), 0, "person: 0 classes; ", NULL);
    expect_command(run(WORDS("tags")), 0, "\naeroplane\n", NULL);
    const command_result *result = run(WORDS("tags", "hrose", "#281"));
    expect_command(result, 2, "#281: 1 class", "horse");
    expect_command(run(WORDS("tags", "cat", "--model", "no-such-pack")), 1, NULL, "no-such-pack");
    const char *const no_driver[] = {"VK_ICD_FILENAMES=/nonexistent", "VK_DRIVER_FILES=/nonexistent", NULL};
    expect_command(run_tagmask(folder, no_driver, WORDS("tags", "cat")), 0, "cat: 5 classes\n   281 ", NULL);
}

static void test_unknown_tag(void **state) {
    (void)state;
    // What is wrong for every photo is said once, and leaves nothing behind.
    expect_command(run(WORDS("propose", "a/disc.png", "--tag", "cat", "--out", "unknown", "--method", "foo", QUICK)), 2,
                   "", "parameter method: \"foo\"");
    expect_command(run(WORDS("propose", "a/disc.png", "--tag", "cat", "--out", "unknown", "--layer", "foo", QUICK)), 2,
                   "", "parameter layer: \"foo\"");
    expect_command(run(WORDS("propose", "a/disc.png", "--tag", "catt", "--out", "unknown", QUICK)), 2, "",
                   "nearest names are: cat");
    assert_false(tm_file_exists(path_of("unknown/disc.json")));
}

static void count_files(const char *name, size_t expected) {
    char command[4400], text[40];
    snprintf(command, sizeof command, "find '%s' -type f | wc -l", path_of(name));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(text, sizeof text, pipe));
    pclose(pipe);
    assert_int_equal(atoi(text), expected);
}

// A missing, a truncated and an empty file among good ones: each is named, the good ones are done, nothing
// half-written.
static void test_bad_photos(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *bytes;
    size_t size;
    assert_ok(tm_read_file(path_of("a/disc.png"), 1 << 20, &bytes, &size, &err), &err);
    assert_ok(tm_write_file(path_of("cut.png"), bytes, size / 2, &err), &err);
    free(bytes);
    write_text("empty.jpg", "");
    const command_result *result =
        run(WORDS("propose", "missing.png", "cut.png", "a", "empty.jpg", "--tag", "ball", "--tag", "balls", "--format",
                  "labelme,prob,voc,overlay", "--out", "bad", QUICK));
    expect_command(result, 1, "a/disc.png -> bad/disc.* (labelme, prob, voc, overlay)\n  ball: ", "missing.png: ");
    expect_command(result, 1, NULL, "tagmask: cut.png: ");
    expect_command(result, 1, NULL, "tagmask: empty.jpg: ");
    expect_command(result, 1, NULL, "tagmask: 3/4 a/disc.png\n");
    count_files("bad", 5);  // one of them is the list of what is done
    tagmask_tensor prob = {.struct_size = sizeof prob};
    assert_ok(tm_npy_read(path_of("bad/disc.ball.npy"), &prob, &err), &err);
    assert_int_equal(prob.rank, 2);
    assert_int_equal(prob.dims[0], 64);
    assert_int_equal(prob.dims[1], 96);
    for (size_t i = 0; i < 64 * 96; i++) {
        float p = ((float *)prob.data)[i];
        assert_true(p >= 0 && p <= 1);
    }
    free(prob.data);
}

// A white bar over a third of a gray photo, which saliency finds or not: a mask must fit the photo in any case.
static void write_bar(const char *name, uint32_t width, uint32_t height) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *pixels = malloc((size_t)width * height);
    assert_non_null(pixels);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            bool inside = x >= width / 3 && x <= width / 3 * 2 && y >= height / 3 && y <= height / 3 * 2;
            pixels[(size_t)y * width + x] = inside ? 255 : (uint8_t)(90 + (x ^ y) % 8);
        }
    }
    tm_png png = {.width = width, .height = height, .channels = 1, .pixels = pixels};
    assert_ok(tm_png_write(path_of(name), &png, &err), &err);
    free(pixels);
}

static void test_extreme_sides(void **state) {
    (void)state;
    static const struct {
        const char *photo, *stem;
        uint32_t width, height;
    } photos[] = {{"extreme/one.png", "one", 1, 1},
                  {"extreme/wide.png", "wide", 60000, 50},
                  {"extreme/tall.png", "tall", 50, 60000}};
    mkdir(path_of("extreme"), 0777);
    for (size_t i = 0; i < TM_ARRAY_LEN(photos); i++) write_bar(photos[i].photo, photos[i].width, photos[i].height);
    expect_command(run(WORDS("propose", "extreme", "--tag", "person", "--preset", "fast", "--threshold", "0.1",
                             "--format", "labelme,voc,prob", "--out", "extreme-out")),
                   0, NULL, NULL);
    for (size_t i = 0; i < TM_ARRAY_LEN(photos); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_result *result = NULL;
        tagmask_tensor prob = {.struct_size = sizeof prob};
        uint32_t width = photos[i].width, height = photos[i].height;
        char name[100];
        snprintf(name, sizeof name, "extreme-out/%s.person.npy", photos[i].stem);
        assert_ok(tm_npy_read(path_of(name), &prob, &err), &err);
        assert_true(prob.dims[0] == height && prob.dims[1] == width);
        snprintf(name, sizeof name, "extreme-out/%s.json", photos[i].stem);
        assert_ok(tagmask_result_read("labelme", path_of(name), photos[i].photo, width, height, &result, &err), &err);
        size_t wrong = 0, pixels = (size_t)width * height, least = TM_MAX(pixels / 65536, (size_t)16);
        for (size_t p = 0; p < pixels; p++) {
            float value = ((float *)prob.data)[p];
            assert_true(value >= 0 && value <= 1);
            wrong += tagmask_result_labels(result)[p] != (value >= 0.1f);
        }
        // Polygons are simplified by up to a pixel, and the smallest parts and holes are left out.
        assert_true(wrong <= pixels / 10 + least);
        tagmask_result_free(result);
        free(prob.data);
    }
}

static void test_same_names(void **state) {
    (void)state;
    expect_command(run(WORDS("propose", "a/disc.png", "b/disc.png", "a/disc.png", "--tag", "#805", "--out", "same",
                             "--format", "prob", QUICK)),
                   0, "b/disc.png -> same/2/disc.* (prob)", NULL);
    count_files("same", 3);
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *one, *two;
    size_t one_size, two_size;
    assert_ok(tm_read_file(path_of("same/disc.#805.npy"), 1 << 20, &one, &one_size, &err), &err);
    assert_ok(tm_read_file(path_of("same/2/disc.#805.npy"), 1 << 20, &two, &two_size, &err), &err);
    assert_int_equal(one_size, two_size);
    assert_memory_equal(one, two, one_size);  // same picture, same bits
    free(one);
    free(two);
}

static void test_targets(void **state) {
    (void)state;
    // A folder cannot be made below a file, nor written to without permission (root may write everywhere).
    expect_command(run(WORDS("propose", "a/disc.png", "--tag", "cat", "--out", "a/notes.txt/out", QUICK)), 1, "",
                   "a/notes.txt/out");
    mkdir(path_of("locked"), 0555);
    if (geteuid() != 0) {
        expect_command(run(WORDS("propose", "a/disc.png", "--tag", "cat", "--out", "locked", QUICK)), 1, "",
                       "locked: cannot be written to");
    }
    // A label map would replace the photo.
    expect_command(run(WORDS("propose", "a/disc.png", "--tag", "cat", "--out", "a", "--format", "voc,prob", QUICK)), 1,
                   NULL, "choose another");
    assert_true(tm_file_exists(path_of("a/disc.cat.npy")));
    // What a person drew is kept.
    const char drawn[] =
        "{\"shapes\":[{\"label\":\"mine\",\"points\":[[1,1],[9,1],[9,9]],\"shape_type\":\"polygon\",\"flags\":{}}],"
        "\"imagePath\":\"disc.png\",\"imageWidth\":96,\"imageHeight\":64}";
    mkdir(path_of("drawn"), 0777);
    write_text("drawn/disc.json", drawn);
    expect_command(run(WORDS("propose", "a/disc.png", "--tag", "cat", "--score-limit", "-1", "--out", "drawn", QUICK)),
                   0, NULL, NULL);
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *text;
    size_t size;
    assert_ok(tm_read_file(path_of("drawn/disc.json"), 1 << 20, &text, &size, &err), &err);
    assert_non_null(strstr((char *)text, "\"mine\""));
    assert_non_null(strstr((char *)text, "\"cat\""));
    free(text);
}

static void test_tag_files(void **state) {
    (void)state;
    write_text("tags.csv", "file,tag\na/disc.png,ball\na/disc.png,nonsenseword\n");
    const command_result *result =
        run(WORDS("propose", "a/disc.png", "b/disc.png", "--tags-from", "csv:tags.csv", "--out", "fromcsv", QUICK));
    expect_command(result, 1, "  ball: ", "unknown tag \"nonsenseword\"");
    expect_command(result, 1, NULL, "b/disc.png: no tag for this photo");
    expect_command(run(WORDS("propose", "a/disc.png", "--auto", "2", "--out", "auto", QUICK)), 0, "a/disc.png -> auto",
                   NULL);
}

// Saliency is what the baseline and way 2 need, so this one runs both networks.
static void test_eval(void **state) {
    (void)state;
    mkdir(path_of("set"), 0777);
    write_disc("set/p.png", false);
    write_disc("set/m.png", true);
    write_text("set/index.csv", "file,mask,set,salient\np.png,m.png,discs,1\n");
    write_text("set/tags.csv",
               "file,mask_value,object,imagenet_indices,tag_quality,class_complete,area_frac\n"
               "p.png,255,ball,805,exact,1,0.2\np.png,255,person,,,1,0.2\n");
    const command_result *result = run(WORDS("eval", "--data", "set", "--preset", "fast", "--crf-iterations", "0",
                                             "--cache", "cache", "--out", "one.json", "--json"));
    expect_command(result, 0, "\"centre_box\"", NULL);
    expect_command(result, 0, "\"rows\":\t1", NULL);
    assert_true(tm_file_exists(path_of("one.json")));
    assert_false(tm_file_exists(path_of("one.json.partial")));
    expect_command(run(WORDS("eval", "--data", "set", "--preset", "fast", "--crf-iterations", "0", "--cache", "cache",
                             "--way", "2", "--against", "one.json")),
                   0, "all tags of a photo at once", "1/1 p.png");
    // A broken photo is named; the rest is scored.
    write_text("set/index.csv", "file,mask,set,salient\np.png,m.png,discs,1\nq.png,m.png,discs,1\n");
    result = run(WORDS("eval", "--data", "set", "--preset", "fast", "--crf-iterations", "0", "--cache", "cache",
                       "--out", "two.json"));
    expect_command(result, 1, "1 photos failed", "q.png");
    assert_true(tm_file_exists(path_of("two.json.partial")));
    // What is done already is not done again.
    write_disc("set/q.png", false);
    result = run(WORDS("eval", "--data", "set", "--preset", "fast", "--crf-iterations", "0", "--cache", "cache",
                       "--out", "two.json"));
    expect_command(result, 0, "saliency: MAE", "going on after 1 photos");
    assert_false(tm_file_exists(path_of("two.json.partial")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags),          cmocka_unit_test(test_unknown_tag), cmocka_unit_test(test_bad_photos),
        cmocka_unit_test(test_extreme_sides), cmocka_unit_test(test_same_names),  cmocka_unit_test(test_targets),
        cmocka_unit_test(test_tag_files),     cmocka_unit_test(test_eval),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
