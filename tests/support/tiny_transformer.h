// A transformer of two blocks, "a" and "b", that knows "cat", "dog" and "cup": as an ONNX model and a pack, and what a
// session makes of it.
#ifndef TINY_TRANSFORMER_H
#define TINY_TRANSFORMER_H

#include "mask/session.h"
#include "onnx_build.h"
#include "support.h"

enum { WIDTH = 96, HEIGHT = 64, PATCH = 16, PLACES = 24, DIM = 8, HEADS = 2, CLASSES = 3, BLOCKS = 2, MOST = 25 };

// Tensors: tokens, then middle and last after the blocks; aattention and battention; logits and scores. FIRST_TOKEN:
// the scores are the first token's; MEAN_TOKEN: those of all tokens' mean; MEAN_TURNED: the same after a transposition;
// CONV_LAST: the means of maps that a convolution of one dimension makes; RELU_TURNED: of the mean of what is turned
// and then rectified.
typedef enum ending { FIRST_TOKEN, MEAN_TOKEN, MEAN_TURNED, CONV_LAST, RELU_TURNED } ending;
onnx_model *transformer_ending(bool class_token, ending how);
onnx_model *transformer(bool class_token);  // FIRST_TOKEN
// Adds what makes "tokens" of an input "image": patches, after a class token where there is one.
void transformer_tokens(onnx_model *m, bool class_token);
void transformer_weight(onnx_model *m, const char *name, uint64_t seed, int64_t rows, int64_t columns);
// The folder of a pack of it, with more members of pack.json; malloc'ed.
char *transformer_pack(const onnx_model *m, const char *more);
void transformer_write(const char *folder, const char *name, const void *text, size_t size);
// A picture of the network's own size, so that both see the same numbers, and those.
tagmask_image transformer_picture(void);
float *transformer_input(void);

// Opens the device that the tests below use, and closes it: for cmocka_run_group_tests.
extern tagmask_device *transformer_device;
int transformer_open_device(void **state);
int transformer_close_device(void **state);
// Proposes "dog" with preset fast, without affinity, mirror image and rivals.
tagmask_status transformer_propose(tagmask_session *session, const char *method, const char *layer, int head,
                                   tm_error *err);
void transformer_expect_error(tagmask_session *session, const char *method, const char *layer, int head,
                              const char *words);
// The map that the last proposal took of the layer (NULL: of any), as large as the grid of patches; malloc'ed.
float *transformer_map(tagmask_session *session, const char *layer, const tm_view **found);

#endif
