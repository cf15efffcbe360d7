#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/platform.h"

tagmask_status tm_check_regular(const char *path, tm_error *err) {
    tm_file_info info;
    if (!tm_file_stat(path, &info)) {
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (info.regular) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FILE, "%s: is a %s; expected a file", path,
                   info.folder ? "folder" : "pipe, socket or device");
}

tagmask_status tm_read_file(const char *path, size_t max_bytes, uint8_t **data, size_t *size, tm_error *err) {
    tm_file_info info;
    tagmask_status status = TAGMASK_OK;
    uint8_t *bytes = NULL;
    TM_TRY(tm_check_regular(path, err));
    int file = tm_file_open(path);
    if (file < 0) return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    if (!tm_file_stat_open(file, &info)) {
        status = tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be read: %s", path, strerror(errno));
        goto done;
    }
    if (info.size > max_bytes) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: %llu bytes is more than the limit of %zu", path,
                         (unsigned long long)info.size, max_bytes);
        goto done;
    }
    size_t wanted = (size_t)info.size, have = 0;
    bytes = malloc(wanted + 1);  // one more byte, so that text can be terminated
    if (!bytes) {
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its %zu bytes", path, wanted);
        goto done;
    }
    while (have < wanted) {
        int64_t got = tm_file_read_at(file, bytes + have, wanted - have, have);
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
    tm_file_close(file);
    return status;
}

// ---- Writing whole files
//
// A temporary file is ".tagmask-PROCESS-NUMBER.tmp", hidden and never taken for a label, in the folder of the file that
// it becomes. Its writer holds its lock: whoever gets the lock of one knows that its writer is gone.

#define TEMPORARY ".tagmask-"
#define TEMPORARY_END ".tmp"

static bool is_temporary(const char *name) {
    const char digits[] = "0123456789";
    if (strncmp(name, TEMPORARY, strlen(TEMPORARY))) return false;
    name += strlen(TEMPORARY);
    size_t process = strspn(name, digits);
    if (!process || name[process] != '-') return false;
    name += process + 1;
    size_t number = strspn(name, digits);
    return number && !strcmp(name + number, TEMPORARY_END);
}

// Opened and locked. -1 with errno; *temporary is NULL then.
static int open_temporary(const char *path, char **temporary) {
    static atomic_uint numbers;
    int folder = (int)(tm_file_name(path) - path);
    for (int tries = 0; tries < 100; tries++) {
        char *name = tm_format("%.*s" TEMPORARY "%llu-%u" TEMPORARY_END, folder, path,
                               (unsigned long long)tm_process_id(), atomic_fetch_add(&numbers, 1));
        int file = name ? tm_file_create_new(name) : -1;
        // Between making and locking it, another process may take it for a leftover.
        if (file >= 0 && (tm_file_lock(file) || errno != EWOULDBLOCK) && tm_file_exists(name)) {
            *temporary = name;
            return file;
        }
        int reason = !name ? ENOMEM : file < 0 ? errno : EEXIST;
        if (file >= 0) tm_file_close(file);
        free(name);
        errno = reason;
        if (reason != EEXIST) break;
    }
    return -1;
}

tagmask_status tm_write_file_known(const char *path, const void *data, size_t size, tm_may_write_fn may,
                                   const void *user, tm_file_info *written, tm_error *err) {
    char *temporary = NULL, *target = tm_real_path(path);  // a link stays one; NULL: the file is new
    const char *place = target ? target : path;
    tm_file_info before;
    if (target && tm_file_stat(target, &before) && before.read_only) {
        free(target);
        return tm_fail(err, TAGMASK_ERROR_FILE,
                       "%s: is write-protected; it is not overwritten; allow writing to it or choose another place",
                       path);
    }
    int file = open_temporary(place, &temporary);
    if (file >= 0 && target) tm_file_copy_mode(file, target);  // before anyone can read what is private
    bool ok = file >= 0 && tm_file_write(file, data, size) && tm_file_sync(file) && tm_file_stat_open(file, written),
         refused = ok && may && !may(user, path);
    ok = ok && !refused && tm_file_replace(temporary, place);
    int reason = errno;
    if (!ok && file >= 0) tm_file_remove(temporary);
    if (file >= 0) tm_file_close(file);  // after the renaming, because of the lock
    free(temporary);
    free(target);
    if (ok) return TAGMASK_OK;
    if (refused) {
        return tm_fail(
            err, TAGMASK_ERROR_FILE,
            "%s: another program has changed it meanwhile; it is not overwritten; propose again to add to it", path);
    }
    return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written: %s%s", path, strerror(reason),
                   reason == ENOSPC ? "; make room, or write to another place" : "");
}

