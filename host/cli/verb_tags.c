#include "cli/verbs.h"

typedef struct tags_options {
    const char *model;
} tags_options;

static void print_vocabulary(const tagmask_engine *engine) {
    const char *name;
    for (size_t i = 0; (name = tagmask_engine_vocabulary(engine, i)) != NULL; i++) puts(name);
}

static cli_exit print_tag(tagmask_engine *engine, const char *tag) {
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_tag_info info = {.struct_size = sizeof info};
    if (tagmask_engine_resolve_tag(engine, tag, &info, &err) != TAGMASK_OK) return cli_fail(&err);
    printf("%s: %zu class%s", info.name, info.class_count, info.class_count == 1 ? "" : "es");
    printf("%s%s\n", *info.note ? "; " : "", info.note);
    for (size_t i = 0; i < info.class_count; i++) {
        const char *name = tagmask_engine_class_name(engine, (size_t)info.classes[i]);
        printf("  %4d %s\n", info.classes[i], name ? name : "");
    }
    return CLI_DONE;
}

static cli_exit run_tags(void *data, int count, char **arguments) {
    const tags_options *options = data;
    tm_error err = TAGMASK_ERROR_INIT;
    tagmask_engine *engine;
    if (tagmask_engine_create(NULL, options->model, "none", &engine, &err) != TAGMASK_OK) return cli_fail(&err);
    cli_exit status = CLI_DONE;
    if (!count) print_vocabulary(engine);
    for (int i = 0; i < count; i++) {
        cli_exit one = print_tag(engine, arguments[i]);
        status = TM_MAX(status, one);
    }
    tagmask_engine_free(engine);
    return status;
}

static const cli_option rows[] = {
    CLI_OPTION_MODEL(tags_options, model),
    {0},
};

const cli_verb cli_verb_tags = {
    .name = "tags",
    .arguments = "[NAME]...",
    .summary = "shows the classes behind a tag, or the vocabulary",
    .details =
        "Without NAME: every tag that the classifier's pack knows, one a line; synonyms are accepted too but not\n"
        "listed. With NAME: the classes that it stands for. Case, plural, spaces, hyphens and underscores do not\n"
        "matter. A known word without a class (person, cow) is proposed from saliency alone. \"#281,282\" names class\n"
        "indices directly, and \"#\" alone is a tag without a class. Needs no Vulkan device.",
    .options = rows,
    .options_size = sizeof(tags_options),
    .max_args = -1,
    .run = run_tags,
};
