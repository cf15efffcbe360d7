#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/platform.h"
#include "cli/inputs.h"
#include "cli/tag_source.h"
#include "cli/verbs.h"

#define MOST_TAGS 254

typedef struct propose_options {
    const char *device, *model, *saliency, *tags_from, *out, *format;
    cli_list tags;
    uint32_t automatic;
    tagmask_params params;
} propose_options;

// A whole run of the verb.
typedef struct propose_job {
    const propose_options *options;
    tagmask_device *device;
    tagmask_engine *engine;
    tag_source *source;
    cli_inputs inputs;
    cli_list formats;
    char *format_text;
    tagmask_writer **writers;  // one a format, into the main folder
    bool rebuilt;              // the device was lost and opened again
    const char *out;
} propose_job;

// One photo on its way.
typedef struct propose_photo {
    const cli_input *input;
    tagmask_image image;
    tagmask_session *session;
    tagmask_result *result;
    cli_list tags;
    bool complete;  // no tag had to be left out
} propose_photo;

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
    for (size_t i = 0; i < job->formats.count; i++) {
        const char *other = job->formats.items[i];
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
        tm_error err = TAGMASK_ERROR_INIT;
        if (cli_add_tag(&job->formats, name, &err) != TAGMASK_OK) return cli_fail(&err);
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

static tagmask_status open_writers(propose_job *job, tm_error *err) {
    job->writers = tm_calloc(job->formats.count, sizeof *job->writers);
    if (!job->writers) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the formats");
    for (size_t i = 0; i < job->formats.count; i++) {
        TM_TRY(tagmask_writer_open(job->formats.items[i], job->out, &job->writers[i], err));
    }
    return TAGMASK_OK;
}

static cli_exit prepare(propose_job *job, char **arguments, int count) {
    const propose_options *options = job->options;
    const char *out = job->out = options->out ? options->out : "tagmask-out";
    tm_error err = TAGMASK_ERROR_INIT;
    if (!options->tags.count && !options->tags_from && !options->automatic) {
        cli_message("propose: expected --tag NAME, --tags-from or --auto; see 'tagmask propose --help'");
        return CLI_USAGE;
    }
    cli_exit status = read_formats(job);
    if (status != CLI_DONE) return status;
    if (tag_source_open(options->tags_from, &job->source, &err) != TAGMASK_OK) return cli_fail(&err);
    if (cli_inputs_collect(arguments, count, out, &job->inputs, &err) != TAGMASK_OK) return cli_fail(&err);
    if (tm_make_dirs(out, &err) != TAGMASK_OK) return cli_fail(&err);
    if (!tm_folder_is_writable(out)) {
        cli_message("%s: cannot be written to: %s; choose another folder with --out", out, strerror(errno));
        return CLI_FAILED;
    }
    if (cli_open_engine(options->device, options->model, options->saliency, &job->device, &job->engine, &err)) {
        return cli_fail(&err);
    }
    status = check_tags(job);
    if (status == CLI_DONE && open_writers(job, &err) != TAGMASK_OK) return cli_fail(&err);
    return status;
}

// A format with one file for all photos writes its last ones here.
static cli_exit close_writers(propose_job *job, cli_exit status) {
    for (size_t i = 0; job->writers && i < job->formats.count; i++) {
        tm_error err = TAGMASK_ERROR_INIT;
        if (!job->writers[i] || tagmask_writer_close(job->writers[i], &err) == TAGMASK_OK) continue;
        cli_message("%s", err.message);
        if (status == CLI_DONE) status = CLI_FAILED;
    }
    free(job->writers);
    return status;
}

static void finish(propose_job *job) {
    tagmask_engine_free(job->engine);
    tagmask_device_close(job->device);
    tag_source_close(job->source);
    cli_inputs_free(&job->inputs);
    free(job->formats.items);
    free(job->format_text);
}

// ---- A photo

// Adds a tag by its canonical name, so that "cat" and "cats" are one; an unknown one is named and left out.
static tagmask_status add_tag(propose_job *job, propose_photo *photo, const char *tag, tm_error *err) {
    tagmask_tag_info info = {.struct_size = sizeof info};
    tm_error unknown = TAGMASK_ERROR_INIT;
    if (tagmask_engine_resolve_tag(job->engine, tag, &info, &unknown) != TAGMASK_OK) {
        cli_message("%s: %s", photo->input->path, unknown.message);
        photo->complete = false;
        return TAGMASK_OK;
    }
    for (size_t i = 0; i < photo->tags.count; i++) {
        tagmask_tag_info other = {.struct_size = sizeof other};
        tagmask_status status = tagmask_engine_resolve_tag(job->engine, photo->tags.items[i], &other, err);
        if (status != TAGMASK_OK) return status;
        if (!strcmp(other.name, info.name)) return TAGMASK_OK;
    }
    return cli_add_tag(&photo->tags, tag, err);
}

static tagmask_status add_source_tags(propose_job *job, propose_photo *photo, tm_error *err) {
    cli_list found = {0};
    tagmask_status status = TAGMASK_OK;
    if (job->options->tags_from) status = tag_source_find(job->source, photo->input->path, &found, err);
    for (size_t i = 0; i < found.count && status == TAGMASK_OK; i++) {
        status = add_tag(job, photo, found.items[i], err);
    }
    free(found.items);
    return status;
}

static tagmask_status add_automatic_tags(propose_job *job, propose_photo *photo, tm_error *err) {
    size_t wanted = TM_MIN(job->options->automatic, tagmask_engine_class_count(job->engine)), count = 0;
    const char *names[MOST_TAGS];
    float probabilities[MOST_TAGS];
    if (!wanted) return TAGMASK_OK;
    TM_TRY(tagmask_session_auto_tags(photo->session, &job->options->params, wanted, names, probabilities, &count, err));
    for (size_t i = 0; i < count; i++) TM_TRY(add_tag(job, photo, names[i], err));
    return TAGMASK_OK;
}

static tagmask_status collect_tags(propose_job *job, propose_photo *photo, tm_error *err) {
    for (size_t i = 0; i < job->options->tags.count; i++) {
        TM_TRY(add_tag(job, photo, job->options->tags.items[i], err));
    }
    TM_TRY(add_source_tags(job, photo, err));
    TM_TRY(add_automatic_tags(job, photo, err));
    if (!photo->tags.count) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "no tag for this photo in --tags-from %s",
                       job->options->tags_from ? job->options->tags_from : "");
    }
    if (photo->tags.count > MOST_TAGS) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%zu tags; expected at most %d", photo->tags.count, MOST_TAGS);
    }
    return TAGMASK_OK;
}

