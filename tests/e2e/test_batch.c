// Batches with the real command and tiny networks: folders, going on where a run ended, signals, a full disk.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/platform.h"
#include "command.h"
#include "io/image.h"
#include "tiny_pack.h"

#define QUICK "--preset", "fast", "--crf-iterations", "0", "--working-size", "128"

static void put(const char *path, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
}

static void put_photo(const char *path) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = tiny_photo();
    tm_png png = {.width = photo.width, .height = photo.height, .channels = 3, .pixels = (uint8_t *)photo.pixels};
    char *folder = tm_format("%.*s.", (int)(tm_file_name(path) - path), path);
    assert_ok(tm_make_dirs(folder, &err), &err);
    assert_ok(tm_png_write(path, &png, &err), &err);
    free(folder);
}

// Every test works in a folder of its own, with p/a/1.png, p/b/1.png and p/2.png.
static int set_up(void **state) {
    (void)state;
    tiny_classifier();  // before the folder is left, which decides where temporary folders are
    tiny_saliency();
    char *folder = test_temporary_dir();
    int failed = chdir(folder);
    free(folder);
    put_photo("p/a/1.png");
    put_photo("p/b/1.png");
    put_photo("p/2.png");
    return failed;
}

static const command_result *propose(const char *tag, const char *format, const char *more) {
    return run_tagmask(NULL, NULL,
                       WORDS("propose", "p", "--tag", tag, "--format", format, "--out", "out", "--model",
                             tiny_classifier(), "--saliency", tiny_saliency(), QUICK, more));
}

static char *text_of(const char *path) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *data = NULL;
    size_t size;
    assert_ok(tm_read_file(path, 1 << 24, &data, &size, &err), &err);
    return (char *)data;
}

static size_t count_in(const char *path, const char *word) {
    char *text = text_of(path);
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) count++;
    free(text);
    return count;
}

