#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/verbs.h"
#include "io/npy.h"

typedef struct run_options {
    const char *device, *output, *precision;
    cli_list inputs;
} run_options;

// Reads NAME=x.npy into the tensor of that name.
static tagmask_status read_input(const char *text, const tagmask_tensor *declared, size_t count, tagmask_tensor *inputs,
                                 tm_error *err) {
    // Names of tensors may hold '=' themselves, so the longest declared name that fits wins.
    size_t at = count, longest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(declared[i].name);
        if (strncmp(text, declared[i].name, length) || text[length] != '=') continue;
        if (at == count || length > longest) {
            at = i;
            longest = length;
        }
    }
    if (at == count) {
        char names[300] = "";
        for (size_t i = 0; i < count; i++) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", declared[i].name);
        }
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT,
                       "--input %s: names no input; expected NAME=FILE.npy; the network's inputs are: %s", text, names);
    }
    if (inputs[at].data) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "--input %s: the input is given twice", text);
    }
    if (!text[longest + 1]) {
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "--input %s: names no file; expected NAME=FILE.npy", text);
    }
    tagmask_tensor read = {.struct_size = sizeof read};
    TM_TRY(tm_npy_read(text + longest + 1, &read, err));
    inputs[at] = read;
    inputs[at].struct_size = sizeof inputs[at];
    inputs[at].name = declared[at].name;
    return TAGMASK_OK;
}

static tagmask_status read_inputs(const run_options *options, const char *model, const tagmask_tensor *declared,
                                  size_t count, tagmask_tensor *inputs, tm_error *err) {
    for (size_t i = 0; i < options->inputs.count; i++) {
        TM_TRY(read_input(options->inputs.items[i], declared, count, inputs, err));
    }
    for (size_t i = 0; i < count; i++) {
        if (inputs[i].data) continue;
        return tm_fail(err, TAGMASK_ERROR_ARGUMENT, "%s: the input \"%s\" is missing; give --input %s=FILE.npy", model,
                       declared[i].name, declared[i].name);
    }
    return TAGMASK_OK;
}

// Tensor names hold slashes and colons; the file's name keeps what every file system takes.
static char *output_path(const char *folder, const char *name) {
    char *file = tm_format("%s.npy", *name ? name : "output");
    if (!file) return NULL;
    for (char *at = file; *at; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                     strchr("._-", *at);
        if (!plain) *at = '_';
    }
    if (*file == '.') *file = '_';
    char *path = tm_path_join(folder, file);
    free(file);
    return path;
}

// The outputs' files. Two outputs of one file are found before anything is computed.
static tagmask_status output_paths(const char *folder, const tagmask_tensor *declared, size_t count, char **paths,
                                   tm_error *err) {
    for (size_t i = 0; i < count; i++) {
        paths[i] = output_path(folder, declared[i].name ? declared[i].name : "");
        if (!paths[i]) return tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the outputs' paths");
        for (size_t k = 0; k < i; k++) {
            if (strcmp(paths[k], paths[i])) continue;
            return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                           "%s: the outputs '%.200s' and '%.200s' would both be this file", paths[i], declared[k].name,
                           declared[i].name);
        }
    }
    return TAGMASK_OK;
}

static tagmask_status write_outputs(const char *folder, char *const *paths, const tagmask_tensor *outputs, size_t count,
                                    tm_error *err) {
    TM_TRY(tm_make_dirs(folder, err));
    for (size_t i = 0; i < count; i++) {
        TM_TRY(tm_npy_write(paths[i], &outputs[i], err));
        puts(paths[i]);
    }
    return TAGMASK_OK;
}

static tagmask_status run_network(const run_options *options, const char *model, tagmask_network *network,
                                  tm_error *err) {
    const tagmask_tensor *declared, *results;
    size_t count = tagmask_network_inputs(network, &declared),
           result_count = tagmask_network_outputs(network, &results);
    tagmask_tensor *inputs = tm_calloc(count, sizeof *inputs), *outputs = tm_calloc(result_count, sizeof *outputs);
    char **paths = tm_calloc(result_count, sizeof *paths);
    tagmask_status status = TAGMASK_OK;
    if (!inputs || !outputs || !paths)
        status = tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for its tensors", model);
    for (size_t i = 0; outputs && i < result_count; i++) outputs[i].struct_size = sizeof outputs[i];
    if (status == TAGMASK_OK) status = output_paths(options->output, results, result_count, paths, err);
    if (status == TAGMASK_OK) status = read_inputs(options, model, declared, count, inputs, err);
    if (status == TAGMASK_OK) status = tagmask_network_run(network, inputs, count, outputs, err);
    if (status == TAGMASK_OK) {
        status = write_outputs(options->output, paths, outputs, result_count, err);
        for (size_t i = 0; i < result_count; i++) tagmask_tensor_release(&outputs[i]);
    }
    for (size_t i = 0; inputs && i < count; i++) free(inputs[i].data);
    for (size_t i = 0; paths && i < result_count; i++) free(paths[i]);
    free(paths);
    free(inputs);
    free(outputs);
    return status;
}

static cli_exit run_run(void *data, int count, char **arguments) {
    (void)count;
    const run_options *options = data;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_device *device = NULL;
    tagmask_network *network = NULL;
    if (!options->output) {
        cli_message("run: expected --output DIR; see 'tagmask run --help'");
        return CLI_USAGE;
    }
    const tagmask_load_options how = {.struct_size = sizeof how, .precision = options->precision};
    tagmask_status status = tagmask_device_open(options->device, &device, &err);
    if (status == TAGMASK_OK) status = tagmask_network_load_with(device, arguments[0], NULL, 0, &how, &network, &err);
    if (status == TAGMASK_OK) status = run_network(options, arguments[0], network, &err);
    tagmask_network_free(network);
    tagmask_device_close(device);
    return status == TAGMASK_OK ? CLI_DONE : cli_fail(&err);
}

static const cli_option rows[] = {
    {"input", "NAME=FILE.npy", CLI_REPEAT, offsetof(run_options, inputs),
     .help = "array for the network's input NAME; once for each input (required)"},
    {"output", "DIR", CLI_TEXT, offsetof(run_options, output),
     .help = "folder for the results, made when it is missing (required)"},
    CLI_OPTION_PRECISION(run_options, precision),
    CLI_OPTION_DEVICE(run_options),
    {0},
};

const cli_verb cli_verb_run = {
    .name = "run",
    .arguments = "MODEL.onnx",
    .summary = "runs a network on arrays: raw inference",
    .details =
        "Every output NAME becomes DIR/NAME.npy, in the output's own type but for float16 and float64, which are "
        "computed\n"
        "and written as float32; characters of NAME other than letters, digits, '.', '_' and '-' become '_'. The "
        "files'\n"
        "paths are printed. Existing files are replaced. Inputs may have other sizes than the model declares, where "
        "its\n"
        "operators take them.",
    .options = rows,
    .options_size = sizeof(run_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_run,
};
