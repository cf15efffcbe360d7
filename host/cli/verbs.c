#include "cli/verbs.h"

const cli_verb *const cli_verbs[] = {
    &cli_verb_devices, &cli_verb_tags,    &cli_verb_layers,
    &cli_verb_preset,  &cli_verb_propose, &cli_verb_run,
    &cli_verb_bench,   &cli_verb_eval,    NULL,
};