static size_t temporaries_in(const char *folder) {
    tm_error err = TAGMASK_ERROR_INIT;
    char **names;
    size_t count, found = 0;
    assert_ok(tm_list_folder(folder, &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++) found += strstr(names[i], ".tmp") != NULL;
    tm_free_names(names, count);
    return found;
}

static void the_output_mirrors_the_folders(void **state) {
    (void)state;
    expect_command(propose("cup", "labelme,coco,yolo,voc,overlay", NULL), 0,
                   "3 photos: 3 done, 0 skipped, 0 failed, 0 not reached; 0 tags without a region; ", NULL);
    static const char *const files[] = {"out/a/1.json", "out/b/1.json", "out/2.json", "out/a/1.png", "out/b/1.txt"};
    for (size_t i = 0; i < TM_ARRAY_LEN(files); i++) assert_true(tm_file_exists(files[i]));
    assert_int_equal(count_in("out/a/1.json", "../../p/a/1.png"), 1);
    assert_int_equal(count_in("out/coco.json", "\"file_name\":"), 3);
    assert_int_equal(count_in("out/coco.json", "\"file_name\":\"a/1.png\""), 1);
    assert_int_equal(count_in("out/coco.json", "\"file_name\":\"b/1.png\""), 1);
    assert_false(tm_file_exists("out/a/classes.txt"));
    // Beside the photos, what was written is not taken for photos.
    for (int i = 0; i < 2; i++) {
        expect_command(run_tagmask(NULL, NULL,
                                   WORDS("propose", "p", "--tag", "cup", "--format", "overlay,heatmap", "--out", "p",
                                         "--model", tiny_classifier(), "--saliency", tiny_saliency(), QUICK)),
                       0, "3 photos: 3 done", NULL);
    }
}

static void folders_can_be_the_tags(void **state) {
    (void)state;
    put_photo("q/cat/1.png");
    put_photo("q/cup/1.png");
    put_photo("q/cup/nonsense/1.png");
    const command_result *result =
        run_tagmask(NULL, NULL,
                    WORDS("propose", "q", "--tags-from", "folder", "--out", "tagged", "--model", tiny_classifier(),
                          "--saliency", tiny_saliency(), QUICK));
    expect_command(result, 1, "3 photos: 2 done, 0 skipped, 1 failed, 0 not reached", "unknown tag \"nonsense\"");
    expect_command(result, 1, "  failed: q/cup/nonsense/1.png: none of its tags is known\n", NULL);
    expect_command(result, 1, "q/cat/1.png -> tagged/cat/1.* (labelme)\n  cat: ", NULL);
    expect_command(result, 1, "q/cup/1.png -> tagged/cup/1.* (labelme)\n  cup: ", NULL);
}

static void empty_tags_are_named(void **state) {
    (void)state;
    const command_result *result =
        run_tagmask(NULL, NULL,
                    WORDS("propose", "p/2.png", "--tag", "cat", "--tag", "cup", "--tag", "dog", "--tag", "sky", "--out",
                          "out", "--model", tiny_classifier(), "--saliency", tiny_saliency(), QUICK, "--threshold",
                          "0.99", "--score-limit", "1"));
    size_t empty = 0, named = 0;
    for (const char *at = result->out; (at = strstr(at, ": 0 parts, ")) != NULL; at++) empty++;
    for (const char *at = result->out; (at = strstr(at, "  empty: p/2.png: ")) != NULL; at++) {
        named++;
        static const char *const reasons[] = {": nowhere more probable than 0.", ": wherever it reaches",
                                              ": the classifier does not see it"};
        size_t given = 0;
        for (size_t i = 0; i < TM_ARRAY_LEN(reasons); i++) given += strstr(at, reasons[i]) != NULL;
        assert_true(given > 0);
    }
    assert_int_equal(empty, 4);  // the classifier is nowhere quite sure of one
    assert_int_equal(named, empty);
    char *counts = tm_format("; %zu tag%s without a region; ", empty, empty == 1 ? "" : "s");
    expect_command(result, 0, counts, NULL);
    free(counts);
}

static void expect_resumed(const char *tag, const char *format, const char *counts) {
    char *line = tm_format("3 photos: %s, 0 failed, 0 not reached", counts);
    expect_command(propose(tag, format, "--resume"), 0, line, NULL);
    free(line);
}

static void what_is_done_is_skipped(void **state) {
    (void)state;
    const char all[] = "labelme,coco,prob";
    tm_error err = TAGMASK_ERROR_INIT;
    expect_resumed("cup", all, "3 done, 0 skipped");
    char *before = text_of("out/coco.json");
    expect_resumed("cup", all, "0 done, 3 skipped");
    expect_resumed("cups", "prob,coco,labelme", "0 done, 3 skipped");  // the same tag and formats, said otherwise
    char *after = text_of("out/coco.json");
    assert_string_equal(before, after);
    free(before);
    free(after);
    // Whatever is missing or not the same is done again.
    assert_true(tm_file_remove("out/a/1.json"));
    expect_resumed("cup", all, "1 done, 2 skipped");
    assert_true(tm_file_remove("out/b/1.cup.npy"));
    expect_resumed("cup", all, "1 done, 2 skipped");
    assert_true(tm_file_remove("out/coco.json"));
    expect_resumed("cup", all, "3 done, 0 skipped");
    assert_int_equal(count_in("out/coco.json", "\"file_name\":"), 3);
    char *photo = text_of("p/2.png");
    tm_file_info info;
    assert_true(tm_file_stat("p/2.png", &info));
    char *longer = tm_calloc(info.size + 1, 1);
    memcpy(longer, photo, info.size);
    assert_ok(tm_write_file("p/2.png", longer, info.size + 1, &err), &err);  // a byte behind the last chunk
    expect_resumed("cup", all, "1 done, 2 skipped");
    expect_resumed("cat", all, "3 done, 0 skipped");
    expect_resumed("cat", "labelme,coco,prob,yolo", "3 done, 0 skipped");
    expect_command(propose("cat", all, NULL), 0, "3 photos: 3 done, 0 skipped", NULL);  // nobody asked for --resume
    free(photo);
    free(longer);
}

static const command_result *propose_one(const char *photo, const char *source, const char *tags, const char *format,
                                         const char *more) {
    return run_tagmask(NULL, NULL,
                       WORDS("propose", photo, source, tags, "--format", format, "--out", "out", "--model",
                             tiny_classifier(), "--saliency", tiny_saliency(), QUICK, more));
}

// coco.json cannot be both the labels of coco.png and the file of all photos.
static void a_photo_is_not_named_like_a_file_of_all(void **state) {
    (void)state;
    static const char *const formats[] = {"labelme,coco", "label-studio,labelme-mask"};
    static const char *const names[] = {"coco", "label-studio"};
    for (size_t i = 0; i < TM_ARRAY_LEN(names); i++) {
        char *photo = tm_format("q%zu/%s.png", i, names[i]), *folder = tm_format("q%zu", i);
        char *why = tm_format("%s.json: is the file in which %s keeps all photos", names[i], names[i]);
        char *other = tm_format("q%zu/other%zu.png", i, i);
        put_photo(photo);
        put_photo(other);
        expect_command(propose_one(folder, "--tag", "cup", formats[i], NULL), 1, "2 photos: 1 done", why);
        expect_command(propose_one(folder, "--tag", "cup", names[i], NULL), 0, "2 photos: 2 done", NULL);
        free(other);
        free(why);
        free(folder);
        free(photo);
    }
}

// Labels that another run wrote meanwhile, in whole or in part, are done again.
static void labels_of_another_run_are_not_skipped(void **state) {
    (void)state;
    put("t.csv", "2.png,dog\n2.png,none such\n");
    expect_command(propose_one("p/2.png", "--tag", "cup", "labelme", NULL), 0, "1 done", NULL);
    expect_command(propose_one("p/2.png", "--tag", "cup", "labelme", "--resume"), 0, "1 skipped", NULL);
    expect_command(propose_one("p/2.png", "--tags-from", "csv:t.csv", "labelme", NULL), 1, "1 failed", NULL);
    assert_true(count_in("out/2.json", "\"dog\""));
    expect_command(propose_one("p/2.png", "--tag", "cup", "labelme", "--resume"), 0, "1 done, 0 skipped", NULL);
    assert_false(count_in("out/2.json", "\"dog\""));
    // The second format fails when the first is written.
    expect_command(propose_one("p/2.png", "--tag", "cup", "labelme,overlay", NULL), 0, "1 done", NULL);
    assert_true(tm_file_replace("out/2.overlay.png", "kept.png"));
    put("out/2.overlay.png", "of a person");
    expect_command(propose_one("p/2.png", "--tag", "dog", "labelme,overlay", NULL), 1, "1 failed", NULL);
    assert_true(tm_file_replace("kept.png", "out/2.overlay.png"));
    expect_command(propose_one("p/2.png", "--tag", "cup", "labelme,overlay", "--resume"), 0, "1 done, 0 skipped", NULL);
    assert_false(count_in("out/2.json", "\"dog\""));
}

// Photos of one stem share their label files, whatever their endings.
static void labels_of_another_photo_are_not_skipped(void **state) {
    (void)state;
    put_photo("x/1.png");
    put_photo("y/1.jpg");  // by its content a PNG
    expect_command(propose_one("x/1.png", "--tag", "cup", "voc", NULL), 0, "1 done", NULL);
    expect_command(propose_one("y/1.jpg", "--tag", "dog", "voc", NULL), 0, "1 done", NULL);
    expect_command(propose_one("x/1.png", "--tag", "cup", "voc", "--resume"), 0, "1 done, 0 skipped", NULL);
    expect_command(propose_one("x/1.png", "--tag", "cup", "voc", "--resume"), 0, "0 done, 1 skipped", NULL);
}

static void leftovers_go(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_make_dirs("out/a", &err), &err);
    put("out/.tagmask-1-2.tmp", "half");
    put("out/a/.tagmask-1-2.tmp", "half");
    expect_command(propose("cup", "labelme", NULL), 0, "3 photos: 3 done", NULL);
    assert_int_equal(temporaries_in("out") + temporaries_in("out/a"), 0);
}

