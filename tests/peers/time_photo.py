"""Times a whole warm photo beside a Python reference in one run: classifier at three scales with mirror images, saliency
with its mirror image, fusion, dense CRF.

  python tests/peers/time_photo.py REFERENCE.py MODEL.onnx PHOTO TAG [--size 500x375] [--rounds 3]

`python REFERENCE.py MODEL.onnx --time PHOTO` is to do the same work on the CPU and to end its output with "N ms", the
median of its warm runs. The programs alternate; medians are printed. VK_ICD_FILENAMES chooses tagmask's driver.
"""
import argparse, os, re, statistics, subprocess, sys, tempfile
from PIL import Image


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("reference", "model", "photo", "tag"):
        parser.add_argument(name)
    parser.add_argument("--tool", default="build/tests/time_photo")
    parser.add_argument("--size", default="500x375")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        photo = os.path.join(folder, "photo.png")
        size = tuple(int(side) for side in args.size.split("x"))
        Image.open(args.photo).convert("RGB").resize(size, Image.BICUBIC).save(photo)
        for _ in range(args.rounds):
            # The first of the tool's four runs also creates pipelines; the reference leaves its first out by itself.
            ours += [float(line) for line in output_of(args.tool, photo, args.tag, "4").split()[1:]]
            text = output_of(sys.executable, args.reference, args.model, "--time", photo)
            theirs.append(float(re.search(r"([0-9.]+) ms\s*$", text)[1]))
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{args.size}: tagmask {mine:.0f} ms ({min(ours):.0f} to {max(ours):.0f}), reference {other:.0f} ms "
          f"({min(theirs):.0f} to {max(theirs):.0f}), ratio {mine / other:.2f}")


if __name__ == "__main__":
    main()
