"""Compares map methods with pytorch-grad-cam 1.5 on a small network and, with --pack, writes them down for the tests.

  python -m pip install torch==2.6.0 torchvision==0.21.0 grad-cam==1.5.5 onnx
  python tests/peers/compare_gradcam.py [--tagmask build/bin/tagmask] [--write tests/data/maps]

Both programs get the same picture at the network's own size, and each map is compared where it is as large as the picture:
min-max normalized, bilinear. Prints the correlation and the largest difference for each method, layer and class; the exit
status is 1 if one correlates less than 0.999 or differs by more than 0.01. All channels are tried by scorecam and
ablationcam. A principal component has no sign: eigencam and eigengradcam count with the better of both.
compare_gradcam_photos.py does the same with EfficientNet-Lite0 and photos.

--write puts the network, the picture and pytorch-grad-cam's maps, at the size of their layers, where
tests/unit/test_map_peers.c reads them.
"""
import argparse, json, os, struct, subprocess, sys, tempfile
os.environ.setdefault("TQDM_DISABLE", "1")  # the peer's progress bars
import numpy as np, torch
import pytorch_grad_cam as peer
from PIL import Image
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

WIDTH, HEIGHT, CLASSES = 128, 96, 3
LEAST_CORRELATION, MOST_DIFFERENCE = 0.999, 0.01
MEAN, SCALE = [120.0, 115.0, 100.0], [60.0, 58.0, 57.0]
METHODS = {"eigencam": peer.EigenCAM, "gradcam": peer.GradCAM, "gradcam++": peer.GradCAMPlusPlus,
           "xgradcam": peer.XGradCAM, "hirescam": peer.HiResCAM, "layercam": peer.LayerCAM,
           "elementwise": peer.GradCAMElementWise, "eigengradcam": peer.EigenGradCAM, "scorecam": peer.ScoreCAM,
           "ablationcam": peer.AblationCAM, "fullgrad": peer.FullGrad}


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


def one_look(side, tried_channels=0):
    """A preset: one look at the picture of that long side as it is, and the map as the method makes it."""
    return {"preset": "fast", "scales": [side], "affinity_size": 0, "working_size": side, "crf_iterations": 0,
            "tried_channels": tried_channels}


def write_json(path, content):
    with open(path, "w") as file:
        json.dump(content, file)
    return path


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
    for name, content in (("pack.json", pack), ("labels.json", labels), ("preset.json", one_look(WIDTH))):
        write_json(os.path.join(folder, name), content)
    Image.fromarray(picture).save(os.path.join(folder, "picture.png"))
    return layers


