// Label files: read back, and found in place when a format writes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "mask/result.h"
#include "pictures.h"
#include "readers.h"

enum { W = 40, H = 30 };

static tagmask_result *some_result(void) {
    static const char *const tags[] = {"cat", "coffee cup"};
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    float *probability = tm_calloc(W * H * 2, sizeof *probability);
    uint8_t *labels = tm_calloc(W * H, 1);
    fuzz_require(probability && labels, "no memory for a result");
    for (size_t y = 5; y < 20; y++) memset(labels + y * W + 3, y < 12 ? 1 : 2, 22);
    memset(labels + 7 * W + 6, 0, 3);
    fuzz_require(tm_result_create(W, H, tags, NULL, 2, probability, labels, (tm_region_rules){-1, -1, 0}, &result,
                                  &err) == TAGMASK_OK,
                 "a result can be made");
    return result;
}

static bool read_back(const char *format, const char *name, const uint8_t *data, size_t size) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = NULL;
    tagmask_status status =
        tagmask_result_read(format, fuzz_put(name, data, size), "photos/a.jpg", W, H, &result, &err);
    if (!fuzz_ok(status, &err, name)) {
        fuzz_require(!result, "an output is left alone on failure");
        return false;
    }
    for (size_t i = 0; i < (size_t)W * H; i++) {
        fuzz_require(tagmask_result_labels(result)[i] <= tagmask_result_tag_count(result), "a label has a tag");
    }
    tagmask_result_free(result);
    return true;
}

// A file that is refused must stay byte for byte; one that is replaced must be readable again.
static bool write_over(const char *format, const char *name, const uint8_t *data, size_t size) {
    static tagmask_result *result;
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *after = NULL;
    size_t after_size = 0;
    if (!result) result = some_result();
    const char *path = fuzz_put(name, data, size);
    tagmask_status status = tagmask_result_write(result, format, "a.jpg", NULL, fuzz_folder(), &err);
    fuzz_require(tm_read_file(path, 1 << 24, &after, &after_size, NULL) == TAGMASK_OK, "the label file is there");
    bool written = fuzz_ok(status, &err, name);
    if (!written) {
        fuzz_require(after_size == size && (!size || !memcmp(after, data, size)), "a refused file stays as it was");
    } else {
        tagmask_result *again = NULL;
        // What a person left in it is kept as it is, also shapes that cannot be read.
        fuzz_ok(tagmask_result_read(format, path, "a.jpg", W, H, &again, &err), &err, name);
        tagmask_result_free(again);
    }
    free(after);
    return written;
}

static bool seed_written(const char *format, const char *name, uint8_t **data, size_t *size) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_result *result = some_result();
    const char *path = fuzz_path(name);
    remove(path);
    remove(fuzz_path(".tagmask-yolo"));
    fuzz_require(tagmask_result_write(result, format, "a.jpg", NULL, fuzz_folder(), &err) == TAGMASK_OK &&
                     tm_read_file(path, 1 << 20, data, size, &err) == TAGMASK_OK,
                 err.message);
    tagmask_result_free(result);
    return true;
}

// A format's reader, which also gets what other programs write, and the one that finds its file in place; merges: it
// takes what other programs write there, too, and does not refuse it.
#define LABEL_READERS(id, text, format, file, merges, ...)                          \
    static bool read_##id(const uint8_t *data, size_t size) {                       \
        return read_back(format, file, data, size);                                 \
    }                                                                               \
    static bool seed_##id(size_t index, uint8_t **data, size_t *size) {             \
        static const char *const others[] = {__VA_ARGS__};                          \
        if (!index) return seed_written(format, file, data, size);                  \
        return fuzz_text_seed(others, TM_ARRAY_LEN(others), index - 1, data, size); \
    }                                                                               \
    static bool write_##id(const uint8_t *data, size_t size) {                      \
        return write_over(format, file, data, size);                                \
    }                                                                               \
    static bool seed_kept_##id(size_t index, uint8_t **data, size_t *size) {        \
        return (!index || merges) && seed_##id(index, data, size);                  \
    }                                                                               \
    const fuzz_reader fuzz_##id = {text, "labels", read_##id, seed_##id, NULL};     \
    const fuzz_reader fuzz_kept_##id = {"kept-" text, "labels", write_##id, seed_kept_##id, NULL};

LABEL_READERS(
    labelme, "labelme", "labelme", "a.json",
    "{\"version\": \"5.0\", \"flags\": {}, \"imageWidth\": 40, \"imageHeight\": 30, \"imagePath\": \"a.jpg\", "
    "\"shapes\": ["
    "{\"label\": \"a\", \"points\": [[1, 2], [30.5, 3], [20, 25]], \"shape_type\": \"polygon\", \"group_id\": 1},"
    "{\"label\": \"b\", \"points\": [[1, 2], [9, 13]], \"shape_type\": \"rectangle\"},"
    "{\"label\": \"c\", \"points\": [[20, 20], [24, 23]], \"shape_type\": \"circle\"},"
    "{\"label\": \"d\", \"points\": [[2, 2], [3, 3]], \"shape_type\": \"mask\", \"mask\": "
    "\"iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR4nGNg+M/w/z8ABv8C/tiFgRoAAAAASUVORK5CYII=\"},"
    "{\"label\": \"e\", \"points\": [[2, 2]], \"shape_type\": \"point\"}]}")
