/* SPDX-License-Identifier: Apache-2.0
 *
 * tagmask: tags in, masks out. This header is the manual of the C ABI.
 *
 * The way of a photo: open a device, open a model pack for classification and one for saliency, make an engine of them,
 * make a session for a photo, propose masks for tags, read the result.
 *
 *     tagmask_device *device; tagmask_engine *engine; tagmask_session *session; tagmask_result *result;
 *     tagmask_error error = TAGMASK_ERROR_INIT;
 *     tagmask_device_open(NULL, &device, &error);
 *     tagmask_engine_create(device, NULL, NULL, &engine, &error);
 *     tagmask_session_create(engine, &photo, &session, &error);
 *     const char *tags[] = {"cat"};
 *     tagmask_propose(session, tags, 1, NULL, &result, &error);
 *
 * Rules
 * - Structs that the caller fills start with struct_size = sizeof(the struct), so that old programs run with newer
 *   libraries: members beyond the caller's struct_size count as zero, and zero always means "the default".
 * - Handles are opaque. Who creates frees; freeing NULL is allowed, and getters answer NULL with 0, NULL or ARGUMENT.
 *   Free children before parents: results whenever you like, sessions before their engine, engines and networks before
 *   their device. Pointers that a getter returns belong to the handle and live as long as it, unless said otherwise.
 * - Every function that can fail returns a tagmask_status and fills *error (which may be NULL) with one sentence that
 *   names the file or element, what was expected and what to do. On failure outputs are untouched.
 * - Strings are UTF-8. Images are row-major from the top left; x grows to the right, y downwards; the pixel (x, y)
 *   covers [x, x+1) x [y, y+1).
 * - Threads: each function carries a mark. [any thread]: call it whenever you like, also at the same time as others on
 *   the same handle. [one thread]: one thread at a time for the handle that is its first argument; other handles may be
 *   in use at the same time, also when they share a device or an engine. Nobody may use a handle while it is freed.
 * - Nothing is downloaded, nothing leaves the machine.
 */
#ifndef TAGMASK_H
#define TAGMASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#if defined(TAGMASK_BUILD)
#define TAGMASK_API __declspec(dllexport)
#else
#define TAGMASK_API __declspec(dllimport)
#endif
#else
#define TAGMASK_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define TAGMASK_VERSION_MAJOR 0
#define TAGMASK_VERSION_MINOR 1
#define TAGMASK_VERSION_PATCH 0

/* ---- Status and errors ------------------------------------------------------------------------------------------- */

typedef enum tagmask_status {
    TAGMASK_OK = 0,
    TAGMASK_ERROR_ARGUMENT = 1,      /* a value the caller passed is outside its documented range */
    TAGMASK_ERROR_FILE = 2,          /* a file cannot be opened, read or written */
    TAGMASK_ERROR_FORMAT = 3,        /* a file's content is damaged or not what its name says */
    TAGMASK_ERROR_UNSUPPORTED = 4,   /* well-formed, but outside what tagmask can do */
    TAGMASK_ERROR_MEMORY = 5,        /* host memory is exhausted */
    TAGMASK_ERROR_NO_DEVICE = 6,     /* no Vulkan loader, driver or matching device */
    TAGMASK_ERROR_DEVICE_MEMORY = 7, /* device memory or its budget is exhausted */
    TAGMASK_ERROR_DEVICE_LOST = 8,   /* the device stopped working; a new device handle is needed */
    TAGMASK_ERROR_TIMEOUT = 9,       /* the device did not answer in time */
    TAGMASK_ERROR_ABORTED = 10,      /* the progress callback asked to stop */
    TAGMASK_ERROR_UNKNOWN_TAG = 11,  /* the tag is in no vocabulary; the message offers the nearest names */
    TAGMASK_ERROR_INTERNAL = 12      /* a defect of tagmask; please report it */
} tagmask_status;

