// Runs the real command and keeps what it printed.
#ifndef TEST_COMMAND_H
#define TEST_COMMAND_H

#include "support.h"

typedef struct command_result {
    int status;  // exit status; -1: ended by a signal
    char *out, *err;
} command_result;

// Runs build/bin/tagmask with the given words (NULL ends them) in `folder` (NULL: here). environment: "NAME=value"
// settings, NULL ends them; may be NULL. The result is valid until the next call.
const command_result *run_tagmask(const char *folder, const char *const *environment, const char *const *words);
#define WORDS(...)          \
    (const char *const[]) { \
        __VA_ARGS__, NULL   \
    }
// Fails the test with both texts unless the status is the wanted one and the text is in stdout or stderr (NULL: any).
void expect_command(const command_result *result, int status, const char *in_out, const char *in_err);

#endif
