"""Compares map methods with pytorch-grad-cam 1.5 on EfficientNet-Lite0 and photos.

  python -m pip install torch==2.6.0 torchvision==0.21.0 grad-cam==1.5.5 onnx
  python tests/peers/compare_gradcam_photos.py [--tagmask build/bin/tagmask] [--models build/models]
                                               [--photos build/photos] [--only METHOD...] [--tried 64] [--side 288]

PyTorch gets the network from the pack's ONNX file: convolutions and batch normalizations become modules with its weights,
the other nodes functions (compare_gradients.py), and behind each node is a layer that the peer can hook or replace. Its
scores are compared first. Each photo is scaled beforehand so that neither program resamples it: its long side to --side
px, both to multiples of 32. The maps of one class a photo are compared where they are as large as the picture, min-max
normalized, at the last layer before the pooling (tagmask's default) and after block 10 (fullgrad has no layer). Prints the
correlation and the largest difference of each, then the worst of each method and layer; the exit status is 1 if one
correlates less than 0.999 or differs by more than 0.01. VK_ICD_FILENAMES chooses the driver.

The method cam, without rivals, is compared with the peer's Grad-CAM, with which it correlates at least 0.9999. eigencam and
eigengradcam count with the better of both signs of their component. scorecam and ablationcam try the --tried channels with
the largest sums of squares in both programs, all with 0, as in the peer by itself; ablated channels are 0 in both, where
the peer alone would take features below 0 far below their least.

--write tests/data/maps/efficientnet-lite0 writes the peer's maps of a part of chelsea.png, those of fullgrad at some pixels,
which tests/e2e/test_map_photos.c reads.
"""
import argparse, json, os, pathlib, subprocess, sys, tempfile
import compare_gradcam  # first, as it switches progress bars off
import numpy as np, onnx, torch
from PIL import Image
from onnx import helper, numpy_helper

import compare_gradients

EARLIER = "_blocks.10.add"
# A class that each photo shows: crash helmet, Egyptian cat, espresso, moped, missile.
PHOTOS = {"astronaut.png": 518, "chelsea.png": 285, "coffee.png": 967, "motorcycle_left.png": 665, "rocket.jpg": 657}
# Of the fixture. A part of a photo, as scaled photos differ between programs by single levels.
PHOTO, PART, TRIED, EVERY = "chelsea.png", (112, 64, 304, 192), 16, 8


# ---- The network: f(node, attributes, constants) -> module of the node's first input

def conv_module(node, attrs, values):
    weight, bias = values[node.input[1]], len(node.input) > 2
    groups, (top, left, bottom, right) = attrs.get("group", 1), attrs.get("pads", [0] * 4)
    conv = torch.nn.Conv2d(weight.shape[1] * groups, weight.shape[0], weight.shape[2:], attrs.get("strides", 1), 0,
                           attrs.get("dilations", 1), groups, bias)
    conv.weight.data = weight
    if bias:
        conv.bias.data = values[node.input[2]]
    return torch.nn.Sequential(torch.nn.ZeroPad2d((left, right, top, bottom)), conv)


def norm_module(node, attrs, values):
    scale, bias, mean, variance = (values[name] for name in node.input[1:])
    norm = torch.nn.BatchNorm2d(len(scale), attrs.get("epsilon", 1e-5))
    norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var = scale, bias, mean, variance
    return norm


MODULES = {"Conv": conv_module, "BatchNormalization": norm_module}


class Function(torch.nn.Module):
    """Of all inputs, as compare_gradients.py has it."""

    def __init__(self, node, attrs):
        super().__init__()
        self.function, self.attrs = compare_gradients.OPERATORS[node.op_type], attrs

    def forward(self, *inputs):
        return self.function(inputs, self.attrs)


class Network(torch.nn.Module):
    """The first output of an ONNX graph with one input."""

    def __init__(self, graph):
        super().__init__()
        self.graph = graph
        self.constants = {i.name: compare_gradients.number(numpy_helper.to_array(i)) for i in graph.initializer}
        self.parts = torch.nn.ModuleList(self.part(node) for node in graph.node)
        self.layers = torch.nn.ModuleList(torch.nn.Identity() for _ in graph.node)
        self.eval()

    def part(self, node):
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        make = MODULES.get(node.op_type)
        return make(node, attrs, self.constants) if make else Function(node, attrs)

    def forward(self, x):
        values = {**self.constants, self.graph.input[0].name: x}
        for node, part, layer in zip(self.graph.node, self.parts, self.layers):
            inputs = node.input[:1] if node.op_type in MODULES else node.input
            values[node.output[0]] = layer(part(*(values[name] for name in inputs)))
        return values[self.graph.output[0].name]


