// Presets: built in, from files, printed; the parameters over them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/preset.h"
#include "support.h"

static void test_settings(void **state) {
    (void)state;
    tm_settings settings;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_settings_resolve(NULL, &settings, &err), &err);
    assert_string_equal(settings.preset, "balanced");
    tagmask_params params = {.struct_size = sizeof params, .preset = "fast", .crf_iterations = -1, .threshold = 0.4f};
    assert_ok(tm_settings_resolve(&params, &settings, &err), &err);
    assert_int_equal(settings.crf_iterations, 0);
    assert_int_equal(settings.scale_count, 1);
    assert_true(settings.threshold == 0.4f);
    assert_true(settings.regions.min_part == 0.05f);
    params.min_part = -1;
    assert_ok(tm_settings_resolve(&params, &settings, &err), &err);
    assert_true(settings.regions.min_part == -1);
    // A caller built against a shorter struct: what lies beyond it is not read.
    params.struct_size = offsetof(tagmask_params, threshold);
    assert_ok(tm_settings_resolve(&params, &settings, &err), &err);
    assert_true(settings.threshold != 0.4f);
}

static void check_bad_params(tagmask_params params, const char *named) {
    tm_settings settings;
    tm_error err = TAGMASK_ERROR_INIT;
    params.struct_size = sizeof params;
    assert_int_not_equal(tm_settings_resolve(&params, &settings, &err), TAGMASK_OK);
    if (!strstr(err.message, named)) fail_msg("\"%s\" does not name \"%s\"", err.message, named);
}

static void test_bad_settings(void **state) {
    (void)state;
    check_bad_params((tagmask_params){.preset = "huge"}, "\"huge\"");
    check_bad_params((tagmask_params){.working_size = 4}, "working_size");
    check_bad_params((tagmask_params){.working_size = 1u << 30}, "128..2048");
    check_bad_params((tagmask_params){.threshold = 1.5f}, "threshold");
    check_bad_params((tagmask_params){.threshold = NAN}, "threshold");
    check_bad_params((tagmask_params){.crf_iterations = 99}, "crf_iterations");
    check_bad_params((tagmask_params){.crf_bilateral_srgb = -1}, "crf_bilateral_srgb");
    check_bad_params((tagmask_params){.min_part = 2}, "min_part");
    check_bad_params((tagmask_params){.polygon_tolerance = -3}, "polygon_tolerance");
    check_bad_params((tagmask_params){.method = "magic"}, "magic");
    check_bad_params((tagmask_params){.crf_iterations = -2}, "crf_iterations");
    check_bad_params((tagmask_params){.preset = "nowhere/p.json"}, "nowhere/p.json");
    tm_settings settings;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_params unset = {0};
    assert_int_equal(tm_settings_resolve(&unset, &settings, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "struct_size"));
}

static void write_text(const char *path, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
}

static void test_file(void **state) {
    (void)state;
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "p.json");
    tm_error err = TAGMASK_ERROR_INIT;
    tm_settings settings, again;
    write_text(path,
               "{\"threshold\": 0.4, \"preset\": \"best\", \"crf_iterations\": 0, \"working-size\": 512,"
               " \"scales\": [320, 640], \"mirror\": false, \"method\": \"cam\", \"min_part\": 0}");
    tagmask_params params = {.struct_size = sizeof params, .preset = path};
    assert_ok(tm_settings_resolve(&params, &settings, &err), &err);
    assert_string_equal(settings.preset, "best");
    assert_true(settings.threshold == 0.4f && settings.regions.min_part == -1 && !settings.mirror);
    assert_int_equal(settings.crf_iterations, 0);
    assert_int_equal(settings.working_size, 512);
    assert_int_equal(settings.scale_count, 2);
    assert_int_equal(settings.scales[1], 640);
    assert_int_equal(settings.crop_count, 2);  // of the preset that it starts from
    // The caller's parameters go before the file.
    params.threshold = 0.3f;
    params.crf_iterations = 7;
    assert_ok(tm_settings_resolve(&params, &settings, &err), &err);
    assert_true(settings.threshold == 0.3f && settings.crf_iterations == 7);
    // What is printed reads back as the same.
    char *text = tm_preset_print(&settings);
    assert_non_null(text);
    write_text(path, text);
    params = (tagmask_params){.struct_size = sizeof params, .preset = path};
    assert_ok(tm_settings_resolve(&params, &again, &err), &err);
    assert_memory_equal(&settings, &again, sizeof settings);
    free(text);
    free(path);
    free(folder);
}

