#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "cli/eval_photo.h"
#include "cli/verbs.h"

typedef struct eval_options {
    cli_packs packs;
    const char *device, *data, *cache, *out, *against, *page;
    uint32_t way, limit, absent;
    bool json, all_objects;
    tagmask_params params;
} eval_options;

typedef struct eval_job {
    const eval_options *options;
    tagmask_device *device;
    eval_engine engine;
    eval_data data;
    eval_run run, resumed, against;
    eval_page page;
    char *cache, *partial;
    FILE *lines;  // of the photos done so far
    size_t failed;
} eval_job;

// ---- Settings: what the figures depend on. An interrupted run goes on only where they are the same.

// Tells one build of the library from another.
static void add_library(cJSON *root) {
    tm_file_info file;
    cJSON_AddStringToObject(root, "version", tagmask_version());
    char *library = tm_module_path((const void *)(uintptr_t)tagmask_version);
    if (library && tm_file_stat(library, &file)) {
        cJSON_AddNumberToObject(root, "library_bytes", (double)file.size);
        cJSON_AddNumberToObject(root, "library_time", (double)(file.changed / 1000000000));
    }
    free(library);
}

static void add_text(cJSON *root, const char *name, const char *text) {
    if (text) cJSON_AddStringToObject(root, name, text);
}

