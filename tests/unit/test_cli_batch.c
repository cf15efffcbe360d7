// Parts of a batch: the list of photos, where their tags come from, the list of what is done, and the summary.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/platform.h"
#include "cli/inputs.h"
#include "cli/journal.h"
#include "cli/propose.h"
#include "cli/summary.h"
#include "cli/tag_source.h"
#include "io/formats.h"
#include "labels.h"
#include "support.h"

// Every test works in a folder of its own.
static int enter_folder(void **state) {
    (void)state;
    char *folder = test_temporary_dir();
    int failed = chdir(folder);
    free(folder);
    return failed;
}

static void put(const char *path, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = tm_format("%.*s.", (int)(tm_file_name(path) - path), path);
    assert_ok(tm_make_dirs(folder, &err), &err);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    free(folder);
}

// ---- Photos

// "PATH>ROOT/STEM" of every photo, with a space behind each.
static const char *photos_of(const char *out, const char *const *arguments) {
    static char list[1100];
    tm_error err = TAGMASK_ERROR_INIT;
    cli_inputs inputs;
    int count = 0;
    char *words[8];
    while (arguments[count]) {
        words[count] = (char *)arguments[count];
        count++;
    }
    *list = 0;
    tagmask_status status = cli_inputs_collect(words, count, out, &inputs, &err);
    if (status != TAGMASK_OK) snprintf(list, sizeof list, "status %d: %.900s", (int)status, err.message);
    for (size_t i = 0; i < inputs.count && status == TAGMASK_OK; i++) {
        const cli_input *input = &inputs.items[i];
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s>%s/%s ", input->path, inputs.roots[input->root],
                 input->stem);
        assert_true(strstr(input->path, input->name) == input->path + strlen(input->path) - strlen(input->name));
    }
    cli_inputs_free(&inputs);
    return list;
}
#define PHOTOS(out, ...) photos_of(out, (const char *const[]){__VA_ARGS__, NULL})

static void folders_are_walked(void **state) {
    (void)state;
    put("p/b.JPG", "broken");
    put("p/a.png", "broken");
    put("p/.hidden.png", "x");
    put("p/.git/x.png", "x");
    put("p/notes.txt", "x");
    put("p/plain", "\x89PNG\r\n\x1a\n...");
    put("p/a/2.jpg", "x");
    put("p/a/10.jpg", "x");
    put("p/a/deep/er/1.jpeg", "x");
    put("p/z/1.jpeg", "x");
    const char expected[] =
        "p/a/10.jpg>out/a/10 p/a/2.jpg>out/a/2 p/a/deep/er/1.jpeg>out/a/deep/er/1 p/a.png>out/a p/b.JPG>out/b "
        "p/plain>out/plain p/z/1.jpeg>out/z/1 ";
    assert_string_equal(PHOTOS("out", "p"), expected);
    assert_string_equal(PHOTOS("out", "p/", "p"), expected);
    // A path that is named twice is taken once; a missing one is kept, for its reader to say so.
    assert_string_equal(PHOTOS("out", "p/z", "missing.png", "p/z/1.jpeg"), "p/z/1.jpeg>out/1 missing.png>out/missing ");
    put("empty/notes.txt", "x");
    assert_non_null(strstr(PHOTOS("out", "empty"), "empty: holds no picture"));
}

static void links_lead_nowhere_twice(void **state) {
    (void)state;
    put("p/a/1.jpg", "x");
    put("elsewhere/2.jpg", "x");
    assert_int_equal(symlink("..", "p/a/up"), 0);
    assert_int_equal(symlink("a", "p/again"), 0);
    assert_int_equal(symlink("../elsewhere", "p/far"), 0);
    assert_int_equal(symlink("nowhere", "p/broken.jpg"), 0);
    assert_string_equal(PHOTOS("out", "p"), "p/a/1.jpg>out/a/1 p/far/2.jpg>out/far/2 ");
}

static int unreadable_after = -1;  // names; -1: never

struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder) {
    if (unreadable_after < 0 || unreadable_after--) return __real_readdir(folder);
    errno = EIO;
    return NULL;
}

