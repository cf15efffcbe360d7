// The table of functions in the shared library, as a program that loads it gets it.
#include <dlfcn.h>
#include <string.h>

#include "support.h"
#include "tagmask/api.h"

static void *library;

static int load(void **state) {
    (void)state;
    library = dlopen(TEST_BUILD "/lib/libtagmask.so", RTLD_NOW | RTLD_LOCAL);
    return library ? 0 : -1;
}

static int unload(void **state) {
    (void)state;
    return dlclose(library);
}

static const tagmask_api *table(uint32_t version) {
    tagmask_get_api_fn get_api = NULL;
    *(void **)&get_api = dlsym(library, "tagmask_get_api");
    assert_non_null(get_api);
    return get_api(version);
}

static void test_versions(void **state) {
    (void)state;
    const tagmask_api *api = table(TAGMASK_API_VERSION);
    assert_non_null(api);
    assert_int_equal(api->struct_size, sizeof *api);
    assert_int_equal(api->api_version, TAGMASK_API_VERSION);
    assert_ptr_equal(table(1), api);
    assert_null(table(0));
    assert_null(table(TAGMASK_API_VERSION + 1));
}

// A member that stands at another's place would call the wrong function: each is compared with the symbol.
#define SAME(member)                                                                                              \
    do {                                                                                                          \
        assert_non_null(dlsym(library, "tagmask_" #member));                                                      \
        assert_memory_equal(&api->member, &(void *){dlsym(library, "tagmask_" #member)}, sizeof(void (*)(void))); \
    } while (0)

static void test_members(void **state) {
    (void)state;
    const tagmask_api *api = table(1);
    SAME(set_log);
    SAME(version);
    SAME(devices);
    SAME(device_open);
    SAME(device_close);
    SAME(device_get_info);
    SAME(device_get_stats);
    SAME(network_load);
    SAME(network_free);
    SAME(network_inputs);
    SAME(network_outputs);
    SAME(network_run);
    SAME(tensor_release);
    SAME(network_get_stats);
    SAME(network_layers);
    SAME(image_read);
    SAME(image_release);
    SAME(engine_create);
    SAME(engine_free);
    SAME(engine_resolve_tag);
    SAME(engine_class_count);
    SAME(engine_class_name);
    SAME(engine_vocabulary);
    SAME(params_default);
    SAME(engine_check_params);
    SAME(preset_text);
    SAME(session_create);
    SAME(session_free);
    SAME(session_auto_tags);
    SAME(propose);
    SAME(result_free);
    SAME(session_map);
    SAME(stage_name);
    SAME(result_width);
    SAME(result_height);
    SAME(result_tag_count);
    SAME(result_tag);
    SAME(result_probability);
    SAME(result_labels);
    SAME(result_note);
    SAME(result_region_count);
    SAME(result_region);
    SAME(result_write);
    SAME(writer_open);
    SAME(writer_add);
    SAME(writer_close);
    SAME(result_read);
    SAME(format_name);
    // Version 1 never changes: its members are these and no others.
    assert_int_equal(offsetof(tagmask_api, format_name), offsetof(tagmask_api, set_log) + (46 - 1) * sizeof(void *));
    SAME(writer_add_as);
    SAME(writer_flush);
    SAME(writer_has);
}

static void test_a_call(void **state) {
    (void)state;
    const tagmask_api *api = table(1);
    tagmask_error error = TAGMASK_ERROR_INIT;
    tagmask_image image = {.struct_size = sizeof image};
    assert_string_equal(api->version(), tagmask_version());
    assert_int_equal(api->image_read("no such photo.png", &image, &error), TAGMASK_ERROR_FILE);
    assert_non_null(strstr(error.message, "no such photo.png"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_a_call),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
