// The window's Vulkan: device, swapchain, textures. tagmask has a device of its own on another thread.
#ifndef VIEWER_GPU_H
#define VIEWER_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "picture.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct GLFWwindow GLFWwindow;

enum { GPU_FRAMES = 2, GPU_IMAGES = 16, GPU_WHY = 512 };

// A whole frame in flight.
typedef struct gpu_frame {
    VkCommandBuffer commands;
    VkSemaphore acquired;
    VkFence done;
} gpu_frame;

// What belongs to one image of the swapchain.
typedef struct gpu_target {
    VkImage image;
    VkImageView view;
    VkFramebuffer framebuffer;
    VkSemaphore drawn;
} gpu_target;

typedef struct gpu {
    GLFWwindow *window;
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    uint32_t validation_errors;
    VkSurfaceKHR surface;
    VkPhysicalDevice physical;
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t max_side;  // of a texture
    uint32_t family;
    VkDevice device;
    VkQueue queue;
    VkCommandPool pool;
    VkDescriptorPool descriptors;
    VkSampler sampler;
    VkDescriptorSetLayout quad_set;
    VkPipelineLayout quad_layout;
    VkPipeline quad_pipeline;
    // The swapchain, made again when the window's size changes.
    VkSurfaceFormatKHR format;
    VkRenderPass pass;
    VkSwapchainKHR swapchain;
    VkExtent2D extent;
    bool stale, readable;  // readable: the window's pixels can be copied
    uint32_t min_images, target_count;
    gpu_target targets[GPU_IMAGES];
    gpu_frame frames[GPU_FRAMES];
    uint32_t frame;
    char why[GPU_WHY];  // a sentence about what failed last
} gpu;

typedef struct gpu_texture {
    uint32_t width, height, levels;
    VkImage image;
    VkDeviceMemory memory;
    VkImageView view;
    VkDescriptorSet set;
} gpu_texture;

// As the shaders' push constants.
typedef struct gpu_quad {
    float corners[4];  // left, top, right, bottom in clip coordinates, -1..1
    float source[4];   // the same of the picture, 0..1
    float tint[4];     // multiplied with the picture, red, green, blue, alpha
} gpu_quad;

typedef struct gpu_buffer {
    VkBuffer buffer;
    VkDeviceMemory memory;
    void *mapped;
} gpu_buffer;

// Every function that returns bool leaves a sentence in g->why when it returns false.
// GPU_OPEN_NO_DRIVER: no loader, driver or device that can show something in this window.
typedef enum gpu_opened { GPU_OPEN_OK, GPU_OPEN_NO_DRIVER, GPU_OPEN_FAILED } gpu_opened;
gpu_opened gpu_open(gpu *g, GLFWwindow *window);
void gpu_close(gpu *g);
bool gpu_check(gpu *g, VkResult result, const char *what);

// draw records inside the render pass. *drawn: false when there was nothing to draw on (minimised, or the window
// changed its size meanwhile: try again). capture: NULL, or becomes what the window shows.
bool gpu_draw(gpu *g, void (*draw)(VkCommandBuffer commands), picture *capture, bool *drawn);

// Records and waits until it is done.
VkCommandBuffer gpu_begin_once(gpu *g);
bool gpu_end_once(gpu *g, VkCommandBuffer commands);

// The picture replaces what the texture showed.
bool gpu_texture_set(gpu *g, gpu_texture *texture, const picture *from);
void gpu_texture_free(gpu *g, gpu_texture *texture);
// Records a picture in a rectangle; viewport and scissor are the caller's.
void gpu_quad_draw(gpu *g, VkCommandBuffer commands, const gpu_texture *texture, const gpu_quad *quad);
bool gpu_buffer_make(gpu *g, VkDeviceSize size, VkBufferUsageFlags usage, gpu_buffer *buffer);
void gpu_buffer_free(gpu *g, gpu_buffer *buffer);

// For the parts of the device.
bool gpu_swapchain_open(gpu *g);
void gpu_swapchain_close(gpu *g);
bool gpu_quads_open(gpu *g);
void gpu_quads_close(gpu *g);
bool gpu_quad_bind(gpu *g, gpu_texture *texture);
bool gpu_allocate(gpu *g, const VkMemoryRequirements *needs, VkMemoryPropertyFlags flags, VkDeviceMemory *memory);

#ifdef __cplusplus
}
#endif

#endif
