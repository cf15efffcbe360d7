// Reflection, specialization, the table of pipelines under threads, the cache on disk.
#include <pthread.h>
#include <stdio.h>

#include "gpu/cache.h"
#include "test_gpu.h"

static const tm_shader *find_shader(const char *name) {
    for (size_t i = 0; i < tm_shader_count; i++) {
        if (strcmp(tm_shader_table[i].name, name) == 0) return &tm_shader_table[i];
    }
    fail_msg("no shader %s", name);
    return NULL;
}

static tm_reflection reflect(const char *name) {
    tm_error err = TAGMASK_ERROR_INIT;
    tm_reflection reflection;
    const tm_shader *shader = find_shader(name);
    assert_ok(tm_spirv_reflect(name, shader->words, shader->bytes, &reflection, &err), &err);
    return reflection;
}

static void expect_binding(tm_binding binding, tm_binding_kind kind, bool reads, bool writes) {
    assert_int_equal(binding.kind, kind);
    assert_int_equal(binding.reads, reads);
    assert_int_equal(binding.writes, writes);
}

static void test_reflection(void **state) {
    (void)state;
    tm_reflection axpb = reflect("gpu/axpb"), in_place = reflect("gpu/in_place"), texel = reflect("gpu/texel");
    expect_binding(axpb.bindings[0], TM_BINDING_STORAGE, true, false);
    expect_binding(axpb.bindings[1], TM_BINDING_STORAGE, false, true);
    expect_binding(axpb.bindings[2], TM_BINDING_NONE, false, false);
    assert_int_equal(axpb.push_size, 12);
    assert_int_equal(axpb.local_size[0].spec_id, 0);
    assert_int_equal(axpb.local_size[1].spec_id, -1);
    assert_int_equal(axpb.local_size[1].value, 1);
    expect_binding(in_place.bindings[0], TM_BINDING_STORAGE, true, true);
    assert_int_equal(in_place.local_size[0].spec_id, -1);
    assert_int_equal(in_place.local_size[0].value, 64);
    expect_binding(texel.bindings[0], TM_BINDING_TEXEL_FLOAT, true, false);
    expect_binding(texel.bindings[1], TM_BINDING_TEXEL_INT, true, false);
    expect_binding(texel.bindings[2], TM_BINDING_TEXEL_FLOAT, true, false);
    expect_binding(texel.bindings[3], TM_BINDING_STORAGE, false, true);
    assert_int_equal(texel.push_size, 4);
}

static void test_every_shader_reflects(void **state) {
    (void)state;
    for (size_t i = 0; i < tm_shader_count; i++) {
        tm_reflection reflection = reflect(tm_shader_table[i].name);
        assert_true(reflection.push_size <= 128);
        for (int k = 0; k < 3; k++) assert_true(reflection.local_size[k].value > 0);
        if (i) assert_true(strcmp(tm_shader_table[i - 1].name, tm_shader_table[i].name) < 0);
    }
}

// Damaged modules: cut off anywhere, and with words replaced. Any answer is right that is an answer.
static void test_damaged_spirv(void **state) {
    (void)state;
    const char *const names[] = {"gpu/axpb", "gpu/texel"};
    for (size_t s = 0; s < TM_ARRAY_LEN(names); s++) {
        const tm_shader *shader = find_shader(names[s]);
        size_t count = shader->bytes / 4;
        uint32_t noise = 7, *words = malloc(shader->bytes);
        tm_reflection reflection;
        int refused = 0;
        for (size_t cut = 0; cut < count; cut++) {
            uint32_t *exact = malloc(cut ? 4 * cut : 1);
            memcpy(exact, shader->words, 4 * cut);
            refused += tm_spirv_reflect("cut", exact, 4 * cut, &reflection, NULL) != TAGMASK_OK;
            free(exact);
        }
        assert_true(refused > 5);
        for (int i = 0; i < 20000; i++) {
            memcpy(words, shader->words, shader->bytes);
            for (int k = 0; k < 1 + i % 3; k++) {
                noise = noise * 1664525u + 1013904223u;
                uint32_t at = (noise >> 4) % (uint32_t)count;
                noise = noise * 1664525u + 1013904223u;
                words[at] = i % 2 ? noise : noise >> 24;
            }
            tm_spirv_reflect("damaged", words, shader->bytes, &reflection, NULL);
        }
        assert_int_not_equal(tm_spirv_reflect("odd", words, shader->bytes - 1, &reflection, NULL), TAGMASK_OK);
        free(words);
    }
}

static void test_specialization(void **state) {
    (void)state;
    tm_gpu *gpu = test_gpu();
    tm_error err = TAGMASK_ERROR_INIT;
    float data[96], out[96];
    for (int i = 0; i < 96; i++) data[i] = (float)i;
    tm_buffer *x = make_buffer(gpu, sizeof data), *y = make_buffer(gpu, sizeof data);
    const float scales[] = {1, -2, 0.5f};
    for (size_t i = 0; i < TM_ARRAY_LEN(scales); i++) {
        tm_recorder *recorder = begin_recording(gpu);
        assert_ok(tm_upload(recorder, tm_slice_all(x), data, &err), &err);
        record_axpb(recorder, tm_slice_all(x), tm_slice_all(y), scales[i], 2, 1);
        assert_ok(tm_readback(recorder, tm_slice_all(y), out, &err), &err);
        finish_recording(recorder);
        for (int k = 0; k < 96; k++) assert_true(out[k] == scales[i] * 2 * data[k] + 1);
    }
    assert_ptr_equal(get_axpb(gpu, 32, 1), get_axpb(gpu, 32, 1));
    assert_ptr_not_equal(get_axpb(gpu, 32, 1), get_axpb(gpu, 64, 1));
    tm_buffer_destroy(x);
    tm_buffer_destroy(y);
}

