#!/bin/sh
# The library exports what the public headers declare and nothing else; every function has a comment, a member in the
# table of tagmask/api.h and a test that names it.
#   public_functions.sh SOURCE_FOLDER BUILD_FOLDER
set -eu
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() {
    echo "public_functions: $*" >&2
    failed=1
}

cat "$source"/plugin/include/tagmask/*.h | tr '\n' ' ' | grep -o 'TAGMASK_API [^;(]*(' |
    sed -n 's/.*[ *]\(tagmask_[a-z0-9_]*\)($/\1/p' | sort >"$work/declared"
[ -s "$work/declared" ] || complain "no declaration was found in plugin/include/tagmask"

# A name that starts with two underscores is the sanitizers'.
if [ -f "$build/lib/libtagmask.dll.a" ]; then
    x86_64-w64-mingw32-nm "$build/lib/libtagmask.dll.a" | sed -n 's/^[0-9a-f]* T //p' | sort >"$work/exported"
else
    nm -D --defined-only "$build/lib/libtagmask.so" | awk '$NF !~ /^__/ {print $NF}' | sort >"$work/exported"
fi
diff -u "$work/declared" "$work/exported" >"$work/difference" ||
    complain "declared (-) and exported (+) functions differ: $(grep '^[-+][a-zA-Z_]' "$work/difference" | tr '\n' ' ')"

# A comment covers the declarations that follow it without an empty line between.
for header in "$source"/plugin/include/tagmask/*.h; do
    awk 'BEGIN { RS = ""; FS = "\n" }
         { covered = 0; for (i = 1; i <= NF; i++) {
               if ($i ~ /\/\*/) covered = 1
               if ($i ~ /^TAGMASK_API/ && !covered) print $i } }' "$header"
done >"$work/bare"
[ ! -s "$work/bare" ] || complain "without a comment: $(cat "$work/bare")"

while read -r name; do
    grep -rqw --include='*.c' "$name" "$source/tests" || complain "$name is named in no test"
    [ "$name" = tagmask_get_api ] || grep -qw "$name" "$source/host/exports.c" ||
        complain "$name is not in the table of host/exports.c"
done <"$work/declared"
exit "$failed"
