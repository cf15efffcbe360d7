// platform.h for Windows 7 and later: the wide functions, since the others read the ANSI code page.
#include "base/platform.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// windows.h comes first
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
#define LARGEST_CHUNK ((size_t)1 << 30)
#define TRIES 20  // of 50 ms, while another program has the file
#define SECONDS_1601_TO_1970 11644473600

// ---- Errors and texts

// errno for what the system said last; always false.
static bool failed(void) {
    static const struct {
        DWORD system;
        int number;
    } table[] = {
        {ERROR_FILE_NOT_FOUND, ENOENT},
        {ERROR_PATH_NOT_FOUND, ENOENT},
        {ERROR_INVALID_DRIVE, ENOENT},
        {ERROR_BAD_NETPATH, ENOENT},
        {ERROR_BAD_NET_NAME, ENOENT},
        {ERROR_INVALID_NAME, EINVAL},
        {ERROR_ACCESS_DENIED, EACCES},
        {ERROR_SHARING_VIOLATION, EACCES},
        {ERROR_LOCK_VIOLATION, EACCES},
        {ERROR_WRITE_PROTECT, EROFS},
        {ERROR_FILE_EXISTS, EEXIST},
        {ERROR_ALREADY_EXISTS, EEXIST},
        {ERROR_DISK_FULL, ENOSPC},
        {ERROR_HANDLE_DISK_FULL, ENOSPC},
        {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
        {ERROR_OUTOFMEMORY, ENOMEM},
        {ERROR_DIRECTORY, ENOTDIR},
        {ERROR_DIR_NOT_EMPTY, ENOTEMPTY},
        {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG},
    };
    DWORD error = GetLastError();
    errno = EIO;
    for (size_t i = 0; i < TM_ARRAY_LEN(table); i++) {
        if (table[i].system == error) errno = table[i].number;
    }
    return false;
}

static wchar_t *to_wide(const char *text) {
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof *wide) : NULL;
    if (wide) MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, length);
    if (!wide) errno = length > 0 ? ENOMEM : EILSEQ;
    return wide;
}

static char *to_utf8(const wchar_t *wide) {
    int length = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = length > 0 ? malloc((size_t)length) : NULL;
    if (text) WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, length, NULL, NULL);
    if (!text) errno = ENOMEM;
    return text;
}

static wchar_t *joined(const wchar_t *prefix, const wchar_t *rest) {
    size_t head = wcslen(prefix), tail = wcslen(rest);
    wchar_t *both = malloc((head + tail + 1) * sizeof *both);
    if (!both) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(both, prefix, head * sizeof *both);
    memcpy(both + head, rest, (tail + 1) * sizeof *both);
    return both;
}

// A path as the system's functions take it without the limit of 260 characters: absolute, with "\\?\" before it. A
// reserved name (CON, NUL, COM1, ...) would go to a device, and is an error here.
static wchar_t *system_path(const char *path) {
    wchar_t *given = to_wide(path), *full = NULL, *made = NULL;
    DWORD room = given ? GetFullPathNameW(given, 0, NULL, NULL) : 0;
    if (room) full = malloc(room * sizeof *full);
    if (full && GetFullPathNameW(given, room, full, NULL) < room) {
        if (!wcsncmp(full, L"\\\\?\\", 4)) {
            made = joined(L"", full);
        } else if (!wcsncmp(full, L"\\\\.\\", 4)) {
            errno = EINVAL;
        } else if (!wcsncmp(full, L"\\\\", 2)) {
            made = joined(L"\\\\?\\UNC\\", full + 2);
        } else {
            made = joined(L"\\\\?\\", full);
        }
    } else if (given) {
        errno = room ? ENOMEM : ENOENT;  // "" has no full path
    }
    free(given);
    free(full);
    return made;
}

