// The command `tagmask`: finds the verb and runs it.
#include <errno.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/verbs.h"

static void print_overview(FILE *file) {
    fputs(
        "Usage: tagmask VERB [OPTION]... [ARGUMENT]...\n"
        "Tags in, masks out: proposes the pixel masks of the objects that a photo's tags name.\n\nVerbs:\n",
        file);
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) {
        fprintf(file, "  %-10s %s\n", (*verb)->name, (*verb)->summary);
    }
    fputs(
        "\n'tagmask VERB --help' explains a verb and its options; 'tagmask --version' prints the version.\n\n"
        "Environment: TAGMASK_DEVICE (index or part of a name) chooses the Vulkan device, TAGMASK_MODELS the folder\n"
        "of model packs, TAGMASK_CACHE the cache folder, TAGMASK_LOG (debug, info, warning, error, off) the log.\n",
        file);
}

static const cli_verb *find_verb(const char *name) {
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) {
        if (!strcmp((*verb)->name, name)) return *verb;
    }
    return NULL;
}

static cli_exit unknown_verb(const char *name) {
    tm_nearest nearest;
    tm_nearest_begin(&nearest, name, 1);
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) {
        tm_nearest_offer(&nearest, (*verb)->name, (*verb)->name);
    }
    if (nearest.count) {
        cli_message("unknown verb \"%s\"; did you mean %s?", name, nearest.names[0]);
    } else {
        cli_message("unknown verb \"%s\"; 'tagmask --help' lists the verbs", name);
    }
    return CLI_USAGE;
}

static cli_exit run_verb(const cli_verb *verb, int argc, char **argv) {
    cli_exit status = CLI_FAILED;
    int first = 0;
    void *options = tm_calloc(1, verb->options_size);
    if (!options) {
        cli_message("no memory for the options");
        return status;
    }
    if (cli_parse(verb, argc, argv, options, &first, &status)) {
        status = verb->run(options, argc - first, argv + first);
    }
    cli_free_options(verb, options);
    return status;
}

// A full disk behind stdout must not look like success.
static cli_exit finish(cli_exit status) {
    if (fflush(stdout) || ferror(stdout)) {
        cli_message("stdout: cannot be written: %s", strerror(errno));
        return status == CLI_DONE ? CLI_FAILED : status;
    }
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    bool help = !strcmp(name, "help");
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || (help && argc == 2)) {
        print_overview(stdout);
        return (int)finish(CLI_DONE);
    }
    if (!strcmp(name, "--version")) {
        printf("tagmask %s\n", tagmask_version());
        return (int)finish(CLI_DONE);
    }
    if (help) name = argv[2];
    const cli_verb *verb = find_verb(name);
    if (!verb) return (int)unknown_verb(name);
    if (help) {
        cli_print_help(verb, stdout);
        return (int)finish(CLI_DONE);
    }
    return (int)finish(run_verb(verb, argc - 1, argv + 1));
}
