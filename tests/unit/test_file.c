// Whole files or none: what a killed process leaves, and a disk that is full.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/platform.h"
#include "io/watched.h"
#include "support.h"

static void put(const char *folder, const char *name, const char *text) {
    char *path = tm_path_join(folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static bool is_there(const char *folder, const char *name) {
    char *path = tm_path_join(folder, name);
    bool there = tm_file_exists(path);
    free(path);
    return there;
}

static size_t files_in(const char *folder) {
    tm_error err = TAGMASK_ERROR_INIT;
    char **names;
    size_t count;
    assert_ok(tm_list_folder(folder, &names, &count, &err), &err);
    tm_free_names(names, count);
    return count;
}

static void expect_text(const char *path, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *data;
    size_t size;
    assert_ok(tm_read_file(path, 1 << 20, &data, &size, &err), &err);
    assert_string_equal((char *)data, text);
    free(data);
}

static void leftovers_are_removed(void **state) {
    (void)state;
    static const char *const others[] = {".tagmask-yolo",  ".tagmask-12-x.tmp",      ".tagmask-12-3.tmpx",
                                         "1.json.12.tmp",  ".tagmask-12-3.tmp.json", ".tagmask-1.tmp",
                                         ".tagmask--3.tmp"};
    char *folder = test_temporary_dir();
    for (size_t i = 0; i < TM_ARRAY_LEN(others); i++) put(folder, others[i], "not ours");
    put(folder, ".tagmask-12-3.tmp", "half a fi");
    put(folder, ".tagmask-99999999-0.tmp", "");
    tm_remove_leftovers(folder);
    for (size_t i = 0; i < TM_ARRAY_LEN(others); i++) assert_true(is_there(folder, others[i]));
    assert_int_equal(files_in(folder), TM_ARRAY_LEN(others));
    tm_remove_leftovers("/nonexistent/folder");
    free(folder);
}

// A process that holds its temporary file, as tm_write_file does, until it is killed.
static void a_living_writer_keeps_its_file(void **state) {
    (void)state;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, ".tagmask-5-6.tmp");
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        int file = tm_file_create_new(path);
        bool ok = file >= 0 && tm_file_lock(file) && write(ready[1], "x", 1) == 1;
        if (ok) pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    tm_remove_leftovers(folder);
    assert_true(tm_file_exists(path));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    tm_remove_leftovers(folder);
    assert_false(tm_file_exists(path));
    close(ready[0]);
    free(path);
    free(folder);
}

// Names of temporary files that a killed process with our number left do not stop us.
static void names_in_use_are_passed_over(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "a.txt");
    for (unsigned i = 0; i < 20; i++) {
        char name[64];
        snprintf(name, sizeof name, ".tagmask-%llu-%u.tmp", (unsigned long long)tm_process_id(), i);
        put(folder, name, "left");
    }
    assert_ok(tm_write_file(path, "new", 3, &err), &err);
    expect_text(path, "new");
    assert_int_equal(files_in(folder), 21);
    free(path);
    free(folder);
}

// A limit on the size of files fails a write in the middle, as a full disk does.
static void a_failed_write_changes_nothing(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "labels.json"), *big = tm_calloc(1 << 16, 1);
    assert_non_null(big);
    assert_ok(tm_write_file(path, "old", 3, &err), &err);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1 << 12;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    tagmask_status status = tm_write_file(path, big, 1 << 16, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "labels.json: cannot be written: "));
    expect_text(path, "old");
    assert_int_equal(files_in(folder), 1);
    assert_ok(tm_write_file(path, "new", 3, &err), &err);
    expect_text(path, "new");
    assert_int_equal(files_in(folder), 1);
    // A folder that is missing is named, too.
    char *missing = tm_path_join(folder, "none/labels.json");
    assert_int_equal(tm_write_file(missing, "x", 1, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, missing));
    free(missing);
    free(big);
    free(path);
    free(folder);
}

static bool ask(const void *user, const char *path) {
    char *text = tm_format("asked about %s", tm_file_name(path));
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_write_file(user, text, strlen(text), &err), &err);
    free(text);
    return strstr(path, "yes");
}

