// A plan: what one graph does for one set of input shapes. plan.c infers shapes and decides what runs; plan_lower.c
// gives every tensor a layout and a place; exec.c records.
#ifndef TM_GRAPH_PLAN_H
#define TM_GRAPH_PLAN_H

#include "graph/internal.h"

// A piece of device memory that one or several tensors (views, results computed in place) live in.
typedef struct tm_storage {
    bool constant;  // outside the arena, at `fixed`
    tm_slice fixed;
    uint64_t bytes;       // padded to a multiple of 16
    uint64_t offset;      // in the arena
    uint64_t best;        // offset in the best placement so far
    uint64_t breadth;     // bytes alive at the busiest moment of its life
    int32_t first, last;  // steps between which it holds something; -1: before the first, step count: after the last
    int32_t merged;       // the storage it became part of; -1
} tm_storage;

typedef struct tm_plan_tensor {
    int32_t storage;
    tm_dtype dtype;
    tm_layout layout;
    tm_shape shape;
} tm_plan_tensor;

typedef struct tm_plan_value {
    tm_host_tensor host;  // dtype and shape; data when it is known on the host
    int32_t tensor[2];    // by layout; -1: none
    tm_layout native;     // the layout its producer writes
} tm_plan_value;

// One node in one plan. Nodes evaluated on the host, and those that only such nodes need, are not live.
typedef struct tm_item {
    tm_op_ctx *ctx;
    tm_node node;  // a copy: a residual may be fused into it
    bool live;
} tm_item;

// What is recorded, in order: an item, or a change of layout.
typedef struct tm_step {
    const tm_item *item;              // NULL: convert
    int32_t *in_tensor, *out_tensor;  // of an item: by input and output, -1: none
    int32_t from, to;                 // of a conversion
    int32_t scratch;                  // storage, -1: none
    struct tm_split *split;           // recorded in pieces; NULL: at once
} tm_step;

struct tm_plan {
    tm_graph *graph;
    tm_plan *next;
    void *key;
    size_t key_size;
    tm_arena arena;  // what inference makes
    tm_plan_value *values;
    tm_item *items;
    bool *linear_output;  // by output: the caller asked for TM_LINEAR

    tm_arena memory;  // what lowering makes; made anew when an output becomes linear
    tm_step *steps;
    size_t step_count, backward;  // backward: the first step of a gradient rule's node; step_count: none
    tm_plan_tensor *tensors;
    size_t tensor_count, tensor_capacity;
    tm_storage *storages;
    size_t storage_count, storage_capacity;
    struct tm_upload {  // host values that the device reads
        int32_t value, tensor;
    } * uploads;
    size_t upload_count, upload_capacity;
    tm_buffer *constants;             // the uploads computed for this plan; the graph's constants are in its pool
    tm_arena_buffer *buffer, *bound;  // held; what the slices of the steps refer to
    tm_buffer *alarms;                // NULL: no step can fail while it runs
    uint32_t *alarm_words;            // as read back
    bool alarm_waits;                 // a recording that is not finished looks at them
    tm_plan_stats stats;
};

// Does the item need input i on the device? Not if it is a host value for its shape rule, or packed by prepare().
bool tm_item_reads(const tm_plan *plan, const tm_item *item, size_t i);
// plan_lower.c: everything from layouts to bound slices; tm_plan_unlower undoes it.
tagmask_status tm_plan_lower(tm_plan *plan, tm_error *err);
void tm_plan_unlower(tm_plan *plan);
tagmask_status tm_plan_bind(tm_plan *plan, tm_error *err);
// alarm.c: memory for the alarms of the plan's steps, and what a recording of them begins and ends with. What has
// alarmed fails tm_recorder_finish.
tagmask_status tm_alarm_make(tm_plan *plan, tm_error *err);
void tm_alarm_free(tm_plan *plan);
tagmask_status tm_alarm_begin(tm_plan *plan, tm_recorder *recorder, tm_error *err);
tagmask_status tm_alarm_end(tm_plan *plan, tm_recorder *recorder, tm_error *err);
// plan_memory.c: places storages in the arena.
tagmask_status tm_plan_place(tm_plan *plan, uint64_t alignment, tm_error *err);
int32_t tm_plan_root(const tm_plan *plan, int32_t storage);
tm_tensor tm_plan_tensor_at(const tm_plan *plan, int32_t tensor);
tm_slice tm_plan_slice_at(const tm_plan *plan, int32_t storage, uint64_t bytes);
// split.c: how a step is cut whose bindings are larger than the device allows; step->split stays NULL where they fit.
tagmask_status tm_split_make(tm_plan *plan, tm_step *step, tm_error *err);
uint64_t tm_split_scratch(const tm_step *step);  // bytes of scratch memory that the step needs
tagmask_status tm_split_record(const tm_plan *plan, const tm_step *step, tm_recorder *recorder, tm_error *err);
// plan_upload.c: host values that the device reads.
tagmask_status tm_plan_upload(tm_plan *plan, tm_error *err);
// convert.c: records nn/to_c4 or nn/to_linear.
tagmask_status tm_record_conversion(tm_recorder *recorder, const tm_tensor *from, const tm_tensor *to, tm_error *err);

#endif