// One photo's pictures may not replace another photo. (The formats themselves keep from replacing their own photo, and
// merge with labels that a person made.)
static tagmask_status check_target(const propose_job *job, const cli_input *input, const char *format, tm_error *err) {
    static const char *const endings[][2] = {{"voc", ".png"}, {"overlay", ".overlay.png"}};
    tagmask_status status = TAGMASK_OK;
    for (size_t i = 0; i < TM_ARRAY_LEN(endings) && status == TAGMASK_OK; i++) {
        if (strcmp(format, endings[i][0])) continue;
        char *path = tm_format("%s/%s%s", input->out, input->stem, endings[i][1]);
        if (!path || cli_inputs_has_file(&job->inputs, path)) {
            status = tm_fail(err, TAGMASK_ERROR_FILE, "%s: is one of the photos; choose another folder with --out",
                             path ? path : input->path);
        }
        free(path);
    }
    return status;
}

static tagmask_status write_photo(propose_job *job, propose_photo *photo, tm_error *err) {
    const cli_input *input = photo->input;
    tagmask_status worst = TAGMASK_OK;
    TM_TRY(tm_make_dirs(input->out, err));
    for (size_t i = 0; i < job->formats.count; i++) {
        const char *format = job->formats.items[i];
        tm_error one = TAGMASK_ERROR_INIT;
        tagmask_status status = check_target(job, input, format, &one);
        bool apart = strcmp(input->out, job->out) != 0;
        if (status == TAGMASK_OK && !apart) {
            status = tagmask_writer_add(job->writers[i], photo->result, input->path, &photo->image, &one);
        } else if (status == TAGMASK_OK) {
            status = tagmask_result_write(photo->result, format, input->path, &photo->image, input->out, &one);
        }
        if (status == TAGMASK_OK) continue;
        if (worst != TAGMASK_OK) cli_message("%s: %s", input->path, err->message);  // the last one is the caller's
        worst = status;
        *err = one;
    }
    return worst;
}

