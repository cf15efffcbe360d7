#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tagmask_status output_no_memory(tagmask_error *error) {
    error->status = TAGMASK_ERROR_MEMORY;
    snprintf(error->message, sizeof error->message,
             "memory is exhausted: close other programs or open a smaller photo");
    return error->status;
}

static void inherit(picture *newer, picture *older) {
    if (newer->rgba) {
        picture_free(older);
    } else {
        *newer = *older;
    }
    *older = (picture){0};
}

void output_inherit(model_output *output, model_output *unseen) {
    inherit(&output->photo, &unseen->photo);
    inherit(&output->mask, &unseen->mask);
    for (size_t i = 0; i < MODEL_STAGES; i++) inherit(&output->maps[i], &unseen->maps[i]);
    model_output_free(unseen);
}

void model_output_free(model_output *output) {
    picture_free(&output->photo);
    picture_free(&output->mask);
    for (size_t i = 0; i < MODEL_STAGES; i++) picture_free(&output->maps[i]);
    free(output->points);
    free(output->outlines);
    *output = (model_output){0};
}

// ---- Outlines

// Counts, and with lists there also copies, the outer ring and the holes of one part.
static void add_rings(model_output *output, const tagmask_region *region, size_t *points, size_t *rings) {
    for (size_t ring = 0; ring <= region->hole_count; ring++) {
        const float *from = ring ? region->holes[ring - 1] : region->outline;
        size_t count = ring ? region->hole_points[ring - 1] : region->outline_points;
        if (output->outlines) {
            output->outlines[*rings] = (model_outline){region->tag, *points, count};
            memcpy(output->points + 2 * *points, from, 2 * count * sizeof *from);
        }
        *points += count;
        ++*rings;
    }
}

static void walk_regions(model_output *output, const tagmask_result *result, size_t *points, size_t *rings) {
    *points = *rings = 0;
    for (size_t i = 0; i < tagmask_result_region_count(result); i++) {
        tagmask_region region = {.struct_size = sizeof region};
        if (tagmask_result_region(result, i, &region) == TAGMASK_OK) add_rings(output, &region, points, rings);
    }
}

static tagmask_status add_outlines(model_output *output, const tagmask_result *result, tagmask_error *error) {
    size_t points, rings;
    walk_regions(output, result, &points, &rings);
    float *coordinates = calloc(points + 1, 2 * sizeof *coordinates);
    model_outline *outlines = calloc(rings + 1, sizeof *outlines);
    if (!coordinates || !outlines) {
        free(coordinates);
        free(outlines);
        return output_no_memory(error);
    }
    output->points = coordinates;
    output->outlines = outlines;
    walk_regions(output, result, &points, &output->outline_count);
    return TAGMASK_OK;
}

// ---- Figures

static void add_figures(model_output *output, const tagmask_result *result) {
    double pixels = (double)tagmask_result_width(result) * tagmask_result_height(result);
    output->tag_count = tagmask_result_tag_count(result);
    if (output->tag_count > MODEL_TAGS) output->tag_count = MODEL_TAGS;
    for (size_t i = 0; i < output->tag_count; i++) {
        model_tag *tag = &output->tags[i];
        snprintf(tag->name, sizeof tag->name, "%s", tagmask_result_tag(result, i));
        snprintf(tag->note, sizeof tag->note, "%s", tagmask_result_note(result, i));
    }
    for (size_t i = 0; i < tagmask_result_region_count(result); i++) {
        tagmask_region region = {.struct_size = sizeof region};
        if (tagmask_result_region(result, i, &region) != TAGMASK_OK || region.tag >= output->tag_count) continue;
        model_tag *tag = &output->tags[region.tag];
        tag->parts++;
        tag->share += (double)region.area / pixels;
        tag->score += (double)region.area / pixels * region.score;
        output->mask_pixels += region.area;
    }
    for (size_t i = 0; i < output->tag_count; i++) {
        if (output->tags[i].share > 0) output->tags[i].score /= output->tags[i].share;
    }
}

tagmask_status output_describe(model_output *output, const tagmask_result *result, uint32_t side,
                               tagmask_error *error) {
    uint32_t width = tagmask_result_width(result), height = tagmask_result_height(result);
    add_figures(output, result);
    if (!picture_of_labels(tagmask_result_labels(result), width, height, side, &output->mask))
        return output_no_memory(error);
    return add_outlines(output, result, error);
}

// ---- Files

// Formats with a file of each photo; the others have one file, named like the format.
static const char *const own_files[][2] = {{"labelme", ".json"},
                                           {"labelme-mask", ".json"},
                                           {"voc", ".png"},
                                           {"yolo", ".txt"},
                                           {"overlay", ".overlay.png"},
                                           {"prob", ".*.npy"},
                                           {"heatmap", ".*.heatmap.png"},
                                           {"map", ".*.map.png"},
                                           {"map-npy", ".*.map.npy"}};

void output_name_file(char *text, size_t size, const char *folder, const char *format, const char *photo) {
    const char *slash = strrchr(photo, '/'), *name = slash ? slash + 1 : photo, *dot = strrchr(name, '.');
    int stem = (int)(dot && dot != name ? dot - name : (long)strlen(name));
    for (size_t i = 0; i < sizeof own_files / sizeof own_files[0]; i++) {
        if (strcmp(own_files[i][0], format)) continue;
        snprintf(text, size, "%s/%.*s%s", folder, stem, name, own_files[i][1]);
        return;
    }
    snprintf(text, size, "%s/%s%s", folder, format, strcmp(format, "cvat") ? ".json" : ".xml");
}
