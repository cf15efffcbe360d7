// The parts of `tagmask propose`: verb_propose.c reads the command line, propose_batch.c goes through the photos,
// several at a time, propose_photo.c does each step of one, propose_output.c keeps the label files and the list of what
// is done.
#ifndef CLI_PROPOSE_H
#define CLI_PROPOSE_H

#include "cli/inputs.h"
#include "cli/journal.h"
#include "cli/summary.h"
#include "cli/tag_source.h"

typedef struct propose_options {
    const char *device, *tags_from, *out, *format;
    cli_packs packs;
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
    bool keep_maps;     // a format shows them
    uint64_t settings;  // hash of everything but the photo's tags that decides over its labels
    float threshold;
    bool rebuilt;           // the device was lost and opened again
    uint64_t beside_bytes;  // a photo that needs more has the memory for itself
} propose_job;

// One photo on its way.
typedef struct propose_photo {
    propose_job *job;
    const cli_input *input;
    tagmask_image image;
    tagmask_result *result;
    cli_list tags;                // its own copies
    size_t given, given_unknown;  // of tags and unknown, how many do not come from --auto
    cli_journal_entry entry;      // its target is `target`
    char *target;
    bool complete;   // no tag had to be left out
    char **unknown;  // what is wrong with those that were
    size_t unknown_count, unknown_capacity;
    bool described;  // entry is filled and true
    bool skipped;    // an earlier run did it
    bool read;       // that was tried
    double start_ms;
    tagmask_status status;  // of the last step; after a failure none follows
    tm_error err;
} propose_photo;

// The steps in their order. Between them the photo belongs to nobody's thread; propose_photo_read and
// propose_photo_write may run beside each other's and other photos' steps, but never two of propose_photo_begin and
// propose_photo_write at a time, for they use the job's output.
void propose_photo_begin(propose_job *job, const cli_input *input, propose_photo *photo);  // tags; skip it?
void propose_photo_read(propose_photo *photo);
void propose_photo_compute(propose_job *job, propose_photo *photo);  // may open the device again
void propose_photo_write(propose_photo *photo);                      // and says so on stdout
void propose_photo_end(propose_photo *photo);
void propose_photo_unread(propose_photo *photo);  // as if it had not been read

// All photos, each counted in the summary, until going on makes no sense (summary.stopped).
void propose_run_photos(propose_job *job);

#endif
