#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

// Set once before other calls (documented), so plain variables would do; atomics keep ThreadSanitizer and us certain.
static _Atomic(tagmask_log_fn) log_fn;
static _Atomic(void *) log_user;
static atomic_int log_lowest = -1;

static int lowest_level(void) {
    int lowest = atomic_load(&log_lowest);
    if (lowest >= 0) return lowest;
    static const char *const names[] = {"debug", "info", "warning", "error", "off"};
    const char *wanted = getenv("TAGMASK_LOG");
    lowest = TAGMASK_LOG_WARNING;
    for (int i = 0; wanted && i < (int)TM_ARRAY_LEN(names); i++) {
        if (!strcmp(wanted, names[i])) lowest = i;
    }
    atomic_store(&log_lowest, lowest);
    return lowest;
}

void tagmask_set_log(tagmask_log_fn fn, void *user) {
    atomic_store(&log_user, user);
    atomic_store(&log_fn, fn);
}

void tm_log(tagmask_log_level level, const char *format, ...) {
    if ((int)level < lowest_level()) return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    tagmask_log_fn fn = atomic_load(&log_fn);
    if (fn) {
        fn(atomic_load(&log_user), level, line);
    } else {
        static const char *const names[] = {"debug", "info", "warning", "error"};
        fprintf(stderr, "tagmask: %s: %s\n", names[level], line);
    }
}

const char *tagmask_version(void) {
    return "0.1.0";
}
