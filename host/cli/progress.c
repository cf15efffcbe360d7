// Messages and progress on stderr.
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "base/platform.h"
#include "cli/cli.h"

#define BAR_WIDTH 24
#define REDRAW_MS 50

static struct {
    bool active, terminal, drawn;
    size_t total, item;
    const char *name;
    double last_ms;
} progress;

void cli_progress_clear(void) {
    if (!progress.drawn) return;
    fputs("\r\033[K", stderr);
    progress.drawn = false;
}

void cli_message(const char *format, ...) {
    va_list args;
    cli_progress_clear();
    fputs("tagmask: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

cli_exit cli_status(tagmask_status status) {
    switch (status) {
        case TAGMASK_OK:
            return CLI_DONE;
        case TAGMASK_ERROR_NO_DEVICE:
            return CLI_NO_DEVICE;
        case TAGMASK_ERROR_ARGUMENT:
        case TAGMASK_ERROR_UNKNOWN_TAG:
            return CLI_USAGE;
        default:
            return CLI_FAILED;
    }
}

cli_exit cli_fail(const tm_error *err) {
    cli_message("%s", err->message);
    return cli_status(err->status);
}

static void draw_bar(float done, const char *stage) {
    float share = ((float)(progress.item - 1) + TM_CLAMP(done, 0.0f, 1.0f)) / (float)TM_MAX(progress.total, 1u);
    char bar[BAR_WIDTH + 1];
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)TM_CLAMP((int)(share * BAR_WIDTH), 0, BAR_WIDTH));
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\r\033[K[%s] %zu/%zu %.30s %.20s", bar, progress.item, progress.total, tm_file_name(progress.name),
            stage);
    fflush(stderr);
    progress.drawn = true;
    progress.last_ms = tm_now_ms();
}

void cli_progress_begin(size_t total) {
    memset(&progress, 0, sizeof progress);
    progress.active = true;
    progress.terminal = tm_is_terminal(stderr);
    progress.total = total;
}

void cli_progress_item(const char *name) {
    progress.item++;
    progress.name = name;
    if (!progress.active) return;
    if (progress.terminal) {
        draw_bar(0, "");
    } else {
        fprintf(stderr, "tagmask: %zu/%zu %s\n", progress.item, progress.total, name);
    }
}

bool cli_progress_stage(void *user, float done, const char *stage) {
    (void)user;
    bool due = progress.active && progress.terminal && progress.name && tm_now_ms() - progress.last_ms >= REDRAW_MS;
    if (due) draw_bar(done, stage ? stage : "");
    return !cli_stop_reason();
}

static atomic_int stop_signal;

static void on_signal(int number) {
    if (!atomic_exchange(&stop_signal, number)) return;
    signal(number, SIG_DFL);
    raise(number);
}

void cli_stop_on_signals(void) {
    tm_catch_end(on_signal);
}

const char *cli_stop_reason(void) {
    int number = atomic_load(&stop_signal);
    return number == SIGINT ? "interrupted" : number ? "asked to end" : NULL;
}

void cli_progress_end(void) {
    cli_progress_clear();
    progress.active = false;
}
