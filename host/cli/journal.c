#include "cli/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "io/text.h"

#define FILE_NAME ".tagmask-done"
#define LARGEST_FILE ((size_t)1 << 30)
enum { CHECK_DIGITS = 16, LEAST_FIELDS = 5 };

typedef struct journal_line {
    cli_journal_entry values;
    size_t order;
} journal_line;

struct cli_journal {
    char *path;
    int lock;  // a descriptor of the file, which the first run that opens it locks
    bool locked;
    FILE *file;
    char *text;             // as read; entries point into it
    const char **tags;      // of all entries
    journal_line *entries;  // by target, each once
    size_t count, capacity, tag_count, tag_capacity, lines;
    bool open_line;  // the file ends inside a line
};

// A line is "CHECK\tSETTINGS\tSIZE\tCHANGED\tTARGET\tTAG...\n", with \t, \n and \\ inside names; CHECK is the hash of
// what follows it. A line that voids a target has zeros and no tags, which no photo that is done has: it is not empty.

// ---- Reading

static void unescape(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (*at != '\\' || !at[1]) {
            *to++ = *at;
            continue;
        }
        at++;
        *to++ = *at == 't' ? '\t' : *at == 'n' ? '\n' : *at;
    }
    *to = 0;
}

static bool is_intact(const char *line, size_t length) {
    char expected[CHECK_DIGITS + 2];
    if (length <= CHECK_DIGITS + 1) return false;
    uint64_t hash = tm_hash64(line + CHECK_DIGITS + 1, length - CHECK_DIGITS - 1, 0);
    snprintf(expected, sizeof expected, "%016llx\t", (unsigned long long)hash);
    return !memcmp(line, expected, CHECK_DIGITS + 1);
}

static bool take_line(cli_journal *j, char *line) {
    size_t fields = 0;
    journal_line e = {.order = j->lines++};
    for (char *field = line, *next; field; field = next, fields++) {
        next = strchr(field, '\t');
        if (next) *next++ = 0;
        if (fields == 1) e.values.settings = strtoull(field, NULL, 16);
        if (fields == 2) e.values.size = strtoull(field, NULL, 10);
        if (fields == 3) e.values.changed = strtoll(field, NULL, 10);
        if (fields < 4) continue;
        unescape(field);
        if (fields == 4) e.values.target = field;
        if (fields == 4) continue;
        if (!tm_grow((void **)&j->tags, &j->tag_capacity, j->tag_count + 1, sizeof *j->tags)) return false;
        j->tags[j->tag_count++] = field;
        e.values.tag_count++;
    }
    if (fields < LEAST_FIELDS) return true;
    if (!tm_grow((void **)&j->entries, &j->capacity, j->count + 1, sizeof *j->entries)) return false;
    j->entries[j->count++] = e;
    return true;
}

