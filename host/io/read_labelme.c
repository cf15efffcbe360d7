// labelme's polygons, rectangles, circles and masks; points and lines enclose nothing and are passed over.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/kept.h"
#include "io/labelme_mask.h"
#include "io/read.h"

static tagmask_status paint_rectangle(const tm_read_job *job, uint8_t label, const double *p, tm_error *err) {
    const double corners[8] = {p[0], p[1], p[2], p[1], p[2], p[3], p[0], p[3]};
    return tm_canvas_polygon(job->canvas, label, corners, 4, err);
}

// Centre and a point on the rim, as a polygon of 360 corners.
static tagmask_status paint_circle(const tm_read_job *job, uint8_t label, const double *p, tm_error *err) {
    double corners[720], radius = hypot(p[2] - p[0], p[3] - p[1]);
    for (int i = 0; i < 360; i++) {
        corners[2 * i] = p[0] + radius * cos(i * 0.017453292519943295);
        corners[2 * i + 1] = p[1] + radius * sin(i * 0.017453292519943295);
    }
    return tm_canvas_polygon(job->canvas, label, corners, 360, err);
}

// A picture of the box, not 0 inside, whose top left corner is the first point.
static tagmask_status paint_mask(const tm_read_job *job, uint8_t label, const cJSON *shape, const double *p,
                                 tm_error *err) {
    uint8_t *pixels = NULL;
    uint32_t width, height;
    if (!(fabs(p[0]) <= 1e7 && fabs(p[1]) <= 1e7)) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "its corner is far outside of any photo");
    }
    uint64_t budget = tm_canvas_work_left(job->canvas);
    TM_TRY(tm_labelme_mask_decode(tm_json_text(shape, "mask"), &budget, &pixels, &width, &height, err));
    tagmask_status status =
        tm_canvas_mask(job->canvas, label, pixels, (int64_t)p[0], (int64_t)p[1], width, height, err);
    free(pixels);
    return status;
}

static tagmask_status paint_shape(const tm_read_job *job, const cJSON *shape, tm_error *err) {
    static const char *const without_area[] = {"point", "line", "linestrip", "points"};
    const char *kind = tm_json_text(shape, "shape_type"), *tag = tm_json_text(shape, "label");
    double *points = NULL;
    size_t count = 0;
    uint8_t label = 0;
    if (!*tag) return tm_fail(err, TAGMASK_ERROR_FORMAT, "expected a label");
    for (size_t i = 0; i < TM_ARRAY_LEN(without_area); i++) {
        if (!strcmp(kind, without_area[i])) return TAGMASK_OK;
    }
    TM_TRY(tm_read_numbers(cJSON_GetObjectItemCaseSensitive(shape, "points"), 1, 1, &points, &count, err));
    tagmask_status status = tm_canvas_tag(job->canvas, tag, &label, err);
    bool turned = !strcmp(kind, "oriented_rectangle");
    bool polygon = !*kind || !strcmp(kind, "polygon");  // old files have no shape_type
    if (status != TAGMASK_OK) {
    } else if ((polygon && count >= 3) || (turned && count == 4)) {
        status = tm_canvas_polygon(job->canvas, label, points, count, err);
    } else if (!strcmp(kind, "rectangle") && count == 2) {
        status = paint_rectangle(job, label, points, err);
    } else if (!strcmp(kind, "circle") && count == 2) {
        status = paint_circle(job, label, points, err);
    } else if (!strcmp(kind, "mask") && count == 2) {
        status = paint_mask(job, label, shape, points, err);
    } else {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT,
                         "a \"%.60s\" of %zu points is not understood; expected a polygon of 3 or more, an oriented "
                         "rectangle of 4, or a rectangle, circle or mask of 2",
                         kind, count);
    }
    free(points);
    return status;
}

tagmask_status tm_read_labelme(const tm_read_job *job, tm_error *err) {
    cJSON *root = NULL;
    const cJSON *shape;
    size_t number = 0;
    TM_TRY(tm_read_json(job->path, &root, err));
    const cJSON *shapes = cJSON_GetObjectItemCaseSensitive(root, "shapes");
    tagmask_status status = tm_read_check_size(root, "imageWidth", job->canvas->width, err);
    if (status == TAGMASK_OK) status = tm_read_check_size(root, "imageHeight", job->canvas->height, err);
    if (status == TAGMASK_OK && !cJSON_IsArray(shapes)) {
        status = tm_fail(err, TAGMASK_ERROR_FORMAT, "is no labelme file; expected a list of shapes");
    }
    cJSON_ArrayForEach(shape, shapes) {
        if (status != TAGMASK_OK) break;
        number++;
        status = paint_shape(job, shape, err);
        if (status != TAGMASK_OK) tm_fail_prefix(err, "shape %zu", number);
    }
    cJSON_Delete(root);
    return status;
}
