// Label formats. A format is one file format_NAME.c that defines a `const tm_label_format`, and one row of the table in
// formats.c.
//
// Two kinds: a format with a file (or several) a photo has only `add`; a format that collects photos in one file (COCO,
// CVAT, ...) also has `begin` (which takes up the file that is already there, so that an interrupted batch goes on),
// `flush` and `end`. Such a file is rewritten whole, by tm_write_file, from time to time while photos are added: less
// and less often, so that the work stays proportional to the photos.
#ifndef TM_FORMATS_H
#define TM_FORMATS_H

#include "io/image.h"
#include "io/read.h"
#include "mask/result.h"

// One photo to write.
typedef struct tm_label_job {
    const tagmask_result *result;
    const char *photo_path;      // as the user gave it
    const char *name;            // what a file with many photos calls it: its path below the photos' folder, "a/1.jpg"
    const tagmask_image *photo;  // NULL unless the caller has it; formats with needs_photo are not called without
    const char *out;             // existing folder of the photo's own files
    const char *stem;            // the photo's file name without its ending
} tm_label_job;

typedef struct tm_label_format {
    const char *name;
    const char *ending;  // of a photo's file, after its stem; the file's whole name for a collecting format
    bool needs_photo;
    bool holds_name;                                                        // the file holds the photo's name as text
    bool each_tag;                                                          // a photo has a file a tag
    tagmask_status (*begin)(const char *out, void **state, tm_error *err);  // NULL: nothing is kept between photos
    tagmask_status (*add)(void *state, const tm_label_job *job, tm_error *err);
    tagmask_status (*flush)(void *state, tm_error *err);  // writes the photos that wait; NULL: none ever does
    bool (*has)(const void *state, const char *name);     // is the photo in the file? NULL: it has files of its own
    tagmask_status (*end)(void *state, tm_error *err);  // writes and frees the state, also on failure; NULL with begin
    tagmask_status (*read)(const tm_read_job *job, tm_error *err);  // paints one photo's shapes; NULL: cannot be read
} tm_label_format;

const tm_label_format *tm_label_format_find(const char *name);  // NULL: unknown
const tm_label_format *tm_label_format_at(size_t index);        // NULL beyond the last

// For formats. out/STEM.TAGENDING, or out/STEMENDING without a tag; in TAG spaces and what file systems do not like
// become _. Refuses the photo's own path, which an ending .png can meet. *path is malloc'ed.
tagmask_status tm_label_path(const tm_label_job *job, const char *tag, const char *ending, char **path, tm_error *err);
// The file that tm_label_path names, without its check; NULL when out of memory.
char *tm_label_file(const char *out, const char *stem, const char *tag, const char *ending);
bool tm_same_file(const char *a, const char *b);  // false also when one does not exist
// The photo's path as seen from the folder `out`, with / between folders; malloc'ed, NULL when out of memory.
char *tm_path_from(const char *out, const char *photo_path);
// Writes a plane of numbers a tag, height x width each, one after the other in `planes`, as NAME.TAG and the ending.
tagmask_status tm_label_planes(const tm_label_job *job, const char *ending, float *planes, uint32_t width,
                               uint32_t height, tm_error *err);
// Writes a picture whole or not at all, and marks it as ours. A file that is there already is replaced only when it
// bears the mark and its pixels are as they were written: another's picture, or one that a person has painted on, is
// never overwritten.
tagmask_status tm_label_picture(const char *path, const tm_png *png, tm_error *err);
// The colour of label 1.. in pictures: Okabe and Ito's colours that colour-blind people tell apart
// (https://jfly.uni-koeln.de/color/), from the ninth on the VOC colour map.
void tm_label_colour(uint32_t label, uint8_t rgb[3]);
// The PASCAL VOC colour map (VOC 2012 development kit, VOClabelcolormap.m): 256 RGB triples.
void tm_voc_colours(uint8_t rgb[256 * 3]);

extern const tm_label_format tm_format_labelme, tm_format_labelme_mask, tm_format_voc, tm_format_overlay,
    tm_format_prob, tm_format_heatmap, tm_format_map, tm_format_map_npy;
extern const tm_label_format tm_format_coco, tm_format_coco_rle, tm_format_coco_rle_crowd, tm_format_yolo,
    tm_format_label_studio, tm_format_label_studio_polygon, tm_format_cvat;

// How well the name that a file has for a photo fits the photo's path: by the names at their ends, so that of a/1.jpg
// and b/1.jpg the right one is found; 0: another file name. The higher the better.
size_t tm_name_fit(const char *stored, const char *photo_path);
// A collecting format writes when `pending` photos wait and `total` are in its file: often while that is cheap.
bool tm_label_flush_due(size_t pending, size_t total);

#endif
