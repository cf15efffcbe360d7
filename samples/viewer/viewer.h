// The viewer's state, which main.c changes by keys and by news from the worker, and ui.cpp by widgets.
#ifndef VIEWER_VIEWER_H
#define VIEWER_VIEWER_H

#ifdef __cplusplus
extern "C" {
#endif

#include "gpu.h"
#include "model.h"

// What the main area shows; stages follow VIEW_STAGE.
enum { VIEW_PHOTO, VIEW_MASK, VIEW_STAGE, VIEWS = VIEW_STAGE + MODEL_STAGES };

typedef struct viewer_photo {
    char *path;
    char sub[16];  // folder below --out, since an earlier photo has the same name; usually ""
    char tags[MODEL_TAGS][MODEL_TAG_SIZE];
    size_t tag_count, selected;
    bool saved;
} viewer_photo;

// What sliders and choices set, for all photos.
typedef struct viewer_settings {
    int preset;
    float threshold, min_part, bilateral_compat, bilateral_srgb, bilateral_sxy;
    int max_parts;
    int format;
    float mask_opacity, map_opacity;
    bool outlines;
} viewer_settings;

typedef struct viewer_rect {
    char name[24];
    float left, top, right, bottom;
} viewer_rect;

typedef struct viewer {
    GLFWwindow *window;
    gpu *device;
    model *worker;
    const char *out;
    viewer_photo *photos;
    size_t photo_count, current;
    viewer_settings settings;
    model_output output;
    model_status status;
    gpu_texture textures[VIEWS];
    int view;
    float zoom, centre_x, centre_y;  // 1: the photo fits; the centre in 0..1 of the photo
    bool peek;                       // the photo alone, while a key is held
    bool help, focus_entry;
    char refused[1100];  // why the tag that was typed is none
    // Set by widgets and keys, done by main.c.
    bool changed, reset_preset, save, cancel, quit, capture;
    int step;  // to another photo
    viewer_rect rects[16];
    size_t rect_count;  // where widgets are, for --trace
} viewer;

extern const char *const viewer_presets[];  // NULL ends them
static inline viewer_photo *viewer_here(viewer *v) {
    return &v->photos[v->current];
}
// Adds a tag to the photo unless it is there; false when there are too many.
bool viewer_add_tag(viewer *v, const char *tag);
void viewer_remove_tag(viewer *v, size_t index);
// A key of the keyboard; typing: it also goes to a text field.
void viewer_use_key(viewer *v, int key, int action, int mods, bool typing);

// ---- ui*.cpp: the only files that know Dear ImGui

bool ui_open(viewer *v);
void ui_close(void);
// Lays a frame out; afterwards ui_draw records it.
void ui_layout(viewer *v);
void ui_draw(VkCommandBuffer commands);
// Whether something moves without an event, such as a cursor that blinks.
bool ui_is_lively(void);
// Keys and letters; more than one frame may be needed to take them in.
void ui_key(int key, int scancode, int action, int mods);
void ui_letter(unsigned letter);
bool ui_has_events(void);

#ifdef __cplusplus
}
#endif

#endif