static void test_bad_files(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"{\"treshold\": 1}", "did you mean \"threshold\""},
        {"{\"zzzzzz\": 1}", "\"zzzzzz\""},
        {"{\"threshold\": 2}", "threshold: 2 is outside 0.0001..0.9999"},
        {"{\"threshold\": 1e999}", "threshold"},
        {"{\"threshold\": []}", "threshold: expected a number"},
        {"{\"mirror\": 1}", "mirror: expected true or false"},
        {"{\"rivals\": 1.5}", "rivals: 1.5; expected a whole number"},
        {"{\"rivals\": 17}", "rivals: 17 is outside 0..16"},
        {"{\"scales\": []}", "scales: expected at least one"},
        {"{\"scales\": 448}", "scales: expected a list of whole numbers"},
        {"{\"scales\": [448, \"x\"]}", "scales: expected a list of whole numbers"},
        {"{\"scales\": [1,2,3,4,5,6,7,8,9]}", "scales: 9 numbers; expected at most 8"},
        {"{\"scales\": [448, 5000]}", "scales: 5000 is outside"},
        {"{\"scales\": [320]}", "affinity_size: 640 is none of the scales"},
        {"{\"method\": \"magic\"}", "method: \"magic\" is unknown; expected cam"},
        {"{\"fusion\": \"mean\"}", "fusion: \"mean\" is unknown; expected gate, product, max, eps, agreement"},
        {"{\"unary\": \"label\"}", "unary: \"label\" is unknown; expected logit, seeds"},
        {"{\"edge\": \"sharp\"}", "edge: \"sharp\" is unknown; expected none, guided, pamr, joint"},
        {"{\"edge_radius\": 33}", "edge_radius: 33 is outside 1..32"},
        {"{\"edge_eps\": 0}", "edge_eps: 0 is outside"},
        {"{\"colour_weight\": -1}", "colour_weight: -1 is outside 0..10"},
        {"{\"colour_iterations\": 0}", "colour_iterations: 0 is outside 1..10"},
        {"{\"affinity_from\": \"tokens\"}", "\"tokens\" is unknown; expected classifier, features, attention"},
        {"{\"attention_blocks\": 65}", "attention_blocks: 65 is outside 0..64"},
        {"{\"affinity_steps\": 0}", "affinity_steps: 0 is outside 1..16"},
        {"{\"seed_low\": 0.6}", "seed_low: 0.6 is above seed_high, 0.5"},
        {"{\"gt_prob\": 1}", "gt_prob: 1 is outside"},
        {"{\"method\": 3}", "method: expected a text"},
        {"{\"preset\": \"huge\"}", "\"huge\""},
        {"{\"preset\": \"other.json\"}", "\"other.json\""},
        {"{\"preset\": 3}", "expected fast, balanced or best"},
        {"{\"rivals\": 1, \"rivals\": 2}", "rivals is there twice"},
        {"{\"rivals\": null}", "rivals"},
        {"[1]", "expected a JSON object"},
        {"{\"min_part\": 1, \"min-part\": 0}", "min_part is there twice"},
        {"{\"seed\": 4294967296}", "seed: 4294967296 is outside 0..4294967295"},
        {"{\"seed_low\": 0.80000001}", "seed_low: 0.8 is above seed_high, 0.5"},
        {"{\"threshold\": 0.99991}", "threshold: 0.99991 is outside 0.0001..0.9999"},
        {"x", "line 1, column 1: did not expect 'x'"},
        {"", "is empty"},
        {"{\"threshold\": 0.4} x", "line 1, column 20: did not expect 'x'"},
        {"{\"threshold\": 0.4}}", "line 1, column 19: did not expect '}'"},
        {"{\n  \"rivals\": 2,\n}\n", "line 3, column 1: did not expect '}'"},
        {"{\n  \"rivals\": 2\n  \"mirror\": true\n}", "line 3, column 3: did not expect '\"mirror\": true'"},
        {"{\"layer\": \"\xc3\xa9\", rivals: 2}", "line 1, column 16: did not expect 'rivals: 2}'"},
        {"{\"rivals\": 2", "line 1, column 13: the file ends too early"},
    };
    char *folder = test_temporary_dir(), *path = tm_path_join(folder, "p.json");
    for (size_t i = 0; i < TM_ARRAY_LEN(bad); i++) {
        tm_settings settings;
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_params params = {.struct_size = sizeof params, .preset = path};
        write_text(path, bad[i][0]);
        assert_int_not_equal(tm_settings_resolve(&params, &settings, &err), TAGMASK_OK);
        if (!strstr(err.message, "p.json") || !strstr(err.message, bad[i][1]))
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i][0], err.message, bad[i][1]);
        assert_int_equal(err.status, TAGMASK_ERROR_ARGUMENT);  // whatever is wrong with it
        assert_null(strstr(err.message, "JSON file"));         // presets do not name files
    }
    free(path);
    free(folder);
}