// What may be a photo and cannot be reached is no link to nothing: the run is not complete.
static void what_cannot_be_reached_is_named(void **state) {
    (void)state;
    char *words[] = {"p"}, name[301];
    tm_error err = TAGMASK_ERROR_INIT;
    cli_inputs inputs;
    put("p/1.jpg", "x");
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(symlink("nowhere", "p/broken.jpg"), 0);
    assert_int_equal(symlink("loop.jpg", "p/loop.jpg"), 0);
    assert_ok(cli_inputs_collect(words, 1, "out", &inputs, &err), &err);
    assert_int_equal(inputs.count, 1);
    assert_false(inputs.incomplete);
    cli_inputs_free(&inputs);
    assert_int_equal(symlink(name, "p/0.jpg"), 0);  // longer than a name can be, which not even root can look at
    assert_ok(cli_inputs_collect(words, 1, "out", &inputs, &err), &err);
    assert_int_equal(inputs.count, 1);
    assert_true(inputs.incomplete);
    cli_inputs_free(&inputs);
}

static void a_folder_that_ends_in_an_error_is_named(void **state) {
    (void)state;
    put("p/1.jpg", "x");
    put("p/2.jpg", "x");
    for (int after = 0; after < 3; after++) {
        unreadable_after = after;
        assert_non_null(strstr(PHOTOS("out", "p"), "p: cannot be listed: "));
        unreadable_after = -1;
    }
    assert_string_equal(PHOTOS("out", "p"), "p/1.jpg>out/1 p/2.jpg>out/2 ");
}

static void results_are_no_photos(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t pixels[3 * 16] = {0};
    put("p/1.jpg", "x");
    put("p/out/1.jpg", "x");
    assert_string_equal(PHOTOS("p/out", "p"), "p/1.jpg>p/out/1 ");
    assert_string_equal(PHOTOS("p/./a/../out/", "p"), "p/1.jpg>p/./a/../out//1 p/out/1.jpg>p/./a/../out//out/1 ");
    assert_int_equal(tm_folder_make("p/a"), true);  // now the path leads to the folder
    assert_non_null(strstr(PHOTOS("p/./a/../out", "p"), "p/1.jpg>"));
    assert_null(strstr(PHOTOS("p/./a/../out", "p"), "p/out/1.jpg"));
    // Beside the photos: the folder itself is walked, but pictures that tagmask wrote are none.
    tm_png png = {.width = 4, .height = 4, .channels = 3, .pixels = pixels};
    assert_ok(tm_label_picture("p/1.overlay.png", &png, &err), &err);
    assert_ok(tm_png_write("p/2.png", &png, &err), &err);
    assert_string_equal(PHOTOS("p", "p"), "p/1.jpg>p/1 p/2.png>p/2 p/out/1.jpg>p/out/1 ");
    assert_string_equal(PHOTOS("out", "p/1.overlay.png"), "p/1.overlay.png>out/1.overlay ");
}

static void equal_names_go_apart(void **state) {
    (void)state;
    put("p/1.jpg", "x");
    put("p/1.PNG", "x");
    put("p/a/1.jpg", "x");
    put("p/2/1.jpg", "x");
    put("q/A/1.jpg", "x");
    assert_string_equal(PHOTOS("out", "p", "q", "p/a/1.jpg", "q/A/1.jpg"),
                        "p/1.PNG>out/1 p/1.jpg>out/3/1 p/2/1.jpg>out/2/1 p/a/1.jpg>out/a/1 q/A/1.jpg>out/3/A/1 ");
    assert_string_equal(PHOTOS("out", "p/1.jpg", "p/2/1.jpg", "q/A/1.jpg"),
                        "p/1.jpg>out/1 p/2/1.jpg>out/2/1 q/A/1.jpg>out/3/1 ");
}

// ---- Tags

// The tags of a photo joined by commas. others: names of the batch, may be NULL.
static const char *tags_of(const char *text, const char *photo, const char *name, const char *const *others) {
    static char joined[200];
    tag_source *source = NULL;
    cli_list tags = {0};
    tm_error err = TAGMASK_ERROR_INIT;
    joined[0] = 0;
    tagmask_status status = tag_source_open(text, &source, &err);
    for (size_t i = 0; status == TAGMASK_OK && others && others[i]; i++) tag_source_claim(source, others[i]);
    if (status == TAGMASK_OK) status = tag_source_find(source, photo, name, &tags, &err);
    if (status != TAGMASK_OK) snprintf(joined, sizeof joined, "status %d: %.150s", (int)status, err.message);
    for (size_t i = 0; i < tags.count && status == TAGMASK_OK; i++) {
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", i ? "," : "", tags.items[i]);
    }
    free(tags.items);
    tag_source_close(source);
    return joined;
}
static const char *find(const char *text, const char *photo) {
    return tags_of(text, photo, tm_file_name(photo), NULL);
}

