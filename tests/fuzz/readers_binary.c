// Pictures, networks, arrays and caches.
#include <stdlib.h>
#include <string.h>

#include "io/image.h"
#include "io/npy.h"
#include "io/read.h"
#include "mask/view_cache.h"
#include "models.h"
#include "pictures.h"
#include "readers.h"

// What the address sanitizer calls wrong is found by reading every byte.
static void touch(const void *memory, size_t size) {
    static volatile uint64_t sink;
    sink = tm_hash64(memory, size, sink);
}

// ---- Pictures

static bool read_image(const uint8_t *data, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_image image = {.width = 77};
    tagmask_status status = tm_image_decode("the picture", data, size, &image, &err);
    if (!fuzz_ok(status, &err, "the picture")) {
        fuzz_require(image.width == 77, "an output is left alone on failure");
        return false;
    }
    fuzz_require(image.width && image.height && image.stride >= (size_t)3 * image.width, "a picture has pixels");
    touch(image.pixels, image.stride * image.height);
    tagmask_image_release(&image);
    return true;
}

static bytes seed_png(size_t index) {
    uint8_t pixels[16 * 8 * 8], exif[64];
    const struct spng_plte palette = {2, {{1, 2, 3, 0}, {200, 0, 0, 0}}};
    const struct spng_trns index_trns = {.n_type3_entries = 2, .type3_alpha = {0, 128}}, gray_trns = {.gray = 3};
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 7);
    const struct {
        png_options options;
        size_t row;
    } kinds[] = {
        {{SPNG_COLOR_TYPE_TRUECOLOR, 8, 0}, 48},
        {{SPNG_COLOR_TYPE_TRUECOLOR, 16, 0}, 96},
        {{SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 16, 0}, 128},
        {{SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 8, 0}, 32},
        {{SPNG_COLOR_TYPE_GRAYSCALE, 2, 0, NULL, &gray_trns}, 4},
        {{SPNG_COLOR_TYPE_INDEXED, 1, 0, &palette, &index_trns}, 2},
        {{SPNG_COLOR_TYPE_TRUECOLOR, 8, 0, NULL, NULL, exif + 6, make_exif(exif, 6) - 6}, 48},
    };
    if (index == TM_ARRAY_LEN(kinds)) return make_interlaced_png();
    if (index > TM_ARRAY_LEN(kinds)) return (bytes){0};
    if (kinds[index].options.color_type == SPNG_COLOR_TYPE_INDEXED) memset(pixels, 0xaa, sizeof pixels);
    return make_png(16, 8, kinds[index].options, pixels, kinds[index].row * 8);
}

static bool seed_image(size_t index, uint8_t **data, size_t *size) {
    uint8_t pixels[24 * 16 * 4], exif[64];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 5 ^ i >> 4);
    const struct {
        int channels;
        jpeg_options options;
    } kinds[] = {
        {3, {JCS_RGB, JCS_YCbCr}},
        {3, {JCS_RGB, JCS_YCbCr, true, false, exif, make_exif(exif, 5)}},
        {1, {JCS_GRAYSCALE, JCS_GRAYSCALE}},
        {4, {JCS_CMYK, JCS_YCCK}},
        {4, {JCS_CMYK, JCS_CMYK, true, true}},
    };
    bytes file = index < TM_ARRAY_LEN(kinds) ? make_jpeg(24, 16, kinds[index].channels, kinds[index].options, pixels)
                                             : seed_png(index - TM_ARRAY_LEN(kinds));
    *data = file.data;
    *size = file.size;
    return file.data != NULL;
}

const fuzz_reader fuzz_image = {"image", "image", read_image, seed_image, png_repair};

// VOC's index maps, in place of one of 16 x 8.
static bool read_voc(const uint8_t *data, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    tagmask_status status =
        tagmask_result_read("voc", fuzz_put("map.png", data, size), "map.jpg", 16, 8, &result, &err);
    if (!fuzz_ok(status, &err, "map.png")) {
        fuzz_require(!result, "an output is left alone on failure");
        return false;
    }
    touch(tagmask_result_labels(result), 16 * 8);
    tagmask_result_free(result);
    return true;
}

