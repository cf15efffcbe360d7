// The command `tagmask`: a table of verbs, each with a table of options from which parsing and --help are made.
//
// A verb is one file verb_NAME.c that defines a `const cli_verb`, and one row of the table in verbs.c. Results go to
// stdout, progress and messages to stderr.
#ifndef CLI_H
#define CLI_H

#include <stdio.h>

#include "base/base.h"

typedef enum cli_exit {
    CLI_DONE = 0,      // everything asked for was done
    CLI_FAILED = 1,    // some inputs failed; each was named and the rest are done
    CLI_USAGE = 2,     // the command line is wrong; nothing was done
    CLI_NO_DEVICE = 3  // no usable Vulkan device
} cli_exit;

// ---- Options

typedef struct cli_list {  // of borrowed texts
    const char **items;
    size_t count, capacity;
} cli_list;

typedef enum cli_kind {
    CLI_FLAG,    // bool
    CLI_TEXT,    // const char *
    CLI_REPEAT,  // cli_list: may be given several times
    CLI_UINT,    // uint32_t
    CLI_INT,     // int32_t
    CLI_REAL     // float
} cli_kind;

typedef struct cli_option {
    const char *name;   // long name without dashes; NULL ends a table
    const char *value;  // what follows the name in the help; NULL for flags
    cli_kind kind;
    size_t offset;    // of the member in the verb's options
    double min, max;  // of numbers, inclusive
    // Stored instead of 0. The library reads zero as "the default", so that a zero a person types needs its own number.
    double zero;
    bool of_preset;  // min and max are those of the preset's member of this name
    const char *help;
} cli_option;

typedef struct cli_verb {
    const char *name;
    const char *arguments;  // as in the usage line: "IMAGE|DIR..."
    const char *summary;    // one line
    const char *details;    // paragraphs, already wrapped
    const cli_option *options;
    size_t options_size;     // of the verb's zeroed options struct
    int min_args, max_args;  // positional arguments; max_args -1: any number
    cli_exit (*run)(void *options, int count, char **arguments);
} cli_verb;

// Fills `options` and moves the positional arguments to the end of argv, from argv + *first. argv[0] is the verb.
// Returns false when the program should end with *status (help was printed, or a message about what is wrong).
bool cli_parse(const cli_verb *verb, int argc, char **argv, void *options, int *first, cli_exit *status);
void cli_free_options(const cli_verb *verb, void *options);
void cli_print_help(const cli_verb *verb, FILE *file);
// Reads one value as the option's kind, checking its range; false with a message in err.
bool cli_store(const cli_option *option, const char *text, void *options, tm_error *err);
bool cli_list_add(cli_list *list, const char *text);

// ---- Messages and progress. [any thread]

// One line on stderr, "tagmask: ..."; clears a progress bar first.
void cli_message(const char *format, ...) TM_PRINTF(1, 2);
// Prints the message of a failure; returns the exit status that belongs to it.
cli_exit cli_fail(const tm_error *err);
cli_exit cli_status(tagmask_status status);

// A bar on a terminal, one line an item otherwise. There is one at a time.
void cli_progress_begin(size_t total);
void cli_progress_item(const char *name);                            // the next item starts
bool cli_progress_stage(void *user, float done, const char *stage);  // a tagmask_progress_fn
void cli_progress_end(void);
// Around what is written to stdout meanwhile: takes the bar away, and keeps other threads' messages out of it. No other
// function of this section may be called in between.
void cli_print_begin(void);
void cli_print_end(void);

// From now on the first SIGINT or SIGTERM only asks to stop: cli_progress_stage says so to the library. The second one
// ends the process.
void cli_stop_on_signals(void);
const char *cli_stop_reason(void);  // NULL: nobody has asked

// ---- Shared by the verbs

#define CLI_OPTION_DEVICE(type)                                                                                        \
    {                                                                                                                  \
        "device", "D", CLI_TEXT, offsetof(type, device),                                                               \
            .help =                                                                                                    \
                "index or part of the name of the Vulkan device (default: TAGMASK_DEVICE, else the first of 'tagmask " \
                "devices')"                                                                                            \
    }
#define CLI_OPTION_PRECISION(type, member)                                                                       \
    {                                                                                                            \
        "precision", "P", CLI_TEXT, offsetof(type, member),                                                      \
            .help =                                                                                              \
                "how the networks' weights are held on the device: fp32 (default), or fp16 in half the memory; " \
                "computed in 32 bits either way"                                                                 \
    }
#define CLI_OPTION_MODEL(type, member)                                                                              \
    {                                                                                                               \
        "model", "PACK", CLI_TEXT, offsetof(type, member),                                                          \
            .help =                                                                                                 \
                "classifier: a folder with pack.json, or its name in TAGMASK_MODELS, the installed data folder or " \
                "the "                                                                                              \
                "build tree's models (default: efficientnet-lite0)"                                                 \
    }
// Which packs an engine is made of; NULL: the default.
typedef struct cli_packs {
    const char *model, *second, *saliency, *features, *precision;
} cli_packs;
// Rows for them; `packs` is the member's name, too.
#define CLI_OPTIONS_PACKS(type)                                                                                   \
    CLI_OPTION_MODEL(type, packs.model),                                                                          \
        {"second", "PACK", CLI_TEXT, offsetof(type, packs.second),                                                \
         .help =                                                                                                  \
             "classifier of the same classes that some presets ask, too, or 'none' (default: efficientnet-lite1 " \
             "beside the default classifier, if installed)"},                                                     \
        {"saliency", "PACK", CLI_TEXT, offsetof(type, packs.saliency),                                            \
         .help = "saliency network: as --model, or 'none' to propose without one (default: u2netp)"},             \
        {"features", "PACK", CLI_TEXT, offsetof(type, packs.features),                                            \
         .help =                                                                                                  \
             "network whose features tell some presets which places belong together, or 'none' (default: "        \
             "vit-s-focus beside the default classifier, if installed)"},                                         \
        CLI_OPTION_PRECISION(type, packs.precision)

