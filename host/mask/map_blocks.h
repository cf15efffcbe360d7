// What the maps of transformers share: which attention blocks a network has, and how much each token counts through
// them.
#ifndef TM_MAP_BLOCKS_H
#define TM_MAP_BLOCKS_H

#include "mask/map_table.h"
#include "mask/tokens.h"

// One block on the device: linear (heads, tokens, tokens), with gradients where the network has them.
typedef struct tm_block {
    tm_slice probabilities, gradients;
    uint32_t heads, tokens;
} tm_block;

// target = keep source + take source A, rows of tokens; A: the mean of `heads` heads from first_head on, of
// relu(gradient times probability) where gradients are asked for.
typedef struct tm_block_step {
    uint32_t first_head, heads;
    float keep, take;
    bool gradients;
} tm_block_step;
tagmask_status tm_block_record(tm_work *work, const tm_block *block, const tm_block_step *step, tm_slice source,
                               tm_slice target, tm_error *err);

// Runs the method's network for the view and keeps the map of the tokens that count for the class token, or where there
// is none for all tokens alike: one step a block, the last block first.
tagmask_status tm_map_make_of_blocks(const tm_views_context *context, tm_view *view, const tm_block_step *step,
                                     tm_error *err);

// No member of `method`: makes what the affinity step takes of attention (affinity_attention.c). The view's map has as
// many channels as places, and in each how much its place counts for every place.
extern const tm_map_method tm_map_affinity;
// For it: the tokens' matrix, of which the last are places, as affinity (1, places, rows, columns), linear.
tagmask_status tm_attention_affinity(tm_work *work, tm_slice matrix, uint32_t tokens, const tm_tensor *affinity,
                                     tm_error *err);

#endif