LABEL_READERS(
    coco, "coco", "coco", "coco.json",
    "{\"images\": [{\"id\": 5, \"file_name\": \"x/a.jpg\", \"width\": 40, \"height\": 30}],"
    "\"categories\": [{\"id\": 3, \"name\": \"cat\"}], \"annotations\": ["
    "{\"id\": 1, \"image_id\": 5, \"category_id\": 3, \"segmentation\": [[1, 2, 30, 3, 20.5, 25], [0, 0, 3, 0, 3, 3]]},"
    "{\"id\": 2, \"image_id\": 5, \"category_id\": 3, \"segmentation\": {\"size\": [30, 40], \"counts\": [100, 50, "
    "1050]}},"
    "{\"id\": 3, \"image_id\": 5, \"category_id\": 3, \"segmentation\": {\"size\": [30, 40], \"counts\": "
    "\"T3b1`<ROV7\"}}]}")
LABEL_READERS(yolo, "yolo", "yolo", "a.txt", false, "0 0.1 0.1 0.9 0.1 0.5 0.8\n3 0 0 1 0 1 1 0 1\r\n")
LABEL_READERS(cvat, "cvat", "cvat", "cvat.xml", false,
              "<?xml version=\"1.0\"?>\n<annotations><version>1.1</version><image id=\"0\" name=\"a.jpg\" width=\"40\" "
              "height=\"30\"><polygon label=\"salt &amp; pepper\" points=\"1,2;30.5,3;20,25\"><attribute name=\"x\">y"
              "</attribute></polygon><mask label=\"dog\" rle=\"1, 3\" left=\"38\" top=\"28\" width=\"2\" height=\"2\"/>"
              "</image></annotations>")
LABEL_READERS(
    label_studio, "label-studio", "label-studio", "label-studio.json",
    "[{\"id\": 9, \"data\": {\"image\": \"/data/local-files/?d=x/a.jpg\"}, \"annotations\": [{\"result\": [{\"type\": "
    "\"polygonlabels\", \"original_width\": 40, \"original_height\": 30, \"value\": {\"points\": [[0, 0], [50, 0], "
    "[50, 99.5]], \"polygonlabels\": [\"cat\"]}}, {\"type\": \"choices\"}]}]}]")

// classes.txt beside a good label file.
static bool read_yolo_classes(const uint8_t *data, size_t size) {
    static const char labels[] = "0 0.1 0.1 0.9 0.1 0.5 0.8\n3 0 0 1 0 1 1 0 1\n";
    fuzz_put("classes.txt", data, size);
    bool read = read_back("yolo", "a.txt", (const uint8_t *)labels, strlen(labels));
    remove(fuzz_path("classes.txt"));
    return read;
}

static bool seed_yolo_classes(size_t index, uint8_t **data, size_t *size) {
    static const char *const texts[] = {"cat\nhot dog\r\n\ncow\n"};
    return fuzz_text_seed(texts, TM_ARRAY_LEN(texts), index, data, size);
}

const fuzz_reader fuzz_yolo_classes = {"yolo-classes", "labels", read_yolo_classes, seed_yolo_classes, NULL};

// labelmap.txt beside a good mask in colours.
static bool read_voc_labelmap(const uint8_t *data, size_t size) {
    static uint8_t colours[W * H * 3] = {[9] = 64, [30] = 128};
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *picture = NULL;
    size_t length = 0;
    fuzz_require(tm_png_encode(&(tm_png){.width = W, .height = H, .channels = 3, .pixels = colours}, &picture, &length,
                               &err) == TAGMASK_OK,
                 err.message);
    fuzz_put("labelmap.txt", data, size);
    bool read = read_back("voc", "a.png", picture, length);
    remove(fuzz_path("labelmap.txt"));
    free(picture);
    return read;
}

static bool seed_voc_labelmap(size_t index, uint8_t **data, size_t *size) {
    static const char *const texts[] = {
        "# label:color_rgb\r\nbackground:0,0,0::\r\ncat:64,0,0::\r\ndog:128,0,0:a,b:c\r\n",
        "background:::\n\ndog:::\ncat:64,0,0\n"};
    return fuzz_text_seed(texts, TM_ARRAY_LEN(texts), index, data, size);
}

const fuzz_reader fuzz_voc_labelmap = {"voc-labelmap", "labels", read_voc_labelmap, seed_voc_labelmap, NULL};

static bool write_voc(const uint8_t *data, size_t size) {
    return write_over("voc", "a.png", data, size);
}

static bool seed_voc(size_t index, uint8_t **data, size_t *size) {
    return !index && seed_written("voc", "a.png", data, size);
}

const fuzz_reader fuzz_kept_voc = {"kept-voc", "labels", write_voc, seed_voc, png_repair};