typedef struct tagmask_error {
    tagmask_status status;
    char message[1020]; /* one sentence, zero-terminated */
} tagmask_error;
#define TAGMASK_ERROR_INIT \
    {                      \
        TAGMASK_OK, {      \
            0              \
        }                  \
    }

typedef enum tagmask_log_level {
    TAGMASK_LOG_DEBUG = 0,
    TAGMASK_LOG_INFO = 1,
    TAGMASK_LOG_WARNING = 2,
    TAGMASK_LOG_ERROR = 3
} tagmask_log_level;
typedef void (*tagmask_log_fn)(void *user, tagmask_log_level level, const char *message);

/* Sends log lines to fn (NULL: warnings and errors to stderr). The environment variable TAGMASK_LOG (debug, info,
 * warning, error, off) sets the lowest level. fn is called from whichever thread logs. [any thread; set it before other
 * calls] */
TAGMASK_API void tagmask_set_log(tagmask_log_fn fn, void *user);
/* "0.1.0" [any thread] */
TAGMASK_API const char *tagmask_version(void);

/* Called between stages, and between the passes of a network, with 0 <= done <= 1 and the stage's name; return false to
 * stop (TAGMASK_ERROR_ABORTED). Called on the thread that runs the function. */
typedef bool (*tagmask_progress_fn)(void *user, float done, const char *stage);

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

typedef struct tagmask_device tagmask_device;

typedef struct tagmask_device_info {
    size_t struct_size;
    char name[256];
    char driver[256];
    char type[16];    /* "discrete", "integrated", "virtual", "cpu" or "other" */
    char kernels[16]; /* kernel class chosen for it: "gpu", "lavapipe", "swiftshader" */
    uint32_t index;   /* pass its decimal text to tagmask_device_open */
    uint32_t api_major, api_minor, api_patch;
    uint64_t memory_bytes; /* size of the largest device-local heap */
} tagmask_device_info;

/* Fills at most capacity entries (each entry's struct_size is set by the caller) in order of preference and sets *count
 * to the number there are. infos may be NULL when capacity is 0. Errors: NO_DEVICE. [any thread] */
TAGMASK_API tagmask_status tagmask_devices(tagmask_device_info *infos, size_t capacity, size_t *count,
                                           tagmask_error *error);
/* selector: NULL (the environment variable TAGMASK_DEVICE, else the most preferred device), an index, or part of a
 * name. Errors: NO_DEVICE. [any thread] */
TAGMASK_API tagmask_status tagmask_device_open(const char *selector, tagmask_device **device, tagmask_error *error);
/* [one thread] */
TAGMASK_API void tagmask_device_close(tagmask_device *device);
/* What tagmask_devices says of this one; info's struct_size is set by the caller. [any thread] */
TAGMASK_API tagmask_status tagmask_device_get_info(const tagmask_device *device, tagmask_device_info *info);

typedef struct tagmask_device_stats {
    size_t struct_size;
    uint64_t memory_now, memory_peak, allocations; /* device memory, bytes and live allocations */
    uint64_t dispatches, submits, pipelines;       /* since the device was opened */
    double pipeline_ms;                            /* time spent creating pipelines */
    uint64_t validation_errors;                    /* messages of active Vulkan validation layers */
    double longest_submit_ms; /* of the work that ended last: a network's run, a stage of a proposal */
} tagmask_device_stats;
/* stats' struct_size is set by the caller. [any thread] */
TAGMASK_API tagmask_status tagmask_device_get_stats(const tagmask_device *device, tagmask_device_stats *stats);

/* ---- Networks: raw inference ------------------------------------------------------------------------------------ */

typedef struct tagmask_network tagmask_network;

typedef enum tagmask_dtype { /* numbers as in ONNX */
                             TAGMASK_FLOAT32 = 1,
                             TAGMASK_UINT8 = 2,
                             TAGMASK_INT8 = 3,
                             TAGMASK_INT32 = 6,
                             TAGMASK_INT64 = 7,
                             TAGMASK_BOOL = 9
} tagmask_dtype;

