"""Compares gradients of whole networks with PyTorch's, and with --write makes the fixtures of the tests.

  apt-get install python3-torch python3-onnx        (Debian 12: PyTorch 1.13.1; any later one will do)
  /usr/bin/python3 tests/peers/compare_gradients.py [--build build] [--models build/models] [--only NAME]
  /usr/bin/python3 tests/peers/compare_gradients.py --only vit-s-focus --size 518

PyTorch evaluates the ONNX file node by node in double precision and differentiates it with its own autograd; tagmask
(build/tests/gradients) reads the same file, input and weights of the outputs. Prints for each tensor the largest
difference as a share of the reference's largest value, and in brackets that of PyTorch itself in single precision; the
exit status is 1 if one of tagmask's exceeds 1e-3. VK_ICD_FILENAMES chooses the driver. Gradients jump where a feature is
at a kink of Relu or Clip: of pictures with millions of features some are so near to one that rounding decides, in any
program, which is why the networks see small ones. Networks:

    efficientnet-lite0   the pack at 64 x 64, on the picture of data/networks/make.py and noise: scores of two classes
    residual             a small network with residual sums, whose weights are made by a formula here and in the test
    resnet-basic, -bottleneck    those of conformance/networks.py: ResNet-18's and -50's blocks, random weights
    vit-s-focus          the pack, a ViT-S/14 with a decoder, at 112 x 140 (or --size, square): all its outputs, each with
                         a weight made by a formula

--write tests/data/gradients writes NAME.txt of the first two and the last, which tests/e2e/test_gradient_networks.c reads:
for each gradient its size, norm and largest value, and some of its numbers.
"""
import argparse, os, pathlib, subprocess, sys, tempfile, types
import numpy as np, onnx, torch
from onnx import helper, numpy_helper
from torch.nn import functional

TESTS = pathlib.Path(__file__).resolve().parent.parent
SAMPLES, LIMIT = 40, 1e-3


# ---- ONNX operators as PyTorch computes them: f(inputs, attributes).

def number(array):
    t = torch.from_numpy(np.array(array))
    return t.to(torch.get_default_dtype()) if t.is_floating_point() else t


def integers(t):
    return [int(n) for n in t.reshape(-1)]


def padded(x, attrs, value=0.0):
    pads = attrs.get("pads", [0] * 4)
    return functional.pad(x, (pads[1], pads[3], pads[0], pads[2]), value=value)


def conv(i, a):
    return functional.conv2d(padded(i[0], a), i[1], i[2] if len(i) > 2 else None, a.get("strides", 1), 0,
                             a.get("dilations", 1), a.get("group", 1))


def conv_transpose(i, a):
    assert len(set(a["pads"])) == 1 and "output_padding" not in a
    return functional.conv_transpose2d(i[0], i[1], i[2] if len(i) > 2 else None, a["strides"], a["pads"][0])


def gemm(i, a):
    assert a.get("alpha", 1) == a.get("beta", 1) == 1 and not a.get("transA", 0)
    return i[0] @ (i[1].T if a.get("transB", 0) else i[1]) + i[2]


def reshape(i, a):
    return i[0].reshape([i[0].shape[d] if n == 0 else n for d, n in enumerate(integers(i[1]))])


def unsqueeze(i, a):
    x = i[0]
    for axis in sorted(integers(i[1])):
        x = x.unsqueeze(axis)
    return x


def cut(i, a):
    starts, ends = integers(i[1]), integers(i[2])
    axes = integers(i[3]) if len(i) > 3 else list(range(len(starts)))
    steps = integers(i[4]) if len(i) > 4 else [1] * len(starts)
    view = [slice(None)] * i[0].dim()
    for axis, start, end, step in zip(axes, starts, ends, steps):
        view[axis] = slice(start, end, step)
    return i[0][tuple(view)]


def resize(i, a):
    assert a["coordinate_transformation_mode"] == b"half_pixel" and a.get("cubic_coeff_a", -0.75) == -0.75
    mode = {b"linear": "bilinear", b"cubic": "bicubic"}[a["mode"]]
    return functional.interpolate(i[0], integers(i[3])[2:], mode=mode, align_corners=False)


