// Wide loads and a grid of any length, for every shader of this folder.
// A file NAME.glsl is built twice: NAME.comp loads its vec4 inputs from storage buffers, NAME_texel.comp (TEXEL defined)
// fetches them as texels, which Vulkan devices that run on the CPU do several times faster.
layout(local_size_x_id = 0) in;

#ifdef TEXEL
#define VEC4_INPUT(number, block, name) layout(binding = number) uniform samplerBuffer name
#define UVEC4_INPUT(number, block, name) layout(binding = number) uniform usamplerBuffer name
#define FETCH(name, index) texelFetch(name, int(index))
#else
#define VEC4_INPUT(number, block, name) \
    layout(std430, binding = number) readonly buffer block { \
        vec4 name[]; \
    }
#define UVEC4_INPUT(number, block, name) \
    layout(std430, binding = number) readonly buffer block { \
        uvec4 name[]; \
    }
#define FETCH(name, index) name[index]
#endif

// Writes the channels that are in use, where a dispatch knows how many (CHANNELS) of its vec4 are: lavapipe stores each
// one by itself. What is not written stays undefined, and nothing reads it. SwiftShader would run all branches.
#ifdef TEXEL
#define STORE(target, value)          \
    if (CHANNELS == 1u) {             \
        target.x = (value).x;         \
    } else if (CHANNELS == 2u) {      \
        target.xy = (value).xy;       \
    } else if (CHANNELS == 3u) {      \
        target.xyz = (value).xyz;     \
    } else {                          \
        target = value;               \
    }
#else
#define STORE(target, value) target = value;
#endif

// Index of this invocation in a one-dimensional grid that is folded into rows of workgroups.
uint linear_index() {
    return gl_GlobalInvocationID.y * gl_NumWorkGroups.x * gl_WorkGroupSize.x + gl_GlobalInvocationID.x;
}

// How many elements there are is known to the device alone: a grid of bounded size walks over them.
#define FOR_EACH(index, count)                                                                  \
    for (uint index = linear_index(); index < (count);                                          \
         index += gl_NumWorkGroups.x * gl_NumWorkGroups.y * gl_WorkGroupSize.x)
