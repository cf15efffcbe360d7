// FullGrad (Srinivas and Fleuret, "Full-Gradient Representation for Neural Network Visualization", NeurIPS 2019), as in
// pytorch-grad-cam: the sum of |gradient times picture| and, over all convolutions and batch normalizations, of
// |gradient times bias|, each channel min-max normalized and as large as the picture.
#include "mask/map_fullgrad.h"

static tagmask_status dispatch(tm_work *work, const tm_full_part *part, const char *shader, uint64_t elements,
                               double flops, tm_slice third, tm_slice fourth, tm_error *err) {
    const tm_shape *shape = &part->gradients.shape;
    struct {
        uint32_t places, channels;
    } push = {(uint32_t)(shape->dim[2] * shape->dim[3]), (uint32_t)shape->dim[1]};
    tm_map_call call = {.shader = shader,
                        .constants = {part->gradients.layout == TM_C4, part->picture},
                        .constant_count = 2,
                        .bindings = {part->gradients.slice, part->factors, third, fourth},
                        .push = &push,
                        .push_size = sizeof push,
                        .elements = elements,
                        .flops_per_element = flops};
    return tm_map_dispatch(work, &call, err);
}

tagmask_status tm_full_record(tm_work *work, const tm_full_part *part, const tm_map *sum, tm_error *err) {
    const tm_shape *shape = &part->gradients.shape;
    uint64_t channels = (uint64_t)shape->dim[1];
    tm_slice ranges;
    tm_map small, large;
    TM_TRY(tm_scratch_alloc(work->scratch, channels * 8, &ranges, err));
    TM_TRY(tm_scratch_map(work, (uint32_t)shape->dim[3], (uint32_t)shape->dim[2], &small, err));
    TM_TRY(tm_scratch_map(work, sum->width, sum->height, &large, err));
    TM_TRY(dispatch(work, part, "cam/bias_range", channels, 3.0 * tm_map_count(&small), ranges, (tm_slice){0}, err));
    TM_TRY(
        dispatch(work, part, "cam/bias_sum", tm_map_count(&small), 5.0 * (double)channels, ranges, small.slice, err));
    TM_TRY(tm_map_resize(work, &small, &large, NULL, false, err));
    uint32_t count = tm_map_count(sum);
    tm_map_call call = {.shader = "cam/add",
                        .bindings = {large.slice, sum->slice},
                        .push = &count,
                        .push_size = sizeof count,
                        .elements = count,
                        .flops_per_element = 1};
    return tm_map_dispatch(work, &call, err);
}

// The gradient of a tensor, and what it is multiplied with.
static tagmask_status take_part(tm_work *work, const tm_plan *plan, size_t output, const tm_bias *bias,
                                tm_full_part *part, tm_error *err) {
    *part = (tm_full_part){.gradients = tm_plan_output(plan, output)};
    const tm_shape *shape = &part->gradients.shape;
    if (shape->rank != 4 || shape->dim[0] != 1 || shape->dim[1] != bias->channels || !part->gradients.slice.buffer)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "'%.200s' has no gradient of shape 1 x %lld x height x width",
                       bias->tensor, (long long)bias->channels);
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)bias->channels * 4, &part->factors, err));
    part->factors.size = (uint64_t)bias->channels * 4;
    return tm_upload(work->recorder, part->factors, bias->values, err);
}

static tagmask_status record(const tm_views_context *context, tm_work *work, tm_view *view, tm_error *err) {
    const tm_engine_network *network;
    const tm_bias *biases;
    tm_plan *plan;
    tm_map sum;
    tm_full_part part = {.picture = true};
    TM_TRY(tm_engine_network_get(context->engine, view->method->network, "", &network, err));
    TM_TRY(tm_map_plan(context->engine, network, view, &plan, err));
    TM_TRY(tm_map_record_plan(context, work, view, plan, true, err));
    TM_TRY(tm_scratch_map(work, view->width, view->height, &sum, err));
    TM_TRY(tm_fill(work->recorder, sum.slice, 0, err));
    // The picture once more: what the network read may have been written over.
    part.gradients = tm_plan_output(plan, network->gradient_output);
    TM_TRY(tm_scratch_alloc(work->scratch, (uint64_t)tm_map_count(&sum) * 12, &part.factors, err));
    part.factors.size = (uint64_t)tm_map_count(&sum) * 12;
    const tm_tensor picture = {TM_FLOAT32, TM_LINEAR, {4, {1, 3, view->height, view->width}}, part.factors};
    TM_TRY(tm_view_record_input(context, work, view, &picture, err));
    TM_TRY(tm_full_record(work, &part, &sum, err));
    (void)tm_graph_biases(context->engine->network.graph, &biases);
    for (size_t b = 0; b < network->block_count; b++) {
        TM_TRY(take_part(work, plan, network->blocks[b].gradient, &biases[b], &part, err));
        TM_TRY(tm_full_record(work, &part, &sum, err));
    }
    return tm_view_keep_map(work, view, &sum, err);
}

static tagmask_status make(const tm_views_context *context, tm_view *view, tm_error *err) {
    tm_work work;
    TM_TRY(tm_work_begin(&work, context->engine->device->gpu, context->scratch, err));
    return tm_work_close(&work, record(context, &work, view, err), err);
}

const tm_map_method tm_map_fullgrad = {
    .name = "fullgrad", .needs = TM_MAP_GRADIENTS, .of_class = true, .network = TM_NETWORK_BIASES, .make = make};
