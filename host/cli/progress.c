// Messages and progress on stderr. Any thread may write; `lock` keeps the bar, the messages and the results apart.
#include <pthread.h>
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

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void clear_bar(void) {
    if (!progress.drawn) return;
    fputs("\r\033[K", stderr);
    progress.drawn = false;
}

void cli_print_begin(void) {
    pthread_mutex_lock(&lock);
    clear_bar();
}

void cli_print_end(void) {
    pthread_mutex_unlock(&lock);
}

void cli_message(const char *format, ...) {
    va_list args;
    cli_print_begin();
    fputs("tagmask: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    cli_print_end();
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
    cli_print_begin();
    memset(&progress, 0, sizeof progress);
    progress.active = true;
    progress.terminal = tm_is_terminal(stderr);
    progress.total = total;
    cli_print_end();
}

void cli_progress_item(const char *name) {
    cli_print_begin();
    progress.item++;
    progress.name = name;
    if (progress.active && progress.terminal) draw_bar(0, "");
    if (progress.active && !progress.terminal) {
        fprintf(stderr, "tagmask: %zu/%zu %s\n", progress.item, progress.total, name);
    }
    cli_print_end();
}

bool cli_progress_stage(void *user, float done, const char *stage) {
    (void)user;
    pthread_mutex_lock(&lock);
    bool due = progress.active && progress.terminal && progress.name && tm_now_ms() - progress.last_ms >= REDRAW_MS;
    if (due) draw_bar(done, stage ? stage : "");
    pthread_mutex_unlock(&lock);
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
    cli_print_begin();
    progress.active = false;
    cli_print_end();
}
