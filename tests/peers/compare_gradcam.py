"""Compares map methods with pytorch-grad-cam 1.5 on a small network and, with --pack, writes them down for the tests.

  python -m pip install torch==2.6.0 torchvision==0.21.0 grad-cam==1.5.5 onnx
  python tests/peers/compare_gradcam.py [--tagmask build/bin/tagmask] [--write tests/data/maps]

Both programs get the same picture at the network's own size, and each map is compared where it is as large as the picture:
min-max normalized, bilinear. Prints the correlation for each method, layer and class; the exit status is 1 if one is below
0.999. All channels are tried by scorecam and ablationcam. A principal component has no sign: eigencam and eigengradcam count with the better of both.

--write puts the network, the picture and pytorch-grad-cam's maps, at the size of their layers, where
tests/unit/test_map_peers.c reads them.
"""
import argparse, json, os, struct, subprocess, sys, tempfile
import numpy as np, torch
import pytorch_grad_cam as peer
from PIL import Image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

WIDTH, HEIGHT, CLASSES, LIMIT = 128, 96, 3, 0.999
MEAN, SCALE = [120.0, 115.0, 100.0], [60.0, 58.0, 57.0]
METHODS = {"eigencam": peer.EigenCAM, "gradcam": peer.GradCAM, "gradcam++": peer.GradCAMPlusPlus,
           "xgradcam": peer.XGradCAM, "hirescam": peer.HiResCAM, "layercam": peer.LayerCAM,
           "elementwise": peer.GradCAMElementWise, "eigengradcam": peer.EigenGradCAM, "scorecam": peer.ScoreCAM, "ablationcam": peer.AblationCAM,
           "fullgrad": peer.FullGrad}


class Network(torch.nn.Module):
    """Strides, batch normalization, features below 0, a residual connection, and no single linear map at its end."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = torch.nn.Conv2d(3, 6, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(6)
        self.conv2, self.norm2 = torch.nn.Conv2d(6, 8, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(8)
        self.act2 = torch.nn.LeakyReLU(0.3)
        self.conv3 = torch.nn.Conv2d(8, 12, 3, 2, 1)
        self.conv4 = torch.nn.Conv2d(12, 12, 3, 1, 1)
        self.act4 = torch.nn.ReLU()
        self.hidden, self.scores = torch.nn.Linear(12, 10), torch.nn.Linear(10, CLASSES)

    def forward(self, x):
        x = torch.relu(self.norm1(self.conv1(x)))
        x = self.act2(self.norm2(self.conv2(x)))
        x = torch.relu(self.conv3(x))
        x = self.act4(self.conv4(x) + x)
        return self.scores(torch.relu(self.hidden(x.mean((2, 3)))))


def make_network():
    torch.manual_seed(7)
    network = Network().eval()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.uniform_(-0.3, 0.3)
            part.running_var.uniform_(0.2, 0.6)
            torch.nn.init.uniform_(part.weight, 0.8, 1.6)
            torch.nn.init.uniform_(part.bias, -0.3, 0.5)
    torch.nn.init.normal_(network.hidden.weight, 0, 1)
    torch.nn.init.normal_(network.scores.weight, 0, 1)
    return network


def make_picture():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    rgb = np.stack([110 + 90 * np.sin(x / 11) * np.cos(y / 9), 90 + 80 * np.cos((x + y) / 17), 0.9 * x + 0.8 * y], 2)
    rgb[(x - 80) ** 2 + (y - 40) ** 2 < 22 ** 2] = [230, 190, 60]
    return np.clip(rgb, 0, 255).astype(np.uint8)


def write_pack(folder, network, picture):
    """The pack and the names of the layers act2 and act4."""
    import onnx
    path = os.path.join(folder, "model.onnx")
    example = torch.zeros(1, 3, HEIGHT, WIDTH)
    torch.onnx.export(network, example, path, input_names=["image"], output_names=["scores"], opset_version=13,
                      dynamo=False)
    outputs = [name for node in onnx.load(path).graph.node for name in node.output]
    layers = {part: next(name for name in outputs if name.startswith(f"/{part}/")) for part in ("act2", "act4")}
    pack = {"format": 1, "name": "peers", "kind": "classifier", "model": "model.onnx", "labels": "labels.json",
            "preprocess": {"mean": MEAN, "scale": SCALE, "size": [HEIGHT, WIDTH]}}
    labels = [{"name": f"thing {k}"} for k in range(CLASSES)]
    # One look at the picture as it is, and the map as the method makes it.
    preset = {"preset": "fast", "scales": [WIDTH], "affinity_size": 0, "working_size": WIDTH, "crf_iterations": 0,
              "tried_channels": 0}
    for name, content in (("pack.json", pack), ("labels.json", labels), ("preset.json", preset)):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(content, file)
    Image.fromarray(picture).save(os.path.join(folder, "picture.png"))
    return layers


def tagmask_maps(tagmask, folder, method, layer):
    with tempfile.TemporaryDirectory() as out:
        tags = [word for k in range(CLASSES) for word in ("--tag", f"thing {k}")]
        subprocess.run([tagmask, "propose", os.path.join(folder, "picture.png"), *tags, "--model", folder, "--saliency",
                        "none", "--preset", os.path.join(folder, "preset.json"), "--method", method, *(["--layer", layer] if layer else []),
                        "--format", "map-npy", "--out", out], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return [np.load(os.path.join(out, f"picture.thing_{k}.map.npy")) for k in range(CLASSES)]


class Kept(peer.base_cam.BaseCAM):
    """Keeps features and gradients of a run, for what the peer does not give."""

    def get_cam_image(self, x, layer, targets, activations, grads, eigen_smooth):
        self.kept = activations, grads
        return activations.sum(axis=1)


def peer_maps(method, network, layer, x, row):
    """One map, or both that a principal component may be."""
    targets = [ClassifierOutputTarget(row)]
    if method not in ("eigencam", "eigengradcam"):
        layers = [] if method == "fullgrad" else [layer]
        return [METHODS[method](model=network, target_layers=layers)(input_tensor=x, targets=targets)[0]]
    cam = Kept(model=network, target_layers=[layer])
    cam(input_tensor=x, targets=targets)
    activations, grads = cam.kept
    projection = get_2d_projection((activations * grads if method == "eigengradcam" else activations).copy())
    return [peer.base_cam.scale_cam_image(np.maximum(sign * projection, 0), (WIDTH, HEIGHT))[0] for sign in (1, -1)]


def small_map(method, network, layer, x, row):
    """The map at the layer's size, before it is cut off below 0."""
    cam = METHODS[method](model=network, target_layers=[layer])
    kept = {}
    image = cam.get_cam_image

    def keep(*arguments, **named):
        kept["map"] = image(*arguments, **named)
        return kept["map"]

    cam.get_cam_image = keep
    cam(input_tensor=x, targets=[ClassifierOutputTarget(row)])
    return kept["map"][0]


