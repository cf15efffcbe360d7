// What a session computes anew after each kind of change, counted in dispatches by stage, and that the result is bit
// for bit that of a session that never saw anything else.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tiny_pack.h"

enum { PHOTO, NETWORKS, MAPS, REFINEMENT, MASK, STAGES };

static tagmask_device *device;
static tagmask_engine *engine;
static uint64_t stage_start[STAGES + 1];
static int stage_calls[STAGES];  // of the proposal that runs

typedef struct counts {
    uint64_t stage[STAGES];
} counts;

static int open_engine(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    assert_ok(tagmask_engine_create(device, tiny_classifier(), tiny_saliency(), &engine, &err), &err);
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    tagmask_engine_free(engine);
    tagmask_device_close(device);
    return 0;
}

static uint64_t dispatches(void) {
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    return stats.dispatches;
}

static bool note_stage(void *user, float done, const char *stage) {
    static const char *const names[STAGES] = {"photo", "networks", "maps", "refinement", "mask"};
    (void)user, (void)done;
    for (int i = 0; i < STAGES; i++) {
        if (!strcmp(names[i], stage) && !stage_calls[i]++) stage_start[i] = dispatches();
    }
    return true;
}

// "cat,dog" with the parameters; the dispatches of each stage.
static tagmask_result *propose(tagmask_session *session, const char *tags, const tagmask_params *changed, counts *c) {
    tm_error err = TAGMASK_ERROR_INIT;
    char text[64], *rest = text;
    const char *names[8];
    size_t count = 0;
    tagmask_result *result = NULL;
    tagmask_params params = changed ? *changed : (tagmask_params){0};
    params.struct_size = sizeof params;
    params.progress = note_stage;
    strcpy(text, tags);
    memset(stage_calls, 0, sizeof stage_calls);
    for (char *name; (name = strsep(&rest, ",")) != NULL;) names[count++] = name;
    assert_ok(tagmask_propose(session, names, count, &params, &result, &err), &err);
    stage_start[STAGES] = dispatches();
    for (int i = 0; i < STAGES; i++) c->stage[i] = stage_start[i + 1] - stage_start[i];
    return result;
}

static void check_no_refined(tagmask_session *session) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor map = {.struct_size = sizeof map};
    assert_int_equal(tagmask_session_map(session, "refined", 0, &map, &err), TAGMASK_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "edge"));
    assert_null(map.data);
}

static void check_same(const tagmask_result *a, const tagmask_result *b) {
    size_t pixels = (size_t)tagmask_result_width(a) * tagmask_result_height(a);
    size_t tags = tagmask_result_tag_count(a), regions = tagmask_result_region_count(a);
    assert_int_equal(tagmask_result_tag_count(b), tags);
    assert_memory_equal(tagmask_result_labels(a), tagmask_result_labels(b), pixels);
    for (size_t t = 0; t < tags; t++)
        assert_memory_equal(tagmask_result_probability(a, t), tagmask_result_probability(b, t), pixels * sizeof(float));
    assert_int_equal(tagmask_result_region_count(b), regions);
    for (size_t i = 0; i < regions; i++) {
        tagmask_region x = {.struct_size = sizeof x}, y = {.struct_size = sizeof y};
        assert_int_equal(tagmask_result_region(a, i, &x), TAGMASK_OK);
        assert_int_equal(tagmask_result_region(b, i, &y), TAGMASK_OK);
        assert_int_equal(x.outline_points, y.outline_points);
        assert_memory_equal(x.outline, y.outline, 2 * x.outline_points * sizeof *x.outline);
    }
}

// Proposes in a session that has been through other things, and in a new one: the same bits. Returns what the former
// cost.
static counts change(tagmask_session *session, const char *tags, const tagmask_params *params) {
    counts cost, all;
    tagmask_result *result = propose(session, tags, params, &cost);
    tagmask_session *fresh = tiny_session(engine);
    tagmask_result *wanted = propose(fresh, tags, params, &all);
    assert_true(all.stage[NETWORKS] > 0 && all.stage[MAPS] > 0 && all.stage[MASK] > 0);
    check_same(wanted, result);
    tagmask_result_free(wanted);
    tagmask_result_free(result);
    tagmask_session_free(fresh);
    return cost;
}

static void expect(counts cost, bool photo, bool networks, bool maps, bool refinement, bool mask) {
    const bool wanted[STAGES] = {photo, networks, maps, refinement, mask};
    for (int i = 0; i < STAGES; i++) {
        if ((cost.stage[i] > 0) != wanted[i])
            fail_msg("stage %d: %llu dispatches, expected %s", i, (unsigned long long)cost.stage[i],
                     wanted[i] ? "some" : "none");
    }
}

