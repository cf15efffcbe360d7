/* The smallest program that embeds tagmask: loads the library at run time, proposes the mask of one tag in one photo,
 * and draws it as letters on the terminal.
 *
 *     embed LIBRARY PHOTO TAG        for example: embed libtagmask.so chelsea.png cat
 *
 * Exit status: 0 done, 1 tagmask said why not, 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <tagmask/api.h>

#ifdef _WIN32
#include <windows.h>
static tagmask_get_api_fn find(const char *library) {
    HMODULE module = LoadLibraryA(library);
    if (!module) fprintf(stderr, "embed: %s cannot be loaded: error %lu\n", library, GetLastError());
    return module ? (tagmask_get_api_fn)(void (*)(void))GetProcAddress(module, "tagmask_get_api") : NULL;
}
#else
#include <dlfcn.h>
static tagmask_get_api_fn find(const char *library) {
    tagmask_get_api_fn get_api = NULL;
    void *module = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (module) *(void **)&get_api = dlsym(module, "tagmask_get_api"); /* as POSIX has it */
    if (!get_api) fprintf(stderr, "embed: %s\n", dlerror());
    return get_api;
}
#endif

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

static int propose(const tagmask_api *api, const char *path, const char *tag) {
    tagmask_error error = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_engine *engine = NULL;
    tagmask_session *session = NULL;
    tagmask_result *result = NULL;
    tagmask_image photo = {.struct_size = sizeof photo};
    int status = api->image_read(path, &photo, &error);
    if (!status) status = api->device_open(NULL, &device, &error);
    if (!status) status = api->engine_create(device, NULL, NULL, &engine, &error);
    if (!status) status = api->session_create(engine, &photo, &session, &error);
    if (!status) status = api->propose(session, &tag, 1, NULL, &result, &error);
    if (!status) {
        draw(api->result_labels(result), photo.width, photo.height);
    } else {
        fprintf(stderr, "embed: %s\n", error.message);
    }
    api->result_free(result);
    api->session_free(session);
    api->engine_free(engine);
    api->device_close(device);
    api->image_release(&photo);
    return status ? 1 : 0;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: embed LIBRARY PHOTO TAG\n");
        return 2;
    }
    tagmask_get_api_fn get_api = find(argv[1]);
    const tagmask_api *api = get_api ? get_api(1) : NULL;
    if (!api) {
        fprintf(stderr, "embed: %s is no library of tagmask\n", argv[1]);
        return 1;
    }
    return propose(api, argv[2], argv[3]);
}