static void tags_of_csv(void **state) {
    (void)state;
    put("t.csv", "tag,file\ncat,x/a.jpg\ndog,./a.jpg\ncat,a.jpg\ncow,b.jpg\n");
    assert_string_equal(find("csv:t.csv", "a.jpg"), "dog,cat");
    assert_string_equal(find("csv:t.csv", "aa.jpg"), "");
    put("t.csv", "a.jpg,cat\na.jpg,\n");
    assert_non_null(strstr(find("csv:t.csv", "a.jpg"), "row 2"));
    put("t.csv", "name,file,label\na,1.jpg,cat\n");
    assert_non_null(strstr(find("csv:t.csv", "1.jpg"), "row 1: has 3 fields; expected rows file,tag"));
    put("t.csv", "\n");
    assert_non_null(strstr(find("csv:t.csv", "1.jpg"), "t.csv: is empty"));
    assert_non_null(strstr(find("csv:none.csv", "a.jpg"), "none.csv"));
    assert_non_null(strstr(find("xml:x", "a.jpg"), "expected labelme, csv:FILE, coco:FILE or folder"));
}

// a/1.jpg, b/1.jpg and 1.jpg are three photos.
static void rows_belong_to_paths(void **state) {
    (void)state;
    static const char *const names[] = {"1.jpg", "a/1.jpg", "b/1.jpg", "c/1.jpg", NULL};
    put("t.csv", "a/1.jpg,cat\nb/1.jpg,dog\nb/1.jpg,bird\n1.jpg,cow\n");
    assert_string_equal(tags_of("csv:t.csv", "p/1.jpg", "1.jpg", names), "cow");
    assert_string_equal(tags_of("csv:t.csv", "p/a/1.jpg", "a/1.jpg", names), "cat");
    assert_string_equal(tags_of("csv:t.csv", "p/b/1.jpg", "b/1.jpg", names), "dog,bird");
    assert_string_equal(tags_of("csv:t.csv", "p/c/1.jpg", "c/1.jpg", names), "");  // 1.jpg is another's
    assert_string_equal(tags_of("csv:t.csv", "p/c/1.jpg", "c/1.jpg", NULL), "cow");
    assert_string_equal(tags_of("csv:t.csv", "p/a/1.jpg", "1.jpg", NULL), "cow");  // as named below the given folder
    put("t.csv", "a/1.jpg,cat\nb/1.jpg,dog\n");
    assert_string_equal(find("csv:t.csv", "p/a/1.jpg"), "cat");
    assert_string_equal(find("csv:t.csv", "1.jpg"), "");
    // From inside the folder, the rows of its own path count.
    put("a/1.jpg", "x");
    assert_int_equal(chdir("a"), 0);
    assert_string_equal(find("csv:../t.csv", "1.jpg"), "cat");
    assert_string_equal(find("csv:../t.csv", "./1.jpg"), "cat");
}

static void tags_of_coco(void **state) {
    (void)state;
    // Annotations without a mask, and without a box.
    put("c.json",
        "{\"images\":[{\"id\":7,\"file_name\":\"x/a.jpg\"},{\"id\":3,\"file_name\":\"y/a.jpg\"},"
        "{\"id\":4,\"file_name\":\"none.jpg\"}],"
        "\"categories\":[{\"id\":1,\"name\":\"cat\"},{\"id\":2,\"name\":\"hot dog\"}],"
        "\"annotations\":[{\"image_id\":7,\"category_id\":2},{\"image_id\":3,\"category_id\":1,\"bbox\":[1,2,3,4]},"
        "{\"image_id\":7,\"category_id\":1,\"segmentation\":[]},{\"image_id\":7,\"category_id\":2}]}");
    assert_string_equal(find("coco:c.json", "dir/x/a.jpg"), "hot dog,cat");
    assert_string_equal(find("coco:c.json", "dir/y/a.jpg"), "cat");
    assert_string_equal(find("coco:c.json", "none.jpg"), "");
    put("c.json", "{\"images\":[],\"categories\":[],\"annotations\":[{\"image_id\":7}]}");
    assert_non_null(strstr(find("coco:c.json", "a.jpg"), "annotations[0]"));
    put("c.json", "{\"images\":[{\"id\":\"x\"}]}");
    assert_non_null(strstr(find("coco:c.json", "a.jpg"), "images[0]"));
}

