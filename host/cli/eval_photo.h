// Proposes and scores one photo of an evaluation.
#ifndef CLI_EVAL_PHOTO_H
#define CLI_EVAL_PHOTO_H

#include "cli/eval_page.h"

typedef struct eval_engine {
    tagmask_engine *engine;
    tagmask_params params;
    const char *data;  // folder of the evaluation set
    const eval_data *tables;
    int way;           // 1: one tag a run, by class indices; 2: all tags of the photo together, by name
    bool all_objects;  // way 2: also those without a class, such as person
    double threshold;
    uint32_t absent;        // so many tags of other photos are tried on each
    const eval_page *page;  // NULL: none
} eval_engine;

// Fills the record for the photo's scored rows and, where asked for, its saliency and absent tags; writes the rows'
// pictures.
tagmask_status eval_run_photo(const eval_engine *engine, const eval_photo *photo, eval_record *record, tm_error *err);

#endif
