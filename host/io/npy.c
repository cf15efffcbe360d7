#include "io/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANK = 8 };
static const char magic[] = "\x93NUMPY";

// What an element is in the file, and what it becomes.
typedef struct element {
    const char *descr;  // without the byte order mark
    size_t size;
    tagmask_dtype dtype;
    void (*widen)(const uint8_t *from, void *to);  // NULL: copied
} element;

static float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 1023, bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000 | mantissa << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else {
        float tiny = (float)mantissa / 16777216.0f;
        return sign ? -tiny : tiny;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void widen_f2(const uint8_t *from, void *to) {
    uint16_t half;
    memcpy(&half, from, sizeof half);
    *(float *)to = half_to_float(half);
}
static void widen_f8(const uint8_t *from, void *to) {
    double value;
    memcpy(&value, from, sizeof value);
    *(float *)to = (float)value;
}
static void widen_i2(const uint8_t *from, void *to) {
    int16_t value;
    memcpy(&value, from, sizeof value);
    *(int32_t *)to = value;
}
static void widen_u2(const uint8_t *from, void *to) {
    uint16_t value;
    memcpy(&value, from, sizeof value);
    *(int32_t *)to = value;
}
static void widen_u4(const uint8_t *from, void *to) {
    uint32_t value;
    memcpy(&value, from, sizeof value);
    *(int64_t *)to = value;
}
static void widen_b1(const uint8_t *from, void *to) {
    *(uint8_t *)to = *from != 0;
}

// The first row of a type is also the one that is written.
static const element elements[] = {
    {"f4", 4, TAGMASK_FLOAT32, NULL},     {"u1", 1, TAGMASK_UINT8, NULL},       {"i1", 1, TAGMASK_INT8, NULL},
    {"i4", 4, TAGMASK_INT32, NULL},       {"i8", 8, TAGMASK_INT64, NULL},       {"b1", 1, TAGMASK_BOOL, widen_b1},
    {"f2", 2, TAGMASK_FLOAT32, widen_f2}, {"f8", 8, TAGMASK_FLOAT32, widen_f8}, {"i2", 2, TAGMASK_INT32, widen_i2},
    {"u2", 2, TAGMASK_INT32, widen_u2},   {"u4", 4, TAGMASK_INT64, widen_u4},
};

static const element *element_of_dtype(tagmask_dtype dtype) {
    for (size_t i = 0; i < TM_ARRAY_LEN(elements); i++) {
        if (elements[i].dtype == dtype) return &elements[i];
    }
    return NULL;
}

// ---- The header: a Python dict with three known keys ----------------------------------------------------------------

typedef struct header {
    char descr[16];
    bool fortran, has_descr, has_order, has_shape;
    int32_t rank;
    int64_t dims[MAX_RANK];
} header;

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r')) c->at++;
}

static bool take(cursor *c, const char *text) {
    skip_space(c);
    size_t length = strlen(text);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, text, length)) return false;
    c->at += length;
    return true;
}

static bool take_string(cursor *c, char *out, size_t room) {
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    const char *start = c->at + 1, *stop = memchr(start, *c->at, (size_t)(c->end - start));
    if (!stop || (size_t)(stop - start) >= room) return false;
    memcpy(out, start, (size_t)(stop - start));
    out[stop - start] = 0;
    c->at = stop + 1;
    return true;
}

static bool take_dim(cursor *c, int64_t *out) {
    skip_space(c);
    int64_t value = 0;
    const char *start = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (!tm_mul_i64(value, 10, &value) || !tm_add_i64(value, *c->at - '0', &value)) return false;
    }
    bool digits = c->at > start;
    take(c, "L");  // Python 2 wrote long integers so
    *out = value;
    return digits;
}

static bool take_shape(cursor *c, header *h) {
    if (!take(c, "(")) return false;
    while (!take(c, ")")) {
        if (h->rank == MAX_RANK || !take_dim(c, &h->dims[h->rank])) return false;
        h->rank++;
        if (!take(c, ",")) return take(c, ")");
    }
    return true;
}

static bool take_entry(cursor *c, header *h) {
    char key[16];
    if (!take_string(c, key, sizeof key) || !take(c, ":")) return false;
    if (!strcmp(key, "descr") && !h->has_descr) return h->has_descr = take_string(c, h->descr, sizeof h->descr);
    if (!strcmp(key, "shape") && !h->has_shape) return h->has_shape = take_shape(c, h);
    if (strcmp(key, "fortran_order") || h->has_order) return false;
    h->fortran = take(c, "True");
    return h->has_order = h->fortran || take(c, "False");
}

static bool parse_header(cursor c, header *h) {
    *h = (header){0};
    if (!take(&c, "{")) return false;
    while (!take(&c, "}")) {
        if (!take_entry(&c, h)) return false;
        if (take(&c, ",")) continue;
        if (!take(&c, "}")) return false;
        break;
    }
    skip_space(&c);
    return c.at == c.end && h->has_descr && h->has_order && h->has_shape;
}

// ---- Reading --------------------------------------------------------------------------------------------------------

// Element `index` of a C-ordered array, counted in the order of the file.
static size_t file_index(const header *h, size_t index) {
    if (!h->fortran) return index;
    size_t place = 0, stride = 1, coordinate[MAX_RANK];
    for (int32_t i = h->rank - 1; i >= 0; i--) {
        coordinate[i] = index % (size_t)h->dims[i];
        index /= (size_t)h->dims[i];
    }
    for (int32_t i = 0; i < h->rank; i++) {
        place += coordinate[i] * stride;
        stride *= (size_t)h->dims[i];
    }
    return place;
}