// A path that the system gave, with '/' and without "\\?\".
static char *plain_path(const wchar_t *system) {
    bool verbatim = !wcsncmp(system, L"\\\\?\\", 4), share = verbatim && !wcsncmp(system + 4, L"UNC\\", 4);
    wchar_t *wide = share ? joined(L"\\\\", system + 8) : joined(L"", system + (verbatim ? 4 : 0));
    for (wchar_t *at = wide; at && *at; at++) {
        if (*at == L'\\') *at = L'/';
    }
    char *text = wide ? to_utf8(wide) : NULL;
    free(wide);
    return text;
}

// ---- Files

static HANDLE open_handle(const char *path, DWORD access, DWORD how) {
    wchar_t *wide = system_path(path);
    if (!wide) return INVALID_HANDLE_VALUE;
    // FILE_FLAG_BACKUP_SEMANTICS opens folders, too.
    HANDLE handle = CreateFileW(wide, access, SHARE_ALL, NULL, how, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    free(wide);
    if (handle == INVALID_HANDLE_VALUE) failed();
    return handle;
}

static HANDLE handle_of(int file) {
    return (HANDLE)_get_osfhandle(file);
}

static bool describe(HANDLE handle, tm_file_info *info) {
    BY_HANDLE_FILE_INFORMATION found;
    if (!GetFileInformationByHandle(handle, &found)) return failed();
    bool folder = found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY;
    uint64_t ticks = (uint64_t)found.ftLastWriteTime.dwHighDateTime << 32 | found.ftLastWriteTime.dwLowDateTime;
    *info = (tm_file_info){.regular = !folder && GetFileType(handle) == FILE_TYPE_DISK,
                           .folder = folder,
                           .read_only = found.dwFileAttributes & FILE_ATTRIBUTE_READONLY,
                           .size = (uint64_t)found.nFileSizeHigh << 32 | found.nFileSizeLow,
                           .changed = ((int64_t)ticks - SECONDS_1601_TO_1970 * 10000000) * 100,
                           .device = found.dwVolumeSerialNumber,
                           .number = (uint64_t)found.nFileIndexHigh << 32 | found.nFileIndexLow};
    return true;
}

bool tm_file_stat(const char *path, tm_file_info *info) {
    HANDLE handle = open_handle(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING);
    if (handle == INVALID_HANDLE_VALUE) return false;
    bool ok = describe(handle, info);
    CloseHandle(handle);
    return ok;
}

static int descriptor(HANDLE handle) {
    if (handle == INVALID_HANDLE_VALUE) return -1;
    int file = _open_osfhandle((intptr_t)handle, _O_BINARY | _O_NOINHERIT);
    if (file < 0) CloseHandle(handle);
    return file;
}

int tm_file_open(const char *path) {
    return descriptor(open_handle(path, GENERIC_READ, OPEN_EXISTING));
}

// A file that was removed refuses everybody until its last holder closes it, and a virus scanner shares none.
int tm_file_create(const char *path) {
    HANDLE handle = INVALID_HANDLE_VALUE;
    for (int i = 0; handle == INVALID_HANDLE_VALUE && i < TRIES; i++) {
        if (i) Sleep(50);
        handle = open_handle(path, GENERIC_WRITE, CREATE_ALWAYS);
        if (handle == INVALID_HANDLE_VALUE && errno != EACCES) break;
    }
    return descriptor(handle);
}

int tm_file_create_new(const char *path) {
    return descriptor(open_handle(path, GENERIC_WRITE, CREATE_NEW));
}

bool tm_file_lock(int file) {
    OVERLAPPED beyond = {.OffsetHigh = 0x40000000};  // of any content, which a lock would keep others from reading
    DWORD how = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    if (LockFileEx(handle_of(file), how, 0, 1, 0, &beyond)) return true;
    if (GetLastError() != ERROR_LOCK_VIOLATION) return failed();
    errno = EWOULDBLOCK;
    return false;
}

bool tm_file_stat_open(int file, tm_file_info *info) {
    return describe(handle_of(file), info);
}

int64_t tm_file_read_at(int file, void *data, size_t size, uint64_t offset) {
    OVERLAPPED at = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
    DWORD got = 0;
    if (ReadFile(handle_of(file), data, (DWORD)TM_MIN(size, LARGEST_CHUNK), &got, &at)) return got;
    if (GetLastError() == ERROR_HANDLE_EOF) return 0;
    failed();
    return -1;
}

bool tm_file_write(int file, const void *data, size_t size) {
    const char *bytes = data;
    while (size) {
        DWORD wrote = 0;
        if (!WriteFile(handle_of(file), bytes, (DWORD)TM_MIN(size, LARGEST_CHUNK), &wrote, NULL)) return failed();
        bytes += wrote;
        size -= wrote;
    }
    return true;
}

bool tm_file_sync(int file) {
    return FlushFileBuffers(handle_of(file)) || failed();
}

bool tm_file_close(int file) {
    return _close(file) == 0;
}

bool tm_file_map(int file, size_t size, const void **data) {
    HANDLE mapping = CreateFileMappingW(handle_of(file), NULL, PAGE_READONLY, 0, 0, NULL);
    if (!mapping) return failed();
    const void *view = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, size);
    if (!view) failed();
    CloseHandle(mapping);  // the view keeps it
    if (!view) return false;
    *data = view;
    return true;
}

