// How long an annotator waits after moving a slider: the time of a whole tagmask_propose on a session that has proposed
// before, for one change at a time, and what the device was asked to do for it.
//     time_session PHOTO WIDTHxHEIGHT ROUNDS TAG...
// The photo is brought to the given size (nearest pixel). Prints the median of ROUNDS and the dispatches by stage.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/platform.h"

#define STAGES 5
#define MOST_ROUNDS 1000

static tagmask_device *device;
static tagmask_engine *engine;
static uint64_t by_stage[STAGES + 1];  // dispatches when the stage began; the last: at the end

static void require(tagmask_status status, const tagmask_error *error) {
    if (status == TAGMASK_OK) return;
    fprintf(stderr, "time_session: %s\n", error->message);
    exit(1);
}

static uint64_t dispatches(void) {
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    tagmask_device_get_stats(device, &stats);
    return stats.dispatches;
}

static bool note_stage(void *user, float done, const char *stage) {
    static const char *const names[STAGES] = {"photo", "networks", "maps", "refinement", "mask"};
    (void)user, (void)done;
    for (int i = 0; i < STAGES; i++) {
        if (!strcmp(stage, names[i])) by_stage[i] = dispatches();
    }
    return true;
}

static tagmask_image read_photo(const char *path, const char *size) {
    tagmask_error error = TAGMASK_ERROR_INIT;
    tagmask_image photo = {.struct_size = sizeof photo};
    require(tagmask_image_read(path, &photo, &error), &error);
    unsigned width = 0, height = 0;
    uint8_t *pixels = NULL;
    if (sscanf(size, "%ux%u", &width, &height) == 2 && width && height) pixels = tm_calloc((size_t)width * height, 3);
    if (!pixels) {
        fprintf(stderr, "time_session: expected a size such as 500x375, got %s\n", size);
        exit(1);
    }
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            size_t from = y * photo.height / height * (photo.stride ? photo.stride : 3 * photo.width);
            memcpy(pixels + 3 * (y * width + x), photo.pixels + from + 3 * (x * photo.width / width), 3);
        }
    }
    tagmask_image_release(&photo);
    tagmask_image scaled = {sizeof scaled, width, height, 0, pixels};
    return scaled;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// What a slider or the list of tags does: the k-th proposal of a row.
typedef struct change {
    const char *name;
    void (*apply)(int k, tagmask_params *params, size_t *tag_count);
} change;

static void change_nothing(int k, tagmask_params *params, size_t *tag_count) {
    (void)k, (void)params, (void)tag_count;
}
static void change_threshold(int k, tagmask_params *params, size_t *tag_count) {
    (void)tag_count;
    params->threshold = 0.3f + 0.01f * (float)(k % 40);
}
static void change_tolerance(int k, tagmask_params *params, size_t *tag_count) {
    (void)tag_count;
    params->polygon_tolerance = 0.5f + 0.1f * (float)(k % 40);
}
static void change_crf_weight(int k, tagmask_params *params, size_t *tag_count) {
    (void)tag_count;
    params->crf_bilateral_compat = 4 + 0.1f * (float)(k % 40);
}
static void change_crf_width(int k, tagmask_params *params, size_t *tag_count) {
    (void)tag_count;
    params->crf_bilateral_sxy = 40 + (float)(k % 40);
}
static void change_last_tag(int k, tagmask_params *params, size_t *tag_count) {
    (void)params;
    if (k % 2) --*tag_count;
}

static const change changes[] = {
    {"nothing", change_nothing},       {"threshold", change_threshold}, {"polygon tolerance", change_tolerance},
    {"CRF weight", change_crf_weight}, {"CRF width", change_crf_width}, {"last tag on and off", change_last_tag},
};

static void measure(tagmask_session *session, const change *c, int rounds, const char *const *tags, size_t tag_count) {
    double ms[MOST_ROUNDS];
    tagmask_error error = TAGMASK_ERROR_INIT;
    if (c->apply == change_last_tag && tag_count < 2) return;
    for (int k = 0; k < rounds; k++) {
        tagmask_params params = {.struct_size = sizeof params, .progress = note_stage};
        size_t count = tag_count;
        tagmask_result *result = NULL;
        c->apply(k, &params, &count);
        double start = tm_now_ms();
        require(tagmask_propose(session, tags, count, &params, &result, &error), &error);
        ms[k] = tm_now_ms() - start;
        by_stage[STAGES] = dispatches();
        tagmask_result_free(result);
    }
    qsort(ms, (size_t)rounds, sizeof *ms, ascending);
    printf("%-20s %9.1f ms (%.1f to %.1f)  ", c->name, ms[rounds / 2], ms[0], ms[rounds - 1]);
    for (int i = 0; i < STAGES; i++) printf("%6llu", (unsigned long long)(by_stage[i + 1] - by_stage[i]));
    printf("\n");
}

int main(int count, char **words) {
    int rounds = count > 3 ? atoi(words[3]) : 0;
    if (count < 5 || rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: time_session PHOTO WIDTHxHEIGHT ROUNDS TAG...\n");
        return 2;
    }
    tagmask_error error = TAGMASK_ERROR_INIT;
    tagmask_image photo = read_photo(words[1], words[2]);
    tagmask_session *session = NULL;
    require(tagmask_device_open(NULL, &device, &error), &error);
    require(tagmask_engine_create(device, NULL, NULL, &engine, &error), &error);
    require(tagmask_session_create(engine, &photo, &session, &error), &error);
    const change first = {"first proposal", change_nothing};
    printf("%-20s %9s %23s %28s\n", "change", "median", "", "photo nets  maps   CRF  mask");
    measure(session, &first, 1, (const char *const *)words + 4, (size_t)count - 4);
    for (size_t i = 0; i < TM_ARRAY_LEN(changes); i++)
        measure(session, &changes[i], rounds, (const char *const *)words + 4, (size_t)count - 4);
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    free((uint8_t *)photo.pixels);
    return 0;
}
