#!/bin/sh
# The program of docs/embedding.md compiles with warnings as errors, runs on a photo, and says what the page promises.
#   embedding_page.sh SOURCE_FOLDER BUILD_FOLDER
set -eu
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "embedding_page: $*" >&2
    exit 1
}

sed -n '/^```c$/,/^```$/{/^```/d;p;}' "$source/docs/embedding.md" >"$work/app.c"
[ -s "$work/app.c" ] || fail "docs/embedding.md has no program"
library=$build/lib/libtagmask.so
sanitizers=$(sed -n 's/^TAGMASK_SANITIZE:STRING=\(..*\)/-fsanitize=\1/p' "$build/CMakeCache.txt")
# shellcheck disable=SC2086  # empty or one word
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror $sanitizers -I"$source/plugin/include" "$work/app.c" "$library" \
    -Wl,-rpath,"$build/lib" -o "$work/app"
cp "$build/photos/chelsea.png" "$work/chelsea.png"
(cd "$work" && ./app chelsea.png cat >out 2>err) || fail "failed: $(cat "$work/err")"
grep -q '^cat [01]\.[0-9]*: [0-9]* corners' "$work/out" || fail "expected a region of the cat, got: $(cat "$work/out")"
grep -q '"label":[[:space:]]*"cat"' "$work/chelsea.json" || fail "chelsea.json holds no shape of the cat"
grep -q networks "$work/err" || fail "the progress callback was not called"
(cd "$work" && ./app no-such-photo.png cat 2>err) && fail "a missing photo was no failure"
grep -q no-such-photo.png "$work/err" || fail "the missing photo is not named: $(cat "$work/err")"
