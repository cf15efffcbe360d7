// The photos that a command line names, in a fixed order, and where their results go.
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include "base/base.h"

typedef struct cli_input {
    char *path;
    char *stem;  // file name without folder and ending
    char *out;   // folder for its results
    size_t order;
    uint64_t device, file;  // of the file system; 0: there is no such file
} cli_input;

typedef struct cli_inputs {
    cli_input *items;
    size_t count, capacity;
} cli_inputs;

// Files are kept as given, whatever they hold; a folder gives its pictures (PNG and JPEG, by ending or by content, not
// those of its sub-folders, none of hidden files), sorted by name. A path that is named twice is taken once. Results go
// to `out`; the second photo of one name to out/2, the third to out/3, so that none overwrites another's.
tagmask_status cli_inputs_collect(char **arguments, int count, const char *out, cli_inputs *inputs, tm_error *err);
void cli_inputs_free(cli_inputs *inputs);
// True if writing `path` would replace one of the photos.
bool cli_inputs_has_file(const cli_inputs *inputs, const char *path);

#endif
