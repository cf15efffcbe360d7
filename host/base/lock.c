#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/platform.h"

struct tm_lock {
    char *path;
    int file;
};

// Whether the open file is still the one of that name: its last holder removed it.
static bool is_current(int file, const char *path) {
    tm_file_info mine, named;
    return tm_file_stat_open(file, &mine) && tm_file_stat(path, &named) && mine.device == named.device &&
           mine.number == named.number;
}

tagmask_status tm_lock_take(const char *path, tm_lock **lock, tm_error *err) {
    tm_lock *made = malloc(sizeof *made);
    char *copy = tm_strdup(path);
    tagmask_status status = TAGMASK_OK;
    int file = -1;
    *lock = NULL;
    if (!made || !copy) status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to lock it", path);
    for (bool done = false; !done && status == TAGMASK_OK;) {
        file = tm_file_create(path);
        if (file < 0) {
            status = tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written: %s", path, strerror(errno));
        } else if (tm_file_lock(file) || errno != EWOULDBLOCK) {  // a file system without locks keeps nobody out
            done = is_current(file, path);
            if (!done) tm_file_close(file);
        } else {
            tm_file_close(file);
            file = -1;
            done = true;
        }
    }
    if (status == TAGMASK_OK && file >= 0) {
        *made = (tm_lock){copy, file};
        *lock = made;
        return TAGMASK_OK;
    }
    free(made);
    free(copy);
    return status;
}

void tm_lock_release(tm_lock *lock) {
    if (!lock) return;
    tm_file_remove(lock->path);  // while it is held, so that nobody else can hold it
    tm_file_close(lock->file);
    free(lock->path);
    free(lock);
}
