// Pipelines: made when first asked for, once for each shader and set of specialization constants.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "gpu/cache.h"
#include "gpu/internal.h"

tagmask_status tm_pipelines_init(tm_gpu *gpu, tm_error *err) {
    gpu->programs = tm_calloc(tm_shader_count, sizeof *gpu->programs);
    if (!gpu->programs) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the table of shaders");
    return tm_cache_load(gpu, err);
}

void tm_pipelines_free(tm_gpu *gpu) {
    tm_cache_store(gpu);
    for (size_t i = 0; i < TM_PIPELINE_BUCKETS; i++) {
        while (gpu->pipelines[i]) {
            tm_pipeline *next = gpu->pipelines[i]->next;
            gpu->vk.vkDestroyPipeline(gpu->device, gpu->pipelines[i]->handle, NULL);
            free(gpu->pipelines[i]->constants);
            free(gpu->pipelines[i]);
            gpu->pipelines[i] = next;
        }
    }
    for (size_t i = 0; gpu->programs && i < tm_shader_count; i++) {
        gpu->vk.vkDestroyPipelineLayout(gpu->device, gpu->programs[i].layout, NULL);
        gpu->vk.vkDestroyDescriptorSetLayout(gpu->device, gpu->programs[i].set_layout, NULL);
        gpu->vk.vkDestroyShaderModule(gpu->device, gpu->programs[i].module, NULL);
    }
    free(gpu->programs);
    if (gpu->pipeline_cache) gpu->vk.vkDestroyPipelineCache(gpu->device, gpu->pipeline_cache, NULL);
}

// ---- Programs; pipeline_lock is held

static tagmask_status check_program(tm_gpu *gpu, const tm_program *program, tm_error *err) {
    uint32_t storage = 0, texel = 0;
    for (int i = 0; i < TM_MAX_BINDINGS; i++) {
        storage += program->reflection.bindings[i].kind == TM_BINDING_STORAGE;
        texel += program->reflection.bindings[i].kind > TM_BINDING_STORAGE;
    }
    if (storage > gpu->physical.max_storage || texel > gpu->physical.max_texel) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "shader %s binds %u storage and %u texel buffers, but %s allows %u and %u",
                       program->shader->name, storage, texel, gpu->physical.info.name, gpu->physical.max_storage,
                       gpu->physical.max_texel);
    }
    if (program->reflection.push_size > gpu->physical.max_push) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "shader %s takes %u bytes of push constants, but %s allows %u",
                       program->shader->name, program->reflection.push_size, gpu->physical.info.name,
                       gpu->physical.max_push);
    }
    return TAGMASK_OK;
}

static VkResult create_layouts(tm_gpu *gpu, tm_program *program) {
    VkDescriptorSetLayoutBinding bindings[TM_MAX_BINDINGS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < TM_MAX_BINDINGS; i++) {
        tm_binding_kind kind = program->reflection.bindings[i].kind;
        if (!kind) continue;
        bindings[count++] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = kind == TM_BINDING_STORAGE ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                         : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    }
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = count, .pBindings = bindings};
    // A handle that was not made is undefined; the caller destroys what there is.
    VkResult result = gpu->vk.vkCreateDescriptorSetLayout(gpu->device, &set, NULL, &program->set_layout);
    if (result != VK_SUCCESS) {
        program->set_layout = VK_NULL_HANDLE;
        return result;
    }
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                .size = (uint32_t)tm_align_up(program->reflection.push_size, 4)};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &program->set_layout,
                                         .pushConstantRangeCount = push.size ? 1 : 0,
                                         .pPushConstantRanges = &push};
    result = gpu->vk.vkCreatePipelineLayout(gpu->device, &layout, NULL, &program->layout);
    if (result != VK_SUCCESS) {
        program->layout = VK_NULL_HANDLE;
        return result;
    }
    VkShaderModuleCreateInfo module = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                       .codeSize = program->shader->bytes,
                                       .pCode = program->shader->words};
    return gpu->vk.vkCreateShaderModule(gpu->device, &module, NULL, &program->module);
}