def tagmask_maps(tagmask, pack, preset, picture, tags, method, layer):
    """Of each tag, as large as the picture; layer: None is the default one."""
    with tempfile.TemporaryDirectory() as out:
        words = [word for tag in tags for word in ("--tag", tag)] + (["--layer", layer] if layer else [])
        subprocess.run([tagmask, "propose", picture, *words, "--model", pack, "--saliency", "none", "--preset", preset,
                        "--method", method, "--format", "map-npy", "--out", out], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stem = os.path.splitext(os.path.basename(picture))[0]
        return [np.load(os.path.join(out, f"{stem}.{tag.replace(' ', '_')}.map.npy")) for tag in tags]


class Kept(peer.base_cam.BaseCAM):
    """Keeps features and gradients of a run, for what the peer does not give."""

    def get_cam_image(self, x, layer, targets, activations, grads, eigen_smooth):
        self.kept = activations, grads
        return activations.sum(axis=1)


def strongest(activations, tried):
    """Of (channels, height, width): those with the largest sums of squares, as many as tagmask's tried_channels."""
    return np.argsort(-(np.float64(activations) ** 2).sum((1, 2)), kind="stable")[:tried or None].astype(np.int32)


class TriedScoreCAM(peer.ScoreCAM):
    """Tries some channels; the others weigh nothing."""

    def get_cam_weights(self, x, layer, targets, activations, grads):
        chosen = strongest(activations[0], self.tried)
        weights = np.zeros(activations.shape[:2], np.float32)
        weights[:, chosen] = super().get_cam_weights(x, layer, targets, activations[:, chosen], grads)
        return weights


class Ablation(AblationLayer):
    """Tries some channels, and makes them 0 as the paper does: the peer itself takes them far below features below 0."""

    def __init__(self, tried):
        super().__init__()
        self.tried = tried

    def activations_to_be_ablated(self, activations, ratio_channels_to_ablate=1.0):
        self.indices = strongest(activations, self.tried)
        return self.indices

    def __call__(self, x):
        for run, channel in enumerate(self.indices[:len(self.activations)]):
            self.activations[run, channel] = 0
        return self.activations


def make_peer(method, network, layer, tried=None):
    """tried: of scorecam and ablationcam, how many channels; None: as the peer does it by itself."""
    layers = [] if method == "fullgrad" else [layer]
    if tried is None or method not in ("scorecam", "ablationcam"):
        return METHODS[method](model=network, target_layers=layers)
    if method == "ablationcam":
        return peer.AblationCAM(model=network, target_layers=layers, ablation_layer=Ablation(tried))
    cam = TriedScoreCAM(model=network, target_layers=layers)
    cam.tried = tried
    return cam


def peer_maps(method, network, layer, x, row, tried=None):
    """One map, or both that a principal component may be."""
    targets = [ClassifierOutputTarget(row)]
    if method not in ("eigencam", "eigengradcam"):
        return [make_peer(method, network, layer, tried)(input_tensor=x, targets=targets)[0]]
    cam = Kept(model=network, target_layers=[layer])
    cam(input_tensor=x, targets=targets)
    activations, grads = cam.kept
    projection = get_2d_projection((activations * grads if method == "eigengradcam" else activations).copy())
    size = x.shape[3], x.shape[2]
    return [peer.base_cam.scale_cam_image(np.maximum(sign * projection, 0), size)[0] for sign in (1, -1)]


def small_map(method, network, layer, x, row, tried=None):
    """The map at the layer's size, before it is cut off below 0."""
    cam = make_peer(method, network, layer, tried)
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


def unit(a):
    """Min-max normalized."""
    a = np.float64(a) - a.min()
    return a / a.max() if a.max() > 0 else a


def agreement(made, wanted):
    """Correlation and largest difference of normalized maps, with the best of those that are wanted."""
    assert all(made.shape == each.shape for each in wanted), (made.shape, wanted[0].shape)
    return max((correlation(made, each), -np.abs(unit(made) - unit(each)).max()) for each in wanted)


class Report:
    """Prints each comparison, and knows whether all met their bounds."""

    def __init__(self):
        self.ok = True

    def add(self, label, made, wanted, least=LEAST_CORRELATION):
        share, off = agreement(made, wanted)
        self.ok &= bool(share >= least and -off <= MOST_DIFFERENCE)  # a NaN is no agreement
        print(f"{label}  correlation {share:.6f}  difference {-off:.1e}", flush=True)
        return share, -off


def write_record(file, method, layer, row, wanted):
    """The lengths of method and layer, class, height, width, both names, floats."""
    file.write(struct.pack("<5i", len(method), len(layer), row, *wanted.shape))
    file.write(method.encode() + layer.encode() + wanted.astype("<f4").tobytes())


def write_expected(folder, network, layers, x):
    with open(os.path.join(folder, "maps.bin"), "wb") as file:
        for method in METHODS:
            for part, name in layers.items():
                if method == "fullgrad" or (method == "ablationcam" and part == "act2"):
                    continue  # fullgrad has no layer, and its map is as large as the picture
                for row in range(1 if part == "act2" or method == "eigencam" else CLASSES):
                    write_record(file, method, name, row, small_map(method, network, getattr(network, part), x, row))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--write", metavar="FOLDER")
    args = parser.parse_args()
    network, picture, report = make_network(), make_picture(), Report()
    x = torch.from_numpy(((picture - np.float32(MEAN)) / np.float32(SCALE)).transpose(2, 0, 1)[None])
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.write or scratch
        os.makedirs(folder, exist_ok=True)
        layers = write_pack(folder, network, picture)
        preset, photo = os.path.join(folder, "preset.json"), os.path.join(folder, "picture.png")
        tags = [f"thing {row}" for row in range(CLASSES)]
        for method in METHODS:
            for part, name in layers.items():
                if method in ("ablationcam", "fullgrad") and part == "act2":
                    continue  # ablationcam: the peer takes features below 0 far below it, not to 0
                maps = tagmask_maps(args.tagmask, folder, preset, photo, tags, method,
                                    None if method == "fullgrad" else name)
                for row, made in enumerate(maps):
                    wanted = peer_maps(method, network, getattr(network, part), x, row)
                    report.add(f"{method:14s} {name:28s} thing {row}", made, wanted)
        if args.write:
            write_expected(folder, network, layers, x)
    return int(not report.ok)


if __name__ == "__main__":
    sys.exit(main())
