// The photos that a command line names, in a fixed order, and where their results go.
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include "base/base.h"

typedef struct cli_input {
    char *path;
    char *name;   // the path below the folder that was given, with '/' between: "a/1.jpg"; of a single file its name
    char *stem;   // the name without ending: "a/1"
    size_t root;  // which of the roots its results go below
    size_t order;
} cli_input;

typedef struct cli_inputs {
    cli_input *items;
    size_t count, capacity;
    char **roots;  // the output folder; further ones for photos whose results would have the same names
    size_t root_count;
    bool incomplete;  // a sub-folder could not be listed, or a file in one not be looked at; it was named
} cli_inputs;

// Files are kept as given, whatever they hold. A folder gives its pictures (PNG and JPEG, by ending or by content) and
// those of its sub-folders, in the order of the names at each level, but nothing hidden, no pictures that tagmask has
// written, and nothing of `out` when that is one of the sub-folders; a folder that links lead to twice is taken once. A
// path that is named twice is taken once, too. Results mirror the folders below `out`; the second photo of one stem
// goes below out/2, the third below out/3 (passing over numbers that are folders of photos), so that none overwrites
// another's.
tagmask_status cli_inputs_collect(char **arguments, int count, const char *out, cli_inputs *inputs, tm_error *err);
void cli_inputs_free(cli_inputs *inputs);

#endif
