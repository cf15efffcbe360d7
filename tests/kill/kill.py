#!/usr/bin/env python3
"""Kills a batch with SIGKILL again and again and looks at what is left.

    python3 tests/kill/kill.py [--kills N] [--seed N] [--tagmask PROGRAM] [--real]

Small crops of the pinned photos (TAGMASK_PHOTOS, else build/photos) are proposed for in all formats, into a folder where
a person has worked before. After each kill every label file must be whole, and the person's work there; the next run
goes on with --resume. Runs are killed until one comes through: the folder must then be the one that a run without kills
leaves. The same follows with another threshold in that folder, after the person has worked on proposals.

The networks are tiny ones (build/tests/tiny_packs), so that a run takes a tenth of a second; --real takes the
default classifier.

Prints one line of figures; the exit status is 1 at the first thing that is wrong, which is named and kept for a look.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import whole
from crops import write_crops

FORMATS = "labelme,coco,coco-rle,coco-rle-crowd,voc,yolo,cvat,label-studio,label-studio-polygon,overlay,prob,heatmap"
COCO_FILES = ("coco.json", "coco-rle.json", "coco-rle-crowd.json")
TAGS = ("cat", "cup")
PHOTOS = ("1.png", "a/1.png", "a/2.png", "a/deep/1.png", "b/1.png", "b/2.png")
SETTINGS = ("--preset", "fast", "--crf-iterations", "0", "--working-size", "128", "--score-limit", "-1")
TIMEOUT = 120


class Wrong(Exception):
    """Something that must not be; its text says what."""


class Batch:
    """The command, and the folder it writes to."""

    def __init__(self, program, packs, folder):
        self.program = program
        self.packs = packs
        self.folder = folder
        self.out = folder / "out"

    def start(self, *more, out=None):
        command = [self.program, "propose", "photos", "--out", (out or self.out).name, "--format", FORMATS, *SETTINGS,
                   *self.packs]
        for tag in TAGS:
            command += ["--tag", tag]
        return subprocess.Popen(command + list(more), cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(self, *more, out=None):
        process = self.start(*more, out=out)
        text, errors = process.communicate(timeout=TIMEOUT)
        if process.returncode != 0:
            raise Wrong(f"a run ended with {process.returncode}: {text}{errors}")
        return text


# ---- The person


def plant(out):
    """What a person has drawn before the first proposal."""
    (out / "a").mkdir(parents=True)
    shape = {"label": "mine", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon", "flags": {}, "group_id": None}
    (out / "a" / "1.json").write_text(json.dumps({
        "version": "5.5.0", "flags": {"checked": True}, "shapes": [shape], "imagePath": "../../photos/a/1.png",
        "imageData": None, "imageHeight": 64, "imageWidth": 96, "note": "by hand"}))
    coco = {"info": {}, "licenses": [], "images": [{"id": 7, "file_name": "b/1.png", "width": 96, "height": 64}],
            "annotations": [{"id": 70, "image_id": 7, "category_id": 3, "segmentation": [[1, 1, 9, 1, 9, 9]],
                             "area": 32, "bbox": [1, 1, 8, 8], "iscrowd": 0, "note": "by hand"}],
            "categories": [{"id": 3, "name": "mine"}]}
    for name in COCO_FILES:
        (out / name).write_text(json.dumps(coco))
    task = {"id": 5, "data": {"image": "/data/local-files/?d=a/2.png"}, "annotations": [{"result": [], "note": "by hand"}]}
    (out / "label-studio.json").write_text(json.dumps([task]))
    (out / "classes.txt").write_text("mine\n")


def work_on_proposals(out):
    """A person moves a corner of one proposal and deletes another; returns what must stay and what must stay away."""
    path = out / "b" / "2.json"
    labels = json.loads(path.read_text())
    labels["shapes"][0]["points"][0][0] += 0.25
    moved = labels["shapes"][0]["points"]
    path.write_text(json.dumps(labels))
    coco = json.loads((out / "coco.json").read_text())
    ours = [a for a in coco["annotations"] if "tagmask" in a]
    ours[0]["segmentation"][0][0] += 0.25
    coco["annotations"].remove(ours[-1])
    (out / "coco.json").write_text(json.dumps(coco))
    deleted = ours[-1]
    return {"labelme": moved, "coco": ours[0]["segmentation"],
            "deleted": (deleted["image_id"], deleted["category_id"], deleted["bbox"])}


def overlap(a, b):
    """Intersection over union of two boxes [x, y, width, height]."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def check_person(out, work):
    labels = json.loads((out / "a" / "1.json").read_text())
    if labels.get("note") != "by hand" or not labels["flags"].get("checked"):
        raise Wrong("a/1.json: members that a person added are lost")
    if not any(shape["label"] == "mine" and shape["points"] == [[1, 1], [9, 1], [9, 9]] for shape in labels["shapes"]):
        raise Wrong("a/1.json: the shape that a person drew is lost")
    for name in COCO_FILES:
        coco = json.loads((out / name).read_text())
        mine = [a for a in coco["annotations"] if a.get("note") == "by hand"]
        images = {image["id"]: image["file_name"] for image in coco["images"]}
        if len(mine) != 1 or mine[0]["id"] != 70 or images.get(mine[0]["image_id"]) != "b/1.png":
            raise Wrong(f"{name}: the annotation that a person drew is lost")
    tasks = json.loads((out / "label-studio.json").read_text())
    about = [t for t in tasks if t["data"]["image"].endswith("?d=a/2.png")]
    if len(about) != 1 or about[0]["annotations"] != [{"result": [], "note": "by hand"}]:
        raise Wrong("label-studio.json: the task that a person worked on is lost or doubled")
    if not (out / "classes.txt").read_text().startswith("mine\n"):
        raise Wrong("classes.txt: the order of classes has changed")
    if not work:
        return
    shapes = json.loads((out / "b" / "2.json").read_text())["shapes"]
    if not any(shape["points"] == work["labelme"] for shape in shapes):
        raise Wrong("b/2.json: the proposal that a person changed is lost")
    annotations = json.loads((out / "coco.json").read_text())["annotations"]
    if not any(a["segmentation"] == work["coco"] for a in annotations):
        raise Wrong("coco.json: the annotation that a person changed is lost")
    image, category, box = work["deleted"]  # another threshold gives the same object another outline, and so another id
    if any((a["image_id"], a["category_id"]) == (image, category) and overlap(a["bbox"], box) >= 0.5 for a in annotations):
        raise Wrong("coco.json: the annotation that a person deleted is back")