/* A dense row-major tensor of at most 8 dimensions; a dimension of -1 in a description is dynamic. */
typedef struct tagmask_tensor {
    size_t struct_size;
    const char *name;
    tagmask_dtype dtype;
    int32_t rank;
    int64_t dims[8];
    void *data;
} tagmask_tensor;

typedef struct tagmask_network_stats {
    size_t struct_size;
    uint64_t activation_bytes, liveness_bytes, weight_bytes;
    double flops;
    uint64_t dispatches;
} tagmask_network_stats;

/* Loads an ONNX model (opset 1 to 28). outputs names inner tensors to return besides the model's own (may be
 * NULL). [any thread] */
TAGMASK_API tagmask_status tagmask_network_load(tagmask_device *device, const char *path, const char *const *outputs,
                                                size_t output_count, tagmask_network **network, tagmask_error *error);
/* How networks are held on the device. */
typedef struct tagmask_load_options {
    size_t struct_size;
    /* Of the constant weights of convolutions and matrix products: "fp32" (default) or "fp16", which halves their
     * memory and the bytes that are read for them. Everything is computed in 32 bits either way; weights that a 16-bit
     * float cannot hold (beyond 65504, or all too small) stay 32-bit ones. */
    const char *precision;
    /* Of engines only: two more packs, named as the first two are, which are loaded when a preset first asks for them.
     * "none": not at all. NULL: beside the default classifier the default, if its pack is installed; else none.
     * second: a classifier of the same classes, asked beside the first. Default: "efficientnet-lite1".
     *
     * features: a network that describes places (docs/packs.md), so that places of one object are known to belong
     * together. Default: "vit-s-focus". */
    const char *second, *features;
} tagmask_load_options;
/* tagmask_network_load with options (NULL: the defaults). Errors also: ARGUMENT (an unknown precision). [any thread] */
TAGMASK_API tagmask_status tagmask_network_load_with(tagmask_device *device, const char *path,
                                                     const char *const *outputs, size_t output_count,
                                                     const tagmask_load_options *options, tagmask_network **network,
                                                     tagmask_error *error);
/* [one thread] */
TAGMASK_API void tagmask_network_free(tagmask_network *network);
/* Descriptions without data; *tensors is valid as long as the network. They return how many there are. [any thread] */
TAGMASK_API size_t tagmask_network_inputs(const tagmask_network *network, const tagmask_tensor **tensors);
TAGMASK_API size_t tagmask_network_outputs(const tagmask_network *network, const tagmask_tensor **tensors);
/* inputs: one tensor an input in the network's order, with concrete dims. outputs: room for every output; each data is
 * allocated by tagmask and released with tagmask_tensor_release. Blocks until done. Errors: ARGUMENT
 * (name, type or shape of an input), DEVICE_MEMORY, DEVICE_LOST, TIMEOUT. [one thread] */
TAGMASK_API tagmask_status tagmask_network_run(tagmask_network *network, const tagmask_tensor *inputs,
                                               size_t input_count, tagmask_tensor *outputs, tagmask_error *error);
/* Frees data and sets it to NULL. [one thread] */
TAGMASK_API void tagmask_tensor_release(tagmask_tensor *tensor);
/* Of the plan that ran last. [one thread] */
TAGMASK_API tagmask_status tagmask_network_get_stats(const tagmask_network *network, tagmask_network_stats *stats);

/* A tensor that an operator of the network computes. Its name can be passed as an output to tagmask_network_load and as
 * tagmask_params.layer. */
typedef struct tagmask_layer {
    size_t struct_size;
    const char *name;
    const char *op;  /* ONNX operator, "Conv" */
    int32_t rank;    /* -1: unknown */
    int64_t dims[8]; /* -1: unknown */
    bool cam;        /* the layer whose map a CAM takes by default: the features before the last pooling */
    bool map;        /* the layer whose map other methods take by default: that one, or the last with places, or the
                        tokens of a transformer's last block */
    bool attention;  /* the probabilities of an attention block, or the operator Attention */
} tagmask_layer;
/* The layers in the order of computation, with the shapes of the run that came last (unknown before the first run).
 * Layers that were merged into their neighbours are not listed. Valid until the next run. [one thread] */
