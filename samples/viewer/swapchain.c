// The swapchain, frames, and copies of what the window shows.
#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <stdio.h>
#include <stdlib.h>

#include "gpu.h"

enum { MAX_FORMATS = 128 };

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high) {
    return value < low ? low : value > high ? high : value;
}

// Dear ImGui's colours are meant for a target that does not convert them.
static bool choose_format(gpu *g) {
    VkSurfaceFormatKHR formats[MAX_FORMATS];
    uint32_t count = MAX_FORMATS;
    VkResult result = vkGetPhysicalDeviceSurfaceFormatsKHR(g->physical, g->surface, &count, formats);
    if (result < 0 && !gpu_check(g, result, "vkGetPhysicalDeviceSurfaceFormatsKHR")) return false;
    for (uint32_t i = 0; i < count; i++) {
        VkFormat format = formats[i].format;
        if (format != VK_FORMAT_B8G8R8A8_UNORM && format != VK_FORMAT_R8G8B8A8_UNORM) continue;
        g->format = formats[i];
        return true;
    }
    snprintf(g->why, sizeof g->why, "the display has no 8-bit RGB format: set it to 24 or 32 bits a pixel");
    return false;
}

static bool make_pass(gpu *g) {
    VkAttachmentDescription colour = {.format = g->format.format,
                                      .samples = VK_SAMPLE_COUNT_1_BIT,
                                      .loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
                                      .storeOp = VK_ATTACHMENT_STORE_OP_STORE,
                                      .stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
                                      .stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
                                      .initialLayout = VK_IMAGE_LAYOUT_UNDEFINED,
                                      .finalLayout = VK_IMAGE_LAYOUT_PRESENT_SRC_KHR};
    VkAttachmentReference reference = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
    VkSubpassDescription subpass = {.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
                                    .colorAttachmentCount = 1,
                                    .pColorAttachments = &reference};
    // The image is acquired at the stage that the submission waits at; afterwards a copy may read it.
    VkSubpassDependency dependencies[] = {{.srcSubpass = VK_SUBPASS_EXTERNAL,
                                           .dstSubpass = 0,
                                           .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
                                           .dstStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
                                           .dstAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT},
                                          {.srcSubpass = 0,
                                           .dstSubpass = VK_SUBPASS_EXTERNAL,
                                           .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
                                           .dstStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT,
                                           .srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
                                           .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT}};
    VkRenderPassCreateInfo info = {.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
                                   .attachmentCount = 1,
                                   .pAttachments = &colour,
                                   .subpassCount = 1,
                                   .pSubpasses = &subpass,
                                   .dependencyCount = 2,
                                   .pDependencies = dependencies};
    return gpu_check(g, vkCreateRenderPass(g->device, &info, NULL, &g->pass), "vkCreateRenderPass");
}

static void drop_targets(gpu *g) {
    for (uint32_t i = 0; i < g->target_count; i++) {
        gpu_target *target = &g->targets[i];
        vkDestroyFramebuffer(g->device, target->framebuffer, NULL);
        vkDestroyImageView(g->device, target->view, NULL);
        vkDestroySemaphore(g->device, target->drawn, NULL);
        *target = (gpu_target){0};
    }
    g->target_count = 0;
}