static bool seed_voc(size_t index, uint8_t **data, size_t *size) {
    static const uint8_t labels[16 * 8] = {[18] = 1, 1, 1, [34] = 2, 1, 255, [60] = 21};
    static const uint8_t palette[256 * 3] = {[3] = 128};
    const tm_png kinds[] = {
        {16, 8, 1, 0, labels, palette, 256, TM_VOC_NAMES, "[\"cat\", \"hot dog\"]"},
        {16, 8, 1, 0, labels, NULL, 0, NULL, NULL},
    };
    if (index < TM_ARRAY_LEN(kinds)) return tm_png_encode(&kinds[index], data, size, NULL) == TAGMASK_OK;
    const struct spng_plte two = {2, {{1, 2, 3, 0}, {200, 0, 0, 0}}};
    bytes file = index > TM_ARRAY_LEN(kinds)
                     ? (bytes){0}
                     : make_png(16, 8, (png_options){SPNG_COLOR_TYPE_INDEXED, 1, 0, &two, NULL, NULL, 0}, labels, 16);
    *data = file.data;
    *size = file.size;
    return file.data != NULL;
}

const fuzz_reader fuzz_voc = {"voc", "labels", read_voc, seed_voc, png_repair};

// ---- Networks, as far as they go without a device: import, passes, shapes, memory plan

enum { PATTERNS = 5, LARGEST = 4096 };  // LARGEST: elements that an input gets values for

// Inputs that decide shapes: nothing, small numbers, -1, the limits of their type and of int32.
static void fill(int64_t *words, size_t count, tm_dtype dtype, int pattern) {
    static const int64_t limits[] = {INT64_MAX, INT64_MIN,        INT64_C(1) << 32, INT32_MAX,
                                     -2,        INT64_C(1) << 62, INT32_MIN};
    static const float odd[] = {1e30f, -1.0f, 0.0f, 1e-30f, 16777216.0f, -1e30f, 0.5f};
    float *floats = (float *)words;
    int32_t *halves = (int32_t *)words;
    for (size_t i = 0; i < count; i++) {
        int64_t value = pattern == 1 ? (int64_t)(i % 4) + 1 : pattern == 2 ? -1 : 0;
        if (pattern > 2) value = limits[(i + (size_t)pattern) % TM_ARRAY_LEN(limits)];
        if (dtype == TM_FLOAT32)
            floats[i] = pattern > 2 ? odd[(i + (size_t)pattern) % TM_ARRAY_LEN(odd)] : (float)value;
        else if (dtype == TM_INT32 || dtype == TM_UINT32)
            halves[i] = (int32_t)TM_CLAMP(value, INT32_MIN, INT32_MAX);
        else
            words[i] = value;
    }
    if (dtype == TM_BOOL) memset(words, pattern > 0, count);
}

// What the file leaves open of a shape.
static void close_shape(tm_shape *shape, int pattern) {
    if (shape->rank < 0) *shape = (tm_shape){4, {1, 4, 6, 5}};
    for (int32_t d = 0; d < shape->rank; d++) {
        if (shape->dim[d] < 0) shape->dim[d] = pattern == 1 ? 1 : pattern == 2 ? 0 : pattern == 3 ? 1 << 20 : d + 4;
    }
}

// last: the shape of the last input, NULL: what the file says. first: becomes that of the first output; may be NULL.
static bool plan(tm_graph *graph, int pattern, const tm_shape *last, tm_shape *first) {
    static int64_t values[16][LARGEST];
    tm_host_tensor inputs[16];
    const tm_value_info *infos;
    size_t count = tm_graph_inputs(graph, &infos), elements;
    if (count > TM_ARRAY_LEN(inputs)) return false;
    for (size_t i = 0; i < count; i++) {
        tm_shape shape = infos[i].shape;
        if (last && i + 1 == count) shape = *last;
        close_shape(&shape, pattern);
        bool known = tm_shape_count(&shape, &elements) && elements <= LARGEST;
        if (known) fill(values[i], elements, infos[i].dtype, pattern);
        inputs[i] = (tm_host_tensor){infos[i].dtype, shape, known ? values[i] : NULL};
    }
    tm_error err = TAGMASK_ERROR_INIT;
    tm_plan *made = NULL;
    if (!fuzz_ok(tm_graph_plan(graph, inputs, count, &made, &err), &err, NULL)) return false;
    tm_layer_info layer;
    for (size_t i = 0; tm_plan_layer(made, i, &layer); i++) touch(layer.name, strlen(layer.name));
    count = tm_graph_outputs(graph, &infos);
    if (first) *first = tm_plan_output(made, 0).shape;
    for (size_t i = 0; i < count; i++) {
        const tm_host_tensor *host = tm_plan_output_host(made, i);
        if (host && tm_shape_count(&host->shape, &elements)) touch(host->data, elements);
    }
    return true;
}