TAGMASK_API size_t tagmask_network_layers(const tagmask_network *network, const tagmask_layer **layers);

/* ---- Images ----------------------------------------------------------------------------------------------------- */

/* 8-bit sRGB, three bytes a pixel, rows of stride bytes (0: 3 * width). */
typedef struct tagmask_image {
    size_t struct_size;
    uint32_t width, height;
    size_t stride;
    const uint8_t *pixels;
} tagmask_image;

/* Reads PNG or JPEG (gray, palette, 16-bit, CMYK and alpha are converted; the EXIF orientation is applied). *image (its
 * struct_size is set by the caller) is released with tagmask_image_release. [any thread] */
TAGMASK_API tagmask_status tagmask_image_read(const char *path, tagmask_image *image, tagmask_error *error);
/* Frees what tagmask_image_read allocated. [one thread] */
TAGMASK_API void tagmask_image_release(tagmask_image *image);

/* ---- Engine: a device with its model packs ---------------------------------------------------------------------- */

typedef struct tagmask_engine tagmask_engine;

/* classifier and saliency name a pack: a folder with pack.json, or a name looked up in TAGMASK_MODELS, the installed
 * data folder and build/models of a build tree. NULL: "efficientnet-lite0" and "u2netp"; saliency "none": no saliency
 * network. device NULL: an engine that knows tags and makes no sessions. Errors: FILE, FORMAT, UNSUPPORTED,
 * DEVICE_MEMORY. [any thread] */
TAGMASK_API tagmask_status tagmask_engine_create(tagmask_device *device, const char *classifier, const char *saliency,
                                                 tagmask_engine **engine, tagmask_error *error);
/* The same with options for all networks (NULL: the defaults). Errors also: ARGUMENT (an unknown precision). [any
 * thread] */
TAGMASK_API tagmask_status tagmask_engine_create_with(tagmask_device *device, const char *classifier,
                                                      const char *saliency, const tagmask_load_options *options,
                                                      tagmask_engine **engine, tagmask_error *error);
/* [one thread] */
TAGMASK_API void tagmask_engine_free(tagmask_engine *engine);

/* What a tag means to the engine's classifier. classes belong to the engine and live as long as it. */
typedef struct tagmask_tag_info {
    size_t struct_size;
    const char *name;       /* canonical name, for example "aeroplane" for "airplane" */
    const int32_t *classes; /* class indices of the classifier, ascending */
    size_t class_count;     /* 0: a known word without a class; its masks come from saliency alone */
    const char *note;       /* how it was resolved, for people; may be "" */
} tagmask_tag_info;
/* Resolves a name, synonym or hypernym ("dog" is 118 breeds), or explicit class indices "#281,282". Errors: UNKNOWN_TAG
 * with the nearest names. [any thread] */
TAGMASK_API tagmask_status tagmask_engine_resolve_tag(tagmask_engine *engine, const char *tag, tagmask_tag_info *info,
                                                      tagmask_error *error);
/* Classes of the classifier. [any thread] */
TAGMASK_API size_t tagmask_engine_class_count(const tagmask_engine *engine);
/* "Egyptian cat"; NULL beyond the last class. [any thread] */
TAGMASK_API const char *tagmask_engine_class_name(const tagmask_engine *engine, size_t index);
/* The vocabulary of tags, sorted; NULL beyond the last. [any thread] */
TAGMASK_API const char *tagmask_engine_vocabulary(const tagmask_engine *engine, size_t index);

/* ---- Parameters ------------------------------------------------------------------------------------------------- */