#define PARAMS(...) (&(tagmask_params){.struct_size = sizeof(tagmask_params), __VA_ARGS__})

static void test_nothing_on_the_device(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    expect(change(session, "cat,dog", NULL), true, true, true, true, true);
    expect(change(session, "cat,dog", PARAMS(.threshold = 0.3f)), false, false, false, false, false);
    expect(change(session, "cat,dog", PARAMS(.threshold = 0.7f)), false, false, false, false, false);
    expect(change(session, "cat,dog", PARAMS(.min_part = -1)), false, false, false, false, false);
    expect(change(session, "cat,dog", PARAMS(.polygon_tolerance = 4)), false, false, false, false, false);
    expect(change(session, "cat,dog", PARAMS(.max_parts = 1)), false, false, false, false, false);
    expect(change(session, "cat,dog", NULL), false, false, false, false, false);
    tagmask_session_free(session);
}

static void test_crf_only(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    uint64_t first = change(session, "cat,dog", NULL).stage[REFINEMENT];
    counts weight = change(session, "cat,dog", PARAMS(.crf_bilateral_compat = 3));
    expect(weight, false, false, false, true, true);
    counts width = change(session, "cat,dog", PARAMS(.crf_bilateral_sxy = 30));
    expect(width, false, false, false, true, true);
    // The energies stay, and the lattice too unless its widths change.
    assert_true(weight.stage[REFINEMENT] < width.stage[REFINEMENT] && width.stage[REFINEMENT] < first);
    expect(change(session, "cat,dog", PARAMS(.crf_iterations = 2)), false, false, false, true, true);
    expect(change(session, "cat,dog", PARAMS(.crf_iterations = -1)), false, false, false, false, true);
    expect(change(session, "cat,dog", PARAMS(.crf_iterations = 2)), false, false, false, false, true);
    tagmask_session_free(session);
}

// A preset file of the given members over "fast"; the path stays until the test ends.
static const char *preset_file(const char *members) {
    static char *folder, *path;
    tm_error err = TAGMASK_ERROR_INIT;
    char text[256];
    if (!folder) folder = test_temporary_dir();
    if (!path) path = tm_path_join(folder, "p.json");
    assert_non_null(path);
    (void)snprintf(text, sizeof text, "{\"preset\": \"fast\"%s%s}", *members ? ", " : "", members);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    return path;
}

static counts change_members(tagmask_session *session, const char *members) {
    return change(session, "cat,dog", PARAMS(.preset = preset_file(members)));
}

static void test_refinements(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    (void)change_members(session, "");
    check_no_refined(session);
    expect(change_members(session, "\"fusion\": \"eps\""), false, false, true, true, true);
    expect(change_members(session, "\"affinity_steps\": 3"), false, false, true, true, true);
    expect(change_members(session, ""), false, false, false, true, true);
    expect(change_members(session, "\"unary\": \"seeds\""), false, false, false, true, true);
    expect(change_members(session, "\"unary\": \"seeds\", \"gt_prob\": 0.9"), false, false, false, true, true);
    expect(change_members(session, "\"colour_weight\": 1"), false, false, false, true, true);
    expect(change_members(session, "\"colour_weight\": 1, \"colour_iterations\": 3"), false, false, false, true, true);
    static const char *const edges[] = {"guided", "pamr", "joint"};
    for (size_t i = 0; i < TM_ARRAY_LEN(edges); i++) {
        char members[64];
        (void)snprintf(members, sizeof members, "\"edge\": \"%s\"", edges[i]);
        expect(change_members(session, members), false, false, false, true, true);
        // Without a CRF the refined map itself is brought to the photo's size.
        strcat(members, ", \"crf_iterations\": 0");
        expect(change_members(session, members), false, false, false, false, true);
        strcat(members, ", \"edge_radius\": 3");
        expect(change_members(session, members), false, false, false, false, true);
    }
    expect(change_members(session, "\"crf_iterations\": 0"), false, false, false, false, true);
    tagmask_session_free(session);
}

static tagmask_tensor stage_map(tagmask_session *session, const char *stage) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor map = {.struct_size = sizeof map};
    assert_ok(tagmask_session_map(session, stage, 0, &map, &err), &err);
    return map;
}

