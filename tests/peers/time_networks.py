"""Times one network on tagmask, ncnn (Vulkan, the same device) and ONNX Runtime (CPU) in one run.

  python tests/peers/time_networks.py MODEL.onnx SIZE [--tagmask build/bin/tagmask] [--runs N]

Needs ncnn, pnnx, onnxruntime and numpy. Input: 1x3xSIZExSIZE float32 noise; ncnn in fp32. VK_ICD_FILENAMES chooses the
driver for both Vulkan programs. Prints for each the first run and the median of N warm ones in ms, and tagmask's ratios.
"""
import argparse, importlib.util, json, os, statistics, subprocess, sys, tempfile, time
import numpy as np


def timed(run, runs):
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times[0], statistics.median(times[1:])


def run_tagmask(tagmask, model, size, runs):
    command = [tagmask, "bench", model, "--size", str(size), "--runs", str(runs), "--json"]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures["first_ms"], figures["median_ms"]


def run_onnxruntime(model, x, runs):
    import onnxruntime
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    output, name = [session.get_outputs()[0].name], session.get_inputs()[0].name
    return timed(lambda: session.run(output, {name: x}), runs)


def run_ncnn(model, x, runs):
    import ncnn
    converter = importlib.util.find_spec("pnnx").submodule_search_locations[0]
    candidates = [os.path.join(converter, "pnnx"), os.path.join(converter, "bin", "pnnx")]
    tool = next(path for path in candidates if os.path.exists(path))
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.abspath(model), os.path.join(folder, "net.onnx"))
        subprocess.run([tool, "net.onnx", f"inputshape=[{','.join(map(str, x.shape))}]"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        net = ncnn.Net()
        net.opt.use_vulkan_compute = True
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        net.load_param(os.path.join(folder, "net.ncnn.param"))
        net.load_model(os.path.join(folder, "net.ncnn.bin"))

    def run():
        with net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(x[0]))
            return np.array(extractor.extract("out0")[1])
    return timed(run, runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("size", type=int)
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    x = np.random.default_rng(0).standard_normal((1, 3, args.size, args.size)).astype(np.float32)
    rows = {"tagmask": run_tagmask(args.tagmask, args.model, args.size, args.runs),
            "ncnn Vulkan": run_ncnn(args.model, x, args.runs),
            "ONNX Runtime": run_onnxruntime(args.model, x, args.runs)}
    for name, (first, warm) in rows.items():
        print(f"{name:14s} first {first:9.1f} ms   warm {warm:9.1f} ms   / tagmask {warm / rows['tagmask'][1]:6.2f}")


if __name__ == "__main__":
    sys.exit(main())
