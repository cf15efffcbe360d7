// Parts of the command: option tables, CSV.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/csv.h"
#include "cli/verbs.h"
#include "mask/preset.h"
#include "support.h"

typedef struct sample {
    bool flag;
    const char *text;
    cli_list list;
    uint32_t count;
    tagmask_params params;
} sample;

static const cli_option sample_rows[] = {
    {"flag", NULL, CLI_FLAG, offsetof(sample, flag), .help = "a flag"},
    {"text", "TEXT", CLI_TEXT, offsetof(sample, text), .help = "a text"},
    {"list", "ITEM", CLI_REPEAT, offsetof(sample, list), .help = "many"},
    {"count", "N", CLI_UINT, offsetof(sample, count), 1, 9, .help = "a number"},
    CLI_OPTIONS_PARAMS(sample, params),
    {0},
};
static const cli_verb sample_verb = {.name = "sample",
                                     .arguments = "FILE...",
                                     .summary = "does it",
                                     .details = "At length.",
                                     .options = sample_rows,
                                     .options_size = sizeof(sample),
                                     .min_args = 1,
                                     .max_args = 2};

// Parses a line of words; returns -1 when the verb would run.
static int parse(sample *options, const char *line, char *words) {
    char *argv[20] = {"sample"};
    int argc = 1, first = 0;
    strcpy(words, line);
    for (char *word; (word = strsep(&words, " ")) != NULL && argc < 19;) argv[argc++] = word;
    cli_exit status;
    memset(options, 0, sizeof *options);
    bool runs = cli_parse(&sample_verb, argc, argv, options, &first, &status);
    if (runs && argc - first >= 1) assert_string_equal(argv[first], "a.png");
    return runs ? -1 : (int)status;
}

// What is printed to stderr meanwhile.
static char captured[4096];
static int saved_stderr;
static FILE *capture_file;
static void capture_begin(void) {
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    capture_file = tmpfile();
    assert_non_null(capture_file);
    dup2(fileno(capture_file), STDERR_FILENO);
}
static void capture_end(void) {
    fflush(stderr);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    rewind(capture_file);
    captured[fread(captured, 1, sizeof captured - 1, capture_file)] = 0;
    fclose(capture_file);
}

static void test_parsing(void **state) {
    (void)state;
    sample o;
    char words[300];
    assert_int_equal(parse(&o, "--flag --text=x a.png --list one --list two --count 9 --threshold 0.25", words), -1);
    assert_true(o.flag);
    assert_string_equal(o.text, "x");
    assert_int_equal(o.list.count, 2);
    assert_string_equal(o.list.items[1], "two");
    assert_int_equal(o.count, 9);
    assert_true(o.params.threshold == 0.25f);
    free(o.list.items);
    // Zero means "the default" to the library, so the zeros that a person can mean are translated.
    assert_int_equal(parse(&o, "--crf-iterations 0 --min-part 0 --polygon-tolerance 0 -- a.png", words), -1);
    assert_int_equal(o.params.crf_iterations, -1);
    assert_true(o.params.min_part == -1 && o.params.polygon_tolerance == -1);
    // The library's ranges, to their ends.
    assert_int_equal(parse(&o, "--min-part -1 --score-limit -1 --max-parts 4294967295 --threshold 0.0001 a.png", words),
                     -1);
    assert_true(o.params.min_part == -1 && o.params.score_limit == -1 && o.params.threshold == 0.0001f);
    assert_int_equal(o.params.max_parts, UINT32_MAX);
    assert_int_equal(parse(&o, "--thresh 0.5 a.png", words), -1);  // a unique beginning will do
    assert_true(o.params.threshold == 0.5f);
    static const char *const wrong[][2] = {
        {"--thresold 0.5 a.png", "did you mean --threshold?"},
        {"--zzzzzzzz a.png", "lists the options"},
        {"-x a.png", "unknown option -x"},
        {"--crf-gau 1 a.png", "ambiguous: --crf-gaussian-sxy or --crf-gaussian-compat"},
        {"--flag=1 a.png", "--flag takes no value"},
        {"a.png --text", "--text needs a value"},
        {"--text= a.png", "is empty"},
        {"--count 10 a.png", "--count 10: expected a whole number from 1 to 9"},
        {"--count 1.5 a.png", "whole number"},
        {"--count 5x a.png", "whole number"},
        {"--threshold nan a.png", "number from 0.0001 to 0.9999"},
        {"--threshold 1 a.png", "number from 0.0001 to 0.9999"},
        {"--min-part -0.5 a.png", "number from 0 to 1, or -1"},
        {"--max-parts 4294967296 a.png", "whole number from 0 to 4294967295"},
        {"--crf-iterations -1 a.png", "whole number from 0 to 50"},
        {"--flag", "expected FILE..."},
        {"a.png b c", "unexpected argument \"c\""},
    };
    for (size_t i = 0; i < TM_ARRAY_LEN(wrong); i++) {
        capture_begin();
        int status = parse(&o, wrong[i][0], words);
        capture_end();
        free(o.list.items);
        if (status != CLI_USAGE || !strstr(captured, wrong[i][1])) fail_msg("%s: %s", wrong[i][0], captured);
        assert_ptr_equal(strchr(captured, '\n'), captured + strlen(captured) - 1);  // one line
    }
}