// An engine without a saliency network proposes from the classifier alone, or with a saliency computed from the photo.
static void test_classical_saliency(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *with_network = engine;
    assert_ok(tagmask_engine_create(device, tiny_classifier(), "none", &engine, &err), &err);
    tagmask_session *session = tiny_session(engine);
    tagmask_tensor map = {.struct_size = sizeof map};
    const char *classical = "\"classical_saliency\": true", *word = "thing";
    tagmask_result *result = NULL;
    assert_int_equal(tagmask_propose(session, &word, 1, NULL, &result, &err), TAGMASK_ERROR_UNSUPPORTED);
    (void)change_members(session, "");
    assert_int_equal(tagmask_session_map(session, "saliency", 0, &map, &err), TAGMASK_ERROR_UNSUPPORTED);
    expect(change_members(session, classical), false, false, true, true, true);
    map = stage_map(session, "saliency");
    const float *values = map.data;
    float low = 1, high = 0;
    for (int64_t i = 0; i < map.dims[0] * map.dims[1]; i++) {
        low = TM_MIN(low, values[i]);
        high = TM_MAX(high, values[i]);
    }
    assert_true(low < 0.1f && high > 0.9f);
    tagmask_tensor_release(&map);
    // A word without a class: its map is a copy of that saliency.
    expect(change(session, word, PARAMS(.preset = preset_file(classical))), false, false, false, true, true);
    // With crops the network would look again; here nothing does.
    (void)change_members(session, "\"classical_saliency\": true, \"crops\": [1.5]");
    (void)change_members(session, "");
    tagmask_session_free(session);
    tagmask_engine_free(engine);
    engine = with_network;
}

// Where there is a network the member says nothing.
static void test_network_before_classical(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    counts plain, ignored;
    tagmask_result *a = propose(session, "cat,dog", PARAMS(.preset = preset_file("")), &plain);
    tagmask_result *b =
        propose(session, "cat,dog", PARAMS(.preset = preset_file("\"classical_saliency\": true")), &ignored);
    check_same(a, b);
    tagmask_result_free(a);
    tagmask_result_free(b);
    tagmask_session_free(session);
}

static void test_tags_come_and_go(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    uint64_t one = change(session, "cat", PARAMS(.preset = "fast")).stage[MAPS];
    counts added = change(session, "cat,dog", PARAMS(.preset = "fast")),
           two = change(session, "cat,dog,cup,thing", PARAMS(.preset = "fast"));
    expect(added, false, false, true, true, true);
    expect(two, false, false, true, true, true);
    // Only the new tag's map; the photo's saliency is there, and "thing" is what the three leave of it.
    assert_true(added.stage[MAPS] < one);
    assert_int_equal(two.stage[MAPS], added.stage[MAPS] + 3);
    expect(change(session, "dog,thing,cat", PARAMS(.preset = "fast")), false, false, true, true, true);
    expect(change(session, "thing,cat,dog", PARAMS(.preset = "fast")), false, false, false, true, true);
    expect(change(session, "cat,dog", PARAMS(.preset = "fast")), false, false, false, true, true);
    expect(change(session, "dog,cat", PARAMS(.preset = "fast")), false, false, false, true, true);
    expect(change(session, "dog,cat", PARAMS(.preset = "fast", .threshold = 0.4f)), false, false, false, false, false);
    expect(change(session, "thing,cat,thing", PARAMS(.preset = "fast")), false, false, true, true, true);
    tagmask_session_free(session);
}

static void test_other_views_and_sizes(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    tagmask_params *best = PARAMS(.preset = "best"), *small = PARAMS(.working_size = 128);
    expect(change(session, "cat,dog", PARAMS(.preset = "fast")), true, true, true, true, true);
    // "best" looks again where the CAM is: network passes of the stage "maps".
    expect(change(session, "cat,dog", best), false, true, true, true, true);
    expect(change(session, "cat,dog", small), true, false, true, true, true);
    // Back to what was there before: maps are found again, apart from the photo's saliency.
    counts back = change(session, "cat,dog", PARAMS(.preset = "fast")), there = change(session, "cat,dog", best);
    expect(back, true, false, true, true, true);
    expect(there, false, false, true, true, true);
    assert_true(there.stage[MAPS] < change(session, "cat,cup", best).stage[MAPS]);
    tagmask_session_free(session);
}