/* Every member 0: the default of the preset. Ranges are checked; a value outside is an error that names it. */
typedef struct tagmask_params {
    size_t struct_size;
    const char *preset;    /* "fast", "balanced" (default), "best", or a JSON file: its name has a dot or a slash */
    const char *method;    /* how the classifier's map is made: "cam" (default), "gradcam", ...: docs/maps.md */
    const char *layer;     /* whose map: a tagmask_layer.name; several with commas between; NULL: docs/maps.md */
    uint32_t working_size; /* long side at which maps are fused and refined, 128..2048, default 640 */
    float threshold;       /* probability from which a pixel belongs to a tag, 0.0001..0.9999, default: the preset's */
    float crf_gaussian_sxy, crf_gaussian_compat;                       /* as in pydensecrf; default 3, 3 */
    float crf_bilateral_sxy, crf_bilateral_srgb, crf_bilateral_compat; /* default 50, 5, 5 */
    int32_t crf_iterations;                                            /* 1..50, default 5; -1: no CRF */
    /* Parts smaller than this share of the tag's largest part are dropped, default 0.05; -1: keep all. */
    float min_part;
    float polygon_tolerance; /* px, Douglas-Peucker, default 1; -1: every corner */
    /* Network outputs are kept in this folder and found again for the same photo and pack; NULL: nowhere. */
    const char *cache_dir;
    tagmask_progress_fn progress; /* NULL: none */
    void *progress_user;
    uint32_t max_parts; /* of each tag the largest parts are kept, at most this many (1: one shape a tag); 0: all */
    /* A tag gets no region when the classifier sees its classes nowhere in the photo: the largest share that they have
     * of a place (a softmax over all classes, place by place) is less than this, 0..1. Its probability is made all the
     * same and its note says so. Default 0.016; -1: every tag gets one. Networks without class weights for their
     * features (docs/maps.md) compare how probable the class is beside the photo's most probable one. */
    float score_limit;
    bool keep_maps; /* results hold the class maps, which the formats "map" and "map-npy" write: 4 bytes a pixel of the
                       working size */
} tagmask_params;
/* Fills params (its struct_size is set by the caller) with the numbers that its zeros stand for in a preset (NULL:
 * "balanced"), for a host that shows them. Texts, cache and progress are left NULL. Errors: ARGUMENT. [any thread] */
TAGMASK_API tagmask_status tagmask_params_default(const char *preset, tagmask_params *params, tagmask_error *error);
/* A preset with every member as a JSON object, which may be saved, changed and given as a preset file
 * (docs/presets.md). text (*size bytes, may be NULL when *size is 0) receives as much of it as fits, always ended by 0;
 * *size becomes what the whole needs. Errors: ARGUMENT, FILE, MEMORY. [any thread] */
TAGMASK_API tagmask_status tagmask_preset_text(const char *preset, char *text, size_t *size, tagmask_error *error);
/* Fails as tagmask_propose with these params would for every photo (NULL: the defaults), before there is one. Errors:
 * ARGUMENT, UNSUPPORTED. [any thread] */
TAGMASK_API tagmask_status tagmask_engine_check_params(const tagmask_engine *engine, const tagmask_params *params,
                                                       tagmask_error *error);

/* ---- Sessions and results --------------------------------------------------------------------------------------- */

typedef struct tagmask_session tagmask_session;
typedef struct tagmask_result tagmask_result;

/* Copies the photo. Sides 1..65535. The first propose runs the networks; later calls recompute only what a changed tag
 * or parameter touches. Errors: ARGUMENT, MEMORY. [any thread] */
TAGMASK_API tagmask_status tagmask_session_create(tagmask_engine *engine, const tagmask_image *photo,
                                                  tagmask_session **session, tagmask_error *error);
/* [one thread] */
TAGMASK_API void tagmask_session_free(tagmask_session *session);
/* The k most probable classes' tags of the photo, most probable first: names belong to the engine. Runs the classifier
 * if that has not happened yet. k in 1..class count; *count is the number written. [one thread] */