enum { THREADS = 4, VARIANTS = 12, REPEATS = 30 };
typedef struct worker {
    tm_gpu *gpu;
    tm_pipeline *found[VARIANTS];
    bool ok;
} worker;

// No assertions here: cmocka's may only fail on the thread that runs the test.
static void *get_many(void *argument) {
    worker *own = argument;
    for (uint32_t i = 0; i < VARIANTS * REPEATS; i++) {
        uint32_t variant = i % VARIANTS, constants[2] = {1 + variant, 0};
        tm_pipeline *pipeline = NULL;
        if (tm_pipeline_get(own->gpu, "gpu/axpb", constants, 2, &pipeline, NULL)) return NULL;
        if (own->found[variant] && own->found[variant] != pipeline) return NULL;
        own->found[variant] = pipeline;
    }
    // Recordings of several threads share the device too.
    tm_buffer *buffer;
    float out[64];
    bool ok = tm_buffer_create(own->gpu, 256, TM_MEMORY_DEVICE, &buffer, NULL) == TAGMASK_OK;
    for (uint32_t i = 0; ok && i < REPEATS; i++) {
        tm_recorder *recorder;
        ok = tm_recorder_begin(own->gpu, &recorder, NULL) == TAGMASK_OK &&
             tm_fill(recorder, tm_slice_all(buffer), i, NULL) == TAGMASK_OK &&
             tm_readback(recorder, tm_slice_all(buffer), out, NULL) == TAGMASK_OK &&
             tm_recorder_finish(recorder, NULL) == TAGMASK_OK && memcmp(&out[63], &i, 4) == 0;
    }
    tm_buffer_destroy(buffer);
    own->ok = ok;
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    tm_gpu *gpu = NULL;
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    pthread_t threads[THREADS];
    worker workers[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        workers[i].gpu = gpu;
        assert_int_equal(pthread_create(&threads[i], NULL, get_many, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(workers[i].ok);
        assert_memory_equal(workers[i].found, workers[0].found, sizeof workers[i].found);
    }
    assert_int_equal(tm_gpu_get_stats(gpu).pipelines_created, VARIANTS);
    tm_gpu_close(gpu);
}

static void test_cache_format(void **state) {
    (void)state;
    uint8_t payload[100];
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(i * 37);
    size_t file_size = 0, size = 0;
    uint8_t *file = tm_cache_encode(42, payload, sizeof payload, &file_size);
    assert_non_null(file);
    const uint8_t *back = tm_cache_decode(42, file, file_size, &size);
    assert_non_null(back);
    assert_int_equal(size, sizeof payload);
    assert_memory_equal(back, payload, size);
    assert_null(tm_cache_decode(43, file, file_size, &size));  // another device
    for (size_t cut = 0; cut < file_size; cut++) assert_null(tm_cache_decode(42, file, cut, &size));
    for (size_t i = 0; i < file_size; i++) {
        file[i] ^= 0x10;
        assert_null(tm_cache_decode(42, file, file_size, &size));
        file[i] ^= 0x10;
    }
    free(file);
}

// The file as the device sees it: one that holds a driver's own header is loaded, a damaged one is ignored and, where
// the driver has something to keep, replaced.
static void test_cache_file(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    char *folder = test_temporary_dir();
    char *before = getenv("TAGMASK_CACHE");
    before = before ? strdup(before) : NULL;
    setenv("TAGMASK_CACHE", folder, 1);
    tm_gpu *gpu = NULL;
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    get_axpb(gpu, 8, 1);
    size_t own_size = 0;
    assert_int_equal(gpu->vk.vkGetPipelineCacheData(gpu->device, gpu->pipeline_cache, &own_size, NULL), VK_SUCCESS);
    uint64_t key = tm_cache_key(&gpu->physical);
    char *path = tm_cache_path(key);
    assert_non_null(strstr(path, folder));
    tm_gpu_close(gpu);
    // A payload of a bare header is not worth a file.
    assert_int_equal(tm_file_exists(path), own_size > 32);

    const char damaged[] = "TMPC but not really";
    assert_ok(tm_write_file(path, damaged, sizeof damaged, &err), &err);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    get_axpb(gpu, 8, 1);
    tm_gpu_close(gpu);
    uint8_t *file = NULL;
    size_t file_size = 0, size = 0;
    assert_ok(tm_read_file(path, 1 << 26, &file, &file_size, &err), &err);
    assert_int_equal(tm_cache_decode(key, file, file_size, &size) != NULL, own_size > 32);
    free(file);

    // Whole, but with a payload that the driver does not know.
    file = tm_cache_encode(key, "0123456789012345678901234567890123456789", 40, &file_size);
    assert_ok(tm_write_file(path, file, file_size, &err), &err);
    free(file);
    assert_ok(tm_gpu_open(NULL, &gpu, &err), &err);
    get_axpb(gpu, 8, 1);
    tm_gpu_close(gpu);
    unsetenv("TAGMASK_CACHE");
    if (before) setenv("TAGMASK_CACHE", before, 1);
    free(before);
    free(path);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reflection),    cmocka_unit_test(test_every_shader_reflects),
        cmocka_unit_test(test_damaged_spirv), cmocka_unit_test(test_specialization),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_cache_format),
        cmocka_unit_test(test_cache_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