// More tags, one after the other, than maps and views are kept for.
static void test_many_tags(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    char tag[32];
    counts cost;
    for (int i = 1; i < 16; i++) {
        for (int size = 128; size <= 150; size += 11) {
            char *at = tag;
            for (int c = 0; c < 4; c++) {
                if (i >> c & 1) at += sprintf(at, "%s%d", at == tag ? "#" : ",", c);
            }
            const char *name = tag;
            tm_error err = TAGMASK_ERROR_INIT;
            tagmask_result *result = NULL;
            tagmask_params params = {.struct_size = sizeof params, .preset = "best", .working_size = (uint32_t)size};
            assert_ok(tagmask_propose(session, &name, 1, &params, &result, &err), &err);
            tagmask_result_free(result);
        }
    }
    tagmask_result_free(propose(session, "cat,sky", PARAMS(.preset = "best"), &cost));
    (void)change(session, "cat,sky", PARAMS(.preset = "best"));
    tagmask_session_free(session);
}

// A result lives on while its session goes on to other probabilities, or is freed.
static void test_results_stay(void **state) {
    (void)state;
    counts cost;
    tagmask_session *session = tiny_session(engine);
    tagmask_result *first = propose(session, "cat", NULL, &cost);
    size_t bytes = (size_t)tagmask_result_width(first) * tagmask_result_height(first) * sizeof(float);
    float *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, tagmask_result_probability(first, 0), bytes);
    tagmask_result *strict = propose(session, "cat", PARAMS(.threshold = 0.8f), &cost);
    assert_ptr_equal(tagmask_result_probability(first, 0), tagmask_result_probability(strict, 0));
    tagmask_result_free(propose(session, "dog", PARAMS(.crf_iterations = 1), &cost));
    tagmask_session_free(session);
    assert_memory_equal(tagmask_result_probability(first, 0), copy, bytes);
    tagmask_result_free(first);
    assert_memory_equal(tagmask_result_probability(strict, 0), copy, bytes);
    tagmask_result_free(strict);
    free(copy);
}

static bool stop_at_third_pass(void *user, float done, const char *stage) {
    int *calls = user;
    assert_true(done >= 0 && done < 0.6f);
    return strcmp(stage, "networks") != 0 || ++*calls < 3;
}

// A host may stop between the passes of the networks; those that are done are not run again.
static void test_stops_between_passes(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    tagmask_result *result = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    const char *tag = "cat";
    int calls = 0;
    tagmask_params params = {
        .struct_size = sizeof params, .preset = "best", .progress = stop_at_third_pass, .progress_user = &calls};
    assert_int_equal(tagmask_propose(session, &tag, 1, &params, &result, &err), TAGMASK_ERROR_ABORTED);
    assert_null(result);
    counts stopped, whole;
    tagmask_session *other = tiny_session(engine);
    tagmask_result *after = propose(session, "cat", PARAMS(.preset = "best"), &stopped),
                   *fresh = propose(other, "cat", PARAMS(.preset = "best"), &whole);
    assert_true(stopped.stage[NETWORKS] > 0 && stopped.stage[NETWORKS] < whole.stage[NETWORKS]);
    check_same(after, fresh);
    tagmask_result_free(after);
    tagmask_result_free(fresh);
    tagmask_session_free(session);
    tagmask_session_free(other);
}

static bool stop_inside_maps(void *user, float done, const char *stage) {
    int *calls = user;
    if (strcmp(stage, "maps")) return true;
    assert_true(done >= 0.6f && done < 0.75f);
    dispatches();         // the device may be asked meanwhile
    return ++*calls < 2;  // the first is the stage's beginning
}

// A method that runs the network for many channels may be stopped between them.
static void test_stops_inside_a_map(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine), *other = tiny_session(engine);
    tagmask_result *result = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    const char *tag = "cat", *preset = preset_file("\"tried_channels\": 0");
    int calls = 0;
    tagmask_params params = {.struct_size = sizeof params, .preset = preset, .method = "scorecam"};
    params.progress = stop_inside_maps;
    params.progress_user = &calls;
    assert_int_equal(tagmask_propose(session, &tag, 1, &params, &result, &err), TAGMASK_ERROR_ABORTED);
    assert_int_equal(calls, 2);
    assert_null(result);
    counts cost;
    tagmask_result *after = propose(session, "cat", PARAMS(.preset = preset, .method = "scorecam"), &cost),
                   *fresh = propose(other, "cat", PARAMS(.preset = preset, .method = "scorecam"), &cost);
    check_same(after, fresh);
    tagmask_result_free(after);
    tagmask_result_free(fresh);
    tagmask_session_free(session);
    tagmask_session_free(other);
}

