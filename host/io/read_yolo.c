// YOLO segmentation: polygons by lines, names from classes.txt in the same folder or the nearest one above it (a class
// without a name is its number).
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/read.h"
#include "io/text.h"

#define MAX_FILE_BYTES ((size_t)256 << 20)

// Line `number` of the text, malloc'ed; NULL when there is none or no memory. *looked_at: bytes before it.
static char *line_of(const char *text, unsigned long number, uint64_t *looked_at) {
    for (; number && *text; number--) {
        size_t length = strcspn(text, "\n");
        text += length + (text[length] != 0);
        *looked_at += length + 1;
    }
    if (!*text) return NULL;
    return tm_format("%.*s", (int)strcspn(text, "\r\n"), text);
}

static bool take_shares(const tm_read_job *job, char *at, double **points, size_t *count) {
    size_t capacity = 0, used = 0;
    double *found = NULL;
    for (char *end;; at = end) {
        double share = tm_parse_number(at, &end);
        if (end == at) break;
        if (!tm_grow((void **)&found, &capacity, used + 1, sizeof *found)) break;
        found[used] = share * (used % 2 ? job->canvas->height : job->canvas->width);
        used++;
    }
    *points = found;
    *count = used / 2;
    return used >= 6 && used % 2 == 0 && !at[strspn(at, " \t")];
}

static tagmask_status paint_line(const tm_read_job *job, const char *classes, char *line, tm_error *err) {
    char *at;
    unsigned long number = strtoul(line, &at, 10);
    double *points = NULL;
    size_t count = 0;
    uint8_t label = 0;
    if (at == line || number > 1000000 || !take_shares(job, at, &points, &count)) {
        free(points);
        return tm_fail(err, TAGMASK_ERROR_FORMAT,
                       "expected a class number and three or more points, as shares of width and height");
    }
    uint64_t looked_at = 0;
    char *name = classes ? line_of(classes, number, &looked_at) : NULL;
    if (!name) name = tm_format("%lu", number);
    tagmask_status status = name ? tm_canvas_tag(job->canvas, name, &label, err)
                                 : tm_fail(err, TAGMASK_ERROR_MEMORY, "no memory for the name of a class");
    if (status == TAGMASK_OK) status = tm_canvas_spend(job->canvas, looked_at, err);
    if (status == TAGMASK_OK) status = tm_canvas_polygon(job->canvas, label, points, count, err);
    free(name);
    free(points);
    return status;
}

tagmask_status tm_read_yolo(const tm_read_job *job, tm_error *err) {
    uint8_t *bytes = NULL;
    char *classes = NULL;
    size_t size = 0, number = 1;
    TM_TRY(tm_read_file(job->path, MAX_FILE_BYTES, &bytes, &size, err));
    tagmask_status status = tm_read_nearest(job->path, "classes.txt", &classes, err);
    if (status == TAGMASK_OK && memchr(bytes, 0, size)) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "holds a zero byte; expected lines of numbers");
    }
    char *next;
    for (char *line = (char *)bytes; line && status == TAGMASK_OK; line = next, number++) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (!line[strspn(line, " \t")]) continue;
        status = paint_line(job, classes, line, err);
        if (status != TAGMASK_OK) tm_fail_prefix(err, "line %zu", number);
    }
    free(bytes);
    free(classes);
    return status;
}
