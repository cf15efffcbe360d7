"""Runs the ONNX project's node tests through the shared library.

    python run.py LIBRARY CASES [--only TEXT] [--list FILE] [--table docs/operators.md --operators FILE]

CASES is what cases.py wrote. A case passes when every output has the expected shape and values within the case's own
tolerance; types that the library does not compute with run in wider ones (float16 and float64 in float32, with the
tolerance of float16 and float32). Cases of other types are skipped, by the type's name. What the library refuses with a
clear error (an operator or a mode that it does not have) is counted apart. The last line counts; the exit status is 1
when a case failed: a wrong answer, or a refusal of another kind.

--table rewrites the table in a document, between its two marks; --operators is the output of tests/list_operators.
"""
import argparse
import collections
import json
import pathlib
import sys

import numpy

from tagmask import DTYPES, Failure, Tagmask

UNSUPPORTED = 4
# Element types that are computed with, and what arrays of them become on the way in.
WIDENED = {"float": "float32", "double": "float32", "float16": "float32", "int8": "int8", "uint8": "uint8", "int32": "int32", "int64": "int64",
           "bool": "bool"}
TOLERANCE = {"float16": (1e-2, 1e-3), "double": (1e-4, 1e-5)}


def read_arrays(folder, kind, described):
    arrays = []
    for i, (name, _) in enumerate(described):
        path = folder / f"{kind}_{i}.npy"
        arrays.append(numpy.load(path) if path.exists() else None)
    return arrays


def skip_reason(case):
    """The first type that nothing here computes with; '' when there is none."""
    for _, element in case["inputs"] + case["outputs"]:
        if element not in WIDENED:
            return element
    return ""


def differs(actual, expected, rtol, atol):
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, expected {expected.shape}"
    if expected.dtype.kind in "iub" and actual.dtype.kind in "iub":
        return "" if numpy.array_equal(actual.astype(numpy.int64), expected.astype(numpy.int64)) else "values differ"
    actual, expected = actual.astype(numpy.float64), expected.astype(numpy.float64)
    if numpy.allclose(actual, expected, rtol, atol, equal_nan=True):
        return ""
    with numpy.errstate(all="ignore"):
        return f"largest difference {numpy.nanmax(numpy.abs(actual - expected)):.3g}"


def run_case(tagmask, folder, case):
    """'' when the case passes, else why not; raises Failure when the library refuses it."""
    inputs = {}
    for (name, element), array in zip(case["inputs"], read_arrays(folder, "input", case["inputs"])):
        inputs[name] = array.astype(WIDENED[element])
    outputs = tagmask.run(folder / "model.onnx", inputs)
    rtol, atol = case["rtol"], max(case["atol"], 1e-6)
    for _, element in case["inputs"] + case["outputs"]:
        rtol, atol = (max(a, b) for a, b in zip((rtol, atol), TOLERANCE.get(element, (0, 0))))
    for (name, _), expected in zip(case["outputs"], read_arrays(folder, "output", case["outputs"])):
        why = differs(outputs[name], expected, rtol, atol)
        if why:
            return f"{name}: {why}"
    return ""


def outcome(tagmask, folder, case):
    """(passed | skipped | unsupported | failed, why)"""
    reason = skip_reason(case)
    if reason:
        return "skipped", reason
    try:
        why = run_case(tagmask, folder, case)
    except Failure as failure:
        return ("unsupported" if failure.status == UNSUPPORTED else "failed"), str(failure)
    return ("failed", why) if why else ("passed", "")


def tested_operator(name, case):
    """The operator a case is about: its only one, or the one that its name starts with."""
    plain = name.removeprefix("test_").replace("_", "").lower()
    fitting = [op for op in case["operators"] if plain.startswith(op.lower())]
    return max(fitting, key=len) if fitting else case["operators"][0] if len(case["operators"]) == 1 else "(composed)"


# ---- The table of docs/operators.md

BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
# What the shape rules refuse, in words.
LIMITS = {
    "Conv": "1-D and 2-D", "ConvTranspose": "1-D and 2-D", "MaxPool": "float", "BatchNormalization": "inference",
    "Dropout": "inference", "Einsum": "float, one or two operands", "GridSample": "2-D and 3-D",
    "LayerNormalization": "scale and bias of the normalized shape",
    "RMSNormalization": "scale of the normalized shape",
    "MatMul": "float", "Gemm": "float", "ReduceL2": "float", "ReduceLogSum": "float", "ReduceLogSumExp": "float",
    "ReduceMean": "not over an empty dimension", "ReduceMax": "integers not over an empty dimension",
    "ReduceMin": "integers not over an empty dimension", "Pad": "wrap without negative pads",
    "ArgMax": "not over an empty dimension", "ArgMin": "not over an empty dimension",
}


def counted(rows):
    """For each operator: cases passed, and the reasons of those skipped and refused with their counts."""
    table = collections.defaultdict(lambda: [0, collections.Counter(), collections.Counter()])
    for _, operator, state, why in rows:
        if state == "passed":
            table[operator][0] += 1
        elif state == "skipped":
            table[operator][1][why] += 1
        elif state == "unsupported":
            table[operator][2][why.split(": ")[-1]] += 1
    return table


def in_words(reasons):
    return ", ".join(f"{count} {why}" for why, count in sorted(reasons.items())) or "0"


def write_table(path, operators, rows):
    table = counted(rows)
    lines = ["| operator | opsets | limits | gradient | passed | skipped, by data type | refused, with why |\n",
             "|---|---|---|---|---|---|---|\n"]
    for line in sorted(pathlib.Path(operators).read_text().splitlines()):
        name, since, until, gradient = line.split("\t")
        passed, skipped, refused = table[name]
        lines.append(f"| {name} | {since} to {until if until != '0' else 'current'} | {LIMITS.get(name, '')} | {gradient} | {passed} | "
                     f"{in_words(skipped)} | {in_words(refused)} |\n")
    text = path.read_text()
    path.write_text(text[:text.index(BEGIN) + len(BEGIN)] + "".join(lines) + text[text.index(END):])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("cases", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--list", type=pathlib.Path)
    parser.add_argument("--table", type=pathlib.Path)
    parser.add_argument("--operators")
    arguments = parser.parse_args()
    tagmask = Tagmask(arguments.library)
    rows = []
    for path in sorted(arguments.cases.glob("*/case.json")):
        if arguments.only not in path.parent.name:
            continue
        case = json.loads(path.read_text())
        state, why = outcome(tagmask, path.parent, case)
        rows.append((path.parent.name, tested_operator(path.parent.name, case), state, why))
        if state == "failed":
            print(f"{path.parent.name}: {why}", file=sys.stderr, flush=True)
    tagmask.close()
    if arguments.list:
        arguments.list.write_text("".join("\t".join(row).replace("\n", " ") + "\n" for row in rows))
    if arguments.table:
        write_table(arguments.table, arguments.operators, rows)
    counts = collections.Counter(state for _, _, state, _ in rows)
    print(f"{tagmask.device_name}: " + ", ".join(f"{counts[state]} {state}" for state in
                                               ("passed", "skipped", "unsupported", "failed")))
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
