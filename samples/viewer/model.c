#include "model.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output.h"

enum { PROGRESS_MS = 100 };

struct model {
    model_options options;
    uint32_t photo_side, mask_side;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;  // for the worker
    // Below `lock`: what the window asks, and what the worker tells.
    model_request wanted;
    bool asked, cancel, quit, save;
    char save_format[40], save_sub[16];
    model_output ready;
    bool has_ready;
    model_status status;
    const char **words;  // set once
    size_t word_count;
    // The worker's own; engine changes below `engine_lock`, since the window resolves tags with it.
    pthread_mutex_t engine_lock;
    tagmask_device *device;
    tagmask_engine *engine;
    tagmask_session *session;
    tagmask_image photo;
    tagmask_result *result;
    model_request current;  // what the worker does now
    model_request mapped;   // what the maps were made for
    bool has_maps;
    char map_note[MODEL_STAGES][256];  // of those maps
    double woken_ms;
};

static double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

// ---- What the worker tells

static void publish(model *m, model_output *output) {
    pthread_mutex_lock(&m->lock);
    if (m->has_ready) output_inherit(output, &m->ready);
    m->ready = *output;
    m->has_ready = true;
    pthread_mutex_unlock(&m->lock);
    *output = (model_output){0};
    m->options.wake();
}

// A new photo or preset makes what runs worthless; after any other change its networks' outputs are used again.
static bool outdated(const model *m) {
    return m->asked && (strcmp(m->wanted.photo, m->current.photo) || strcmp(m->wanted.preset, m->current.preset));
}

static bool on_progress(void *user, float done, const char *stage) {
    model *m = user;
    double now = now_ms();
    bool due = now - m->woken_ms >= PROGRESS_MS;  // each wake costs frames
    pthread_mutex_lock(&m->lock);
    m->status.done = done;
    snprintf(m->status.stage, sizeof m->status.stage, "%s", stage ? stage : "");
    bool go_on = !m->quit && !m->cancel && !outdated(m);
    pthread_mutex_unlock(&m->lock);
    if (due) {
        m->woken_ms = now;
        m->options.wake();
    }
    return go_on;
}

// ---- Device, engine, session

static void drop_photo(model *m) {
    tagmask_result_free(m->result);
    tagmask_session_free(m->session);
    tagmask_image_release(&m->photo);
    m->result = NULL;
    m->session = NULL;
    m->photo = (tagmask_image){.struct_size = sizeof m->photo};
    m->has_maps = false;
}

static void drop_engine(model *m) {
    pthread_mutex_lock(&m->engine_lock);
    tagmask_engine_free(m->engine);
    m->engine = NULL;
    pthread_mutex_unlock(&m->engine_lock);
    tagmask_device_close(m->device);
    m->device = NULL;
}

static void learn_words(model *m) {
    size_t count = 0;
    while (tagmask_engine_vocabulary(m->engine, count)) count++;
    const char **words = calloc(count + 1, sizeof *words);
    for (size_t i = 0; words && i < count; i++) words[i] = strdup(tagmask_engine_vocabulary(m->engine, i));
    pthread_mutex_lock(&m->lock);
    m->words = words;
    m->word_count = words ? count : 0;
    m->status.ready = true;
    pthread_mutex_unlock(&m->lock);
}

static tagmask_status need_engine(model *m, tagmask_error *error) {
    tagmask_engine *engine = NULL;
    tagmask_status status = TAGMASK_OK;
    if (m->engine) return TAGMASK_OK;
    on_progress(m, 0, "loading the networks");
    if (!m->device) status = tagmask_device_open(m->options.device, &m->device, error);
    if (!status) status = tagmask_engine_create(m->device, m->options.pack, NULL, &engine, error);
    if (status) return status;
    pthread_mutex_lock(&m->engine_lock);
    m->engine = engine;
    pthread_mutex_unlock(&m->engine_lock);
    if (!m->words) learn_words(m);
    return TAGMASK_OK;
}

