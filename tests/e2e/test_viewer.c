// The viewer as a person uses it: in an X server of its own, with real key and mouse events, under the validation layer
// with synchronization checks. What the window shows is read back as pictures; states are waited for, never times.
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "labels.h"

#ifdef TEST_VIEWER
#define VIEWER TEST_VIEWER
#else
#define VIEWER ""  // it was not built
#endif
#define PHOTO TEST_BUILD "/photos/chelsea.png"
enum { PATIENCE_MS = 300000 };  // after which the test fails

static char *folder;
static pid_t server, viewer;
static int told = -1;  // what the viewer prints
static char line[2000];

// ---- Processes

// Starts a program whose output can be read from *out; fd is the number that it knows it by.
static pid_t start(const char *const *words, int fd, int *out) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        dup2(ends[1], fd);
        if (ends[0] != fd) close(ends[0]);
        if (ends[1] != fd) close(ends[1]);
        execvp(words[0], (char *const *)words);
        fprintf(stderr, "test_viewer: %s cannot be started: %s\n", words[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    *out = ends[0];
    return child;
}

// Reads one line of what a program prints; false at its end.
static bool next_line(int fd) {
    size_t used = 0;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    while (used + 1 < sizeof line) {
        if (poll(&one, 1, PATIENCE_MS) != 1) fail_msg("the program has said nothing for long; last: %s", line);
        char letter;
        if (read(fd, &letter, 1) != 1) return false;
        if (letter == '\n') break;
        line[used++] = letter;
    }
    line[used] = 0;
    return true;
}

static const char *wait_for(const char *beginning) {
    do {
        if (!next_line(told)) fail_msg("the viewer ended before \"%s\"", beginning);
    } while (strncmp(line, beginning, strlen(beginning)) != 0);
    return line + strlen(beginning);
}

static int exit_status(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void input(const char *events) {
    char command[300];
    snprintf(command, sizeof command, "xdotool %s", events);
    if (system(command)) fail_msg("failed: %s", command);
}

// ---- What the viewer says

typedef struct proposal {
    unsigned tags;
    float threshold;
    unsigned long long mask;
} proposal;

static proposal read_proposal(const char *text) {
    proposal p;
    if (sscanf(strstr(text, "tags="), "tags=%u threshold=%g mask=%llu", &p.tags, &p.threshold, &p.mask) != 3)
        fail_msg("no proposal: %s", text);
    return p;
}

static proposal wait_for_threshold(float low, float high) {
    proposal p;
    do p = read_proposal(wait_for("proposed chelsea.png "));
    while (p.threshold < low || p.threshold > high);
    return p;
}

static void wait_for_widget(const char *name, float *box) {
    char beginning[40];
    snprintf(beginning, sizeof beginning, "widget %s ", name);
    assert_int_equal(sscanf(wait_for(beginning), "%f %f %f %f", &box[0], &box[1], &box[2], &box[3]), 4);
}

static void click(const float *box, float share) {
    char events[100];
    int x = (int)(box[0] + (box[2] - box[0]) * share), y = (int)((box[1] + box[3]) / 2);
    snprintf(events, sizeof events, "mousemove %d %d click 1", x, y);
    input(events);
}

static tagmask_image picture(void) {
    tagmask_image shown = {.struct_size = sizeof shown};
    tagmask_error error = TAGMASK_ERROR_INIT;
    input("key F12");
    assert_int_equal(tagmask_image_read(wait_for("picture "), &shown, &error), TAGMASK_OK);
    return shown;
}

static size_t different_pixels(const tagmask_image *a, const tagmask_image *b, const float *box) {
    size_t count = 0;
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    for (size_t y = (size_t)box[1]; y < (size_t)box[3]; y++) {
        for (size_t x = (size_t)box[0]; x < (size_t)box[2]; x++) {
            size_t at = 3 * (y * a->width + x);
            count += memcmp(a->pixels + at, b->pixels + at, 3) != 0;
        }
    }
    return count;
}

// ---- Start and end

static int set_up(void **state) {
    (void)state;
    int out;
    char display[40] = ":";
    folder = test_temporary_dir();
    if (!*VIEWER) return 0;
    server = start(WORDS("Xvfb", "-displayfd", "9", "-screen", "0", "1600x1000x24", "-nolisten", "tcp"), 9, &out);
    if (!next_line(out)) fail_msg("Xvfb did not start: install xvfb");
    strcat(display, line);
    setenv("DISPLAY", display, 1);
    unsetenv("WAYLAND_DISPLAY");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (viewer) kill(viewer, SIGKILL);
    if (server) {
        kill(server, SIGTERM);
        waitpid(server, NULL, 0);
    }
    free(folder);
    return 0;
}

static void need_viewer(void) {
    if (*VIEWER) return;
    print_message(
        "skipped: tagmask-viewer was not built (TAGMASK_VIEWER is OFF, or GLFW, Dear ImGui or Vulkan missing)\n");
    skip();
}

static const char *path_of(const char *name) {
    static char paths[2][4200];
    static size_t next;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void start_viewer(void) {
    char out[4200];
    snprintf(out, sizeof out, "%s", path_of("viewer"));
    viewer =
        start(WORDS(VIEWER, "--trace", "--preset", "fast", "--tag", "cat", "--out", out, PHOTO), STDOUT_FILENO, &told);
}

static void use_layer(void) {
    const char *given = getenv("TAGMASK_TEST_LAYER_DIR");
    char layers[4200];
    snprintf(layers, sizeof layers, "%s/layers", given ? given : TEST_BUILD "/swiftshader");
    if (!access(layers, R_OK)) setenv("VK_LAYER_PATH", layers, 1);
    setenv("TAGMASK_VALIDATION", "1", 1);
    setenv("VK_LAYER_VALIDATE_SYNC", "1", 1);
    setenv("VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC", "1", 1);
}

// ---- Tests

// The command with the same parameters writes the same file.
static void expect_same_file(float threshold) {
    char number[40];
    snprintf(number, sizeof number, "%.9g", (double)threshold);
    const char *words[] = {"propose", PHOTO,     "--tag",       "cat",  "--preset", "fast",
                           "--out",   "command", "--threshold", number, NULL};
    expect_command(run_tagmask(folder, NULL, words), 0, "cat: ", NULL);
    cJSON *seen = test_read_json(path_of("viewer"), "chelsea.json");
    cJSON *expected = test_read_json(path_of("command"), "chelsea.json");
    assert_true(cJSON_GetArraySize(test_member(expected, "shapes")) > 0);
    assert_true(cJSON_Compare(seen, expected, true));
    cJSON_Delete(seen);
    cJSON_Delete(expected);
}

static void test_a_photo_is_labelled(void **state) {
    (void)state;
    float photo[4], threshold[4];
    need_viewer();
    use_layer();
    start_viewer();
    proposal first = read_proposal(wait_for("proposed chelsea.png "));
    assert_true(first.tags == 1 && first.mask > 1000);
    wait_for_widget("photo", photo);
    wait_for_widget("threshold", threshold);
    input("key o");  // without outlines, what differs from the photo is the mask
    tagmask_image wide = picture();
    input("key 1");
    tagmask_image bare = picture();
    input("key 2");
    click(threshold, 0.95f);
    proposal second = wait_for_threshold(0.9f, 0.99f);
    tagmask_image narrow = picture();
    assert_true(second.mask < first.mask);
    assert_int_equal(wide.width, 1280);
    assert_int_equal(wide.height, 800);
    size_t tinted_wide = different_pixels(&wide, &bare, photo), tinted_narrow = different_pixels(&narrow, &bare, photo);
    assert_true(tinted_narrow > 1000 && tinted_narrow < tinted_wide);
    tagmask_image_release(&wide);
    tagmask_image_release(&bare);
    tagmask_image_release(&narrow);

    input("key bracketleft");
    proposal third = wait_for_threshold(0.85f, second.threshold - 0.01f);
    input("key s");
    assert_string_equal(strrchr(wait_for("saved "), '/'), "/chelsea.json");
    expect_same_file(third.threshold);

    input("key t");  // what is typed next is for the field, though it is only on its way
    input("type --delay 1 catt");
    input("key Return");
    assert_non_null(strstr(wait_for("refused "), "cat"));
    input("key --clearmodifiers ctrl+a");
    input("type --delay 1 cow");
    input("key Return");
    assert_int_equal(read_proposal(wait_for("proposed chelsea.png ")).tags, 2);

    input("search --onlyvisible --name tagmask windowsize 900 600");
    wait_for("size 900x600");
    tagmask_image small = picture();
    assert_true(small.width == 900 && small.height == 600);
    tagmask_image_release(&small);
    input("key ctrl+q");
    assert_string_equal(wait_for("end "), "validation=on messages=0");
    pid_t ended = viewer;
    viewer = 0;
    assert_int_equal(exit_status(ended), 0);
}

// Runs the viewer with an environment setting; its exit status.
static int status_with(const char *setting, const char *photo) {
    char command[9000];
    snprintf(command, sizeof command, "env %s " VIEWER " --screenshot %s '%s' 2>%s", setting, path_of("no.png"), photo,
             path_of("said"));
    int status = system(command);
    char *said = test_read_text(folder, "said");
    assert_ptr_equal(strstr(said, "tagmask-viewer: "), said);
    free(said);
    return WEXITSTATUS(status);
}

static void test_what_is_missing_is_said(void **state) {
    (void)state;
    need_viewer();
    assert_int_equal(status_with("-u DISPLAY", PHOTO), 1);
    assert_int_equal(status_with("VK_ICD_FILENAMES=/nonexistent.json", PHOTO), 3);
    assert_int_equal(status_with("TAGMASK_DEVICE=no-such-device", PHOTO), 3);
    assert_int_equal(status_with("A=1", "no-such-photo.png"), 1);
    assert_int_equal(status_with("A=1", VIEWER), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_missing_is_said),
                                       cmocka_unit_test(test_a_photo_is_labelled)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
