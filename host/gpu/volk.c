// The one place that defines volk, the loader that finds Vulkan at run time: the library loads where no driver is.
// Hidden visibility (the build's default) keeps volk's pointers, which are named like Vulkan's functions, out of the
// way of programs that link libvulkan themselves.
#define VOLK_IMPLEMENTATION
#include <volk.h>
