#!/bin/sh
# What cmake --install gives, moved to another folder: programs build against it through CMake and through pkg-config,
# samples/embed proposes the same mask as the installed command, and both find the installed packs by themselves.
#   install.sh SOURCE_FOLDER BUILD_FOLDER
set -eu
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "install: $*" >&2
    exit 1
}
# run NAME COMMAND...: its output in NAME.log, shown when it fails.
run() {
    name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 || {
        cat "$work/$name.log" >&2
        fail "$name failed"
    }
}

unset TAGMASK_MODELS LD_LIBRARY_PATH
export TAGMASK_CACHE="$work/cache"
lavapipe=$(find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name 'lvp_icd*.json' 2>/dev/null | head -n 1)
[ -z "$lavapipe" ] || export VK_ICD_FILENAMES="$lavapipe" # an installation is the same for every driver

run install cmake --install "$build" --prefix "$work/first"
mv "$work/first" "$work/moved here"
prefix="$work/moved here"
library=$(find "$prefix" -name libtagmask.so)
[ -f "$library" ] || fail "libtagmask.so was not installed"
for file in include/tagmask/tagmask.h include/tagmask/api.h bin/tagmask share/tagmask/models/u2netp/pack.json; do
    [ -f "$prefix/$file" ] || fail "$file was not installed"
done

# samples/embed, which loads the library while it runs, built in both ways.
run cmake-configure cmake -S "$source/samples/embed" -B "$work/embed" "-DCMAKE_PREFIX_PATH=$prefix"
run cmake-build cmake --build "$work/embed"
export PKG_CONFIG_PATH="$(dirname "$library")/pkgconfig"
flags() { pkg-config "$@" tagmask; } # quoted for eval
eval "run pkg-config-build cc '$source/samples/embed/embed.c' $(flags --cflags) -o '$work/embed/by-pkg-config'"

# A program that links it.
mkdir "$work/linked"
cat >"$work/linked/app.c" <<'END'
#include <stdio.h>
#include <tagmask/tagmask.h>
int main(void) {
    return puts(tagmask_version()) < 0;
}
END
cat >"$work/linked/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(app LANGUAGES C)
find_package(tagmask REQUIRED)
add_executable(app app.c)
target_link_libraries(app PRIVATE tagmask::tagmask)
END
run link-configure cmake -S "$work/linked" -B "$work/linked/build" "-DCMAKE_PREFIX_PATH=$prefix"
run link-build cmake --build "$work/linked/build"
eval "run link-pkg-config cc '$work/linked/app.c' $(flags --cflags --libs) -o '$work/linked/app'"
version="tagmask $("$work/linked/build/app")"
[ "$version" = "tagmask $(LD_LIBRARY_PATH=$(dirname "$library") "$work/linked/app")" ] || fail "the two programs differ"
[ "$version" = "$("$prefix/bin/tagmask" --version)" ] || fail "expected the command's version, got $version"
[ "$(flags --modversion)" = "${version#tagmask }" ] || fail "pkg-config says another version"

# The mask: the command's PNG, drawn as embed draws its labels.
mkdir "$work/elsewhere"
cp "$build/photos/chelsea.png" "$work/elsewhere/photo.png"
cd "$work/elsewhere"
run propose "$prefix/bin/tagmask" propose photo.png --tag cat --format voc --out out
run embed "$work/embed/embed" "$library" photo.png cat
"$work/embed/by-pkg-config" "$library" no-such-photo.png cat 2>missing.log && fail "a missing photo was no failure"
grep -q no-such-photo.png missing.log || fail "expected the missing photo's name, got: $(cat missing.log)"
python3 "$source/tests/support/draw_mask.py" out/photo.png >expected
cmp expected "$work/embed.log" || fail "embed shows another mask than the command wrote"
grep -q '#\{10\}' expected || fail "the mask is empty"

# The packs were those of the installation: without them there are none.
rm -r "$prefix/share/tagmask/models"
"$prefix/bin/tagmask" tags cat >tags.log 2>&1 && fail "packs were found that are not the installed ones"
grep -q 'share/tagmask/models' tags.log || fail "expected the folder that was looked at, got: $(cat tags.log)"
