// Features that lie otherwise as features of places, (1, channels, height, width): with channels last, or tokens of a
// transformer, of which the last are the patches of the picture, in rows.
#ifndef TM_TOKENS_H
#define TM_TOKENS_H

#include "graph/graph.h"
#include "mask/maps.h"
#include "mask/pack.h"

// At most so many others (of the class, registers) come before the patches.
enum { TM_MOST_OTHER_TOKENS = 16 };

// Patches in a picture of this size that come last among so many tokens; `patch` is their side or 0. false: they are no
// grid, or several would fit.
bool tm_token_grid(uint32_t width, uint32_t height, uint32_t tokens, uint32_t patch, uint32_t *columns, uint32_t *rows);

// A picture of a network's input, whose tokens these are.
typedef struct tm_token_source {
    const tm_pack *pack;  // its member features.patch tells the patches' side, where it is not 0
    uint32_t width, height;
} tm_token_source;
// The patches among so many tokens. Errors: UNSUPPORTED when they are no grid, which names pack and member.
tagmask_status tm_token_find(const tm_token_source *source, uint32_t tokens, uint32_t *columns, uint32_t *rows,
                             tm_error *err);
// Heads and tokens of attention block `at` of the picture's (from 0), by the shape of its probabilities: (heads,
// tokens, tokens), or with a batch of 1 before. Errors: UNSUPPORTED: another shape, as that of windows.
tagmask_status tm_attention_shape(const tm_pack *pack, size_t at, const tm_shape *shape, uint32_t *heads,
                                  uint32_t *tokens, tm_error *err);
// How an output of the graph lies in this plan, before it is recorded; what is not of places is then linear.
tagmask_status tm_settle_form(const tm_graph *graph, tm_plan *plan, size_t output, tm_feature_form *form,
                              tm_error *err);
// *features: a tensor of that form as (1, channels, height, width), TM_LINEAR and without a slice; the tensor itself
// where it has that form. Errors: as tm_token_find.
tagmask_status tm_token_places(const tm_token_source *source, const tm_tensor *tensor, tm_feature_form form,
                               tm_tensor *features, tm_error *err);
// A linear tensor of another form -> features, as tm_token_places describes them, with a slice.
tagmask_status tm_token_record(tm_work *work, const tm_tensor *tensor, const tm_tensor *features, tm_error *err);

#endif
