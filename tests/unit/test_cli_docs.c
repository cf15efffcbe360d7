// docs/cli.md shows exactly what --help prints.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verbs.h"
#include "support.h"

static void test_help_in_docs(void **state) {
    (void)state;
    tm_error err = TAGMASK_ERROR_INIT;
    uint8_t *docs;
    size_t size;
    assert_ok(tm_read_file(TEST_DOCS "/cli.md", 1 << 20, &docs, &size, &err), &err);
    size_t blocks = 0;
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++) {
        char *text = NULL;
        FILE *file = open_memstream(&text, &size);
        assert_non_null(file);
        fprintf(file, "\n## tagmask %s\n\n```\n", (*verb)->name);
        cli_print_help(*verb, file);
        fputs("```\n", file);
        fclose(file);
        if (!strstr((const char *)docs, text)) {
            fail_msg("docs/cli.md: the section \"tagmask %s\" must be:\n%s", (*verb)->name, text);
        }
        free(text);
        blocks++;
    }
    // And no section of a verb that is gone.
    for (const char *at = (const char *)docs; (at = strstr(at, "\n## tagmask ")) != NULL; at++) blocks--;
    assert_int_equal(blocks, 0);
    free(docs);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_help_in_docs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