// However long a value is, the sentence keeps its end.
static void a_long_number_is_refused_in_one_sentence(void **state) {
    (void)state;
    char number[2000];
    memset(number, '1', sizeof number - 1);
    number[sizeof number - 1] = 0;
    sample o = {0};
    tm_error err = TAGMASK_ERROR_INIT;
    assert_false(cli_store(&sample_rows[3], number, &o, &err));
    assert_int_equal(err.status, TAGMASK_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "--count 1111"));
    assert_non_null(strstr(err.message, "expected a whole number from 1 to 9"));
}

static void test_help(void **state) {
    (void)state;
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) {
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);
        assert_non_null(file);
        cli_print_help(*verb, file);
        fclose(file);
        for (const cli_option *row = (*verb)->options; row->name; row++) {
            char name[64];
            snprintf(name, sizeof name, "  --%s", row->name);
            if (!strstr(text, name)) fail_msg("%s: %s is not documented", (*verb)->name, row->name);
            assert_true(strlen(row->help) > 5);
            assert_int_equal(row->kind == CLI_FLAG, row->value == NULL);
            if (row->of_preset) {
                snprintf(name, sizeof name, "%s", row->name);
                for (char *at = name; *at; at++) *at = *at == '-' ? '_' : *at;
                if (!tm_preset_find(name)) fail_msg("presets have no member %s", name);
            }
        }
        for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            if (end - line > 118) fail_msg("%s: too wide: %.*s", (*verb)->name, (int)(end - line), line);
        }
        if (*verb == &cli_verb_propose) assert_non_null(strstr(text, "[0.0001..0.9999]"));
        free(text);
    }
}

static char *write_text(const char *folder, const char *name, const char *text) {
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = tm_path_join(folder, name);
    assert_ok(tm_write_file(path, text, strlen(text), &err), &err);
    return path;
}

static void test_csv(void **state) {
    (void)state;
    char *folder = test_temporary_dir();
    tm_error err = TAGMASK_ERROR_INIT;
    char *path = write_text(folder, "t.csv",
                            "\xef\xbb\xbf"
                            "a,b\r\n\r\n\"x,\"\"1\"\"\",\"two\nlines\"\n,last");
    csv_table table;
    assert_ok(csv_read(path, &table, &err), &err);
    assert_int_equal(table.count, 3);
    assert_int_equal(csv_column(&table, "b"), 1);
    assert_int_equal(csv_column(&table, "c"), SIZE_MAX);
    assert_string_equal(csv_field(&table.rows[1], 0), "x,\"1\"");
    assert_string_equal(csv_field(&table.rows[1], 1), "two\nlines");
    assert_string_equal(csv_field(&table.rows[2], 0), "");
    assert_string_equal(csv_field(&table.rows[2], 1), "last");
    assert_string_equal(csv_field(&table.rows[2], 2), "");
    csv_free(&table);
    free(write_text(folder, "t.csv", "a,\"b\n"));
    assert_int_equal(csv_read(path, &table, &err), TAGMASK_ERROR_FORMAT);
    free(write_text(folder, "t.csv", ""));
    assert_ok(csv_read(path, &table, &err), &err);
    assert_int_equal(table.count, 0);
    csv_free(&table);
    free(path);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parsing),
        cmocka_unit_test(a_long_number_is_refused_in_one_sentence),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_csv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
