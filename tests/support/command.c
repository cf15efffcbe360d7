#include "command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static command_result last;

static char *read_all(int file) {
    size_t size = 0, capacity = 0;
    char *text = NULL;
    assert_true(lseek(file, 0, SEEK_SET) == 0);
    for (ssize_t got = 1; got > 0; size += (size_t)got) {
        assert_true(tm_grow((void **)&text, &capacity, size + 65536, 1));
        got = read(file, text + size, capacity - size - 1);
        assert_true(got >= 0);
    }
    text[size] = 0;
    return text;
}

static int temporary_file(void) {
    char path[] = "/tmp/tagmask-command-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    return file;
}

const command_result *run_tagmask(const char *folder, const char *const *environment, const char *const *words) {
    const char *argv[64] = {TEST_BUILD "/bin/tagmask"};
    size_t count = 1;
    while (words[count - 1] && count < 63) {
        argv[count] = words[count - 1];
        count++;
    }
    int out = temporary_file(), err = temporary_file(), status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        for (size_t i = 0; environment && environment[i]; i++) putenv((char *)environment[i]);
        if (folder && chdir(folder)) _exit(126);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    assert_true(waitpid(child, &status, 0) == child);
    free(last.out);
    free(last.err);
    last = (command_result){WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_all(out), read_all(err)};
    close(out);
    close(err);
    return &last;
}

void expect_command(const command_result *result, int status, const char *in_out, const char *in_err) {
    bool ok = result->status == status && (!in_out || strstr(result->out, in_out)) &&
              (!in_err || strstr(result->err, in_err));
    if (!ok) {
        fail_msg("status %d (expected %d)\nexpected on stdout: %s\nexpected on stderr: %s\nstdout: %s\nstderr: %s",
                 result->status, status, in_out ? in_out : "-", in_err ? in_err : "-", result->out, result->err);
    }
}
