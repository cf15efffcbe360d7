// Everything that a proposal asks of the host or of the driver is refused once: the first allocation, the second, and
// so on until a whole proposal goes through. Each time the call says so with the right status and one sentence, nothing
// is left behind, and the same call made again gives the same bits.
//
// The host's memory is refused in malloc, calloc and realloc themselves, which the linker replaces in this program
// (--wrap); the driver's functions are replaced in the device's table. TAGMASK_TEST_STRIDE=1 walks through every place,
// which takes minutes; by default most are skipped.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/handle.h"
#include "gpu/internal.h"
#include "tiny_pack.h"

// ---- Refusing memory of the host

static atomic_uint_fast64_t events, refused_at;
static atomic_bool of_host;  // memory of the host is meant, not the driver

static bool strikes(bool host) {
    if (!atomic_load(&refused_at) || atomic_load(&of_host) != host) return false;
    return atomic_fetch_add(&events, 1) + 1 == atomic_load(&refused_at);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size) {
    return strikes(true) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return strikes(true) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    return strikes(true) ? NULL : __real_realloc(memory, size);
}

// ---- Refusing calls of the driver

static struct VolkDeviceTable driver;
static VkResult refusal;

// What the device does goes on, so waiting is done before it is refused.
#define DRIVER_CALL(name, parameters, arguments)                     \
    static VKAPI_ATTR VkResult VKAPI_CALL name parameters {          \
        return strikes(false) ? refusal : driver.vk##name arguments; \
    }
#define DRIVER_WAIT(name, parameters, arguments)            \
    static VKAPI_ATTR VkResult VKAPI_CALL name parameters { \
        VkResult result = driver.vk##name arguments;        \
        return strikes(false) ? refusal : result;           \
    }
#define MAKE(name, type, object) \
    DRIVER_CALL(name, (VkDevice d, const type *i, const VkAllocationCallbacks *a, object *o), (d, i, a, o))

MAKE(CreateBuffer, VkBufferCreateInfo, VkBuffer)
MAKE(AllocateMemory, VkMemoryAllocateInfo, VkDeviceMemory)
MAKE(CreateBufferView, VkBufferViewCreateInfo, VkBufferView)
MAKE(CreateDescriptorPool, VkDescriptorPoolCreateInfo, VkDescriptorPool)
MAKE(CreateDescriptorSetLayout, VkDescriptorSetLayoutCreateInfo, VkDescriptorSetLayout)
MAKE(CreatePipelineLayout, VkPipelineLayoutCreateInfo, VkPipelineLayout)
MAKE(CreateShaderModule, VkShaderModuleCreateInfo, VkShaderModule)
MAKE(CreateCommandPool, VkCommandPoolCreateInfo, VkCommandPool)
MAKE(CreateFence, VkFenceCreateInfo, VkFence)
DRIVER_CALL(BindBufferMemory, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize o), (d, b, m, o))
DRIVER_CALL(MapMemory, (VkDevice d, VkDeviceMemory m, VkDeviceSize o, VkDeviceSize s, VkMemoryMapFlags f, void **p),
            (d, m, o, s, f, p))
DRIVER_CALL(AllocateDescriptorSets, (VkDevice d, const VkDescriptorSetAllocateInfo *i, VkDescriptorSet *s), (d, i, s))
DRIVER_CALL(AllocateCommandBuffers, (VkDevice d, const VkCommandBufferAllocateInfo *i, VkCommandBuffer *b), (d, i, b))
DRIVER_CALL(BeginCommandBuffer, (VkCommandBuffer b, const VkCommandBufferBeginInfo *i), (b, i))
DRIVER_CALL(EndCommandBuffer, (VkCommandBuffer b), (b))
DRIVER_CALL(ResetFences, (VkDevice d, uint32_t c, const VkFence *f), (d, c, f))
DRIVER_CALL(ResetCommandPool, (VkDevice d, VkCommandPool p, VkCommandPoolResetFlags f), (d, p, f))
DRIVER_CALL(ResetDescriptorPool, (VkDevice d, VkDescriptorPool p, VkDescriptorPoolResetFlags f), (d, p, f))
DRIVER_CALL(QueueSubmit, (VkQueue q, uint32_t c, const VkSubmitInfo *s, VkFence f), (q, c, s, f))
DRIVER_WAIT(WaitForFences, (VkDevice d, uint32_t c, const VkFence *f, VkBool32 a, uint64_t t), (d, c, f, a, t))

