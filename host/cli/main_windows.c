// Windows starts the command here: with the command line in UTF-16, and wildcards that no shell has expanded.
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// windows.h comes first
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

extern int _dowildcard;  // of mingw-w64's start-up code
int _dowildcard = -1;
int wmain(int argc, wchar_t **argv);
int main(int argc, char **argv);

static char *to_utf8(const wchar_t *wide) {
    int length = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = length > 0 ? malloc((size_t)length) : NULL;
    if (text) WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, length, NULL, NULL);
    return text;
}

static UINT code_page;  // the console's, which outlives this program

static void restore_console(void) {
    SetConsoleOutputCP(code_page);
}

// Messages are UTF-8, and the progress bar is drawn with escape sequences.
static void prepare_console(void) {
    HANDLE console = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode;
    code_page = GetConsoleOutputCP();
    if (code_page && SetConsoleOutputCP(CP_UTF8)) atexit(restore_console);
    if (GetConsoleMode(console, &mode)) SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
    _setmode(_fileno(stdout), _O_BINARY);  // the same bytes on every system
}

int wmain(int argc, wchar_t **argv) {
    char **words = tm_calloc((size_t)argc + 1, sizeof *words);
    for (int i = 0; i < argc; i++) {
        if (words) words[i] = to_utf8(argv[i]);
        if (!words || !words[i]) {
            fputs("tagmask: no memory for the command line\n", stderr);
            return CLI_FAILED;
        }
    }
    prepare_console();
    return main(argc, words);
}
