// What the files of host/gpu share. Only this folder includes it.
//
// instance.c  loader, instance, validation messages, list of devices, selection
// features.c  what a device offers and which kernels it gets
// device.c    tm_gpu: logical device, statistics, test hooks
// memory.c    budget, blocks, buffers, texel-buffer views
// spirv.c     reflection
// pipeline.c  pipelines; cache.c keeps the driver's compiled code on disk
// hazard.c    which barrier is needed; recorder.c records; submit.c sends batches to the queue and waits
// profile.c   device time by label
// fault.c     failures on demand, for tests
// tune.c      which of a few kernels serves best; see tune.h
#ifndef TM_GPU_INTERNAL_H
#define TM_GPU_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <volk.h>

#include "gpu/gpu.h"
#include "gpu/shader_table.h"
#include "gpu/spirv.h"

// ---- instance.c
typedef struct tm_instance {
    VkInstance handle;
    bool validate, messages;  // made with the validation layer, with debug utils
    VkDebugUtilsMessengerEXT messenger;
    PFN_vkCmdBeginDebugUtilsLabelEXT begin_label;  // NULL unless a layer or TAGMASK_VALIDATION asked for debug utils
    PFN_vkCmdEndDebugUtilsLabelEXT end_label;
    atomic_uint_fast64_t errors;  // messages of severity error
} tm_instance;

tagmask_status tm_instance_create(tm_instance **instance, tm_error *err);
void tm_instance_destroy(tm_instance *instance);  // or keeps it for the next device; NULL allowed

// ---- features.c
typedef struct tm_physical {
    VkPhysicalDevice handle;
    uint32_t queue_family;
    tm_gpu_info info;
    uint32_t vendor_id, device_id, driver_version;
    uint32_t max_allocations;                 // VkDeviceMemory objects at once
    uint64_t max_allocation;                  // bytes in one VkDeviceMemory
    uint32_t max_push;                        // bytes of push constants
    double timestamp_ns;                      // nanoseconds a tick
    uint64_t timestamp_mask;                  // valid bits
    uint32_t max_storage, max_texel;          // descriptors of a kind in one stage
    bool on_cpu;                              // device memory is the machine's memory
    bool has_float16_int8, has_8bit_storage;  // extensions behind info.fp16_arithmetic and info.int8_storage
} tm_physical;

// Fills physical->info and the rest; false if the device cannot be used (Vulkan 1.0, no compute queue).
bool tm_physical_query(VkPhysicalDevice handle, tm_physical *physical);
bool tm_feature_disabled(const char *name);  // named by TAGMASK_DISABLE=name,name
// Sorted by preference, with info.index set. *list is malloc'ed; at least one device.
tagmask_status tm_physical_list(tm_instance *instance, tm_physical **list, size_t *count, tm_error *err);
// The device that selector names among count devices, as documented at tm_gpu_open.
tagmask_status tm_physical_select(const tm_physical *list, size_t count, const char *selector, size_t *chosen,
                                  tm_error *err);

// ---- memory.c
typedef struct tm_range {
    uint64_t offset, size;
} tm_range;

// One VkDeviceMemory: shared by small buffers, or held by one large buffer (then free_count is 0 throughout).
typedef struct tm_block {
    struct tm_block *next;
    VkDeviceMemory memory;
    uint8_t *mapped;
    uint64_t size;
    uint32_t heap;
    tm_range *free_ranges;  // sorted by offset, never adjacent
    size_t free_count, free_capacity;
    size_t users;  // buffers in a shared block
} tm_block;

#define TM_FLOAT_TEXEL 16  // bytes of RGBA32F
#define TM_HALF_TEXEL 8    // of RG32UI, four 16-bit floats
typedef struct tm_view {
    uint64_t offset, range;
    VkFormat format;
    VkBufferView handle;
} tm_view;

struct tm_buffer {
    tm_gpu *gpu;
    VkBuffer handle;
    uint64_t size;
    tm_memory kind;
    tm_block *block;
    uint64_t block_offset, block_size;
    uint8_t *mapped;  // where the host reaches it, also for TM_MEMORY_DEVICE on unified memory
    bool cached;      // mapped memory that the host reads fast
    tm_view *views;   // open addressing by hash of (offset, range, format); handle 0: empty
    size_t view_count, view_capacity;
    tm_buffer *next_doomed;  // destroyed while the device hangs: freed with the device
};

#define TM_MEMORY_KINDS 3
typedef struct tm_memory_pool {
    uint32_t type, heap;
    VkMemoryPropertyFlags flags;
    tm_block *blocks;  // shared blocks
} tm_memory_pool;