def check(out, work, seen):
    whole.check_folder(out, seen)
    check_person(out, work)


# ---- The kills


class Figures:
    def __init__(self):
        self.kills = self.cycles = self.skipped = 0
        self.cut = set()  # temporary files that a kill left


def wait_for_write(process, out, choice):
    """Until a temporary file is there, or the process has ended."""
    seen, wanted = set(), choice.randrange(1, 30)
    while process.poll() is None and len(seen) < wanted:
        for folder in (out, out / "a", out / "a" / "deep", out / "b"):
            if folder.is_dir():
                seen |= {n for n in os.listdir(folder) if n.startswith(".tagmask-") and n.endswith(".tmp")}


def kill_one(batch, choice, usual, arguments, figures):
    """Starts a run and kills it at a random moment. Returns what it printed when it was faster."""
    process = batch.start(*arguments)
    if choice.random() < 0.5:
        wait_for_write(process, batch.out, choice)
    else:
        time.sleep(choice.uniform(0, usual))
    process.kill()
    text, errors = process.communicate(timeout=TIMEOUT)
    if process.returncode == 0:
        return text
    if process.returncode > 0:
        raise Wrong(f"a run that was not killed ended with {process.returncode}: {text}{errors}")
    figures.kills += 1
    return None


def temporaries(out):
    return [p for p in out.rglob("*") if p.name.endswith(".tmp")]


