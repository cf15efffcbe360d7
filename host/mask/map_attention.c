// Where the class token of a transformer looks (Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021): the
// attention of one block, of one head or the mean of all; where there is no class token, the mean over all tokens.
#include "mask/map_blocks.h"

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    const tm_block_step step = {.take = 1};
    return tm_map_make_of_blocks(context, view, &step, err);
}

const tm_map_method tm_map_attention = {
    .name = "attention", .needs = TM_MAP_ATTENTION, .of_layer = true, .network = TM_NETWORK_ATTENTION, .make = make};
