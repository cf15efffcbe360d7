"""Makes the fixtures of tests/e2e/test_networks.c: what ONNX Runtime computes for a picture that the test draws, too.

    python make.py MODELS_FOLDER     (needs numpy, onnx and onnxruntime; writes NAME-HxW.txt beside this file)
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

SAMPLES = 200


def picture(height, width):
    """Integer arithmetic only, so that C draws the same bytes: a gradient, a disc and a checkered square."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    rgb = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)])
    disc = (x * 3 - width) ** 2 + (y * 3 - height) ** 2 < (min(width, height)) ** 2
    rgb[:, disc] = np.array([230, 90, 40])[:, None]
    square = (x * 8 > 5 * width) & (x * 8 < 7 * width) & (y * 8 > 4 * height) & (y * 8 < 7 * height)
    checks = square & ((x // 4 + y // 4) % 2 == 0)
    rgb[:, checks] = np.array([20, 40, 200])[:, None]
    return rgb.astype(np.float32)


def efficientnet(rgb):
    return (rgb - np.float32(127)) / np.float32(128)


def u2net(rgb):
    mean = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
    deviation = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
    return (rgb / np.float32(255) - mean) / deviation


def run(path, tensor):
    model = onnx.load(path)
    for dim, value in zip(model.graph.input[0].type.tensor_type.shape.dim, tensor.shape):
        dim.dim_value = value
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: tensor})


def write(models, name, prepare, height, width):
    outputs = run(models / name / "model.onnx", prepare(picture(height, width))[None])
    lines = [f"{len(outputs)}"]
    for output in outputs:
        flat = output.astype(np.float64).ravel()
        shape = " ".join(map(str, output.shape))
        lines.append(f"{output.ndim} {shape} {flat.min():.9g} {flat.max():.9g} {flat.mean():.9g}")
        indices = np.unique(np.linspace(0, flat.size - 1, SAMPLES).astype(np.int64) // 7 * 7)
        lines.append(f"{len(indices)}")
        lines += [f"{i} {flat[i]:.9g}" for i in indices]
    target = pathlib.Path(__file__).with_name(f"{name}-{height}x{width}.txt")
    target.write_text("\n".join(lines) + "\n")


folder = pathlib.Path(sys.argv[1])
write(folder, "efficientnet-lite0", efficientnet, 224, 224)
write(folder, "efficientnet-lite0", efficientnet, 160, 288)
write(folder, "u2netp", u2net, 320, 320)
write(folder, "u2netp", u2net, 96, 160)
