"""The ONNX project's own node tests (package onnx, onnx.backend.test.case.node), as files.

    python cases.py OUT        writes OUT/NAME/{model.onnx, input_I.npy, output_I.npy, case.json}

Collecting takes half a minute, so a finished folder is kept: OUT/VERSION holds the package's version.
"""
import json
import pathlib
import shutil
import sys
import warnings

import numpy
import onnx
from onnx.backend.test.case.node import collect_testcases


def tensor_values(item):
    """The array of a test's input or output; None for sequences, optionals and strings."""
    if isinstance(item, onnx.TensorProto):
        item = onnx.numpy_helper.to_array(item)
    if not isinstance(item, (numpy.ndarray, numpy.generic)) or numpy.asarray(item).dtype.kind in "OSU":
        return None
    return numpy.asarray(item)


def type_name(value):
    """The element type as ONNX names it, or the kind of a type that is no tensor."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return kind.removesuffix("_type")
    return onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()


def write_case(case, folder):
    model = case.model
    inputs, outputs = case.data_sets[0]
    arrays = {}
    for kind, items in (("input", inputs), ("output", outputs)):
        for i, item in enumerate(items):
            arrays[f"{kind}_{i}"] = tensor_values(item)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for name, array in arrays.items():
        if array is None:
            continue
        if array.dtype.kind not in "fiub":  # bfloat16, float8, int4 and the like come as ml_dtypes
            array = array.astype(numpy.float32) if array.dtype.kind != "c" else array
        if array.dtype.kind != "c":
            numpy.save(folder / f"{name}.npy", array)
    domains = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    (folder / "case.json").write_text(json.dumps({
        "operators": sorted({node.op_type for node in model.graph.node}),
        "domains": domains, "rtol": case.rtol, "atol": case.atol,
        "inputs": [[value.name, type_name(value)] for value in model.graph.input],
        "outputs": [[value.name, type_name(value)] for value in model.graph.output]}))


def main():
    out = pathlib.Path(sys.argv[1])
    stamp = out / "VERSION"
    if stamp.exists() and stamp.read_text() == onnx.__version__:
        return
    shutil.rmtree(out, ignore_errors=True)
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in collect_testcases(None):
            if not (out / case.name).exists():
                write_case(case, out / case.name)
    stamp.write_text(onnx.__version__)


if __name__ == "__main__":
    main()