static void print_photo(const propose_job *job, const propose_photo *photo) {
    const tagmask_result *result = photo->result;
    double pixels = (double)tagmask_result_width(result) * tagmask_result_height(result);
    cli_progress_clear();
    printf("%s -> %s/%s.* (", photo->input->path, photo->input->out, photo->input->stem);
    for (size_t i = 0; i < job->formats.count; i++) printf("%s%s", i ? ", " : "", job->formats.items[i]);
    printf(")\n");
    for (size_t tag = 0; tag < tagmask_result_tag_count(result); tag++) {
        double area = 0, score = 0;
        size_t parts = 0;
        for (size_t i = 0; i < tagmask_result_region_count(result); i++) {
            tagmask_region region = {.struct_size = sizeof region};
            if (tagmask_result_region(result, i, &region) != TAGMASK_OK || region.tag != tag) continue;
            parts++;
            area += (double)region.area;
            score += (double)region.area * region.score;
        }
        const char *note = tagmask_result_note(result, tag);
        printf("  %s: %zu part%s, %.1f %% of the photo, score %.2f%s%s\n", tagmask_result_tag(result, tag), parts,
               parts == 1 ? "" : "s", 100 * area / TM_MAX(pixels, 1.0), area > 0 ? score / area : 0.0,
               *note ? "; " : "", note);
    }
    fflush(stdout);
}

static tagmask_status propose_photo_masks(propose_job *job, propose_photo *photo, tm_error *err) {
    photo->image.struct_size = sizeof photo->image;
    TM_TRY(tagmask_image_read(photo->input->path, &photo->image, err));
    TM_TRY(tagmask_session_create(job->engine, &photo->image, &photo->session, err));
    TM_TRY(collect_tags(job, photo, err));
    TM_TRY(tagmask_propose(photo->session, photo->tags.items, photo->tags.count, &job->options->params, &photo->result,
                           err));
    TM_TRY(write_photo(job, photo, err));
    print_photo(job, photo);
    return TAGMASK_OK;
}

static void free_photo(propose_photo *photo) {
    tagmask_result_free(photo->result);
    tagmask_session_free(photo->session);
    tagmask_image_release(&photo->image);
    free(photo->tags.items);
}

// A driver that was reset works again once the device is opened anew; one that is lost twice will not last.
static tagmask_status rebuild_device(propose_job *job, tm_error *err) {
    const propose_options *options = job->options;
    job->rebuilt = true;
    tagmask_engine_free(job->engine);
    tagmask_device_close(job->device);
    return cli_open_engine(options->device, options->model, options->saliency, &job->device, &job->engine, err);
}

// Returns false when going on makes no sense.
static bool run_photo(propose_job *job, const cli_input *input, cli_exit *status) {
    propose_photo photo = {.input = input, .complete = true};
    tm_error err = TAGMASK_ERROR_INIT;
    cli_progress_item(input->path);
    tagmask_status done = propose_photo_masks(job, &photo, &err);
    if (done == TAGMASK_ERROR_DEVICE_LOST && !job->rebuilt) {
        cli_message("%s: %s", input->path, err.message);
        cli_message("%s: repeated with the device opened again", input->path);
        free_photo(&photo);
        photo = (propose_photo){.input = input, .complete = true};
        done = rebuild_device(job, &err);
        if (done == TAGMASK_OK) done = propose_photo_masks(job, &photo, &err);
    }
    if (done != TAGMASK_OK) {
        bool named = strstr(err.message, input->path) != NULL;
        cli_message("%s%s%s", named ? "" : input->path, named ? "" : ": ", err.message);
    }
    if (done != TAGMASK_OK || !photo.complete) *status = CLI_FAILED;
    free_photo(&photo);
    return job->engine && done != TAGMASK_ERROR_DEVICE_LOST && done != TAGMASK_ERROR_ABORTED;
}

