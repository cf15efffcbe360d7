// The public device handle: a tm_gpu and the lock that keeps recordings that use the shared activation arena apart.
#ifndef TM_HANDLE_H
#define TM_HANDLE_H

#include <pthread.h>

#include "gpu/gpu.h"

struct tagmask_device {
    tm_gpu *gpu;
    // Held from planning a network until its recording is finished: all plans of a device share one activation arena.
    pthread_mutex_t lock;
};

#endif