static char *settings_text(const eval_job *job, const char *preset, double threshold) {
    const eval_options *options = job->options;
    const tagmask_params *params = &options->params;
    tagmask_device_info info = {.struct_size = sizeof info};
    cJSON *root = cJSON_CreateObject();
    add_library(root);
    if (tagmask_device_get_info(job->device, &info) == TAGMASK_OK) {
        cJSON_AddStringToObject(root, "device", info.name);
        cJSON_AddStringToObject(root, "driver", info.driver);
    }
    char tables[17];
    snprintf(tables, sizeof tables, "%016llx", (unsigned long long)job->data.hash);
    cJSON_AddStringToObject(root, "data", options->data);
    cJSON_AddStringToObject(root, "tables", tables);
    cJSON_AddNumberToObject(root, "way", options->way);
    cJSON_AddNumberToObject(root, "limit", options->limit);
    cJSON_AddNumberToObject(root, "absent", options->absent);
    cJSON_AddBoolToObject(root, "all_objects", options->all_objects);
    add_text(root, "model", options->packs.model);
    add_text(root, "second", options->packs.second);
    add_text(root, "saliency", options->packs.saliency);
    add_text(root, "features", options->packs.features);
    add_text(root, "precision", options->packs.precision);
    cJSON_AddItemToObject(root, "preset", cJSON_Parse(preset));
    add_text(root, "method", params->method);
    add_text(root, "layer", params->layer);
    cli_number numbers[CLI_PARAM_NUMBERS];
    tagmask_params resolved = *params;
    resolved.threshold = (float)threshold;
    cli_params_numbers(&resolved, numbers);
    for (size_t i = 0; i < CLI_PARAM_NUMBERS; i++) {
        if (numbers[i].value != 0) cJSON_AddNumberToObject(root, numbers[i].name, numbers[i].value);
    }
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

// ---- Going on after an interruption

static tagmask_status open_partial(eval_job *job, tm_error *err) {
    const eval_options *options = job->options;
    if (options->out) job->partial = tm_format("%s.partial", options->out);
    if (!options->out && job->cache) {
        uint64_t key = tm_hash64(job->run.settings, strlen(job->run.settings), 0);
        job->partial = tm_format("%s/eval-%016llx.partial", job->cache, (unsigned long long)key);
    }
    if (!job->partial) return TAGMASK_OK;
    bool same = tm_file_exists(job->partial) && eval_run_read(job->partial, &job->resumed, NULL) == TAGMASK_OK &&
                !strcmp(job->resumed.settings, job->run.settings);
    if (!same) eval_run_free(&job->resumed);
    // Rewritten whole, so that a line that was cut short does not stay in the middle.
    job->lines = tm_file_stream(job->partial, 'w');
    if (!job->lines) {
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written: %s", job->partial, strerror(errno));
    }
    fprintf(job->lines, "%s\n", job->run.settings);
    if (job->resumed.count) cli_message("going on after %zu photos that are done already", job->resumed.count);
    return TAGMASK_OK;
}

static tagmask_status keep_line(eval_job *job, const eval_record *record, tm_error *err) {
    if (!job->lines) return TAGMASK_OK;
    char *text = eval_record_text(record);
    bool ok = text && fprintf(job->lines, "%s\n", text) > 0 && fflush(job->lines) == 0;
    free(text);
    if (ok) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written: %s", job->partial, strerror(errno));
}

// ---- The run

static tagmask_status make_cache(eval_job *job, tm_error *err) {
    const char *cache = job->options->cache;
    if (cache && !strcmp(cache, "none")) return TAGMASK_OK;
    char *folder = cache ? tm_strdup(cache) : NULL;
    if (!cache) {
        char *user = tm_cache_dir();
        folder = user ? tm_path_join(user, "eval") : NULL;
        free(user);
        if (!folder) return TAGMASK_OK;  // a user without a home folder has no cache
    }
    if (!folder) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the cache's name");
    job->cache = folder;
    return tm_make_dirs(folder, err);
}

// Photos that are done count as such only where their pictures are there, too.
static tagmask_status claim_page(eval_job *job, tm_error *err) {
    bool same;
    if (!job->engine.page) return TAGMASK_OK;
    TM_TRY(eval_page_claim(&job->page, job->run.settings, &same, err));
    size_t missing = 0;
    for (size_t i = 0; i < job->resumed.count; i++) {
        eval_record *done = &job->resumed.records[i];
        if (same && eval_page_has(&job->page, done)) continue;
        eval_record_free(done);
        missing++;
    }
    if (missing) cli_message("%zu of them are done again: the page lacks their pictures", missing);
    return TAGMASK_OK;
}

static tagmask_status prepare(eval_job *job, tm_error *err) {
    const eval_options *options = job->options;
    eval_engine *engine = &job->engine;
    TM_TRY(eval_data_read(options->data, options->limit, &job->data, err));
    if (options->against) TM_TRY(eval_run_read(options->against, &job->against, err));
    TM_TRY(make_cache(job, err));
    if (options->page) TM_TRY(eval_page_open(options->page, &job->page, err));
    TM_TRY(cli_open_engine(options->device, &options->packs, &job->device, &engine->engine, err));
    engine->params = options->params;
    engine->params.cache_dir = job->cache;
    engine->params.progress = cli_progress_stage;
    engine->data = options->data;
    engine->tables = &job->data;
    engine->absent = options->absent;
    engine->page = options->page ? &job->page : NULL;
    engine->way = (int)options->way;
    engine->all_objects = options->all_objects;
    tagmask_params defaults = {.struct_size = sizeof defaults};
    TM_TRY(tagmask_params_default(options->params.preset, &defaults, err));
    engine->threshold = options->params.threshold > 0 ? options->params.threshold : defaults.threshold;
    char *preset = cli_preset_text(options->params.preset, err);
    if (!preset) return err->status;
    job->run.settings = settings_text(job, preset, engine->threshold);
    free(preset);
    if (!job->run.settings) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the settings");
    TM_TRY(open_partial(job, err));
    return claim_page(job, err);
}

static void finish(eval_job *job) {
    if (job->lines) fclose(job->lines);
    tagmask_engine_free(job->engine.engine);
    tagmask_device_close(job->device);
    eval_data_free(&job->data);
    eval_run_free(&job->run);
    eval_run_free(&job->resumed);
    eval_run_free(&job->against);
    eval_page_close(&job->page);
    free(job->cache);
    free(job->partial);
}

// Takes a photo's record from the interrupted run, or makes it.
static tagmask_status run_photo(eval_job *job, const eval_photo *photo, eval_record *record, tm_error *err) {
    for (size_t i = 0; i < job->resumed.count; i++) {
        eval_record *done = &job->resumed.records[i];
        if (!done->file || strcmp(done->file, photo->file)) continue;
        *record = *done;
        memset(done, 0, sizeof *done);
        return TAGMASK_OK;
    }
    return eval_run_photo(&job->engine, photo, record, err);
}

static bool is_wanted(const eval_photo *photo) {
    return photo->scored_count || photo->saliency_scored;
}

static tagmask_status run_photos(eval_job *job, tm_error *err) {
    size_t wanted = 0;
    for (size_t i = 0; i < job->data.photo_count; i++) wanted += is_wanted(&job->data.photos[i]);
    cli_progress_begin(wanted);
    tagmask_status status = TAGMASK_OK;
    for (size_t i = 0; i < job->data.photo_count && status == TAGMASK_OK; i++) {
        const eval_photo *photo = &job->data.photos[i];
        eval_record record = {0};
        if (!is_wanted(photo)) continue;
        cli_progress_item(photo->file);
        tm_error one = TAGMASK_ERROR_INIT;
        tagmask_status done = run_photo(job, photo, &record, &one);
        if (done == TAGMASK_OK) {
            status = keep_line(job, &record, err);
            if (status == TAGMASK_OK) status = eval_run_add(&job->run, &record, err);
            eval_record_free(&record);
        } else {
            job->failed++;
            cli_message("%s: %s", photo->file, one.message);
            // Wrong parameters and a lost device fail every photo alike.
            if (done == TAGMASK_ERROR_ARGUMENT || done == TAGMASK_ERROR_DEVICE_LOST) {
                *err = one;
                status = done;
            }
        }
    }
    cli_progress_end();
    return status;
}

static tagmask_status report(eval_job *job, tm_error *err) {
    eval_report made = {.run = &job->run,
                        .against = job->options->against ? &job->against : NULL,
                        .against_path = job->options->against,
                        .way = job->engine.way,
                        .threshold = job->engine.threshold,
                        .failed = job->failed};
    char *json = eval_report_json(&made);
    if (!json) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the report");
    if (job->options->json) {
        puts(json);
    } else {
        eval_print_report(&made, stdout);
    }
    tagmask_status status = TAGMASK_OK;
    if (job->options->out) status = eval_run_write(job->options->out, &job->run, json, err);
    free(json);
    if (status == TAGMASK_OK && job->engine.page) status = eval_page_write(&job->page, &made, err);
    if (status == TAGMASK_OK && job->partial && !job->failed) tm_file_remove(job->partial);
    return status;
}

static const cli_option rows[] = {
    {"data", "DIR", CLI_TEXT, offsetof(eval_options, data),
     .help = "folder with index.csv, tags.csv, photos and masks (docs/evaluation.md)"},
    {"way", "1|2", CLI_UINT, offsetof(eval_options, way), 1, 2,
     .help = "1: one tag a run, by the class indices of tags.csv; 2: all objects of a photo at once, by name "
             "(default: 1)"},
    {"all-objects", NULL, CLI_FLAG, offsetof(eval_options, all_objects),
     .help = "way 2: give the names of objects without a class (person) as tags too"},
    {"limit", "N", CLI_UINT, offsetof(eval_options, limit), 1, 1000000,
     .help = "only the first N rows, and the first N photos for saliency"},
    {"cache", "DIR", CLI_TEXT, offsetof(eval_options, cache),
     .help = "where outputs of the networks are kept, so that a run with other post-processing takes seconds; 'none': "
             "nowhere (default: eval in the cache folder)"},
    {"out", "FILE.json", CLI_TEXT, offsetof(eval_options, out),
     .help = "write the figures of every row; an interrupted run leaves FILE.json.partial and goes on from there"},
    {"against", "FILE.json", CLI_TEXT, offsetof(eval_options, against),
     .help = "compare with an earlier run on the rows that both hold: paired bootstrap, photos resampled"},
    {"page", "FOLDER", CLI_TEXT, offsetof(eval_options, page),
     .help = "write FOLDER/index.html: every scored row with pictures of all stages, the worst first"},
    {"absent", "N", CLI_UINT, offsetof(eval_options, absent), 0, 1000,
     .help = "try N tags of things that are not in the photo on each photo with scored rows, and report how many get a "
             "region (default: 0)"},
    {"json", NULL, CLI_FLAG, offsetof(eval_options, json), .help = "print the report as JSON"},
    CLI_OPTIONS_PACKS(eval_options),
    CLI_OPTIONS_PARAMS(eval_options, params),
    CLI_OPTION_DEVICE(eval_options),
    {0},
};

static cli_exit run_eval(void *data, int count, char **arguments) {
    (void)count;
    (void)arguments;
    eval_options *options = data;
    eval_job job = {.options = options};
    tm_error err = TAGMASK_ERROR_INIT;
    if (!options->data) {
        cli_message("eval: expected --data DIR; see 'tagmask eval --help'");
        return CLI_USAGE;
    }
    if (!options->way) options->way = 1;
    options->params.struct_size = sizeof options->params;
    tagmask_status status = prepare(&job, &err);
    if (status == TAGMASK_OK) status = run_photos(&job, &err);
    if (status == TAGMASK_OK) status = report(&job, &err);
    cli_exit result = status != TAGMASK_OK ? cli_fail(&err) : job.failed ? CLI_FAILED : CLI_DONE;
    finish(&job);
    return result;
}

const cli_verb cli_verb_eval = {
    .name = "eval",
    .arguments = "--data DIR",
    .summary = "scores proposed masks on photos with ground truth",
    .details =
        "Scored rows are those of tags.csv with tag_quality exact or generic, class_complete 1 and area_frac of at\n"
        "least 0.02. Reported for the proposals: mean IoU over the rows at the fixed threshold (--threshold, default\n"
        "the preset's) with its 95 % bootstrap interval, at the best threshold on this very set (an oracle), the\n"
        "boundary F-measure, precision and recall; the same for every stage on the way and for two baselines that see\n"
        "no tag (saliency alone, a centre box); figures by set, area and saliency of the object, and the saliency's\n"
        "own MAE, max F and IoU on the salient photos. docs/evaluation.md says it exactly.",
    .options = rows,
    .options_size = sizeof(eval_options),
    .run = run_eval,
};
