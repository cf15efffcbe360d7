"""Networks as torchvision, timm and Keras export them, with random weights, against ONNX Runtime.

    python networks.py LIBRARY [--only NAME]

Each is the architecture's own sequence of blocks at a small width and size. The largest difference may be 1e-3 of the
reference's range. The last line counts; the exit status is 1 when a network differs or does not run.
"""
import argparse
import pathlib
import sys
import tempfile

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tagmask import Failure, Tagmask

LIMIT = 1e-3


class Builder:
    """A graph under construction; methods take and return names of values."""

    def __init__(self, opset, seed=1):
        self.opset, self.random = opset, numpy.random.default_rng(seed)
        self.nodes, self.weights, self.channels = [], [], {}

    def op(self, kind, *inputs, channels=None, **attributes):
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"/{name}", **attributes))
        self.channels[name] = channels if channels is not None else self.channels.get(inputs[0])
        return name

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.asarray(array), name))
        return name

    def noise(self, *shape, scale=1.0, shift=0.0):
        return self.constant((self.random.standard_normal(shape) * scale + shift).astype(numpy.float32))

    def ints(self, *values):
        return self.constant(numpy.array(values, numpy.int64))

    def scalar(self, value):
        return self.constant(numpy.float32(value))

    def conv(self, x, out, kernel=3, stride=1, groups=1, bias=False, pads=None, **attributes):
        into = self.channels[x]
        taps = kernel * kernel * into // groups
        inputs = [x, self.noise(out, into // groups, kernel, kernel, scale=(2 / taps) ** 0.5)]
        if bias:
            inputs.append(self.noise(out, scale=0.1))
        if "auto_pad" not in attributes:
            attributes["pads"] = pads or [kernel // 2] * 4
        return self.op("Conv", *inputs, channels=out, kernel_shape=[kernel] * 2, strides=[stride] * 2, group=groups,
                       **attributes)

    def norm(self, x):
        n = self.channels[x]
        return self.op("BatchNormalization", x, self.noise(n, scale=0.1, shift=1), self.noise(n, scale=0.1),
                       self.noise(n, scale=0.1), self.constant(self.random.uniform(0.5, 1.5, n).astype(numpy.float32)))

    def block(self, x, out, kernel=3, stride=1, groups=1, act="Relu"):
        x = self.norm(self.conv(x, out, kernel, stride, groups))
        return self.act(x, act)

    def act(self, x, kind):
        if kind == "relu6":
            return self.op("Clip", x, self.scalar(0), self.scalar(6))
        if kind == "silu":
            return self.op("Mul", x, self.op("Sigmoid", x))
        if kind == "gelu":  # as torch writes it before opset 20
            half = self.op("Mul", x, self.op("Add", self.op("Erf", self.op("Div", x, self.scalar(2 ** 0.5))),
                                             self.scalar(1)))
            return self.op("Mul", half, self.scalar(0.5))
        if kind == "hardswish":  # as torch writes it before opset 14
            gate = self.op("Clip", self.op("Add", x, self.scalar(3)), self.scalar(0), self.scalar(6))
            return self.op("Div", self.op("Mul", x, gate), self.scalar(6))
        return self.op(kind, x) if kind else x

    def gate(self, x, squeezed, inner="Relu", outer="Sigmoid"):
        """Squeeze and excite."""
        n = self.channels[x]
        s = self.op("ReduceMean", x, axes=[2, 3], keepdims=1) if self.opset < 18 else self.op("GlobalAveragePool", x)
        s = self.act(self.conv(s, squeezed, 1, bias=True), inner)
        s = self.conv(s, n, 1, bias=True)
        s = self.op("HardSigmoid", s, alpha=1 / 6, beta=0.5) if outer == "hard" else self.op("Sigmoid", s)
        return self.op("Mul", x, s)

    def dense(self, x, out):
        n = self.channels[x]
        return self.op("Gemm", x, self.noise(out, n, scale=n ** -0.5), self.noise(out, scale=0.1), transB=1, channels=out)

    def head(self, x, classes=10):
        return self.dense(self.op("Flatten", self.op("GlobalAveragePool", x), axis=1), classes)

    def layer_norm(self, x, n):
        """Over the last dimension; in primitives before opset 17, as torch writes it."""
        scale, bias = self.noise(n, scale=0.1, shift=1), self.noise(n, scale=0.1)
        if self.opset >= 17:
            return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-6)
        centred = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1]))
        variance = self.op("ReduceMean", self.op("Pow", centred, self.scalar(2)), axes=[-1])
        deviation = self.op("Sqrt", self.op("Add", variance, self.scalar(1e-6)))
        return self.op("Add", self.op("Mul", self.op("Div", centred, deviation), scale), bias)

    def linear(self, x, into, out):
        """On the last dimension."""
        product = self.op("MatMul", x, self.noise(into, out, scale=into ** -0.5))
        return self.op("Add", product, self.noise(out, scale=0.1))

    def model(self, output, shape):
        dims = ["n", *shape[1:]]
        graph = helper.make_graph(self.nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
                                  [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def start(opset, channels=3):
    b = Builder(opset)
    b.channels["x"] = channels
    return b


def resnet(bottleneck):
    b = start(11)
    x = b.op("MaxPool", b.block("x", 16, 7, 2), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for width, stride in ((16, 1), (32, 2), (64, 2), (128, 2)):
        for step in range(2):
            s, out = (stride if step == 0 else 1), width * (4 if bottleneck else 1)
            if bottleneck:
                y = b.block(b.block(x, width, 1), width, 3, s)
                y = b.norm(b.conv(y, out, 1))
            else:
                y = b.norm(b.conv(b.block(x, width, 3, s), out, 3))
            if s != 1 or b.channels[x] != out:
                x = b.norm(b.conv(x, out, 1, s))
            x = b.op("Relu", b.op("Add", y, x))
    return b, b.head(x), (2, 3, 96, 96)


def mobilenet_v2():
    b = start(13)
    x = b.block("x", 16, 3, 2, act="relu6")
    for out, stride, grow in ((8, 1, 1), (12, 2, 6), (12, 1, 6), (16, 2, 6), (24, 2, 6), (24, 1, 6)):
        inner = b.channels[x] * grow
        y = b.block(x, inner, 1, act="relu6") if grow > 1 else x
        y = b.norm(b.conv(b.block(y, inner, 3, stride, inner, "relu6"), out, 1))
        x = b.op("Add", x, y) if stride == 1 and b.channels[x] == out else y
    return b, b.head(b.block(x, 64, 1, act="relu6")), (1, 3, 80, 112)


def mobilenet_v3():
    b = start(13)
    x = b.block("x", 16, 3, 2, act="hardswish")
    for kernel, inner, out, gated, act, stride in ((3, 16, 16, True, "Relu", 2), (3, 72, 24, False, "Relu", 2),
                                                   (5, 96, 40, True, "hardswish", 2),
                                                   (5, 120, 40, True, "hardswish", 1)):
        y = b.block(x, inner, 1, act=act)
        y = b.block(y, inner, kernel, stride, inner, act)
        if gated:
            y = b.gate(y, inner // 4, outer="hard")
        y = b.norm(b.conv(y, out, 1))
        x = b.op("Add", x, y) if stride == 1 and b.channels[x] == out else y
    x = b.op("Flatten", b.op("GlobalAveragePool", b.block(x, 96, 1, act="hardswish")), axis=1)
    return b, b.dense(b.act(b.dense(x, 64), "hardswish"), 10), (1, 3, 96, 96)


def efficientnet():
    b = start(17)
    x = b.block("x", 16, 3, 2, act="silu")
    for kernel, grow, out, stride in ((3, 1, 8, 1), (3, 6, 12, 2), (5, 6, 16, 2), (5, 6, 16, 1), (3, 6, 24, 2)):
        inner = b.channels[x] * grow
        y = b.block(x, inner, 1, act="silu") if grow > 1 else x
        y = b.gate(b.block(y, inner, kernel, stride, inner, "silu"), max(b.channels[x] // 4, 1), "silu")
        y = b.norm(b.conv(y, out, 1))
        x = b.op("Add", x, y) if stride == 1 and b.channels[x] == out else y
    return b, b.head(b.block(x, 64, 1, act="silu")), (1, 3, 75, 101)


def convnext(opset, act):
    b = start(opset)
    def channels_last_norm(x, n):
        x = b.op("Transpose", x, perm=[0, 2, 3, 1])
        return b.op("Transpose", b.layer_norm(x, n), perm=[0, 3, 1, 2], channels=n)
    x = channels_last_norm(b.conv("x", 16, 4, 4, bias=True, pads=[0] * 4), 16)
    for stage, n in enumerate((16, 32, 64)):
        if stage:
            x = b.conv(channels_last_norm(x, n // 2), n, 2, 2, bias=True, pads=[0] * 4)
        for _ in range(2):
            y = b.op("Transpose", b.conv(x, n, 7, groups=n, bias=True), perm=[0, 2, 3, 1])
            y = b.linear(b.act(b.linear(b.layer_norm(y, n), n, 4 * n), act), 4 * n, n)
            y = b.op("Mul", y, b.noise(n, scale=0.5))
            x = b.op("Add", x, b.op("Transpose", y, perm=[0, 3, 1, 2], channels=n), channels=n)
    x = b.op("Flatten", b.op("GlobalAveragePool", x), axis=1, channels=64)
    return b, b.dense(b.layer_norm(x, 64), 10), (1, 3, 96, 64)


def densenet():
    b = start(9)
    x = b.op("MaxPool", b.block("x", 16, 7, 2), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage in range(3):
        for _ in range(3):
            y = b.conv(b.op("Relu", b.norm(x)), 32, 1)
            y = b.conv(b.op("Relu", b.norm(y)), 8, 3)
            x = b.op("Concat", x, y, axis=1, channels=b.channels[x] + 8)
        if stage < 2:
            x = b.conv(b.op("Relu", b.norm(x)), b.channels[x] // 2, 1)
            x = b.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    return b, b.head(b.op("Relu", b.norm(x))), (1, 3, 96, 96)


def vgg():
    b = start(12)
    x = "x"
    for out in (8, "M", 16, "M", 32, 32, "M"):
        x = (b.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]) if out == "M"
             else b.op("Relu", b.conv(x, out, bias=True)))
    x = b.op("Flatten", b.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), axis=1, channels=32 * 16)
    return b, b.dense(b.op("Dropout", b.op("Relu", b.dense(x, 64))), 10), (2, 3, 64, 64)


def unet(opset, learned):
    b = start(opset)
    def double(x, out):
        return b.block(b.block(x, out), out)
    skips, x = [], "x"
    for out in (8, 16, 32):
        x = double(x, out)
        skips.append(x)
        x = b.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    x = double(x, 48)
    for skip in reversed(skips):
        n = b.channels[skip]
        if learned:
            x = b.op("ConvTranspose", x, b.noise(b.channels[x], n, 2, 2, scale=0.2), b.noise(n, scale=0.1), channels=n,
                     kernel_shape=[2, 2], strides=[2, 2])
        else:  # to the size of the skip, as torch's interpolate is exported: sizes from Shape, Slice and Concat
            size = b.op("Slice", b.op("Shape", skip), b.ints(2), b.ints(4), b.ints(0))
            count = b.op("Slice", b.op("Shape", x), b.ints(0), b.ints(2), b.ints(0))
            x = b.op("Resize", x, "", "", b.op("Concat", count, size, axis=0), mode="linear",
                     coordinate_transformation_mode="half_pixel", channels=b.channels[x])
        x = double(b.op("Concat", x, skip, axis=1, channels=b.channels[x] + n), n)
    return b, b.op("Sigmoid", b.conv(x, 1, 1, bias=True)), (1, 3, 64, 96) if learned else (1, 3, 65, 91)


def keras_mobilenet():
    """Channels last at the edges, TF's SAME padding, ReLU6 as Clip, mean over both axes."""
    b = start(15)
    x = b.op("Transpose", "x", perm=[0, 3, 1, 2], channels=3)
    x = b.op("Sub", b.op("Mul", x, b.scalar(2)), b.scalar(1))
    x = b.act(b.norm(b.conv(x, 16, 3, 2, auto_pad="SAME_UPPER")), "relu6")
    for out, stride in ((24, 1), (32, 2), (32, 1), (48, 2)):
        n = b.channels[x]
        x = b.act(b.norm(b.conv(x, n, 3, stride, n, auto_pad="SAME_UPPER")), "relu6")
        x = b.act(b.norm(b.conv(x, out, 1)), "relu6")
    x = b.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    x = b.op("Add", b.op("MatMul", x, b.noise(48, 10, scale=0.15)), b.noise(10))
    return b, b.op("Softmax", x, axis=-1), (1, 97, 75, 3)


def transformer(fused):
    """Patches, class token, positions, two blocks; attention as primitives or as the operator (opset 23)."""
    b, n, heads = start(23 if fused else 16), 48, 4
    x = b.conv("x", n, 8, 8, bias=True, pads=[0] * 4)
    x = b.op("Transpose", b.op("Reshape", x, b.ints(0, n, -1)), perm=[0, 2, 1])
    x = b.op("Add", b.op("Concat", b.noise(1, 1, n), x, axis=1), b.noise(1, 49, n, scale=0.2))
    for _ in range(2):
        y = b.layer_norm(x, n)
        q, k, v = (b.linear(y, n, n) for _ in range(3))
        if fused:
            y = b.op("Attention", q, k, v, q_num_heads=heads, kv_num_heads=heads)
        else:
            q, k, v = (b.op("Transpose", b.op("Reshape", t, b.ints(0, -1, heads, n // heads)), perm=perm)
                       for t, perm in ((q, [0, 2, 1, 3]), (k, [0, 2, 3, 1]), (v, [0, 2, 1, 3])))
            scores = b.op("Softmax", b.op("Mul", b.op("MatMul", q, k), b.scalar((n // heads) ** -0.5)), axis=-1)
            y = b.op("Reshape", b.op("Transpose", b.op("MatMul", scores, v), perm=[0, 2, 1, 3]), b.ints(0, -1, n))
        x = b.op("Add", x, b.op("Mul", b.linear(y, n, n), b.noise(n)))
        x = b.op("Add", x, b.linear(b.act(b.linear(b.layer_norm(x, n), n, 4 * n), "gelu"), 4 * n, n))
    x = b.op("Gather", b.layer_norm(x, n), b.constant(numpy.int64(0)), axis=1)
    return b, b.op("Gemm", x, b.noise(n, 10), b.noise(10)), (1, 3, 64, 48)


NETWORKS = {
    "resnet-basic": lambda: resnet(False), "resnet-bottleneck": lambda: resnet(True), "mobilenet-v2": mobilenet_v2,
    "mobilenet-v3": mobilenet_v3, "efficientnet": efficientnet, "convnext-primitives": lambda: convnext(14, "gelu"),
    "convnext-operators": lambda: convnext(20, "Gelu"), "densenet": densenet, "vgg": vgg,
    "unet-resize": lambda: unet(13, False), "unet-transposed": lambda: unet(11, True), "keras-mobilenet": keras_mobilenet,
    "transformer": lambda: transformer(False), "transformer-attention": lambda: transformer(True),
}


def difference(tagmask, name, folder):
    """The largest difference as a share of the reference's range, and whether a second run gave the same bits."""
    builder, output, shape = NETWORKS[name]()
    path = folder / f"{name}.onnx"
    onnx.save(builder.model(output, shape), path)
    x = numpy.random.default_rng(7).standard_normal(shape).astype(numpy.float32)
    expected = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    first, second = (tagmask.run(path, {"x": x})[output] for _ in range(2))
    if first.shape != expected.shape:
        raise ValueError(f"shape {first.shape}, expected {expected.shape}")
    share = numpy.abs(first - expected).max() / max(float(numpy.ptp(expected)), 1e-12)
    return share, first.tobytes() == second.tobytes()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    tagmask = Tagmask(arguments.library)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            if arguments.only not in name:
                continue
            try:
                share, same = difference(tagmask, name, pathlib.Path(folder))
                good = share <= LIMIT and same
                print(f"{name:24s} {share:.1e} of the range{'' if same else ', a second run differs'}", flush=True)
            except (Failure, ValueError) as error:
                good = False
                print(f"{name:24s} {error}", flush=True)
            passed, failed = passed + good, failed + (not good)
    tagmask.close()
    print(f"{tagmask.device_name}: {passed} networks agree, {failed} do not")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
