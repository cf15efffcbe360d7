// The photos of a batch in their order. While the device works on one, the next is read and the labels of the one
// before are written, each on a thread of its own. What is seen from outside is that of one photo after the other:
// labels, results on stdout, the journal and the counts come in the order of the photos, and nothing of a photo is
// written before the one ahead of it is counted.
#include <pthread.h>

#include "base/platform.h"
#include "cli/propose.h"

#define LEAST_SPACE ((uint64_t)1 << 20)
#define PLACES 3u  // the photo behind, the one that the device has, and the one ahead

typedef struct task {
    pthread_t thread;
    bool running;
} task;

typedef struct batch {
    propose_job *job;
    propose_photo photos[PLACES];
    size_t at, taken;                 // photos the device had; photos begun, in place `number % PLACES`
    size_t next, announced, counted;  // inputs begun, said on stderr, and in the summary
    propose_photo *behind;            // is being written, or NULL
    task reading, writing;
    double counted_ms;
} batch;

static propose_photo *place(batch *b, size_t number) {
    return &b->photos[number % PLACES];
}

static size_t index_of(const batch *b, const propose_photo *photo) {
    return (size_t)(photo->input - b->job->inputs.items);
}

// ---- Threads

static void *read_photo(void *user) {
    propose_photo_read(user);
    return NULL;
}

static void *write_photo(void *user) {
    propose_photo_write(user);
    return NULL;
}

// Where no thread can be had, the work is done at once.
static void start(task *t, void *(*work)(void *), propose_photo *photo) {
    t->running = !pthread_create(&t->thread, NULL, work, photo);
    if (!t->running) work(photo);
}

static void join(task *t) {
    if (t->running) pthread_join(t->thread, NULL);
    t->running = false;
}

// ---- Counting

// Why going on makes no sense; NULL: it does.
static const char *reason_to_stop(const propose_job *job, tagmask_status status) {
    if (status == TAGMASK_ERROR_ABORTED) return cli_stop_reason();
    if (!job->engine || status == TAGMASK_ERROR_DEVICE_LOST) return "the device was lost";
    bool full = status == TAGMASK_ERROR_FILE && tm_free_space(job->inputs.roots[0]) < LEAST_SPACE;
    return full ? "the disk of the output folder is full" : NULL;
}

// Those passed over on the way to this input were skipped.
static void count_skipped(batch *b, size_t until) {
    b->job->summary.skipped += until - b->counted;
    b->counted = until;
}

static void count(batch *b, propose_photo *photo) {
    propose_job *job = b->job;
    cli_summary *summary = &job->summary;
    count_skipped(b, index_of(b, photo));
    summary->stopped = reason_to_stop(job, photo->status);
    if (photo->status != TAGMASK_ERROR_ABORTED) {
        const char *path = photo->input->path;
        bool failed = photo->status != TAGMASK_OK || !photo->complete;
        for (size_t i = 0; i < photo->unknown_count; i++) cli_summary_fail(summary, path, photo->unknown[i]);
        if (photo->status != TAGMASK_OK) cli_summary_fail(summary, path, photo->err.message);
        summary->failed += failed;
        summary->done += !failed;
        double now = tm_now_ms();
        summary->ms += now - TM_MAX(b->counted_ms, photo->start_ms);
        b->counted_ms = now;
        b->counted++;
    }
    if (!summary->stopped) summary->stopped = cli_stop_reason();
    propose_photo_end(photo);
}

static void announce(batch *b, size_t until) {
    while (b->announced < until) cli_progress_item(b->job->inputs.items[b->announced++].path);
}

// ---- The photos

// Waits until the labels of the photo behind are written.
static void settle(batch *b) {
    propose_photo *photo = b->behind;
    if (!photo) return;
    join(&b->writing);
    b->behind = NULL;
    count(b, photo);
}

// Begins the next photo that is not to be skipped. Nothing may be being written.
static void take(batch *b) {
    propose_job *job = b->job;
    while (b->next < job->inputs.count && !cli_stop_reason()) {
        propose_photo *photo = place(b, b->taken);
        propose_photo_begin(job, &job->inputs.items[b->next++], photo);
        if (!photo->skipped) {
            b->taken++;
            return;
        }
        propose_photo_end(photo);
    }
}

// May other photos be read and written while the device has this one? The library refuses a photo for which there is
// not enough memory, and that must not depend on its neighbours.
static bool leaves_room(const propose_job *job, const propose_photo *photo) {
    uint64_t tags = photo->tags.count + job->options->automatic, pixels = photo->image.width;
    pixels *= photo->image.height;
    uint64_t needed = pixels * (3 + sizeof(uint32_t) + 1 + tags * sizeof(float));  // photo, session and result
    return needed <= job->beside_bytes && needed <= tm_available_memory() / (PLACES + 1);
}

static void read_current(batch *b, propose_photo *photo) {
    join(&b->reading);
    if (photo->status == TAGMASK_OK && !photo->read) propose_photo_read(photo);
    if (!photo->read || photo->status != TAGMASK_ERROR_MEMORY || !b->behind) return;
    settle(b);
    propose_photo_unread(photo);
    propose_photo_read(photo);
}

static void read_ahead(batch *b) {
    propose_photo *ahead = place(b, b->at + 1);
    if (b->at + 1 < b->taken && ahead->status == TAGMASK_OK && !ahead->read) start(&b->reading, read_photo, ahead);
}

static void compute(batch *b, propose_photo *photo) {
    propose_photo *ahead = b->at + 1 < b->taken ? place(b, b->at + 1) : NULL;
    propose_photo_compute(b->job, photo);
    if (photo->status != TAGMASK_ERROR_MEMORY) return;
    join(&b->reading);
    bool alone = !b->behind && !(ahead && ahead->read);
    settle(b);
    if (alone || b->job->summary.stopped) return;
    if (ahead) propose_photo_unread(ahead);
    propose_photo_compute(b->job, photo);
}

// The photo that the device is to have now.
static void run_current(batch *b) {
    propose_photo *photo = place(b, b->at);
    const char *const *stopped = &b->job->summary.stopped;
    announce(b, index_of(b, photo) + 1);
    read_current(b, photo);
    bool beside = leaves_room(b->job, photo);
    if (beside) read_ahead(b);
    if (!beside) settle(b);
    if (!*stopped && photo->status == TAGMASK_OK) compute(b, photo);
    settle(b);
    if (*stopped) return;
    bool failed = photo->status != TAGMASK_OK;
    if (failed) count(b, photo);
    if (*stopped) return;
    take(b);
    b->at++;
    if (failed) return;
    b->behind = photo;
    start(&b->writing, write_photo, photo);
    if (!beside) settle(b);
}

void propose_run_photos(propose_job *job) {
    batch b = {.job = job};
    take(&b);
    take(&b);
    while (b.at < b.taken && !job->summary.stopped) run_current(&b);
    settle(&b);
    join(&b.reading);
    for (size_t i = 0; i < PLACES; i++) propose_photo_end(&b.photos[i]);
    if (job->summary.stopped) return;
    announce(&b, b.next);
    count_skipped(&b, b.next);
    job->summary.stopped = cli_stop_reason();
}
