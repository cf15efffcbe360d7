// Option tables: parsing by getopt_long, and the help text made of the same rows.
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/cli.h"
#include "mask/preset.h"

#define MOST_OPTIONS 48
#define FIRST_ROW 256  // getopt_long's value of the first row; equal values would pass for unambiguous
#define HELP_COLUMN 28
#define HELP_WIDTH 100

bool cli_list_add(cli_list *list, const char *text) {
    if (!tm_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items)) return false;
    list->items[list->count++] = text;
    return true;
}

// The member of presets that a row is for; one without it has its own range.
static tm_member range_of(const cli_option *option) {
    char name[64];
    snprintf(name, sizeof name, "%s", option->name);
    for (char *at = name; *at; at++) *at = *at == '-' ? '_' : *at;
    const tm_member *member = option->of_preset ? tm_preset_find(name) : NULL;
    return member ? *member : (tm_member){.low = option->min, .high = option->max};
}

static bool store_number(const cli_option *option, const char *text, void *member, tm_error *err) {
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    bool whole = option->kind != CLI_REAL;
    const tm_member range = range_of(option);
    bool ok = end != text && !*end && !errno && isfinite(value) && tm_member_takes(&range, value) &&
              !(whole && value != floor(value)) && !isspace((unsigned char)*text);
    if (!ok) {
        char low[TM_NUMBER_LENGTH], high[TM_NUMBER_LENGTH];
        tm_fail(err, TAGMASK_ERROR_ARGUMENT, "--%s %.80s: expected a %snumber from %s to %s%s", option->name, text,
                whole ? "whole " : "", tm_number_text(range.low, low), tm_number_text(range.high, high),
                range.or_minus_one ? ", or -1" : "");
        return false;
    }
    if (value == 0) value = option->zero;
    if (option->kind == CLI_REAL) *(float *)member = (float)value;
    if (option->kind == CLI_UINT) *(uint32_t *)member = (uint32_t)value;
    if (option->kind == CLI_INT) *(int32_t *)member = (int32_t)value;
    return true;
}

bool cli_store(const cli_option *option, const char *text, void *options, tm_error *err) {
    void *member = (char *)options + option->offset;
    switch (option->kind) {
        case CLI_FLAG:
            *(bool *)member = true;
            return true;
        case CLI_TEXT:
            *(const char **)member = text;
            break;
        case CLI_REPEAT:
            if (!cli_list_add(member, text)) {
                tm_fail(err, TAGMASK_ERROR_MEMORY, "--%s: no memory for another value", option->name);
                return false;
            }
            break;
        default:
            return store_number(option, text, member, err);
    }
    if (*text) return true;
    tm_fail(err, TAGMASK_ERROR_ARGUMENT, "--%s: the value is empty; expected %s", option->name, option->value);
    return false;
}

static void unknown_option(const cli_verb *verb, const char *given) {
    char name[64];
    size_t length = strcspn(given, "=");
    snprintf(name, sizeof name, "%.*s", (int)TM_MIN(length, sizeof name - 1), given);
    tm_nearest nearest;
    tm_nearest_begin(&nearest, name + strspn(name, "-"), 1);
    for (const cli_option *row = verb->options; row->name; row++) tm_nearest_offer(&nearest, row->name, row->name);
    tm_nearest_offer(&nearest, "help", "help");
    if (nearest.count) {
        cli_message("%s: unknown option %s; did you mean --%s?", verb->name, name, nearest.names[0]);
    } else {
        cli_message("%s: unknown option %s; 'tagmask %s --help' lists the options", verb->name, name, verb->name);
    }
}

// Says what getopt_long could not take.
static void bad_option(const cli_verb *verb, int result, const char *given, const struct option *names) {
    if (result == ':') {
        cli_message("%s: %s needs a value; see 'tagmask %s --help'", verb->name, given, verb->name);
        return;
    }
    size_t length = strcspn(given, "="), matches = 0;
    char text[256] = "";
    for (const struct option *name = names; name->name && !strncmp(given, "--", 2) && length > 2; name++) {
        if (strncmp(name->name, given + 2, length - 2)) continue;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s--%s", matches++ ? " or " : "", name->name);
    }
    if (matches > 1) {
        cli_message("%s: %s is ambiguous: %s?", verb->name, given, text);
    } else if (matches == 1) {
        cli_message("%s: %s takes no value", verb->name, text);
    } else {
        unknown_option(verb, given);
    }
}

