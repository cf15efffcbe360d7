// Reflection of SPIR-V 1.3 compute shaders (SPIR-V Specification, Khronos; SPV_KHR_storage_buffer_storage_class).
//
// The words come from this project's own build, but every index is checked all the same: a bad module must become a
// message, not a crash.
#include "gpu/spirv.h"

#include <stdlib.h>
#include <string.h>

#include "gpu/spirv_enums.h"

#define MAX_IDS (1u << 20)
#define MAX_MEMBERS 64  // of a block
#define MAX_TYPES 4096  // visited to measure the push constants: a damaged module may contain itself

typedef struct id_info {
    uint32_t at;                                   // word where the defining instruction starts; 0: none
    uint32_t binding, set, array_stride, spec_id;  // UINT32_MAX: not decorated
    bool non_writable, non_readable, workgroup_size;
    uint32_t members, members_non_writable, members_non_readable;  // counts of decorations
} id_info;

typedef struct member_info {
    uint32_t structure, member, offset, matrix_stride;
} member_info;

typedef struct reader {
    const char *name;
    const uint32_t *words;
    size_t count;
    uint32_t bound;
    id_info *ids;
    member_info *layout;  // Offset and MatrixStride decorations
    size_t layout_count, layout_capacity;
    uint32_t entry;  // function id
    uint32_t local[3];
    uint32_t workgroup_size_id;
    uint32_t types_visited;
    tm_error *err;
} reader;

static tagmask_status bad(reader *r, const char *what) {
    return tm_fail(r->err, TAGMASK_ERROR_INTERNAL, "shader %s: %s", r->name, what);
}

static tagmask_status no_memory(const reader *r) {
    return tm_fail(r->err, TAGMASK_ERROR_MEMORY, "shader %s: no memory to reflect it", r->name);
}

static uint32_t length_at(const reader *r, size_t at) {
    return r->words[at] >> 16;
}
static uint32_t opcode_at(const reader *r, size_t at) {
    return r->words[at] & 0xffff;
}

// The defining instruction of id, if it has the opcode and at least `length` words; else 0.
static size_t defined_as(const reader *r, uint32_t id, uint32_t opcode, uint32_t length) {
    if (id >= r->bound || !r->ids[id].at) return 0;
    size_t at = r->ids[id].at;
    return opcode_at(r, at) == opcode && length_at(r, at) >= length ? at : 0;
}

static member_info *member_of(reader *r, uint32_t structure, uint32_t member) {
    for (size_t i = 0; i < r->layout_count; i++) {
        if (r->layout[i].structure == structure && r->layout[i].member == member) return &r->layout[i];
    }
    if (!tm_grow((void **)&r->layout, &r->layout_capacity, r->layout_count + 1, sizeof *r->layout)) return NULL;
    r->layout[r->layout_count] = (member_info){structure, member, UINT32_MAX, 0};
    return &r->layout[r->layout_count++];
}

static void decorate(reader *r, const uint32_t *word, uint32_t length) {
    if (word[1] >= r->bound) return;
    id_info *id = &r->ids[word[1]];
    uint32_t value = length > 3 ? word[3] : 0;
    switch (word[2]) {
        case SPIRV_DECORATION_SPEC_ID:
            id->spec_id = value;
            break;
        case SPIRV_DECORATION_ARRAY_STRIDE:
            id->array_stride = value;
            break;
        case SPIRV_DECORATION_BUILT_IN:
            if (value == SPIRV_BUILT_IN_WORKGROUP_SIZE) r->workgroup_size_id = word[1];
            break;
        case SPIRV_DECORATION_NON_WRITABLE:
            id->non_writable = true;
            break;
        case SPIRV_DECORATION_NON_READABLE:
            id->non_readable = true;
            break;
        case SPIRV_DECORATION_BINDING:
            id->binding = value;
            break;
        case SPIRV_DECORATION_DESCRIPTOR_SET:
            id->set = value;
            break;
        default:
            break;
    }
}

static bool decorate_member(reader *r, const uint32_t *word, uint32_t length) {
    if (word[1] >= r->bound) return true;
    id_info *id = &r->ids[word[1]];
    member_info *member;
    switch (word[3]) {
        case SPIRV_DECORATION_NON_WRITABLE:
            id->members_non_writable++;
            return true;
        case SPIRV_DECORATION_NON_READABLE:
            id->members_non_readable++;
            return true;
        case SPIRV_DECORATION_OFFSET:
        case SPIRV_DECORATION_MATRIX_STRIDE:
            if (length < 5 || word[2] >= MAX_MEMBERS) return true;
            member = member_of(r, word[1], word[2]);
            if (!member) return false;
            if (word[3] == SPIRV_DECORATION_OFFSET)
                member->offset = word[4];
            else
                member->matrix_stride = word[4];
            return true;
        default:
            return true;
    }
}

