// TensorProto -> host tensor. Everything the file says about sizes is checked against what it holds.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/platform.h"
#include "graph/internal.h"
#include "onnx.pb-c.h"
#include "ops/host_eval.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw_data is little-endian and copied as it is");

tm_dtype tm_host_dtype(int64_t onnx_type) {
    switch (onnx_type) {
        case TM_FLOAT32:
        case TM_FLOAT16:
        case TM_BFLOAT16:
        case TM_FLOAT64:
            return TM_FLOAT32;
        case TM_UINT8:
        case TM_INT8:
        case TM_UINT16:
        case TM_INT16:
        case TM_INT32:
        case TM_INT64:
        case TM_BOOL:
        case TM_UINT32:
        case TM_UINT64:
            return (tm_dtype)onnx_type;
        default:
            return TM_DTYPE_NONE;
    }
}

static size_t file_element_size(int32_t onnx_type) {
    switch (onnx_type) {
        case TM_FLOAT16:
        case TM_BFLOAT16:
            return 2;
        case TM_FLOAT64:
            return 8;
        default:
            return tm_dtype_size(tm_host_dtype(onnx_type));
    }
}

static float bfloat_to_float(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

// Elements as the file stores them (little-endian, tightly packed, any alignment) -> the host's.
static void convert_raw(const uint8_t *raw, int32_t onnx_type, size_t count, void *out) {
    float *floats = out;
    if (onnx_type == TM_FLOAT16 || onnx_type == TM_BFLOAT16) {
        for (size_t i = 0; i < count; i++) {
            uint16_t half;
            memcpy(&half, raw + 2 * i, sizeof half);
            floats[i] = onnx_type == TM_FLOAT16 ? tm_half_to_float(half) : bfloat_to_float(half);
        }
    } else if (onnx_type == TM_FLOAT64) {
        for (size_t i = 0; i < count; i++) {
            double value;
            memcpy(&value, raw + 8 * i, sizeof value);
            floats[i] = (float)value;
        }
    } else if (onnx_type == TM_BOOL) {
        for (size_t i = 0; i < count; i++) ((uint8_t *)out)[i] = raw[i] != 0;
    } else if (count) {
        memcpy(out, raw, count * file_element_size(onnx_type));
    }
}

static size_t typed_count(const Onnx__TensorProto *proto) {
    switch (proto->data_type) {
        case TM_FLOAT32:
            return proto->n_float_data;
        case TM_FLOAT64:
            return proto->n_double_data;
        case TM_INT64:
            return proto->n_int64_data;
        case TM_UINT32:
        case TM_UINT64:
            return proto->n_uint64_data;
        default:
            return proto->n_int32_data;
    }
}

// The typed fields: small types are widened to int32 in the file, float16 as its bits.
static void convert_typed(const Onnx__TensorProto *proto, size_t count, void *out) {
    for (size_t i = 0; i < count; i++) {
        switch (proto->data_type) {
            case TM_FLOAT32:
                ((float *)out)[i] = proto->float_data[i];
                break;
            case TM_FLOAT64:
                ((float *)out)[i] = (float)proto->double_data[i];
                break;
            case TM_FLOAT16:
                ((float *)out)[i] = tm_half_to_float((uint16_t)proto->int32_data[i]);
                break;
            case TM_BFLOAT16:
                ((float *)out)[i] = bfloat_to_float((uint16_t)proto->int32_data[i]);
                break;
            case TM_INT64:
                ((int64_t *)out)[i] = proto->int64_data[i];
                break;
            case TM_UINT64:
                ((uint64_t *)out)[i] = proto->uint64_data[i];
                break;
            case TM_UINT32:
                ((uint32_t *)out)[i] = (uint32_t)proto->uint64_data[i];
                break;
            case TM_INT32:
                ((int32_t *)out)[i] = proto->int32_data[i];
                break;
            case TM_INT16:
            case TM_UINT16:
                ((uint16_t *)out)[i] = (uint16_t)proto->int32_data[i];
                break;
            case TM_BOOL:
                ((uint8_t *)out)[i] = proto->int32_data[i] != 0;
                break;
            default:
                ((uint8_t *)out)[i] = (uint8_t)proto->int32_data[i];
                break;
        }
    }
}

static const char *external_entry(const Onnx__TensorProto *proto, const char *key) {
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = proto->external_data[i];
        if (entry->key && entry->value && !strcmp(entry->key, key)) return entry->value;
    }
    return NULL;
}

static bool parse_offset(const char *text, uint64_t otherwise, uint64_t *value) {
    *value = otherwise;
    if (!text) return true;
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-') return false;
    *value = parsed;
    return true;
}