def divide(i, a):
    return i[0] / i[1] if i[0].is_floating_point() else torch.div(i[0], i[1], rounding_mode="trunc")


def cast(i, a):
    return i[0].to(torch.get_default_dtype()) if a["to"] in (1, 10, 11) else i[0].long()


OPERATORS = {
    "Add": lambda i, a: i[0] + i[1], "Sub": lambda i, a: i[0] - i[1], "Mul": lambda i, a: i[0] * i[1], "Div": divide,
    "Pow": lambda i, a: i[0] ** i[1], "Sqrt": lambda i, a: i[0].sqrt(), "Erf": lambda i, a: i[0].erf(),
    "Relu": lambda i, a: i[0].relu(), "Sigmoid": lambda i, a: i[0].sigmoid(),
    "Clip": lambda i, a: i[0].clamp(float(i[1]), float(i[2])), "Equal": lambda i, a: i[0] == i[1],
    "Where": lambda i, a: torch.where(i[0], i[1], i[2]), "MatMul": lambda i, a: i[0] @ i[1], "Gemm": gemm,
    "Softmax": lambda i, a: i[0].softmax(a.get("axis", -1)),
    "ReduceMean": lambda i, a: i[0].mean(a["axes"], keepdim=bool(a.get("keepdims", 1))),
    "GlobalAveragePool": lambda i, a: i[0].mean((2, 3), keepdim=True),
    "BatchNormalization": lambda i, a: functional.batch_norm(i[0], i[3], i[4], i[1], i[2], eps=a.get("epsilon", 1e-5)),
    "Conv": conv, "ConvTranspose": conv_transpose, "Resize": resize,
    "MaxPool": lambda i, a: functional.max_pool2d(padded(i[0], a, -np.inf), a["kernel_shape"], a["strides"]),
    "Flatten": lambda i, a: i[0].flatten(1), "Reshape": reshape, "Unsqueeze": unsqueeze, "Slice": cut, "Cast": cast,
    "Transpose": lambda i, a: i[0].permute(a["perm"]), "Concat": lambda i, a: torch.cat(i, a["axis"]),
    "Gather": lambda i, a: i[0].index_select(a.get("axis", 0), i[1].reshape(-1)).reshape(
        i[0].shape[:a.get("axis", 0)] + i[1].shape + i[0].shape[a.get("axis", 0) + 1:]),
    "Expand": lambda i, a: i[0] * torch.ones(integers(i[1]), dtype=i[0].dtype),
    "Shape": lambda i, a: torch.tensor(i[0].shape), "Constant": lambda i, a: number(numpy_helper.to_array(a["value"])),
    "ConstantOfShape": lambda i, a: number(numpy_helper.to_array(a["value"])).expand(integers(i[0])),
}


def evaluate(graph, x, names):
    """All values by name; gradients of those called `names` can be asked for."""
    values = {i.name: number(numpy_helper.to_array(i)) for i in graph.initializer}
    values[graph.input[0].name] = number(x)
    for name in set(names) & set(values):
        values[name].requires_grad_()
    for node in graph.node:
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        made = OPERATORS[node.op_type]([values[i] if i else None for i in node.input], attrs)
        # A tensor of its own, whatever autograd would otherwise do without it.
        values[node.output[0]] = made.requires_grad_() if node.output[0] in names else made
    return values


def reference(n, precision):
    """For each seed the gradients, in that precision."""
    torch.set_default_dtype(precision)
    values = evaluate(n.model.graph, n.x, n.names)
    wanted = [values[name] for name in n.names]
    return [[g.numpy() for g in torch.autograd.grad(values[n.of], wanted, number(seed), retain_graph=True)]
            for _, seed in n.seeds]


# ---- Networks.

