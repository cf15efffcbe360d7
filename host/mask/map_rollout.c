// Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020): the product of all
// blocks' matrices 0.5 A + 0.5 I, A the mean of the heads. Only the class token's row of it is needed, so that each
// block is a row times a matrix, the last block first.
#include "mask/map_blocks.h"

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    const tm_block_step step = {.keep = 0.5f, .take = 0.5f};
    return tm_map_make_of_blocks(context, view, &step, err);
}

const tm_map_method tm_map_rollout = {
    .name = "rollout", .needs = TM_MAP_ATTENTION, .network = TM_NETWORK_ALL_ATTENTION, .make = make};