// ---- Walks

typedef struct walk {
    const char *name;
    tagmask_status expected;
    tm_gpu_fault fault;  // of the library's own hook, when `hook` is set
    bool hook;
    bool host;        // memory of the host
    bool fresh;       // a device a step: pipelines are made once a device
    bool optional;    // there are drivers on which it does not happen
    bool lost;        // the device is gone afterwards
    size_t function;  // offset in the driver's table, when it is a call of the driver
    PFN_vkVoidFunction replacement;
    VkResult refusal;
    uint64_t stride;  // by default
} walk;

typedef struct setting {
    tagmask_device *device;
    tagmask_engine *engine;
    tagmask_session *session;
    tagmask_result *result;
} setting;

static tagmask_device *kept;
static tagmask_result *reference;
static uint64_t settled;  // allocations that stay with the device, for the next recording

static void replace(const walk *w, tagmask_device *device, bool on) {
    if (w->hook || w->host) return;
    char *table = (char *)&device->gpu->vk;
    driver = on ? device->gpu->vk : driver;
    refusal = w->refusal;
    if (on)
        memcpy(table + w->function, &w->replacement, sizeof w->replacement);
    else
        memcpy(table + w->function, (char *)&driver + w->function, sizeof w->replacement);
}

static void arm(const walk *w, uint64_t nth) {
    if (w->hook) {
        tm_gpu_inject(w->fault, nth);
        return;
    }
    atomic_store(&events, 0);
    atomic_store(&of_host, w->host);
    atomic_store(&refused_at, nth);
}

// Whether the refusal happened; none follows.
static bool disarm(const walk *w, uint64_t nth) {
    bool happened = w->hook ? tm_gpu_injected(w->fault) > 0 : atomic_load(&events) >= nth;
    arm(w, 0);
    return happened;
}

// Goes on from what there is already.
static tagmask_status go_on(setting *s, const char *preset, tm_error *err) {
    const char *tags[] = {"cat", "thing"};
    tagmask_image photo = tiny_photo();
    tagmask_params params = {.struct_size = sizeof params, .preset = preset, .working_size = 128};
    if (!s->engine) TM_TRY(tagmask_engine_create(s->device, tiny_classifier(), tiny_saliency(), &s->engine, err));
    if (!s->session) TM_TRY(tagmask_session_create(s->engine, &photo, &s->session, err));
    return tagmask_propose(s->session, tags, 2, &params, &s->result, err);
}

static uint64_t allocations(const tagmask_device *device) {
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tagmask_device_get_stats(device, &stats), TAGMASK_OK);
    return stats.allocations;
}

static void free_children(setting *s) {
    tagmask_result_free(s->result);
    tagmask_session_free(s->session);
    tagmask_engine_free(s->engine);
    *s = (setting){.device = s->device};
}

static void check_same(const tagmask_result *a, const tagmask_result *b) {
    size_t pixels = (size_t)tagmask_result_width(a) * tagmask_result_height(a);
    assert_memory_equal(tagmask_result_labels(a), tagmask_result_labels(b), pixels);
    for (size_t t = 0; t < 2; t++)
        assert_memory_equal(tagmask_result_probability(a, t), tagmask_result_probability(b, t), pixels * sizeof(float));
    assert_int_equal(tagmask_result_region_count(a), tagmask_result_region_count(b));
}

static tagmask_device *open_device(void) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    assert_ok(tagmask_device_open(NULL, &device, &err), &err);
    return device;
}

