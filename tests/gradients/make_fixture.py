"""Makes the fixtures of tests/e2e/test_gradient_networks.c: gradients of whole networks, computed with numpy in float64.

    python make_fixture.py MODELS_FOLDER     (needs numpy and onnx; writes data/gradients/NAME.txt; a minute)

Reverse mode over the few operators of these networks, written here on its own and checked against a central difference
along a random direction before anything is written. Two networks:

    efficientnet-lite0    the fetched model at 224x224, on the picture of data/networks/make.py: gradients of the score of
                          two classes by the last features, by the features of block 10, and by the picture
    residual              a small network with residual sums, whose weights are made by a formula here and in the test
"""
import pathlib
import sys

import numpy as np
import onnx

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = 40


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


# ---- Operators: forward(inputs, attributes) -> output, and backward(g, inputs, output, attributes) -> gradients.

def windows(shape, kernel, attrs):
    """For each tap, the slices of the padded input that the outputs see."""
    strides, pads = attrs.get("strides", [1, 1]), attrs.get("pads", [0] * 4)
    out = [(shape[2 + d] + pads[d] + pads[2 + d] - kernel[d]) // strides[d] + 1 for d in range(2)]
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            yield y, x, (Ellipsis, slice(y, y + strides[0] * (out[0] - 1) + 1, strides[0]),
                         slice(x, x + strides[1] * (out[1] - 1) + 1, strides[1]))


def padded(x, attrs, value=0.0):
    pads = attrs.get("pads", [0] * 4)
    return np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=value)


def cropped(x, shape, attrs):
    pads = attrs.get("pads", [0] * 4)
    return x[:, :, pads[0]:pads[0] + shape[2], pads[1]:pads[1] + shape[3]]


def grouped(x, groups):
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def conv(inputs, attrs):
    x, w, groups = inputs[0], inputs[1], attrs.get("group", 1)
    wide, wg, y = padded(x, attrs), w.reshape(groups, -1, *w.shape[1:]), 0
    for ky, kx, view in windows(x.shape, w.shape[2:], attrs):
        y = y + np.einsum("ngihw,goi->ngohw", grouped(wide[view], groups), wg[..., ky, kx], optimize=True)
    y = y.reshape(y.shape[0], -1, *y.shape[3:])
    return y + inputs[2][:, None, None] if len(inputs) > 2 else y


def conv_back(g, inputs, _, attrs):
    x, w, groups = inputs[0], inputs[1], attrs.get("group", 1)
    wide, wg, gg = padded(x, attrs), w.reshape(groups, -1, *w.shape[1:]), grouped(g, groups)
    dx, dw = np.zeros_like(wide), np.zeros_like(wg)
    for ky, kx, view in windows(x.shape, w.shape[2:], attrs):
        part = np.einsum("ngohw,goi->ngihw", gg, wg[..., ky, kx], optimize=True)
        dx[view] += part.reshape(part.shape[0], -1, *part.shape[3:])
        dw[..., ky, kx] += np.einsum("ngohw,ngihw->goi", gg, grouped(wide[view], groups), optimize=True)
    return [cropped(dx, x.shape, attrs), dw.reshape(w.shape), g.sum((0, 2, 3))]


def batch_norm(inputs, attrs):
    x, scale, bias, mean, variance = inputs
    column = (slice(None), None, None)
    return (x - mean[column]) * (scale / np.sqrt(variance + attrs.get("epsilon", 1e-5)))[column] + bias[column]


def batch_norm_back(g, inputs, _, attrs):
    x, scale, _, mean, variance = inputs
    inverse = 1 / np.sqrt(variance + attrs.get("epsilon", 1e-5))
    normal = (x - mean[:, None, None]) * inverse[:, None, None]
    return [g * (scale * inverse)[:, None, None], (g * normal).sum((0, 2, 3)), g.sum((0, 2, 3)), None, None]


def max_pool(inputs, attrs):
    wide, y = padded(inputs[0], attrs, -np.inf), None
    for _, _, view in windows(inputs[0].shape, attrs["kernel_shape"], attrs):
        y = wide[view] if y is None else np.maximum(y, wide[view])
    return y


def max_pool_back(g, inputs, y, attrs):
    wide = padded(inputs[0], attrs, -np.inf)
    dx, open_ = np.zeros_like(wide), np.ones_like(y, bool)
    for _, _, view in windows(inputs[0].shape, attrs["kernel_shape"], attrs):
        first = open_ & (wide[view] == y)
        dx[view] += g * first
        open_ &= ~first
    return [cropped(dx, inputs[0].shape, attrs)]


def pool_back(g, inputs, _, attrs):
    return [np.broadcast_to(g, inputs[0].shape) / np.prod(inputs[0].shape[2:])]


