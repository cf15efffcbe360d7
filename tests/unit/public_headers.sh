#!/bin/sh
# The public headers compile alone, in C and in C++, by the compilers that are here, without a warning.
#   public_headers.sh SOURCE_FOLDER BUILD_FOLDER
set -eu
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tried_c=0 tried_cpp=0 failed=0

# compile COMPILER LANGUAGE STANDARD: with each header first, and all of it used twice.
compile() {
    for header in "$source"/plugin/include/tagmask/*.h; do
        name=tagmask/$(basename "$header")
        printf '#include <%s>\n#include <%s>\ntagmask_error error = TAGMASK_ERROR_INIT;\n' "$name" "$name" >"$work/use"
        "$1" -x "$2" "-std=$3" -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only "-I$source/plugin/include" \
            "$work/use" || {
            echo "public_headers: $name does not compile as $3 with $1." >&2
            failed=1
        }
    done
}

for compiler in gcc clang x86_64-w64-mingw32-gcc-win32; do
    command -v "$compiler" >/dev/null 2>&1 || continue
    for standard in c99 c11 c17; do compile "$compiler" c "$standard"; done
    tried_c=1
done
for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null 2>&1 || continue
    for standard in c++11 c++17; do compile "$compiler" c++ "$standard"; done
    tried_cpp=1
done
[ "$tried_c" = 1 ] && [ "$tried_cpp" = 1 ] || {
    echo "public_headers: expected gcc or clang, and g++ or clang++: install one." >&2
    failed=1
}
exit "$failed"