static const cli_option rows[] = {
    {"tag", "NAME", CLI_REPEAT, offsetof(propose_options, tags),
     .help = "an object that the photos show: a name, a synonym, a wider word (dog) or class indices (#281,282); give "
             "it once for each object"},
    {"tags-from", "SOURCE", CLI_TEXT, offsetof(propose_options, tags_from),
     .help = "tags of each photo from a file: 'labelme' (the flags of the JSON beside the photo that are true), "
             "csv:FILE (rows file,tag) or coco:FILE (the categories of each image's annotations)"},
    {"auto", "K", CLI_UINT, offsetof(propose_options, automatic), 1, 100,
     .help = "add the K most probable tags of each photo"},
    {"out", "DIR", CLI_TEXT, offsetof(propose_options, out),
     .help = "folder for the results, made when it is missing (default: tagmask-out)"},
    {"format", "LIST", CLI_TEXT, offsetof(propose_options, format),
     .help = "what to write, separated by commas, such as labelme,overlay,voc,prob (default: labelme)"},
    CLI_OPTION_MODEL(propose_options),
    CLI_OPTION_SALIENCY(propose_options),
    CLI_OPTIONS_PARAMS(propose_options, params),
    CLI_OPTION_DEVICE(propose_options),
    {0},
};

static cli_exit run_propose(void *data, int count, char **arguments) {
    propose_options *options = data;
    propose_job job = {.options = options};
    cli_preset preset;
    tm_error err = TAGMASK_ERROR_INIT;
    options->params.struct_size = sizeof options->params;
    if (cli_preset_apply(rows, options, &options->params, &preset, &err) != TAGMASK_OK) {
        cli_preset_free(&preset);
        return cli_fail(&err);
    }
    options->params.progress = cli_progress_stage;
    cli_exit status = prepare(&job, arguments, count);
    if (status == CLI_DONE) {
        cli_progress_begin(job.inputs.count);
        size_t done = 0;
        while (done < job.inputs.count && run_photo(&job, &job.inputs.items[done], &status)) done++;
        for (size_t i = done + 1; i < job.inputs.count; i++) {
            cli_message("%s: not done, because the run ended before it", job.inputs.items[i].path);
        }
        cli_progress_end();
    }
    status = close_writers(&job, status);
    finish(&job);
    cli_preset_free(&preset);
    return status;
}

const cli_verb cli_verb_propose = {
    .name = "propose",
    .arguments = "IMAGE|DIR...",
    .summary = "proposes the masks of the objects that tags name",
    .details =
        "Reads PNG and JPEG files, and all of those in a folder (not in its sub-folders), in the order of their "
        "names,\n"
        "and writes one set of label files a photo, named like it. All tags of a photo compete for its pixels. A "
        "photo\n"
        "that cannot be read is named and the others are done.\n"
        "\n"
        "Files are written whole or not at all. A labelme file that is there already is merged with: what a person\n"
        "drew or changed stays, proposals that a person deleted stay deleted, untouched ones are replaced. Photos are\n"
        "never overwritten. The second photo with the same name goes to DIR/2, the third to DIR/3.\n"
        "\n"
        "  tagmask propose photo.jpg --tag cat --tag sofa --format labelme,overlay\n"
        "  tagmask propose photos/ --tags-from csv:tags.csv --out masks\n"
        "\n"
        "Formats (docs/formats.md): labelme or labelme-mask (NAME.json with polygons or with masks), coco, coco-rle,\n"
        "coco-rle-crowd, voc (NAME.png, index 0 background, 1.. the tags in order), yolo, cvat, label-studio,\n"
        "label-studio-polygon, overlay and heatmap (pictures), prob (NAME.TAG.npy, float32 (height, width), the\n"
        "probability of a tag; spaces in the tag become _). Those of COCO, CVAT and Label Studio collect all photos "
        "in\n"
        "one file; two runs at a time into one of them are refused.",
    .options = rows,
    .options_size = sizeof(propose_options),
    .min_args = 1,
    .max_args = -1,
    .run = run_propose,
};