static void check_message(const walk *w, uint64_t nth, tagmask_status status, const tm_error *err) {
    size_t length = strlen(err->message);
    if (status == w->expected && err->status == status && length > 10 && !strchr(err->message, '\n')) return;
    fail_msg("%s, refusal %llu: status %d with \"%s\"", w->name, (unsigned long long)nth, (int)status, err->message);
}

// One step; false when nothing was refused any more.
static bool step(const walk *w, uint64_t nth, const char *preset) {
    setting s = {.device = w->fresh ? open_device() : kept};
    tm_error err = TAGMASK_ERROR_INIT;
    replace(w, s.device, true);
    arm(w, nth);
    tagmask_status status = go_on(&s, preset, &err);
    bool happened = disarm(w, nth);
    replace(w, s.device, false);
    if (status) check_message(w, nth, status, &err);
    if (status && !happened) fail_msg("%s: failed by itself: %s", w->name, err.message);
    if (status && w->lost) {
        assert_int_equal(go_on(&s, preset, &err), TAGMASK_ERROR_DEVICE_LOST);
    } else {
        if (status) assert_ok(go_on(&s, preset, &err), &err);
        check_same(reference, s.result);
    }
    free_children(&s);
    if (!w->fresh) assert_true(allocations(s.device) <= settled);  // less when a recording could not be kept
    if (w->fresh) tagmask_device_close(s.device);
    return happened;
}

static void run_walk(const walk *w, const char *preset) {
    const char *text = getenv("TAGMASK_TEST_STRIDE");
    uint64_t stride = text ? strtoull(text, NULL, 10) : w->stride, nth = 1, steps = 0;
    // SwiftShader makes pipelines slowly, and the host's side of the matter is the same.
    if (!text && w->fresh && tm_gpu_get_info(kept->gpu)->gpu_class == TM_GPU_CLASS_SWIFTSHADER) stride *= 6;
    // On a device that stays, pipelines and recordings are there already: one proposal as it should be, the reference.
    setting whole = {.device = kept};
    tm_error err = TAGMASK_ERROR_INIT;
    assert_ok(go_on(&whole, preset, &err), &err);
    reference = whole.result;
    whole.result = NULL;
    free_children(&whole);
    settled = allocations(kept);
    for (; step(w, nth, preset); nth += TM_MAX(stride, 1u)) steps++;
    tagmask_result_free(reference);
    print_message("%s, %s: refused %llu times, up to number %llu\n", w->name, preset, (unsigned long long)steps,
                  (unsigned long long)(steps ? nth - TM_MAX(stride, 1u) : 0));
    assert_true(steps > 0 || w->optional);
}

static void test_host_memory(void **state) {
    (void)state;
    run_walk(&(walk){.name = "host memory", .expected = TAGMASK_ERROR_MEMORY, .host = true, .stride = 29}, "fast");
    run_walk(&(walk){.name = "host memory", .expected = TAGMASK_ERROR_MEMORY, .host = true, .stride = 83}, "best");
}

static void test_host_memory_of_a_device(void **state) {
    (void)state;
    run_walk(&(walk){.name = "host memory with a new device",
                     .expected = TAGMASK_ERROR_MEMORY,
                     .host = true,
                     .fresh = true,
                     .stride = 197},
             "fast");
}

static void test_hooks(void **state) {
    (void)state;
    const walk walks[] = {
        {.name = "buffers", .expected = TAGMASK_ERROR_DEVICE_MEMORY, .fault = TM_FAULT_ALLOCATION, .stride = 5},
        {.name = "pipelines",
         .expected = TAGMASK_ERROR_DEVICE_MEMORY,
         .fault = TM_FAULT_PIPELINE,
         .fresh = true,
         .stride = 11},
        {.name = "submits",
         .expected = TAGMASK_ERROR_DEVICE_LOST,
         .fault = TM_FAULT_SUBMIT,
         .fresh = true,
         .lost = true,
         .stride = 4},
        {.name = "waits",
         .expected = TAGMASK_ERROR_DEVICE_LOST,
         .fault = TM_FAULT_WAIT,
         .fresh = true,
         .lost = true,
         .stride = 4},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(walks); i++) {
        walk w = walks[i];
        w.hook = true;
        run_walk(&w, "fast");
    }
}

