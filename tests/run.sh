#!/bin/sh
# Sets everything up and runs all tests: gcc on both Vulkan drivers, sanitizers with synchronization validation, clang,
# fuzzing, the build for Windows, and the formatter.
#   sh tests/run.sh [--quick]     --quick: the unit tests of the release build on one driver
# The last line is "N passed, N failed"; the exit status is 0 only when nothing failed.
set -eu
cd "$(dirname "$0")/.."

quick=no
case "${1:-}" in
"") ;;
--quick) quick=yes ;;
*)
    echo "run.sh: unknown option $1: expected nothing or --quick." >&2
    exit 2
    ;;
esac

sh third_party/setup.sh test

passed=0
failed=0
logs=build/test-logs
mkdir -p "$logs" build/test-cache
lavapipe=$(find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name 'lvp_icd*.json' 2>/dev/null | head -n 1)
swiftshader=$PWD/build/swiftshader/icd.json
TAGMASK_MODELS=$PWD/build/models
TAGMASK_PHOTOS=$PWD/build/photos
TAGMASK_CACHE=$PWD/build/test-cache  # what a user's cache holds must not decide over a test
TAGMASK_TEST_LAYER_DIR=$PWD/build/swiftshader
export TAGMASK_MODELS TAGMASK_PHOTOS TAGMASK_CACHE TAGMASK_TEST_LAYER_DIR
[ -n "$lavapipe" ] || {
    echo "run.sh: lavapipe's driver description lvp_icd*.json is missing: reinstall mesa-vulkan-drivers." >&2
    exit 1
}

title() { printf '\n== %s [%s]\n' "$*" "$(date +%H:%M:%S)"; }

# One check that is not a ctest run: check NAME COMMAND...
check() {
    name=$1
    shift
    if "$@" >"$logs/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "$name: passed"
    else
        failed=$((failed + 1))
        tail -n 60 "$logs/$name.log"
        echo "$name: failed (whole output: $logs/$name.log)"
    fi
}

# Pipelines are compiled by one thread, so that one test at a time leaves cores idle. More than four take much memory.
jobs=$(nproc)
[ "$jobs" -le 4 ] || jobs=4