static int compare_shader(const void *name, const void *shader) {
    return strcmp(name, ((const tm_shader *)shader)->name);
}

static tagmask_status find_program(tm_gpu *gpu, const char *name, tm_program **out, tm_error *err) {
    const tm_shader *shader = bsearch(name, tm_shader_table, tm_shader_count, sizeof *shader, compare_shader);
    if (!shader) return tm_fail(err, TAGMASK_ERROR_INTERNAL, "there is no shader named %s", name);
    tm_program *program = &gpu->programs[shader - tm_shader_table];
    if (!program->shader) {
        tm_program made = {.shader = shader};
        TM_TRY(tm_spirv_reflect(name, shader->words, shader->bytes, &made.reflection, err));
        TM_TRY(check_program(gpu, &made, err));
        VkResult result = create_layouts(gpu, &made);
        if (result != VK_SUCCESS) {
            gpu->vk.vkDestroyPipelineLayout(gpu->device, made.layout, NULL);
            gpu->vk.vkDestroyDescriptorSetLayout(gpu->device, made.set_layout, NULL);
            return tm_vk_fail(gpu, err, result, "making a pipeline layout");
        }
        *program = made;
    }
    *out = program;
    return TAGMASK_OK;
}

// ---- Pipelines

static tagmask_status check_local_size(const tm_gpu *gpu, const tm_pipeline *pipeline, tm_error *err) {
    const tm_gpu_info *info = &gpu->physical.info;
    uint32_t size[3];
    bool fits = true;
    uint64_t product = 1;
    for (int i = 0; i < 3; i++) {
        tm_local_size local = pipeline->program->reflection.local_size[i];
        bool given = local.spec_id >= 0 && (size_t)local.spec_id < pipeline->constant_count;
        size[i] = given ? pipeline->constants[local.spec_id] : local.value;
        fits = fits && size[i] && size[i] <= info->max_group_size[i];
        product = fits ? product * size[i] : 0;
    }
    if (fits && product <= info->max_invocations) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "shader %s has workgroups of %u x %u x %u, but %s allows %u x %u x %u and %u in all", pipeline->name,
                   size[0], size[1], size[2], info->name, info->max_group_size[0], info->max_group_size[1],
                   info->max_group_size[2], info->max_invocations);
}

static tagmask_status create_pipeline(tm_gpu *gpu, tm_pipeline *pipeline, tm_error *err) {
    TM_TRY(check_local_size(gpu, pipeline, err));
    VkSpecializationMapEntry *entries = tm_calloc(pipeline->constant_count, sizeof *entries);
    if (!entries) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to make pipeline %s", pipeline->name);
    for (uint32_t i = 0; i < pipeline->constant_count; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = 4 * i, .size = 4};
    VkSpecializationInfo constants = {.mapEntryCount = (uint32_t)pipeline->constant_count,
                                      .pMapEntries = entries,
                                      .dataSize = 4 * pipeline->constant_count,
                                      .pData = pipeline->constants};
    // Long dispatches are cut into ranges of workgroups.
    VkComputePipelineCreateInfo create = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                          .flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT,
                                          .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                    .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                    .module = pipeline->program->module,
                                                    .pName = "main",
                                                    .pSpecializationInfo = &constants},
                                          .layout = pipeline->program->layout};
    VkResult result =
        tm_fault_strikes(TM_FAULT_PIPELINE)
            ? VK_ERROR_OUT_OF_DEVICE_MEMORY
            : gpu->vk.vkCreateComputePipelines(gpu->device, gpu->pipeline_cache, 1, &create, NULL, &pipeline->handle);
    free(entries);
    if (result == VK_SUCCESS) return TAGMASK_OK;
    pipeline->handle = VK_NULL_HANDLE;
    char doing[160];
    snprintf(doing, sizeof doing, "making pipeline %s", pipeline->name);
    return tm_vk_fail(gpu, err, result, doing);
}

