// platform.h for Linux and other POSIX systems.
#define _GNU_SOURCE  // dladdr
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/platform.h"

// ---- Files and folders

static tm_file_info describe(const struct stat *info) {
    return (tm_file_info){.regular = S_ISREG(info->st_mode),
                          .folder = S_ISDIR(info->st_mode),
                          .read_only = !(info->st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)),
                          .size = info->st_size > 0 ? (uint64_t)info->st_size : 0,
                          .changed = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec,
                          .device = (uint64_t)info->st_dev,
                          .number = (uint64_t)info->st_ino};
}

bool tm_file_stat(const char *path, tm_file_info *info) {
    struct stat found;
    if (stat(path, &found)) return false;
    *info = describe(&found);
    return true;
}

int tm_file_open(const char *path) {
    return open(path, O_RDONLY | O_CLOEXEC);
}

int tm_file_create(const char *path) {
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

int tm_file_create_new(const char *path) {
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

bool tm_file_lock(int file) {
    return flock(file, LOCK_EX | LOCK_NB) == 0;
}

bool tm_file_stat_open(int file, tm_file_info *info) {
    struct stat found;
    if (fstat(file, &found)) return false;
    *info = describe(&found);
    return true;
}

int64_t tm_file_read_at(int file, void *data, size_t size, uint64_t offset) {
    for (;;) {
        ssize_t got = pread(file, data, size, (off_t)offset);
        if (got >= 0 || errno != EINTR) return got;
    }
}

bool tm_file_write(int file, const void *data, size_t size) {
    const char *bytes = data;
    while (size) {
        ssize_t wrote = write(file, bytes, size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        bytes += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

bool tm_file_sync(int file) {
    return fsync(file) == 0;
}

bool tm_file_close(int file) {
    return close(file) == 0;
}

bool tm_file_map(int file, size_t size, const void **data) {
    void *mapped = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED) return false;
    *data = mapped;
    return true;
}

void tm_file_unmap(const void *data, size_t size) {
    munmap((void *)(uintptr_t)data, size);
}

void tm_file_copy_mode(int file, const char *path) {
    struct stat found;
    if (!stat(path, &found)) (void)fchmod(file, found.st_mode & 0777);  // fails where a file system has no modes
}

FILE *tm_file_stream(const char *path, char mode) {
    return fopen(path, (const char[]){mode, 'e', 0});
}

bool tm_file_replace(const char *from, const char *to) {
    return rename(from, to) == 0;
}

bool tm_file_remove(const char *path) {
    return unlink(path) == 0;
}

bool tm_folder_make(const char *path) {
    return mkdir(path, 0777) == 0;
}

bool tm_folder_is_writable(const char *path) {
    return access(path, W_OK | X_OK) == 0;
}

uint64_t tm_free_space(const char *path) {
    struct statvfs info;
    return statvfs(path, &info) ? UINT64_MAX : (uint64_t)info.f_bavail * info.f_frsize;
}

size_t tm_path_root(const char *path) {
    return *path == '/';
}

char *tm_real_path(const char *path) {
    return realpath(path, NULL);
}

tm_folder *tm_folder_open(const char *path) {
    return (tm_folder *)opendir(path);
}

const char *tm_folder_next(tm_folder *folder) {
    const struct dirent *entry;
    do {
        errno = 0;
        entry = readdir((DIR *)folder);
    } while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
    return entry ? entry->d_name : NULL;
}

void tm_folder_close(tm_folder *folder) {
    if (folder) closedir((DIR *)folder);
}

// ---- The process and the machine

double tm_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

uint64_t tm_process_id(void) {
    return (uint64_t)getpid();
}

void tm_catch_end(void (*handler)(int)) {
    static const int signals[] = {SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < TM_ARRAY_LEN(signals); i++) {
        bool ignored = !sigaction(signals[i], NULL, &before) && before.sa_handler == SIG_IGN;
        if (!ignored) sigaction(signals[i], &action, NULL);
    }
}

char *tm_environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? tm_strdup(value) : NULL;
}

char *tm_user_cache(void) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && *xdg) return tm_path_join(xdg, "tagmask");
    return home && *home ? tm_path_join(home, ".cache/tagmask") : NULL;
}

char *tm_module_path(const void *address) {
    Dl_info info;
    return dladdr(address, &info) && info.dli_fname ? realpath(info.dli_fname, NULL) : NULL;
}

bool tm_is_terminal(FILE *file) {
    return isatty(fileno(file));
}

// The number after `key` in a file of lines "key number"; `otherwise` if it is not there.
static uint64_t number_in_file(const char *path, const char *key, uint64_t otherwise) {
    char line[256];
    size_t length = strlen(key);
    FILE *file = fopen(path, "re");
    if (!file) return otherwise;
    while (fgets(line, sizeof line, file)) {
        char *end;
        unsigned long long value = strncmp(line, key, length) == 0 ? strtoull(line + length, &end, 10) : 0;
        if (!value || end == line + length) continue;
        otherwise = value;
        break;
    }
    fclose(file);
    return otherwise;
}

uint64_t tm_available_memory(void) {
    uint64_t kib = number_in_file("/proc/meminfo", "MemAvailable:", UINT64_MAX);
    uint64_t available = kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
    uint64_t limit = number_in_file("/sys/fs/cgroup/memory.max", "", UINT64_MAX);
    if (limit == UINT64_MAX) return available;
    uint64_t used = number_in_file("/sys/fs/cgroup/memory.current", "", 0);
    uint64_t cached = number_in_file("/sys/fs/cgroup/memory.stat", "inactive_file", 0);  // given up when needed
    used -= TM_MIN(used, cached);
    return TM_MIN(available, limit - TM_MIN(limit, used));
}
