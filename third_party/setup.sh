#!/bin/sh
# Makes build/ ready: installs missing Debian packages, builds with the release preset, fetches models and photos.
#   sh third_party/setup.sh [test]     "test" adds what only tests/run.sh needs
# Second runs skip what is done and need no network. Run as root, or as a user who may use sudo.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $*" >&2
    exit 1
}

step() { echo "[setup] $*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        fail "root rights are needed for \"$*\": run this as root or install sudo."
    fi
}

update_package_lists() {
    as_root apt-get update -q >/dev/null </dev/null || step "apt-get update failed; going on with the lists there are"
}

install_packages() {
    if [ "$1" = test ]; then pattern='s/^test //'; else pattern='/^test /d'; fi
    missing=""
    for package in $(sed -e 's/#.*//' -e "$pattern" third_party/debian-packages.txt); do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=none
        [ "$state" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    step "installing Debian packages:$missing"
    update_package_lists
    # shellcheck disable=SC2086  # a list of words
    as_root apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends $missing >/dev/null </dev/null ||
        fail "apt-get could not install$missing: see its message above."
}

build() {
    step "configuring (preset release)"
    cmake --preset release -DTAGMASK_VIEWER=ON >build/configure.log 2>&1 || {
        tail -n 20 build/configure.log >&2
        fail "cmake could not configure: see build/configure.log."
    }
    step "building"
    cmake --build build || fail "the build failed: see the first error above."
}

fetch() {
    step "fetching $1"
    python3 third_party/fetch.py "$1" --out "build/$1" || fail "could not get the $1: see the line above."
}

command -v dpkg-query >/dev/null 2>&1 ||
    fail "this script needs Debian 12 or a relative of it; elsewhere install what third_party/debian-packages.txt names."
purpose=${1:-demo}
install_packages "$purpose"
mkdir -p build
build
fetch models
fetch photos
if [ "$purpose" = test ]; then
    # The package lists may be older than the mirror; they are renewed once when the package is not found.
    python3 third_party/fetch.py swiftshader --out build/swiftshader 2>/dev/null || {
        update_package_lists
        fetch swiftshader
    }
    step "building the libraries for Windows"
    python3 third_party/fetch.py mingw --out build/mingw-deps >build/mingw-deps.log 2>&1 || {
        tail -n 20 build/mingw-deps.log >&2
        fail "the libraries for Windows are missing: see the lines above."
    }
fi
step "ready: build/bin/tagmask, build/lib/libtagmask.so, build/models"
