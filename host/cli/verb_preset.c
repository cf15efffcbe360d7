#include <stdlib.h>

#include "cli/verbs.h"

static cli_exit run_preset(void *options, int count, char **arguments) {
    (void)options;
    tm_error err = TAGMASK_ERROR_INIT;
    if (count && !*arguments[0]) {
        cli_message("preset: the name is empty; expected fast, balanced or best, or a JSON file");
        return CLI_USAGE;
    }
    char *text = cli_preset_text(count ? arguments[0] : NULL, &err);
    if (!text) return cli_fail(&err);
    puts(text);
    free(text);
    return CLI_DONE;
}

static const cli_option rows[] = {{0}};

const cli_verb cli_verb_preset = {
    .name = "preset",
    .arguments = "[NAME|FILE]",
    .summary = "prints a preset with every member, as JSON",
    .details =
        "NAME is fast, balanced (default) or best. What is printed can be saved, changed and given to other verbs "
        "with\n"
        "--preset FILE; a file needs only the members that differ from the preset that its \"preset\" names. A file's\n"
        "members are checked. docs/presets.md describes them.\n"
        "\n"
        "  tagmask preset best > mine.json",
    .options = rows,
    .max_args = 1,
    .run = run_preset,
};
