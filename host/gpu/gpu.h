// Vulkan behind a small interface: the only folder that includes vulkan.h. Nothing outside host/gpu sees a Vulkan type.
//
// The model: a tm_gpu owns one logical device with one compute queue. Work is written into a tm_recorder as dispatches,
// copies and fills and then submitted. Barriers are placed by the recorder: it tracks which byte ranges were read and
// written since the last barrier (access is known from the shader's readonly/writeonly qualifiers) and inserts a
// barrier only where a hazard exists. Callers never think about synchronization.
//
// Threading: a tm_gpu may be used from several threads; a tm_recorder, tm_buffer and what is recorded belong to one
// thread at a time. Determinism: same device, same input, same bits out.
//
// Environment: TAGMASK_DEVICE (selector), TAGMASK_GPU_CLASS (gpu, lavapipe, swiftshader), TAGMASK_DISABLE (features to
// do without: fp16, int8, budget, coopmat, unified, timestamps), TAGMASK_MEMORY_LIMIT (MiB of device memory; on drivers
// for the CPU instead of their heap), TAGMASK_STORAGE_RANGE (bytes that can be bound at once, if the device allows
// more) and TAGMASK_BUFFER_ALIGNMENT (bytes at whose multiples bound ranges start, if the device asks for less) show
// how networks are cut on other devices, TAGMASK_SUBMIT_US (microseconds that one submit should take,
// default 100000), TAGMASK_TIMEOUT (ms for one submit, default 120000), TAGMASK_VALIDATION=1
// (validation layer with synchronization validation), TAGMASK_PROFILE=1 (with TAGMASK_LOG=info: device time by label
// when the device is closed), TAGMASK_TUNE (off, on, full or a file: kernels chosen by timing them; see gpu/tune.h).
#ifndef TM_GPU_H
#define TM_GPU_H

#include "base/base.h"

typedef struct tm_gpu tm_gpu;
typedef struct tm_buffer tm_buffer;
typedef struct tm_pipeline tm_pipeline;
typedef struct tm_recorder tm_recorder;

// How a device likes its kernels. Chosen from the driver id, device type and queried features; TAGMASK_GPU_CLASS
// overrides.
typedef enum tm_gpu_class {
    TM_GPU_CLASS_GPU = 0,     // discrete or integrated GPU: many threads, vec4 storage buffers, shared-memory tiles
    TM_GPU_CLASS_LAVAPIPE,    // Mesa on the CPU: few loads, texel-buffer fetches, big register tiles, no barriers
    TM_GPU_CLASS_SWIFTSHADER  // SwiftShader: 4 lanes, small shaders (compiling is dear), storage buffers
} tm_gpu_class;

typedef struct tm_gpu_info {
    char name[256], driver[256];  // device name; driver name and version
    uint32_t index;               // position in tm_gpu_list
    const char *type;             // "discrete", "integrated", "virtual", "cpu", "other"
    tm_gpu_class gpu_class;
    uint32_t api_version;         // VK_MAKE_API_VERSION encoding
    uint64_t device_memory;       // bytes in the largest device-local heap
    uint64_t max_storage_range;   // maxStorageBufferRange, bytes
    uint64_t max_texel_elements;  // maxTexelBufferElements
    uint64_t buffer_alignment;    // every sub-range bound must start at a multiple of this (storage and texel)
    uint32_t max_invocations;     // per workgroup
    uint32_t max_groups[3], max_group_size[3];
    uint32_t shared_memory;  // bytes per workgroup
    uint32_t subgroup_size;  // 0 unknown
    bool unified_memory;     // device memory is host visible
    bool fp16_storage, fp16_arithmetic, int8_storage, memory_budget, cooperative_matrix;  // optional features enabled
    bool half_texels;  // texel buffers of RG32UI, whose fetch gives four 16-bit floats
    bool timestamps;
    uint8_t cache_key[16];  // pipelineCacheUUID: identifies device + driver
} tm_gpu_info;

// Devices in order of preference: discrete > integrated > virtual > CPU. *list is malloc'ed. TAGMASK_ERROR_NO_DEVICE if
// there is no loader or no device with compute.
tagmask_status tm_gpu_list(tm_gpu_info **list, size_t *count, tm_error *err);

