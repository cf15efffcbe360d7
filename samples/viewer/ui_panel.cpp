// The panel at the right: tags, settings, label files.
#include <cctype>
#include <cfloat>
#include <cstdio>
#include <cstring>

#include "ui_parts.h"

namespace {

constexpr int max_matches = 6;

struct entry_state {
    char text[MODEL_TAG_SIZE];
    const char *matches[max_matches];
    int match_count, chosen;  // chosen -1: what was typed
} entry;

// ---- Small helpers

void heading(const char *text) {
    ImGui::Dummy(ImVec2(0, 2));
    ImGui::PushStyleColor(ImGuiCol_Text, accent);
    ImGui::TextUnformatted(text);
    ImGui::PopStyleColor();
}

// The label at the left, the widget over the rest of the line.
void label(const char *text) {
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(text);
    ImGui::SameLine(ImGui::GetFontSize() * 6.2f);
    ImGui::SetNextItemWidth(-FLT_MIN);
}

void slider(const char *text, const char *id, float *value, float low, float high, const char *format, const char *help,
            bool logarithmic = false) {
    label(text);
    ImGuiSliderFlags flags = ImGuiSliderFlags_AlwaysClamp | (logarithmic ? ImGuiSliderFlags_Logarithmic : 0);
    if (ImGui::SliderFloat(id, value, low, high, format, flags)) ui.v->changed = true;
    note_rect(id + 2);
    tooltip(help);
}

// ---- Tags

bool contains(const char *word, const char *part, bool at_start) {
    for (const char *from = word; *from; from++) {
        size_t i = 0;
        while (part[i] &&
               std::tolower(static_cast<unsigned char>(from[i])) == std::tolower(static_cast<unsigned char>(part[i])))
            i++;
        if (!part[i]) return true;
        if (at_start) return false;
    }
    return false;
}

// Words that begin with what is typed, then words that hold it.
void find_matches() {
    entry.match_count = 0;
    entry.chosen = -1;
    if (!entry.text[0]) return;
    for (int pass = 0; pass < 2; pass++) {
        const char *word;
        for (size_t i = 0; entry.match_count < max_matches && (word = model_word(ui.v->worker, i)) != nullptr; i++) {
            bool begins = contains(word, entry.text, true);
            if (pass ? !begins && contains(word, entry.text, false) : begins) entry.matches[entry.match_count++] = word;
        }
    }
}

void take_entry(const char *text) {
    viewer *v = ui.v;
    char name[MODEL_TAG_SIZE];
    tagmask_error error = TAGMASK_ERROR_INIT;
    v->refused[0] = 0;
    if (!*text) return;
    if (!model_resolve(v->worker, text, name, sizeof name, &error)) {
        snprintf(v->refused, sizeof v->refused, "%s", error.message);
    } else if (!viewer_add_tag(v, *text == '#' ? text : name)) {
        snprintf(v->refused, sizeof v->refused, "a photo takes at most %d tags: remove one first", MODEL_TAGS);
    } else {
        entry.text[0] = 0;
        find_matches();
    }
    v->focus_entry = true;
}

int on_entry(ImGuiInputTextCallbackData *data) {
    if (data->EventFlag == ImGuiInputTextFlags_CallbackEdit) {
        snprintf(entry.text, sizeof entry.text, "%s", data->Buf);
        ui.v->refused[0] = 0;
        find_matches();
    } else if (data->EventFlag == ImGuiInputTextFlags_CallbackHistory && entry.match_count) {
        int step = data->EventKey == ImGuiKey_DownArrow ? 1 : -1;
        entry.chosen = (entry.chosen + 1 + step + entry.match_count + 1) % (entry.match_count + 1) - 1;
    } else if (data->EventFlag == ImGuiInputTextFlags_CallbackCompletion && entry.match_count) {
        data->DeleteChars(0, data->BufTextLen);
        data->InsertChars(0, entry.matches[entry.chosen < 0 ? 0 : entry.chosen]);
    }
    return 0;
}

void tag_entry() {
    viewer *v = ui.v;
    bool ready = v->status.ready;
    ImGuiInputTextFlags flags = ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_CallbackEdit |
                                ImGuiInputTextFlags_CallbackHistory | ImGuiInputTextFlags_CallbackCompletion;
    if (v->focus_entry && ready) ImGui::SetKeyboardFocusHere();
    ImGui::BeginDisabled(!ready);
    ImGui::SetNextItemWidth(-FLT_MIN);
    const char *hint = ready ? "what the photo shows, then Enter" : "the networks are being loaded ...";
    bool entered = ImGui::InputTextWithHint("##tag", hint, entry.text, sizeof entry.text, flags, on_entry);
    note_rect("tag");
    ui.entry_active = ImGui::IsItemActive();
    if (ui.entry_active) v->focus_entry = false;
    ImGui::EndDisabled();
    if (entered) {
        char text[MODEL_TAG_SIZE];
        snprintf(text, sizeof text, "%s",
                 entry.chosen >= 0 && entry.chosen < entry.match_count ? entry.matches[entry.chosen] : entry.text);
        take_entry(text);
    }
    for (int i = 0; i < entry.match_count; i++) {
        if (ImGui::Selectable(entry.matches[i], i == entry.chosen)) {
            take_entry(entry.matches[i]);
            break;
        }
    }
    if (ui.v->refused[0]) text_coloured(warning, ui.v->refused);
}

// One line a tag: its colour, its name, what was found, and a cross.
void tag_line(size_t index) {
    viewer *v = ui.v;
    viewer_photo *photo = viewer_here(v);
    const model_tag *found = v->output.proposed && index < v->output.tag_count ? &v->output.tags[index] : nullptr;
    ImGui::PushID(static_cast<int>(index));
    ImDrawList *list = ImGui::GetWindowDrawList();
    float height = ImGui::GetFrameHeight(), width = ImGui::GetContentRegionAvail().x - height - 4;
    ImVec2 at = ImGui::GetCursorScreenPos();
    if (ImGui::Selectable("##line", photo->selected == index, 0, ImVec2(width, height))) {
        photo->selected = index;
        v->changed = true;
    }
    if (found && found->note[0]) tooltip(found->note);
    float pad = (height - ImGui::GetFontSize()) / 2, swatch = ImGui::GetFontSize() - 2;
    list->AddRectFilled(ImVec2(at.x + 4, at.y + pad + 1), ImVec2(at.x + 4 + swatch, at.y + pad + 1 + swatch),
                        tag_colour(index), 3);
    char figures[64] = "";
    if (found && found->parts) {
        snprintf(figures, sizeof figures, "%.1f %%  score %.2f", 100 * found->share, found->score);
    } else if (found) {
        snprintf(figures, sizeof figures, "not found");
    }
    float figures_width = ImGui::CalcTextSize(figures).x;
    ImVec2 text_at(at.x + swatch + 12, at.y + pad);
    ImVec4 clip(text_at.x, at.y, at.x + width - figures_width - 10, at.y + height);
    list->AddText(nullptr, 0, text_at, ImGui::GetColorU32(ImGuiCol_Text), photo->tags[index], nullptr, 0, &clip);
    list->AddText(ImVec2(at.x + width - figures_width - 4, at.y + pad), faint, figures);
    ImGui::SameLine(0, 4);
    bool remove = ImGui::Button("x", ImVec2(height, height));
    tooltip("Remove this tag");
    ImGui::PopID();
    if (remove) viewer_remove_tag(v, index);
}

void tags_section() {
    heading("Tags");
    tag_entry();
    for (size_t i = 0; i < viewer_here(ui.v)->tag_count; i++) tag_line(i);
    const model_output *output = &ui.v->output;
    for (size_t i = 0; output->proposed && i < output->tag_count; i++) {
        if (!output->tags[i].note[0]) continue;
        char text[MODEL_TAG_SIZE + 270];
        snprintf(text, sizeof text, "%s: %s", output->tags[i].name, output->tags[i].note);
        text_coloured(faint, text);
    }
}

// ---- Settings and labels

void mask_section() {
    viewer *v = ui.v;
    viewer_settings *s = &v->settings;
    heading("Mask");
    label("Preset");
    if (ImGui::BeginCombo("##preset", viewer_presets[s->preset])) {
        for (int i = 0; viewer_presets[i]; i++) {
            if (!ImGui::Selectable(viewer_presets[i], i == s->preset)) continue;
            s->preset = i;
            v->reset_preset = v->changed = true;
        }
        ImGui::EndCombo();
    }
    tooltip("How much work is spent: fast, balanced or best. The settings below go back to the preset's.");
    slider("Threshold", "##threshold", &s->threshold, 0.01f, 0.99f, "%.2f",
           "Probability from which a pixel belongs to the tag. Higher: a smaller mask.");
    label("Parts");
    if (ImGui::SliderInt("##max-parts", &s->max_parts, 0, 10, s->max_parts ? "at most %d" : "all",
                         ImGuiSliderFlags_AlwaysClamp))
        v->changed = true;
    tooltip("How many of the largest parts of each tag are kept.");
    slider("Least part", "##min-part", &s->min_part, 0, 1, "%.2f",
           "Parts smaller than this share of the tag's largest part are dropped.");
}

void crf_section() {
    viewer_settings *s = &ui.v->settings;
    heading("Edges (dense CRF)");
    slider("Weight", "##compat", &s->bilateral_compat, 0.1f, 50, "%.1f",
           "How strongly pixels of one colour take one label (bilateral compat).", true);
    slider("Colour", "##srgb", &s->bilateral_srgb, 1, 60, "%.1f",
           "How different colours may be to count as one, 0 to 255 (bilateral srgb).", true);
    slider("Distance", "##sxy", &s->bilateral_sxy, 2, 200, "%.0f px",
           "How far apart pixels may be to count as near (bilateral sxy).", true);
}

void view_section() {
    viewer *v = ui.v;
    bool map = v->view >= VIEW_STAGE;
    heading("View");
    label(map ? "Map" : "Opacity");
    ImGui::SliderFloat("##opacity", map ? &v->settings.map_opacity : &v->settings.mask_opacity, 0, 1, "%.2f",
                       ImGuiSliderFlags_AlwaysClamp);
    label("Outlines");
    ImGui::Checkbox("##outlines", &v->settings.outlines);
}

// Always in sight, below what scrolls.
void save_section(ImVec2 size) {
    viewer *v = ui.v;
    const char *name, *chosen = tagmask_format_name(static_cast<size_t>(v->settings.format));
    char told[MODEL_PATH + 320];
    float button = ImGui::CalcTextSize("Save (S)").x + 2 * ImGui::GetStyle().FramePadding.x;
    ImGui::BeginChild("save", size, false, ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
    ImGui::Separator();
    ImGui::Dummy(ImVec2(0, 1));
    ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - button - ImGui::GetStyle().ItemSpacing.x);
    if (ImGui::BeginCombo("##format", chosen)) {
        for (size_t i = 0; (name = tagmask_format_name(i)) != nullptr; i++) {
            if (ImGui::Selectable(name, static_cast<int>(i) == v->settings.format))
                v->settings.format = static_cast<int>(i);
        }
        ImGui::EndCombo();
    }
    tooltip("The format of the label files.");
    ImGui::SameLine();
    if (ImGui::Button("Save (S)")) v->save = true;
    note_rect("save");
    snprintf(told, sizeof told, "%s%s", v->status.saves && !v->status.save_failed ? "saved " : "",
             v->status.saves ? v->status.saved : v->out);
    ImGui::BeginGroup();
    text_coloured(v->status.saves && v->status.save_failed ? warning : faint, told);
    ImGui::EndGroup();
    tooltip(told);
    ImGui::EndChild();
}

void photo_line() {
    viewer *v = ui.v;
    const char *path = viewer_here(v)->path, *slash = std::strrchr(path, '/');
    float height = ImGui::GetFrameHeight();
    char place[32];
    snprintf(place, sizeof place, "%zu / %zu", v->current + 1, v->photo_count);
    ImGui::BeginDisabled(v->current == 0);
    if (ImGui::ArrowButton("##previous", ImGuiDir_Left)) v->step = -1;
    ImGui::EndDisabled();
    ImGui::SameLine(0, 4);
    ImGui::BeginDisabled(v->current + 1 >= v->photo_count);
    if (ImGui::ArrowButton("##next", ImGuiDir_Right)) v->step = 1;
    ImGui::EndDisabled();
    ImGui::SameLine();
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(place);
    ImGui::SameLine();
    ImDrawList *list = ImGui::GetWindowDrawList();
    ImVec2 at = ImGui::GetCursorScreenPos();
    float width = ImGui::GetContentRegionAvail().x;
    ImGui::Dummy(ImVec2(width, height));
    tooltip(path);
    ImVec4 clip(at.x, at.y, at.x + width, at.y + height);
    list->AddText(nullptr, 0, ImVec2(at.x, at.y + ImGui::GetStyle().FramePadding.y), ImGui::GetColorU32(ImGuiCol_Text),
                  slash ? slash + 1 : path, nullptr, 0, &clip);
}

}  // namespace

void panel(ImVec2 at, ImVec2 size) {
    float below = ImGui::GetFrameHeight() + 2 * ImGui::GetTextLineHeightWithSpacing() + 16;
    ImGui::SetCursorPos(at);
    ImGui::PushStyleColor(ImGuiCol_ChildBg, IM_COL32(30, 33, 38, 255));
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(12, 8));
    ImGui::BeginChild("panel", size, false, ImGuiWindowFlags_AlwaysUseWindowPadding | ImGuiWindowFlags_NoScrollbar);
    photo_line();
    ImGui::BeginChild("scrolled", ImVec2(0, ImGui::GetContentRegionAvail().y - below), false);
    tags_section();
    mask_section();
    crf_section();
    view_section();
    ImGui::EndChild();
    save_section(ImVec2(0, 0));
    ImGui::EndChild();
    ImGui::PopStyleVar();
    ImGui::PopStyleColor();
}
