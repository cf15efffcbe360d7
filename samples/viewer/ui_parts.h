// What the files of the user interface share.
#ifndef VIEWER_UI_PARTS_H
#define VIEWER_UI_PARTS_H

#include <imgui.h>

#include "viewer.h"

constexpr ImU32 faint = IM_COL32(150, 156, 166, 255), warning = IM_COL32(255, 138, 128, 255);
constexpr ImU32 accent = IM_COL32(79, 152, 222, 255);

struct ui_state {
    viewer *v;
    VkCommandBuffer commands;  // of the frame that is recorded
    bool entry_active;         // a cursor blinks
};
extern ui_state ui;

ImU32 tag_colour(size_t tag);
// Remembers where the last widget is.
void note_rect(const char *name);
void text_coloured(ImU32 colour, const char *text);
// Of the last widget.
void tooltip(const char *text);

void panel(ImVec2 at, ImVec2 size);   // ui_panel.cpp: tags, settings, labels
void canvas(ImVec2 at, ImVec2 size);  // ui_view.cpp: the photo with what lies over it
void strip(ImVec2 at, ImVec2 size);   // ui_view.cpp: a small picture of each view
void begin_pictures();                // ui_view.cpp: before a frame's first picture

#endif