tagmask_status tm_memory_init(tm_gpu *gpu, tm_error *err);
void tm_memory_free(tm_gpu *gpu);
// The view for a uniform texel buffer over the slice; made once.
tagmask_status tm_buffer_view(tm_buffer *buffer, uint64_t offset, uint64_t size, VkFormat format, VkBufferView *view,
                              tm_error *err);

// ---- pace.c
// How much slower than first guessed something is; 0: not known yet.
typedef struct tm_pace {
    double factor;
} tm_pace;

// What a command is thought to cost.
typedef struct tm_cost {
    tm_pace *pace;        // of its shader; NULL: a copy or a fill
    double flops, bytes;  // bytes tell the cost where flops are not known
} tm_cost;

// ---- pipeline.c
// A shader of the table on one device: what all its pipelines share.
typedef struct tm_program {
    const tm_shader *shader;
    tm_reflection reflection;
    VkShaderModule module;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    tm_pace pace;
} tm_program;

struct tm_pipeline {
    tm_pipeline *next;  // in its hash bucket
    tm_program *program;
    const char *name;
    uint32_t *constants;
    size_t constant_count;
    uint64_t hash;
    VkPipeline handle;
    enum { TM_PIPELINE_CREATING, TM_PIPELINE_READY } state;
};

#define TM_PIPELINE_BUCKETS 256
tagmask_status tm_pipelines_init(tm_gpu *gpu, tm_error *err);
void tm_pipelines_free(tm_gpu *gpu);

// ---- recorder.c, submit.c
typedef struct tm_profile_entry {
    const char *label;
    double flops, bytes;
} tm_profile_entry;

// What one shader does in a batch.
typedef struct tm_share {
    tm_pace *pace;
    double nominal_ms;
} tm_share;

// What a command costs beside its work; also bounds the commands in a batch.
#define TM_COMMAND_MS 0.02
#define TM_BATCH_SHARES 32

// A command buffer that is submitted as a whole.
typedef struct tm_batch {
    VkCommandBuffer commands;
    VkFence fence;
    VkQueryPool queries;  // 0: start, then one after each command; null until profiled
    uint32_t query_count, command_count;
    tm_profile_entry *entries;  // one a profiled command
    size_t entry_count, entry_capacity;
    double estimate;  // ms, for splitting
    tm_share shares[TM_BATCH_SHARES];
    size_t share_count;
    bool unknown;  // it has more shaders than shares
    double submit_ms;
    bool open, submitted, done, profiled;
} tm_batch;

typedef struct tm_access {
    const tm_buffer *buffer;
    uint64_t begin, end;
} tm_access;
// What was read and written since the last barrier.
#define TM_HAZARD_RANGES 192
typedef struct tm_hazards {
    tm_access reads[TM_HAZARD_RANGES], writes[TM_HAZARD_RANGES];
    size_t read_count, write_count;
} tm_hazards;
// Does the access need a barrier before it? Also true when the lists are full, which only costs time.
bool tm_hazards_conflict(const tm_hazards *hazards, tm_slice slice, bool reads, bool writes);
void tm_hazards_add(tm_hazards *hazards, tm_slice slice, bool reads, bool writes);

#define TM_POOL_SETS 256
typedef struct tm_descriptor_pool {
    VkDescriptorPool handle;
    uint32_t sets;  // left
} tm_descriptor_pool;

// A bump allocator over mapped buffers that live until the recording is done.
typedef struct tm_staging {
    tm_memory kind;
    tm_buffer **chunks;
    size_t count, capacity;
    uint64_t used;   // of the last chunk
    uint64_t total;  // handed out since the last reset
} tm_staging;

typedef struct tm_pending_read {
    tm_slice from;  // where the host finds the bytes after the last batch
    void *to;
    bool direct;  // from is the caller's own buffer: a later write to it must copy the bytes away first
} tm_pending_read;

typedef struct tm_deferred {
    tagmask_status (*check)(void *user, tm_error *err);  // NULL: none
    void (*release)(void *user);
    void *user;
} tm_deferred;

#define TM_TOUCHED_BUFFERS 64
struct tm_recorder {
    tm_gpu *gpu;
    tm_recorder *next;  // in the free list
    VkCommandPool command_pool;
    tm_batch *batches;
    size_t batch_count, batch_capacity;  // batches made / room; used ones come first
    size_t used_batches;
    tm_descriptor_pool *pools;
    size_t pool_count, pool_capacity, pool_at;
    tm_staging upload, readback;
    tm_pending_read *reads;
    size_t read_count, read_capacity;
    size_t direct_reads;
    tm_hazards hazards;
    const tm_buffer *touched[TM_TOUCHED_BUFFERS];  // buffers that recorded commands use
    size_t touched_count;
    const tm_pipeline *bound;
    tm_deferred *deferred;
    size_t deferred_count, deferred_capacity;
    double last_done_ms, longest_ms;
    bool last_awaited;  // last_done_ms is when the batch ended, not when it was found done
    bool broken;        // its objects could not be reset: it is not used again
    tm_error failure;   // sticky: status is TAGMASK_OK until something failed
};

