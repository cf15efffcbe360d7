// CVAT for images 1.1, as we and CVAT write it: masks and polygons.
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"
#include "io/read.h"
#include "io/text.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)

typedef struct cvat_reader {
    const tm_read_job *job;
    XML_Parser parser;
    tm_error *err;
    tagmask_status status;
    bool inside;                 // the photo's element
    size_t images, chosen, fit;  // number of the element that comes; the best so far, from 1, and how well it fits
} cvat_reader;

static const char *attribute(const XML_Char **attributes, const char *name) {
    for (; *attributes; attributes += 2) {
        if (!strcmp(attributes[0], name)) return attributes[1];
    }
    return "";
}

// false: not a whole number of at most 65535.
static bool number_of(const XML_Char **attributes, const char *name, uint32_t *out) {
    const char *text = attribute(attributes, name);
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value > UINT16_MAX) return false;
    *out = (uint32_t)value;
    return true;
}

static tagmask_status check_image(const cvat_reader *r, const XML_Char **attributes) {
    uint32_t width, height;
    const tm_canvas *canvas = r->job->canvas;
    if (number_of(attributes, "width", &width) && number_of(attributes, "height", &height) && width == canvas->width &&
        height == canvas->height) {
        return TAGMASK_OK;
    }
    return tm_fail(r->err, TAGMASK_ERROR_FORMAT, "its image \"%s\" is %.20s x %.20s pixels, but the photo is %u x %u",
                   attribute(attributes, "name"), attribute(attributes, "width"), attribute(attributes, "height"),
                   canvas->width, canvas->height);
}

static tagmask_status paint_mask(const cvat_reader *r, uint8_t label, const XML_Char **attributes) {
    uint32_t left, top, width, height;
    tm_canvas *canvas = r->job->canvas;
    if (!number_of(attributes, "left", &left) || !number_of(attributes, "top", &top) ||
        !number_of(attributes, "width", &width) || !number_of(attributes, "height", &height) || !width || !height ||
        left + width > canvas->width || top + height > canvas->height) {
        return tm_fail(r->err, TAGMASK_ERROR_FORMAT, "expected left, top, width and height of a box inside the photo");
    }
    uint8_t *pixels = tm_calloc(width, height);
    if (!pixels) return tm_fail(r->err, TAGMASK_ERROR_MEMORY, "no memory for its mask");
    tagmask_status status = tm_rle_cvat_decode(attribute(attributes, "rle"), width, height, pixels)
                                ? tm_canvas_mask(canvas, label, pixels, left, top, width, height, r->err)
                                : tm_fail(r->err, TAGMASK_ERROR_FORMAT, "its run-length code is damaged");
    free(pixels);
    return status;
}

// "x,y;x,y;..."
static tagmask_status paint_polygon(const cvat_reader *r, uint8_t label, const char *text) {
    double *points = NULL;
    size_t count = 0, capacity = 0;
    bool ok = true;
    for (char *end; ok && *text; text = end) {
        double value = tm_parse_number(text, &end);
        char wanted = count % 2 ? ';' : ',';
        ok = end != text && (*end == wanted || (!*end && count % 2)) &&
             tm_grow((void **)&points, &capacity, count + 1, sizeof *points);
        if (ok) points[count++] = value;
        if (ok && *end) end++;
    }
    tagmask_status status =
        ok && count >= 6 && count % 2 == 0
            ? tm_canvas_polygon(r->job->canvas, label, points, count / 2, r->err)
            : tm_fail(r->err, TAGMASK_ERROR_FORMAT, "expected three or more points, \"x,y;x,y;...\"");
    free(points);
    return status;
}

static tagmask_status paint_shape(const cvat_reader *r, bool mask, const XML_Char **attributes) {
    uint8_t label = 0;
    const char *tag = attribute(attributes, "label");
    if (!*tag) return tm_fail(r->err, TAGMASK_ERROR_FORMAT, "expected a label");
    TM_TRY(tm_canvas_tag(r->job->canvas, tag, &label, r->err));
    return mask ? paint_mask(r, label, attributes) : paint_polygon(r, label, attribute(attributes, "points"));
}

static void XMLCALL on_start(void *user, const XML_Char *element, const XML_Char **attributes) {
    cvat_reader *r = user;
    bool mask = !strcmp(element, "mask"), polygon = !strcmp(element, "polygon");
    if (r->status != TAGMASK_OK) return;  // expat finishes an element after it was stopped
    if (!strcmp(element, "image")) {
        r->inside = ++r->images == r->chosen;
        if (r->inside) r->status = check_image(r, attributes);
    } else if (r->inside && (mask || polygon)) {
        r->status = paint_shape(r, mask, attributes);
        if (r->status != TAGMASK_OK) {
            tm_fail_prefix(r->err, "%s in line %lu", element, (unsigned long)XML_GetCurrentLineNumber(r->parser));
        }
    }
    if (r->status != TAGMASK_OK) XML_StopParser(r->parser, XML_FALSE);
}

// The first reading finds the photo's element.
static void XMLCALL on_choice(void *user, const XML_Char *element, const XML_Char **attributes) {
    cvat_reader *r = user;
    if (strcmp(element, "image")) return;
    size_t fit = tm_name_fit(attribute(attributes, "name"), r->job->photo_path);
    r->images++;
    if (fit <= r->fit) return;
    r->fit = fit;
    r->chosen = r->images;
}

static void XMLCALL on_end(void *user, const XML_Char *element) {
    cvat_reader *r = user;
    if (!strcmp(element, "image")) r->inside = false;
}

static tagmask_status parse(cvat_reader *r, const uint8_t *bytes, size_t size, XML_StartElementHandler on_element) {
    r->parser = XML_ParserCreate(NULL);
    if (!r->parser) return tm_fail(r->err, TAGMASK_ERROR_MEMORY, "%s: no memory to read it", r->job->path);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_element, on_end);
    r->images = 0;
    if (XML_Parse(r->parser, (const char *)bytes, (int)size, XML_TRUE) == XML_STATUS_ERROR && r->status == TAGMASK_OK) {
        r->status =
            tm_fail(r->err, TAGMASK_ERROR_FORMAT, "is damaged or no XML file: line %lu: %s",
                    (unsigned long)XML_GetCurrentLineNumber(r->parser), XML_ErrorString(XML_GetErrorCode(r->parser)));
    }
    XML_ParserFree(r->parser);
    return r->status;
}

tagmask_status tm_read_cvat(const tm_read_job *job, tm_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    cvat_reader r = {.job = job, .err = err};
    TM_TRY(tm_read_file(job->path, MAX_FILE_BYTES, &bytes, &size, err));
    tagmask_status status = parse(&r, bytes, size, on_choice);
    if (status == TAGMASK_OK && !r.chosen) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "has no image \"%s\"", tm_file_name(job->photo_path));
    }
    if (status == TAGMASK_OK) status = parse(&r, bytes, size, on_start);
    free(bytes);
    return status;
}