// A new entry in state CREATING, not yet in the table.
static tagmask_status new_entry(tm_gpu *gpu, const char *shader, const uint32_t *constants, size_t count, uint64_t hash,
                                tm_pipeline **out, tm_error *err) {
    tm_program *program = NULL;
    TM_TRY(find_program(gpu, shader, &program, err));
    tm_pipeline *pipeline = tm_calloc(1, sizeof *pipeline);
    if (pipeline) pipeline->constants = tm_calloc(count, sizeof *constants);
    if (!pipeline || !pipeline->constants) {
        free(pipeline);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory to make pipeline %s", shader);
    }
    if (count) memcpy(pipeline->constants, constants, count * sizeof *constants);
    pipeline->constant_count = count;
    pipeline->program = program;
    pipeline->name = program->shader->name;
    pipeline->hash = hash;
    *out = pipeline;
    return TAGMASK_OK;
}

static tm_pipeline *find_entry(const tm_gpu *gpu, uint64_t hash, const char *shader, const uint32_t *constants,
                               size_t count) {
    tm_pipeline *pipeline = gpu->pipelines[hash % TM_PIPELINE_BUCKETS];
    for (; pipeline; pipeline = pipeline->next) {
        if (pipeline->hash == hash && pipeline->constant_count == count && strcmp(pipeline->name, shader) == 0 &&
            (!count || memcmp(pipeline->constants, constants, count * sizeof *constants) == 0))
            return pipeline;
    }
    return NULL;
}

static void remove_entry(tm_gpu *gpu, tm_pipeline *pipeline) {
    tm_pipeline **link = &gpu->pipelines[pipeline->hash % TM_PIPELINE_BUCKETS];
    while (*link != pipeline) link = &(*link)->next;
    *link = pipeline->next;
    free(pipeline->constants);
    free(pipeline);
}

tagmask_status tm_pipeline_get(tm_gpu *gpu, const char *shader, const uint32_t *constants, size_t constant_count,
                               tm_pipeline **out, tm_error *err) {
    if (constant_count > 256)
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "shader %s: %zu constants, expected at most 256", shader,
                       constant_count);
    uint64_t hash = tm_hash64(shader, strlen(shader), 0);
    hash = tm_hash64(constants, constant_count * sizeof *constants, hash);
    hash ^= hash >> 32;  // FNV's low bits alone spread small numbers badly
    tagmask_status status = TAGMASK_OK;
    tm_pipeline *pipeline;
    pthread_mutex_lock(&gpu->pipeline_lock);
    while ((pipeline = find_entry(gpu, hash, shader, constants, constant_count)) &&
           pipeline->state == TM_PIPELINE_CREATING)
        pthread_cond_wait(&gpu->pipeline_done, &gpu->pipeline_lock);
    if (pipeline) {
        *out = pipeline;
        goto done;
    }
    status = new_entry(gpu, shader, constants, constant_count, hash, &pipeline, err);
    if (status) goto done;
    tm_pipeline **bucket = &gpu->pipelines[hash % TM_PIPELINE_BUCKETS];
    pipeline->next = *bucket;
    *bucket = pipeline;
    // Compiled without the lock, so that threads compile different pipelines at once.
    pthread_mutex_unlock(&gpu->pipeline_lock);
    double start = tm_now_ms();
    status = create_pipeline(gpu, pipeline, err);
    pthread_mutex_lock(&gpu->pipeline_lock);
    gpu->pipeline_ms += tm_now_ms() - start;
    if (status) {
        remove_entry(gpu, pipeline);
    } else {
        pipeline->state = TM_PIPELINE_READY;
        atomic_fetch_add(&gpu->pipelines_created, 1);
        *out = pipeline;
    }
    pthread_cond_broadcast(&gpu->pipeline_done);
done:
    pthread_mutex_unlock(&gpu->pipeline_lock);
    return status;
}
