// A network's image input filled with noise, for verbs that run a network without a photo.
#ifndef CLI_NOISE_H
#define CLI_NOISE_H

#include "cli/cli.h"

// Describes the input of a network that takes one picture, 1 x 3 x side x side, and allocates its data: uniform in
// -1..1, always the same. side 0: the size that the model declares, 224 where it leaves that open. Free with
// free(tensor->data).
tagmask_status cli_noise_input(const tagmask_network *network, const char *model, uint32_t side, tagmask_tensor *tensor,
                               tm_error *err);
// Runs once and releases the outputs.
tagmask_status cli_run_once(tagmask_network *network, const tagmask_tensor *input, tm_error *err);

#endif
