// Model packs and parameters: what is accepted, and the sentence for what is not.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/pack.h"
#include "support.h"

static const char good[] =
    "{\"format\": 1, \"name\": \"mine\", \"kind\": \"classifier\", \"model\": \"model.onnx\", \"labels\": "
    "\"labels.json\","
    " \"preprocess\": {\"mean\": [1, 2, 3], \"scale\": [4, 5, 6], \"multiple_of\": 32, \"size\": [224, 160],"
    " \"resample\": \"lanczos\"}, \"cam\": {\"layer\": \"features\"}, \"affinity\": {\"layer\": null}}";

static char *make_pack(const char *json) {
    char *folder = test_temporary_dir(), path[4200];
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    assert_ok(tm_write_file(path, "x", 1, NULL), NULL);
    snprintf(path, sizeof path, "%s/labels.json", folder);
    assert_ok(tm_write_file(path, "[]", 2, NULL), NULL);
    snprintf(path, sizeof path, "%s/pack.json", folder);
    assert_ok(tm_write_file(path, json, strlen(json), NULL), NULL);
    return folder;
}

static void test_good_pack(void **state) {
    (void)state;
    char *folder = make_pack(good);
    tm_pack pack;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_pack_load(folder, TM_PACK_CLASSIFIER, &pack, &err), &err);
    assert_string_equal(pack.name, "mine");
    assert_string_equal(pack.cam_layer, "features");
    assert_null(pack.affinity_layer);
    assert_null(pack.tags_path);
    assert_non_null(strstr(pack.labels_path, "labels.json"));
    assert_int_equal(pack.height, 224);
    assert_int_equal(pack.width, 160);
    assert_int_equal(pack.multiple_of, 32);
    assert_int_equal(pack.filter, TM_FILTER_LANCZOS);
    assert_true(pack.mean[1] == 2 && pack.scale[2] == 6 && !pack.divide_by_max);
    tm_pack_free(&pack);
    tm_pack_free(&pack);  // an empty pack may be freed
    assert_int_equal(tm_pack_load(folder, TM_PACK_SALIENCY, &pack, &err), TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "is a classifier pack where a saliency pack is needed"));
    free(folder);
}

// The good description with one piece replaced, and what the message has to name.
static void check_bad(const char *piece, const char *instead, const char *named) {
    const char *at = strstr(good, piece);
    assert_non_null(at);
    char *json = tm_format("%.*s%s%s", (int)(at - good), good, instead, at + strlen(piece));
    char *folder = make_pack(json);
    tm_pack pack;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_status status = tm_pack_load(folder, TM_PACK_CLASSIFIER, &pack, &err);
    assert_true(status == TAGMASK_ERROR_FORMAT || status == TAGMASK_ERROR_FILE);
    if (!strstr(err.message, named)) fail_msg("\"%s\" does not name \"%s\"", err.message, named);
    assert_non_null(strstr(err.message, folder));
    free(json);
    free(folder);
}

static void test_bad_packs(void **state) {
    (void)state;
    check_bad("\"format\": 1", "\"format\": 2", "\"format\"");
    check_bad("\"mine\"", "7", "\"name\"");
    check_bad("\"classifier\"", "\"oracle\"", "\"kind\"");
    check_bad("model.onnx", "absent.onnx", "absent.onnx");
    check_bad("model.onnx", "../model.onnx", "inside the pack");
    check_bad("model.onnx", "/etc/passwd", "inside the pack");
    check_bad("[4, 5, 6]", "[4, 0, 6]", "\"scale\"");
    check_bad("[1, 2, 3]", "[1, 2]", "\"mean\"");
    check_bad("[224, 160]", "[224]", "\"size\"");
    check_bad("[224, 160]", "[1e9, 1]", "\"size\"");
    check_bad("\"multiple_of\": 32", "\"multiple_of\": 0", "\"multiple_of\"");
    check_bad("\"lanczos\"", "\"cubic\"", "\"resample\"");
    check_bad("{\"mean\"", "[", "pack.json");
    check_bad(good, "[1]", "not a JSON object");
    check_bad(good, "", "is empty");
    check_bad("\"format\": 1,", "\"format\": 1", "pack.json: is not valid JSON: line 1, column 14: did not expect");
    check_bad("null}}", "null}} {}", "did not expect '{}'");
    check_bad("\"multiple_of\": 32", "\"multiple_of\": 1.5", "a whole number from 1 to 256");
    check_bad("\"multiple_of\": 32", "\"divide_by_max\": 1", "\"divide_by_max\": expected true or false");
    check_bad("{\"layer\": null}", "7", "\"affinity\": expected an object");
}

// A mistyped member is not passed over, wherever it is.
static void test_unknown_members(void **state) {
    (void)state;
    check_bad("\"affinity\"", "\"affinty\"", "\"affinty\" is no member of a pack; did you mean \"affinity\"?");
    check_bad("\"format\": 1", "\"format\": 1, \"qqq\": 3", "\"qqq\" is no member of a pack; docs/packs.md lists them");
    check_bad("\"format\": 1", "\"format\": 1, \"name\": \"x\"", "member name is there twice");
    check_bad("\"multiple_of\"", "\"multiple-of\"",
              "\"multiple-of\" is no member of \"preprocess\"; did you mean \"multiple_of\"?");
    check_bad("{\"layer\": \"features\"}", "{\"layr\": \"features\"}",
              "\"layr\" is no member of \"cam\"; did you mean \"layer\"?");
    check_bad("{\"layer\": null}", "{\"layers\": null}", "\"layers\" is no member of \"affinity\"");
    check_bad("\"format\": 1", "\"format\": 1, \"features\": {\"path\": 14}",
              "\"path\" is no member of \"features\"; did you mean \"patch\"?");
}

static void test_missing_pack(void **state) {
    (void)state;
    tm_pack pack;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_int_equal(tm_pack_load("no-such-pack", TM_PACK_CLASSIFIER, &pack, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "no-such-pack"));
    assert_null(strstr(err.message, "--saliency"));
    assert_int_equal(tm_pack_load("no-such-pack", TM_PACK_SALIENCY, &pack, &err), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(err.message, "--saliency none"));
}

static void test_pack_by_name(void **state) {
    (void)state;
    char *folder = make_pack(good), *slash = strrchr(folder, '/');
    char *base = tm_format("/nonexistent:%.*s", (int)(slash - folder), folder);
    setenv("TAGMASK_MODELS", base, 1);
    tm_pack pack;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_pack_load(slash + 1, TM_PACK_CLASSIFIER, &pack, &err), &err);
    assert_string_equal(pack.folder, folder);
    tm_pack_free(&pack);
    unsetenv("TAGMASK_MODELS");
    free(base);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_pack),       cmocka_unit_test(test_bad_packs),
        cmocka_unit_test(test_unknown_members), cmocka_unit_test(test_missing_pack),
        cmocka_unit_test(test_pack_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
