// Failures on demand, so that tests reach what drivers do once in a year: the n-th event of a kind fails as if the
// driver had said so. Events are counted over all devices of the process; nothing is counted until something is
// planted.
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"

#define MOST_PLANTS 8

static const char *const names[TM_FAULT_KINDS] = {"allocation", "submit", "wait", "pipeline"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool planted;  // spares the lock while there is nothing to do
static uint64_t seen[TM_FAULT_KINDS], fired[TM_FAULT_KINDS];
static struct {
    tm_gpu_fault kind;
    uint64_t nth;  // 0: none
} plants[MOST_PLANTS];

static void plant(tm_gpu_fault kind, uint64_t nth) {
    for (size_t i = 0; i < MOST_PLANTS; i++) {
        if (plants[i].nth) continue;
        plants[i].kind = kind;
        plants[i].nth = nth;
        break;
    }
}

void tm_gpu_inject(tm_gpu_fault kind, uint64_t nth) {
    bool any = false;
    pthread_mutex_lock(&lock);
    seen[kind] = fired[kind] = 0;
    for (size_t i = 0; i < MOST_PLANTS; i++) {
        if (plants[i].kind == kind) plants[i].nth = 0;
    }
    if (nth) plant(kind, nth);
    for (size_t i = 0; i < MOST_PLANTS; i++) any |= plants[i].nth != 0;
    atomic_store(&planted, any);
    pthread_mutex_unlock(&lock);
}

uint64_t tm_gpu_injected(tm_gpu_fault kind) {
    pthread_mutex_lock(&lock);
    uint64_t count = fired[kind];
    pthread_mutex_unlock(&lock);
    return count;
}

bool tm_fault_strikes(tm_gpu_fault kind) {
    if (!atomic_load_explicit(&planted, memory_order_relaxed)) return false;
    bool strikes = false;
    pthread_mutex_lock(&lock);
    seen[kind]++;
    for (size_t i = 0; i < MOST_PLANTS; i++)
        strikes |= plants[i].nth && plants[i].kind == kind && plants[i].nth == seen[kind];
    fired[kind] += strikes;
    pthread_mutex_unlock(&lock);
    return strikes;
}

// "submit:3,submit:9": kind and number of the event, as often as wanted.
static void read_environment(void) {
    const char *text = getenv("TAGMASK_FAULT");
    for (; text && *text; text = strchr(text, ',') ? strchr(text, ',') + 1 : NULL) {
        for (int kind = 0; kind < TM_FAULT_KINDS; kind++) {
            size_t length = strlen(names[kind]);
            if (strncmp(text, names[kind], length) != 0 || text[length] != ':') continue;
            plant((tm_gpu_fault)kind, strtoull(text + length + 1, NULL, 10));
            atomic_store(&planted, true);
        }
    }
}

void tm_fault_read_environment(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_environment);
}
