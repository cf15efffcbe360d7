// What a tag means: names, synonyms and hypernyms to class indices of a classifier.
//
// The vocabulary comes from the tag table (tags.json, made from WordNet and an alias table) and from the pack's own
// label names (labels.json); either may be missing. Names are compared without regard to case, spaces, underscores,
// hyphens and plural. "#281,282" names class indices directly; "#" alone is a tag without a class.
//
//   tags.json    {"format": 1, "tags": {"cat": [281, 282], "cow": []}, "canonical": {"airplane": "aeroplane"},
//                 "notes": {"cow": "..."}}
//   labels.json  [{"name": "tench", "synonyms": ["Tinca tinca"]}, ...] or ["tench, Tinca tinca", ...], or an object
//   with
//                such an array as "labels": the names of every class in order
#ifndef TM_TAGS_H
#define TM_TAGS_H

#include "base/base.h"

typedef struct tm_tags tm_tags;

// table_path: the tag table; NULL when there is none for this classifier. labels_path: the pack's class names; NULL
// when there are none. Class indices beyond class_count are an error that names the tag. Both files are untrusted.
tagmask_status tm_tags_load(const char *table_path, const char *labels_path, size_t class_count, tm_tags **tags,
                            tm_error *err);
void tm_tags_free(tm_tags *tags);  // NULL is allowed

// Fills info (struct_size is set by the caller and respected); everything it points to lives as long as `tags`.
// TAGMASK_ERROR_UNKNOWN_TAG with the nearest names; TAGMASK_ERROR_ARGUMENT for an empty tag or a bad "#" list. Several
// threads may resolve at once.
tagmask_status tm_tags_resolve(tm_tags *tags, const char *tag, tagmask_tag_info *info, tm_error *err);

size_t tm_tags_class_count(const tm_tags *tags);
const char *tm_tags_class_name(const tm_tags *tags, size_t index);  // first name of a class; NULL beyond the last
// The tag to propose for a class (its own name, or the narrowest tag that holds it): for --auto. NULL beyond the last.
const char *tm_tags_of_class(const tm_tags *tags, size_t index);
size_t tm_tags_count(const tm_tags *tags);                    // names in the vocabulary, synonyms left out
const char *tm_tags_name(const tm_tags *tags, size_t index);  // sorted; NULL beyond the last

#endif
