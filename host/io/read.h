// Reading label files back: one function a format, in read_NAME.c.
#ifndef TM_READ_H
#define TM_READ_H

#include <cjson/cJSON.h>

#include "io/canvas.h"

#define TM_VOC_NAMES "tagmask-names"  // keyword of a PNG's text with the names of its labels, a JSON list from label 1

typedef struct tm_read_job {
    const char *path, *photo_path;  // the label file; the photo, by whose name it is found in a file with several
    tm_canvas *canvas;              // as large as the photo
} tm_read_job;

tagmask_status tm_read_labelme(const tm_read_job *job, tm_error *err);
tagmask_status tm_read_coco(const tm_read_job *job, tm_error *err);
tagmask_status tm_read_yolo(const tm_read_job *job, tm_error *err);
tagmask_status tm_read_label_studio(const tm_read_job *job, tm_error *err);
tagmask_status tm_read_voc(const tm_read_job *job, tm_error *err);
tagmask_status tm_read_cvat(const tm_read_job *job, tm_error *err);

// An error when the parsed text would not fit into the memory that the machine can give.
tagmask_status tm_json_check_memory(const char *path, const uint8_t *bytes, size_t size, tm_error *err);
// The text of the file `name` in the label file's folder or the nearest one above it; malloc'ed, *text NULL when there
// is none. A byte order mark is left out.
tagmask_status tm_read_nearest(const char *path, const char *name, char **text, tm_error *err);
// The whole file as JSON; freed with cJSON_Delete.
tagmask_status tm_read_json(const char *path, cJSON **root, tm_error *err);
// A list of numbers, or of pairs of numbers, or of either in turn, as doubles: scaled by x and y in turn. *numbers is
// malloc'ed. Errors when something else is in it.
tagmask_status tm_read_numbers(const cJSON *list, double scale_x, double scale_y, double **numbers, size_t *count,
                               tm_error *err);
// An error unless the member is missing or equals the size.
tagmask_status tm_read_check_size(const cJSON *object, const char *key, uint32_t size, tm_error *err);

#endif
