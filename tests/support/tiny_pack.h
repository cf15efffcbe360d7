// Model packs of a few layers with fixed noise for weights, made in a temporary folder: a whole proposal in
// milliseconds, without fetched models.
#ifndef TINY_PACK_H
#define TINY_PACK_H

#include "support.h"

#define TINY_CLASSES 4

// Paths of packs for tagmask_engine_create, made once a process. The classifier has the tags "cat", "dog", "cup" and
// "sky", and the word "thing" without a class; it has an affinity layer.
const char *tiny_classifier(void);
const char *tiny_saliency(void);
// Another classifier of the same classes; one of fewer. Features of squares of 8 px, after one token more, in a layer
// that is not the output; the same with a pack.json that says 8 px where they are of 16.
const char *tiny_second(void);
const char *tiny_odd_classifier(void);
const char *tiny_features(void);
const char *tiny_odd_features(void);

// A picture of a bright disc on a dark ground; pixels are static. [any thread]
tagmask_image tiny_photo(void);
// A session of that picture; an error fails the test.
tagmask_session *tiny_session(tagmask_engine *engine);

#endif
