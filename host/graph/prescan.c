// A bounded walk over the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) before protobuf-c
// sees the file. protobuf-c recurses once a nested message without a limit, gives no reason when it fails, and needs
// far more memory than the file for floods of tiny messages; this scan refuses all three with a sentence. It is driven
// by protobuf-c's own descriptors of onnx.proto, so the schema is written down once.
#include <string.h>

#include "graph/internal.h"
#include "onnx.pb-c.h"

#define MAX_DEPTH 48
#define MAX_MESSAGES 4000000u
#define MAX_NODES 200000u
#define MAX_TENSORS 200000u
#define MAX_ATTRIBUTES 1000000u
#define MALLOC_OVERHEAD 16u

typedef struct scan {
    size_t messages, nodes, tensors, attributes;
    size_t allocation, allocation_limit;
} scan;

typedef struct cursor {
    const uint8_t *data;
    size_t at, end;
} cursor;

static tagmask_status damaged(const cursor *c, const char *what, tm_error *err) {
    return tm_fail(err, TAGMASK_ERROR_FORMAT,
                   "is no ONNX model, or a damaged one: %s at byte %zu; export or copy the model again", what, c->at);
}

static bool read_varint(cursor *c, uint64_t *value) {
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (c->at >= c->end) return false;
        uint8_t byte = c->data[c->at++];
        if (shift < 64) result |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value = result;
            return true;
        }
    }
    return false;
}

static tagmask_status charge(scan *s, size_t bytes, tm_error *err) {
    if (!tm_add_size(s->allocation, bytes, &s->allocation) || s->allocation > s->allocation_limit)
        return tm_fail(err, TAGMASK_ERROR_FORMAT,
                       "reading this ONNX file would need more than %zu MiB of memory, out of proportion to its size; "
                       "it is damaged or made to exhaust memory",
                       s->allocation_limit >> 20);
    return TAGMASK_OK;
}

static tagmask_status count(size_t *counter, size_t limit, const char *what, tm_error *err) {
    if (++*counter > limit)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "the ONNX file has more than %zu %s", limit, what);
    return TAGMASK_OK;
}

static tagmask_status count_message(scan *s, const ProtobufCMessageDescriptor *type, tm_error *err) {
    TM_TRY(count(&s->messages, MAX_MESSAGES, "messages", err));
    if (type == &onnx__node_proto__descriptor) TM_TRY(count(&s->nodes, MAX_NODES, "nodes", err));
    if (type == &onnx__tensor_proto__descriptor) TM_TRY(count(&s->tensors, MAX_TENSORS, "tensors", err));
    if (type == &onnx__attribute_proto__descriptor) TM_TRY(count(&s->attributes, MAX_ATTRIBUTES, "attributes", err));
    return charge(s, type->sizeof_message + MALLOC_OVERHEAD, err);
}

static tagmask_status skip(cursor *c, size_t bytes, const char *what, tm_error *err) {
    if (bytes > c->end - c->at) return damaged(c, what, err);
    c->at += bytes;
    return TAGMASK_OK;
}

static size_t packed_element(ProtobufCType type) {
    switch (type) {
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
            return 8;
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
            return 4;
        default:
            return 1;  // a varint: at least a byte in the file, at most eight in memory
    }
}

static tagmask_status scan_message(scan *s, cursor *c, const ProtobufCMessageDescriptor *type, unsigned depth,
                                   tm_error *err);

// A length-delimited field: a message to walk into, or bytes, text or packed numbers to account for.
static tagmask_status scan_delimited(scan *s, cursor *c, const ProtobufCFieldDescriptor *field, size_t length,
                                     unsigned depth, tm_error *err) {
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (depth >= MAX_DEPTH)
            return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                           "the ONNX file nests messages deeper than %d levels (field '%s' at byte %zu)", MAX_DEPTH,
                           field->name, c->at);
        cursor inner = {c->data, c->at, c->at + length};
        TM_TRY(scan_message(s, &inner, field->descriptor, depth + 1, err));
    } else if (field && field->label == PROTOBUF_C_LABEL_REPEATED && field->type != PROTOBUF_C_TYPE_STRING &&
               field->type != PROTOBUF_C_TYPE_BYTES) {
        TM_TRY(charge(s, length / packed_element(field->type) * 8, err));
    } else {
        TM_TRY(charge(s, length + MALLOC_OVERHEAD, err));
    }
    c->at += length;
    return TAGMASK_OK;
}

static tagmask_status scan_field(scan *s, cursor *c, const ProtobufCFieldDescriptor *field, unsigned wire,
                                 unsigned depth, tm_error *err) {
    uint64_t value;
    switch (wire) {
        case 0:
            if (!read_varint(c, &value)) return damaged(c, "a number does not end", err);
            return TAGMASK_OK;
        case 1:
            return skip(c, 8, "a field reaches beyond the end", err);
        case 5:
            return skip(c, 4, "a field reaches beyond the end", err);
        case 2:
            if (!read_varint(c, &value)) return damaged(c, "a length does not end", err);
            if (value > c->end - c->at)
                return tm_fail(err, TAGMASK_ERROR_FORMAT,
                               "is no ONNX model, or a damaged one: field '%s' at byte %zu has %llu bytes but only %zu "
                               "are left; export or copy the model again",
                               field ? field->name : "?", c->at, (unsigned long long)value, c->end - c->at);
            return scan_delimited(s, c, field, (size_t)value, depth, err);
        default:
            return damaged(c, "unknown wire type", err);
    }
}

static tagmask_status scan_message(scan *s, cursor *c, const ProtobufCMessageDescriptor *type, unsigned depth,
                                   tm_error *err) {
    TM_TRY(count_message(s, type, err));
    uint64_t seen = 0;  // single messages met already; onnx.proto has fewer than 64 fields a message
    while (c->at < c->end) {
        uint64_t tag;
        if (!read_varint(c, &tag)) return damaged(c, "a field tag does not end", err);
        if (tag >> 3 == 0 || tag >> 32) return damaged(c, "field number out of range", err);
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        // protobuf-c keeps an index entry a field while it reads a message, and one a repeated element afterwards.
        TM_TRY(charge(s, field && field->label == PROTOBUF_C_LABEL_REPEATED ? 8 : 0, err));
        if (!field) TM_TRY(charge(s, 32, err));
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && field->label != PROTOBUF_C_LABEL_REPEATED) {
            // protobuf-c would merge them, which takes quadratic time; no writer produces this.
            unsigned index = (unsigned)(field - type->fields) & 63;
            if (seen >> index & 1) return damaged(c, "a field that may appear once appears twice", err);
            seen |= (uint64_t)1 << index;
        }
        TM_TRY(scan_field(s, c, field, (unsigned)(tag & 7), depth, err));
    }
    return TAGMASK_OK;
}

tagmask_status tm_prescan(const uint8_t *data, size_t size, size_t *allocation, tm_error *err) {
    if (!size) return tm_fail(err, TAGMASK_ERROR_FORMAT, "the file is empty; expected an ONNX model");
    scan s = {0};
    // 64 MiB lets small files have many small nodes; beyond that memory has to be in proportion.
    if (!tm_mul_size(size, 10, &s.allocation_limit) ||
        !tm_add_size(s.allocation_limit, (size_t)64 << 20, &s.allocation_limit))
        return tm_memory_fail(err);
    cursor c = {data, 0, size};
    TM_TRY(scan_message(&s, &c, &onnx__model_proto__descriptor, 0, err));
    *allocation = s.allocation;
    return TAGMASK_OK;
}
