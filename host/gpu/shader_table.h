// SPIR-V that the build embeds: one row a file of shaders/, sorted by name.
#ifndef TM_SHADER_TABLE_H
#define TM_SHADER_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct tm_shader {
    const char *name;  // "nn/conv"
    const uint32_t *words;
    size_t bytes;
} tm_shader;
extern const tm_shader tm_shader_table[];
extern const size_t tm_shader_count;

#endif
