#!/bin/sh
# Runs the libFuzzer targets of build-fuzz, two at a time, each for a while:
#   sh tests/fuzz/run.sh [SECONDS [SEED]]     default: 60 seconds, seed 1 (0: another one each time)
# What they learn is kept in build-fuzz/corpus. An input that crashes, leaks, takes 5 seconds or 2 GiB of memory is kept
# in build-fuzz/found and named; build-fuzz/tests/fuzz_TARGET FILE runs it again.
set -eu
cd "$(dirname "$0")/../.."

seconds=${1:-60}
seed=${2:-1}
mkdir -p build-fuzz/found
# libFuzzer ends without the exit handlers that would remove the targets' files.
TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# Up to three of the models of each of the ONNX project's node tests (tests/conformance/run.sh writes them), the small
# ones; the first byte of an input names the reader.
conformance_seeds() {
    cases=build/conformance-cases
    if [ ! -f "$cases/VERSION" ]; then
        echo "onnx: there are no models of the conformance tests yet (sh tests/conformance/run.sh); built-in seeds only"
        return
    fi
    find "$cases" -name model.onnx -size -5k | grep -v _expanded/ | LC_ALL=C sort |
        awk -F/ '{ split($(NF - 1), word, "_") } ++seen[word[2]] <= 3' | while read -r model; do
        name=$(basename "$(dirname "$model")")
        { printf '\0' && cat "$model"; } >"build-fuzz/seeds/onnx/$name"
    done
    echo "onnx: $(find build-fuzz/seeds/onnx -type f | wc -l) seeds, most of them models of the conformance tests"
}

# fuzz TARGET LARGEST_INPUT
fuzz() {
    target=$1
    folder=build-fuzz/corpus/$target
    mkdir -p "$folder" "build-fuzz/seeds/$target"
    build-fuzz/tests/mutate --seeds "$target" "build-fuzz/seeds/$target" || return 1
    [ "$target" != onnx ] || conformance_seeds
    if build-fuzz/tests/fuzz_"$target" -seed="$seed" -max_total_time="$seconds" -max_len="$2" -timeout=5 -rss_limit_mb=2048 \
        -artifact_prefix="build-fuzz/found/$target-" -dict="tests/fuzz/$target.dict" -print_final_stats=1 \
        "$folder" "build-fuzz/seeds/$target" >"build-fuzz/fuzz-$target.log" 2>&1; then
        sed -n "s/^stat::\(number_of_executed_units\|peak_rss_mb\): */$target: \1 /p" "build-fuzz/fuzz-$target.log"
    else
        tail -n 40 "build-fuzz/fuzz-$target.log"
        echo "$target: failed; the input is above, after 'Test unit written to' (whole output: build-fuzz/fuzz-$target.log)"
        return 1
    fi
}

failed=0
fuzz image 4096 &
other=$!
fuzz onnx 8192 || failed=1
wait "$other" || failed=1
fuzz labels 8192 &
other=$!
fuzz tables 4096 || failed=1
wait "$other" || failed=1
exit "$failed"
