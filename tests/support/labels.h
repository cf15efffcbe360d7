// Shared by the tests of label formats: a small example, files read and written whole, and an independent painter.
#ifndef TEST_LABELS_H
#define TEST_LABELS_H

#include <cjson/cJSON.h>

#include "mask/result.h"
#include "support.h"

enum { TEST_W = 40, TEST_H = 30, TEST_PIXELS = TEST_W * TEST_H };

void test_fill_box(uint8_t *map, uint32_t left, uint32_t top, uint32_t w, uint32_t h, uint8_t label);
// The probability of a tag is 0.75 at its pixels and 0.125 elsewhere; every corner of a polygon stays.
// Class maps of 2 x 2, brightest at the lower right.
void test_give_maps(tagmask_result *result);
tagmask_result *test_result_of(const uint8_t *map, const char *const *tags, size_t count);
// Two parts of "cat", one with a hole, and one of a second tag.
tagmask_result *test_example(const char *second_tag);
tagmask_result *test_one_bird(void);                                            // apart from the example's parts
void test_assert_same_masks(const tagmask_result *a, const tagmask_result *b);  // whatever the order of the tags

char *test_read_text(const char *dir, const char *name);  // malloc'ed
void test_write_text(const char *dir, const char *name, const char *text);
cJSON *test_read_json(const char *dir, const char *name);
void test_write_json(const char *dir, const char *name, cJSON *json);  // frees json
cJSON *test_member(const cJSON *object, const char *key);              // fails the test when there is none

// Flips the pixels whose centres the ring encloses, even-odd; x and y in turn. map: TEST_W x TEST_H.
void test_flip_ring(uint8_t *map, const double *points, int count);
// The numbers of a list, or of a list of lists, in order; returns how many.
int test_numbers_of(const cJSON *list, double *out);

#endif