class Pack:
    def __init__(self, folder):
        self.folder, self.model = str(folder), str(folder / "model.onnx")
        graph = onnx.load(self.model).graph
        self.network, self.input, self.output = Network(graph), graph.input[0].name, graph.output[0].name
        self.last = next(node.input[0] for node in graph.node if node.op_type == "GlobalAveragePool")
        with open(folder / "pack.json") as file:
            settings = json.load(file)["preprocess"]
        self.mean, self.scale = np.float32(settings["mean"]), np.float32(settings["scale"])

    def layer(self, name):
        """The module behind the node that makes it."""
        names = [node.output[0] for node in self.network.graph.node]
        return self.network.layers[names.index(name)] if name else None

    def tensor(self, picture):
        x = (np.asarray(picture, np.float32) - self.mean) / self.scale
        return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)[None]))


# ---- Both programs

def scaled(path, side):
    photo = Image.open(path).convert("RGB")
    return photo.resize([round(edge * side / max(photo.size) / 32) * 32 for edge in photo.size], Image.BICUBIC)


def score_difference(tagmask, pack, x):
    """The largest, as a share of the range of PyTorch's scores."""
    with torch.no_grad():
        wanted = pack.network(x).numpy()
    with tempfile.TemporaryDirectory() as out:
        np.save(os.path.join(out, "x.npy"), x.numpy())
        subprocess.run([tagmask, "run", pack.model, "--input", f"{pack.input}={out}/x.npy", "--output", out], check=True,
                       stdout=subprocess.DEVNULL)
        made = np.load(os.path.join(out, f"{pack.output}.npy"))
    return np.abs(made - wanted).max() / np.ptp(wanted)


def comparisons(pack, only):
    """(method, layer, the peer's method, the least correlation); layer: empty for fullgrad, which has none."""
    least = compare_gradcam.LEAST_CORRELATION
    if not only or "cam" in only:
        yield "cam", pack.last, "gradcam", 0.9999
    for method in compare_gradcam.METHODS:
        if not only or method in only:
            for layer in [""] if method == "fullgrad" else [pack.last, EARLIER]:
                yield method, layer, method, least


def compare(args, pack, report, folder):
    worst = {}
    preset = compare_gradcam.write_json(os.path.join(folder, "preset.json"),
                                        {**compare_gradcam.one_look(args.side, args.tried), "rivals": 0})
    for name, row in PHOTOS.items():
        picture, path = scaled(args.photos / name, args.side), os.path.join(folder, "picture.png")
        picture.save(path)
        x = pack.tensor(picture)
        off = score_difference(args.tagmask, pack, x)
        print(f"{name:20s} {picture.width} x {picture.height}, scores differ by {off:.1e}", flush=True)
        report.ok &= bool(off <= compare_gradients.LIMIT)
        for method, layer, theirs, least in comparisons(pack, args.only):
            # The last layer is tagmask's default.
            made = compare_gradcam.tagmask_maps(args.tagmask, pack.folder, preset, path, [f"#{row}"], method,
                                                layer if layer == EARLIER else None)[0]
            wanted = compare_gradcam.peer_maps(theirs, pack.network, pack.layer(layer), x, row, args.tried)
            share, off = report.add(f"{name:20s} {method:14s} {layer:16s}", made, wanted, least)
            before = worst.get((method, layer), (1, 0))
            worst[method, layer] = min(share, before[0]), max(off, before[1])
    for (method, layer), (share, off) in worst.items():
        print(f"{'worst':20s} {method:14s} {layer:16s}  correlation {share:.6f}  difference {off:.1e}")


def write(folder, args, pack):
    folder.mkdir(parents=True, exist_ok=True)
    compare_gradcam.write_json(folder / "preset.json", {**compare_gradcam.one_look(PART[2] - PART[0], TRIED), "rivals": 0})
    x, row = pack.tensor(Image.open(args.photos / PHOTO).crop(PART)), PHOTOS[PHOTO]
    with open(folder / "maps.bin", "wb") as file:
        for method in compare_gradcam.METHODS:
            for _, layer, theirs, _ in comparisons(pack, [method]):
                if layer:
                    made = compare_gradcam.small_map(theirs, pack.network, pack.layer(layer), x, row, TRIED)
                else:
                    whole = compare_gradcam.peer_maps(theirs, pack.network, None, x, row)[0]
                    made = whole[EVERY // 2::EVERY, EVERY // 2::EVERY]
                compare_gradcam.write_record(file, method, layer, row, made)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--models", default="build/models", type=pathlib.Path)
    parser.add_argument("--photos", default="build/photos", type=pathlib.Path)
    parser.add_argument("--only", choices=["cam", *compare_gradcam.METHODS], nargs="+", metavar="METHOD")
    parser.add_argument("--tried", type=int, default=64, help="channels of scorecam and ablationcam, 0: all")
    parser.add_argument("--side", type=int, default=288, help="the photos' long side in px, a multiple of 32")
    parser.add_argument("--write", metavar="FOLDER", type=pathlib.Path)
    args = parser.parse_args()
    pack, report = Pack(args.models / "efficientnet-lite0"), compare_gradcam.Report()
    with tempfile.TemporaryDirectory() as folder:
        compare(args, pack, report, folder)
    if args.write:
        write(args.write, args, pack)
    return int(not report.ok)


if __name__ == "__main__":
    sys.exit(main())
