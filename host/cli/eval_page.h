// A page to look at: every scored row of an evaluation with a small picture of every stage.
//
// FOLDER/index.html, FOLDER/pictures/*.png and FOLDER/settings.json, which says what the pictures were made with.
#ifndef CLI_EVAL_PAGE_H
#define CLI_EVAL_PAGE_H

#include "cli/eval.h"

typedef struct eval_page {
    char *folder, *pictures;
} eval_page;

// Makes the folder. Fails when it cannot be written to, or holds another's index.html.
tagmask_status eval_page_open(const char *folder, eval_page *page, tm_error *err);
void eval_page_close(eval_page *page);
// From now on the folder's pictures are those of a run with these settings. *same: they were already.
tagmask_status eval_page_claim(const eval_page *page, const char *settings, bool *same, tm_error *err);
// Whether every picture that the page shows for the record's rows is there.
bool eval_page_has(const eval_page *page, const eval_record *record);

// Pictures of a photo; `row` counts its scored rows from 0. Long sides are at most 256 px.
tagmask_status eval_page_photo(const eval_page *page, const char *file, const tagmask_image *photo, tm_error *err);
tagmask_status eval_page_truth(const eval_page *page, const char *file, size_t row, const eval_truth *truth,
                               tm_error *err);
// A stage's map of the photo's size in the colours of a heat map.
tagmask_status eval_page_map(const eval_page *page, const char *file, size_t row, const char *stage, uint32_t width,
                             uint32_t height, const float *map, tm_error *err);
// The outline of (probability >= threshold) over the photo.
tagmask_status eval_page_proposal(const eval_page *page, const char *file, size_t row, const tagmask_image *photo,
                                  const float *probability, double threshold, tm_error *err);
// The page itself, once all pictures are there.
tagmask_status eval_page_write(const eval_page *page, const eval_report *report, tm_error *err);

// What a picture of the page is called below its folder; stage NULL: the photo. malloc'ed, NULL without memory.
char *eval_page_name(const char *file, size_t row, const char *stage);
#define EVAL_PAGE_PROPOSAL "proposal"
#define EVAL_PAGE_TRUTH "truth"

#endif
