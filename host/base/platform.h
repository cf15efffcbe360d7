// What differs between operating systems, and nothing else: platform_posix.c and platform_windows.c define the same
// functions. No other file of host/ includes a system's own headers (unistd.h, sys/, dirent.h, fcntl.h, dlfcn.h) or
// passes a path to fopen, open, stat, remove, getenv and the like: on Windows those read the ANSI code page.
//
// Paths are UTF-8 on every system. '/' separates folders, on Windows '\' as well. A function that fails says why in
// errno. Whole files are read and written with tm_read_file and tm_write_file of base.h.
#ifndef TM_PLATFORM_H
#define TM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef _WIN32
#define TM_SEPARATORS "/\\"
#define TM_LIST_SEPARATOR ";"  // between the folders of a search path
#else
#define TM_SEPARATORS "/"
#define TM_LIST_SEPARATOR ":"
#endif

// ---- Files and folders

typedef struct tm_file_info {
    bool regular, folder;
    bool read_only;  // nobody may write to it: what a person says of a file, even to those who can
    uint64_t size;
    int64_t changed;          // nanoseconds since 1970
    uint64_t device, number;  // two paths name one file when both are equal
} tm_file_info;
bool tm_file_stat(const char *path, tm_file_info *info);  // follows links

// Descriptors, never inherited by child processes. -1 on failure.
int tm_file_open(const char *path);        // for reading; folders, too
int tm_file_create(const char *path);      // for writing; empties a file that is there
int tm_file_create_new(const char *path);  // for writing; fails when there is one
// Takes the file until it is closed, at the latest when the process ends. false: another descriptor has it (errno is
// EWOULDBLOCK), or the file system knows no locks.
bool tm_file_lock(int file);
bool tm_file_stat_open(int file, tm_file_info *info);
int64_t tm_file_read_at(int file, void *data, size_t size, uint64_t offset);  // bytes; 0: at the end; -1
bool tm_file_write(int file, const void *data, size_t size);                  // all of it
bool tm_file_sync(int file);                                                  // to the disk
bool tm_file_close(int file);
// Maps a file's first `size` bytes, at least one, for reading; the descriptor may be closed then.
bool tm_file_map(int file, size_t size, const void **data);
void tm_file_unmap(const void *data, size_t size);

void tm_file_copy_mode(int file, const char *path);      // who may read and write it: as at path; not on Windows
FILE *tm_file_stream(const char *path, char mode);       // fopen with mode 'r', 'w' or 'a'; binary
bool tm_file_replace(const char *from, const char *to);  // renames; a reader of `to` sees the old file or the new
bool tm_file_remove(const char *path);                   // a file or a link
bool tm_folder_make(const char *path);                   // one folder whose parent is there
bool tm_folder_is_writable(const char *path);            // may files be made in it?
uint64_t tm_free_space(const char *path);                // bytes left for files of a folder; UINT64_MAX: unknown
size_t tm_path_root(const char *path);                   // length of "/", "C:/", "C:" or "//server/share/"; 0: none
char *tm_real_path(const char *path);                    // absolute, without links, with '/'; malloc'ed

typedef struct tm_folder tm_folder;
tm_folder *tm_folder_open(const char *path);
const char *tm_folder_next(tm_folder *folder);  // a name other than "." and "..", valid until the next call
                                                // NULL: at the end with errno 0, else a failure
void tm_folder_close(tm_folder *folder);

// ---- The process and the machine

double tm_now_ms(void);  // monotonic
uint64_t tm_process_id(void);
// Calls the handler for SIGINT and SIGTERM, on any thread, unless the process was started to ignore them.
void tm_catch_end(void (*handler)(int));
char *tm_environment(const char *name);     // of a variable that holds a path; malloc'ed, NULL: not set or empty
char *tm_user_cache(void);                  // where the system keeps tagmask's cache; malloc'ed, NULL: unknown
char *tm_module_path(const void *address);  // real path of the program or library that holds it; malloc'ed
bool tm_is_terminal(FILE *file);
// Bytes the machine, or the container this runs in, can still give without swapping; UINT64_MAX where that is unknown.
uint64_t tm_available_memory(void);

#endif