// ---- Signals

// Starts a batch of 200 photos and waits for its first; *out is the read end of its standard output.
static pid_t start_long_batch(FILE **out) {
    int ends[2];
    char line[600] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (!freopen("/dev/null", "w", stderr)) _exit(126);
        execl(TEST_BUILD "/bin/tagmask", "tagmask", "propose", "long", "--tag", "cup", "--format", "labelme,coco",
              "--out", "out", "--resume", "--preset", "fast", "--crf-iterations", "0", "--working-size", "128",
              "--model", tiny_classifier(), "--saliency", tiny_saliency(), (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *out = fdopen(ends[0], "r");
    assert_non_null(*out);
    assert_non_null(fgets(line, sizeof line, *out));
    assert_non_null(strstr(line, "long/"));
    return child;
}

static void put_long_batch(void) {
    put_photo("long/000.png");
    for (int i = 1; i < 200; i++) {
        char *path = tm_format("long/%03d.png", i);
        assert_int_equal(link("long/000.png", path), 0);
        free(path);
    }
}

static void a_signal_ends_a_batch_in_order(void **state) {
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    put_long_batch();
    unsigned done = 0, skipped = 0;
    for (size_t i = 0; i < TM_ARRAY_LEN(signals); i++) {
        FILE *out;
        char line[600], summary[600] = "", why[600] = "";
        int status = 0;
        pid_t child = start_long_batch(&out);
        assert_int_equal(kill(child, signals[i]), 0);
        while (fgets(line, sizeof line, out)) {
            if (!strncmp(line, "200 photos: ", 12)) strcpy(summary, line);
            if (!strncmp(line, "  stopped ", 10)) strcpy(why, line);
        }
        fclose(out);
        assert_true(waitpid(child, &status, 0) == child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        unsigned before = done + skipped;
        assert_int_equal(sscanf(summary, "200 photos: %u done, %u skipped, 0 failed, ", &done, &skipped), 2);
        assert_int_equal(skipped, before);
        assert_true(done >= 1);
        assert_non_null(strstr(why, i ? "asked to end" : "interrupted"));
        assert_int_equal(count_in("out/coco.json", "\"file_name\":"), done + skipped);
        assert_int_equal(temporaries_in("out"), 0);
    }
}

static void a_second_signal_ends_it_at_once(void **state) {
    (void)state;
    put_long_batch();
    FILE *out;
    int status = 0;
    pid_t child = start_long_batch(&out);
    assert_int_equal(kill(child, SIGSTOP), 0);  // so that both arrive
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) && (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM));
    fclose(out);
}

// ---- Files that cannot be written

static void a_file_that_cannot_be_written_is_named(void **state) {
    (void)state;
    expect_command(propose("cup", "labelme,coco,prob", NULL), 0, "3 photos: 3 done", NULL);
    char *labels = text_of("out/b/1.json");
    assert_true(tm_file_remove("out/a/1.cup.npy") && tm_folder_make("out/a/1.cup.npy"));  // nothing can replace it
    const command_result *result = propose("cup", "labelme,coco,prob", NULL);
    expect_command(result, 1, "3 photos: 2 done, 0 skipped, 1 failed, 0 not reached", "");
    expect_command(result, 1, "  failed: p/a/1.png: out/a/1.cup.npy: cannot be written: ",
                   "tagmask: p/a/1.png: out/a/1.cup.npy: cannot be written: ");
    assert_int_equal(temporaries_in("out") + temporaries_in("out/a") + temporaries_in("out/b"), 0);
    char *after = text_of("out/b/1.json");
    assert_string_equal(labels, after);
    assert_int_equal(rmdir("out/a/1.cup.npy"), 0);
    expect_resumed("cup", "labelme,coco,prob", "1 done, 2 skipped");
    free(labels);
    free(after);
}

// A person saves the file while a batch runs: the photos that wait then fail, and the next run does them.
static void work_of_the_meantime_stays(void **state) {
    (void)state;
    put_long_batch();
    FILE *out;
    char line[600], summary[600] = "";
    int status = 0;
    unsigned done = 0, failed = 0;
    tm_error err = TAGMASK_ERROR_INIT;
    pid_t child = start_long_batch(&out);
    for (int i = 0; i < 8; i++) assert_non_null(fgets(line, sizeof line, out));
    assert_int_equal(kill(child, SIGSTOP), 0);
    char *text = text_of("out/coco.json"), *changed = tm_format("{\"note\": \"by hand\",%s", text + 1);
    assert_ok(tm_write_file("out/coco.json", changed, strlen(changed), &err), &err);
    assert_int_equal(kill(child, SIGCONT), 0);
    while (fgets(line, sizeof line, out)) {
        if (!strncmp(line, "200 photos: ", 12)) strcpy(summary, line);
    }
    fclose(out);
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_int_equal(sscanf(summary, "200 photos: %u done, 0 skipped, %u failed, 0 not reached", &done, &failed), 2);
    if (failed < 1 || failed >= 100) fail_msg("%s", summary);
    assert_int_equal(count_in("out/coco.json", "by hand"), 1);
    assert_int_equal(count_in("out/coco.json", "\"file_name\":"), done);
    child = start_long_batch(&out);
    while (fgets(line, sizeof line, out)) {
    }
    fclose(out);
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(count_in("out/coco.json", "by hand"), 1);
    assert_int_equal(count_in("out/coco.json", "\"file_name\":"), 200);
    free(text);
    free(changed);
}

// Needs to mount a small file system.
static void a_full_disk_ends_a_batch(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_make_dirs("out", &err), &err);
    if (mount("tmpfs", "out", "tmpfs", 0, "size=64k")) {
        print_message("left out: mounting a small file system is not permitted here\n");
        skip();
    }
    const command_result *result = propose("cup", "labelme,coco,prob", NULL);
    bool status = result->status == 1, said = strstr(result->err, ": cannot be written: No space left on device; make");
    bool stopped = strstr(result->out, "the disk of the output folder is full; the same command with --resume");
    size_t left = temporaries_in("out");
    // With room, it goes on.
    bool grown = !mount("tmpfs", "out", "tmpfs", MS_REMOUNT, "size=8m");
    char *text = tm_format("%s%s", result->out, result->err);
    bool whole = propose("cup", "labelme,coco,prob", "--resume")->status == 0;
    size_t images = count_in("out/coco.json", "\"file_name\":");
    assert_int_equal(umount("out"), 0);
    if (!status || !said || !stopped || !grown || !whole) fail_msg("%s", text);
    assert_int_equal(left, 0);
    assert_int_equal(images, 3);
    free(text);
}

#define IN_FOLDER(test) cmocka_unit_test_setup(test, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_output_mirrors_the_folders),
        IN_FOLDER(folders_can_be_the_tags),
        IN_FOLDER(empty_tags_are_named),
        IN_FOLDER(what_is_done_is_skipped),
        IN_FOLDER(a_photo_is_not_named_like_a_file_of_all),
        IN_FOLDER(labels_of_another_run_are_not_skipped),
        IN_FOLDER(labels_of_another_photo_are_not_skipped),
        IN_FOLDER(leftovers_go),
        IN_FOLDER(a_signal_ends_a_batch_in_order),
        IN_FOLDER(a_second_signal_ends_it_at_once),
        IN_FOLDER(a_file_that_cannot_be_written_is_named),
        IN_FOLDER(work_of_the_meantime_stays),
        IN_FOLDER(a_full_disk_ends_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
