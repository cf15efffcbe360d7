// Memory of a long run: photo after photo in one process, through the public header.
//   TAGMASK_MEMORY_PHOTOS=200 build/tests/test_memory    so many with the real networks, about a second each
// Every run of the tests takes 60 photos with the tiny ones, which go the same ways.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"
#include "tagmask/tagmask.h"
#include "tiny_pack.h"

enum { WARM = 20, USUAL = 60, WIDTH = 120, HEIGHT = 90 };

static size_t resident_bytes(void) {
    unsigned long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &pages, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

// Another crop of the photo each time, so that nothing is found again.
static void propose_crop(tagmask_engine *engine, const tagmask_image *photo, int number, const char *out) {
    tagmask_error error = TAGMASK_ERROR_INIT;
    uint32_t left = (uint32_t)number * 7 % (photo->width - WIDTH),
             top = (uint32_t)number * 5 % (photo->height - HEIGHT);
    tagmask_image crop = {.struct_size = sizeof crop,
                          .width = WIDTH,
                          .height = HEIGHT,
                          .stride = (size_t)photo->width * 3,
                          .pixels = photo->pixels + ((size_t)top * photo->width + left) * 3};
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .working_size = 128, .keep_maps = 1};
    tagmask_session *session = NULL;
    tagmask_result *result = NULL;
    assert_ok(tagmask_session_create(engine, &crop, &session, &error), &error);
    assert_ok(tagmask_propose(session, (const char *const[]){"cat", "cup"}, 2, &params, &result, &error), &error);
    const char *format;
    for (size_t i = 0; (format = tagmask_format_name(i)) != NULL; i++) {
        if (!strcmp(format, "labelme-mask")) continue;  // has labelme's file
        assert_ok(tagmask_result_write(result, format, "photo.png", &crop, out, &error), &error);
    }
    tagmask_result_free(result);
    tagmask_session_free(session);
}

static uint64_t allocations(const tagmask_device *device) {
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    return stats.allocations;
}

static void memory_does_not_grow(void **state) {
    (void)state;
    const char *asked = getenv("TAGMASK_MEMORY_PHOTOS"), *photos = getenv("TAGMASK_PHOTOS");
    int count = asked ? atoi(asked) : USUAL;
    assert_true(count > WARM);
    char *path = tm_format("%s/chelsea.png", photos ? photos : TEST_BUILD "/photos"), *out = test_temporary_dir();
    tagmask_error error = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_image photo = {.struct_size = sizeof photo};
    assert_ok(tagmask_image_read(path, &photo, &error), &error);
    assert_ok(tagmask_device_open(NULL, &device, &error), &error);
    const char *classifier = asked ? NULL : tiny_classifier(), *saliency = asked ? NULL : tiny_saliency();
    assert_ok(tagmask_engine_create(device, classifier, saliency, &engine, &error), &error);
    uint64_t between = 0;
    size_t warm = 0, most = 0;
    for (int i = 0; i < count; i++) {
        propose_crop(engine, &photo, i, out);
        size_t now = resident_bytes();
        // A plan keeps the activations' buffer that a larger plan has outgrown until it runs again, with the second
        // photo.
        if (i < 2) between = allocations(device);
        assert_int_equal(allocations(device), between);
        if (i + 1 == WARM) warm = now;
        if (i + 1 > WARM) most = TM_MAX(most, now);
    }
    printf("%d photos: %.1f MB after the %dth, at most %.1f MB after it (%+.2f %%), %llu device allocations\n", count,
           (double)warm / 1e6, WARM, (double)most / 1e6, 100 * ((double)most / (double)warm - 1),
           (unsigned long long)between);
    assert_true((double)most < 1.02 * (double)warm);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    tagmask_image_release(&photo);
    free(path);
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_does_not_grow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