// Suggestions may be asked for at another working size; the maps are still those of the last proposal.
static void test_maps_after_suggestions(void **state) {
    (void)state;
    static const uint32_t sizes[2][2] = {{250, 128}, {128, 250}};
    const char *refined = preset_file("\"edge\": \"guided\"");
    for (int i = 0; i < 2; i++) {
        tagmask_params proposed = {.struct_size = sizeof proposed, .preset = refined, .working_size = sizes[i][0]};
        tagmask_params suggested = {.struct_size = sizeof suggested, .preset = "fast", .working_size = sizes[i][1]};
        tagmask_session *session = tiny_session(engine);
        counts cost;
        tagmask_result_free(propose(session, "cat", &proposed, &cost));
        const char *stage;
        for (size_t s = 0; (stage = tagmask_stage_name(s)) != NULL; s++) {
            tm_error err = TAGMASK_ERROR_INIT;
            const char *name;
            size_t count;
            tagmask_tensor before = stage_map(session, stage);
            assert_ok(tagmask_session_auto_tags(session, &suggested, 1, &name, NULL, &count, &err), &err);
            tagmask_tensor after = stage_map(session, stage);
            assert_int_equal(after.dims[0], before.dims[0]);
            assert_int_equal(after.dims[1], before.dims[1]);
            assert_memory_equal(after.data, before.data, (size_t)(before.dims[0] * before.dims[1]) * sizeof(float));
            tagmask_tensor_release(&before);
            tagmask_tensor_release(&after);
        }
        tagmask_session_free(session);
    }
}

// What every photo would fail for is found before there is one.
static void test_check_params(void **state) {
    (void)state;
    tagmask_session *session = tiny_session(engine);
    tagmask_params wrong[] = {{.struct_size = sizeof *wrong, .method = "no-method"},
                              {.struct_size = sizeof *wrong, .layer = "no-layer"},
                              {.struct_size = sizeof *wrong, .preset = "no-preset"},
                              {.struct_size = sizeof *wrong, .threshold = 2},
                              {.struct_size = 0}};
    const char *const words[] = {"no-method", "no-layer", "no-preset", "threshold", "struct_size"};
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tagmask_engine_check_params(engine, NULL, &err), &err);
    for (size_t i = 0; i < TM_ARRAY_LEN(wrong); i++) {
        tagmask_result *result = NULL;
        tagmask_status status = tagmask_engine_check_params(engine, &wrong[i], &err);
        assert_int_not_equal(status, TAGMASK_OK);
        assert_non_null(strstr(err.message, words[i]));
        assert_int_equal(tagmask_propose(session, (const char *const[]){"cat"}, 1, &wrong[i], &result, &err), status);
    }
    const char *names[1];
    size_t count = 7, classes = tagmask_engine_class_count(engine);
    assert_int_equal(tagmask_session_auto_tags(session, NULL, classes + 1, names, NULL, &count, &err),
                     TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(count, 7);
    tagmask_session_free(session);
}

// A tag that the classifier does not see gets no region, and its note says so; its probability is there all the same.
static void an_absent_tag_gets_no_region(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    static const char *const tags[] = {"cat", "dog", "cup", "sky", "thing"};
    tagmask_session *session = tiny_session(engine);
    size_t refused[2] = {0, 0}, pixels = 0;
    for (int strict = 0; strict < 2; strict++) {
        tagmask_params params = {.struct_size = sizeof params, .score_limit = strict ? 1 : -1, .threshold = 0.01f};
        tagmask_result *result = NULL;
        assert_ok(tagmask_propose(session, tags, 5, &params, &result, &err), &err);
        pixels = (size_t)tagmask_result_width(result) * tagmask_result_height(result);
        for (size_t t = 0; t < 5; t++) {
            bool named = strstr(tagmask_result_note(result, t), "does not see it") != NULL;
            size_t labelled = 0;
            for (size_t i = 0; i < pixels; i++) labelled += tagmask_result_labels(result)[i] == t + 1;
            if (named) assert_int_equal(labelled, 0);
            assert_non_null(tagmask_result_probability(result, t));
            refused[strict] += named;
        }
        tagmask_result_free(result);
    }
    assert_int_equal(refused[0], 0);
    assert_int_equal(refused[1], 4);  // all but the word without a class
    tagmask_params wrong = {.struct_size = sizeof wrong, .score_limit = 2};
    tagmask_result *none = NULL;
    assert_int_equal(tagmask_propose(session, tags, 1, &wrong, &none, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "score_limit"));
    tagmask_session_free(session);
}