// A bound as a float is a little beyond what was typed.
static void test_bounds(void **state) {
    (void)state;
    tm_settings settings;
    tm_error err = TAGMASK_ERROR_INIT;
    const tagmask_params params = {.struct_size = sizeof params, .threshold = 0.0001f, .max_parts = UINT32_MAX};
    assert_true((double)params.threshold < 0.0001);
    assert_ok(tm_settings_resolve(&params, &settings, &err), &err);
    assert_true(settings.threshold == 0.0001f && settings.regions.max_parts == UINT32_MAX);
}

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-1, "-1"},
                 {4294967296.0, "4294967296"},
                 {1000000, "1000000"},
                 {(double)0.6f, "0.6"},
                 {(double)0.8f, "0.8"},
                 {0.1, "0.1"},
                 {0.123456789012, "0.123456789012"},
                 {1e-6, "1e-06"},
                 {-0.25, "-0.25"},
                 {(double)16777.217f, "16777.217"},
                 {1e300, "1e+300"},
                 {NAN, "nan"},
                 {INFINITY, "inf"}};
    for (size_t i = 0; i < TM_ARRAY_LEN(cases); i++) {
        char text[TM_NUMBER_LENGTH];
        assert_string_equal(tm_number_text(cases[i].value, text), cases[i].text);
    }
}

static void test_public_text(void **state) {
    (void)state;
    static const char *const names[] = {NULL, "fast", "balanced", "best"};
    for (size_t i = 0; i < TM_ARRAY_LEN(names); i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        size_t size = 0, part = 8;
        char text[8192], few[8];
        assert_ok(tagmask_preset_text(names[i], NULL, &size, &err), &err);
        assert_true(size > 200 && size < sizeof text);
        assert_ok(tagmask_preset_text(names[i], text, &size, &err), &err);
        assert_int_equal(strlen(text) + 1, size);
        for (size_t m = 0; tm_preset_member(m); m++) assert_non_null(strstr(text, tm_preset_member(m)->name));
        assert_ok(tagmask_preset_text(names[i], few, &part, &err), &err);
        assert_int_equal(part, size);
        assert_int_equal(strlen(few), 7);
    }
    tm_error err = TAGMASK_ERROR_INIT;
    size_t size = 8;
    assert_int_equal(tagmask_preset_text("huge", NULL, NULL, &err), TAGMASK_ERROR_ARGUMENT);
    assert_int_equal(tagmask_preset_text("fast", NULL, &size, &err), TAGMASK_ERROR_ARGUMENT);
    size = 0;
    assert_int_equal(tagmask_preset_text("huge", NULL, &size, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "\"huge\""));
}

// Each member changes the hash of its own stage and of no other.
static void test_hashes(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_settings before;
    assert_ok(tm_settings_resolve(NULL, &before, &err), &err);
    for (size_t m = 0; tm_preset_member(m); m++) {
        const tm_member *member = tm_preset_member(m);
        tm_settings after = before;
        char *at = (char *)&after + member->offset;
        *at = (char)(*at ^ 1);
        for (uint32_t stage = TM_STAGE_IMAGES; stage <= TM_STAGE_RESULT; stage++) {
            bool same = tm_preset_hash(&before, stage, 3) == tm_preset_hash(&after, stage, 3);
            bool empty = member->count_offset && !*(uint32_t *)((char *)&after + member->count_offset);
            if (same == (stage == member->stage && !empty)) fail_msg("member %s, stage %u", member->name, stage);
        }
    }
}

// docs/presets.md has a row for each member.
static void test_docs(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *docs;
    size_t size;
    assert_ok(tm_read_file(TEST_DOCS "/presets.md", 1 << 20, &docs, &size, &err), &err);
    for (size_t m = 0; tm_preset_member(m); m++) {
        char name[64];
        snprintf(name, sizeof name, "`%s`", tm_preset_member(m)->name);
        if (!strstr((const char *)docs, name)) fail_msg("docs/presets.md does not describe %s", name);
    }
    free(docs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),  cmocka_unit_test(test_bad_settings), cmocka_unit_test(test_file),
        cmocka_unit_test(test_bad_files), cmocka_unit_test(test_public_text),  cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_docs),      cmocka_unit_test(test_bounds),       cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
