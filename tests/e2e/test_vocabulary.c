// The tag table that third_party/labels.py makes, read the way the engine reads it: every name of PASCAL VOC and of
// COCO means the right ImageNet classes, or is known to have none.
#include <stdio.h>
#include <stdlib.h>

#include "mask/tags.h"
#include "support.h"

#define PACK TEST_BUILD "/models/efficientnet-lite0/"
#define CLASSES 1000

typedef struct expectation {
    const char *tag;
    const char *classes;  // "7-9,80": ascending indices and ranges; "" for a known word without a class
} expectation;

static const expectation voc[] = {
    {"person", ""},
    {"bicycle", "444,671"},
    {"car", "436,468,511,609,627,656,661,751,817"},
    {"motorbike", "665,670"},
    {"aeroplane", "404,895"},
    {"bus", "654,779,874"},
    {"train", "466,547,565,705,820,829"},
    {"boat", "472,484,510,554,576,625,628,724,780,814,871,914"},
    {"bird", "7-24,80-100,127-146"},
    {"cat", "281-285"},
    {"dog", "151-268"},
    {"horse", "339"},
    {"sheep", "348-349"},
    {"cow", ""},
    {"bottle", "440,720,737,898,907"},
    {"chair", "423,559,765,857"},
    {"sofa", "831"},
    {"pottedplant", "738"},
    {"diningtable", "532"},
    {"tvmonitor", "664,782,851"},
};

static const expectation coco[] = {
    {"person", ""},
    {"bicycle", "444,671"},
    {"car", "436,468,511,609,627,656,661,751,817"},
    {"motorcycle", "665,670"},
    {"airplane", "404,895"},
    {"bus", "654,779,874"},
    {"train", "466,547,565,705,820,829"},
    {"truck", "555,569,675,717,734,864,867"},
    {"boat", "472,484,510,554,576,625,628,724,780,814,871,914"},
    {"traffic light", "920"},
    {"fire hydrant", ""},
    {"stop sign", "919"},
    {"parking meter", "704"},
    {"bench", "703"},
    {"bird", "7-24,80-100,127-146"},
    {"cat", "281-285"},
    {"dog", "151-268"},
    {"horse", "339"},
    {"sheep", "348-349"},
    {"cow", ""},
    {"elephant", "385-386"},
    {"bear", "294-297"},
    {"zebra", "340"},
    {"giraffe", ""},
    {"backpack", "414"},
    {"umbrella", "879"},
    {"handbag", "748"},
    {"tie", "451,457,906"},
    {"suitcase", ""},
    {"frisbee", ""},
    {"skis", "795"},
    {"snowboard", ""},
    {"sports ball", "429-430,522,574,722,768,805,852,890"},
    {"kite", ""},
    {"baseball bat", ""},
    {"baseball glove", ""},
    {"skateboard", ""},
    {"surfboard", ""},
    {"tennis racket", "752"},
    {"bottle", "440,720,737,898,907"},
    {"wine glass", "572,966"},
    {"cup", "504,968"},
    {"fork", ""},
    {"knife", "499,623"},
    {"spoon", "910"},
    {"bowl", "659,809"},
    {"banana", "954"},
    {"apple", "948"},
    {"sandwich", "933-934"},
    {"orange", "950"},
    {"broccoli", "937"},
    {"carrot", ""},
    {"hot dog", "934"},
    {"pizza", "963"},
    {"donut", ""},
    {"cake", ""},
    {"chair", "423,559,765,857"},
    {"couch", "831"},
    {"potted plant", "738"},
    {"bed", "564"},
    {"dining table", "532"},
    {"toilet", "861"},
    {"tv", "664,782,851"},
    {"laptop", "620,681"},
    {"mouse", "673"},
    {"remote", "761"},
    {"keyboard", "508"},
    {"cell phone", "487"},
    {"microwave", "651"},
    {"oven", "827"},
    {"toaster", "859"},
    {"sink", "896"},
    {"refrigerator", "760"},
    {"book", "917,921"},
    {"clock", "409,530,892"},
    {"vase", "883"},
    {"scissors", ""},
    {"teddy bear", "850"},
    {"hair drier", "589"},
    {"toothbrush", ""},
};

// Words whose first sense in WordNet is another thing, and words that span many classes.
static const expectation hard[] = {
    {"jet plane", "404,895"}, {"coffee cup", "504,968"},     {"plane", "404,895"},
    {"monitor", "664,782"},   {"television", "664,782,851"}, {"crane", "134,517"},
    {"rocket", "657,744"},    {"espresso", "967"},           {"animal", "0-397"},
};

static tm_tags *load(void) {
    tm_tags *tags = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_tags_load(PACK "tags.json", PACK "labels.json", CLASSES, &tags, &err), &err);
    return tags;
}

static void check(tm_tags *tags, const expectation *expected) {
    tagmask_tag_info info = {.struct_size = sizeof info};
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(tm_tags_resolve(tags, expected->tag, &info, &err), &err);
    size_t at = 0;
    for (const char *text = expected->classes; *text;) {
        char *end;
        long first = strtol(text, &end, 10), last = first;
        if (*end == '-') last = strtol(end + 1, &end, 10);
        for (long index = first; index <= last; index++, at++) {
            if (at >= info.class_count || info.classes[at] != index)
                fail_msg("%s lacks class %ld", expected->tag, index);
        }
        text = *end == ',' ? end + 1 : end;
    }
    if (at != info.class_count) fail_msg("%s has %zu classes, expected %zu", expected->tag, info.class_count, at);
}

static void check_all(const expectation *expected, size_t count) {
    tm_tags *tags = load();
    for (size_t i = 0; i < count; i++) check(tags, &expected[i]);
    tm_tags_free(tags);
}

static void test_voc(void **state) {
    (void)state;
    assert_int_equal(TM_ARRAY_LEN(voc), 20);
    check_all(voc, TM_ARRAY_LEN(voc));
}

static void test_coco(void **state) {
    (void)state;
    assert_int_equal(TM_ARRAY_LEN(coco), 80);
    check_all(coco, TM_ARRAY_LEN(coco));
}

static void test_hard_words(void **state) {
    (void)state;
    check_all(hard, TM_ARRAY_LEN(hard));
}

// What --auto proposes for a class has to be found again, and to mean that class.
static void test_every_class_has_a_tag(void **state) {
    (void)state;
    tm_tags *tags = load();
    for (size_t index = 0; index < CLASSES; index++) {
        tagmask_tag_info info = {.struct_size = sizeof info};
        tm_error err = TAGMASK_ERROR_INIT;
        assert_ok(tm_tags_resolve(tags, tm_tags_of_class(tags, index), &info, &err), &err);
        bool found = false;
        for (size_t i = 0; i < info.class_count; i++) found = found || info.classes[i] == (int32_t)index;
        if (!found) fail_msg("\"%s\" does not mean class %zu", tm_tags_of_class(tags, index), index);
    }
    tm_tags_free(tags);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_voc),
        cmocka_unit_test(test_coco),
        cmocka_unit_test(test_hard_words),
        cmocka_unit_test(test_every_class_has_a_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
