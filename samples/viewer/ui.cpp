// Dear ImGui's start and end, frames, keys, and the line at the bottom.
#include <backends/imgui_impl_glfw.h>
#include <backends/imgui_impl_vulkan.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>

#include "ui_parts.h"

ui_state ui;

// ---- Shared

ImU32 tag_colour(size_t tag) {
    uint32_t rgb = picture_tag_colour(tag);
    return IM_COL32(rgb >> 16, rgb >> 8 & 255, rgb & 255, 255);
}

void note_rect(const char *name) {
    viewer *v = ui.v;
    if (v->rect_count == sizeof v->rects / sizeof v->rects[0]) return;
    viewer_rect *rect = &v->rects[v->rect_count++];
    ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
    *rect = {{0}, low.x, low.y, high.x, high.y};
    snprintf(rect->name, sizeof rect->name, "%s", name);
}

void text_coloured(ImU32 colour, const char *text) {
    ImGui::PushStyleColor(ImGuiCol_Text, colour);
    ImGui::PushTextWrapPos(0);
    ImGui::TextUnformatted(text);
    ImGui::PopTextWrapPos();
    ImGui::PopStyleColor();
}

void tooltip(const char *text) {
    if (!ImGui::IsItemHovered()) return;
    ImGui::BeginTooltip();
    ImGui::PushTextWrapPos(ImGui::GetFontSize() * 22);
    ImGui::TextUnformatted(text);
    ImGui::PopTextWrapPos();
    ImGui::EndTooltip();
}

// ---- Keys

namespace {

// Before 1.87 Dear ImGui sees the state of keys once a frame, so a key that goes down and up between two frames, or two
// keys, would be lost or change places: events wait here until their frame.
struct key_event {
    int key, scancode, action, mods;  // key 0: a letter, in scancode
};
constexpr int max_events = 256, most_held = 3;
key_event events[max_events];
int event_count, held_frames;

void keep_event(key_event event) {
    if (event_count < max_events) events[event_count++] = event;
}

// As many as a frame tells apart: nothing after a key went down, no key after letters, and nothing on the way to a text
// field that is about to take them.
void deliver_events() {
    int done = 0;
    bool pressed = false, letters = false;
    if (ui.v->focus_entry && ui.v->status.ready && held_frames++ < most_held) return;
    held_frames = 0;
    for (; done < event_count && !pressed; done++) {
        const key_event &event = events[done];
        if (!event.key) {
            ImGui_ImplGlfw_CharCallback(ui.v->window, static_cast<unsigned>(event.scancode));
            letters = true;
            continue;
        }
        pressed = event.action != GLFW_RELEASE;
        if (pressed && letters) break;
        viewer_use_key(ui.v, event.key, event.action, event.mods, ImGui::GetIO().WantTextInput);
        ImGui_ImplGlfw_KeyCallback(ui.v->window, event.key, event.scancode, event.action, event.mods);
    }
    event_count -= done;
    memmove(events, events + done, static_cast<size_t>(event_count) * sizeof events[0]);
}

}  // namespace

void ui_key(int key, int scancode, int action, int mods) {
    keep_event({key, scancode, action, mods});
}

void ui_letter(unsigned letter) {
    keep_event({0, static_cast<int>(letter), 0, 0});
}