# ctest NAME BUILD_FOLDER DRIVER [option...], and its counts added to ours.
run_tests() {
    name=$1 folder=$2 driver=$3
    shift 3
    log=$PWD/$logs/$name.log
    (cd "$folder" && VK_ICD_FILENAMES=$driver ctest --output-on-failure -j "$jobs" "$@") >"$log" 2>&1 || true
    # "95% tests passed, 1 tests failed out of 20"
    summary=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$log" | tail -n 1)
    bad=${summary%% *} all=${summary##* }
    if [ -z "$summary" ] || [ "$all" -eq 0 ]; then
        failed=$((failed + 1))
        tail -n 20 "$log"
        echo "$name: ctest ran nothing; expected tests (whole output: $log)"
        return
    fi
    passed=$((passed + all - bad))
    failed=$((failed + bad))
    [ "$bad" -eq 0 ] || cat "$log"
    echo "$name: $((all - bad)) of $all passed"
}

# A build beside build/: preset NAME; models and photos are shared with the release build.
build_preset() {
    mkdir -p "build-$1/third_party"
    cp -p build/third_party/onnx.proto "build-$1/third_party/onnx.proto"
    for data in models photos swiftshader; do ln -sfn "../build/$data" "build-$1/$data"; done
    cmake --preset "$1" && cmake --build --preset "$1"
}

# What another program for Windows builds against. The DLLs it needs are Windows' own.
install_windows() {
    cmake --install build-mingw --prefix build-mingw/installed &&
        cmake -G Ninja -S samples/embed -B build-mingw/embed "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror" \
            "-DCMAKE_TOOLCHAIN_FILE=$PWD/third_party/mingw/toolchain.cmake" \
            "-Dtagmask_DIR=$PWD/build-mingw/installed/lib/cmake/tagmask" && cmake --build build-mingw/embed &&
        needed=$(x86_64-w64-mingw32-objdump -p build-mingw/embed/embed.exe build-mingw/installed/bin/tagmask.exe \
            build-mingw/installed/bin/libtagmask.dll | sed -n 's/^[[:space:]]*DLL Name: //p' | sort -u | tr '\n' ' ') &&
        echo "needed: $needed" && [ "$needed" = "KERNEL32.dll libtagmask.dll msvcrt.dll " ]
}

# One photo from decoding to label files; messages of the validation layer count as failures.
propose_photo() {
    VK_ICD_FILENAMES=$lavapipe build-sanitize/bin/tagmask propose build/photos/chelsea.png --tag cat \
        --format labelme,overlay,voc,prob --out build-sanitize/photo >build-sanitize/photo.log 2>&1 || status=$?
    cat build-sanitize/photo.log
    [ "${status:-0}" -eq 0 ] && ! grep -q 'Vulkan:' build-sanitize/photo.log
}

check_format() {
    find host plugin tests samples \( -name '*.[ch]' -o -name '*.cpp' \) -exec clang-format --dry-run -Werror {} +
}

finish() {
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
    exit
}

title "unit tests, gcc, lavapipe"
run_tests unit-lavapipe build "$lavapipe" -L unit
[ "$quick" = no ] || finish

title "formatting"
check format check_format

title "shaders against their references and end to end, gcc, lavapipe"
run_tests full-lavapipe build "$lavapipe" -LE unit

title "label files in the programs they are for"
check formats-in-real-readers sh tests/formats/run.sh

title "the ONNX project's node tests and exported networks, both drivers"
check conformance sh tests/conformance/run.sh

title "all tests again, gcc, SwiftShader"
# But those of files, arguments and packages, which no driver changes; they ran above.
driverless='test_kill|test_batch|test_cli_(photos|usage|docs|parts|eval)|test_install|mutate'
driverless="$driverless|test_portable|test_public_functions|test_public_headers|test_embedding_page"
run_tests full-swiftshader build "$swiftshader" -E "^($driverless)\$"

title "clang"
check clang-build build_preset clang
run_tests clang-units build-clang "$lavapipe" -L unit

title "64-bit Windows, mingw-w64"
check windows-build build_preset mingw
check windows-exports sh tests/unit/public_functions.sh . build-mingw
check windows-install install_windows
if command -v wine >/dev/null && command -v Xvfb >/dev/null; then
    check windows-run sh tests/wine.sh
else
    echo "windows-run: left out, since wine or Xvfb is not installed"
fi

title "fuzzing, clang with address and undefined-behaviour sanitizers"
check fuzz-build build_preset fuzz
check fuzz sh tests/fuzz/run.sh 60

title "thread sanitizer"
check tsan-build build_preset tsan
run_tests tsan-threads build-tsan "$lavapipe" -R '^test_(threads|cli_overlap)$'

title "address and undefined-behaviour sanitizers, synchronization validation"
check sanitize-build build_preset sanitize
# What a driver keeps until it is unloaded is no leak, but looks like one once it is unloaded: nothing is unloaded.
keep_loaded=$PWD/build-sanitize/keep-loaded.so
echo 'int dlclose(void *library) { return library ? 0 : -1; }' >build-sanitize/keep-loaded.c
gcc -shared -fPIC -o "$keep_loaded" build-sanitize/keep-loaded.c
echo 'leak:libVkLayer_khronos_validation' >build-sanitize/leaks-of-others.txt
LD_PRELOAD=$keep_loaded
# lavapipe allocates small pieces at page boundaries, of which a quarantine of the usual 256 MB would keep 16 GB.
ASAN_OPTIONS=detect_leaks=1:verify_asan_link_order=0:quarantine_size_mb=8
LSAN_OPTIONS=suppressions=$PWD/build-sanitize/leaks-of-others.txt:print_suppressions=0
UBSAN_OPTIONS=print_stacktrace=1
TAGMASK_VALIDATION=1
VK_LAYER_PATH=$PWD/build/swiftshader/layers
VK_LAYER_VALIDATE_SYNC=1
VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC=1
export LD_PRELOAD ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
export TAGMASK_VALIDATION VK_LAYER_PATH VK_LAYER_VALIDATE_SYNC VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC
run_tests sanitize-units build-sanitize "$lavapipe" -L unit
run_tests sanitize-pieces build-sanitize "$lavapipe" -R split
check sanitize-photo propose_photo
run_tests sanitize-viewer build-sanitize "$lavapipe" -R test_viewer
finish