void tm_file_unmap(const void *data, size_t size) {
    (void)size;
    UnmapViewOfFile(data);
}

void tm_file_copy_mode(int file, const char *path) {
    (void)file;  // files have the permissions of their folder
    (void)path;
}

FILE *tm_file_stream(const char *path, char mode) {
    wchar_t *wide = system_path(path);
    FILE *file = wide ? _wfopen(wide, (const wchar_t[]){(wchar_t)mode, L'b', L'N', 0}) : NULL;
    free(wide);
    return file;
}

bool tm_file_replace(const char *from, const char *to) {
    wchar_t *wide_from = system_path(from), *wide_to = wide_from ? system_path(to) : NULL;
    bool ok = false;
    for (int i = 0; wide_to && !ok && i < TRIES; i++) {
        ok = MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH);
        DWORD error = ok ? 0 : GetLastError();
        if (ok || (!failed() && error != ERROR_ACCESS_DENIED && error != ERROR_SHARING_VIOLATION)) break;
        Sleep(50);  // a virus scanner or an editor reads the file just now
    }
    free(wide_from);
    free(wide_to);
    return ok;
}

bool tm_file_remove(const char *path) {
    wchar_t *wide = system_path(path);
    bool ok = wide && (DeleteFileW(wide) || failed());
    free(wide);
    return ok;
}

// ---- Folders

bool tm_folder_make(const char *path) {
    wchar_t *wide = system_path(path);
    bool ok = wide && (CreateDirectoryW(wide, NULL) || failed());
    free(wide);
    return ok;
}

bool tm_folder_is_writable(const char *path) {
    HANDLE handle = open_handle(path, FILE_ADD_FILE, OPEN_EXISTING);
    if (handle == INVALID_HANDLE_VALUE) return false;
    CloseHandle(handle);
    return true;
}

uint64_t tm_free_space(const char *path) {
    ULARGE_INTEGER free_bytes = {.QuadPart = UINT64_MAX};
    wchar_t *wide = system_path(path);
    if (wide && !GetDiskFreeSpaceExW(wide, &free_bytes, NULL, NULL)) free_bytes.QuadPart = UINT64_MAX;
    free(wide);
    return free_bytes.QuadPart;
}

size_t tm_path_root(const char *path) {
    bool letter = (*path >= 'A' && *path <= 'Z') || (*path >= 'a' && *path <= 'z');
    if (letter && path[1] == ':') return 2 + (path[2] && strchr(TM_SEPARATORS, path[2]));
    size_t separators = strspn(path, TM_SEPARATORS);
    if (separators < 2) return separators;
    size_t length = separators;
    for (int part = 0; part < 2; part++) {  // server, share
        length += strcspn(path + length, TM_SEPARATORS);
        length += path[length] != 0;
    }
    return length;
}