static void tags_of_labelme(void **state) {
    (void)state;
    put("a.json", "{\"flags\":{\"cat\":true,\"dog\":false,\"sofa\":true},\"shapes\":[]}");
    assert_string_equal(find("labelme", "./a.jpg"), "cat,sofa");
    put("a.json", "{\"flags\":[]}");
    assert_non_null(strstr(find("labelme", "a.jpg"), "expected \"flags\""));
    assert_non_null(strstr(find("labelme", "missing.jpg"), "missing.json"));
}

static void tags_of_folders(void **state) {
    (void)state;
    put("hot_dog/1.jpg", "x");
    assert_string_equal(find("folder", "photos/cat/1.jpg"), "cat");
    assert_string_equal(find("folder", "cat//1.jpg"), "cat");
    assert_string_equal(find("folder", "/cat/1.jpg"), "cat");
    assert_int_equal(symlink("hot_dog", "sausage"), 0);
    assert_string_equal(find("folder", "sausage/1.jpg"), "sausage");
    assert_string_equal(find("folder", "hot_dog/./1.jpg"), "hot_dog");
    assert_int_equal(chdir("hot_dog"), 0);
    assert_string_equal(find("folder", "1.jpg"), "hot_dog");
    assert_string_equal(find("folder", "./1.jpg"), "hot_dog");
    assert_non_null(strstr(find("folder", "/1.jpg"), "no folder with a name"));
}

// ---- What is done

static cli_journal *open_journal(void) {
    tm_error err = TAGMASK_ERROR_INIT;
    cli_journal *journal = NULL;
    assert_ok(cli_journal_open(".", &journal, &err), &err);
    return journal;
}

static cli_journal_entry entry_of(const char *target, uint64_t settings) {
    static const char *const tags[] = {"cat", "a\tb\\n\nc"};
    return (cli_journal_entry){target, settings, 12, -34, tags, 2};
}

static void add_entry(cli_journal *journal, const char *target, uint64_t settings) {
    tm_error err = TAGMASK_ERROR_INIT;
    cli_journal_entry entry = entry_of(target, settings);
    assert_ok(cli_journal_add(journal, &entry, &err), &err);
}

static bool has_entry(const cli_journal *journal, const char *target, uint64_t settings) {
    cli_journal_entry wanted = entry_of(target, settings);
    const cli_journal_entry *found = cli_journal_find(journal, &wanted);
    if (!found) return false;
    assert_string_equal(found->target, target);
    assert_int_equal(found->tag_count, 2);
    for (size_t i = 0; i < 2; i++) assert_string_equal(found->tags[i], wanted.tags[i]);
    return true;
}

static void the_journal_remembers(void **state) {
    (void)state;
    static const char *const odd[] = {"a/1.jpg", "tab\there", "line\nend\\", "", "b/1.jpg"};
    cli_journal *journal = open_journal();
    for (size_t i = 0; i < TM_ARRAY_LEN(odd); i++) add_entry(journal, odd[i], UINT64_MAX - i);
    add_entry(journal, "a/1.jpg", 5);  // the last word counts
    cli_journal_close(journal);
    journal = open_journal();
    assert_true(has_entry(journal, "a/1.jpg", 5));
    assert_false(has_entry(journal, "a/1.jpg", UINT64_MAX));
    for (size_t i = 1; i < TM_ARRAY_LEN(odd); i++) assert_true(has_entry(journal, odd[i], UINT64_MAX - i));
    cli_journal_entry other = entry_of("a/1.jpg", 5);
    other.size++;
    assert_null(cli_journal_find(journal, &other));
    other = entry_of("a/1.jpg", 5);
    other.changed++;
    assert_null(cli_journal_find(journal, &other));
    assert_false(has_entry(journal, "c/1.jpg", 5));
    cli_journal_close(journal);
}

