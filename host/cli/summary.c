#include "cli/summary.h"

#include <stdlib.h>
#include <string.h>

// A line that finds no memory is missing from the list; the counts are right all the same.
static void add_line(cli_summary *summary, char *line) {
    if (!line || !tm_grow((void **)&summary->lines, &summary->capacity, summary->count + 1, sizeof *summary->lines)) {
        free(line);
        return;
    }
    summary->lines[summary->count++] = line;
}

void cli_summary_fail(cli_summary *summary, const char *path, const char *why) {
    bool named = strstr(why, path) != NULL;
    cli_message("%s%s%s", named ? "" : path, named ? "" : ": ", why);
    add_line(summary, tm_format("failed: %s%s%s", named ? "" : path, named ? "" : ": ", why));
}

void cli_summary_empty(cli_summary *summary, const char *path, const char *tag, const char *why) {
    summary->empty++;
    add_line(summary, tm_format("empty: %s: %s: %s", path, tag, why));
}

void cli_summary_print(const cli_summary *summary, FILE *file) {
    size_t tried = summary->done + summary->failed, rest = summary->total - tried - summary->skipped;
    fprintf(file, "%zu photo%s: %zu done, %zu skipped, %zu failed, %zu not reached; %zu tag%s without a region; ",
            summary->total, summary->total == 1 ? "" : "s", summary->done, summary->skipped, summary->failed, rest,
            summary->empty, summary->empty == 1 ? "" : "s");
    fprintf(file, "%.2f s a photo\n", tried ? summary->ms / 1e3 / (double)tried : 0.0);
    for (size_t i = 0; i < summary->count; i++) fprintf(file, "  %s\n", summary->lines[i]);
    if (summary->stopped) {
        fprintf(file, "  stopped before %s: %s; the same command with --resume goes on from here\n", summary->before,
                summary->stopped);
    }
    fflush(file);
}

void cli_summary_free(cli_summary *summary) {
    for (size_t i = 0; i < summary->count; i++) free(summary->lines[i]);
    free(summary->lines);
}
