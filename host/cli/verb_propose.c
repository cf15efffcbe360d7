#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/platform.h"
#include "cli/propose.h"
#include "cli/verbs.h"

// Photos of up to some 30 megapixels with one tag are worked on several at a time.
#define BESIDE_BYTES ((uint64_t)384 << 20)

// ---- Before the photos

static bool known_format(const char *name) {
    const char *known;
    tm_nearest nearest;
    tm_nearest_begin(&nearest, name, 1);
    char all[300] = "";
    for (size_t i = 0; (known = tagmask_format_name(i)) != NULL; i++) {
        if (!strcmp(known, name)) return true;
        tm_nearest_offer(&nearest, known, known);
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", known);
    }
    cli_message("propose: unknown format \"%s\"; %s%s%sthe formats are: %s", name, nearest.count ? "did you mean " : "",
                nearest.count ? nearest.names[0] : "", nearest.count ? "? " : "", all);
    return false;
}

// labelme and labelme-mask have one file, in which the second would replace what the first wrote.
static bool shares_a_file(const propose_job *job, const char *name) {
    static const char first[] = "labelme";
    for (size_t i = 0; i < job->output.formats.count; i++) {
        const char *other = job->output.formats.items[i];
        bool both = !strncmp(name, first, strlen(first)) && !strncmp(other, first, strlen(first));
        if (!both || !strcmp(name, other)) continue;
        cli_message("propose: %s and %s write the same files, NAME.json; expected one of them", other, name);
        return true;
    }
    return false;
}

static cli_exit read_formats(propose_job *job) {
    job->format_text = tm_strdup(job->options->format ? job->options->format : "labelme");
    if (!job->format_text) return CLI_FAILED;
    for (char *name = job->format_text, *next; name; name = next) {
        char *comma = strchr(name, ',');
        next = comma ? comma + 1 : NULL;
        if (comma) *comma = 0;
        if (!known_format(name) || shares_a_file(job, name)) return CLI_USAGE;
        job->keep_maps |= !strncmp(name, "map", 3);
        tm_error err = TAGMASK_ERROR_INIT;
        if (cli_add_tag(&job->output.formats, name, &err) != TAGMASK_OK) return cli_fail(&err);
    }
    return CLI_DONE;
}

// Tags that the command line gives are wrong for every photo, so nothing starts with an unknown one.
static cli_exit check_tags(propose_job *job) {
    cli_exit status = CLI_DONE;
    for (size_t i = 0; i < job->options->tags.count; i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        tagmask_tag_info info = {.struct_size = sizeof info};
        if (tagmask_engine_resolve_tag(job->engine, job->options->tags.items[i], &info, &err) == TAGMASK_OK) continue;
        status = cli_fail(&err);
    }
    return status;
}

// Of everything that decides over a photo's labels, but its tags: an earlier run's labels are good when it is the same.
// A format that is asked for first or last makes no difference.
static uint64_t hash_settings(const propose_job *job, const char *preset) {
    const propose_options *o = job->options;
    const tagmask_params *p = &o->params;
    const char *texts[] = {tagmask_version(),
                           o->packs.model ? o->packs.model : "",
                           o->packs.second ? o->packs.second : "",
                           o->packs.saliency ? o->packs.saliency : "",
                           o->packs.features ? o->packs.features : "",
                           o->packs.precision ? o->packs.precision : "fp32",
                           preset,
                           p->method ? p->method : "",
                           p->layer ? p->layer : ""};
    cli_number numbers[CLI_PARAM_NUMBERS];
    cli_params_numbers(p, numbers);
    uint64_t hash = 0, formats = 0;
    for (size_t i = 0; i < TM_ARRAY_LEN(texts); i++) hash = tm_hash64(texts[i], strlen(texts[i]) + 1, hash);
    for (size_t i = 0; i < job->output.formats.count; i++) {
        formats += tm_hash64(job->output.formats.items[i], strlen(job->output.formats.items[i]), 0);
    }
    hash = tm_hash64(&o->automatic, sizeof o->automatic, hash ^ formats);
    for (size_t i = 0; i < CLI_PARAM_NUMBERS; i++) hash = tm_hash64(&numbers[i].value, sizeof numbers[i].value, hash);
    return hash;
}