namespace {

// ---- The line at the bottom, and the keys

void describe_state(char *text, size_t size) {
    viewer *v = ui.v;
    const model_output *output = &v->output;
    if (output->error[0]) {
        snprintf(text, size, "see the message");
    } else if (output->proposed) {
        bool seconds = output->milliseconds >= 1000;
        snprintf(text, size, "%u x %u, proposed in %.*f %s", output->width, output->height, seconds,
                 output->milliseconds / (seconds ? 1000 : 1), seconds ? "s" : "ms");
    } else {
        snprintf(text, size, "%u x %u", output->width, output->height);
    }
}

void status_line(ImVec2 at, ImVec2 size) {
    viewer *v = ui.v;
    const char *keys = "F1 all keys     PgUp/PgDn photo     [ ] threshold     Space photo alone     S save";
    ImGui::SetCursorPos(at);
    ImGui::BeginChild("status", size, false, ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
    if (v->status.busy) {
        char text[100];
        const char *stage = v->status.cancelling ? "ending ..." : v->status.stage;
        snprintf(text, sizeof text, "%.0f %%  %s", 100.0 * static_cast<double>(v->status.done), stage);
        ImGui::ProgressBar(v->status.done, ImVec2(std::fmin(size.x * 0.36f, 280), ImGui::GetFrameHeight()), text);
        ImGui::SameLine();
        if (ImGui::Button("Cancel")) v->cancel = true;
        note_rect("cancel");
    } else {
        char text[120];
        describe_state(text, sizeof text);
        ImGui::AlignTextToFramePadding();
        ImGui::TextUnformatted(text);
    }
    ImGui::SameLine(0, 24);
    float room = ImGui::GetContentRegionAvail().x, width = ImGui::CalcTextSize(keys).x;
    if (width > room) {
        keys = "F1 keys";
        width = ImGui::CalcTextSize(keys).x;
    }
    ImGui::SetCursorPosX(ImGui::GetCursorPosX() + std::fmax(room - width, 0));
    ImGui::AlignTextToFramePadding();
    ImGui::PushStyleColor(ImGuiCol_Text, faint);
    ImGui::TextUnformatted(keys);
    ImGui::PopStyleColor();
    ImGui::EndChild();
}

void help_window() {
    static const char *const keys[][2] = {{"T, /", "type a tag"},
                                          {"Tab, Up, Down", "complete a tag"},
                                          {"PgUp, PgDn, Left, Right", "other photo"},
                                          {"[  ]", "threshold down, up"},
                                          {"1 .. 9", "photo, proposal, stages"},
                                          {"Space (held)", "the photo alone"},
                                          {"O", "outlines"},
                                          {"Wheel, drag", "zoom, move"},
                                          {"F, double click", "fit into the window"},
                                          {"S", "save labels"},
                                          {"Esc", "cancel what runs; leave a text field"},
                                          {"F12", "picture of this window"},
                                          {"Ctrl+Q", "quit"}};
    ImVec2 display = ImGui::GetIO().DisplaySize;
    ImGui::SetNextWindowPos(ImVec2(display.x / 2, display.y / 2), ImGuiCond_Always, ImVec2(0.5f, 0.5f));
    ImGui::Begin("Keys", &ui.v->help,
                 ImGuiWindowFlags_NoCollapse | ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoSavedSettings);
    if (ImGui::BeginTable("keys", 2, ImGuiTableFlags_SizingFixedFit)) {
        for (const char *const *row : keys) {
            ImGui::TableNextColumn();
            ImGui::TextUnformatted(row[0]);
            ImGui::TableNextColumn();
            ImGui::TextUnformatted(row[1]);
        }
        ImGui::EndTable();
    }
    ImGui::TextUnformatted("Ctrl+click on a slider to type a number. Drop photos on the window to add them.");
    ImGui::End();
}

// ---- Looks

void load_font(ImGuiIO &io, float size) {
    static const char *const files[] = {
        "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
        "/usr/share/fonts/TTF/DejaVuSans.ttf", "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf"};
    static const ImWchar ranges[] = {0x20, 0x17f, 0x370, 0x52f, 0};  // Latin, Greek, Cyrillic
    for (const char *file : files) {
        FILE *found = std::fopen(file, "rb");
        if (!found) continue;
        std::fclose(found);
        io.Fonts->AddFontFromFileTTF(file, size, nullptr, ranges);
        return;
    }
    io.Fonts->AddFontDefault();
}

void set_style(float scale) {
    ImGui::StyleColorsDark();
    ImGuiStyle &style = ImGui::GetStyle();
    style.WindowRounding = style.ChildRounding = 0;
    style.FrameRounding = style.GrabRounding = 4;
    style.PopupRounding = 4;
    style.WindowBorderSize = style.ChildBorderSize = 0;
    style.FramePadding = ImVec2(8, 3);
    style.ItemSpacing = ImVec2(8, 4);
    style.ScrollbarSize = 11;
    style.GrabMinSize = 12;
    ImVec4 *c = style.Colors;
    c[ImGuiCol_WindowBg] = ImVec4(0.07f, 0.075f, 0.085f, 1);
    c[ImGuiCol_PopupBg] = ImVec4(0.13f, 0.14f, 0.16f, 0.98f);
    c[ImGuiCol_FrameBg] = ImVec4(0.19f, 0.205f, 0.235f, 1);
    c[ImGuiCol_FrameBgHovered] = ImVec4(0.24f, 0.26f, 0.3f, 1);
    c[ImGuiCol_FrameBgActive] = ImVec4(0.27f, 0.3f, 0.35f, 1);
    c[ImGuiCol_SliderGrab] = ImVec4(0.31f, 0.6f, 0.87f, 0.6f);  // the number can be read through it
    c[ImGuiCol_Button] = ImVec4(0.22f, 0.245f, 0.285f, 1);
    c[ImGuiCol_PlotHistogram] = ImVec4(0.24f, 0.46f, 0.68f, 1);
    c[ImGuiCol_TitleBgActive] = ImVec4(0.17f, 0.3f, 0.44f, 1);
    style.ScaleAllSizes(scale);
}

}  // namespace

// ---- Start, frames, end

bool ui_open(viewer *v) {
    gpu *g = v->device;
    float scale_x = 1, scale_y = 1;
    IMGUI_CHECKVERSION();
    ImGui::CreateContext();
    ImGuiIO &io = ImGui::GetIO();
    io.IniFilename = nullptr;
    glfwGetWindowContentScale(v->window, &scale_x, &scale_y);
    load_font(io, std::floor(15 * scale_x));
    set_style(scale_x);
    if (!ImGui_ImplGlfw_InitForVulkan(v->window, true)) return false;
    ImGui_ImplVulkan_InitInfo info = {};
    info.Instance = g->instance;
    info.PhysicalDevice = g->physical;
    info.Device = g->device;
    info.QueueFamily = g->family;
    info.Queue = g->queue;
    info.DescriptorPool = g->descriptors;
    info.MinImageCount = 2;
    info.ImageCount = GPU_FRAMES > 2 ? GPU_FRAMES : 2;
    info.MSAASamples = VK_SAMPLE_COUNT_1_BIT;
    if (!ImGui_ImplVulkan_Init(&info, g->pass)) return false;
    VkCommandBuffer commands = gpu_begin_once(g);
    if (!commands) return false;
    ImGui_ImplVulkan_CreateFontsTexture(commands);
    bool ok = gpu_end_once(g, commands);
    ImGui_ImplVulkan_DestroyFontUploadObjects();
    return ok;
}

void ui_close(void) {
    if (!ImGui::GetCurrentContext()) return;
    ImGui_ImplVulkan_Shutdown();
    ImGui_ImplGlfw_Shutdown();
    ImGui::DestroyContext();
}

void ui_layout(viewer *v) {
    ui.v = v;
    begin_pictures();
    v->rect_count = 0;
    ImGui_ImplVulkan_NewFrame();
    ImGui_ImplGlfw_NewFrame();
    deliver_events();
    ImGui::NewFrame();
    ImVec2 display = ImGui::GetIO().DisplaySize;
    float gap = 8, font = ImGui::GetFontSize(), line = ImGui::GetFrameHeight();
    float side = std::fmin(std::fmax(display.x * 0.26f, font * 18), font * 23);
    float below = std::fmin(std::fmax(display.y * 0.15f, font * 4.5f), font * 10);
    float left = std::fmax(display.x - side - 2 * gap, 1), top = std::fmax(display.y - below - line - 4 * gap, 1);
    ImGui::SetNextWindowPos(ImVec2(0, 0));
    ImGui::SetNextWindowSize(display);
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(gap, gap));
    ImGui::Begin("viewer", nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoBringToFrontOnFocus |
                     ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoScrollWithMouse);
    canvas(ImVec2(gap, gap), ImVec2(std::fmax(left - gap, 1), top));
    strip(ImVec2(gap, top + 2 * gap), ImVec2(std::fmax(left - gap, 1), below));
    status_line(ImVec2(gap, display.y - line - gap), ImVec2(std::fmax(left - gap, 1), line));
    panel(ImVec2(display.x - side, 0), ImVec2(side, display.y));
    ImGui::End();
    ImGui::PopStyleVar();
    if (v->help) help_window();
    ImGui::Render();
}

void ui_draw(VkCommandBuffer commands) {
    ui.commands = commands;
    ImGui_ImplVulkan_RenderDrawData(ImGui::GetDrawData(), commands);
}

bool ui_is_lively(void) {
    return ui.entry_active;
}

bool ui_has_events(void) {
    return event_count > 0;
}
