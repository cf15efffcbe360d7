// What a batch did, printed at its end.
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "cli/cli.h"

typedef struct cli_summary {
    size_t total, done, skipped, failed;
    double ms;                     // spent on the photos that are done or failed
    const char *stopped, *before;  // why the run ended, and the photo that it did not reach; NULL: it reached all
    char **lines;                  // the failures and the tags without a region, each named
    size_t count, capacity, empty;
} cli_summary;

// A photo that failed, or failed in part. Says so on stderr at once, too.
void cli_summary_fail(cli_summary *summary, const char *path, const char *why);
// A tag without a region.
void cli_summary_empty(cli_summary *summary, const char *path, const char *tag, const char *why);
void cli_summary_print(const cli_summary *summary, FILE *file);
void cli_summary_free(cli_summary *summary);

#endif
