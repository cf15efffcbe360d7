"""Compares the outputs of the model packs with ONNX Runtime on photos.

  python tests/peers/compare_networks.py [--tagmask build/bin/tagmask] [--models build/models] PHOTO...

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


def difference(tagmask, folder, photo):
    with open(os.path.join(folder, "pack.json")) as file:
        pack = json.load(file)
    model = os.path.join(folder, pack["model"])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name
    x = network_input(pack, photo)
    wanted = session.run([output], {name: x})[0]
    with tempfile.TemporaryDirectory() as out:
        np.save(os.path.join(out, "x.npy"), x)
        subprocess.run([tagmask, "run", model, "--input", f"{name}={out}/x.npy", "--output", os.path.join(out, "y")],
                       check=True, stdout=subprocess.DEVNULL)
        got = np.load(os.path.join(out, "y", output + ".npy"))
    return np.abs(got - wanted).max() / (wanted.max() - wanted.min())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTO")
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--models", default="build/models")
    args = parser.parse_args()
    worst = 0
    for path in args.photos:
        photo = Image.open(path).convert("RGB")
        for pack in sorted(os.listdir(args.models)):
            share = difference(args.tagmask, os.path.join(args.models, pack), photo)
            worst = max(worst, share)
            print(f"{os.path.basename(path):24s} {pack:20s} {share:.2e} of the range", flush=True)
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
