// Host elements <-> the 32-bit words of device tensors, and the C4 layout on the host.
#include <string.h>

#include "graph/internal.h"
#include "ops/host_eval.h"

size_t tm_layout_bytes(const tm_shape *shape, tm_layout layout) {
    size_t count, bytes;
    tm_shape padded = *shape;
    if (layout == TM_C4 && shape->rank == 4) padded.dim[1] = (shape->dim[1] + 3) / 4 * 4;
    if (!tm_shape_count(&padded, &count) || !tm_mul_size(count, 4, &bytes)) return 0;
    return bytes;
}

static tagmask_status narrow_fail(const char *name, size_t i, tm_error *err) {
    return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                   "element %zu of '%.200s' does not fit 32 bits; integers on the device are int32", i, name);
}

tagmask_status tm_to_words(const tm_host_tensor *tensor, uint32_t *words, const char *name, tm_error *err) {
    size_t count = 0;
    tm_shape_count(&tensor->shape, &count);
    const void *data = tensor->data;
    for (size_t i = 0; i < count; i++) {
        switch (tensor->dtype) {
            case TM_UINT8:
            case TM_BOOL:
                words[i] = ((const uint8_t *)data)[i];
                break;
            case TM_INT8:
                words[i] = (uint32_t)(int32_t)((const int8_t *)data)[i];
                break;
            case TM_UINT16:
                words[i] = ((const uint16_t *)data)[i];
                break;
            case TM_INT16:
                words[i] = (uint32_t)(int32_t)((const int16_t *)data)[i];
                break;
            case TM_INT64: {
                int64_t value = ((const int64_t *)data)[i];
                if (value < INT32_MIN || value > INT32_MAX) return narrow_fail(name, i, err);
                words[i] = (uint32_t)(int32_t)value;
                break;
            }
            case TM_UINT64: {
                uint64_t value = ((const uint64_t *)data)[i];
                if (value > INT32_MAX) return narrow_fail(name, i, err);
                words[i] = (uint32_t)value;
                break;
            }
            case TM_UINT32:
                words[i] = ((const uint32_t *)data)[i];
                if (words[i] > INT32_MAX) return narrow_fail(name, i, err);
                break;
            default:
                words[i] = ((const uint32_t *)data)[i];
                break;
        }
    }
    return TAGMASK_OK;
}

void tm_from_words(const uint32_t *words, tm_host_tensor *tensor) {
    size_t count = 0;
    tm_shape_count(&tensor->shape, &count);
    void *data = tensor->data;
    for (size_t i = 0; i < count; i++) {
        switch (tensor->dtype) {
            case TM_BOOL:
                ((uint8_t *)data)[i] = words[i] != 0;
                break;
            case TM_UINT8:
            case TM_INT8:
                ((uint8_t *)data)[i] = (uint8_t)words[i];
                break;
            case TM_UINT16:
            case TM_INT16:
                ((uint16_t *)data)[i] = (uint16_t)words[i];
                break;
            case TM_INT64:
            case TM_UINT64:
                ((int64_t *)data)[i] = (int32_t)words[i];
                break;
            default:
                ((uint32_t *)data)[i] = words[i];
                break;
        }
    }
}

void tm_words_to_c4(const uint32_t *linear, uint32_t *c4, const tm_shape *shape) {
    size_t planes = (size_t)shape->dim[0], channels = (size_t)shape->dim[1],
           area = (size_t)shape->dim[2] * (size_t)shape->dim[3], blocks = (channels + 3) / 4;
    for (size_t n = 0; n < planes; n++)
        for (size_t c = 0; c < blocks * 4; c++)
            for (size_t p = 0; p < area; p++)
                c4[((n * blocks + c / 4) * area + p) * 4 + c % 4] =
                    c < channels ? linear[(n * channels + c) * area + p] : 0;
}

void tm_words_from_c4(const uint32_t *c4, uint32_t *linear, const tm_shape *shape) {
    size_t planes = (size_t)shape->dim[0], channels = (size_t)shape->dim[1],
           area = (size_t)shape->dim[2] * (size_t)shape->dim[3], blocks = (channels + 3) / 4;
    for (size_t n = 0; n < planes; n++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < area; p++)
                linear[(n * channels + c) * area + p] = c4[((n * blocks + c / 4) * area + p) * 4 + c % 4];
}
