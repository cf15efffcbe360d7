// Reflection of a compute shader: just what host/gpu needs to make layouts and to place barriers.
#ifndef TM_GPU_SPIRV_H
#define TM_GPU_SPIRV_H

#include "gpu/gpu.h"

typedef enum tm_binding_kind {
    TM_BINDING_NONE = 0,
    TM_BINDING_STORAGE,      // storage buffer
    TM_BINDING_TEXEL_FLOAT,  // uniform texel buffer (samplerBuffer, textureBuffer), seen as RGBA32F
    TM_BINDING_TEXEL_INT,    // isamplerBuffer, itextureBuffer: RGBA32I
    TM_BINDING_TEXEL_UINT    // usamplerBuffer, utextureBuffer: RGBA32UI
} tm_binding_kind;

typedef struct tm_binding {
    tm_binding_kind kind;
    bool reads, writes;
} tm_binding;

typedef struct tm_local_size {
    uint32_t value;
    int32_t spec_id;  // the specialization constant that replaces value; -1: none
} tm_local_size;

typedef struct tm_reflection {
    tm_binding bindings[TM_MAX_BINDINGS];
    uint32_t push_size;  // bytes; 0: no block
    tm_local_size local_size[3];
} tm_reflection;

// The module must have one entry point, a compute shader named main; name is for messages.
tagmask_status tm_spirv_reflect(const char *name, const uint32_t *words, size_t bytes, tm_reflection *reflection,
                                tm_error *err);

#endif
