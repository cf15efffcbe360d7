// tagmask-viewer: shows photos, what each stage of tagmask makes of them, and the masks that it proposes.
#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "photos.h"
#include "viewer.h"

enum { EXIT_USAGE = 2, EXIT_NO_DEVICE = 3, SETTLE_FRAMES = 3, PHOTO_SIDE = 8192, MASK_SIDE = 4096 };

const char *const viewer_presets[] = {"fast", "balanced", "best", NULL};

typedef struct options {
    const char *device, *pack, *out, *screenshot;
    char *const *photos;
    int photo_count;
    const char *tags[MODEL_TAGS];
    size_t tag_count;
    int preset, width, height;
    bool trace;
} options;

// A frame is drawn as long as this is above 0: Dear ImGui needs a few to settle after an event.
static int frames_wanted = SETTLE_FRAMES;
static atomic_bool news;

static void say(const char *sentence) {
    fprintf(stderr, "tagmask-viewer: %s\n", sentence);
}

// ---- Command line

static const char usage[] =
    "Usage: tagmask-viewer [OPTION]... IMAGE|DIR...\n"
    "shows photos, the stages of tagmask, and the masks that it proposes\n"
    "\n"
    "Options:\n"
    "  --tag NAME...        an object that the photos show; give it once for each object\n"
    "  --out DIR            folder for label files (default: tagmask-out)\n"
    "  --preset NAME        fast, balanced or best (default: balanced)\n"
    "  --model PACK         classifier: a folder with pack.json, or its name (default: efficientnet-lite0)\n"
    "  --device D           index or part of the name of the Vulkan device that computes masks\n"
    "  --size WxH           size of the window (default: 1280x800)\n"
    "  --screenshot FILE    write what the window shows once the masks are there as PNG, and quit\n"
    "  --trace              print each change of state on standard output, for tests\n"
    "  --help               print this and exit\n"
    "\n"
    "Exit status: 0 done, 1 no window or a photo failed, 2 usage, 3 no usable Vulkan device.\n";

static bool read_preset(const char *text, options *given) {
    for (int i = 0; viewer_presets[i]; i++) {
        if (strcmp(viewer_presets[i], text)) continue;
        given->preset = i;
        return true;
    }
    fprintf(stderr, "tagmask-viewer: --preset %s: expected fast, balanced or best\n", text);
    return false;
}

static bool read_size(const char *text, options *given) {
    char rest;
    if (sscanf(text, "%dx%d%c", &given->width, &given->height, &rest) == 2 && given->width >= 320 &&
        given->height >= 240 && given->width <= 16384 && given->height <= 16384)
        return true;
    fprintf(stderr, "tagmask-viewer: --size %s: expected WIDTHxHEIGHT, at least 320x240, such as 1280x800\n", text);
    return false;
}

static bool read_tag(const char *text, options *given) {
    if (given->tag_count < MODEL_TAGS && strlen(text) < MODEL_TAG_SIZE) {
        given->tags[given->tag_count++] = text;
        return true;
    }
    fprintf(stderr, "tagmask-viewer: --tag %.40s: expected at most %d tags of at most %d bytes\n", text, MODEL_TAGS,
            MODEL_TAG_SIZE - 1);
    return false;
}