static size_t count_files(const char *folder) {
    char **names = NULL;
    size_t count = 0;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_list_folder(folder, &names, &count, &err), &err);
    tm_free_names(names, count);
    return count;
}

// Network outputs on disk belong to the precision that they were computed with.
static void test_precisions(void **state) {
    (void)state;
    static const char *const precisions[] = {"fp32", "fp16", NULL, "fp16"};
    char *folder = test_temporary_dir();
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .working_size = 128, .cache_dir = folder};
    tm_error err = TAGMASK_ERROR_INIT;
    size_t files = 0;
    for (size_t i = 0; i < TM_ARRAY_LEN(precisions); i++) {
        const tagmask_load_options options = {.struct_size = sizeof options, .precision = precisions[i]};
        tagmask_image photo = tiny_photo();
        tagmask_engine *made = NULL;
        tagmask_session *session = NULL;
        tagmask_result *result = NULL;
        assert_ok(tagmask_engine_create_with(device, tiny_classifier(), tiny_saliency(), &options, &made, &err), &err);
        assert_ok(tagmask_session_create(made, &photo, &session, &err), &err);
        assert_ok(tagmask_propose(session, (const char *const[]){"cat"}, 1, &params, &result, &err), &err);
        if (i == 0) files = count_files(folder);
        assert_int_equal(count_files(folder), i ? 2 * files : files);
        tagmask_result_free(result);
        tagmask_session_free(session);
        tagmask_engine_free(made);
    }
    assert_true(files > 0);
    const tagmask_load_options wrong = {.struct_size = sizeof wrong, .precision = "double"};
    tagmask_engine *none = NULL;
    assert_int_equal(tagmask_engine_create_with(device, tiny_classifier(), tiny_saliency(), &wrong, &none, &err),
                     TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "double"));
    assert_null(none);
    free(folder);
}

// The probability of "cat" with so much of the CRF in it.
static float *shared_probability(tagmask_session *session, const char *path, double share) {
    tm_error err = TAGMASK_ERROR_INIT;
    char text[128];
    (void)snprintf(text, sizeof text, "{\"preset\": \"fast\", \"score_limit\": -1, \"crf_share\": %.9g}", share);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    tagmask_result *result = propose(session, "cat", PARAMS(.preset = path), &(counts){{0}});
    tagmask_image photo = tiny_photo();
    size_t bytes = (size_t)photo.width * photo.height * sizeof(float);
    float *probability = malloc(bytes);
    memcpy(probability, tagmask_result_probability(result, 0), bytes);
    tagmask_result_free(result);
    return probability;
}

// Enlarging is linear in the maps, so the probability of a share is that share of both ends.
static void test_share_of_the_crf(void **state) {
    (void)state;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "p.json");
    tagmask_session *session = tiny_session(engine);
    float *map = shared_probability(session, path, 0), *crf = shared_probability(session, path, 1),
          *shared = shared_probability(session, path, 0.3);
    tagmask_image photo = tiny_photo();
    size_t differ = 0;
    for (size_t i = 0; i < (size_t)photo.width * photo.height; i++) {
        differ += fabsf(map[i] - crf[i]) > 0.05f;
        if (fabsf(shared[i] - (0.3f * crf[i] + 0.7f * map[i])) > 1e-5f)
            fail_msg("pixel %zu: %g, of %g and %g", i, (double)shared[i], (double)crf[i], (double)map[i]);
    }
    assert_true(differ > 100);
    free(map);
    free(crf);
    free(shared);
    tagmask_session_free(session);
    free(path);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_absent_tag_gets_no_region),
        cmocka_unit_test(test_nothing_on_the_device),
        cmocka_unit_test(test_crf_only),
        cmocka_unit_test(test_refinements),
        cmocka_unit_test(test_classical_saliency),
        cmocka_unit_test(test_network_before_classical),
        cmocka_unit_test(test_tags_come_and_go),
        cmocka_unit_test(test_other_views_and_sizes),
        cmocka_unit_test(test_many_tags),
        cmocka_unit_test(test_results_stay),
        cmocka_unit_test(test_maps_after_suggestions),
        cmocka_unit_test(test_check_params),
        cmocka_unit_test(test_precisions),
        cmocka_unit_test(test_stops_between_passes),
        cmocka_unit_test(test_stops_inside_a_map),
        cmocka_unit_test(test_share_of_the_crf),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
