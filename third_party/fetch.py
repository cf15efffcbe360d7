#!/usr/bin/env python3
"""Fetches what tagmask needs but does not carry: pinned in pins.json, kept in a cache folder, never committed.

  fetch.py onnx-proto  --out DIR    onnx.proto for the model reader (CMake calls this when it configures)
  fetch.py models      --out DIR    model packs: efficientnet-lite0, -lite1, -lite2, u2netp, vit-s-focus (docs/packs.md)
  fetch.py photos      --out DIR    photos for the demonstration and the end-to-end tests
  fetch.py swiftshader --out DIR    a second Vulkan driver and a current validation layer (Debian's chromium-common)
  fetch.py mingw       --out DIR    the libraries tagmask needs, built for Windows; DIR is build/mingw-deps

Wheels come from PyPI through pip and are checked against their SHA-256; Debian's packages are checked by apt against
Debian's signatures, and sources against their SHA-256, too. Everything lands in the folder downloads of TAGMASK_CACHE
(default: XDG_CACHE_HOME/tagmask or ~/.cache/tagmask); what lies there is not fetched again, so that second runs need no
network. Needs Python 3 and pip.
"""
import argparse
import sys
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True  # the checkout stays clean
from download import PINS, Failure, member, wheel, write  # noqa: E402


def onnx_proto(out):
    with wheel("onnx") as archive:
        write(out / "onnx.proto", member(archive, "onnx/onnx.proto"))


def photos(out):
    with wheel("scikit-image") as archive:
        for name in PINS["photos"]:
            write(out / name, member(archive, "skimage/data/" + name))
    print(f"photos are in {out}")


def models(out):
    import packs
    packs.make(out)
    print(f"model packs are in {out}")


def swiftshader(out):
    import swiftshader as driver
    driver.make(out)
    print(f"SwiftShader is in {out}")


def windows(out):
    import mingw
    mingw.make(out)
    print(f"libraries for Windows are in {out}")


def main():
    commands = {"onnx-proto": onnx_proto, "models": models, "photos": photos, "swiftshader": swiftshader,
                "mingw": windows}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=commands)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    args = parser.parse_args()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        commands[args.command](args.out.resolve())
    except OSError as error:
        print(f"fetch.py: {error.filename or args.out} cannot be read or written ({error.strerror}): check its rights and "
              "the free space.", file=sys.stderr)
        return 1
    except (Failure, zipfile.BadZipFile) as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