// The question comes when the new file is ready and before it is there.
static void a_refused_write_changes_nothing(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *no = tm_path_join(folder, "no.txt"), *yes = tm_path_join(folder, "yes.txt");
    char *asked = tm_path_join(folder, "asked.txt");
    put(folder, "no.txt", "old");
    put(folder, "yes.txt", "old");
    assert_int_equal(tm_write_file_if(no, "new", 3, ask, asked, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "no.txt: another program has changed it meanwhile"));
    expect_text(asked, "asked about no.txt");
    expect_text(no, "old");
    assert_ok(tm_write_file_if(yes, "new", 3, ask, asked, &err), &err);
    expect_text(asked, "asked about yes.txt");
    expect_text(yes, "new");
    assert_int_equal(files_in(folder), 3);
    free(asked);
    free(yes);
    free(no);
    free(folder);
}

static mode_t mode_of(const char *path) {
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    return info.st_mode;
}

static void links_and_modes_stay(void **state) {
    (void)state;
    static const mode_t modes[] = {0600, 0640, 0666, 0660};
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir(), *kept = tm_path_join(folder, "kept"), *work = tm_path_join(folder, "work");
    char *real = tm_path_join(kept, "a.json"), *link = tm_path_join(work, "a.json"), *fresh = tm_path_join(work, "b");
    assert_true(tm_folder_make(kept) && tm_folder_make(work));
    put(kept, "a.json", "old");
    assert_int_equal(symlink("../kept/a.json", link), 0);
    for (size_t i = 0; i < TM_ARRAY_LEN(modes); i++) {
        assert_int_equal(chmod(real, modes[i]), 0);
        assert_ok(tm_write_file(i % 2 ? real : link, "new", 3, &err), &err);
        expect_text(real, "new");
        assert_true(S_ISLNK(mode_of(link)));
        assert_int_equal(mode_of(real) & 0777, modes[i]);
    }
    // Also from root, who could.
    assert_int_equal(chmod(real, 0444), 0);
    assert_int_equal(tm_write_file(link, "newer", 5, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "write-protected"));
    expect_text(real, "new");
    assert_int_equal(files_in(kept), 1);
    assert_int_equal(files_in(work), 1);
    mode_t mask = umask(027);
    assert_ok(tm_write_file(fresh, "new", 3, &err), &err);
    umask(mask);
    assert_int_equal(mode_of(fresh) & 0777, 0640);
    free(fresh);
    free(link);
    free(real);
    free(work);
    free(kept);
    free(folder);
}

// The reason is that of making it, not of looking for it afterwards.
static void a_folder_that_cannot_be_made_says_why(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    if (!tm_is_dir("/sys/kernel")) skip();  // a place where not even root makes folders
    assert_int_equal(tm_make_dirs("/sys/kernel/tagmask-test", &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "/sys/kernel/tagmask-test: the folder cannot be made: "));
    assert_null(strstr(err.message, strerror(ENOENT)));
}

static bool person_saves;  // right after the renaming

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) {
    int failed = __real_rename(from, to);
    if (!failed && person_saves) {
        FILE *file = fopen(to, "a");
        assert_non_null(file);
        assert_true(fputs(" and a person's", file) >= 0);
        assert_int_equal(fclose(file), 0);
    }
    return failed;
}

static tagmask_status write_watched(tm_watched *watched, const char *path, tm_error *err) {
    tm_text text = {0};
    tm_text_add(&text, "ours");
    return tm_watched_write(watched, &text, path, err);
}

// However soon after ours a person saves the file, that is seen.
static void a_save_right_after_a_write_stays(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_watched watched;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "coco.json");
    tm_watch(&watched, path);
    assert_ok(write_watched(&watched, path, &err), &err);
    assert_ok(write_watched(&watched, path, &err), &err);
    person_saves = true;
    assert_ok(write_watched(&watched, path, &err), &err);
    person_saves = false;
    assert_int_equal(write_watched(&watched, path, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "coco.json: another program has changed it meanwhile"));
    expect_text(path, "ours and a person's");
    free(path);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leftovers_are_removed),
        cmocka_unit_test(a_living_writer_keeps_its_file),
        cmocka_unit_test(names_in_use_are_passed_over),
        cmocka_unit_test(a_failed_write_changes_nothing),
        cmocka_unit_test(a_refused_write_changes_nothing),
        cmocka_unit_test(links_and_modes_stay),
        cmocka_unit_test(a_folder_that_cannot_be_made_says_why),
        cmocka_unit_test(a_save_right_after_a_write_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
