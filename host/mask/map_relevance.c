// Relevance of tokens to a class (Chefer, Gur and Wolf, "Generic Attention-model Explainability for Interpreting
// Bi-Modal and Encoder-Decoder Transformers", ICCV 2021, for self-attention): R = R + A R block by block from R = I,
// with A the mean over the heads of relu(gradient of the class's score times attention). Only the class token's row is
// needed, as in map_rollout.c.
#include "mask/map_blocks.h"

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    const tm_block_step step = {.keep = 1, .take = 1, .gradients = true};
    return tm_map_make_of_blocks(context, view, &step, err);
}

const tm_map_method tm_map_relevance = {.name = "relevance",
                                        .needs = TM_MAP_ATTENTION | TM_MAP_GRADIENTS,
                                        .of_class = true,
                                        .network = TM_NETWORK_ATTENTION_GRADIENTS,
                                        .make = make};