// A row for a number that presets have, too.
#define CLI_OPTION_MEMBER(type, member, name, value, kind, of, zero, help) \
    { name, value, kind, offsetof(type, member.of), 0, 0, zero, true, help }
// Rows for the members of a tagmask_params.
#define CLI_OPTIONS_PARAMS(type, member)                                                                               \
    {"preset", "NAME|FILE", CLI_TEXT, offsetof(type, member.preset),                                                   \
     .help =                                                                                                           \
         "fast, balanced or best, or a JSON file (its name has a dot or a slash) such as {\"preset\": \"best\", "      \
         "\"threshold\": 0.4}: 'tagmask preset best' prints all members; what the command line says goes before "      \
         "the file (default: balanced)"},                                                                              \
        {"method", "NAME", CLI_TEXT, offsetof(type, member.method),                                                    \
         .help =                                                                                                       \
             "how the map of the classifier is made: cam, or for networks of any kind gradcam, gradcam++, xgradcam, "  \
             "hirescam, layercam, elementwise, eigencam, eigengradcam, fullgrad, scorecam, ablationcam, for "          \
             "transformers attention, rollout, relevance (docs/maps.md; default: cam)"},                               \
        {"layer", "NAME[,NAME...]", CLI_TEXT, offsetof(type, member.layer),                                            \
         .help =                                                                                                       \
             "layer of the classifier whose map is taken, of those that 'tagmask layers' lists, or up to 6, whose "    \
             "maps are averaged; the method cam has only one (default: the last before the pooling)"},                 \
        CLI_OPTION_MEMBER(type, member, "threshold", "T", CLI_REAL, threshold, 0,                                      \
                          "probability from which a pixel belongs to a tag (default: the preset's)"),                  \
        CLI_OPTION_MEMBER(                                                                                             \
            type, member, "score-limit", "P", CLI_REAL, score_limit, -1,                                               \
            "a tag gets no region when the classifier sees it nowhere: the largest share of a place that its "         \
            "classes have is less than this; 0 or -1: every tag gets one (default: 0.016)"),                           \
        CLI_OPTION_MEMBER(type, member, "working-size", "PX", CLI_UINT, working_size, 0,                               \
                          "long side at which maps are fused and refined (default: 640)"),                             \
        CLI_OPTION_MEMBER(type, member, "crf-gaussian-sxy", "PX", CLI_REAL, crf_gaussian_sxy, 0,                       \
                          "dense CRF: width of the Gaussian term, as in pydensecrf (default: 3)"),                     \
        CLI_OPTION_MEMBER(type, member, "crf-gaussian-compat", "W", CLI_REAL, crf_gaussian_compat, 0,                  \
                          "dense CRF: weight of the Gaussian term (default: 3)"),                                      \
        CLI_OPTION_MEMBER(type, member, "crf-bilateral-sxy", "PX", CLI_REAL, crf_bilateral_sxy, 0,                     \
                          "dense CRF: width of the bilateral term in the picture (default: 50)"),                      \
        CLI_OPTION_MEMBER(type, member, "crf-bilateral-srgb", "V", CLI_REAL, crf_bilateral_srgb, 0,                    \
                          "dense CRF: width of the bilateral term in colour, of 0..255 (default: 5)"),                 \
        CLI_OPTION_MEMBER(type, member, "crf-bilateral-compat", "W", CLI_REAL, crf_bilateral_compat, 0,                \
                          "dense CRF: weight of the bilateral term (default: 5)"),                                     \
        CLI_OPTION_MEMBER(type, member, "crf-iterations", "N", CLI_INT, crf_iterations, -1,                            \
                          "dense CRF: iterations; 0: no CRF (default: 5)"),                                            \
        CLI_OPTION_MEMBER(                                                                                             \
            type, member, "min-part", "SHARE", CLI_REAL, min_part, -1,                                                 \
            "parts smaller than this share of the tag's largest part are dropped; 0 or -1: keep all (default: 0.05)"), \
        CLI_OPTION_MEMBER(                                                                                             \
            type, member, "max-parts", "N", CLI_UINT, max_parts, 0,                                                    \
            "each tag's largest parts that are kept, such as 1 for one shape a tag; 0: all (default: 0)"),             \
        CLI_OPTION_MEMBER(type, member, "polygon-tolerance", "PX", CLI_REAL, polygon_tolerance, -1,                    \
                          "largest distance between outline and polygon; 0 or -1: every corner (default: 1)")

// A preset with every member, as tagmask_preset_text gives it; malloc'ed, NULL on failure.
char *cli_preset_text(const char *preset, tm_error *err);

// The numbers among a tagmask_params by name; 0: not given. What decides over results is recorded from this one list.
typedef struct cli_number {
    const char *name;
    double value;
} cli_number;
#define CLI_PARAM_NUMBERS 12
void cli_params_numbers(const tagmask_params *params, cli_number numbers[CLI_PARAM_NUMBERS]);

// Opens device and engine; both NULL on failure.
tagmask_status cli_open_engine(const char *device_selector, const cli_packs *packs, tagmask_device **device,
                               tagmask_engine **engine, tm_error *err);

#endif
