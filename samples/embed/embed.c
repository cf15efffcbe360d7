/* The smallest program that embeds tagmask: loads the library at run time, proposes the mask of one tag in one photo,
 * and draws it as letters on the terminal.
 *
 *     embed LIBRARY PHOTO TAG        for example: embed libtagmask.so chelsea.png cat
 *
 * Exit status: 0 done, 1 tagmask said why not, 2 usage.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <tagmask/tagmask.h>

/* A function of the library under its own name; typeof is what gcc and clang offer for C11. */
#define LOAD(library, function)                                                            \
    __typeof__(function) *function##_ = (__typeof__(function) *)dlsym(library, #function); \
    if (!function##_) {                                                                    \
        fprintf(stderr, "embed: the library has no function %s\n", #function);             \
        return 1;                                                                          \
    }

enum { COLUMNS = 72 };

static void draw(const uint8_t *labels, uint32_t width, uint32_t height) {
    /* Letters are about twice as high as wide. */
    uint32_t rows = (uint32_t)((uint64_t)height * COLUMNS / width / 2);
    for (uint32_t row = 0; row < (rows ? rows : 1); row++) {
        for (uint32_t column = 0; column < COLUMNS; column++) {
            uint32_t x = (uint32_t)((uint64_t)column * width / COLUMNS);
            uint32_t y = (uint32_t)((uint64_t)row * height / (rows ? rows : 1));
            putchar(labels[(size_t)y * width + x] ? '#' : '.');
        }
        putchar('\n');
    }
}

static int propose(void *library, const char *path, const char *tag) {
    LOAD(library, tagmask_device_open)
    LOAD(library, tagmask_device_close)
    LOAD(library, tagmask_engine_create)
    LOAD(library, tagmask_engine_free)
    LOAD(library, tagmask_image_read)
    LOAD(library, tagmask_image_release)
    LOAD(library, tagmask_session_create)
    LOAD(library, tagmask_session_free)
    LOAD(library, tagmask_propose)
    LOAD(library, tagmask_result_labels)
    LOAD(library, tagmask_result_free)
    tagmask_error error = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_result *result = NULL;
    tagmask_image photo = {.struct_size = sizeof photo};
    int status = tagmask_image_read_(path, &photo, &error);
    if (!status) status = tagmask_device_open_(NULL, &device, &error);
    if (!status) status = tagmask_engine_create_(device, NULL, NULL, &engine, &error);
    if (!status) status = tagmask_session_create_(engine, &photo, &session, &error);
    if (!status) status = tagmask_propose_(session, &tag, 1, NULL, &result, &error);
    if (!status) {
        draw(tagmask_result_labels_(result), photo.width, photo.height);
    } else {
        fprintf(stderr, "embed: %s\n", error.message);
    }
    tagmask_result_free_(result);
    tagmask_session_free_(session);
    tagmask_engine_free_(engine);
    tagmask_device_close_(device);
    tagmask_image_release_(&photo);
    return status ? 1 : 0;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: embed LIBRARY PHOTO TAG\n");
        return 2;
    }
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "embed: %s\n", dlerror());
        return 1;
    }
    int status = propose(library, argv[2], argv[3]);
    dlclose(library);
    return status;
}