#define CALL(call) \
    .name = "vk" #call, .function = offsetof(struct VolkDeviceTable, vk##call), .replacement = (PFN_vkVoidFunction)call
#define NO_MEMORY .expected = TAGMASK_ERROR_DEVICE_MEMORY, .refusal = VK_ERROR_OUT_OF_DEVICE_MEMORY
#define LOST .expected = TAGMASK_ERROR_DEVICE_LOST, .refusal = VK_ERROR_DEVICE_LOST, .lost = true, .fresh = true

static void test_driver(void **state) {
    (void)state;
    const walk walks[] = {
        {CALL(CreateBuffer), NO_MEMORY, .stride = 13},
        {CALL(AllocateMemory), NO_MEMORY, .stride = 5},
        {CALL(BindBufferMemory), NO_MEMORY, .stride = 23},
        {CALL(MapMemory), NO_MEMORY, .stride = 5},
        {CALL(CreateBufferView), NO_MEMORY, .optional = true, .stride = 23},
        {CALL(AllocateDescriptorSets), NO_MEMORY, .stride = 61},
        {CALL(BeginCommandBuffer), NO_MEMORY, .stride = 4},
        {CALL(EndCommandBuffer), NO_MEMORY, .stride = 4},
        {CALL(ResetFences), NO_MEMORY, .stride = 4},
        {CALL(ResetCommandPool), NO_MEMORY, .stride = 4},
        {CALL(ResetDescriptorPool), NO_MEMORY, .stride = 4},
        {CALL(CreateDescriptorSetLayout), NO_MEMORY, .fresh = true, .stride = 29},
        {CALL(CreatePipelineLayout), NO_MEMORY, .fresh = true, .stride = 29},
        {CALL(CreateShaderModule), NO_MEMORY, .fresh = true, .stride = 29},
        {CALL(CreateCommandPool), NO_MEMORY, .fresh = true, .stride = 1},
        {CALL(AllocateCommandBuffers), NO_MEMORY, .fresh = true, .stride = 1},
        {CALL(CreateFence), NO_MEMORY, .fresh = true, .stride = 1},
        {CALL(CreateDescriptorPool), NO_MEMORY, .fresh = true, .stride = 1},
        {CALL(QueueSubmit), NO_MEMORY, .stride = 4},
        {CALL(QueueSubmit), LOST, .stride = 5},
        {CALL(WaitForFences), LOST, .stride = 5},
        // A wait that could not be made: nobody knows when the device is done, so it is as good as lost.
        {CALL(WaitForFences), .expected = TAGMASK_ERROR_MEMORY, .refusal = VK_ERROR_OUT_OF_HOST_MEMORY, .lost = true,
         .fresh = true, .stride = 5},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(walks); i++) run_walk(&walks[i], "fast");
}

static int forget(void **state) {
    (void)state;
    atomic_store(&refused_at, 0);
    for (int kind = 0; kind < TM_FAULT_KINDS; kind++) tm_gpu_inject((tm_gpu_fault)kind, 0);
    return 0;
}

static int open_kept(void **state) {
    (void)state;
    kept = open_device();
    return 0;
}

static int close_kept(void **state) {
    (void)state;
    tagmask_device_close(kept);
    return 0;
}

int main(void) {
    setenv("TAGMASK_DISABLE", "unified", 1);  // transfers take the way of discrete GPUs
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_host_memory, forget),
        cmocka_unit_test_teardown(test_host_memory_of_a_device, forget),
        cmocka_unit_test_teardown(test_hooks, forget),
        cmocka_unit_test_teardown(test_driver, forget),
    };
    return cmocka_run_group_tests(tests, open_kept, close_kept);
}