TAGMASK_API tagmask_status tagmask_session_auto_tags(tagmask_session *session, const tagmask_params *params, size_t k,
                                                     const char **names, float *probabilities, size_t *count,
                                                     tagmask_error *error);
/* Proposes masks for all tags together (1..254 tags): they compete with each other and with the background for each
 * pixel. The result is independent of the session's later life. Errors: ARGUMENT, UNKNOWN_TAG, UNSUPPORTED (a tag that
 * these packs cannot find), MEMORY, DEVICE_MEMORY, DEVICE_LOST, TIMEOUT, ABORTED. [one thread] */
TAGMASK_API tagmask_status tagmask_propose(tagmask_session *session, const char *const *tags, size_t tag_count,
                                           const tagmask_params *params, tagmask_result **result, tagmask_error *error);
/* [one thread] */
TAGMASK_API void tagmask_result_free(tagmask_result *result);

/* What a stage of the session's last proposal made of one of its tags (its position there), so that a host can show how
 * a mask came about. stage is one of tagmask_stage_name:
 *   "cam"          class activation map over the views, less competing classes; working size
 *   "affinity"     the CAM spread over similar features (presets without that step: the CAM); working size
 *   "saliency"     of the whole photo, the same for every tag; working size
 *   "fused"        CAM and saliency fused; working size
 *   "refined"      the fused map along the photo's edges, of presets with the member edge; the CRF's size
 *   "probability"  after the CRF, what the threshold is compared with; the photo's size
 * *map (its struct_size is set by the caller) becomes float32 of rank 2, (height, width), 0..1, and is released with
 * tagmask_tensor_release; its name is the stage's. Errors: ARGUMENT (no such stage or tag, nothing proposed yet),
 * UNSUPPORTED (the stage knows nothing of the tag: no class for a CAM, no saliency network, a preset without it),
 * MEMORY, DEVICE_MEMORY, DEVICE_LOST. [one thread] */
TAGMASK_API tagmask_status tagmask_session_map(tagmask_session *session, const char *stage, size_t tag,
                                               tagmask_tensor *map, tagmask_error *error);
/* The stages in their order; NULL beyond the last. [any thread] */
TAGMASK_API const char *tagmask_stage_name(size_t index);

/* What a result holds; it never changes. All pointers belong to the result; tag is a position in the proposal's tags,
 * and beyond the last the answer is NULL. [any thread] */
TAGMASK_API uint32_t tagmask_result_width(const tagmask_result *result); /* of the photo, in pixels */
TAGMASK_API uint32_t tagmask_result_height(const tagmask_result *result);
TAGMASK_API size_t tagmask_result_tag_count(const tagmask_result *result);
TAGMASK_API const char *tagmask_result_tag(const tagmask_result *result, size_t tag); /* canonical name */
/* Probability of one tag, height x width floats in 0..1. */
TAGMASK_API const float *tagmask_result_probability(const tagmask_result *result, size_t tag);
/* Label map, height x width bytes: 0 background, 1.. the tag's position + 1. */
TAGMASK_API const uint8_t *tagmask_result_labels(const tagmask_result *result);
/* "" or a sentence about the whole tag, for example that it was proposed from saliency alone. */
TAGMASK_API const char *tagmask_result_note(const tagmask_result *result, size_t tag);

/* A connected part of a tag's mask. Outline points are pixel corners, x and y in turn, not closed; the outline runs
 * clockwise on the screen, holes counter-clockwise. */
typedef struct tagmask_region {
    size_t struct_size;
    size_t tag;
    float score;                       /* mean probability inside, 0..1 */
    uint64_t area;                     /* pixels */
    uint32_t left, top, right, bottom; /* inclusive bounding box */
    const float *outline;              /* 2 * outline_points numbers */
    size_t outline_points;
    size_t hole_count;
    const float *const *holes;
    const size_t *hole_points;
} tagmask_region;
/* Regions are in the order of the tags, the larger part first. [any thread] */
TAGMASK_API size_t tagmask_result_region_count(const tagmask_result *result);
/* region's struct_size is set by the caller; its pointers belong to the result. Errors: ARGUMENT. [any thread] */
TAGMASK_API tagmask_status tagmask_result_region(const tagmask_result *result, size_t index, tagmask_region *region);

