// Apart from support.c, so that tests without a device do not link the GPU code.
#include <inttypes.h>

#include "support.h"

static tm_gpu *shared_gpu;

static int close_gpu(void) {
    uint64_t messages = tm_gpu_validation_errors(shared_gpu);
    tm_gpu_close(shared_gpu);
    shared_gpu = NULL;
    if (messages) print_error("%" PRIu64 " messages of the Vulkan validation layers; expected none\n", messages);
    return messages ? 1 : 0;
}

tm_gpu *test_gpu(void) {
    if (!shared_gpu) {
        tm_error err = TAGMASK_ERROR_INIT;
        assert_ok(tm_gpu_open(NULL, &shared_gpu, &err), &err);
        test_close_device = close_gpu;
    }
    return shared_gpu;
}
