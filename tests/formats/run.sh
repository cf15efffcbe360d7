#!/bin/sh
# Label files through the programs they are for: each reads what tagmask writes, and tagmask what each writes.
#   sh tests/formats/run.sh [BUILD_FOLDER]
# Needs build/lib/libtagmask.so. Installs tests/formats/requirements.txt into BUILD_FOLDER/formats-python when it changed.
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build}
environment=$build/formats-python
requirements=tests/formats/requirements.txt
if ! cmp -s "$requirements" "$environment/installed.txt"; then
    python3 -m venv --clear "$environment"
    "$environment/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-compile -r "$requirements"
    cp "$requirements" "$environment/installed.txt"
fi
exec "$environment/bin/python" tests/formats/real_readers.py "$build/lib/libtagmask.so"