/* ---- Label files ------------------------------------------------------------------------------------------------ */

/* Writes one photo's result in a format ("labelme", "coco", "voc", ...: tagmask_format_name lists them, docs/formats.md
 * describes them) into folder `out`, which is made if missing. A photo's own file takes the name of `photo_path` with
 * the format's ending; a format for many photos (coco, cvat, label-studio) has one file in `out`, to which the photo is
 * added. `photo` is needed by the pictures (overlay, heatmap, map). A file is written whole or not at all, and what a
 * person changed in it is kept. Errors: ARGUMENT (unknown format), FILE, FORMAT (what is there is no such label file),
 * UNSUPPORTED. [any thread; one at a time for a folder] */
TAGMASK_API tagmask_status tagmask_result_write(const tagmask_result *result, const char *format,
                                                const char *photo_path, const tagmask_image *photo, const char *out,
                                                tagmask_error *error);

/* The same for many photos: a format with one file for all reads it once, and writes it on the way when enough photos
 * wait and again when closed. [one thread; one writer at a time for a format in a folder] */
typedef struct tagmask_writer tagmask_writer;
/* Takes up the file that an earlier run left in `out`. Errors: ARGUMENT, FILE, FORMAT. [any thread] */
TAGMASK_API tagmask_status tagmask_writer_open(const char *format, const char *out, tagmask_writer **writer,
                                               tagmask_error *error);
/* As tagmask_result_write; photo_path and photo are needed during the call only. [one thread] */
TAGMASK_API tagmask_status tagmask_writer_add(tagmask_writer *writer, const tagmask_result *result,
                                              const char *photo_path, const tagmask_image *photo, tagmask_error *error);
/* The same for a photo of a folder with sub-folders: `name` is its path below that folder, such as "a/1.jpg". Its own
 * files go to the same folder of `out` (a/1.json), and a file with many photos calls it by that name, so that a/1.jpg
 * and b/1.jpg are two. tagmask_writer_add takes the file name of photo_path. [one thread] */
TAGMASK_API tagmask_status tagmask_writer_add_as(tagmask_writer *writer, const tagmask_result *result,
                                                 const char *photo_path, const char *name, const tagmask_image *photo,
                                                 tagmask_error *error);
/* Writes the photos that wait now. [one thread] */
TAGMASK_API tagmask_status tagmask_writer_flush(tagmask_writer *writer, tagmask_error *error);
/* Whether labels of the photo are there: its own files, or its entry in the file for many photos, be it written or
 * waiting. tags: as the result calls them, for formats with a file a tag. [one thread] */
TAGMASK_API bool tagmask_writer_has(const tagmask_writer *writer, const char *name, const char *const *tags,
                                    size_t tag_count);
/* Writes what waits and frees the writer, also when that fails. [one thread] */
TAGMASK_API tagmask_status tagmask_writer_close(tagmask_writer *writer, tagmask_error *error);

/* Reads one photo's masks back from a label file, also one that a person or another program made, so that it can be
 * compared, or written in another format: all formats but the pictures for people (overlay, heatmap, map), prob and
 * map-npy. `photo_path` names the photo in a file with several: the entry counts whose path ends in most of the same
 * names. width and height are the photo's, and a file that tells others is an error. Later shapes lie over earlier
 * ones; probabilities are 0 and 1. [any thread] */
TAGMASK_API tagmask_status tagmask_result_read(const char *format, const char *path, const char *photo_path,
                                               uint32_t width, uint32_t height, tagmask_result **result,
                                               tagmask_error *error);
/* The formats' names; NULL beyond the last. [any thread] */
TAGMASK_API const char *tagmask_format_name(size_t index);

#ifdef __cplusplus
}
#endif

#endif
