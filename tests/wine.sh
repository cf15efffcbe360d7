#!/bin/sh
# The command for Windows under Wine beside the one for this system: the same help, the same masks to the last bit,
# names in any script, reserved names refused. Needs wine, Xvfb (Wine hands out Vulkan only with a screen) and lavapipe;
# takes about 20 s.
#   sh tests/wine.sh      after cmake --build build, cmake --build build-mingw
set -eu
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
screen=
finish() {
    [ -z "$screen" ] || kill "$screen"
    WINEPREFIX=$work/prefix wineserver -k 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
fail() {
    echo "wine: $*" >&2
    exit 1
}
for tool in wine wineserver Xvfb x86_64-w64-mingw32-gcc; do
    command -v "$tool" >/dev/null || fail "$tool is missing: install wine, wine64, xvfb and gcc-mingw-w64-x86-64-win32."
done

unset TAGMASK_MODELS TAGMASK_CACHE DISPLAY
export LC_ALL=C.UTF-8 WINEPREFIX="$work/prefix" WINEDEBUG=-all
VK_ICD_FILENAMES=$(find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name 'lvp_icd*.json' 2>/dev/null | head -n 1)
export VK_ICD_FILENAMES
windows() { timeout 300 wine "$root/build-mingw/bin/tagmask.exe" "$@"; }
# expect STATUS TEXT COMMAND...: the exit status, and a text in what it prints.
expect() {
    wanted=$1 text=$2 status=0
    shift 2
    "$@" >"$work/log" 2>&1 || status=$?
    [ "$status" = "$wanted" ] || fail "expected exit status $wanted, got $status of $*: $(cat "$work/log")"
    grep -q "$text" "$work/log" || fail "expected \"$text\" of $*, got: $(cat "$work/log")"
}

mkdir "$work/photos"
cd "$work/photos"
mkdir "фото 猫"
cp "$root/build/photos/chelsea.png" "фото 猫/mèow.png"
echo broken >broken.png
wine wineboot --init >/dev/null 2>&1 || true
for verb in propose eval; do
    windows "$verb" --help >help.windows 2>/dev/null
    "$root/build/bin/tagmask" "$verb" --help | cmp - help.windows || fail "$verb --help is not the same"
done
expect 2 'did you mean propose' windows propos
expect 3 'Vulkan' windows devices
wineserver -k # what started without a screen stays without

Xvfb -displayfd 3 -screen 0 640x480x24 3>"$work/display" 2>/dev/null &
screen=$!
while [ ! -s "$work/display" ] && kill -0 "$screen"; do sleep 0.1; done
DISPLAY=:$(cat "$work/display")
export DISPLAY
formats=labelme,coco,coco-rle,yolo,cvat,label-studio,voc,overlay,heatmap,prob
set -- propose 'фото 猫' broken.png --tag cat --format "$formats" --out
expect 1 'broken.png' windows "$@" 'out ü\windows'
expect 1 'broken.png' "$root/build/bin/tagmask" "$@" 'out ü/linux'
diff -r -x '.tagmask-done' 'out ü/linux' 'out ü/windows' || fail "the label files differ"
[ "$(find 'out ü/windows' -name 'mèow*' | wc -l)" -ge 5 ] || fail "expected label files, got: $(ls 'out ü/windows')"
expect 1 '1 skipped' windows "$@" 'out ü\windows' --resume
expect 0 'mèow' windows propose 'фото 猫\m*.png' --tag cat --out out2 # cmd.exe leaves wildcards to programs
expect 1 'aux.png' windows propose aux.png --tag cat --out out3
expect 1 'nul' windows propose 'фото 猫' --tag cat --out nul
# A label file on another drive names its photo by an absolute path.
mkdir other
cp 'фото 猫/mèow.png' other
expect 0 'mèow' windows propose 'фото 猫' --tag cat --out 'C:\labels'
expect 1 'belongs to the photo' windows propose other --tag cat --out 'C:\labels'
# What hosts do: a program with the library.
x86_64-w64-mingw32-gcc -Wall -Wextra -Werror -I "$root/plugin/include" "$root/tests/e2e/windows_names.c" \
    "$root/build-mingw/lib/libtagmask.dll.a" -o "$work/photos/names.exe"
cp "$root/build-mingw/bin/libtagmask.dll" .
timeout 100 wine names.exe || fail "a program with the library failed"
echo "wine: passed"
