"""Compares maps of a transformer's attention with those that PyTorch and numpy make of a vision transformer.

  apt-get install python3-torch python3-onnx python3-pil
  /usr/bin/python3 tests/peers/compare_attention.py PHOTO... [--tagmask build/bin/tagmask]
                                                    [--model build/models/vit-s-focus/model.onnx]

The photo is scaled to 224 x 224 with ImageNet's normalization; both programs get the same picture. PyTorch evaluates the
network in double precision and differentiates it (compare_gradients.py). The attention of the last and of the first block,
of one head or the mean of all, attention rollout, and the relevance of tokens are compared as maps of that size, min-max
normalized. The network's one class, whose score relevance is of, is the mean of its map. Prints the largest difference for
each; the exit status is 1 if one exceeds 1e-3.

--write tests/data/gradients writes relevance.txt, the relevance of each place for the picture of compare_gradients.py, and
attention.txt, the affinity of attention (preset member affinity_from) of all blocks and of the last three times a pattern;
tests/e2e/test_relevance.c reads both.
"""
import argparse, json, os, pathlib, shutil, subprocess, sys, tempfile
import numpy as np, onnx, torch
from PIL import Image

import compare_gradients

SIDE, LIMIT = 224, 1e-3
MEAN, SCALE = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def normalized(rgb):
    """Of height x width x 3."""
    return ((rgb - np.float32(MEAN)) / np.float32(SCALE)).transpose(2, 0, 1)[None].astype(np.float32)


def probabilities(graph, x):
    """The names of the blocks' attention in order; (heads, tokens, tokens) of each; the score's gradient by them."""
    torch.set_default_dtype(torch.float64)
    names = [node.output[0] for node in graph.node if node.op_type == "Softmax"]
    values = compare_gradients.evaluate(graph, x, names)
    blocks = [values[name] for name in names]
    gradients = torch.autograd.grad(values[graph.output[0].name].mean(), blocks)
    return names, [a.detach().numpy()[0] for a in blocks], [g.numpy()[0] for g in gradients]


def relevance(blocks, gradients):
    """Chefer, Gur and Wolf 2021, equations 5 and 6, of self-attention: whole matrices."""
    r = np.eye(blocks[0].shape[-1])
    for a, g in zip(blocks, gradients):
        r = r + np.maximum(g * a, 0).mean(0) @ r
    return r[0]


def rollout(blocks):
    flow = np.eye(blocks[0].shape[-1])
    for a in blocks:
        flow = (0.5 * a.mean(0) + 0.5 * np.eye(len(flow))) @ flow
    return flow[0]


def affinity(blocks, last, places):
    """Xu et al. 2022: the mean over heads and the last blocks, between patches, each row over its sum."""
    mean = sum(a.mean(0) for a in blocks[-last:])[-places:, -places:]
    return mean / mean.sum(1, keepdims=True)


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


def write(folder, graph):
    _, blocks, gradients = probabilities(graph, normalized(compare_gradients.picture(112, 140).transpose(1, 2, 0)))
    pattern = np.arange(80) * 7 % 13 / 13
    spread = [affinity(blocks, last, 80) @ pattern for last in (len(blocks), 3)]
    for name, numbers in (("relevance", relevance(blocks, gradients)[1:]), ("attention", np.concatenate(spread))):
        (folder / f"{name}.txt").write_text("\n".join(f"{n:.9g}" for n in numbers) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", metavar="PHOTO")
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--model", default="build/models/vit-s-focus/model.onnx")
    parser.add_argument("--write", metavar="FOLDER", type=pathlib.Path)
    args = parser.parse_args()
    worst, graph = 0, onnx.load(args.model).graph
    if args.write:
        write(args.write, graph)
    with tempfile.TemporaryDirectory() as folder:
        write_pack(folder, args.model)
        for path in args.photos:
            rgb = np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.BICUBIC))
            picture = os.path.join(folder, "picture.png")
            Image.fromarray(rgb).save(picture)
            names, blocks, gradients = probabilities(graph, normalized(rgb))
            wanted = {("attention", "", 0): blocks[-1].mean(0)[0], ("attention", "", 1): blocks[-1][0][0],
                      ("attention", names[0], 0): blocks[0].mean(0)[0],
                      ("attention", names[-1], len(blocks[-1])): blocks[-1][-1][0], ("rollout", "", 0): rollout(blocks),
                      ("relevance", "", 0): relevance(blocks, gradients)}
            for (method, layer, head), row in wanted.items():
                made = tagmask_map(args, folder, picture, method, layer, head)
                difference = np.abs(made - as_large_as_the_picture(row)).max()
                worst = max(worst, difference)
                print(f"{os.path.basename(path):20s} {method:10s} head {head} {layer:60s} {difference:.1e}", flush=True)
    return int(not worst <= LIMIT)  # a NaN is no agreement


if __name__ == "__main__":
    sys.exit(main())
