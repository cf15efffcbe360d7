// Alarms: what a shader cannot compute rightly (an index outside of its axis, an integer beyond 32 bits) it reports by
// writing into a word of its node, which the host looks at when the recording is done.
#include <stdlib.h>

#include "graph/plan.h"

static bool is_alarmed(const tm_step *step) {
    return step->item && step->item->ctx->alarm_text;
}

static uint64_t stride_of(const tm_plan *plan) {
    return TM_MAX(tm_gpu_get_info(plan->graph->gpu)->buffer_alignment, (uint64_t)16);
}

tagmask_status tm_alarm_make(tm_plan *plan, tm_error *err) {
    size_t count = 0;
    for (size_t s = 0; s < plan->step_count; s++) count += is_alarmed(&plan->steps[s]);
    if (!count) return TAGMASK_OK;
    uint64_t stride = stride_of(plan);
    TM_TRY(tm_buffer_create(plan->graph->gpu, count * stride, TM_MEMORY_DEVICE, &plan->alarms, err));
    plan->alarm_words = malloc(count * stride);
    if (!plan->alarm_words) return tm_memory_fail(err);
    size_t at = 0;
    for (size_t s = 0; s < plan->step_count; s++)
        if (is_alarmed(&plan->steps[s])) plan->steps[s].item->ctx->alarm = (tm_slice){plan->alarms, at++ * stride, 16};
    return TAGMASK_OK;
}

void tm_alarm_free(tm_plan *plan) {
    tm_buffer_destroy(plan->alarms);
    free(plan->alarm_words);
    plan->alarms = NULL;
    plan->alarm_words = NULL;
}

static void forget(void *user) {
    tm_plan *plan = user;
    plan->alarm_waits = false;
}

// The first node in the order of computation: what went wrong behind it may be its consequence.
static tagmask_status look(void *user, tm_error *err) {
    const tm_plan *plan = user;
    for (size_t s = 0; s < plan->step_count; s++) {
        if (!is_alarmed(&plan->steps[s])) continue;
        const tm_op_ctx *ctx = plan->steps[s].item->ctx;
        if (!plan->alarm_words[ctx->alarm.offset / sizeof *plan->alarm_words]) continue;
        tagmask_status status = tm_op_fail(ctx, err, TAGMASK_ERROR_UNSUPPORTED, "%s", ctx->alarm_text);
        tm_fail_prefix(err, "%.300s", plan->graph->name);
        return status;
    }
    return TAGMASK_OK;
}

tagmask_status tm_alarm_begin(tm_plan *plan, tm_recorder *recorder, tm_error *err) {
    if (!plan->alarms || plan->alarm_waits) return TAGMASK_OK;
    TM_TRY(tm_recorder_check(recorder, look, forget, plan, err));
    plan->alarm_waits = true;
    return tm_fill(recorder, (tm_slice){plan->alarms, 0, tm_buffer_size(plan->alarms)}, 0, err);
}

tagmask_status tm_alarm_end(tm_plan *plan, tm_recorder *recorder, tm_error *err) {
    if (!plan->alarms) return TAGMASK_OK;
    return tm_readback(recorder, (tm_slice){plan->alarms, 0, tm_buffer_size(plan->alarms)}, plan->alarm_words, err);
}
