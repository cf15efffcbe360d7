// Every verb of the command, one file and one row each.
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "cli/cli.h"

extern const cli_verb *const cli_verbs[];  // ends with NULL

extern const cli_verb cli_verb_devices, cli_verb_tags, cli_verb_layers, cli_verb_preset, cli_verb_propose, cli_verb_run,
    cli_verb_bench, cli_verb_eval;

#endif
