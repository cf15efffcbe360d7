// What the operator families share: checks for shape rules, and launching a shader over any number of threads.
#ifndef TM_OPS_COMMON_H
#define TM_OPS_COMMON_H

#include "ops/host_eval.h"

// ---- Shape rules.
// Fails unless the node has min..max inputs, the first `min` of them present, and at least one output.
tagmask_status tm_need_inputs(tm_op_ctx *ctx, size_t min, size_t max, tm_error *err);
// Fails unless input i is absent or float32; `what` names it in the message.
tagmask_status tm_need_float(tm_op_ctx *ctx, size_t i, const char *what, tm_error *err);
// Fails unless input i is a type the GPU holds in a word (float32, bool and integers).
tagmask_status tm_need_words(tm_op_ctx *ctx, size_t i, const char *what, tm_error *err);
bool tm_has_input(const tm_op_ctx *ctx, size_t i);
// Sets an output's dtype and shape.
void tm_set_output(tm_op_ctx *ctx, size_t i, tm_dtype dtype, const tm_shape *shape);
// Elements of a checked shape; dims first..last-1 only.
size_t tm_span(const tm_shape *shape, int32_t first, int32_t last);
// Host data of an optional float scalar input, else `otherwise`; fails if it is there but not a float scalar.
tagmask_status tm_host_float(tm_op_ctx *ctx, size_t i, float otherwise, float *value, tm_error *err);
// Host data of an integer or bool scalar input.
tagmask_status tm_host_int(tm_op_ctx *ctx, size_t i, int64_t *value, tm_error *err);

// ---- Alarms (tm_op_ctx.alarm_text). Integers are int32 on the device: whether results of this type may not fit there.
bool tm_is_wide(tm_dtype dtype);
void tm_alarm_if_wide(tm_op_ctx *ctx, tm_dtype dtype);

// ---- Rules for cutting (tm_op.cut).
void tm_cut_itself(tm_op_ctx *ctx, tm_cut *cut);     // record() binds parts
void tm_cut_broadcast(tm_op_ctx *ctx, tm_cut *cut);  // element by element, with broadcasting
// Adds the dimensions of input 0 in the set (a bit each), which all outputs have as well.
void tm_cut_dims(tm_op_ctx *ctx, tm_cut *cut, uint32_t dims);

// ---- Recording.
static inline uint32_t tm_float_bits(float f) {
    union {
        float f;
        uint32_t u;
    } bits = {f};
    return bits.u;
}
// Products of dimensions beside an empty one can be anything: they wrap, and nothing is done with them.
static inline int64_t tm_wrap_mul(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a * (uint64_t)b);
}
static inline uint32_t tm_channel_blocks(const tm_shape *shape) {
    return (uint32_t)((shape->dim[1] + 3) / 4);
}
// Elements a thread handles in shaders with ITEMS: CPU devices pay for every invocation, GPUs want many.
uint32_t tm_items(const tm_gpu *gpu);

typedef struct tm_launch {
    const char *shader;
    // A variant that reads its first texel_inputs bindings through texel buffers, for devices on the CPU; NULL: none.
    const char *texel_shader;
    uint32_t texel_inputs;
    uint32_t half;  // bit i: binding i holds 16-bit floats
    // From constant 1 on; constant 0 is the workgroup's size. With an alarm, constants 8 and 9 are set for it.
    uint32_t constants[9];
    uint32_t constant_count;
    const char *alarm_shader;  // instead of `shader` for operators with an alarm, which is bound behind the bindings
    tm_slice bindings[6];
    uint32_t binding_count;
    const void *push;
    uint32_t push_size;
    uint64_t threads;
    uint64_t rounds;  // of all loops of a thread whose length the shapes decide; 0: few
    double flops;
} tm_launch;
// Fails where a device would end a thread's loops before they are done, and so give a wrong answer.
tagmask_status tm_check_rounds(const tm_op_ctx *ctx, uint64_t rounds, tm_error *err);
// Chooses the workgroup's size, folds wide dispatches into two dimensions and checks the limits. Slices are widened to
// whole vec4s, which the planner leaves room for.
tagmask_status tm_launch_threads(tm_op_ctx *ctx, tm_recorder *recorder, const tm_launch *launch, tm_error *err);

// Converts elements of one shape and layout from one type to another (unary.c).
tagmask_status tm_record_cast(tm_op_ctx *ctx, tm_recorder *recorder, const tm_tensor *from, const tm_tensor *to,
                              tm_error *err);
// After arithmetic with integers: those of 8 and 16 bits wrap to what the tensor's type holds (unary.c).
tagmask_status tm_record_narrow(tm_op_ctx *ctx, tm_recorder *recorder, const tm_tensor *tensor, tm_error *err);

// y = a * b, where b broadcasts to a, which has the shape and layout of y (binary.c). b is linear unless it has that
// layout, too.
tagmask_status tm_record_product(tm_op_ctx *ctx, tm_recorder *recorder, const tm_tensor *a, const tm_tensor *b,
                                 const tm_tensor *y, tm_error *err);

// ---- Strided copies.
typedef struct tm_copy_spec {
    tm_slice from, to;
    bool vec4;  // elements are vectors of four channels
    int32_t rank;
    int64_t dim[TM_MAX_RANK], in_stride[TM_MAX_RANK], out_stride[TM_MAX_RANK];  // in elements
    int64_t in_offset, out_offset;
} tm_copy_spec;
// Copies whole ranges with tm_copy where the strides allow it, else with the shader nn/copy. The slices may be larger
// than the device binds.
tagmask_status tm_strided_copy(tm_op_ctx *ctx, tm_recorder *recorder, const tm_copy_spec *spec, tm_error *err);
// Row-major strides of the first `rank` of dims.
void tm_row_major(int32_t rank, const int64_t *dim, int64_t *stride);
// Drops dimensions of one element and merges neighbours that all `count` stride lists walk as one. At least one
// dimension remains. strides[k] is a list of rank strides.
int32_t tm_collapse(int32_t rank, int64_t *dim, int64_t *const *strides, size_t count);

// The dimensions a copy-like operator sees: those of the tensor, or [N][C/4][H][W] of vectors for C4.
void tm_element_dims(const tm_tensor *tensor, tm_shape *dims);

#endif