// Returns -1 to go on, or the exit status.
static int read_options(int argc, char **argv, options *given) {
    static const struct option rows[] = {{"tag", required_argument, NULL, 't'},
                                         {"out", required_argument, NULL, 'o'},
                                         {"preset", required_argument, NULL, 'p'},
                                         {"model", required_argument, NULL, 'm'},
                                         {"device", required_argument, NULL, 'd'},
                                         {"size", required_argument, NULL, 's'},
                                         {"screenshot", required_argument, NULL, 'c'},
                                         {"trace", no_argument, NULL, 'r'},
                                         {"help", no_argument, NULL, 'h'},
                                         {0}};
    int key;
    bool ok = true;
    *given = (options){.out = "tagmask-out", .preset = 1, .width = 1280, .height = 800};
    while (ok && (key = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (key == 't') ok = read_tag(optarg, given);
        if (key == 'o') given->out = optarg;
        if (key == 'p') ok = read_preset(optarg, given);
        if (key == 'm') given->pack = optarg;
        if (key == 'd') given->device = optarg;
        if (key == 's') ok = read_size(optarg, given);
        if (key == 'c') given->screenshot = optarg;
        if (key == 'r') given->trace = true;
        if (key == '?') ok = false;
        if (key != 'h') continue;
        fputs(usage, stdout);
        return 0;
    }
    given->photos = argv + optind;
    given->photo_count = argc - optind;
    if (ok && !given->photo_count) say("expected a photo or a folder of photos; see tagmask-viewer --help");
    return ok && given->photo_count ? -1 : EXIT_USAGE;
}

// ---- Settings and photos

static void use_preset(viewer *v) {
    tagmask_params params = {.struct_size = sizeof params};
    viewer_settings *s = &v->settings;
    if (tagmask_params_default(viewer_presets[s->preset], &params, NULL) != TAGMASK_OK) return;
    s->threshold = params.threshold;
    s->min_part = params.min_part;
    s->max_parts = (int)params.max_parts;
    s->bilateral_compat = params.crf_bilateral_compat;
    s->bilateral_srgb = params.crf_bilateral_srgb;
    s->bilateral_sxy = params.crf_bilateral_sxy;
}

static void ask(viewer *v) {
    const viewer_settings *s = &v->settings;
    const viewer_photo *photo = viewer_here(v);
    static model_request request;
    request = (model_request){.tag_count = photo->tag_count,
                              .map_tag = photo->selected,
                              .threshold = s->threshold,
                              .min_part = s->min_part,
                              .max_parts = (uint32_t)s->max_parts,
                              .bilateral_compat = s->bilateral_compat,
                              .bilateral_srgb = s->bilateral_srgb,
                              .bilateral_sxy = s->bilateral_sxy};
    snprintf(request.photo, sizeof request.photo, "%s", photo->path);
    snprintf(request.preset, sizeof request.preset, "%s", viewer_presets[s->preset]);
    for (size_t i = 0; i < photo->tag_count; i++)
        snprintf(request.tags[i], sizeof request.tags[i], "%s", photo->tags[i]);
    model_ask(v->worker, &request);
}

static void fit(viewer *v) {
    v->zoom = 1;
    v->centre_x = v->centre_y = 0.5f;
}

static void show_photo(viewer *v, size_t index) {
    char title[300];
    const char *path = v->photos[index].path, *slash = strrchr(path, '/');
    v->current = index;
    v->changed = true;
    fit(v);
    snprintf(title, sizeof title, "%.250s - tagmask", slash ? slash + 1 : path);
    glfwSetWindowTitle(v->window, title);
}

static bool add_photos(viewer *v, const char *path, const options *given) {
    char why[MODEL_PATH + 200];
    size_t first = v->photo_count;
    bool ok = photos_add(v, path, why, sizeof why);
    if (!ok) say(why);
    for (size_t i = first; given && i < v->photo_count; i++) {
        for (size_t tag = 0; tag < given->tag_count; tag++)
            snprintf(v->photos[i].tags[tag], MODEL_TAG_SIZE, "%s", given->tags[tag]);
        v->photos[i].tag_count = given->tag_count;
    }
    return ok;
}

// ---- Events

static viewer *viewer_of(GLFWwindow *window) {
    frames_wanted = SETTLE_FRAMES;
    return glfwGetWindowUserPointer(window);
}

static void use_letter(viewer *v, int key, int mods) {
    bool control = mods & GLFW_MOD_CONTROL;
    if (control && key == GLFW_KEY_Q) v->quit = true;
    if (control) return;
    if (key == GLFW_KEY_S) v->save = true;
    if (key == GLFW_KEY_F) fit(v);
    if (key == GLFW_KEY_O) v->settings.outlines = !v->settings.outlines;
    if (key == GLFW_KEY_T || key == GLFW_KEY_SLASH) v->focus_entry = true;
    if (key >= GLFW_KEY_1 && key <= GLFW_KEY_9) {
        int view = key - GLFW_KEY_1;
        if (view < VIEW_STAGE || tagmask_stage_name((size_t)(view - VIEW_STAGE))) v->view = view;
    }
    float step = key == GLFW_KEY_RIGHT_BRACKET ? 0.02f : key == GLFW_KEY_LEFT_BRACKET ? -0.02f : 0;
    if (step != 0) {
        float threshold = v->settings.threshold + step;
        v->settings.threshold = threshold < 0.01f ? 0.01f : threshold > 0.99f ? 0.99f : threshold;
        v->changed = true;
    }
}

void viewer_use_key(viewer *v, int key, int action, int mods, bool typing) {
    bool pressed = action != GLFW_RELEASE;
    if (key == GLFW_KEY_SPACE) v->peek = pressed && !typing;
    if (!pressed) return;
    if (key == GLFW_KEY_F1) v->help = !v->help;
    if (key == GLFW_KEY_F12) v->capture = true;
    if (key == GLFW_KEY_PAGE_DOWN || (key == GLFW_KEY_RIGHT && !typing)) v->step = 1;
    if (key == GLFW_KEY_PAGE_UP || (key == GLFW_KEY_LEFT && !typing)) v->step = -1;
    if (key == GLFW_KEY_ESCAPE && !typing) v->cancel = true;
    if (!typing || mods & GLFW_MOD_CONTROL) use_letter(v, key, mods);
}

static void on_key(GLFWwindow *window, int key, int scancode, int action, int mods) {
    (void)viewer_of(window);
    ui_key(key, scancode, action, mods);
}

static void on_size(GLFWwindow *window, int width, int height) {
    (void)width, (void)height;
    viewer_of(window)->device->stale = true;
}
static void on_drop(GLFWwindow *window, int count, const char **paths) {
    viewer *v = viewer_of(window);
    size_t first = v->photo_count;
    for (int i = 0; i < count; i++) add_photos(v, paths[i], NULL);
    if (v->photo_count > first) show_photo(v, first);
}
// What Dear ImGui handles itself must be drawn.
static void on_move(GLFWwindow *window, double x, double y) {
    (void)viewer_of(window), (void)x, (void)y;
}
static void on_button(GLFWwindow *window, int button, int action, int mods) {
    (void)viewer_of(window), (void)button, (void)action, (void)mods;
}
static void on_wheel(GLFWwindow *window, double x, double y) {
    on_move(window, x, y);
}
static void on_letter(GLFWwindow *window, unsigned letter) {
    (void)viewer_of(window);
    ui_letter(letter);
}
static void on_refresh(GLFWwindow *window) {
    (void)viewer_of(window);
}

static void on_news(void) {
    atomic_store(&news, true);
    glfwPostEmptyEvent();
}

// Before ui_open, whose callbacks call these.
static void watch_window(viewer *v) {
    glfwSetWindowUserPointer(v->window, v);
    glfwSetFramebufferSizeCallback(v->window, on_size);
    glfwSetDropCallback(v->window, on_drop);
    glfwSetCursorPosCallback(v->window, on_move);
    glfwSetMouseButtonCallback(v->window, on_button);
    glfwSetScrollCallback(v->window, on_wheel);
    glfwSetWindowRefreshCallback(v->window, on_refresh);
}

static void wait_for_events(void) {
    if (frames_wanted > 0) {
        glfwPollEvents();
    } else {
        glfwWaitEventsTimeout(ui_is_lively() ? 0.25 : 10);
        if (ui_is_lively()) frames_wanted = 1;
    }
    if (atomic_exchange(&news, false)) frames_wanted = SETTLE_FRAMES;
}

// ---- What the worker tells

static bool upload(viewer *v, int view, picture *made) {
    bool ok = !made->rgba || gpu_texture_set(v->device, &v->textures[view], made);
    picture_free(made);
    return ok;
}

static void trace_output(const viewer *v) {
    const model_output *o = &v->output;
    const char *name = strrchr(o->request.photo, '/');
    name = name ? name + 1 : o->request.photo;
    if (o->error[0]) {
        printf("failed %s: %s\n", name, o->error);
    } else if (o->proposed) {
        printf("proposed %s tags=%zu threshold=%.9g mask=%llu ms=%.0f\n", name, o->tag_count,
               (double)o->request.threshold, (unsigned long long)o->mask_pixels, o->milliseconds);
    } else {
        printf("photo %s %ux%u\n", name, o->width, o->height);
    }
    fflush(stdout);
}

static bool take_news(viewer *v, const options *given) {
    uint32_t saves = v->status.saves;
    bool ok = true;
    model_get_status(v->worker, &v->status);
    if (v->status.saves != saves && given->trace) {
        printf("%s %s\n", v->status.save_failed ? "not saved:" : "saved", v->status.saved);
        fflush(stdout);
    }
    if (!model_take(v->worker, &v->output)) return true;
    model_output *o = &v->output;
    if (o->error[0]) say(o->error);
    ok = upload(v, VIEW_PHOTO, &o->photo) && upload(v, VIEW_MASK, &o->mask);
    for (int i = 0; ok && i < MODEL_STAGES; i++) ok = upload(v, VIEW_STAGE + i, &o->maps[i]);
    if (given->trace) trace_output(v);
    return ok;
}

// ---- What the person wants

static void act(viewer *v) {
    if (v->step) {
        size_t next = v->current + (size_t)v->step;
        if (next < v->photo_count) show_photo(v, next);
        v->step = 0;
    }
    if (v->reset_preset) use_preset(v);
    if (v->changed) ask(v);
    if (v->cancel) model_cancel(v->worker);
    if (v->save) {
        model_save(v->worker, tagmask_format_name((size_t)v->settings.format), viewer_here(v)->sub);
    }
    v->reset_preset = v->changed = v->cancel = v->save = false;
}

// ---- Pictures of the window

static bool write_capture(const picture *shown, const char *path, const options *given) {
    char why[MODEL_PATH + 200];
    bool ok = picture_write(shown, path, why, sizeof why);
    if (!ok) say(why);
    if (ok && given->trace) printf("picture %s\n", path);
    fflush(stdout);
    return ok;
}

// The name of the next picture that F12 makes, in the folder for label files.
static void name_capture(const viewer *v, char *path, size_t size) {
    struct stat about;
    unsigned number = 1;
    mkdir(v->out, 0777);
    do {
        snprintf(path, size, "%s/viewer-%u.png", v->out, number++);
    } while (stat(path, &about) == 0);
}

static void trace_frame(const viewer *v) {
    static viewer_rect told[sizeof v->rects / sizeof v->rects[0]];
    static char refused[sizeof v->refused];
    static VkExtent2D size;
    if (size.width != v->device->extent.width || size.height != v->device->extent.height) {
        size = v->device->extent;
        printf("size %ux%u\n", size.width, size.height);
    }
    if (strcmp(refused, v->refused)) {
        memcpy(refused, v->refused, sizeof refused);
        printf("refused %s\n", refused);
    }
    fflush(stdout);
    if (v->status.busy || !memcmp(told, v->rects, v->rect_count * sizeof told[0])) return;
    memcpy(told, v->rects, v->rect_count * sizeof told[0]);
    for (size_t i = 0; i < v->rect_count; i++) {
        const viewer_rect *r = &v->rects[i];
        printf("widget %s %.0f %.0f %.0f %.0f\n", r->name, (double)r->left, (double)r->top, (double)r->right,
               (double)r->bottom);
    }
    fflush(stdout);
}

// Whether the answer to what was asked last is on the screen.
static bool is_settled(const viewer *v) {
    bool answered = v->output.error[0] || v->output.proposed || (v->output.width && !v->photos[v->current].tag_count);
    return answered && !v->status.busy && frames_wanted == 1;
}

static bool draw_frame(viewer *v, const options *given) {
    picture shown = {0};
    char path[MODEL_PATH];
    bool drawn, final = given->screenshot && is_settled(v), capture = final || v->capture;
    ui_layout(v);
    if (!gpu_draw(v->device, ui_draw, capture ? &shown : NULL, &drawn)) {
        say(v->device->why);
        return false;
    }
    if (given->trace) trace_frame(v);
    if (!drawn) return true;
    frames_wanted--;
    if (ui_has_events() && !frames_wanted) frames_wanted = 1;
    if (!capture) return true;
    v->capture = false;
    snprintf(path, sizeof path, "%s", final ? given->screenshot : "");
    if (!final) name_capture(v, path, sizeof path);
    bool ok = write_capture(&shown, path, given);
    picture_free(&shown);
    v->quit |= final;
    return ok || !final;
}

// ---- Start and end

static int run(viewer *v, const options *given) {
    glfwShowWindow(v->window);
    glfwFocusWindow(v->window);
    show_photo(v, 0);
    v->focus_entry = !given->tag_count;
    while (!v->quit && !glfwWindowShouldClose(v->window)) {
        act(v);
        wait_for_events();
        if (!take_news(v, given)) {
            say(v->device->why);
            return 1;
        }
        if (glfwGetWindowAttrib(v->window, GLFW_ICONIFIED)) {
            frames_wanted = 0;
        } else if (frames_wanted > 0 && !draw_frame(v, given)) {
            return 1;
        }
    }
    return given->screenshot && v->output.error[0] ? 1 : 0;
}

static int open_and_run(viewer *v, const options *given) {
    tagmask_error error = TAGMASK_ERROR_INIT;
    model_options settings = {.device = given->device, .pack = given->pack, .out = given->out, .wake = on_news};
    v->worker = model_open(&settings, &error);
    if (!v->worker) {
        say(error.message);
        return error.status == TAGMASK_ERROR_NO_DEVICE ? EXIT_NO_DEVICE : 1;
    }
    gpu_opened opened = gpu_open(v->device, v->window);
    if (opened != GPU_OPEN_OK) {
        say(v->device->why);
        return opened == GPU_OPEN_NO_DRIVER ? EXIT_NO_DEVICE : 1;
    }
    uint32_t side = v->device->max_side;
    model_limit(v->worker, side < PHOTO_SIDE ? side : PHOTO_SIDE, side < MASK_SIDE ? side : MASK_SIDE);
    if (!ui_open(v)) {
        say("Dear ImGui could not start");
        return 1;
    }
    glfwSetKeyCallback(v->window, on_key);  // instead of Dear ImGui's
    glfwSetCharCallback(v->window, on_letter);
    return run(v, given);
}

static int finish(viewer *v, const options *given, int status) {
    uint64_t messages = v->worker ? model_close(v->worker) : 0;
    bool validated = v->device->messenger;
    if (v->device->device) vkDeviceWaitIdle(v->device->device);
    ui_close();
    for (int i = 0; i < VIEWS; i++) gpu_texture_free(v->device, &v->textures[i]);
    gpu_close(v->device);
    messages += v->device->validation_errors;
    if (given->trace)
        printf("end validation=%s messages=%llu\n", validated ? "on" : "off", (unsigned long long)messages);
    model_output_free(&v->output);
    return status;
}

int main(int argc, char **argv) {
    static viewer v;
    static gpu device;
    options given;
    const char *why = NULL;
    int status = read_options(argc, argv, &given);
    if (status >= 0) return status;
    v.device = &device;
    v.out = given.out;
    v.view = VIEW_MASK;
    v.settings =
        (viewer_settings){.preset = given.preset, .mask_opacity = 0.45f, .map_opacity = 0.9f, .outlines = true};
    use_preset(&v);
    for (int i = 0; i < given.photo_count; i++) add_photos(&v, given.photos[i], &given);
    if (!v.photo_count) return 1;
    bool started = glfwInit();
    if (started) {
        glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
        glfwWindowHint(GLFW_VISIBLE, GLFW_FALSE);
        v.window = glfwCreateWindow(given.width, given.height, "tagmask", NULL, NULL);
    }
    if (v.window) {
        glfwSetWindowSizeLimits(v.window, 320, 240, GLFW_DONT_CARE, GLFW_DONT_CARE);
        watch_window(&v);
        status = finish(&v, &given, open_and_run(&v, &given));
        glfwDestroyWindow(v.window);
    } else {
        glfwGetError(&why);
        fprintf(stderr, "tagmask-viewer: no window can be opened: %s\n", why ? why : "unknown reason");
        status = 1;
    }
    glfwTerminate();
    photos_free(&v);
    return status;
}