static int by_target(const void *a, const void *b) {
    const journal_line *x = a, *y = b;
    int order = strcmp(x->values.target, y->values.target);
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

// Tags are found by counting while the lines are in their order; of a target's lines the last one counts.
static void index_entries(cli_journal *j) {
    size_t tag = 0, kept = 0;
    for (size_t i = 0; i < j->count; i++) {
        j->entries[i].values.tags = j->tags ? j->tags + tag : NULL;
        tag += j->entries[i].values.tag_count;
    }
    if (j->count) qsort(j->entries, j->count, sizeof *j->entries, by_target);
    for (size_t i = 0; i < j->count; i++) {
        bool same = kept && !strcmp(j->entries[kept - 1].values.target, j->entries[i].values.target);
        j->entries[same ? kept - 1 : kept++] = j->entries[i];
    }
    j->count = kept;
}

static tagmask_status read_lines(cli_journal *j, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    TM_TRY(tm_read_file(j->path, LARGEST_FILE, &bytes, &size, err));
    j->text = (char *)bytes;
    j->open_line = size && bytes[size - 1] != '\n';
    for (char *line = j->text, *end; line < j->text + size; line = end + 1) {
        end = memchr(line, '\n', size - (size_t)(line - j->text));
        if (!end) break;
        *end = 0;
        size_t length = (size_t)(end - line);
        bool good = strlen(line) == length && is_intact(line, length);
        if (good && !take_line(j, line)) {
            return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to read it", j->path);
        }
    }
    index_entries(j);
    return TAGMASK_OK;
}

// ---- Writing

static void add_escaped(tm_text *line, const char *text) {
    tm_text_add(line, "\t");
    for (; *text; text++) {
        const char *escape = *text == '\t' ? "\\t" : *text == '\n' ? "\\n" : *text == '\\' ? "\\\\" : NULL;
        tm_text_bytes(line, escape ? escape : text, escape ? 2 : 1);
    }
}

static void add_line(tm_text *text, const cli_journal_entry *e) {
    tm_text line = {0};
    tm_text_add(&line, "%016llx\t%llu\t%lld", (unsigned long long)e->settings, (unsigned long long)e->size,
                (long long)e->changed);
    add_escaped(&line, e->target);
    for (size_t i = 0; i < e->tag_count; i++) add_escaped(&line, e->tags[i]);
    text->failed |= line.failed;
    if (!text->failed) {
        tm_text_add(text, "%016llx\t", (unsigned long long)tm_hash64(line.data, line.size, 0));
        tm_text_bytes(text, line.data, line.size);
        tm_text_add(text, "\n");
    }
    free(line.data);
}

tagmask_status cli_journal_add(cli_journal *journal, const cli_journal_entry *entry, tm_error *err) {
    tm_text text = {0};
    if (journal->open_line) tm_text_add(&text, "\n");
    add_line(&text, entry);
    // One write, so that a kill cuts no line; a disk that fills up does.
    bool ok = !text.failed && fwrite(text.data, 1, text.size, journal->file) == text.size;
    journal->open_line = !ok;
    free(text.data);
    if (ok) return TAGMASK_OK;
    clearerr(journal->file);
    return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written: %s", journal->path, strerror(errno));
}

tagmask_status cli_journal_void(cli_journal *journal, const char *target, tm_error *err) {
    return cli_journal_add(journal, &(cli_journal_entry){.target = target}, err);
}

// ---- Opening

static void close_file(cli_journal *j) {
    if (j->lock >= 0) tm_file_close(j->lock);
    if (j->file) fclose(j->file);
    j->lock = -1;
    j->file = NULL;
}

static tagmask_status open_file(cli_journal *j, tm_error *err) {
    j->file = tm_file_stream(j->path, 'a');
    if (j->file) setvbuf(j->file, NULL, _IONBF, 0);
    j->lock = j->file ? tm_file_open(j->path) : -1;
    if (j->lock < 0) {
        return tm_fail(err, TAGMASK_ERROR_FILE, "%s: cannot be written: %s; choose another folder with --out", j->path,
                       strerror(errno));
    }
    j->locked = tm_file_lock(j->lock);
    return TAGMASK_OK;
}

// Every run adds two lines for each of its photos; a file with few that count is written anew, unless another run may
// be adding lines.
static tagmask_status tidy(cli_journal *j, tm_error *err) {
    tm_text text = {0};
    if (!j->locked || j->lines <= 3 * j->count + 1000) return TAGMASK_OK;
    for (size_t i = 0; i < j->count; i++) add_line(&text, &j->entries[i].values);
    close_file(j);
    j->open_line = false;
    TM_TRY(tm_text_write(&text, j->path, err));
    return open_file(j, err);
}

tagmask_status cli_journal_open(const char *out, cli_journal **journal, tm_error *err) {
    cli_journal *j = tm_calloc(1, sizeof *j);
    if (j) j->path = tm_path_join(out, FILE_NAME);
    if (!j || !j->path) {
        free(j);
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory for the list of photos", out);
    }
    j->lock = -1;
    tagmask_status status = open_file(j, err);
    if (status == TAGMASK_OK) status = read_lines(j, err);
    if (status == TAGMASK_OK) status = tidy(j, err);
    if (status == TAGMASK_OK) {
        *journal = j;
    } else {
        cli_journal_close(j);
    }
    return status;
}

void cli_journal_close(cli_journal *journal) {
    if (!journal) return;
    close_file(journal);
    free(journal->text);
    free(journal->tags);
    free(journal->entries);
    free(journal->path);
    free(journal);
}

const cli_journal_entry *cli_journal_find(const cli_journal *journal, const cli_journal_entry *wanted) {
    size_t low = 0, high = journal->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const cli_journal_entry *e = &journal->entries[middle].values;
        int order = strcmp(e->target, wanted->target);
        if (!order) {
            bool same = e->settings == wanted->settings && e->size == wanted->size && e->changed == wanted->changed;
            return same ? e : NULL;
        }
        if (order < 0) low = middle + 1;
        if (order > 0) high = middle;
    }
    return NULL;
}