static tagmask_status find_element(const char *name, const header *h, const element **found, tm_error *err) {
    for (size_t i = 0; i < TM_ARRAY_LEN(elements); i++) {
        if (h->descr[0] && !strcmp(h->descr + 1, elements[i].descr)) *found = &elements[i];
    }
    if (*found && strchr("<|=", h->descr[0])) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "%s: element type '%s' is not supported; expected little-endian float16/32/64, int8/16/32/64, "
                   "uint8/16/32 or bool; convert it with numpy's astype",
                   name, h->descr);
}

static tagmask_status locate_header(const char *name, const uint8_t *bytes, size_t size, header *h, size_t *data,
                                    tm_error *err) {
    if (size < 10 || memcmp(bytes, magic, 6)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is not a .npy file; expected one written by numpy.save", name);
    }
    if (bytes[6] < 1 || bytes[6] > 3) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s: .npy version %u.%u is not supported; expected 1 to 3", name,
                       bytes[6], bytes[7]);
    }
    size_t start = bytes[6] == 1 ? 10 : 12, length = bytes[8] | (size_t)bytes[9] << 8;
    if (start == 12 && size >= 12) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (size < start || length > size - start) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is truncated inside its header", name);
    }
    cursor c = {(const char *)bytes + start, (const char *)bytes + start + length};
    if (!parse_header(c, h)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT,
                       "%s: its header is not understood; expected descr, fortran_order and a shape of at most %d "
                       "dimensions",
                       name, MAX_RANK);
    }
    *data = start + length;
    return TAGMASK_OK;
}

tagmask_status tm_npy_parse(const char *name, const uint8_t *bytes, size_t size, tagmask_tensor *tensor,
                            tm_error *err) {
    header h;
    const element *e = NULL;
    size_t data = 0, count = 1, wanted, room;
    TM_TRY(locate_header(name, bytes, size, &h, &data, err));
    TM_TRY(find_element(name, &h, &e, err));
    for (int32_t i = 0; i < h.rank; i++) {
        if (h.dims[i] && !tm_mul_size(count, (size_t)h.dims[i], &count)) {
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: its shape has more elements than fit in memory", name);
        }
    }
    for (int32_t i = 0; i < h.rank; i++) count = h.dims[i] ? count : 0;
    if (!tm_mul_size(count, e->size, &wanted) || wanted != size - data) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT,
                       "%s: holds %zu bytes of data; expected %zu elements of %zu bytes by its header", name,
                       size - data, count, e->size);
    }
    size_t out_size = element_of_dtype(e->dtype)->size;
    uint8_t *out = tm_mul_size(count, out_size, &room) ? tm_calloc(room, 1) : NULL;
    if (!out) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its %zu elements", name, count);
    if (!e->widen && !h.fortran && count) memcpy(out, bytes + data, wanted);
    for (size_t i = 0; (e->widen || h.fortran) && i < count; i++) {
        const uint8_t *from = bytes + data + file_index(&h, i) * e->size;
        if (e->widen) {
            e->widen(from, out + i * out_size);
        } else {
            memcpy(out + i * out_size, from, e->size);
        }
    }
    *tensor = (tagmask_tensor){.struct_size = sizeof *tensor, .dtype = e->dtype, .rank = h.rank, .data = out};
    memcpy(tensor->dims, h.dims, sizeof h.dims);
    return TAGMASK_OK;
}

tagmask_status tm_npy_read(const char *path, tagmask_tensor *tensor, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    TM_TRY(tm_read_file(path, (size_t)8 << 30, &bytes, &size, err));
    tagmask_status status = tm_npy_parse(path, bytes, size, tensor, err);
    free(bytes);
    return status;
}

// ---- Writing --------------------------------------------------------------------------------------------------------

// The header ends with a line feed at a multiple of 64 bytes, as numpy does.
static size_t write_header(const tagmask_tensor *tensor, const element *e, char *out, size_t room) {
    size_t used = 10;
    used += (size_t)snprintf(out + used, room - used, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                             e->size == 1 ? '|' : '<', e->descr);
    for (int32_t i = 0; i < tensor->rank; i++) {
        used += (size_t)snprintf(out + used, room - used, "%s%lld%s", i ? " " : "", (long long)tensor->dims[i],
                                 tensor->rank == 1 || i + 1 < tensor->rank ? "," : "");
    }
    used += (size_t)snprintf(out + used, room - used, "), }");
    size_t total = tm_align_up(used + 1, 64);
    memset(out + used, ' ', total - used);
    out[total - 1] = '\n';
    memcpy(out, magic, 6);
    out[6] = 1, out[7] = 0;
    out[8] = (char)((total - 10) & 255), out[9] = (char)((total - 10) >> 8);
    return total;
}

tagmask_status tm_npy_write(const char *path, const tagmask_tensor *tensor, tm_error *err) {
    char head[512];
    const element *e = element_of_dtype(tensor->dtype);
    size_t count = 1, size = 0, total = 0;
    bool ok = e && tensor->rank >= 0 && tensor->rank <= MAX_RANK;
    for (int32_t i = 0; ok && i < tensor->rank; i++) {
        ok = tensor->dims[i] >= 0 && tm_mul_size(count, (size_t)tensor->dims[i], &count);
    }
    if (!ok || !tm_mul_size(count, e->size, &size) || !tm_add_size(size, sizeof head, &total)) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "%s: expected at most %d dimensions that are not negative and a known element type", path,
                       MAX_RANK);
    }
    size_t start = write_header(tensor, e, head, sizeof head);
    uint8_t *bytes = malloc(start + size);
    if (!bytes) return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its %zu bytes", path, start + size);
    memcpy(bytes, head, start);
    if (size) memcpy(bytes + start, tensor->data, size);
    tagmask_status status = tm_write_file(path, bytes, start + size, err);
    free(bytes);
    return status;
}
