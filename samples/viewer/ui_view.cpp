// The photo with what lies over it, and the strip of small pictures below.
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "ui_parts.h"

namespace {

constexpr int max_quads = 32;

// A picture that a draw list's callback draws.
struct placed_quad {
    const gpu_texture *texture;
    gpu_quad quad;
};
placed_quad quads[max_quads];
int quad_count;

const char *const stage_titles[] = {"Photo", "Proposal"};  // before tagmask's stages

// ---- Pictures

void draw_quad(const ImDrawList *, const ImDrawCmd *command) {
    const placed_quad *placed = static_cast<const placed_quad *>(command->UserCallbackData);
    ImVec2 scale = ImGui::GetIO().DisplayFramebufferScale;
    float width = static_cast<float>(ui.v->device->extent.width),
          height = static_cast<float>(ui.v->device->extent.height);
    float left = std::fmax(command->ClipRect.x * scale.x, 0), right = std::fmin(command->ClipRect.z * scale.x, width);
    float top = std::fmax(command->ClipRect.y * scale.y, 0), bottom = std::fmin(command->ClipRect.w * scale.y, height);
    if (right <= left || bottom <= top || !placed->texture->set) return;
    VkRect2D scissor = {{static_cast<int32_t>(left), static_cast<int32_t>(top)},
                        {static_cast<uint32_t>(right - left), static_cast<uint32_t>(bottom - top)}};
    vkCmdSetScissor(ui.commands, 0, 1, &scissor);
    gpu_quad_draw(ui.v->device, ui.commands, placed->texture, &placed->quad);
}

void add_picture(const gpu_texture *texture, ImVec2 low, ImVec2 high, float alpha) {
    if (!texture->set || quad_count == max_quads) return;
    ImVec2 size = ImGui::GetIO().DisplaySize;
    placed_quad *placed = &quads[quad_count++];
    placed->texture = texture;
    placed->quad = {{2 * low.x / size.x - 1, 2 * low.y / size.y - 1, 2 * high.x / size.x - 1, 2 * high.y / size.y - 1},
                    {0, 0, 1, 1},
                    {1, 1, 1, alpha}};
    ImDrawList *list = ImGui::GetWindowDrawList();
    list->AddCallback(draw_quad, placed);
    list->AddCallback(ImDrawCallback_ResetRenderState, nullptr);
}

// ---- The main area

// NULL beyond the last view. Valid until the next call.
const char *title_of(int view) {
    static char title[40];
    if (view < VIEW_STAGE) return stage_titles[view];
    const char *stage = tagmask_stage_name(static_cast<size_t>(view - VIEW_STAGE));
    snprintf(title, sizeof title, "%s", stage ? stage : "");
    bool initials = strcmp(title, "cam") == 0;
    for (size_t i = 0; title[i] && (!i || initials); i++) {
        title[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[i])));
    }
    return stage ? title : nullptr;
}

// Why a view has nothing to show; NULL: it has.
const char *lack_of(int view) {
    viewer *v = ui.v;
    if (view == VIEW_PHOTO) return nullptr;
    if (!v->output.proposed) return v->status.busy && viewer_here(v)->tag_count ? "being made" : "no proposal";
    if (view >= VIEW_STAGE && v->output.map_note[view - VIEW_STAGE][0]) return v->output.map_note[view - VIEW_STAGE];
    return nullptr;
}

void draw_outlines(ImVec2 low, ImVec2 high) {
    const model_output *output = &ui.v->output;
    ImDrawList *list = ImGui::GetWindowDrawList();
    float scale_x = (high.x - low.x) / static_cast<float>(output->width);
    float scale_y = (high.y - low.y) / static_cast<float>(output->height);
    for (size_t i = 0; i < output->outline_count; i++) {
        const model_outline *outline = &output->outlines[i];
        for (int pass = 0; pass < 2; pass++) {  // a dark line below makes the bright one visible on any photo
            for (size_t p = 0; p < outline->count; p++) {
                const float *point = output->points + 2 * (outline->first + p);
                list->PathLineTo(ImVec2(low.x + point[0] * scale_x, low.y + point[1] * scale_y));
            }
            list->PathStroke(pass ? tag_colour(outline->tag) : IM_COL32(0, 0, 0, 140), ImDrawFlags_Closed,
                             pass ? 1.8f : 3.6f);
        }
    }
}

// The photo with what lies over it in a view.
void draw_view(int view, ImVec2 low, ImVec2 high, bool with_outlines) {
    viewer *v = ui.v;
    add_picture(&v->textures[VIEW_PHOTO], low, high, 1);
    if (lack_of(view)) return;
    if (view == VIEW_MASK) add_picture(&v->textures[view], low, high, v->settings.mask_opacity);
    if (view >= VIEW_STAGE) add_picture(&v->textures[view], low, high, v->settings.map_opacity);
    if (with_outlines && view != VIEW_PHOTO && v->settings.outlines) draw_outlines(low, high);
}

void move_view(ImVec2 at, ImVec2 size, float scale) {
    viewer *v = ui.v;
    const ImGuiIO &io = ImGui::GetIO();
    float width = static_cast<float>(v->output.width) * scale, height = static_cast<float>(v->output.height) * scale;
    if (ImGui::IsItemActive()) {
        v->centre_x -= io.MouseDelta.x / width;
        v->centre_y -= io.MouseDelta.y / height;
    }
    if (ImGui::IsItemHovered() && io.MouseWheel != 0) {
        float zoom = std::fmin(std::fmax(v->zoom * std::pow(1.2f, io.MouseWheel), 1.0f), 64.0f),
              factor = v->zoom / zoom;
        float x = (io.MousePos.x - at.x - size.x / 2) / width, y = (io.MousePos.y - at.y - size.y / 2) / height;
        v->centre_x += x * (1 - factor);  // the point below the mouse stays
        v->centre_y += y * (1 - factor);
        v->zoom = zoom;
    }
    if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(0)) v->zoom = 1;
    float room = v->zoom > 1 ? 0.5f : 0;
    v->centre_x = std::fmin(std::fmax(v->centre_x, 0.5f - room), 0.5f + room);
    v->centre_y = std::fmin(std::fmax(v->centre_y, 0.5f - room), 0.5f + room);
}

