#include "mask/map_table.h"

#define POINTER(id, name) &tm_map_##id,
static const tm_map_method *const methods[] = {TM_MAP_METHODS(POINTER)};
#undef POINTER

const tm_map_method *tm_map_method_at(uint32_t index) {
    return methods[index];
}
