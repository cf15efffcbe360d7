"""Times the dense CRF beside pydensecrf in one run: set-up and inference, 5 iterations, 3/3 and 80/13/10.

  python tests/peers/time_crf.py [--tool build/tests/time_crf] [--runs 5] [--size 500x375] PHOTO

Needs pydensecrf, numpy and pillow. Energies are noise of 2 and of 21 labels. Runs alternate; medians are printed.
"""
import argparse, statistics, subprocess, tempfile, time
import numpy as np, pydensecrf.densecrf as densecrf
from PIL import Image


def peer(photo, unary):
    labels, height, width = unary.shape
    start = time.perf_counter()
    field = densecrf.DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(np.ascontiguousarray(unary.reshape(labels, -1)))
    field.addPairwiseGaussian(sxy=3, compat=3)
    field.addPairwiseBilateral(sxy=80, srgb=13, rgbim=photo, compat=10)
    np.array(field.inference(5))
    return (time.perf_counter() - start) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo")
    parser.add_argument("--tool", default="build/tests/time_crf")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", default="500x375")
    args = parser.parse_args()
    size = tuple(int(side) for side in args.size.split("x"))
    photo = np.array(Image.open(args.photo).convert("RGB").resize(size, Image.BICUBIC), order="C")
    for labels in (2, 21):
        unary = np.random.default_rng(1).uniform(0, 4, (labels, size[1], size[0])).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/photo.npy", np.concatenate([photo, photo[..., :1]], 2).astype(np.float32))
            np.save(f"{folder}/unary.npy", unary)
            ours, theirs = [], []
            for _ in range(args.runs):
                # Three runs of the tool: the first also creates pipelines, as every process does once.
                out = subprocess.run([args.tool, f"{folder}/photo.npy", f"{folder}/unary.npy", "3", f"{folder}/out.npy"],
                                     check=True, capture_output=True, text=True).stdout
                ours += [float(line) for line in out.split()[1:]]
                theirs.append(peer(photo, unary))
        mine, other = statistics.median(ours), statistics.median(theirs)
        print(f"{args.size}, {labels} labels: tagmask {mine:.0f} ms, pydensecrf {other:.0f} ms, ratio {mine / other:.2f}",
              flush=True)


if __name__ == "__main__":
    main()
