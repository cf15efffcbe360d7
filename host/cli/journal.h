// The list of photos that are done, in a file ".tagmask-done" of the output folder, so that a run can go on where an
// earlier one ended, however it ended. Lines are only added, by several runs at a time if need be; one that was cut
// short or damaged does not count. Of a target's lines the last one counts.
#ifndef CLI_JOURNAL_H
#define CLI_JOURNAL_H

#include "cli/cli.h"

typedef struct cli_journal cli_journal;

// A photo that is done.
typedef struct cli_journal_entry {
    const char *target;       // what its label files are called below the output folder, without ending: "a/1"
    uint64_t settings;        // hash of what they were made with
    uint64_t size;            // of the photo's file
    int64_t changed;          // its time
    const char *const *tags;  // as the labels call them
    size_t tag_count;
} cli_journal_entry;

// Errors: FILE.
tagmask_status cli_journal_open(const char *out, cli_journal **journal, tm_error *err);
void cli_journal_close(cli_journal *journal);  // NULL is allowed
// The entry of that target, if its other members but the tags are the same; valid until the journal is closed.
const cli_journal_entry *cli_journal_find(const cli_journal *journal, const cli_journal_entry *wanted);
tagmask_status cli_journal_add(cli_journal *journal, const cli_journal_entry *entry, tm_error *err);
// What earlier lines say of the target is true no more. Call before the first of its label files is changed, so that
// those of a run that fails or is killed before its own line are not taken for an earlier run's.
tagmask_status cli_journal_void(cli_journal *journal, const char *target, tm_error *err);

#endif
