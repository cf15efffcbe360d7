#include "gpu/tune.h"

#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "gpu/cache.h"
#include "gpu/internal.h"

#define FORMAT_VERSION 1
#define TIMED_RUNS 2

typedef struct file_header {
    char magic[4];
    uint32_t version;
    uint64_t key, count, hash;
} file_header;
_Static_assert(sizeof(file_header) == 32 && sizeof(tm_tune_choice) == 16, "both are written as they lie in memory");
#define MAX_FILE (sizeof(file_header) + TM_TUNE_MOST * sizeof(tm_tune_choice))

// The choices of one device under one TAGMASK_TUNE. They live as long as the process: a device that is opened again,
// after it was lost or beside another, gets the same ones, whatever became of the file.
struct tm_tune {
    tm_tune *next;
    uint64_t key;
    char *wanted, *path;   // TAGMASK_TUNE; the file that is written, NULL for none
    pthread_mutex_t lock;  // of what follows; held while a case is timed
    bool times;            // cases that the file lacks
    double budget_ms;      // left
    tm_tune_choice choices[TM_TUNE_MOST];
    bool passing[TM_TUNE_MOST];  // by choice: not timed, so not for the file
    size_t count, unsaved;
};

static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;
static tm_tune *tables;

uint64_t tm_tune_key(tm_gpu *gpu) {
    uint32_t class = gpu->physical.info.gpu_class;
    return tm_hash64(&class, sizeof class, tm_cache_key(&gpu->physical));
}

char *tm_tune_path(tm_gpu *gpu) {
    char *folder = tm_cache_dir();
    if (!folder) return NULL;
    char *path = tm_format("%s/tuning-%016llx.bin", folder, (unsigned long long)tm_tune_key(gpu));
    free(folder);
    return path;
}

uint8_t *tm_tune_encode(uint64_t key, const tm_tune_choice *choices, size_t count, size_t *file_size) {
    size_t bytes = count * sizeof *choices;
    file_header header = {{'T', 'M', 'T', 'N'}, FORMAT_VERSION, key, count, tm_hash64(choices, bytes, key)};
    if (count > TM_TUNE_MOST) return NULL;
    uint8_t *file = malloc(sizeof header + bytes);
    if (!file) return NULL;
    memcpy(file, &header, sizeof header);
    if (bytes) memcpy(file + sizeof header, choices, bytes);
    *file_size = sizeof header + bytes;
    return file;
}

bool tm_tune_decode(uint64_t key, const uint8_t *file, size_t file_size, tm_tune_choice *choices, size_t *count) {
    file_header header;
    if (file_size < sizeof header) return false;
    memcpy(&header, file, sizeof header);
    if (memcmp(header.magic, "TMTN", 4) != 0 || header.version != FORMAT_VERSION || header.key != key) return false;
    if (header.count > TM_TUNE_MOST || header.count * sizeof *choices != file_size - sizeof header) return false;
    if (tm_hash64(file + sizeof header, file_size - sizeof header, key) != header.hash) return false;
    if (header.count) memcpy(choices, file + sizeof header, file_size - sizeof header);
    *count = header.count;
    return true;
}

static void load(tm_tune *tune, const char *path, bool pinned) {
    uint8_t *file = NULL;
    size_t size = 0;
    tm_error err = TAGMASK_ERROR_INIT;
    if (!pinned && !tm_file_exists(path)) return;
    bool good = tm_read_file(path, MAX_FILE, &file, &size, &err) == TAGMASK_OK &&
                tm_tune_decode(tune->key, file, size, tune->choices, &tune->count);
    free(file);
    if (!good)
        tm_log(pinned ? TAGMASK_LOG_WARNING : TAGMASK_LOG_DEBUG,
               "%s is ignored: expected choices of kernels for this device, driver and version", path);
    else
        tm_log(TAGMASK_LOG_DEBUG, "%s: %zu choices of kernels", path, tune->count);
}

static tm_tune *make_table(tm_gpu *gpu, const char *wanted) {
    tm_tune *tune = tm_calloc(1, sizeof *tune);
    if (!tune) return NULL;
    tune->key = tm_tune_key(gpu);
    tune->wanted = tm_format("%s", wanted);
    if (!tune->wanted || pthread_mutex_init(&tune->lock, NULL)) {
        free(tune->wanted);
        free(tune);
        return NULL;
    }
    bool full = !strcmp(wanted, "full");
    tune->times = full || !strcmp(wanted, "on");
    tune->budget_ms = full ? 1e18 : TM_TUNE_BUDGET_MS;
    if (*wanted && !tune->times) {
        if (strcmp(wanted, "off") != 0) load(tune, wanted, true);
        return tune;
    }
    tune->path = tm_tune_path(gpu);
    if (tune->path) load(tune, tune->path, false);
    return tune;
}

tagmask_status tm_tune_open(tm_gpu *gpu, tm_error *err) {
    const char *wanted = getenv("TAGMASK_TUNE");
    if (!wanted) wanted = "";
    uint64_t key = tm_tune_key(gpu);
    pthread_mutex_lock(&tables_lock);
    tm_tune *tune = tables;
    while (tune && (tune->key != key || strcmp(tune->wanted, wanted) != 0)) tune = tune->next;
    if (!tune) {
        tune = make_table(gpu, wanted);
        if (tune) tune->next = tables;
        if (tune) tables = tune;
    }
    pthread_mutex_unlock(&tables_lock);
    gpu->tune = tune;
    return tune ? TAGMASK_OK : tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the choices of kernels");
}