// Labels that a run begins to change are no earlier run's any more.
static void a_voided_photo_is_not_done(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    cli_journal *journal = open_journal();
    for (uint64_t i = 0; i < 1200; i++) add_entry(journal, "again", 5);  // enough lines to write the file anew
    add_entry(journal, "a/1", 5);
    assert_ok(cli_journal_void(journal, "a/1", &err), &err);
    assert_ok(cli_journal_void(journal, "again", &err), &err);
    add_entry(journal, "again", 5);
    cli_journal_close(journal);
    for (int i = 0; i < 2; i++) {
        journal = open_journal();
        assert_false(has_entry(journal, "a/1", 5));
        assert_true(has_entry(journal, "again", 5));
        cli_journal_close(journal);
    }
}

// Cut anywhere, or changed anywhere, the file keeps its other lines, and takes new ones.
static void a_damaged_journal_is_read(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *whole;
    size_t size;
    cli_journal *journal = open_journal();
    add_entry(journal, "first", 1);
    add_entry(journal, "second", 2);
    cli_journal_close(journal);
    assert_ok(tm_read_file(".tagmask-done", 1 << 20, &whole, &size, &err), &err);
    size_t first = (size_t)((uint8_t *)memchr(whole, '\n', size) - whole) + 1;
    for (size_t cut = 0; cut <= size; cut++) {
        assert_ok(tm_write_file(".tagmask-done", whole, cut, &err), &err);
        journal = open_journal();
        assert_int_equal(has_entry(journal, "first", 1), cut >= first);
        assert_int_equal(has_entry(journal, "second", 2), cut == size);
        add_entry(journal, "third", 3);
        cli_journal_close(journal);
        journal = open_journal();
        assert_true(has_entry(journal, "third", 3));
        assert_int_equal(has_entry(journal, "first", 1), cut >= first - 1);  // only its end of line was missing
        cli_journal_close(journal);
    }
    for (size_t at = 0; at < size; at++) {
        whole[at] ^= 1;
        assert_ok(tm_write_file(".tagmask-done", whole, size, &err), &err);
        whole[at] ^= 1;
        journal = open_journal();
        assert_int_equal(has_entry(journal, "first", 1), at >= first);
        assert_int_equal(has_entry(journal, "second", 2), at < first - 1);
        cli_journal_close(journal);
    }
    free(whole);
}

static void repeated_lines_are_dropped(void **state) {
    (void)state;
    tm_file_info before, after;
    cli_journal *journal = open_journal();
    for (uint64_t i = 0; i < 1200; i++) add_entry(journal, i % 2 ? "odd" : "even", i);
    cli_journal_close(journal);
    assert_true(tm_file_stat(".tagmask-done", &before));
    journal = open_journal();
    assert_true(has_entry(journal, "odd", 1199));
    add_entry(journal, "new", 1);
    cli_journal_close(journal);
    assert_true(tm_file_stat(".tagmask-done", &after));
    assert_true(after.size < before.size / 100);
    journal = open_journal();
    assert_true(has_entry(journal, "odd", 1199) && has_entry(journal, "even", 1198) && has_entry(journal, "new", 1));
    cli_journal_close(journal);
}

// Lines of both count, and neither writes the file anew below the other.
static void two_runs_share_a_journal(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    cli_journal *first = open_journal();
    for (uint64_t i = 0; i < 1200; i++) add_entry(first, "same", i);
    cli_journal *second = open_journal();
    add_entry(first, "a", 1);
    add_entry(second, "b", 2);
    add_entry(first, "c", 3);
    cli_journal_close(first);
    cli_journal_close(second);
    first = open_journal();
    assert_true(has_entry(first, "a", 1) && has_entry(first, "b", 2) && has_entry(first, "c", 3));
    cli_journal_close(first);
    assert_int_equal(cli_journal_open("no/such/folder", &second, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "no/such/folder/.tagmask-done"));
}

