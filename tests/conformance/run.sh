#!/bin/sh
# The ONNX project's node tests and exported networks, on lavapipe and SwiftShader.
#   sh tests/conformance/run.sh [--table]       --table: also renew the table of docs/operators.md
# Needs a finished build/ (third_party/setup.sh test). Makes a Python environment in build/conformance-python.
set -eu
cd "$(dirname "$0")/../.."
python=build/conformance-python/bin/python
requirements=tests/conformance/requirements.txt
if ! cmp -s "$requirements" build/conformance-python/installed.txt; then
    echo "conformance: installing $(tr '\n' ' ' <"$requirements")"
    python3 -m venv build/conformance-python
    "$python" -m pip install -q --disable-pip-version-check -r "$requirements"
    cp "$requirements" build/conformance-python/installed.txt
fi
"$python" tests/conformance/cases.py build/conformance-cases
table=
if [ "${1:-}" = --table ]; then
    build/tests/list_operators >build/operators.txt
    table="--table docs/operators.md --operators build/operators.txt"
fi
lavapipe=$(find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name 'lvp_icd*.json' 2>/dev/null | head -n 1)
status=0
for driver in "$lavapipe" "$PWD/build/swiftshader/icd.json"; do
    # shellcheck disable=SC2086  # words
    VK_ICD_FILENAMES=$driver "$python" tests/conformance/run.py build/lib/libtagmask.so build/conformance-cases $table || status=1
    VK_ICD_FILENAMES=$driver "$python" tests/conformance/networks.py build/lib/libtagmask.so || status=1
done
exit $status
