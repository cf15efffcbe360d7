// For tests/wine.sh: what a host on Windows meets that the command does not. Returns the line that failed, else 0.
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// windows.h comes first
#include <stdio.h>
#include <string.h>

#include "tagmask/tagmask.h"

#define EXPECT(condition)                                                                                           \
    do {                                                                                                            \
        if (!(condition)) return fprintf(stderr, "line %d: %s; %s\n", __LINE__, #condition, err.message), __LINE__; \
    } while (0)

static tagmask_error err = TAGMASK_ERROR_INIT;

// Both separators part folders, and nothing leaves the output folder.
static int write_names(const char *format, const tagmask_result *result, const char *file) {
    static const char *const bad[] = {"..\\1.jpg", "a\\..\\1.jpg", "\\1.jpg", "C:1.jpg", "C:\\1.jpg", "a\\"};
    tagmask_writer *writer = NULL;
    EXPECT(!tagmask_writer_open(format, "names", &writer, &err));
    EXPECT(!tagmask_writer_add_as(writer, result, "p\\1.jpg", "a\\1.jpg", NULL, &err));
    EXPECT(tagmask_writer_has(writer, "a\\1.jpg", NULL, 0) && tagmask_writer_has(writer, "a/1.jpg", NULL, 0));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(tagmask_writer_add_as(writer, result, "p\\1.jpg", bad[i], NULL, &err) == TAGMASK_ERROR_ARGUMENT);
        EXPECT(!tagmask_writer_has(writer, bad[i], NULL, 0));
    }
    EXPECT(!tagmask_writer_close(writer, &err));
    EXPECT(GetFileAttributesA(file) != INVALID_FILE_ATTRIBUTES);
    return 0;
}

static DWORD WINAPI close_later(void *handle) {
    Sleep(200);
    CloseHandle(handle);
    return 0;
}

// A virus scanner, say, has the lock file that a killed writer left.
static int lock_again(void) {
    static const char path[] = "names\\.tagmask-coco.lock";
    tagmask_writer *writer = NULL;
    HANDLE file = CreateFileA(path, GENERIC_READ, 0, NULL, CREATE_ALWAYS, 0, NULL);
    EXPECT(file != INVALID_HANDLE_VALUE);
    HANDLE thread = CreateThread(NULL, 0, close_later, file, 0, NULL);
    EXPECT(thread);
    EXPECT(!tagmask_writer_open("coco", "names", &writer, &err));
    EXPECT(!tagmask_writer_close(writer, &err));
    WaitForSingleObject(thread, INFINITE);
    return 0;
}

int main(void) {
    static const char text[] =
        "{\"shapes\": [{\"label\": \"cat\", \"shape_type\": \"polygon\", \"points\": [[1, 1], "
        "[9, 1], [9, 9]]}], \"imageWidth\": 16, \"imageHeight\": 16}";
    tagmask_result *result = NULL;
    FILE *file = fopen("names.json", "wb");
    EXPECT(file && fputs(text, file) >= 0 && !fclose(file));
    EXPECT(!tagmask_result_read("labelme", "names.json", "1.jpg", 16, 16, &result, &err));
    int failed = write_names("labelme", result, "names\\a\\1.json");
    if (!failed) failed = write_names("coco", result, "names\\coco.json");
    if (!failed) failed = lock_again();
    tagmask_result_free(result);
    return failed;
}