static tagmask_status write_and_settle(propose_output *output, const cli_input *input, tm_error *err) {
    tagmask_result *result = test_example("dog");
    cli_journal_entry entry = entry_of(input->stem, 1);
    tagmask_status status = propose_output_write(output, input, input->stem, result, NULL, err);
    if (status == TAGMASK_OK) status = propose_output_settle(output, input, &entry, err);
    if (status == TAGMASK_OK) output->summary->done++;
    tagmask_result_free(result);
    return status;
}

// Only where a file with many photos could not be written, those that wait for it are looked at.
static void a_failure_of_one_photo_is_its_own(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *arguments[] = {"p"};
    const char *formats[] = {"coco", "voc"};
    cli_inputs inputs;
    cli_summary summary = {0};
    for (int i = 1; i <= 3; i++) {
        char *path = tm_format("p/%d.jpg", i);
        put(path, "x");
        free(path);
    }
    put("out/2.png", "of a person");
    assert_ok(cli_inputs_collect(arguments, 1, "out", &inputs, &err), &err);
    propose_output output = {.inputs = &inputs, .summary = &summary, .formats = {formats, 2, 2}};
    assert_ok(cli_journal_open("out", &output.journal, &err), &err);
    assert_ok(propose_output_open(&output, &err), &err);
    output.flushed_ms = tm_now_ms();
    output.flush_cost_ms = 1e9;  // none is due by itself
    assert_ok(write_and_settle(&output, &inputs.items[0], &err), &err);
    assert_int_equal(write_and_settle(&output, &inputs.items[1], &err), TAGMASK_ERROR_FILE);
    assert_int_equal(output.waiting_count, 1);
    put("out/coco.json", "{}");
    assert_int_equal(write_and_settle(&output, &inputs.items[2], &err), TAGMASK_ERROR_FILE);
    assert_int_equal(output.waiting_count, 0);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(summary.count, 1);
    assert_non_null(strstr(summary.lines[0], "failed: p/1.jpg: out/coco.json: another program"));
    assert_ok(propose_output_close(&output, &err), &err);
    cli_journal_close(output.journal);
    cli_summary_free(&summary);
    cli_inputs_free(&inputs);
}

static void the_summary_names_all(void **state) {
    (void)state;
    char text[1000] = "";
    cli_summary summary = {.total = 5, .done = 1, .skipped = 1, .failed = 2, .ms = 1500};
    cli_summary_fail(&summary, "p/a.jpg", "is broken");
    cli_summary_fail(&summary, "p/b.jpg", "p/b.jpg: cannot be opened");
    cli_summary_empty(&summary, "p/c.jpg", "cat", "nowhere");
    summary.stopped = "interrupted";
    summary.before = "p/e.jpg";
    FILE *file = tmpfile();
    assert_non_null(file);
    cli_summary_print(&summary, file);
    rewind(file);
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    assert_int_equal(got, strlen(text));
    assert_string_equal(text,
                        "5 photos: 1 done, 1 skipped, 2 failed, 1 not reached; 1 tag without a region; 0.50 s a photo\n"
                        "  failed: p/a.jpg: is broken\n"
                        "  failed: p/b.jpg: cannot be opened\n"
                        "  empty: p/c.jpg: cat: nowhere\n"
                        "  stopped before p/e.jpg: interrupted; the same command with --resume goes on from here\n");
    cli_summary_free(&summary);
}

#define IN_FOLDER(test) cmocka_unit_test_setup(test, enter_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(folders_are_walked),
        IN_FOLDER(links_lead_nowhere_twice),
        IN_FOLDER(what_cannot_be_reached_is_named),
        IN_FOLDER(a_folder_that_ends_in_an_error_is_named),
        IN_FOLDER(results_are_no_photos),
        IN_FOLDER(equal_names_go_apart),
        IN_FOLDER(tags_of_csv),
        IN_FOLDER(rows_belong_to_paths),
        IN_FOLDER(tags_of_coco),
        IN_FOLDER(tags_of_labelme),
        IN_FOLDER(tags_of_folders),
        IN_FOLDER(the_journal_remembers),
        IN_FOLDER(a_voided_photo_is_not_done),
        IN_FOLDER(a_damaged_journal_is_read),
        IN_FOLDER(repeated_lines_are_dropped),
        IN_FOLDER(two_runs_share_a_journal),
        IN_FOLDER(a_failure_of_one_photo_is_its_own),
        cmocka_unit_test(the_summary_names_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