// Opens folder/location if it really lies below folder, links followed.
static tagmask_status open_external(const char *folder, const char *location, const char *what, int *fd,
                                    tm_error *err) {
    *fd = -1;
    if (!folder)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s keeps its data in another file, which a model loaded from memory cannot name", what);
    if (!location || !*location) return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s names no file for its data", what);
    tagmask_status kind = TAGMASK_OK;
    bool leaves = tm_path_root(location) || strstr(location, "../") || strstr(location, "..\\");
    char *joined = leaves ? NULL : tm_path_join(folder, location);
    char *real = joined ? tm_real_path(joined) : NULL, *base = real ? tm_real_path(folder) : NULL;
    if (base) {
        size_t length = strlen(base);
        leaves = strncmp(real, base, length) || (real[length] != '/' && (!length || base[length - 1] != '/'));
        kind = leaves ? TAGMASK_OK : tm_check_regular(real, err);
        if (!leaves && kind == TAGMASK_OK) *fd = tm_file_open(real);
    }
    int reason = errno;
    free(joined);
    free(real);
    free(base);
    if (leaves)
        return tm_fail(err, TAGMASK_ERROR_FORMAT,
                       "%s wants its data from '%.200s', outside the model's own folder (links are followed); that is "
                       "refused: put the model and its data into one folder",
                       what, location);
    TM_TRY(kind);
    if (*fd < 0)
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: its data file '%.200s' cannot be opened: %s", what, location,
                       strerror(reason));
    return TAGMASK_OK;
}

static tagmask_status read_external(const Onnx__TensorProto *proto, const char *folder, const char *what, size_t bytes,
                                    uint8_t **raw, tm_error *err) {
    uint64_t offset, length;
    const char *location = external_entry(proto, "location");
    if (!parse_offset(external_entry(proto, "offset"), 0, &offset) ||
        !parse_offset(external_entry(proto, "length"), bytes, &length) || offset > INT64_MAX)
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: offset or length of its data is not a number", what);
    if (length != bytes)
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: expected %zu bytes of data, but the model declares %llu", what,
                       bytes, (unsigned long long)length);
    int fd;
    TM_TRY(open_external(folder, location, what, &fd, err));
    tm_file_info info;
    if (!tm_file_stat_open(fd, &info) || info.size < offset || info.size - offset < bytes) {
        tm_file_close(fd);
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: its data file '%.200s' is too short for %zu bytes at %llu", what,
                       location, bytes, (unsigned long long)offset);
    }
    uint8_t *buffer = malloc(bytes ? bytes : 1);
    size_t done = 0;
    while (buffer && done < bytes) {
        int64_t got = tm_file_read_at(fd, buffer + done, bytes - done, offset + done);
        if (got <= 0) break;
        done += (size_t)got;
    }
    tm_file_close(fd);
    if (!buffer) return tm_memory_fail(err);
    if (done < bytes) {
        free(buffer);
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: its data file '%.200s' cannot be read", what, location);
    }
    *raw = buffer;
    return TAGMASK_OK;
}

static tagmask_status read_shape(const Onnx__TensorProto *proto, const char *what, tm_shape *shape, size_t *count,
                                 size_t *bytes, tm_error *err) {
    if (proto->n_dims > TM_MAX_RANK)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s has %zu dimensions; at most %d are supported", what,
                       proto->n_dims, TM_MAX_RANK);
    shape->rank = (int32_t)proto->n_dims;
    for (size_t i = 0; i < proto->n_dims; i++) shape->dim[i] = proto->dims[i];
    size_t held;
    if (!tm_shape_count(shape, count) || !tm_mul_size(*count, file_element_size(proto->data_type), bytes) ||
        !tm_mul_size(*count, 4, &held) || *bytes > TM_HOST_VALUE_MAX || held > TM_HOST_VALUE_MAX) {
        char text[128];
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s has impossible dimensions %s", what,
                       tm_shape_text(shape, text, sizeof text));
    }
    return TAGMASK_OK;
}

tagmask_status tm_import_tensor(tm_arena *arena, const Onnx__TensorProto *proto, const char *folder, const char *what,
                                tm_host_tensor *tensor, tm_error *err) {
    tm_dtype dtype = tm_host_dtype(proto->data_type);
    if (dtype == TM_DTYPE_NONE)
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED, "%s has data type %d, which is not supported", what,
                       proto->data_type);
    tm_host_tensor result = {.dtype = dtype};
    size_t count, bytes;
    TM_TRY(read_shape(proto, what, &result.shape, &count, &bytes, err));
    uint8_t *external = NULL;
    const uint8_t *raw = NULL;
    if (proto->has_data_location && proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        TM_TRY(read_external(proto, folder, what, bytes, &external, err));
        raw = external;
    } else if (proto->has_raw_data && (proto->raw_data.len || !typed_count(proto))) {
        if (proto->raw_data.len != bytes)
            return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: expected %zu bytes of data, found %zu", what, bytes,
                           proto->raw_data.len);
        raw = proto->raw_data.data;
    } else if (typed_count(proto) != count) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: expected %zu elements of data, found %zu", what, count,
                       typed_count(proto));
    }
    result.data = tm_arena_alloc(arena, count * tm_dtype_size(dtype));
    if (!result.data) {
        free(external);
        return tm_memory_fail(err);
    }
    if (raw || !count)
        convert_raw(raw, proto->data_type, count, result.data);
    else
        convert_typed(proto, count, result.data);
    free(external);
    *tensor = result;
    return TAGMASK_OK;
}