// Where an instruction that defines something this file needs keeps its result id; 0: not needed.
static uint32_t result_word(uint32_t opcode) {
    switch (opcode) {
        case SPIRV_OP_TYPE_INT:
        case SPIRV_OP_TYPE_FLOAT:
        case SPIRV_OP_TYPE_VECTOR:
        case SPIRV_OP_TYPE_MATRIX:
        case SPIRV_OP_TYPE_IMAGE:
        case SPIRV_OP_TYPE_SAMPLED_IMAGE:
        case SPIRV_OP_TYPE_ARRAY:
        case SPIRV_OP_TYPE_RUNTIME_ARRAY:
        case SPIRV_OP_TYPE_STRUCT:
        case SPIRV_OP_TYPE_POINTER:
            return 1;
        case SPIRV_OP_CONSTANT:
        case SPIRV_OP_CONSTANT_COMPOSITE:
        case SPIRV_OP_SPEC_CONSTANT:
        case SPIRV_OP_SPEC_CONSTANT_COMPOSITE:
        case SPIRV_OP_VARIABLE:
            return 2;
        default:
            return 0;
    }
}

static tagmask_status scan(reader *r) {
    for (size_t at = 5; at < r->count; at += length_at(r, at)) {
        const uint32_t *word = &r->words[at];
        uint32_t length = length_at(r, at), opcode = opcode_at(r, at), result = result_word(opcode);
        if (!length || length > r->count - at) return bad(r, "its SPIR-V is cut off");
        if (result && result < length && word[result] < r->bound) {
            r->ids[word[result]].at = (uint32_t)at;
            r->ids[word[result]].members = length - 2;  // of a struct
        } else if (opcode == SPIRV_OP_ENTRY_POINT && length > 3) {
            if (word[1] != SPIRV_EXECUTION_MODEL_GLCOMPUTE || r->entry)
                return bad(r, "expected one entry point, a compute shader");
            r->entry = word[2];
        } else if (opcode == SPIRV_OP_EXECUTION_MODE && length > 5 && word[2] == SPIRV_EXECUTION_MODE_LOCAL_SIZE) {
            memcpy(r->local, word + 3, sizeof r->local);
        } else if (opcode == SPIRV_OP_DECORATE && length > 2) {
            decorate(r, word, length);
        } else if (opcode == SPIRV_OP_MEMBER_DECORATE && length > 3) {
            if (!decorate_member(r, word, length)) return no_memory(r);
        }
    }
    return r->entry ? TAGMASK_OK : bad(r, "it has no compute entry point");
}

// Bytes of a type inside a block; 0 if it is none that push constants may hold. Types are defined before use, so the
// depth is bounded by the module, and `depth` by us.
static uint32_t type_size(reader *r, uint32_t type, uint32_t matrix_stride, int depth) {
    size_t at;
    uint64_t size = 0;
    if (depth > 8 || ++r->types_visited > MAX_TYPES) return 0;
    if ((at = defined_as(r, type, SPIRV_OP_TYPE_INT, 3)) || (at = defined_as(r, type, SPIRV_OP_TYPE_FLOAT, 3))) {
        size = r->words[at + 2] / 8;
    } else if ((at = defined_as(r, type, SPIRV_OP_TYPE_VECTOR, 4))) {
        size = (uint64_t)type_size(r, r->words[at + 2], 0, depth + 1) * r->words[at + 3];
    } else if ((at = defined_as(r, type, SPIRV_OP_TYPE_MATRIX, 4))) {
        size = (uint64_t)matrix_stride * r->words[at + 3];
    } else if ((at = defined_as(r, type, SPIRV_OP_TYPE_ARRAY, 4))) {
        size_t count = defined_as(r, r->words[at + 3], SPIRV_OP_CONSTANT, 4);
        size = count ? (uint64_t)r->ids[type].array_stride * r->words[count + 3] : 0;
    } else if ((at = defined_as(r, type, SPIRV_OP_TYPE_STRUCT, 2))) {
        for (uint32_t i = 0; i < length_at(r, at) - 2 && i < MAX_MEMBERS; i++) {
            const member_info *member = member_of(r, type, i);
            if (!member || member->offset > UINT16_MAX) return 0;
            uint32_t inner = type_size(r, r->words[at + 2 + i], member->matrix_stride, depth + 1);
            size = TM_MAX(size, (uint64_t)member->offset + inner);
        }
    }
    return size <= UINT16_MAX ? (uint32_t)size : 0;
}