def made(seed, shape, low, high):
    """As in the test: a multiplicative hash of the index."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    bits = ((i * 2654435761 + seed * 40503) % 2**32) >> 16
    return (np.float32(low) + np.float32(high - low) * bits.astype(np.float32) / np.float32(65536)).reshape(shape)


def one_hot(count, *indices):
    """(label, seed) for each class."""
    return [(str(index), np.eye(count, dtype=np.float32)[None, index]) for index in indices]


def network(model, x, names, seeds, of=None):
    return types.SimpleNamespace(model=model, x=x, names=names, seeds=seeds, of=of or model.graph.output[0].name)


def picture(height, width):
    """That of data/networks/make.py, which writes its own fixtures when it is imported."""
    source = (TESTS / "data" / "networks" / "make.py").read_text()
    names = {"np": np}
    exec(source[source.index("def picture"):source.index("def efficientnet")], names)
    return names["picture"](height, width)


def efficientnet(args):
    model = onnx.load(os.path.join(args.models, "efficientnet-lite0", "model.onnx"))
    # With noise for which no input of a Clip is nearer to its kinks than 1.2e-6 of the largest.
    x = ((picture(64, 64) - 127) / np.float32(128)).astype(np.float32)[None] + made(110, (1, 3, 64, 64), -0.25, 0.25)
    weight = next(node.input[1] for node in model.graph.node if node.output[0] == "_blocks.5._depthwise_conv")
    return network(model, x, ["_bn1.relu6", "_blocks.10._bn2", "input", weight], one_hot(1000, 285, 736))


def vit(args):
    model = onnx.load(os.path.join(args.models, "vit-s-focus", "model.onnx"))
    height, width = (args.size, args.size) if args.size else (112, 140)
    mean, scale = (np.array(v, np.float32)[:, None, None] for v in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
    x = ((picture(height, width) - mean) / scale).astype(np.float32)[None]
    block = "/backbone/encoder/layer.{}/attention/attention/Softmax_output_0".format
    names = ["input_image", block(0), block(11), "/backbone/encoder/layer.5/Add_1_output_0",
             "backbone.embeddings.cls_token", "backbone.embeddings.patch_embeddings.projection.weight",
             "backbone.encoder.layer.0.norm1.weight", "onnx::MatMul_1966", "decoder.upconv2.weight"]
    return network(model, x, names, [("all", made(1, (1, 1, height, width), -1, 1))])


def resnet(bottleneck):
    sys.path.insert(0, str(TESTS / "conformance"))
    sys.modules.setdefault("onnxruntime", types.ModuleType("onnxruntime"))  # not for building a network
    import networks
    builder, output, shape = networks.resnet(bottleneck)
    model = builder.model(output, shape)
    sums = [node.output[0] for node in model.graph.node if node.op_type == "Add"]
    kernels = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    scales = [node.input[1] for node in model.graph.node if node.op_type == "BatchNormalization"]
    names = ["x", sums[0], sums[-2], sums[-1], kernels[0], kernels[1], kernels[-1], scales[4],
             model.graph.node[-1].input[1]]
    seed = np.repeat(one_hot(10, 3)[0][1], shape[0], 0)
    return network(model, made(2, shape, -2, 2), names, [("3", seed)])


def residual():
    nodes, start, seeds = [], {}, iter(range(1, 100))

    def add(op, inputs, output, **attrs):
        nodes.append(helper.make_node(op, inputs, [output], **attrs))
        return output

    def parameter(name, shape, low, high):
        start[name] = made(next(seeds), shape, low, high)
        return name

    def unit(x, name, inputs, outputs, kernel, stride):
        reach = (2.0 / (inputs * kernel * kernel)) ** 0.5 * 2
        w = parameter(name + ".w", (outputs, inputs, kernel, kernel), -reach, reach)
        y = add("Conv", [x, w], name + ".conv", strides=[stride] * 2, pads=[kernel // 2] * 4)
        p = [parameter(name + end, (outputs,), low, high)
             for end, low, high in ((".scale", 0.5, 1.5), (".bias", -0.2, 0.2), (".mean", -0.1, 0.1), (".variance", 0.5, 1.5))]
        return add("BatchNormalization", [y, *p], name)

    x = add("Relu", [unit("x", "stem", 3, 8, 3, 1)], "stem.relu")
    x = add("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    y = unit(add("Relu", [unit(x, "a1", 8, 8, 3, 1)], "a1.relu"), "a2", 8, 8, 3, 1)
    x = add("Relu", [add("Add", [y, x], "a.sum")], "a")
    y = unit(add("Relu", [unit(x, "b1", 8, 16, 3, 2)], "b1.relu"), "b2", 16, 16, 3, 1)
    x = add("Relu", [add("Add", [y, unit(x, "b3", 8, 16, 1, 2)], "b.sum")], "b")
    x = add("Flatten", [add("GlobalAveragePool", [x], "mean")], "flat")
    add("Gemm", [x, parameter("fc.w", (10, 16), -0.5, 0.5), parameter("fc.b", (10,), -0.1, 0.1)], "y", transB=1)
    x = made(next(seeds), (1, 3, 20, 20), -1, 1)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "residual", [value("x", 1, [1, 3, 20, 20])], [value("y", 1, [1, 10])],
                              [numpy_helper.from_array(v, k) for k, v in start.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    names = ["x", "b", "a", "stem.w", "a1.w", "b3.w", "a2.scale", "b1.bias", "fc.w", "fc.b"]
    return network(model, x, names, one_hot(10, 3))


NETWORKS = {"residual": lambda args: residual(), "resnet-basic": lambda args: resnet(False),
            "resnet-bottleneck": lambda args: resnet(True), "efficientnet-lite0": efficientnet, "vit-s-focus": vit}
FIXTURES = ("residual", "efficientnet-lite0", "vit-s-focus")


# ---- Both programs.

def of_tagmask(args, n, folder, seed):
    onnx.save(n.model, os.path.join(folder, "model.onnx"))
    np.save(os.path.join(folder, "x.npy"), n.x)
    np.save(os.path.join(folder, "seed.npy"), seed)
    subprocess.run([os.path.join(args.build, "tests", "gradients"), os.path.join(folder, "model.onnx"), n.of,
                    os.path.join(folder, "x.npy"), os.path.join(folder, "seed.npy"), folder, *n.names], check=True)
    return [np.load(os.path.join(folder, f"{k}.npy")) for k in range(len(n.names))]


def difference(made, wanted):
    share = np.abs(made - wanted).max() / np.abs(wanted).max()
    return share if share == share else np.inf


def compare(args, name, n, wanted):
    worst, single = 0, reference(n, torch.float32)
    for (label, seed), exact, rounded in zip(n.seeds, wanted, single):
        with tempfile.TemporaryDirectory() as folder:
            made = of_tagmask(args, n, folder, seed)
        for tensor, ours, theirs, peer in zip(n.names, made, exact, rounded):
            assert ours.shape == theirs.shape, (tensor, ours.shape, theirs.shape)
            share = difference(ours, theirs)
            worst = max(worst, share)
            print(f"{name:20s} {label:4s} {tensor:64s} {'x'.join(map(str, ours.shape)):14s} {share:.1e} "
                  f"({difference(peer, theirs):.1e})", flush=True)
    return worst


def write(path, n, wanted):
    lines = [f"{len(n.seeds)} {len(n.names)}"]
    for (label, _), references in zip(n.seeds, wanted):
        for tensor, gradient in zip(n.names, references):
            flat = gradient.ravel()
            # The larger half, evenly: zeros would say little.
            order = np.argsort(-np.abs(flat), kind="stable")[: max(flat.size // 2, min(flat.size, SAMPLES))]
            chosen = np.sort(order[np.linspace(0, order.size - 1, min(SAMPLES, order.size)).astype(np.int64)])
            lines.append(f"{label} {tensor} {flat.size} {np.linalg.norm(flat):.9g} {np.abs(flat).max():.9g} {chosen.size}")
            lines += [f"{i} {flat[i]:.9g}" for i in chosen]
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--models", default="build/models")
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--size", type=int, help="of vit-s-focus, in px")
    parser.add_argument("--write", metavar="FOLDER", type=pathlib.Path)
    args = parser.parse_args()
    worst = 0
    for name in [args.only] if args.only else NETWORKS:
        n = NETWORKS[name](args)
        wanted = reference(n, torch.float64)
        worst = max(worst, compare(args, name, n, wanted))
        if args.write and name in FIXTURES:
            write(args.write / f"{name}.txt", n, wanted)
    return int(not worst <= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