def cycle(batch, choice, usual, more, work, figures, kills):
    """Kills and resumes until a run comes through, which it must after the last kill."""
    seen = {}
    while True:
        if figures.kills < kills:
            text = kill_one(batch, choice, usual, [*more, "--resume"], figures)
        else:
            text = batch.run(*more, "--resume")
        figures.cut |= {p.name for p in temporaries(batch.out)}
        check(batch.out, work, seen)
        if text is not None:
            figures.skipped += int(text.split(" skipped")[0].split()[-1])
            left = temporaries(batch.out)
            if left:
                raise Wrong(f"{left[0]}: is left after a run that came through")
            figures.cycles += 1
            return


def renumbered(text):
    """A new annotation takes the next number, and which that is depends on what was in the file at the start."""
    coco = json.loads(text)
    for number, annotation in enumerate(coco["annotations"]):
        annotation["id"] = number
    return coco


def compare(reference, out):
    def names(folder):
        return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    lists = {".tagmask-done", ".tagmask-yolo"}
    if names(reference) != names(out):
        raise Wrong(f"other files than without kills: {sorted(names(reference) ^ names(out))}")
    for name in names(reference):
        a, b = (reference / name).read_bytes(), (out / name).read_bytes()
        if name in lists:
            a, b = set(a.split(b"\n")), set(b.split(b"\n")) | {b""}
            if not a <= b:
                raise Wrong(f"{name}: lacks lines that a run without kills writes")
        elif a != b and (name not in COCO_FILES or renumbered(a) != renumbered(b)):
            raise Wrong(f"{name}: differs from that of a run without kills")


def fresh(out):
    shutil.rmtree(out, ignore_errors=True)
    plant(out)


def run(program, packs, folder, kills, seed, figures):
    photos = pathlib.Path(os.environ.get("TAGMASK_PHOTOS", "build/photos"))
    choice = random.Random(seed)
    batch, first, second = Batch(program, packs, folder), folder / "first", folder / "second"
    other = ["--threshold", "0.3"]
    write_crops(photos, [folder / "photos" / name for name in PHOTOS])
    for _ in range(2):  # the second time finds the pipelines in the cache
        fresh(first)
        start = time.monotonic()
        batch.run(out=first)
        usual = time.monotonic() - start
    shutil.copytree(first, second)
    work = work_on_proposals(second)
    batch.run(*other, out=second)
    check(first, None, {})
    check(second, work, {})
    while figures.kills < kills:
        fresh(batch.out)
        cycle(batch, choice, usual, [], None, figures, kills)
        compare(first, batch.out)
        work_on_proposals(batch.out)
        cycle(batch, choice, usual, other, work, figures, kills)
        compare(second, batch.out)


def main():
    parser = argparse.ArgumentParser(description="kills a batch again and again and looks at what is left")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tagmask", default="build/bin/tagmask")
    parser.add_argument("--real", action="store_true")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tagmask-kill-"))
    program = pathlib.Path(os.path.abspath(options.tagmask))
    figures, start = Figures(), time.monotonic()
    tiny = subprocess.Popen([program.parent.parent / "tests" / "tiny_packs"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    packs = ["--model", tiny.stdout.readline().strip(), "--saliency", tiny.stdout.readline().strip()]
    if options.real:
        packs = ["--saliency", "none"]
    try:
        run(program, packs, folder, options.kills, options.seed, figures)
    except (Wrong, whole.Damaged) as wrong:
        print(f"after {figures.kills} kills (seed {options.seed}): {wrong}\nthe folder is kept: {folder}")
        return 1
    finally:
        tiny.communicate()
    shutil.rmtree(folder)
    print(f"{figures.kills} kills, of which {len(figures.cut)} in the middle of a file; {figures.cycles} batches came "
          f"through, {figures.skipped} photos of them skipped as done; all files whole, no work of a person lost; "
          f"{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
