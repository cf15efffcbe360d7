// Apart from support.c, so that tests without a device do not link the GPU code.
#include <stdlib.h>

#include "support.h"

static tm_gpu *shared_gpu;
static void close_gpu(void) {
    tm_gpu_close(shared_gpu);
}
tm_gpu *test_gpu(void) {
    if (!shared_gpu) {
        tm_error err = TAGMASK_ERROR_INIT;
        assert_ok(tm_gpu_open(NULL, &shared_gpu, &err), &err);
        atexit(close_gpu);
    }
    return shared_gpu;
}