void centred_text(ImVec2 at, ImVec2 size, const char *text, ImU32 colour) {
    float wrap = size.x * 0.8f;
    ImVec2 extent = ImGui::CalcTextSize(text, nullptr, false, wrap);
    ImVec2 from(at.x + (size.x - extent.x) / 2, at.y + (size.y - extent.y) / 2);
    ImDrawList *list = ImGui::GetWindowDrawList();
    list->AddRectFilled(ImVec2(from.x - 12, from.y - 8), ImVec2(from.x + extent.x + 12, from.y + extent.y + 8),
                        IM_COL32(16, 17, 20, 215), 6);
    list->AddText(ImGui::GetFont(), ImGui::GetFontSize(), from, colour, text, nullptr, wrap);
}

}  // namespace

void begin_pictures() {
    quad_count = 0;
}

void canvas(ImVec2 at, ImVec2 size) {
    viewer *v = ui.v;
    ImGui::SetCursorPos(at);
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
    ImGui::BeginChild("canvas", size, false, ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
    ImVec2 low = ImGui::GetCursorScreenPos();
    ImGui::InvisibleButton("##photo", size);
    note_rect("photo");
    if (v->output.width && v->textures[VIEW_PHOTO].set) {
        float across = static_cast<float>(v->output.width), down = static_cast<float>(v->output.height);
        float fit = std::fmin(size.x / across, size.y / down);
        move_view(low, size, fit * v->zoom);
        float scale = fit * v->zoom;
        ImVec2 from(low.x + size.x / 2 - v->centre_x * across * scale, low.y + size.y / 2 - v->centre_y * down * scale);
        int view = v->peek ? static_cast<int>(VIEW_PHOTO) : v->view;
        draw_view(view, from, ImVec2(from.x + across * scale, from.y + down * scale), true);
        const char *lack = lack_of(view);
        if (lack && view >= VIEW_STAGE && v->output.proposed) centred_text(low, size, lack, IM_COL32_WHITE);
    }
    if (v->output.error[0]) {
        centred_text(low, size, v->output.error, warning);
    } else if (!v->status.busy && !viewer_here(v)->tag_count) {
        centred_text(ImVec2(low.x, low.y + size.y - 60), ImVec2(size.x, 60), "Type at the right what this photo shows.",
                     IM_COL32_WHITE);
    }
    ImGui::EndChild();
    ImGui::PopStyleVar();
}

// One small picture a view; the one that is shown has a frame.
void strip(ImVec2 at, ImVec2 size) {
    viewer *v = ui.v;
    int views = VIEW_STAGE;
    while (views < VIEWS && title_of(views)) views++;
    float gap = 6, line = ImGui::GetTextLineHeight() + 2,
          width = (size.x - gap * static_cast<float>(views - 1)) / static_cast<float>(views);
    ImGui::SetCursorPos(at);
    ImGui::BeginChild("strip", size, false, ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
    ImDrawList *list = ImGui::GetWindowDrawList();
    bool numbered = width > ImGui::CalcTextSize("0 Probability").x;
    for (int view = 0; view < views; view++) {
        ImVec2 box(width, size.y - line);
        ImGui::SetCursorPos(ImVec2(static_cast<float>(view) * (width + gap), 0));
        ImVec2 low = ImGui::GetCursorScreenPos();
        ImGui::PushID(view);
        if (ImGui::InvisibleButton("##view", ImVec2(width, size.y))) v->view = view;
        ImGui::PopID();
        bool hovered = ImGui::IsItemHovered();
        if (hovered && lack_of(view)) tooltip(lack_of(view));
        list->AddRectFilled(low, ImVec2(low.x + box.x, low.y + box.y), IM_COL32(26, 28, 33, 255), 3);
        if (v->output.width && !lack_of(view)) {
            float across = static_cast<float>(v->output.width), down = static_cast<float>(v->output.height);
            float scale = std::fmin((box.x - 4) / across, (box.y - 4) / down);
            ImVec2 from(low.x + (box.x - across * scale) / 2, low.y + (box.y - down * scale) / 2);
            draw_view(view, from, ImVec2(from.x + across * scale, from.y + down * scale), false);
        }
        if (view == v->view || hovered)
            list->AddRect(low, ImVec2(low.x + box.x, low.y + box.y), view == v->view ? accent : faint, 3, 0, 2);
        char title[40];
        int skipped = numbered ? 0 : 2;  // the digit that is also its key
        snprintf(title, sizeof title, "%d %.30s", view + 1, title_of(view));
        const char *shown = title + skipped;
        float text_x = low.x + std::fmax((width - ImGui::CalcTextSize(shown).x) / 2, 0);
        ImVec4 clip(low.x, low.y, low.x + width, low.y + size.y);
        list->AddText(nullptr, 0, ImVec2(text_x, low.y + box.y + 1), view == v->view ? IM_COL32_WHITE : faint, shown,
                      nullptr, 0, &clip);
    }
    ImGui::EndChild();
}