// The batch that takes commands, started if need be; NULL on failure (recorder->failure is set).
tm_batch *tm_batch_get(tm_recorder *recorder);
// Submits the open batch first if a command of this cost would take it beyond its share of time.
tagmask_status tm_batch_make_room(tm_recorder *recorder, const tm_cost *cost);
// Around every command: debug label, time stamp, estimated cost.
void tm_batch_command_begin(tm_recorder *recorder, tm_batch *batch, const char *label);
void tm_batch_command_end(tm_recorder *recorder, tm_batch *batch, const char *label, const tm_cost *cost);
// Ends and submits the open batch, if any.
tagmask_status tm_batch_submit(tm_recorder *recorder);
// Looks at finished batches without waiting; tm_batch_wait waits for all. Both learn the device's speed and collect the
// profile; the latter makes the batches reusable.
tagmask_status tm_batch_poll(tm_recorder *recorder);
tagmask_status tm_batch_wait(tm_recorder *recorder);
void tm_staging_reset(tm_staging *staging);
// Records the failure and returns its status.
tagmask_status tm_recorder_fail(tm_recorder *recorder, tagmask_status status, const tm_error *reason);
void tm_recorder_free_all(tm_gpu *gpu);

// ---- pace.c
void tm_pace_init(tm_gpu *gpu, double submit_ms);
double tm_pace_estimate(tm_gpu *gpu, const tm_cost *cost);  // ms
// Adds a command to the batch's estimate.
void tm_pace_add(tm_gpu *gpu, tm_batch *batch, const tm_cost *cost);
// The batch took ms or, if it was found done rather than awaited, less.
void tm_pace_learn(tm_gpu *gpu, const tm_batch *batch, double ms, bool awaited);

// ---- profile.c
typedef struct tm_profile {
    tm_profile_row *rows;
    size_t count, capacity;
} tm_profile;
void tm_profile_batch(tm_gpu *gpu, const tm_batch *batch, const uint64_t *ticks);
void tm_profile_log(tm_gpu *gpu);

// ---- device.c
struct tm_gpu {
    tm_instance *instance;
    tm_physical physical;
    VkDevice device;
    VkQueue queue;
    struct VolkDeviceTable vk;

    pthread_mutex_t memory_lock;  // pools, views, heap_used
    VkPhysicalDeviceMemoryProperties memory;
    tm_memory_pool pools[TM_MEMORY_KINDS];
    uint64_t heap_used[VK_MAX_MEMORY_HEAPS];
    uint64_t memory_limit;  // bytes, 0: none
    uint64_t block_size;
    uint32_t device_allocations;
    tm_buffer *doomed;

    pthread_mutex_t pipeline_lock;
    pthread_cond_t pipeline_done;
    tm_program *programs;  // tm_shader_count of them
    tm_pipeline *pipelines[TM_PIPELINE_BUCKETS];
    VkPipelineCache pipeline_cache;
    struct tm_tune *tune;
    double pipeline_ms;

    pthread_mutex_t queue_lock;
    pthread_mutex_t recorder_lock;  // free_recorders, hung_recorders, paces, longest submit, profile
    tm_recorder *free_recorders, *hung_recorders;
    double longest_submit_ms;
    struct {
        double flops_per_ms, bytes_per_ms;  // as first guessed
        double general;                     // factor of all work together
        double submit_ms;                   // for how long each submit should keep the device busy
        tm_pace transfers;
    } pace;
    tm_profile profile;

    uint64_t timeout_ns;  // for one batch
    atomic_bool lost, hung, profiling, skip_barriers;
    atomic_uint_fast64_t bytes_now, bytes_peak, allocations, dispatches, submits, barriers, pipelines_created,
        readbacks, readback_bytes;
};

// One sentence for a failed Vulkan call: "`doing` on DEVICE: reason". Marks the device as lost where that is the
// reason.
tagmask_status tm_vk_fail(tm_gpu *gpu, tm_error *err, VkResult result, const char *doing);

// ---- fault.c
bool tm_fault_strikes(tm_gpu_fault kind);  // true when this is the event that has to fail
void tm_fault_read_environment(void);

#endif