static cli_exit prepare_output(propose_job *job, const char *out) {
    tm_error err = TAGMASK_ERROR_INIT;
    if (tm_make_dirs(out, &err) != TAGMASK_OK) return cli_fail(&err);
    if (!tm_folder_is_writable(out)) {
        cli_message("%s: cannot be written to: %s; choose another folder with --out", out, strerror(errno));
        return CLI_FAILED;
    }
    return cli_journal_open(out, &job->output.journal, &err) == TAGMASK_OK ? CLI_DONE : cli_fail(&err);
}

static cli_exit prepare(propose_job *job, char **arguments, int count) {
    const propose_options *options = job->options;
    const char *out = options->out ? options->out : "tagmask-out";
    tm_error err = TAGMASK_ERROR_INIT;
    if (!options->tags.count && !options->tags_from && !options->automatic) {
        cli_message("propose: expected --tag NAME, --tags-from or --auto; see 'tagmask propose --help'");
        return CLI_USAGE;
    }
    cli_exit status = read_formats(job);
    if (status != CLI_DONE) return status;
    if (tag_source_open(options->tags_from, &job->source, &err) != TAGMASK_OK) return cli_fail(&err);
    if (cli_inputs_collect(arguments, count, out, &job->inputs, &err) != TAGMASK_OK) return cli_fail(&err);
    for (size_t i = 0; i < job->inputs.count; i++) tag_source_claim(job->source, job->inputs.items[i].name);
    if (cli_open_engine(options->device, &options->packs, &job->device, &job->engine, &err)) {
        return cli_fail(&err);
    }
    status = check_tags(job);
    if (status != CLI_DONE) return status;
    if (tagmask_engine_check_params(job->engine, &options->params, &err) != TAGMASK_OK) {
        cli_exit failed = cli_fail(&err);  // a preset file that cannot be read, the device
        // Also what only this pack cannot do: it is the same for every photo.
        return err.status == TAGMASK_ERROR_FILE ? failed : CLI_USAGE;
    }
    tagmask_params defaults = {.struct_size = sizeof defaults};
    if (tagmask_params_default(options->params.preset, &defaults, &err) != TAGMASK_OK) return cli_fail(&err);
    // Only now that all is right: a wrong command line leaves no folder behind.
    status = prepare_output(job, out);
    if (status != CLI_DONE) return status;
    job->threshold = options->params.threshold != 0 ? options->params.threshold : defaults.threshold;
    char *preset = cli_preset_text(options->params.preset, &err);
    if (!preset) return cli_fail(&err);
    job->settings = hash_settings(job, preset);
    free(preset);
    job->beside_bytes = BESIDE_BYTES;
    job->output.inputs = &job->inputs;
    job->output.summary = &job->summary;
    return propose_output_open(&job->output, &err) == TAGMASK_OK ? CLI_DONE : cli_fail(&err);
}

// ---- The photos

static cli_exit run_photos(propose_job *job) {
    cli_summary *summary = &job->summary;
    tm_error err = TAGMASK_ERROR_INIT;
    summary->total = job->inputs.count;
    cli_stop_on_signals();
    cli_progress_begin(job->inputs.count);
    propose_run_photos(job);
    cli_progress_end();
    size_t reached = summary->done + summary->skipped + summary->failed;
    bool whole = reached == summary->total;
    if (whole) summary->stopped = NULL;
    if (!whole) summary->before = job->inputs.items[reached].path;
    bool written = propose_output_close(&job->output, &err) == TAGMASK_OK;
    if (!written) cli_message("%s", err.message);
    cli_summary_print(summary, stdout);
    return whole && written && !summary->failed && !job->inputs.incomplete ? CLI_DONE : CLI_FAILED;
}

static void finish(propose_job *job) {
    tagmask_engine_free(job->engine);
    tagmask_device_close(job->device);
    tag_source_close(job->source);
    cli_journal_close(job->output.journal);
    cli_inputs_free(&job->inputs);
    cli_summary_free(&job->summary);
    free(job->output.formats.items);
    free(job->format_text);
}