// selector: NULL or "" (TAGMASK_DEVICE, else the most preferred), an index, or a part of a device's name (any case).
// Errors: TAGMASK_ERROR_NO_DEVICE (no loader, no device, or none that matches: the message lists what there is).
tagmask_status tm_gpu_open(const char *selector, tm_gpu **gpu, tm_error *err);
void tm_gpu_close(tm_gpu *gpu);  // every buffer and recorder must be gone; writes the pipeline cache; NULL is allowed
const tm_gpu_info *tm_gpu_get_info(const tm_gpu *gpu);

typedef struct tm_gpu_stats {
    uint64_t bytes_now, bytes_peak, allocations;  // device memory held by tm_buffers
    uint64_t dispatches, submits, barriers, pipelines_created;
    double pipeline_ms;  // time spent creating pipelines
    uint64_t readbacks, readback_bytes;
    double longest_submit_ms;  // of the recording that ended last: its longest submit that the host saw ending
} tm_gpu_stats;
tm_gpu_stats tm_gpu_get_stats(const tm_gpu *gpu);
uint64_t tm_gpu_validation_errors(const tm_gpu *gpu);  // messages of severity error from active validation layers

// ---- Buffers. Every allocation is checked against the budget first (TAGMASK_ERROR_DEVICE_MEMORY).
typedef enum tm_memory {
    TM_MEMORY_DEVICE,   // fastest for shaders
    TM_MEMORY_UPLOAD,   // mapped, written by the host
    TM_MEMORY_READBACK  // mapped, cached, read by the host
} tm_memory;
// size > 0; may exceed max_storage_range (then bind sub-ranges). Contents are undefined. Usable as storage buffer,
// uniform texel buffer, copy source and target.
tagmask_status tm_buffer_create(tm_gpu *gpu, uint64_t size, tm_memory memory, tm_buffer **buffer, tm_error *err);
void tm_buffer_destroy(tm_buffer *buffer);  // NULL allowed; no submitted work may still use it
uint64_t tm_buffer_size(const tm_buffer *buffer);
void *tm_buffer_mapped(tm_buffer *buffer);  // NULL unless UPLOAD/READBACK; coherent

// A byte range of a buffer. offset is a multiple of info.buffer_alignment when the slice is bound to a shader.
typedef struct tm_slice {
    tm_buffer *buffer;
    uint64_t offset, size;
} tm_slice;
static inline tm_slice tm_slice_all(tm_buffer *buffer) {
    tm_slice slice = {buffer, 0, tm_buffer_size(buffer)};
    return slice;
}
// Whether shaders on this device should read a slice of vectors of four floats (half: of 16 bits) through a texel
// buffer: drivers on the CPU turn a fetch into a plain gather, and a storage buffer's load into a loop over the lanes.
bool tm_gpu_by_texels(const tm_gpu_info *info, tm_slice slice, bool half);

// ---- Pipelines. Shaders are the files of shaders/, compiled at build time; the name is the path below shaders/
// without .comp, such as "nn/conv". Set 0 only; the layout (binding numbers; storage buffer or texel buffer;
// readonly/writeonly; push-constant size) is reflected from the SPIR-V. `constants` are the 32-bit specialization
// constants 0..count-1 in order (floats by their bits). Texel buffers are seen as RGBA32F (samplerBuffer,
// textureBuffer), RGBA32I or RGBA32UI (their i and u forms): one texelFetch gives four consecutive 32-bit words, and a
// slice may hold max_texel_elements of them. An unsigned one may also be seen as RG32UI, two words an element
// (tm_dispatch_info.half). Shaders that read weights exist a second time, as NAME_half, for weights of 16 bits
// (shaders.cmake). Pipelines belong to the device, are made once for each (name, constants) and live until
// tm_gpu_close; the returned pointer may be kept.
tagmask_status tm_pipeline_get(tm_gpu *gpu, const char *shader, const uint32_t *constants, size_t constant_count,
                               tm_pipeline **pipeline, tm_error *err);