static bool check_arguments(const cli_verb *verb, int count, char **arguments) {
    if (count < verb->min_args) {
        cli_message("%s: expected %s; see 'tagmask %s --help'", verb->name, verb->arguments, verb->name);
        return false;
    }
    if (verb->max_args >= 0 && count > verb->max_args) {
        cli_message("%s: unexpected argument \"%s\"; see 'tagmask %s --help'", verb->name, arguments[verb->max_args],
                    verb->name);
        return false;
    }
    return true;
}

bool cli_parse(const cli_verb *verb, int argc, char **argv, void *options, int *first, cli_exit *status) {
    struct option names[MOST_OPTIONS + 2] = {{"help", no_argument, NULL, 'h'}};
    size_t count = 1;
    for (const cli_option *row = verb->options; row->name && count <= MOST_OPTIONS; row++, count++) {
        names[count] = (struct option){row->name, row->kind == CLI_FLAG ? no_argument : required_argument, NULL,
                                       FIRST_ROW + (int)count - 1};
    }
    *status = CLI_USAGE;
    opterr = 0;
    optind = 0;  // glibc: starts afresh, also when a test parses several lines in one process
    for (;;) {
        int result = getopt_long(argc, argv, ":h", names, NULL);
        if (result == -1) break;
        if (result == 'h') {
            cli_print_help(verb, stdout);
            *status = CLI_DONE;
            return false;
        }
        if (result < FIRST_ROW) {
            bad_option(verb, result, argv[optind > 1 ? optind - 1 : 1], names);
            return false;
        }
        tm_error err = TAGMASK_ERROR_INIT;
        if (!cli_store(&verb->options[result - FIRST_ROW], optarg, options, &err)) {
            cli_message("%s: %s", verb->name, err.message);
            return false;
        }
    }
    *first = optind;
    return check_arguments(verb, argc - optind, argv + optind);
}

void cli_free_options(const cli_verb *verb, void *options) {
    for (const cli_option *row = verb->options; options && row->name; row++) {
        if (row->kind == CLI_REPEAT) free(((cli_list *)(void *)((char *)options + row->offset))->items);
    }
    free(options);
}

// Prints words from column `used` on, continued at HELP_COLUMN.
static void print_wrapped(const char *text, size_t used, FILE *file) {
    for (bool first = true; *text; first = false) {
        size_t length = strcspn(text, " ");
        if (!first && used + 1 + length > HELP_WIDTH) {
            fprintf(file, "\n%*s", HELP_COLUMN, "");
            used = HELP_COLUMN;
        } else if (!first) {
            fputc(' ', file);
            used++;
        }
        fprintf(file, "%.*s", (int)length, text);
        used += length;
        text += length;
        while (*text == ' ') text++;
    }
    fputc('\n', file);
}

// With the range of a number. malloc'ed; NULL: out of memory.
static char *help_of(const cli_option *row) {
    char low[TM_NUMBER_LENGTH], high[TM_NUMBER_LENGTH];
    if (row->kind != CLI_UINT && row->kind != CLI_INT && row->kind != CLI_REAL) return tm_strdup(row->help);
    const tm_member range = range_of(row);
    return tm_format("%s [%s..%s%s]", row->help, tm_number_text(range.low, low), tm_number_text(range.high, high),
                     range.or_minus_one ? ", -1" : "");
}

static void print_row(const char *name, const char *value, bool repeat, const char *help, FILE *file) {
    int used = fprintf(file, "  --%s%s%s%s", name, value ? " " : "", value ? value : "", repeat ? "..." : "");
    if (used + 2 > HELP_COLUMN) {
        fputc('\n', file);
        used = 0;
    }
    fprintf(file, "%*s", HELP_COLUMN - used, "");
    print_wrapped(help, HELP_COLUMN, file);
}

void cli_print_help(const cli_verb *verb, FILE *file) {
    fprintf(file, "Usage: tagmask %s [OPTION]...%s%s\n%s\n\n%s\n\nOptions:\n", verb->name, *verb->arguments ? " " : "",
            verb->arguments, verb->summary, verb->details);
    for (const cli_option *row = verb->options; row->name; row++) {
        char *help = help_of(row);
        print_row(row->name, row->value, row->kind == CLI_REPEAT, help ? help : row->help, file);
        free(help);
    }
    print_row("help", NULL, false, "print this and exit", file);
    fputs(
        "\nExit status: 0 all done, 1 some inputs failed (each is named, the rest are done), 2 usage,\n"
        "3 no usable Vulkan device.\n",
        file);
}
