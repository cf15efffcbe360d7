#!/bin/sh
# From a fresh checkout to masks: sets everything up, then proposes masks for four photos and says where the files are.
#   sh samples/demo.sh
set -eu
cd "$(dirname "$0")/.."
sh third_party/setup.sh

out=build/demo
failed=0
propose() {
    photo=$1
    shift
    echo "[demo] $photo: $*"
    build/bin/tagmask propose "$@" --format labelme,overlay,voc,prob --out "$out" "build/photos/$photo" || {
        echo "demo: tagmask could not propose masks for $photo: see its message above." >&2
        failed=1
    }
}

propose chelsea.png --tag cat
propose coffee.png --tag cup --tag espresso
propose rocket.jpg --tag rocket
propose motorcycle_left.png --tag motorbike
[ "$failed" -eq 0 ] || exit 1

echo
echo "Label files (open them with labelme):"
for file in "$out"/*.json; do echo "  $PWD/$file"; done
echo "Overlay pictures:"
for file in "$out"/*overlay*.png; do echo "  $PWD/$file"; done
