// Pictures are drawn with a pipeline of our own, since Dear ImGui's Vulkan back end before 1.87 knows no texture but
// its font.
#include "gpu.h"

static const uint32_t vertex_code[] =
#include "quad.vert.inc"
    ;
static const uint32_t fragment_code[] =
#include "quad.frag.inc"
    ;

static VkShaderModule make_shader(gpu *g, const uint32_t *code, size_t size) {
    VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = size, .pCode = code};
    VkShaderModule shader = VK_NULL_HANDLE;
    return gpu_check(g, vkCreateShaderModule(g->device, &info, NULL, &shader), "vkCreateShaderModule") ? shader
                                                                                                       : VK_NULL_HANDLE;
}

static bool make_layouts(gpu *g) {
    VkDescriptorSetLayoutBinding binding = {.descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
                                            .descriptorCount = 1,
                                            .stageFlags = VK_SHADER_STAGE_FRAGMENT_BIT};
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 1, .pBindings = &binding};
    VkPushConstantRange push = {VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT, 0, sizeof(gpu_quad)};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &g->quad_set,
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &push};
    VkResult result = vkCreateDescriptorSetLayout(g->device, &set, NULL, &g->quad_set);
    if (!result) result = vkCreatePipelineLayout(g->device, &layout, NULL, &g->quad_layout);
    return gpu_check(g, result, "vkCreatePipelineLayout");
}

static bool make_pipeline(gpu *g, VkShaderModule vertex, VkShaderModule fragment) {
    VkPipelineShaderStageCreateInfo stages[] = {{.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                 .stage = VK_SHADER_STAGE_VERTEX_BIT,
                                                 .module = vertex,
                                                 .pName = "main"},
                                                {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                 .stage = VK_SHADER_STAGE_FRAGMENT_BIT,
                                                 .module = fragment,
                                                 .pName = "main"}};
    VkPipelineVertexInputStateCreateInfo no_vertices = {.sType =
                                                            VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO};
    VkPipelineInputAssemblyStateCreateInfo strip = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
        .topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_STRIP};
    VkPipelineViewportStateCreateInfo viewport = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO, .viewportCount = 1, .scissorCount = 1};
    VkPipelineRasterizationStateCreateInfo raster = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
        .polygonMode = VK_POLYGON_MODE_FILL,
        .cullMode = VK_CULL_MODE_NONE,
        .lineWidth = 1};
    VkPipelineMultisampleStateCreateInfo samples = {.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
                                                    .rasterizationSamples = VK_SAMPLE_COUNT_1_BIT};
    VkPipelineColorBlendAttachmentState over = {.blendEnable = VK_TRUE,
                                                .srcColorBlendFactor = VK_BLEND_FACTOR_ONE,
                                                .dstColorBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
                                                .srcAlphaBlendFactor = VK_BLEND_FACTOR_ONE,
                                                .dstAlphaBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
                                                .colorWriteMask = 0xf};
    VkPipelineColorBlendStateCreateInfo blend = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO, .attachmentCount = 1, .pAttachments = &over};
    VkDynamicState states[] = {VK_DYNAMIC_STATE_VIEWPORT, VK_DYNAMIC_STATE_SCISSOR};
    VkPipelineDynamicStateCreateInfo dynamic = {.sType = VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO,
                                                .dynamicStateCount = 2,
                                                .pDynamicStates = states};
    VkGraphicsPipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
                                         .stageCount = 2,
                                         .pStages = stages,
                                         .pVertexInputState = &no_vertices,
                                         .pInputAssemblyState = &strip,
                                         .pViewportState = &viewport,
                                         .pRasterizationState = &raster,
                                         .pMultisampleState = &samples,
                                         .pColorBlendState = &blend,
                                         .pDynamicState = &dynamic,
                                         .layout = g->quad_layout,
                                         .renderPass = g->pass};
    VkResult result = vkCreateGraphicsPipelines(g->device, VK_NULL_HANDLE, 1, &info, NULL, &g->quad_pipeline);
    return gpu_check(g, result, "vkCreateGraphicsPipelines");
}

bool gpu_quads_open(gpu *g) {
    VkShaderModule vertex = make_shader(g, vertex_code, sizeof vertex_code);
    VkShaderModule fragment = make_shader(g, fragment_code, sizeof fragment_code);
    bool ok = vertex && fragment && make_layouts(g) && make_pipeline(g, vertex, fragment);
    vkDestroyShaderModule(g->device, vertex, NULL);
    vkDestroyShaderModule(g->device, fragment, NULL);
    return ok;
}

void gpu_quads_close(gpu *g) {
    vkDestroyPipeline(g->device, g->quad_pipeline, NULL);
    vkDestroyPipelineLayout(g->device, g->quad_layout, NULL);
    vkDestroyDescriptorSetLayout(g->device, g->quad_set, NULL);
}

bool gpu_quad_bind(gpu *g, gpu_texture *texture) {
    VkDescriptorSetAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = g->descriptors,
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &g->quad_set};
    VkResult result = vkAllocateDescriptorSets(g->device, &allocate, &texture->set);
    if (!gpu_check(g, result, "vkAllocateDescriptorSets")) return false;
    VkDescriptorImageInfo image = {g->sampler, texture->view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = texture->set,
                                  .descriptorCount = 1,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
                                  .pImageInfo = &image};
    vkUpdateDescriptorSets(g->device, 1, &write, 0, NULL);
    return true;
}

void gpu_quad_draw(gpu *g, VkCommandBuffer commands, const gpu_texture *texture, const gpu_quad *quad) {
    VkShaderStageFlags stages = VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT;
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, g->quad_pipeline);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, g->quad_layout, 0, 1, &texture->set, 0, NULL);
    vkCmdPushConstants(commands, g->quad_layout, stages, 0, sizeof *quad, quad);
    vkCmdDraw(commands, 4, 1, 0, 0);
}