// Reads the photo unless it is the one that is open, and shows it before the networks have looked at it.
static tagmask_status need_photo(model *m, const model_request *before, model_output *output, tagmask_error *error) {
    if (!m->photo.pixels || strcmp(before->photo, m->current.photo)) {
        drop_photo(m);
        on_progress(m, 0, "reading the photo");
        tagmask_status status = tagmask_image_read(m->current.photo, &m->photo, error);
        if (status) return status;
        model_output early = {.request = m->current, .width = m->photo.width, .height = m->photo.height};
        if (!picture_of_photo(&m->photo, m->photo_side, &early.photo)) return output_no_memory(error);
        publish(m, &early);
    }
    output->width = m->photo.width;
    output->height = m->photo.height;
    return TAGMASK_OK;
}

// ---- Proposals

static tagmask_params params_of(model *m) {
    const model_request *r = &m->current;
    return (tagmask_params){.struct_size = sizeof(tagmask_params),
                            .preset = r->preset,
                            .threshold = r->threshold,
                            .crf_bilateral_compat = r->bilateral_compat,
                            .crf_bilateral_srgb = r->bilateral_srgb,
                            .crf_bilateral_sxy = r->bilateral_sxy,
                            .min_part = r->min_part > 0 ? r->min_part : -1,
                            .max_parts = r->max_parts,
                            .progress = on_progress,
                            .progress_user = m};
}

// Maps do not depend on where the threshold lies and which parts are kept.
static bool same_maps(const model_request *a, const model_request *b) {
    model_request c = *b;
    c.threshold = a->threshold;
    c.min_part = a->min_part;
    c.max_parts = a->max_parts;
    return !memcmp(a, &c, sizeof c);
}

static tagmask_status make_maps(model *m, model_output *output, tagmask_error *error) {
    const char *stage;
    m->has_maps = false;
    memset(m->map_note, 0, sizeof m->map_note);
    for (size_t i = 0; i < MODEL_STAGES && (stage = tagmask_stage_name(i)) != NULL; i++) {
        tagmask_tensor map = {.struct_size = sizeof map};
        tagmask_status status = tagmask_session_map(m->session, stage, m->current.map_tag, &map, error);
        if (status == TAGMASK_ERROR_UNSUPPORTED) {
            snprintf(m->map_note[i], sizeof m->map_note[i], "%.255s", error->message);
            continue;
        }
        if (status) return status;
        bool made =
            picture_of_map(map.data, (uint32_t)map.dims[1], (uint32_t)map.dims[0], m->mask_side, &output->maps[i]);
        tagmask_tensor_release(&map);
        if (!made) return output_no_memory(error);
    }
    m->mapped = m->current;
    m->has_maps = true;
    return TAGMASK_OK;
}

static tagmask_status propose(model *m, model_output *output, tagmask_error *error) {
    const model_request *request = &m->current;
    const char *tags[MODEL_TAGS];
    tagmask_params params = params_of(m);
    tagmask_result *result = NULL;
    tagmask_status status = TAGMASK_OK;
    for (size_t i = 0; i < request->tag_count; i++) tags[i] = request->tags[i];
    if (!m->session) status = tagmask_session_create(m->engine, &m->photo, &m->session, error);
    if (!status) status = tagmask_propose(m->session, tags, request->tag_count, &params, &result, error);
    if (status) return status;
    tagmask_result_free(m->result);
    m->result = result;
    status = output_describe(output, result, m->mask_side, error);
    if (!status && !(m->has_maps && same_maps(&m->mapped, request))) status = make_maps(m, output, error);
    memcpy(output->map_note, m->map_note, sizeof output->map_note);
    output->proposed = !status;
    return status;
}

// A lost device is closed, so that the next request opens it again.
static void recover(model *m, tagmask_status status) {
    if (status != TAGMASK_ERROR_DEVICE_LOST) return;
    tagmask_session_free(m->session);
    m->session = NULL;
    m->has_maps = false;
    drop_engine(m);
}

