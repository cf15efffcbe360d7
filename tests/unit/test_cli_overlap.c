// What a batch does at the same time: while the device has a photo, the next is read and the labels of the last are
// written. The library's functions for that are wrapped, and each waits for the other side, so that a batch that did
// one thing after the other would be found out by running into the end of its patience.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/platform.h"
#include "cli/propose.h"
#include "io/image.h"
#include "tiny_pack.h"

#define PHOTOS 4
#define PATIENCE_MS 20000

static propose_job job;
static propose_options options;
static atomic_int reads, computed, writes;  // photos whose reading, computing, writing has begun
static atomic_int most_reads_ahead;         // beyond those that the device was done with
static atomic_bool wait_for_others, in_vain;

static void wait_until(const atomic_int *counter, int least) {
    double end = tm_now_ms() + PATIENCE_MS;
    while (atomic_load(&wait_for_others) && atomic_load(counter) < least && !atomic_load(&in_vain)) {
        if (tm_now_ms() > end) atomic_store(&in_vain, true);
        usleep(1000);
    }
}

tagmask_status __real_tagmask_image_read(const char *path, tagmask_image *image, tagmask_error *error);
tagmask_status __wrap_tagmask_image_read(const char *path, tagmask_image *image, tagmask_error *error);
tagmask_status __wrap_tagmask_image_read(const char *path, tagmask_image *image, tagmask_error *error) {
    int ahead = atomic_fetch_add(&reads, 1) + 1 - atomic_load(&writes);
    if (ahead > atomic_load(&most_reads_ahead)) atomic_store(&most_reads_ahead, ahead);
    return __real_tagmask_image_read(path, image, error);
}

// The device keeps the photo until the next is being read.
tagmask_status __real_tagmask_propose(tagmask_session *session, const char *const *tags, size_t tag_count,
                                      const tagmask_params *params, tagmask_result **result, tagmask_error *error);
tagmask_status __wrap_tagmask_propose(tagmask_session *session, const char *const *tags, size_t tag_count,
                                      const tagmask_params *params, tagmask_result **result, tagmask_error *error);
tagmask_status __wrap_tagmask_propose(tagmask_session *session, const char *const *tags, size_t tag_count,
                                      const tagmask_params *params, tagmask_result **result, tagmask_error *error) {
    int number = atomic_fetch_add(&computed, 1) + 1;
    wait_until(&reads, TM_MIN(number + 1, PHOTOS));
    return __real_tagmask_propose(session, tags, tag_count, params, result, error);
}

// The labels are being written until the device has the next photo.
tagmask_status __real_tagmask_writer_add_as(tagmask_writer *writer, const tagmask_result *result,
                                            const char *photo_path, const char *name, const tagmask_image *photo,
                                            tagmask_error *error);
tagmask_status __wrap_tagmask_writer_add_as(tagmask_writer *writer, const tagmask_result *result,
                                            const char *photo_path, const char *name, const tagmask_image *photo,
                                            tagmask_error *error);
tagmask_status __wrap_tagmask_writer_add_as(tagmask_writer *writer, const tagmask_result *result,
                                            const char *photo_path, const char *name, const tagmask_image *photo,
                                            tagmask_error *error) {
    int number = atomic_fetch_add(&writes, 1) + 1;
    wait_until(&computed, TM_MIN(number + 1, PHOTOS));
    return __real_tagmask_writer_add_as(writer, result, photo_path, name, photo, error);
}

// Photos p/1.png ... in a folder of its own, and a job as the verb prepares it.
static int set_up(void **state) {
    (void)state;
    static const char *tag = "cat", *format = "labelme";
    static char *arguments[] = {"p"};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image photo = tiny_photo();
    tm_png png = {.width = photo.width, .height = photo.height, .channels = 3, .pixels = (uint8_t *)photo.pixels};
    options =
        (propose_options){.tags = {&tag, 1, 1},
                          .packs = {.model = tiny_classifier(), .saliency = tiny_saliency()},
                          .params = {.struct_size = sizeof options.params, .preset = "fast", .working_size = 128}};
    job = (propose_job){.options = &options, .threshold = 0.5f, .beside_bytes = UINT64_MAX};
    char *folder = test_temporary_dir();
    int failed = chdir(folder);
    free(folder);
    assert_ok(tm_make_dirs("p", &err), &err);
    for (int i = 1; i <= PHOTOS; i++) {
        char *path = tm_format("p/%d.png", i);
        assert_ok(tm_png_write(path, &png, &err), &err);
        free(path);
    }
    assert_ok(cli_inputs_collect(arguments, 1, "out", &job.inputs, &err), &err);
    assert_ok(tm_make_dirs("out", &err), &err);
    assert_ok(cli_journal_open("out", &job.output.journal, &err), &err);
    assert_ok(cli_open_engine(NULL, &options.packs, &job.device, &job.engine, &err), &err);
    assert_true(cli_list_add(&job.output.formats, format));
    job.output.inputs = &job.inputs;
    job.output.summary = &job.summary;
    job.summary.total = job.inputs.count;
    assert_ok(propose_output_open(&job.output, &err), &err);
    atomic_store(&reads, 0);
    atomic_store(&computed, 0);
    atomic_store(&writes, 0);
    atomic_store(&most_reads_ahead, 0);
    atomic_store(&in_vain, false);
    return failed;
}

static int tear_down(void **state) {
    (void)state;
    tagmask_engine_free(job.engine);
    tagmask_device_close(job.device);
    cli_journal_close(job.output.journal);
    cli_inputs_free(&job.inputs);
    cli_summary_free(&job.summary);
    free(job.output.formats.items);
    return 0;
}

static void run(size_t done, size_t failed) {
    tm_error err = TAGMASK_ERROR_INIT;
    propose_run_photos(&job);
    assert_ok(propose_output_close(&job.output, &err), &err);
    assert_null(job.summary.stopped);
    assert_int_equal(job.summary.done, done);
    assert_int_equal(job.summary.failed, failed);
}

static void reading_and_writing_go_on_beside(void **state) {
    (void)state;
    atomic_store(&wait_for_others, true);
    run(PHOTOS, 0);
    assert_false(atomic_load(&in_vain));
    assert_true(atomic_load(&most_reads_ahead) <= 3);  // behind, on the device, ahead
}

// A photo that needs a lot of memory has it for itself.
static void large_photos_go_alone(void **state) {
    (void)state;
    atomic_store(&wait_for_others, false);
    job.beside_bytes = 0;
    run(PHOTOS, 0);
    assert_int_equal(atomic_load(&most_reads_ahead), 1);
}

// Lines of the summary stay in the photos' order, whichever step failed, and the others are done.
static void failures_come_in_order(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    atomic_store(&wait_for_others, false);
    assert_ok(tm_make_dirs("out/1.json", &err), &err);  // cannot be written
    assert_ok(tm_write_file("p/2.png", "broken", 6, &err), &err);
    run(2, 2);
    assert_int_equal(job.summary.count, 2);
    assert_non_null(strstr(job.summary.lines[0], "failed: p/1.png: out/1.json: "));
    assert_non_null(strstr(job.summary.lines[1], "p/2.png"));
    assert_true(tm_file_exists("out/3.json") && tm_file_exists("out/4.json"));
}

#define WITH_JOB(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_JOB(reading_and_writing_go_on_beside),
        WITH_JOB(large_photos_go_alone),
        WITH_JOB(failures_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