// The same network for gradients of its first output by its first input. y: the output's shape.
static void differentiate(const uint8_t *data, size_t size, const char *input, const tm_shape *y) {
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    const tm_gradient request = {NULL, &input, 1, TM_FP32};
    tagmask_status status =
        tm_graph_load_gradient_memory(NULL, data, size, "the network", &request, NULL, 0, &graph, &err);
    if (!fuzz_ok(status, &err, "the network")) {
        fuzz_require(!graph, "an output is left alone on failure");
        return;
    }
    plan(graph, 0, y, NULL);
    tm_graph_free(graph);
}

static bool read_onnx(const uint8_t *data, size_t size) {
    tm_graph *graph = NULL;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_cam_head head;
    tagmask_status status = tm_graph_load_memory(NULL, data, size, "the network", NULL, 0, &graph, &err);
    if (!fuzz_ok(status, &err, "the network")) {
        fuzz_require(!graph, "an output is left alone on failure");
        return false;
    }
    if (tm_graph_cam_head(graph, 0, &head, &err) == TAGMASK_OK) {
        touch(head.weight, (size_t)(head.classes * head.channels) * sizeof *head.weight);
    }
    tm_shape y;
    const tm_value_info *inputs;
    bool planned = plan(graph, 0, NULL, &y);
    for (int pattern = 1; pattern < PATTERNS; pattern++) plan(graph, pattern, NULL, NULL);
    if (planned && tm_graph_inputs(graph, &inputs) > 0) differentiate(data, size, inputs[0].name, &y);
    tm_graph_free(graph);
    return planned;
}

static bool seed_onnx(size_t index, uint8_t **data, size_t *size) {
    onnx_model *model = index > 1 ? operator_model(index - 2) : index ? small_network() : small_model();
    if (!model) return false;
    *data = onnx_bytes(model, size);
    onnx_free(model);
    return true;
}

const fuzz_reader fuzz_onnx = {"onnx", "onnx", read_onnx, seed_onnx, NULL};

// ---- Arrays

static bool read_npy(const uint8_t *data, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tensor tensor = {.struct_size = sizeof tensor};
    if (!fuzz_ok(tm_npy_parse("x.npy", data, size, &tensor, &err), &err, "x.npy")) return false;
    size_t count = 1;
    for (int32_t i = 0; i < tensor.rank; i++) count *= (size_t)tensor.dims[i];
    touch(tensor.data, count);
    free(tensor.data);
    return true;
}

static bool seed_npy(size_t index, uint8_t **data, size_t *size) {
    static const struct {
        const char *header;
        size_t bytes;
    } kinds[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24},
        {"{'descr': '<f8', 'fortran_order': True, 'shape': (3, 2), }\n", 48},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }\n", 4},
        {"{'descr': '<u2', 'fortran_order': True, 'shape': (1, 2, 1, 3), }\n", 12},
    };
    if (index >= TM_ARRAY_LEN(kinds)) return false;
    size_t length = strlen(kinds[index].header);
    *size = 10 + length + kinds[index].bytes;
    *data = tm_calloc(*size, 1);
    fuzz_require(*data != NULL, "no memory for a seed");
    memcpy(*data, "\x93NUMPY\1\0", 8);
    (*data)[8] = (uint8_t)length;
    memcpy(*data + 10, kinds[index].header, length);
    return true;
}

const fuzz_reader fuzz_npy = {"npy", "tables", read_npy, seed_npy, NULL};

// ---- Caches

static const tm_view_key view_key = {.photo = 1, .view = 2, .score_count = 3, .output_count = 2};

static bool read_view_cache(const uint8_t *file, size_t size) {
    tm_tensor outputs[TM_VIEW_OUTPUTS];
    const uint8_t *data = tm_view_cache_decode(&view_key, file, size, outputs);
    if (!data) return false;
    size_t total = view_key.score_count * 4;
    for (size_t i = 0; i < view_key.output_count; i++) total += tm_layout_bytes(&outputs[i].shape, outputs[i].layout);
    fuzz_require((size_t)(data - file) + total == size, "a cache file holds what its shapes say");
    touch(data, total);
    return true;
}

static bool seed_view_cache(size_t index, uint8_t **data, size_t *size) {
    const tm_tensor outputs[] = {{TM_FLOAT32, TM_C4, {4, {1, 5, 2, 3}}, {0}},
                                 {TM_FLOAT32, TM_LINEAR, {4, {1, 4, 1, 2}}, {0}}};
    size_t start;
    if (index) return false;
    *data = tm_view_cache_encode(&view_key, outputs, &start, size);
    fuzz_require(*data != NULL, "no memory for a seed");
    tm_view_cache_seal(*data, *size);
    return true;
}

const fuzz_reader fuzz_view_cache = {"view-cache", "tables", read_view_cache, seed_view_cache, tm_view_cache_seal};