// Returns false when a newer request made this one stop.
static bool serve(model *m, const model_request *before) {
    model_output *output = calloc(1, sizeof *output);
    tagmask_error error = TAGMASK_ERROR_INIT;
    if (!output) return true;
    double start = now_ms();
    output->request = m->current;
    tagmask_result_free(m->result);  // what is saved answers the newest request, or nothing is
    m->result = NULL;
    tagmask_status status = need_photo(m, before, output, &error);
    if (!status) status = need_engine(m, &error);
    if (!status && m->current.tag_count) status = propose(m, output, &error);
    if (status) snprintf(output->error, sizeof output->error, "%s", error.message);
    output->milliseconds = now_ms() - start;
    recover(m, status);
    pthread_mutex_lock(&m->lock);
    bool stopped = status == TAGMASK_ERROR_ABORTED && !m->cancel && m->asked;
    pthread_mutex_unlock(&m->lock);
    if (stopped) {
        model_output_free(output);
    } else {
        publish(m, output);
    }
    free(output);
    return !stopped;
}

// The last proposal once more, which runs nothing again, with what the formats of maps show.
static tagmask_status propose_with_maps(model *m, tagmask_error *error) {
    const char *tags[MODEL_TAGS];
    tagmask_params params = params_of(m);
    tagmask_result *result = NULL;
    params.keep_maps = true;
    for (size_t i = 0; i < m->current.tag_count; i++) tags[i] = m->current.tags[i];
    tagmask_status status = tagmask_propose(m->session, tags, m->current.tag_count, &params, &result, error);
    if (status) return status;
    tagmask_result_free(m->result);
    m->result = result;
    return TAGMASK_OK;
}

static void save(model *m, const char *format, const char *sub) {
    char folder[MODEL_PATH], text[MODEL_PATH + 300];
    tagmask_error error = TAGMASK_ERROR_INIT;
    tagmask_status status = TAGMASK_ERROR_ARGUMENT;
    snprintf(folder, sizeof folder, "%s%s%s", m->options.out, *sub ? "/" : "", sub);
    if (m->result) {
        status = strncmp(format, "map", 3) ? TAGMASK_OK : propose_with_maps(m, &error);
        if (!status) status = tagmask_result_write(m->result, format, m->current.photo, &m->photo, folder, &error);
        output_name_file(text, sizeof text, folder, format, m->current.photo);
    } else {
        snprintf(error.message, sizeof error.message, "nothing was saved: there is no proposal yet; add a tag first");
    }
    pthread_mutex_lock(&m->lock);
    m->status.save_failed = status != TAGMASK_OK;
    m->status.saves++;
    snprintf(m->status.saved, sizeof m->status.saved, "%s", status ? error.message : text);
    pthread_mutex_unlock(&m->lock);
    m->options.wake();
}

// Waits for something to do; false: the viewer quits.
static bool next_job(model *m, bool *proposing, bool *saving) {
    pthread_mutex_lock(&m->lock);
    m->status.busy = m->asked || m->save;
    if (!m->status.busy) m->options.wake();
    while (!m->quit && !m->asked && !m->save) pthread_cond_wait(&m->news, &m->lock);
    *proposing = m->asked;
    *saving = m->save;
    if (m->asked) {
        m->current = m->wanted;
        m->cancel = false;
    }
    m->asked = m->save = false;
    m->status.busy = true;
    m->status.done = 0;
    m->status.stage[0] = 0;
    bool go_on = !m->quit;
    pthread_mutex_unlock(&m->lock);
    return go_on;
}

static void *work(void *data) {
    model *m = data;
    model_request *before = calloc(1, sizeof *before);
    bool proposing, saving;
    while (before && next_job(m, &proposing, &saving)) {
        bool done = !proposing || serve(m, before);
        *before = m->current;
        if (saving && done) save(m, m->save_format, m->save_sub);
        if (saving && !done) {  // it is about the request that came meanwhile
            pthread_mutex_lock(&m->lock);
            m->save = true;
            pthread_mutex_unlock(&m->lock);
        }
    }
    free(before);
    return NULL;
}