static tm_binding_kind texel_kind(reader *r, uint32_t type) {
    size_t at = defined_as(r, type, SPIRV_OP_TYPE_SAMPLED_IMAGE, 3);
    if (at) type = r->words[at + 2];
    at = defined_as(r, type, SPIRV_OP_TYPE_IMAGE, 9);
    if (!at || r->words[at + 3] != SPIRV_DIM_BUFFER || r->words[at + 7] != 1) return TM_BINDING_NONE;
    uint32_t element = r->words[at + 2];
    if (defined_as(r, element, SPIRV_OP_TYPE_FLOAT, 3)) return TM_BINDING_TEXEL_FLOAT;
    size_t integer = defined_as(r, element, SPIRV_OP_TYPE_INT, 4);
    if (!integer) return TM_BINDING_NONE;
    return r->words[integer + 3] ? TM_BINDING_TEXEL_INT : TM_BINDING_TEXEL_UINT;
}

static tagmask_status reflect_variable(reader *r, size_t at, tm_reflection *out) {
    const uint32_t *word = &r->words[at];
    uint32_t id = word[2], storage = word[3];
    size_t pointer = defined_as(r, word[1], SPIRV_OP_TYPE_POINTER, 4);
    if (!pointer || id >= r->bound) return bad(r, "a variable has no pointer type");
    uint32_t type = r->words[pointer + 3];
    if (storage == SPIRV_STORAGE_PUSH_CONSTANT) {
        out->push_size = type_size(r, type, 0, 0);
        return out->push_size ? TAGMASK_OK : bad(r, "its push constants have a type that is not understood");
    }
    if (storage != SPIRV_STORAGE_UNIFORM && storage != SPIRV_STORAGE_UNIFORM_CONSTANT &&
        storage != SPIRV_STORAGE_STORAGE_BUFFER)
        return TAGMASK_OK;
    const id_info *variable = &r->ids[id];
    if (variable->set != 0 || variable->binding >= TM_MAX_BINDINGS)
        return bad(r, "expected bindings 0 to 11 of set 0 only");
    tm_binding *binding = &out->bindings[variable->binding];
    if (binding->kind) return bad(r, "two variables share a binding");
    if (storage == SPIRV_STORAGE_STORAGE_BUFFER && defined_as(r, type, SPIRV_OP_TYPE_STRUCT, 3)) {
        const id_info *block = &r->ids[type];
        binding->kind = TM_BINDING_STORAGE;
        binding->writes = !variable->non_writable && block->members_non_writable < block->members;
        binding->reads = !variable->non_readable && block->members_non_readable < block->members;
    } else if (storage == SPIRV_STORAGE_UNIFORM_CONSTANT) {
        binding->kind = texel_kind(r, type);
        binding->reads = true;
    }
    if (!binding->kind)
        return bad(r,
                   "a binding is neither a storage buffer nor a uniform texel buffer (samplerBuffer, textureBuffer)");
    return TAGMASK_OK;
}

static void reflect_local_size(reader *r, tm_reflection *out) {
    for (int i = 0; i < 3; i++) out->local_size[i] = (tm_local_size){r->local[i], -1};
    size_t at = defined_as(r, r->workgroup_size_id, SPIRV_OP_SPEC_CONSTANT_COMPOSITE, 6);
    if (!at) at = defined_as(r, r->workgroup_size_id, SPIRV_OP_CONSTANT_COMPOSITE, 6);
    for (int i = 0; at && i < 3; i++) {
        uint32_t part = r->words[at + 3 + (size_t)i];
        size_t value = defined_as(r, part, SPIRV_OP_SPEC_CONSTANT, 4);
        if (!value) value = defined_as(r, part, SPIRV_OP_CONSTANT, 4);
        if (!value) continue;
        out->local_size[i].value = r->words[value + 3];
        if (r->ids[part].spec_id < INT32_MAX) out->local_size[i].spec_id = (int32_t)r->ids[part].spec_id;
    }
}

tagmask_status tm_spirv_reflect(const char *name, const uint32_t *words, size_t bytes, tm_reflection *out,
                                tm_error *err) {
    reader r = {.name = name, .words = words, .count = bytes / 4, .local = {1, 1, 1}, .err = err};
    if (bytes % 4 || r.count < 5 || words[0] != SPIRV_MAGIC) return bad(&r, "it is not SPIR-V");
    r.bound = words[3];
    if (!r.bound || r.bound > MAX_IDS) return bad(&r, "its SPIR-V has too many ids");
    r.ids = tm_calloc(r.bound, sizeof *r.ids);
    if (!r.ids) return no_memory(&r);
    for (uint32_t i = 0; i < r.bound; i++) r.ids[i].binding = r.ids[i].set = r.ids[i].spec_id = UINT32_MAX;
    tm_reflection reflection = {0};
    tagmask_status status = scan(&r);
    for (uint32_t id = 1; !status && id < r.bound; id++) {
        size_t at = defined_as(&r, id, SPIRV_OP_VARIABLE, 4);
        if (at) status = reflect_variable(&r, at, &reflection);
    }
    if (!status) {
        reflect_local_size(&r, &reflection);
        *out = reflection;
    }
    free(r.ids);
    free(r.layout);
    return status;
}