static bool make_target(gpu *g, gpu_target *target) {
    VkImageViewCreateInfo view = {.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
                                  .image = target->image,
                                  .viewType = VK_IMAGE_VIEW_TYPE_2D,
                                  .format = g->format.format,
                                  .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    VkResult result = vkCreateImageView(g->device, &view, NULL, &target->view);
    VkFramebufferCreateInfo framebuffer = {.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
                                           .renderPass = g->pass,
                                           .attachmentCount = 1,
                                           .pAttachments = &target->view,
                                           .width = g->extent.width,
                                           .height = g->extent.height,
                                           .layers = 1};
    if (!result) result = vkCreateFramebuffer(g->device, &framebuffer, NULL, &target->framebuffer);
    if (!result) result = vkCreateSemaphore(g->device, &semaphore, NULL, &target->drawn);
    return gpu_check(g, result, "preparing the window's images");
}

static VkCompositeAlphaFlagBitsKHR alpha_mode(VkCompositeAlphaFlagsKHR supported) {
    if (supported & VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR) return VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR;
    return (VkCompositeAlphaFlagBitsKHR)(supported & (~supported + 1));  // the lowest bit
}

// Makes the swapchain again. *minimised: there is nothing to draw on.
static bool renew(gpu *g, bool *minimised) {
    VkSurfaceCapabilitiesKHR can;
    VkResult result = vkGetPhysicalDeviceSurfaceCapabilitiesKHR(g->physical, g->surface, &can);
    if (!gpu_check(g, result, "vkGetPhysicalDeviceSurfaceCapabilitiesKHR")) return false;
    VkExtent2D extent = can.currentExtent;
    if (extent.width == UINT32_MAX) {  // the swapchain decides
        int width = 0, height = 0;
        glfwGetFramebufferSize(g->window, &width, &height);
        extent.width = width ? clamp((uint32_t)width, can.minImageExtent.width, can.maxImageExtent.width) : 0;
        extent.height = height ? clamp((uint32_t)height, can.minImageExtent.height, can.maxImageExtent.height) : 0;
    }
    *minimised = !extent.width || !extent.height;
    if (*minimised) return true;
    vkDeviceWaitIdle(g->device);
    drop_targets(g);
    g->extent = extent;
    g->readable = can.supportedUsageFlags & VK_IMAGE_USAGE_TRANSFER_SRC_BIT;
    g->min_images = clamp(can.minImageCount + 1, 2, can.maxImageCount ? can.maxImageCount : GPU_IMAGES);
    VkSwapchainKHR old = g->swapchain;
    VkSwapchainCreateInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR,
        .surface = g->surface,
        .minImageCount = g->min_images,
        .imageFormat = g->format.format,
        .imageColorSpace = g->format.colorSpace,
        .imageExtent = extent,
        .imageArrayLayers = 1,
        .imageUsage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | (g->readable ? VK_IMAGE_USAGE_TRANSFER_SRC_BIT : 0u),
        .preTransform = can.currentTransform,
        .compositeAlpha = alpha_mode(can.supportedCompositeAlpha),
        .presentMode = VK_PRESENT_MODE_FIFO_KHR,
        .clipped = VK_TRUE,
        .oldSwapchain = old};
    g->swapchain = VK_NULL_HANDLE;
    result = vkCreateSwapchainKHR(g->device, &info, NULL, &g->swapchain);
    vkDestroySwapchainKHR(g->device, old, NULL);
    if (!gpu_check(g, result, "vkCreateSwapchainKHR")) return false;
    VkImage images[GPU_IMAGES];
    uint32_t count = GPU_IMAGES;
    result = vkGetSwapchainImagesKHR(g->device, g->swapchain, &count, images);
    if (!gpu_check(g, result, "vkGetSwapchainImagesKHR")) return false;
    g->target_count = count;
    for (uint32_t i = 0; i < count; i++) {
        g->targets[i].image = images[i];
        if (!make_target(g, &g->targets[i])) return false;
    }
    g->stale = false;
    return true;
}

bool gpu_swapchain_open(gpu *g) {
    bool minimised;
    return choose_format(g) && make_pass(g) && renew(g, &minimised);
}

void gpu_swapchain_close(gpu *g) {
    drop_targets(g);
    vkDestroySwapchainKHR(g->device, g->swapchain, NULL);
    vkDestroyRenderPass(g->device, g->pass, NULL);
}

// ---- Frames

// Between what reads or shows the image before and after.
static void move_image(VkCommandBuffer commands, VkImage image, bool to_copy) {
    VkImageLayout shown = VK_IMAGE_LAYOUT_PRESENT_SRC_KHR, copied = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
    VkImageMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
                                    .srcAccessMask = 0,
                                    .dstAccessMask = to_copy ? VK_ACCESS_TRANSFER_READ_BIT : 0u,
                                    .oldLayout = to_copy ? shown : copied,
                                    .newLayout = to_copy ? copied : shown,
                                    .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                    .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                    .image = image,
                                    .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
    VkPipelineStageFlags copy = VK_PIPELINE_STAGE_TRANSFER_BIT, end = VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT;
    vkCmdPipelineBarrier(commands, copy, to_copy ? copy : end, 0, 0, NULL, 0, NULL, 1, &barrier);
}

static void record_copy(gpu *g, VkCommandBuffer commands, const gpu_target *target, const gpu_buffer *pixels) {
    VkBufferImageCopy region = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                                .imageExtent = {g->extent.width, g->extent.height, 1}};
    VkBufferMemoryBarrier to_host = {.sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT,
                                     .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                     .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                     .buffer = pixels->buffer,
                                     .size = VK_WHOLE_SIZE};
    move_image(commands, target->image, true);
    vkCmdCopyImageToBuffer(commands, target->image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, pixels->buffer, 1, &region);
    move_image(commands, target->image, false);
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 0, NULL, 1, &to_host,
                         0, NULL);
}

static bool record(gpu *g, gpu_frame *frame, const gpu_target *target, void (*draw)(VkCommandBuffer),
                   const gpu_buffer *pixels) {
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkClearValue clear = {.color = {.float32 = {0.07f, 0.075f, 0.085f, 1}}};
    VkRenderPassBeginInfo pass = {.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
                                  .renderPass = g->pass,
                                  .framebuffer = target->framebuffer,
                                  .renderArea = {.extent = g->extent},
                                  .clearValueCount = 1,
                                  .pClearValues = &clear};
    if (!gpu_check(g, vkBeginCommandBuffer(frame->commands, &begin), "vkBeginCommandBuffer")) return false;
    vkCmdBeginRenderPass(frame->commands, &pass, VK_SUBPASS_CONTENTS_INLINE);
    draw(frame->commands);
    vkCmdEndRenderPass(frame->commands);
    if (pixels->buffer) record_copy(g, frame->commands, target, pixels);
    return gpu_check(g, vkEndCommandBuffer(frame->commands), "vkEndCommandBuffer");
}