// ---- What the window calls

model *model_open(const model_options *options, tagmask_error *error) {
    model *m = calloc(1, sizeof *m);
    if (!m) {
        output_no_memory(error);
        return NULL;
    }
    m->options = *options;
    m->photo.struct_size = sizeof m->photo;
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->engine_lock, NULL);
    pthread_cond_init(&m->news, NULL);
    tagmask_status status = tagmask_device_open(options->device, &m->device, error);
    if (!status && pthread_create(&m->thread, NULL, work, m)) {
        tagmask_device_close(m->device);
        status = output_no_memory(error);
    }
    if (!status) return m;
    free(m);
    return NULL;
}

uint64_t model_close(model *m) {
    tagmask_device_stats stats = {.struct_size = sizeof stats};
    pthread_mutex_lock(&m->lock);
    m->quit = true;
    pthread_cond_signal(&m->news);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    if (m->device) tagmask_device_get_stats(m->device, &stats);
    drop_photo(m);
    drop_engine(m);
    model_output_free(&m->ready);
    for (size_t i = 0; i < m->word_count; i++) free((char *)m->words[i]);
    free(m->words);
    pthread_cond_destroy(&m->news);
    pthread_mutex_destroy(&m->engine_lock);
    pthread_mutex_destroy(&m->lock);
    free(m);
    return stats.validation_errors;
}

void model_limit(model *m, uint32_t photo_side, uint32_t mask_side) {
    pthread_mutex_lock(&m->lock);
    m->photo_side = photo_side;
    m->mask_side = mask_side;
    pthread_mutex_unlock(&m->lock);
}

void model_ask(model *m, const model_request *request) {
    pthread_mutex_lock(&m->lock);
    m->wanted = *request;
    m->asked = m->status.busy = true;
    pthread_cond_signal(&m->news);
    pthread_mutex_unlock(&m->lock);
}

void model_cancel(model *m) {
    pthread_mutex_lock(&m->lock);
    m->cancel = true;
    pthread_mutex_unlock(&m->lock);
}

void model_save(model *m, const char *format, const char *sub) {
    pthread_mutex_lock(&m->lock);
    snprintf(m->save_format, sizeof m->save_format, "%s", format);
    snprintf(m->save_sub, sizeof m->save_sub, "%s", sub);
    m->save = m->status.busy = true;
    pthread_cond_signal(&m->news);
    pthread_mutex_unlock(&m->lock);
}

bool model_take(model *m, model_output *output) {
    pthread_mutex_lock(&m->lock);
    bool taken = m->has_ready;
    if (taken) {
        model_output_free(output);
        *output = m->ready;
        m->ready = (model_output){0};
        m->has_ready = false;
    }
    pthread_mutex_unlock(&m->lock);
    return taken;
}

void model_get_status(model *m, model_status *status) {
    pthread_mutex_lock(&m->lock);
    *status = m->status;
    status->cancelling = m->status.busy && m->cancel;
    pthread_mutex_unlock(&m->lock);
}

const char *model_word(const model *m, size_t index) {
    model *shared = (model *)m;
    pthread_mutex_lock(&shared->lock);
    const char *word = index < m->word_count ? m->words[index] : NULL;
    pthread_mutex_unlock(&shared->lock);
    return word;
}

bool model_resolve(model *m, const char *typed, char *name, size_t size, tagmask_error *error) {
    tagmask_tag_info info = {.struct_size = sizeof info};
    pthread_mutex_lock(&m->engine_lock);
    bool known = m->engine && tagmask_engine_resolve_tag(m->engine, typed, &info, error) == TAGMASK_OK;
    if (known) snprintf(name, size, "%s", info.name);
    if (!m->engine) snprintf(error->message, sizeof error->message, "the networks are not loaded yet");
    pthread_mutex_unlock(&m->engine_lock);
    return known;
}