tagmask_status tm_write_file_if(const char *path, const void *data, size_t size, tm_may_write_fn may, const void *user,
                                tm_error *err) {
    tm_file_info written;
    return tm_write_file_known(path, data, size, may, user, &written, err);
}

tagmask_status tm_write_file(const char *path, const void *data, size_t size, tm_error *err) {
    return tm_write_file_if(path, data, size, NULL, NULL, err);
}

void tm_remove_leftovers(const char *folder) {
    char **names = NULL;
    size_t count = 0;
    if (tm_list_folder(folder, &names, &count, NULL) != TAGMASK_OK) return;
    for (size_t i = 0; i < count; i++) {
        char *path = is_temporary(names[i]) ? tm_path_join(folder, names[i]) : NULL;
        int file = path ? tm_file_open(path) : -1;
        if (file >= 0 && tm_file_lock(file)) tm_file_remove(path);
        if (file >= 0) tm_file_close(file);
        free(path);
    }
    tm_free_names(names, count);
}

// ----

bool tm_file_exists(const char *path) {
    tm_file_info info;
    return tm_file_stat(path, &info) && info.regular;
}

bool tm_is_dir(const char *path) {
    tm_file_info info;
    return tm_file_stat(path, &info) && info.folder;
}

bool tm_is_separator(char character) {
    return character && strchr(TM_SEPARATORS, character);
}

const char *tm_file_name(const char *path) {
    const char *name = path + tm_path_root(path);
    for (const char *at = name; *at; at++) {
        if (tm_is_separator(*at)) name = at + 1;
    }
    return name;
}

tagmask_status tm_make_dirs(const char *path, tm_error *err) {
    char *copy = tm_strdup(path);
    if (!copy) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to make the folder", path);
    tagmask_status status = TAGMASK_OK;
    for (char *at = copy + tm_path_root(copy);; at++) {
        char end = *at;
        if (end && !tm_is_separator(end)) continue;
        *at = 0;
        int reason_number = !*copy || tm_folder_make(copy) ? 0 : errno;  // before the next call changes it
        if (reason_number && !tm_is_dir(copy)) {
            const char *reason = reason_number == EEXIST ? "a file has this name" : strerror(reason_number);
            status =
                tm_fail(err, TAGMASK_ERROR_FILE, "%s: the folder cannot be made: %s; choose another one", path, reason);
            break;
        }
        if (!end) break;
        *at = end;
    }
    free(copy);
    return status;
}

char *tm_path_join(const char *folder, const char *name) {
    size_t length = strlen(folder);
    bool whole = !length || tm_is_separator(folder[length - 1]);
    return tm_format("%s%s%s", folder, whole ? "" : "/", name);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

tagmask_status tm_list_folder(const char *path, char ***names, size_t *count, tm_error *err) {
    char **list = NULL;
    size_t listed = 0, capacity = 0;
    bool room = true;
    tm_folder *folder = tm_folder_open(path);
    if (!folder) return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be listed: %s", path, strerror(errno));
    for (const char *name; room && (name = tm_folder_next(folder)) != NULL; listed += room) {
        room = tm_grow((void **)&list, &capacity, listed + 1, sizeof *list);
        if (room) room = (list[listed] = tm_strdup(name)) != NULL;
    }
    int reason = room ? errno : 0;
    tm_folder_close(folder);
    if (!room || reason) {
        tm_free_names(list, listed);
        return room ? tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be listed: %s", path, strerror(reason))
                    : tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for the names in it", path);
    }
    if (listed) qsort(list, listed, sizeof *list, by_name);
    *names = list;
    *count = listed;
    return TAGMASK_OK;
}

void tm_free_names(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

char *tm_cache_dir(void) {
    char *own = tm_environment("TAGMASK_CACHE");
    return own ? own : tm_user_cache();
}
