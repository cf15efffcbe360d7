"""Times the dense CRF beside pydensecrf in one run: set-up and inference, 5 iterations, 3/3 and 80/13/10.

  python tests/peers/time_crf.py [--tool build/tests/time_crf] [--runs 5] [--size 500x375] [--labels 2,21] PHOTO

Needs pydensecrf, numpy and pillow. Energies are noise. Runs alternate; medians are printed, then on how many pixels both
take the same label, the mean difference of their marginals, and the device memory that tagmask used. --alone leaves
pydensecrf out, for sizes that it has no memory for.
"""
import argparse, statistics, subprocess, tempfile, time
import numpy as np
from PIL import Image


def peer(photo, unary):
    import pydensecrf.densecrf as densecrf

    labels, height, width = unary.shape
    start = time.perf_counter()
    field = densecrf.DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(np.ascontiguousarray(unary.reshape(labels, -1)))
    field.addPairwiseGaussian(sxy=3, compat=3)
    field.addPairwiseBilateral(sxy=80, srgb=13, rgbim=photo, compat=10)
    marginals = np.array(field.inference(5))
    return (time.perf_counter() - start) * 1e3, marginals.reshape(unary.shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo")
    parser.add_argument("--tool", default="build/tests/time_crf")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", default="500x375")
    parser.add_argument("--labels", default="2,21")
    parser.add_argument("--alone", action="store_true")
    args = parser.parse_args()
    size = tuple(int(side) for side in args.size.split("x"))
    photo = np.array(Image.open(args.photo).convert("RGB").resize(size, Image.BICUBIC), order="C")
    for labels in (int(number) for number in args.labels.split(",")):
        unary = np.random.default_rng(1).uniform(0, 4, (labels, size[1], size[0])).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/photo.npy", np.concatenate([photo, photo[..., :1]], 2).astype(np.float32))
            np.save(f"{folder}/unary.npy", unary)
            ours, theirs, expected = [], [], None
            for _ in range(args.runs):
                # Three runs of the tool: the first also creates pipelines, as every process does once.
                out = subprocess.run([args.tool, f"{folder}/photo.npy", f"{folder}/unary.npy", "3", f"{folder}/out.npy"],
                                     check=True, stdout=subprocess.PIPE, text=True).stdout
                *times, memory = out.split()
                ours += [float(time) for time in times[1:]]
                if not args.alone:
                    taken, expected = peer(photo, unary)
                    theirs.append(taken)
            found = np.load(f"{folder}/out.npy")
        line = f"{args.size}, {labels} labels: tagmask {statistics.median(ours):.0f} ms"
        if theirs:
            other = statistics.median(theirs)
            same = np.mean(found.argmax(0) == expected.argmax(0))
            line += f", pydensecrf {other:.0f} ms, ratio {statistics.median(ours) / other:.2f}"
            line += f", labels agree on {100 * same:.2f} %, mean difference {np.abs(found - expected).mean():.4f}"
        print(f"{line}, {int(memory) / 2**20:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
