// How long recorded commands are likely to take, so that each submit ends after about 100 ms. A shader's pace is
// learned from the submits that it was part of: shaders reach a twentieth to a half of what a device computes, and one
// pace for all would make submits of the slow ones several times too long. Paces decide where recordings are cut, never
// what they compute.
#include "gpu/internal.h"

// Of a shader that was never seen, in paces of the device: most reach more, and the first submit is the dangerous one.
#define CAUTION 2.0
// A single submit can be held up by anything, so it moves a pace only half of the way. Shapes differ, too, and a submit
// that is too long is worse than one that is too short: paces go down more slowly than up.
#define LEARN_SLOWER 0.6
#define LEARN_FASTER 0.3
#define LEARN_FIRST 0.9
// A shader of a smaller share of its batch learns nothing from it.
#define LEAST_SHARE 0.02

void tm_pace_init(tm_gpu *gpu, double submit_ms) {
    // First guesses. Low, since a batch that is too long can trip a watchdog and one that is too short costs
    // microseconds.
    static const double flops[] = {5e7, 2e6, 1e6}, bytes[] = {2e7, 1e6, 5e5};  // a ms: GPU, lavapipe, SwiftShader
    gpu->pace.flops_per_ms = flops[gpu->physical.info.gpu_class];
    gpu->pace.bytes_per_ms = bytes[gpu->physical.info.gpu_class];
    gpu->pace.general = 1;
    gpu->pace.submit_ms = submit_ms;
}

// Of the device as first guessed.
static double nominal_ms(const tm_gpu *gpu, const tm_cost *cost) {
    return cost->flops > 0 ? cost->flops / gpu->pace.flops_per_ms : cost->bytes / gpu->pace.bytes_per_ms;
}

static tm_pace *pace_of(tm_gpu *gpu, const tm_cost *cost) {
    return cost->pace ? cost->pace : &gpu->pace.transfers;
}

static double factor_of(const tm_gpu *gpu, const tm_pace *pace) {
    return pace->factor > 0 ? pace->factor : CAUTION * gpu->pace.general;
}

double tm_pace_estimate(tm_gpu *gpu, const tm_cost *cost) {
    pthread_mutex_lock(&gpu->recorder_lock);
    double ms = TM_COMMAND_MS + nominal_ms(gpu, cost) * factor_of(gpu, pace_of(gpu, cost));
    pthread_mutex_unlock(&gpu->recorder_lock);
    return ms;
}

void tm_pace_add(tm_gpu *gpu, tm_batch *batch, const tm_cost *cost) {
    tm_pace *pace = pace_of(gpu, cost);
    double nominal = nominal_ms(gpu, cost);
    batch->command_count++;
    batch->estimate += tm_pace_estimate(gpu, cost);
    for (size_t i = 0; i < batch->share_count; i++) {
        if (batch->shares[i].pace != pace) continue;
        batch->shares[i].nominal_ms += nominal;
        return;
    }
    if (batch->share_count == TM_BATCH_SHARES) {
        batch->unknown = true;
        return;
    }
    batch->shares[batch->share_count++] = (tm_share){pace, nominal};
}

void tm_pace_learn(tm_gpu *gpu, const tm_batch *batch, double ms, bool awaited) {
    // Short batches measure the submission rather than the work.
    ms -= TM_COMMAND_MS * batch->command_count;
    if (batch->unknown || ms < 1) return;
    pthread_mutex_lock(&gpu->recorder_lock);
    double expected = 0, nominal = 0, squares = 0;
    for (size_t i = 0; i < batch->share_count; i++) {
        const tm_share *share = &batch->shares[i];
        double part = share->nominal_ms * factor_of(gpu, share->pace);
        nominal += share->nominal_ms;
        expected += part;
        squares += part * part;
    }
    // A batch that was found done may have been done for long: it says only that the device is not slower.
    double ratio = expected > 0 ? ms / expected : 1;
    if (nominal > 0 && (awaited || ratio < 1)) {
        // Each shader answers for the difference by its share of the batch, so that the batch as a whole moves towards
        // its time. A hint that is far off may not make the next submit endless, nor a busy moment make them tiny.
        for (size_t i = 0; i < batch->share_count; i++) {
            tm_pace *pace = batch->shares[i].pace;
            double part = batch->shares[i].nominal_ms * factor_of(gpu, pace);
            if (part < LEAST_SHARE * expected) continue;
            double rate = pace->factor > 0 ? (ratio > 1 ? LEARN_SLOWER : LEARN_FASTER) : LEARN_FIRST;
            double change = rate * (ratio - 1) * part * expected / squares;
            pace->factor = factor_of(gpu, pace) * TM_MIN(TM_MAX(1 + change, 0.5), 2);
        }
        // Commands that do next to nothing would make the device look slow at what costs much.
        double general = gpu->pace.general;
        if (nominal >= 1)
            gpu->pace.general = TM_MIN(TM_MAX(0.5 * (general + ms / nominal), 0.5 * general), 2 * general);
    }
    pthread_mutex_unlock(&gpu->recorder_lock);
}