OPERATORS = {
    "Conv": (conv, conv_back),
    "BatchNormalization": (batch_norm, batch_norm_back),
    "Clip": (lambda i, a: np.clip(i[0], i[1], i[2]), lambda g, i, y, a: [g * ((y > i[1]) & (y < i[2])), None, None]),
    "Relu": (lambda i, a: np.maximum(i[0], 0), lambda g, i, y, a: [g * (y > 0)]),
    "Add": (lambda i, a: i[0] + i[1], lambda g, i, y, a: [g, g]),
    "MaxPool": (max_pool, max_pool_back),
    "GlobalAveragePool": (lambda i, a: i[0].mean((2, 3), keepdims=True), pool_back),
    "Flatten": (lambda i, a: i[0].reshape(i[0].shape[0], -1), lambda g, i, y, a: [g.reshape(i[0].shape)]),
    "Gemm": (lambda i, a: i[0] @ i[1].T + i[2], lambda g, i, y, a: [g @ i[1], g.T @ i[0], g.sum(0)]),
}


# ---- Networks.

def forward(graph, values):
    values = dict(values)
    for node in graph.node:
        values[node.output[0]] = OPERATORS[node.op_type][0]([values[i] for i in node.input], attributes(node))
    return values


def backward(graph, values, seed):
    gradients = {graph.output[0].name: seed}
    for node in reversed(graph.node):
        g = gradients[node.output[0]]
        made = OPERATORS[node.op_type][1](g, [values[i] for i in node.input], values[node.output[0]], attributes(node))
        for name, part in zip(node.input, made):
            if part is not None:
                gradients[name] = gradients[name] + part if name in gradients else part
    return gradients


def check(graph, values, gradients, seed, name):
    """The derivative along a random direction, by differences."""
    direction = np.random.default_rng(1).standard_normal(values[name].shape)
    direction *= 1e-9 / np.abs(direction).max() * max(np.abs(values[name]).max(), 1e-3)
    start = {i.name: values[i.name] for i in list(graph.input)} | {i.name: values[i.name] for i in graph.initializer}
    ends = [(forward(graph, start | {name: values[name] + sign * direction})[graph.output[0].name] * seed).sum()
            for sign in (1, -1)]
    expected, got = (ends[0] - ends[1]) / 2, (gradients[name] * direction).sum()
    assert abs(expected - got) <= 1e-4 * max(abs(expected), abs(got)), (name, expected, got)


def write(target, graph, start, classes, names):
    values = forward(graph, start)
    lines = [f"{len(classes)} {len(names)}"]
    for index in classes:
        seed = np.zeros_like(values[graph.output[0].name])
        seed[0, index] = 1
        gradients = backward(graph, values, seed)
        for name in names:
            if name in start:
                check(graph, values, gradients, seed, name)
            flat = gradients[name].ravel()
            # The larger half, evenly: zeros would say little.
            order = np.argsort(-np.abs(flat), kind="stable")[: max(flat.size // 2, min(flat.size, SAMPLES))]
            chosen = np.sort(order[np.linspace(0, order.size - 1, min(SAMPLES, order.size)).astype(np.int64)])
            lines.append(f"{index} {name} {flat.size} {np.linalg.norm(flat):.9g} {chosen.size}")
            lines += [f"{i} {flat[i]:.9g}" for i in chosen]
    (HERE.parent / "data" / "gradients" / target).write_text("\n".join(lines) + "\n")


def picture(height, width):
    """That of data/networks/make.py, which writes its own fixtures when it is imported."""
    source = (HERE.parent / "data" / "networks" / "make.py").read_text()
    names = {"np": np}
    exec(source[source.index("def picture"):source.index("def efficientnet")], names)
    return names["picture"](height, width)


def efficientnet(models):
    graph = onnx.load(models / "efficientnet-lite0" / "model.onnx").graph
    start = {i.name: onnx.numpy_helper.to_array(i).astype(np.float64) for i in graph.initializer}
    start["input"] = ((picture(224, 224) - 127) / np.float32(128)).astype(np.float32).astype(np.float64)[None]
    write("efficientnet-lite0.txt", graph, start, [285, 736], ["_bn1.relu6", "_blocks.10._bn2", "input"])


def made(seed, shape, low, high):
    """As in the test: a multiplicative hash of the index."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    bits = ((i * 2654435761 + seed * 40503) % 2**32) >> 16
    return (np.float32(low) + np.float32(high - low) * bits.astype(np.float32) / np.float32(65536)).reshape(shape)


def residual():
    helper, nodes, start, seeds = onnx.helper, [], {}, iter(range(1, 100))

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
    start["x"] = made(next(seeds), (1, 3, 20, 20), -1, 1)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "residual", [value("x", 1, [1, 3, 20, 20])], [value("y", 1, [1, 10])],
                              [onnx.numpy_helper.from_array(v, k) for k, v in start.items() if k != "x"])
    names = ["x", "b", "a", "stem.w", "a1.w", "b3.w", "a2.scale", "b1.bias", "fc.w", "fc.b"]
    write("residual.txt", graph, {k: v.astype(np.float64) for k, v in start.items()}, [3], names)


residual()
efficientnet(pathlib.Path(sys.argv[1]))
