#!/bin/sh
# host/ reaches the system through base/platform.h alone: no other file includes a system's own headers, or passes a path
# to functions that read the ANSI code page on Windows.
#   portable.sh SOURCE_FOLDER BUILD_FOLDER
set -eu
cd "$1/host"
headers='unistd|fcntl|dirent|dlfcn|windows|io|direct|sys/[a-z]*'
functions='fopen|freopen|open|creat|stat|lstat|access|remove|rename|unlink|mkdir|rmdir|opendir|scandir|realpath|chdir'
functions="$functions|getcwd|dlopen|popen|system|tmpfile|mkstemp|strsep|localtime_r|gmtime_r|isatty|getpid|sigaction"
files=$(find . -name '*.[ch]' ! -name 'platform_*.c' ! -name 'main_windows.c')
[ -n "$files" ] || {
    echo "portable: $1/host holds no sources" >&2
    exit 1
}
status=0
# shellcheck disable=SC2086  # a list of words
grep -nE "#include <($headers)\.h>|(^|[^_a-zA-Z.>\"])($functions)\(|getenv\(\"(HOME|TAGMASK_(MODELS|CACHE))" $files >&2 || status=$?
[ "$status" -ne 1 ] || exit 0  # 1: grep found nothing; more: it could not look
echo "portable: the lines above ask the system directly; use base/platform.h, or add to it what is missing." >&2
exit 1