static bool submit(gpu *g, gpu_frame *frame, const gpu_target *target) {
    VkPipelineStageFlags stage = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .waitSemaphoreCount = 1,
                         .pWaitSemaphores = &frame->acquired,
                         .pWaitDstStageMask = &stage,
                         .commandBufferCount = 1,
                         .pCommandBuffers = &frame->commands,
                         .signalSemaphoreCount = 1,
                         .pSignalSemaphores = &target->drawn};
    VkResult result = vkResetFences(g->device, 1, &frame->done);
    if (!result) result = vkQueueSubmit(g->queue, 1, &info, frame->done);
    return gpu_check(g, result, "vkQueueSubmit");
}

static bool present(gpu *g, const gpu_target *target, uint32_t index) {
    VkPresentInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PRESENT_INFO_KHR,
                             .waitSemaphoreCount = 1,
                             .pWaitSemaphores = &target->drawn,
                             .swapchainCount = 1,
                             .pSwapchains = &g->swapchain,
                             .pImageIndices = &index};
    VkResult result = vkQueuePresentKHR(g->queue, &info);
    if (result == VK_SUBOPTIMAL_KHR || result == VK_ERROR_OUT_OF_DATE_KHR) {
        g->stale = true;
        return true;
    }
    return gpu_check(g, result, "vkQueuePresentKHR");
}

static bool read_pixels(gpu *g, const gpu_frame *frame, const gpu_buffer *pixels, picture *capture) {
    size_t count = (size_t)g->extent.width * g->extent.height;
    bool swapped = g->format.format == VK_FORMAT_B8G8R8A8_UNORM;
    const uint8_t *from = pixels->mapped;
    VkResult result = vkWaitForFences(g->device, 1, &frame->done, VK_TRUE, UINT64_MAX);
    if (!gpu_check(g, result, "vkWaitForFences")) return false;
    *capture = (picture){.width = g->extent.width, .height = g->extent.height, .rgba = malloc(4 * count)};
    if (!capture->rgba) return gpu_check(g, VK_ERROR_OUT_OF_HOST_MEMORY, "copying the window");
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < 3; c++) capture->rgba[4 * i + c] = from[4 * i + (swapped ? 2 - c : c)];
        capture->rgba[4 * i + 3] = 255;
    }
    return true;
}

static bool make_capture_buffer(gpu *g, gpu_buffer *pixels) {
    if (!g->readable) {
        snprintf(g->why, sizeof g->why, "this driver does not let programs read what a window shows");
        return false;
    }
    VkDeviceSize size = (VkDeviceSize)4 * g->extent.width * g->extent.height;
    return gpu_buffer_make(g, size, VK_BUFFER_USAGE_TRANSFER_DST_BIT, pixels);
}

bool gpu_draw(gpu *g, void (*draw)(VkCommandBuffer commands), picture *capture, bool *drawn) {
    gpu_frame *frame = &g->frames[g->frame];
    gpu_buffer pixels = {0};
    uint32_t index = 0;
    bool minimised = false;
    *drawn = false;
    if (g->stale && (!renew(g, &minimised) || minimised)) return minimised;
    VkResult result = vkWaitForFences(g->device, 1, &frame->done, VK_TRUE, UINT64_MAX);
    if (!gpu_check(g, result, "vkWaitForFences")) return false;
    result = vkAcquireNextImageKHR(g->device, g->swapchain, UINT64_MAX, frame->acquired, VK_NULL_HANDLE, &index);
    if (result == VK_ERROR_OUT_OF_DATE_KHR) {
        g->stale = true;
        return true;
    }
    if (result == VK_SUBOPTIMAL_KHR) {
        g->stale = true;  // drawn all the same, since the semaphore waits for it
        result = VK_SUCCESS;
    }
    if (!gpu_check(g, result, "vkAcquireNextImageKHR")) return false;
    bool ok = !capture || make_capture_buffer(g, &pixels);
    ok = ok && record(g, frame, &g->targets[index], draw, &pixels) && submit(g, frame, &g->targets[index]);
    ok = ok && (!capture || read_pixels(g, frame, &pixels, capture));
    ok = ok && present(g, &g->targets[index], index);
    gpu_buffer_free(g, &pixels);
    g->frame = (g->frame + 1) % GPU_FRAMES;
    *drawn = ok;
    return ok;
}