char *tm_real_path(const char *path) {
    HANDLE handle = open_handle(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING);
    if (handle == INVALID_HANDLE_VALUE) return NULL;
    DWORD room = GetFinalPathNameByHandleW(handle, NULL, 0, FILE_NAME_NORMALIZED);
    wchar_t *wide = room ? malloc((room + 1) * sizeof *wide) : NULL;
    bool ok = wide && GetFinalPathNameByHandleW(handle, wide, room + 1, FILE_NAME_NORMALIZED) <= room;
    if (!ok) failed();
    char *real = ok ? plain_path(wide) : NULL;
    free(wide);
    CloseHandle(handle);
    return real;
}

struct tm_folder {
    HANDLE search;
    WIN32_FIND_DATAW entry;
    bool waiting;  // entry is not yet given out
    char *name;
};

tm_folder *tm_folder_open(const char *path) {
    char *pattern = tm_path_join(path, "*");
    wchar_t *wide = pattern ? system_path(pattern) : NULL;
    tm_folder *folder = wide ? tm_calloc(1, sizeof *folder) : NULL;
    if (folder) {
        folder->search = FindFirstFileW(wide, &folder->entry);
        folder->waiting = true;
        if (folder->search == INVALID_HANDLE_VALUE) {
            failed();
            free(folder);
            folder = NULL;
        }
    }
    free(wide);
    free(pattern);
    return folder;
}

const char *tm_folder_next(tm_folder *folder) {
    for (;;) {
        if (!folder->waiting && !FindNextFileW(folder->search, &folder->entry)) {
            bool end = GetLastError() == ERROR_NO_MORE_FILES;
            failed();
            if (end) errno = 0;
            return NULL;
        }
        folder->waiting = false;
        const wchar_t *name = folder->entry.cFileName;
        if (!wcscmp(name, L".") || !wcscmp(name, L"..")) continue;
        free(folder->name);
        folder->name = to_utf8(name);
        return folder->name;
    }
}

void tm_folder_close(tm_folder *folder) {
    if (!folder) return;
    FindClose(folder->search);
    free(folder->name);
    free(folder);
}

// ---- The process and the machine

double tm_now_ms(void) {
    LARGE_INTEGER ticks, per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    return (double)ticks.QuadPart * 1e3 / (double)per_second.QuadPart;
}

uint64_t tm_process_id(void) {
    return GetCurrentProcessId();
}

void tm_catch_end(void (*handler)(int)) {
    signal(SIGINT, handler);
    signal(SIGTERM, handler);
}

char *tm_environment(const char *name) {
    wchar_t *wide = to_wide(name), *value = NULL;
    DWORD room = wide ? GetEnvironmentVariableW(wide, NULL, 0) : 0;
    if (room > 1) value = malloc(room * sizeof *value);
    bool ok = value && GetEnvironmentVariableW(wide, value, room) < room;
    char *text = ok ? to_utf8(value) : NULL;
    free(value);
    free(wide);
    return text;
}

char *tm_user_cache(void) {
    char *local = tm_environment("LOCALAPPDATA");
    char *path = local ? tm_path_join(local, "tagmask") : NULL;
    free(local);
    return path;
}

char *tm_module_path(const void *address) {
    HMODULE module;
    DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExW(flags, (LPCWSTR)address, &module)) return NULL;
    enum { ROOM = 32768 };  // the longest path there is
    wchar_t *wide = malloc(ROOM * sizeof *wide);
    DWORD length = wide ? GetModuleFileNameW(module, wide, ROOM) : 0;
    char *path = length && length < ROOM ? plain_path(wide) : NULL;
    free(wide);
    return path;
}

bool tm_is_terminal(FILE *file) {
    return _isatty(_fileno(file));
}

uint64_t tm_available_memory(void) {
    MEMORYSTATUSEX memory = {.dwLength = sizeof memory};
    return GlobalMemoryStatusEx(&memory) ? memory.ullAvailPhys : UINT64_MAX;
}
