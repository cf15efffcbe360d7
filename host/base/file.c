#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

tagmask_status tm_read_file(const char *path, size_t max_bytes, uint8_t **data, size_t *size, tm_error *err) {
    struct stat info;
    tagmask_status status = TAGMASK_OK;
    uint8_t *bytes = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(file, &info) || !S_ISREG(info.st_mode)) {
        status = tm_fail(err, TAGMASK_ERROR_FILE, "%s: is not a regular file; expected a file with data", path);
        goto done;
    }
    if ((uint64_t)info.st_size > max_bytes) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: %lld bytes is more than the limit of %zu", path,
                         (long long)info.st_size, max_bytes);
        goto done;
    }
    size_t wanted = (size_t)info.st_size, have = 0;
    bytes = malloc(wanted + 1);  // one more byte, so that text can be terminated
    if (!bytes) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its %zu bytes", path, wanted);
        goto done;
    }
    while (have < wanted) {
        ssize_t got = read(file, bytes + have, wanted - have);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            status = tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be read: %s", path,
                             got ? strerror(errno) : "it became shorter meanwhile");
            goto done;
        }
        have += (size_t)got;
    }
    bytes[wanted] = 0;
    *data = bytes;
    *size = wanted;
    bytes = NULL;
done:
    free(bytes);
    close(file);
    return status;
}

static bool write_all(int file, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t wrote = write(file, data, size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        data += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

tagmask_status tm_write_file(const char *path, const void *data, size_t size, tm_error *err) {
    // The process id keeps two programs that write the same file from sharing a temporary.
    char *temporary = tm_format("%s.%ld.tmp", path, (long)getpid());
    if (!temporary) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to write it", path);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = file >= 0 && write_all(file, data, size) && fsync(file) == 0;
    int reason = errno;
    if (file >= 0 && close(file) && ok) {
        ok = false;
        reason = errno;
    }
    if (ok && rename(temporary, path)) {
        ok = false;
        reason = errno;
    }
    if (!ok && file >= 0) unlink(temporary);
    free(temporary);
    if (!ok) return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written: %s", path, strerror(reason));
    return TAGMASK_OK;
}

bool tm_file_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool tm_is_dir(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

tagmask_status tm_make_dirs(const char *path, tm_error *err) {
    char *copy = tm_strdup(path);
    if (!copy) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to make the folder", path);
    tagmask_status status = TAGMASK_OK;
    for (char *at = copy + 1;; at++) {
        bool last = *at == 0;
        if (*at != '/' && !last) continue;
        *at = 0;
        if (mkdir(copy, 0777) && !tm_is_dir(copy)) {
            status = tm_fail(err, TAGMASK_ERROR_FILE, "%s: the folder cannot be made: %s", path, strerror(errno));
            break;
        }
        if (last) break;
        *at = '/';
    }
    free(copy);
    return status;
}

char *tm_path_join(const char *folder, const char *name) {
    size_t length = strlen(folder);
    bool slash = length && folder[length - 1] == '/';
    return tm_format("%s%s%s", folder, slash || !length ? "" : "/", name);
}

char *tm_cache_dir(void) {
    const char *own = getenv("TAGMASK_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own) return tm_strdup(own);
    if (xdg && *xdg) return tm_path_join(xdg, "tagmask");
    if (home && *home) return tm_path_join(home, ".cache/tagmask");
    return NULL;
}

double tm_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}
