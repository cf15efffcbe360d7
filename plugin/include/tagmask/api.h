/* SPDX-License-Identifier: Apache-2.0
 *
 * tagmask as a table of functions, for programs that load the library while they run: look up one symbol,
 * tagmask_get_api, and call the rest through the table.
 *
 *     const tagmask_api *api = get_api(TAGMASK_API_VERSION);
 *     if (!api) ...the library is older than this header...
 *     api->device_open(NULL, &device, &error);
 *
 * The members are the functions of tagmask.h without their prefix, and behave as described there. The table only grows:
 * members keep their place, and a new version appends its own. A library of version N therefore serves every program
 * that was built for version N or less.
 */
#ifndef TAGMASK_API_H
#define TAGMASK_API_H

#include "tagmask/tagmask.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TAGMASK_API_VERSION 5

typedef struct tagmask_api {
    size_t struct_size;   /* of the library's table */
    uint32_t api_version; /* the library's: at least the one that was asked for */

    /* Version 1 */
    void (*set_log)(tagmask_log_fn fn, void *user);
    const char *(*version)(void);
    tagmask_status (*devices)(tagmask_device_info *infos, size_t capacity, size_t *count, tagmask_error *error);
    tagmask_status (*device_open)(const char *selector, tagmask_device **device, tagmask_error *error);
    void (*device_close)(tagmask_device *device);
    tagmask_status (*device_get_info)(const tagmask_device *device, tagmask_device_info *info);
    tagmask_status (*device_get_stats)(const tagmask_device *device, tagmask_device_stats *stats);
    tagmask_status (*network_load)(tagmask_device *device, const char *path, const char *const *outputs,
                                   size_t output_count, tagmask_network **network, tagmask_error *error);
    void (*network_free)(tagmask_network *network);
    size_t (*network_inputs)(const tagmask_network *network, const tagmask_tensor **tensors);
    size_t (*network_outputs)(const tagmask_network *network, const tagmask_tensor **tensors);
    tagmask_status (*network_run)(tagmask_network *network, const tagmask_tensor *inputs, size_t input_count,
                                  tagmask_tensor *outputs, tagmask_error *error);
    void (*tensor_release)(tagmask_tensor *tensor);
    tagmask_status (*network_get_stats)(const tagmask_network *network, tagmask_network_stats *stats);
    size_t (*network_layers)(const tagmask_network *network, const tagmask_layer **layers);
    tagmask_status (*image_read)(const char *path, tagmask_image *image, tagmask_error *error);
    void (*image_release)(tagmask_image *image);
    tagmask_status (*engine_create)(tagmask_device *device, const char *classifier, const char *saliency,
                                    tagmask_engine **engine, tagmask_error *error);
    void (*engine_free)(tagmask_engine *engine);
    tagmask_status (*engine_resolve_tag)(tagmask_engine *engine, const char *tag, tagmask_tag_info *info,
                                         tagmask_error *error);
    size_t (*engine_class_count)(const tagmask_engine *engine);
    const char *(*engine_class_name)(const tagmask_engine *engine, size_t index);
    const char *(*engine_vocabulary)(const tagmask_engine *engine, size_t index);
    tagmask_status (*params_default)(const char *preset, tagmask_params *params, tagmask_error *error);
    tagmask_status (*session_create)(tagmask_engine *engine, const tagmask_image *photo, tagmask_session **session,
                                     tagmask_error *error);
    void (*session_free)(tagmask_session *session);
    tagmask_status (*session_auto_tags)(tagmask_session *session, const tagmask_params *params, size_t k,
                                        const char **names, float *probabilities, size_t *count, tagmask_error *error);
    tagmask_status (*propose)(tagmask_session *session, const char *const *tags, size_t tag_count,
                              const tagmask_params *params, tagmask_result **result, tagmask_error *error);
    void (*result_free)(tagmask_result *result);
    tagmask_status (*session_map)(tagmask_session *session, const char *stage, size_t tag, tagmask_tensor *map,
                                  tagmask_error *error);
    const char *(*stage_name)(size_t index);
    uint32_t (*result_width)(const tagmask_result *result);
    uint32_t (*result_height)(const tagmask_result *result);
    size_t (*result_tag_count)(const tagmask_result *result);
    const char *(*result_tag)(const tagmask_result *result, size_t tag);
    const float *(*result_probability)(const tagmask_result *result, size_t tag);
    const uint8_t *(*result_labels)(const tagmask_result *result);
    const char *(*result_note)(const tagmask_result *result, size_t tag);
    size_t (*result_region_count)(const tagmask_result *result);
    tagmask_status (*result_region)(const tagmask_result *result, size_t index, tagmask_region *region);
    tagmask_status (*result_write)(const tagmask_result *result, const char *format, const char *photo_path,
                                   const tagmask_image *photo, const char *out, tagmask_error *error);
    tagmask_status (*writer_open)(const char *format, const char *out, tagmask_writer **writer, tagmask_error *error);
    tagmask_status (*writer_add)(tagmask_writer *writer, const tagmask_result *result, const char *photo_path,
                                 const tagmask_image *photo, tagmask_error *error);
    tagmask_status (*writer_close)(tagmask_writer *writer, tagmask_error *error);
    tagmask_status (*result_read)(const char *format, const char *path, const char *photo_path, uint32_t width,
                                  uint32_t height, tagmask_result **result, tagmask_error *error);
    const char *(*format_name)(size_t index);

    /* Version 2 */
    tagmask_status (*writer_add_as)(tagmask_writer *writer, const tagmask_result *result, const char *photo_path,
                                    const char *name, const tagmask_image *photo, tagmask_error *error);
    tagmask_status (*writer_flush)(tagmask_writer *writer, tagmask_error *error);
    bool (*writer_has)(const tagmask_writer *writer, const char *name, const char *const *tags, size_t tag_count);

    /* Version 3 */
    tagmask_status (*engine_check_params)(const tagmask_engine *engine, const tagmask_params *params,
                                          tagmask_error *error);

    /* Version 4 */
    tagmask_status (*preset_text)(const char *preset, char *text, size_t *size, tagmask_error *error);

    /* Version 5 */
    tagmask_status (*network_load_with)(tagmask_device *device, const char *path, const char *const *outputs,
                                        size_t output_count, const tagmask_load_options *options,
                                        tagmask_network **network, tagmask_error *error);
    tagmask_status (*engine_create_with)(tagmask_device *device, const char *classifier, const char *saliency,
                                         const tagmask_load_options *options, tagmask_engine **engine,
                                         tagmask_error *error);
} tagmask_api;

/* The library's table, valid while it is loaded; NULL when the library does not know the version. [any thread] */
TAGMASK_API const tagmask_api *tagmask_get_api(uint32_t version);
typedef const tagmask_api *(*tagmask_get_api_fn)(uint32_t version);

#ifdef __cplusplus
}
#endif

#endif
