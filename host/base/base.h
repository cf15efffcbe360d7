// Errors, logging, checked arithmetic and memory helpers used by every folder of host/.
//
// Conventions of the whole library:
// - A function that can fail returns tagmask_status and takes `tm_error *err` last; on failure it fills err with one
//   sentence that names the file or element, what was expected and what to do, and leaves its outputs untouched.
// - Internal symbols start with tm_; only tagmask_ symbols of the public header are exported.
// - Sizes from outside are multiplied with tm_mul_size and added with tm_add_size before they are used.
#ifndef TM_BASE_H
#define TM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tagmask/tagmask.h"

#if defined(__MINGW32__)  // whose printf is meant to be Microsoft's, unless said so
#define TM_PRINTF(fmt, args) __attribute__((format(gnu_printf, fmt, args)))
#elif defined(__GNUC__)
#define TM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TM_PRINTF(fmt, args)
#endif

#define TM_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TM_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TM_MAX(a, b) ((a) > (b) ? (a) : (b))
#define TM_CLAMP(x, lo, hi) TM_MIN(TM_MAX(x, lo), hi)

typedef tagmask_error tm_error;

// Fills err (which may be NULL) and returns code, so that a failure is one line: `return tm_fail(err, CODE, "...",
// ...)`.
tagmask_status tm_fail(tm_error *err, tagmask_status code, const char *format, ...) TM_PRINTF(3, 4);
// Puts "prefix: " before the message already in err; returns err's code. For adding the file name on the way up.
tagmask_status tm_fail_prefix(tm_error *err, const char *format, ...) TM_PRINTF(2, 3);

// Return early on failure; for functions that own nothing yet. Others use `goto done`.
#define TM_TRY(expression)                                     \
    do {                                                       \
        tagmask_status tm_try_status = (expression);           \
        if (tm_try_status != TAGMASK_OK) return tm_try_status; \
    } while (0)

// Logging goes to the callback set by tagmask_set_log, or to stderr for warnings and errors when none is set.
// TAGMASK_LOG=debug|info|warning|error|off sets the level (default warning).
void tm_log(tagmask_log_level level, const char *format, ...) TM_PRINTF(2, 3);

// false on overflow; out is written only on success.
bool tm_mul_size(size_t a, size_t b, size_t *out);
bool tm_add_size(size_t a, size_t b, size_t *out);
bool tm_mul_i64(int64_t a, int64_t b, int64_t *out);
bool tm_add_i64(int64_t a, int64_t b, int64_t *out);
static inline size_t tm_align_up(size_t value, size_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}
static inline uint32_t tm_div_up(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}
// Rounded down, b > 0.
static inline int64_t tm_floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

// A number for a message, as a person would type it: whole numbers whole, others with as many digits as tell a float
// from its neighbours, or a double where it is no float. Returns the buffer.
#define TM_NUMBER_LENGTH 32
const char *tm_number_text(double value, char text[TM_NUMBER_LENGTH]);

// Zeroed memory for count elements; NULL on overflow or exhaustion (callers report TAGMASK_ERROR_MEMORY).
void *tm_calloc(size_t count, size_t size);
// Grows *array (elements of `size` bytes) to hold at least `needed`, doubling *capacity; false when out of memory.
bool tm_grow(void **array, size_t *capacity, size_t needed, size_t size);
char *tm_strdup(const char *text);
char *tm_format(const char *format, ...) TM_PRINTF(1, 2);  // malloc'ed; NULL when out of memory

// Structs of the public header start with the caller's struct_size, which may be that of an older or newer version.
// Fills the library's version `own` (size bytes): members that the caller's lacks are zero. False: struct_size is not
// set.
bool tm_struct_read(void *own, size_t size, const void *given);
// Copies what the caller's version has room for; its struct_size stays. False: struct_size is not set.
bool tm_struct_write(void *given, const void *made, size_t size);

// A bump allocator: many small blocks freed at once. Memory is zeroed and aligned to 16 bytes.
typedef struct tm_arena {
    struct tm_arena_block *head;
    size_t total, limit;  // limit 0: none; beyond the limit tm_arena_alloc returns NULL
} tm_arena;
void *tm_arena_alloc(tm_arena *arena, size_t size);
char *tm_arena_strdup(tm_arena *arena, const char *text);
void tm_arena_free(tm_arena *arena);

// Files. Errors name the path and the system's reason. What these do not cover is in base/platform.h.
// An error unless the path is a regular file. To be asked before it is opened: opening a pipe waits for its writer.
tagmask_status tm_check_regular(const char *path, tm_error *err);
tagmask_status tm_read_file(const char *path, size_t max_bytes, uint8_t **data, size_t *size, tm_error *err);
// Writes to a temporary name in the same folder, flushes to disk, renames over path: a reader sees the old or the whole
// new file, never a part. What a link leads to is replaced, not the link; permissions stay.
tagmask_status tm_write_file(const char *path, const void *data, size_t size, tm_error *err);
// The same, but right before the renaming it asks whether the file may be replaced.
typedef bool (*tm_may_write_fn)(const void *user, const char *path);
tagmask_status tm_write_file_if(const char *path, const void *data, size_t size, tm_may_write_fn may, const void *user,
                                tm_error *err);
// The same; *written is what the new file was before it got its name, and so before anybody could change it.
struct tm_file_info;
tagmask_status tm_write_file_known(const char *path, const void *data, size_t size, tm_may_write_fn may,
                                   const void *user, struct tm_file_info *written, tm_error *err);
// Removes the temporary files that tm_write_file left in the folder when its process was killed, and no others.
void tm_remove_leftovers(const char *folder);
// A file that one holds at a time, in this program or another: made if missing, removed when it is released, and free
// again when its program dies. *lock is NULL when another holds it. Errors: it cannot be made.
typedef struct tm_lock tm_lock;
tagmask_status tm_lock_take(const char *path, tm_lock **lock, tm_error *err);
void tm_lock_release(tm_lock *lock);
tagmask_status tm_make_dirs(const char *path, tm_error *err);
bool tm_file_exists(const char *path);
bool tm_is_dir(const char *path);
// The names in a folder, without "." and "..", in the order of their bytes; freed with tm_free_names.
tagmask_status tm_list_folder(const char *path, char ***names, size_t *count, tm_error *err);
void tm_free_names(char **names, size_t count);
bool tm_is_separator(char character);                      // '/', on Windows also '\\'
const char *tm_file_name(const char *path);                // what follows the last folder
char *tm_path_join(const char *folder, const char *name);  // malloc'ed
// The user's cache folder for tagmask (TAGMASK_CACHE; XDG_CACHE_HOME/tagmask or ~/.cache/tagmask, on Windows
// %LOCALAPPDATA%/tagmask); malloc'ed, NULL if none.
char *tm_cache_dir(void);
uint64_t tm_hash64(const void *data, size_t size, uint64_t seed);  // FNV-1a, stable across versions and machines

#endif
