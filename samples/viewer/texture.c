// Memory, buffers, and textures with their smaller copies, so that a photo of many pixels is smooth in a small window.
#include <stdio.h>
#include <string.h>

#include "gpu.h"

bool gpu_allocate(gpu *g, const VkMemoryRequirements *needs, VkMemoryPropertyFlags flags, VkDeviceMemory *memory) {
    for (uint32_t i = 0; i < g->memory.memoryTypeCount; i++) {
        if (!(needs->memoryTypeBits & 1u << i)) continue;
        if ((g->memory.memoryTypes[i].propertyFlags & flags) != flags) continue;
        VkMemoryAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = needs->size, .memoryTypeIndex = i};
        return gpu_check(g, vkAllocateMemory(g->device, &info, NULL, memory), "vkAllocateMemory");
    }
    snprintf(g->why, sizeof g->why, "the device has no memory of the kind that a picture needs");
    return false;
}

// ---- Buffers that the host sees

bool gpu_buffer_make(gpu *g, VkDeviceSize size, VkBufferUsageFlags usage, gpu_buffer *buffer) {
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage};
    VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkMemoryRequirements needs;
    *buffer = (gpu_buffer){0};
    if (!gpu_check(g, vkCreateBuffer(g->device, &info, NULL, &buffer->buffer), "vkCreateBuffer")) return false;
    vkGetBufferMemoryRequirements(g->device, buffer->buffer, &needs);
    bool ok = gpu_allocate(g, &needs, host, &buffer->memory);
    if (ok) {
        VkResult result = vkBindBufferMemory(g->device, buffer->buffer, buffer->memory, 0);
        if (!result) result = vkMapMemory(g->device, buffer->memory, 0, VK_WHOLE_SIZE, 0, &buffer->mapped);
        ok = gpu_check(g, result, "vkMapMemory");
    }
    if (!ok) gpu_buffer_free(g, buffer);
    return ok;
}

void gpu_buffer_free(gpu *g, gpu_buffer *buffer) {
    vkDestroyBuffer(g->device, buffer->buffer, NULL);
    vkFreeMemory(g->device, buffer->memory, NULL);
    *buffer = (gpu_buffer){0};
}

// ---- Textures

void gpu_texture_free(gpu *g, gpu_texture *texture) {
    if (!texture->image) return;
    vkDeviceWaitIdle(g->device);
    if (texture->set) vkFreeDescriptorSets(g->device, g->descriptors, 1, &texture->set);
    vkDestroyImageView(g->device, texture->view, NULL);
    vkDestroyImage(g->device, texture->image, NULL);
    vkFreeMemory(g->device, texture->memory, NULL);
    *texture = (gpu_texture){0};
}

static bool make_texture(gpu *g, gpu_texture *texture, uint32_t width, uint32_t height) {
    *texture = (gpu_texture){.width = width, .height = height, .levels = 1};
    while ((width | height) >> texture->levels) texture->levels++;
    VkImageCreateInfo image = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
        .imageType = VK_IMAGE_TYPE_2D,
        .format = VK_FORMAT_R8G8B8A8_UNORM,
        .extent = {width, height, 1},
        .mipLevels = texture->levels,
        .arrayLayers = 1,
        .samples = VK_SAMPLE_COUNT_1_BIT,
        .usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT};
    VkMemoryRequirements needs;
    if (!gpu_check(g, vkCreateImage(g->device, &image, NULL, &texture->image), "vkCreateImage")) return false;
    vkGetImageMemoryRequirements(g->device, texture->image, &needs);
    if (!gpu_allocate(g, &needs, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, &texture->memory)) return false;
    VkResult result = vkBindImageMemory(g->device, texture->image, texture->memory, 0);
    VkImageViewCreateInfo view = {.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
                                  .image = texture->image,
                                  .viewType = VK_IMAGE_VIEW_TYPE_2D,
                                  .format = image.format,
                                  .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, texture->levels, 0, 1}};
    if (!result) result = vkCreateImageView(g->device, &view, NULL, &texture->view);
    return gpu_check(g, result, "vkCreateImageView") && gpu_quad_bind(g, texture);
}

typedef struct image_use {
    VkImageLayout layout;
    VkPipelineStageFlags stage;
    VkAccessFlags access;
} image_use;

static const image_use fresh = {VK_IMAGE_LAYOUT_UNDEFINED, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT, 0};
static const image_use written = {VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                  VK_ACCESS_TRANSFER_WRITE_BIT};
static const image_use read = {VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
                               VK_ACCESS_TRANSFER_READ_BIT};
static const image_use sampled = {VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT,
                                  VK_ACCESS_SHADER_READ_BIT};

static void change_use(VkCommandBuffer commands, const gpu_texture *texture, uint32_t first, uint32_t count,
                       const image_use *from, const image_use *to) {
    VkImageMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
                                    .srcAccessMask = from->access,
                                    .dstAccessMask = to->access,
                                    .oldLayout = from->layout,
                                    .newLayout = to->layout,
                                    .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                    .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                    .image = texture->image,
                                    .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, first, count, 0, 1}};
    vkCmdPipelineBarrier(commands, from->stage, to->stage, 0, 0, NULL, 0, NULL, 1, &barrier);
}

static int32_t level_side(uint32_t side, uint32_t level) {
    return (int32_t)(side >> level ? side >> level : 1);
}

static void record_upload(VkCommandBuffer commands, const gpu_texture *texture, VkBuffer pixels) {
    VkBufferImageCopy copy = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                              .imageExtent = {texture->width, texture->height, 1}};
    change_use(commands, texture, 0, texture->levels, &fresh, &written);
    vkCmdCopyBufferToImage(commands, pixels, texture->image, written.layout, 1, &copy);
    for (uint32_t level = 1; level < texture->levels; level++) {
        VkImageBlit blit = {
            .srcSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, level - 1, 0, 1},
            .srcOffsets = {{0}, {level_side(texture->width, level - 1), level_side(texture->height, level - 1), 1}},
            .dstSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, level, 0, 1},
            .dstOffsets = {{0}, {level_side(texture->width, level), level_side(texture->height, level), 1}}};
        change_use(commands, texture, level - 1, 1, &written, &read);
        vkCmdBlitImage(commands, texture->image, read.layout, texture->image, written.layout, 1, &blit,
                       VK_FILTER_LINEAR);
        change_use(commands, texture, level - 1, 1, &read, &sampled);
    }
    change_use(commands, texture, texture->levels - 1, 1, &written, &sampled);
}

bool gpu_texture_set(gpu *g, gpu_texture *texture, const picture *from) {
    gpu_buffer pixels;
    VkDeviceSize size = (VkDeviceSize)4 * from->width * from->height;
    if (texture->width != from->width || texture->height != from->height) {
        gpu_texture_free(g, texture);
        if (!make_texture(g, texture, from->width, from->height)) {
            gpu_texture_free(g, texture);
            return false;
        }
    }
    if (!gpu_buffer_make(g, size, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, &pixels)) return false;
    memcpy(pixels.mapped, from->rgba, size);
    VkCommandBuffer commands = gpu_begin_once(g);
    if (commands) record_upload(commands, texture, pixels.buffer);
    bool ok = commands && gpu_end_once(g, commands);
    gpu_buffer_free(g, &pixels);
    return ok;
}