def correlation(a, b):
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / size) if size else float(not a.any() and not b.any())


def write_expected(folder, network, layers, x):
    """maps.bin: for each record the lengths of method and layer, both names, class, height, width, floats."""
    with open(os.path.join(folder, "maps.bin"), "wb") as file:
        for method in METHODS:
            for part, name in layers.items():
                if method == "fullgrad" or (method == "ablationcam" and part == "act2"):
                    continue  # fullgrad has no layer, and its map is as large as the picture
                for row in range(1 if part == "act2" or method == "eigencam" else CLASSES):
                    small = small_map(method, network, getattr(network, part), x, row).astype("<f4")
                    file.write(struct.pack("<5i", len(method), len(name), row, *small.shape))
                    file.write(method.encode() + name.encode() + small.tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--write", metavar="FOLDER")
    args = parser.parse_args()
    network, picture, worst = make_network(), make_picture(), 1.0
    x = torch.from_numpy(((picture - np.float32(MEAN)) / np.float32(SCALE)).transpose(2, 0, 1)[None])
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.write or scratch
        os.makedirs(folder, exist_ok=True)
        layers = write_pack(folder, network, picture)
        for method in METHODS:
            for part, name in layers.items():
                if method in ("ablationcam", "fullgrad") and part == "act2":
                    continue  # ablationcam: the peer takes features below 0 far below it, not to 0
                maps = tagmask_maps(args.tagmask, folder, method, None if method == "fullgrad" else name)
                for row in range(CLASSES):
                    wanted = peer_maps(method, network, getattr(network, part), x, row)
                    share = max(correlation(maps[row], each) for each in wanted)
                    worst = min(worst, share)
                    print(f"{method:14s} {name:28s} thing {row}  correlation {share:.6f}", flush=True)
        if args.write:
            write_expected(folder, network, layers, x)
    return int(not worst >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
