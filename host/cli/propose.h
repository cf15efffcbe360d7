// The parts of `tagmask propose`: verb_propose.c reads the command line and goes through the photos, propose_photo.c
// does one, propose_output.c keeps the label files and the list of what is done.
#ifndef CLI_PROPOSE_H
#define CLI_PROPOSE_H

#include "cli/inputs.h"
#include "cli/journal.h"
#include "cli/summary.h"
#include "cli/tag_source.h"

typedef struct propose_options {
    const char *device, *model, *saliency, *tags_from, *out, *format;
    cli_list tags;
    uint32_t automatic;
    bool resume;
    tagmask_params params;
} propose_options;

// A photo that is written, but perhaps not yet in the files of many photos on disk.
typedef struct propose_waiting {
    cli_journal_entry entry;  // a copy
    const char *path;         // of the photo
} propose_waiting;

// Where results go: for each format a writer into the main folder, and one into the further root that was used last.
typedef struct propose_output {
    const cli_inputs *inputs;
    cli_summary *summary;
    cli_list formats;
    tagmask_writer **writers[2];
    size_t root;  // of the second
    cli_journal *journal;
    propose_waiting *waiting;
    size_t waiting_count, waiting_capacity;
    double flushed_ms, flush_cost_ms;  // when it ended last, and how long it took
    bool journal_failed;
} propose_output;

// inputs, summary, formats and journal are the caller's; the writers are the output's.
tagmask_status propose_output_open(propose_output *output, tm_error *err);
// Whether an earlier run did all of this.
bool propose_output_is_done(propose_output *output, const cli_input *input, const cli_journal_entry *entry);
// Writes the result in all formats; from then on the journal says nothing of the target. Every failure but the last is
// said on stderr, that one in err.
tagmask_status propose_output_write(propose_output *output, const cli_input *input, const char *target,
                                    const tagmask_result *result, const tagmask_image *photo, tm_error *err);
// The photo is done: it will be in the journal as soon as its labels are on disk for certain. When they cannot be
// written, it and the others that wait have failed, those are counted so, and the writers start anew with what is on
// disk.
tagmask_status propose_output_settle(propose_output *output, const cli_input *input, const cli_journal_entry *entry,
                                     tm_error *err);
// Writes what waits and closes the writers. Every failure but the last is said on stderr, that one in err.
tagmask_status propose_output_close(propose_output *output, tm_error *err);

// A whole run of the verb.
typedef struct propose_job {
    const propose_options *options;
    tagmask_device *device;
    tagmask_engine *engine;
    tag_source *source;
    cli_inputs inputs;
    char *format_text;
    propose_output output;
    cli_summary summary;
    uint64_t settings;  // hash of everything but the photo's tags that decides over its labels
    float threshold;
    bool rebuilt;  // the device was lost and opened again
} propose_job;

// Does a photo and counts it. Returns false when going on makes no sense.
bool propose_run_photo(propose_job *job, const cli_input *input);

#endif