// The file of what was timed, in this process or before.
static uint8_t *encode_timed(const tm_tune *tune, size_t *size) {
    tm_tune_choice *timed = malloc(sizeof tune->choices);
    size_t count = 0;
    for (size_t i = 0; timed && i < tune->count; i++)
        if (!tune->passing[i]) timed[count++] = tune->choices[i];
    uint8_t *file = timed ? tm_tune_encode(tune->key, timed, count, size) : NULL;
    free(timed);
    return file;
}

void tm_tune_close(tm_gpu *gpu) {
    tm_tune *tune = gpu->tune;
    if (!tune) return;
    pthread_mutex_lock(&tune->lock);
    if (tune->unsaved && tune->path) {
        tm_error err = TAGMASK_ERROR_INIT;
        size_t size = 0;
        char *folder = tm_cache_dir();
        uint8_t *file = encode_timed(tune, &size);
        tagmask_status status = folder && file ? tm_make_dirs(folder, &err) : TAGMASK_ERROR_MEMORY;
        if (!status) tm_remove_leftovers(folder);
        if (!status) status = tm_write_file(tune->path, file, size, &err);
        if (status) tm_log(TAGMASK_LOG_INFO, "the choices of kernels are not kept: %s", err.message);
        tune->unsaved = 0;
        free(file);
        free(folder);
    }
    pthread_mutex_unlock(&tune->lock);
    gpu->tune = NULL;
}

bool tm_tune_active(tm_gpu *gpu) {
    pthread_mutex_lock(&gpu->tune->lock);
    bool active = gpu->tune->times || gpu->tune->count > 0;
    pthread_mutex_unlock(&gpu->tune->lock);
    return active;
}

// ---- Timing

static tagmask_status run_once(tm_gpu *gpu, const tm_tune_case *what, uint32_t candidate, double *ms, tm_error *err) {
    tm_recorder *recorder;
    double start = tm_now_ms();
    TM_TRY(tm_recorder_begin(gpu, &recorder, err));
    tagmask_status status = what->run(what->user, candidate, recorder, err);
    if (status == TAGMASK_OK)
        status = tm_recorder_finish(recorder, err);
    else
        tm_recorder_abandon(recorder);
    *ms = tm_now_ms() - start;
    return status;
}

// The least of a few runs after one that makes the pipelines. false: no time is left for them.
static tagmask_status time_candidate(tm_gpu *gpu, const tm_tune_case *what, uint32_t candidate, double *least,
                                     bool *done, tm_error *err) {
    *least = 1e30;
    *done = false;
    for (int i = 0; i <= TIMED_RUNS; i++) {
        double ms;
        if (gpu->tune->budget_ms <= 0) return TAGMASK_OK;
        TM_TRY(run_once(gpu, what, candidate, &ms, err));
        gpu->tune->budget_ms -= ms;
        if (i) *least = TM_MIN(*least, ms);
    }
    *done = true;
    return TAGMASK_OK;
}

// The fastest candidate; the rule's unless another is clearly faster, so that noise moves few choices.
static bool time_all(tm_gpu *gpu, const tm_tune_case *what, uint32_t *best) {
    tm_error err = TAGMASK_ERROR_INIT;
    double times[32] = {0};
    for (uint32_t i = 0; i < 32; i++) {
        bool done = true;
        if (!(what->candidates >> i & 1u)) continue;
        if (time_candidate(gpu, what, i, &times[i], &done, &err) != TAGMASK_OK) {
            tm_log(TAGMASK_LOG_INFO, "kernels of %s are not timed: %s", what->kind, err.message);
            return false;
        }
        if (!done) return false;
    }
    *best = what->otherwise;
    for (uint32_t i = 0; i < 32; i++)
        if (what->candidates >> i & 1u && times[i] < 0.95 * times[what->otherwise] && times[i] < times[*best])
            *best = i;
    tm_log(TAGMASK_LOG_DEBUG, "%s: candidate %u in %.3f ms; the rule's, %u, in %.3f ms", what->kind, *best,
           times[*best], what->otherwise, times[what->otherwise]);
    return true;
}

static uint32_t choose_locked(tm_gpu *gpu, const tm_tune_case *what, uint64_t name) {
    tm_tune *tune = gpu->tune;
    for (size_t i = 0; i < tune->count; i++) {
        if (tune->choices[i].name != name) continue;
        uint64_t candidate = tune->choices[i].candidate;
        bool serves = candidate < 32 && what->candidates >> candidate & 1u;
        return serves ? (uint32_t)candidate : what->otherwise;
    }
    if (!tune->times || tune->count == TM_TUNE_MOST) return what->otherwise;
    uint32_t best = what->otherwise;
    bool timed = tune->budget_ms > 0 && time_all(gpu, what, &best);
    tune->passing[tune->count] = !timed;
    tune->choices[tune->count++] = (tm_tune_choice){name, best};
    tune->unsaved += timed;
    return best;
}

uint32_t tm_tune_choose(tm_gpu *gpu, const tm_tune_case *what) {
    if (!(what->candidates & (what->candidates - 1))) return what->otherwise;  // nothing to choose
    uint64_t name = tm_hash64(what->kind, strlen(what->kind), what->candidates);
    name = tm_hash64(what->shape, what->shape_count * sizeof *what->shape, name);
    pthread_mutex_lock(&gpu->tune->lock);
    uint32_t choice = choose_locked(gpu, what, name);
    pthread_mutex_unlock(&gpu->tune->lock);
    return choice;
}