static const cli_option rows[] = {
    {"tag", "NAME", CLI_REPEAT, offsetof(propose_options, tags),
     .help = "an object that the photos show: a name, a synonym, a wider word (dog) or class indices (#281,282); give "
             "it once for each object"},
    {"tags-from", "SOURCE", CLI_TEXT, offsetof(propose_options, tags_from),
     .help =
         "tags of each photo: 'labelme' (the flags of the JSON beside it that are true), csv:FILE (rows file,tag), "
         "coco:FILE (the categories of each image's annotations) or 'folder' (the name of the folder that it is in)"},
    {"auto", "K", CLI_UINT, offsetof(propose_options, automatic), 1, 100,
     .help = "add the K most probable tags of each photo"},
    {"out", "DIR", CLI_TEXT, offsetof(propose_options, out),
     .help = "folder for the results, made when it is missing (default: tagmask-out)"},
    {"format", "LIST", CLI_TEXT, offsetof(propose_options, format),
     .help = "what to write, separated by commas, such as labelme,overlay,voc,prob (default: labelme)"},
    {"resume", NULL, CLI_FLAG, offsetof(propose_options, resume),
     .help = "skip photos that an earlier run with the same tags and options has done and whose label files are there"},
    CLI_OPTIONS_PACKS(propose_options),
    CLI_OPTIONS_PARAMS(propose_options, params),
    CLI_OPTION_DEVICE(propose_options),
    {0},
};

static cli_exit run_propose(void *data, int count, char **arguments) {
    propose_options *options = data;
    propose_job job = {.options = options};
    options->params.struct_size = sizeof options->params;
    options->params.progress = cli_progress_stage;
    cli_exit status = prepare(&job, arguments, count);
    if (status == CLI_DONE) status = run_photos(&job);
    finish(&job);
    return status;
}

const cli_verb cli_verb_propose = {
    .name = "propose",
    .arguments = "IMAGE|DIR...",
    .summary = "proposes the masks of the objects that tags name",
    .details =
        "Reads PNG and JPEG files, and all of those in a folder and its sub-folders, in the order of their names, and\n"
        "writes one set of label files a photo, named like it, into the same sub-folders of the output folder. Hidden\n"
        "files, pictures that tagmask has written and the output folder itself are passed over. All tags of a photo\n"
        "compete for its pixels. A photo that cannot be read is named and the others are done.\n"
        "\n"
        "Files are written whole or not at all. A labelme file that is there already is merged with: what a person\n"
        "drew or changed stays, proposals that a person deleted stay deleted, untouched ones are replaced. Photos are\n"
        "never overwritten. The second photo with the same name in the same folder goes to DIR/2, the third to DIR/3.\n"
        "\n"
        "The last lines on standard output sum up: how many photos are done, skipped, failed and not reached, each\n"
        "failure and each tag without a region with its reason, seconds a photo. Ctrl-C ends a run at the next step\n"
        "with all files whole, a second one at once. However a run ended, the same command with --resume goes on.\n"
        "\n"
        "  tagmask propose photo.jpg --tag cat --tag sofa --format labelme,overlay\n"
        "  tagmask propose photos/ --tags-from csv:tags.csv --out masks --resume\n"
        "\n"
        "Formats (docs/formats.md): labelme or labelme-mask (NAME.json with polygons or with masks), coco, coco-rle,\n"
        "coco-rle-crowd, voc (NAME.png, index 0 background, 1.. the tags in order), yolo, cvat, label-studio,\n"
        "label-studio-polygon, overlay, heatmap and map (pictures), prob (NAME.TAG.npy, float32 (height, width), the\n"
        "probability of a tag; spaces in the tag become _), map-npy (NAME.TAG.map.npy, its class map). Those of COCO,\n"
        "CVAT and Label Studio collect all photos in one file; two runs at a time into one of them are refused.",
    .options = rows,
    .options_size = sizeof(propose_options),
    .min_args = 1,
    .max_args = -1,
    .run = run_propose,
};