// ---- Recording.
#define TM_MAX_BINDINGS 12
typedef struct tm_dispatch_info {
    tm_pipeline *pipeline;
    tm_slice bindings[TM_MAX_BINDINGS];  // binding i of set 0; an unused trailing binding has buffer NULL
    uint32_t half;                       // bit i: texel buffer i holds 16-bit floats: seen as RG32UI
    const void *push;                    // push constants, copied; size must match the shader's block
    uint32_t push_size;
    uint32_t groups[3];  // workgroups; 0 in any of them records nothing; checked against the limits
    bool divisible;      // a range of workgroups may run in a dispatch of its own; see below
    double flops;        // rough cost, used to keep each submit near 100 ms; 0: unknown (counted by its bytes)
    double bytes;        // moved, for profiles; 0: all that is bound
    const char *label;   // static or long-lived; names the dispatch in profiles and debug labels; may be NULL
} tm_dispatch_info;
// A divisible dispatch that would take much longer than a submit should is made in ranges along its last dimension of
// more than one workgroup. gl_NumWorkGroups is that of the range in this dimension and the same in those before it, so
// that a grid of one dimension, folded or not, numbers its workgroups as ever; a shader that walks over the rest of its
// work in steps of the whole grid is not divisible. Ranges follow each other, with a barrier between them.

tagmask_status tm_recorder_begin(tm_gpu *gpu, tm_recorder **recorder, tm_error *err);
tagmask_status tm_dispatch(tm_recorder *recorder, const tm_dispatch_info *info, tm_error *err);
// Byte ranges of equal size; may not overlap. Offsets and size are multiples of 4.
tagmask_status tm_copy(tm_recorder *recorder, tm_slice from, tm_slice to, tm_error *err);
tagmask_status tm_fill(tm_recorder *recorder, tm_slice to, uint32_t word, tm_error *err);
// Copies host data into `to`; data may be freed at once. Where the host reaches the buffer and nothing recorded so far
// uses it, this happens now, even if the recording is abandoned later; else through staging memory of the recorder.
tagmask_status tm_upload(tm_recorder *recorder, tm_slice to, const void *data, tm_error *err);
// Schedules a copy of `from` into host memory `data`, which must stay valid until tm_recorder_finish returns.
tagmask_status tm_readback(tm_recorder *recorder, tm_slice from, void *data, tm_error *err);
// Submits what was recorded, waits, performs read-backs and frees the recorder, also on failure.
// TAGMASK_ERROR_DEVICE_LOST, TAGMASK_ERROR_TIMEOUT and TAGMASK_ERROR_DEVICE_MEMORY are distinct. Long recordings are
// split into several submits.
tagmask_status tm_recorder_finish(tm_recorder *recorder, tm_error *err);
void tm_recorder_abandon(tm_recorder *recorder);  // frees it without waiting for unsubmitted work; NULL allowed
tm_gpu *tm_recorder_gpu(tm_recorder *recorder);
// Calls release(user) once, when the recorder is finished or abandoned and the device is done with its work: keeps
// alive what recorded dispatches use although its owner dropped it meanwhile.
tagmask_status tm_recorder_defer(tm_recorder *recorder, void (*release)(void *user), void *user, tm_error *err);
// The same, and where the recording succeeds tm_recorder_finish calls check(user) before, after the read-backs. What it
// returns, finish returns: the first failure of several.
tagmask_status tm_recorder_check(tm_recorder *recorder, tagmask_status (*check)(void *user, tm_error *err),
                                 void (*release)(void *user), void *user, tm_error *err);

// ---- Profiling (TAGMASK_PROFILE=1 or tm_gpu_profile(gpu, true)): device time by label from time-stamp queries.
typedef struct tm_profile_row {
    char label[64];
    uint64_t count;
    double ms, flops, bytes;  // bytes: of all that the commands bound, copied or filled, each slice once a command
} tm_profile_row;
void tm_gpu_profile(tm_gpu *gpu, bool enable);
size_t tm_gpu_profile_rows(tm_gpu *gpu, tm_profile_row *rows, size_t capacity);  // sorted by ms, resets the counters

// ---- Test hooks: exercised by tests/, off by default, no cost when off.
void tm_gpu_test_skip_barriers(tm_gpu *gpu, bool skip);  // plants a hazard for the validation test
typedef enum tm_gpu_fault {
    TM_FAULT_ALLOCATION,  // of a buffer: out of device memory
    TM_FAULT_SUBMIT,      // of a batch: device lost
    TM_FAULT_WAIT,        // for a batch, after it is done: device lost
    TM_FAULT_PIPELINE,    // its creation: out of device memory
    TM_FAULT_KINDS
} tm_gpu_fault;
// The nth event of the kind in this process from now fails; 0: none does. TAGMASK_FAULT=submit:3,submit:9 (kinds:
// allocation, submit, wait, pipeline) plants such failures before the first device is opened.
void tm_gpu_inject(tm_gpu_fault kind, uint64_t nth);
uint64_t tm_gpu_injected(tm_gpu_fault kind);  // how many have struck since

#endif
