"""Whether label files are whole: each parses, and where it bears a hash of its content, the hash is right."""

import json
import math
import struct
import zlib

MASK = (1 << 64) - 1


class Damaged(Exception):
    """A file that is not whole; its text says which and why."""


def fnv(data, seed=0):
    value = seed ^ 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def require(condition, path, what):
    if not condition:
        raise Damaged(f"{path}: {what}")


def parse(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise Damaged(f"{path}: is no JSON: {error}") from error


def json_hash(item, seed):
    """tm_json_hash of host/io/kept.c; the kinds are cJSON's."""
    kinds = {type(None): 4, int: 8, float: 8, str: 16, list: 32, dict: 64}
    value = fnv(bytes([1 + item if isinstance(item, bool) else kinds[type(item)]]), seed)
    if isinstance(item, (int, float)) and not isinstance(item, bool):
        return fnv(struct.pack("<d", item + 0.0), value)
    if isinstance(item, str):
        return fnv(item.encode(), value)
    if isinstance(item, dict):
        total = sum(json_hash(child, fnv(key.encode(), 1)) for key, child in item.items())
        return fnv(struct.pack("<Q", total & MASK), value)
    for child in item if isinstance(item, list) else ():
        value = json_hash(child, value)
    return value


# ---- One function a kind of file; each is called with the file and the folder of the batch


def labelme(path, _):
    root = parse(path)
    for shape in root["shapes"]:
        if "tagmask" not in shape:
            continue
        value = fnv(shape["shape_type"].encode(), fnv(shape["label"].encode(), 2))
        for point in shape["points"]:
            for number in point:
                value = fnv(struct.pack("<q", math.floor(number * 64 + 0.5)), value)
        touched = f"{json_hash(shape['group_id'], value):016x}" != shape["tagmask"]["id"]
        require(not touched or path.as_posix().endswith("b/2.json"), path, "the hash of a proposal is wrong")
    if "tagmask" in root:
        ids = {p["id"] for p in root["tagmask"]["proposals"]}
        ours = {s["tagmask"]["id"] for s in root["shapes"] if "tagmask" in s}
        require(ours <= ids, path, "a proposal is not in its list")


def coco(path, _):
    root = parse(path)
    images = {image["id"] for image in root["images"]}
    names = [image["file_name"] for image in root["images"]]
    categories = {c["id"]: c["name"] for c in root["categories"]}
    ids = [a["id"] for a in root["annotations"]]
    require(len(set(ids)) == len(ids) and len(images) == len(root["images"]), path, "an id stands twice")
    require(len(set(names)) == len(names), path, "an image stands twice")
    changed = 0
    for item in root["annotations"]:
        require(item["image_id"] in images and item["category_id"] in categories, path, "an id stands for nothing")
        if "tagmask" in item:
            value = fnv(categories[item["category_id"]].encode(), 2)
            for member in ("segmentation", "bbox", "iscrowd"):
                value = json_hash(item[member], value)
            changed += f"{value:016x}" != item["tagmask"]["id"]
    require(changed <= 1, path, "the hash of an annotation is wrong")  # one may be a person's


def label_studio(path, _):
    tasks = parse(path)
    images = [task["data"]["image"] for task in tasks]
    require(len(set(images)) == len(images), path, "a task stands twice")
    for task in tasks:
        if "meta" in task:
            value = json_hash(task["predictions"], json_hash(task["data"], 2))
            require(f"{value:016x}" == task["meta"]["tagmask"], path, "the hash of a task is wrong")


def cvat(path, _):
    data = path.read_bytes()
    require(data[-34:] == b"<!-- tagmask %016x -->\n" % fnv(data[:-34], 1), path, "the seal is wrong")


def yolo(path, out):
    if path.name == "classes.txt":
        require(path.read_text().endswith("\n"), path, "ends inside a line")
        return
    classes = (out / "classes.txt").read_text().split("\n")[:-1]
    for line in path.read_text().split("\n")[:-1]:
        number, *shares = line.split(" ")
        require(int(number) < len(classes), path, "a class has no name")
        require(len(shares) >= 6 and len(shares) % 2 == 0, path, "a line is cut short")
        require(all(0 <= float(share) <= 1 for share in shares), path, "a share is none")
    below = path.relative_to(out)
    folder = below.parent.as_posix() + "/" if below.parent.name else ""
    name = fnv(below.name.encode(), fnv(folder.encode(), 1))
    line = f"{name:016x} {fnv(path.read_bytes(), name):016x}"
    record = (out / ".tagmask-yolo").read_text().split("\n")
    require(f"? {line}" in record, path, "is not in the record")


def png(path, _):
    data = path.read_bytes()
    require(data[:8] == b"\x89PNG\r\n\x1a\n", path, "is no PNG")
    at, pixels, mark, kind = 8, 0, None, b""
    while at < len(data):
        require(at + 12 <= len(data), path, "ends inside a chunk")
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body, crc = data[at + 8:at + 8 + size], data[at + 8 + size:at + 12 + size]
        require(crc == struct.pack(">I", zlib.crc32(kind + body)), path, "the checksum of a chunk is wrong")
        if kind in (b"IDAT", b"PLTE"):
            pixels = fnv(body, pixels)
        if kind == b"tEXt" and body.startswith(b"tagmask\0"):
            mark = body[8:]
        at += 12 + size
    require(kind == b"IEND", path, "has no end")
    require(mark == b"%016x" % pixels, path, "the hash of the pixels is wrong")


def npy(path, _):
    data = path.read_bytes()
    require(data[:6] == b"\x93NUMPY", path, "is no array")
    size = struct.unpack("<H", data[8:10])[0]
    head = data[10:10 + size].decode()
    require("'<f4'" in head, path, "is not float32")
    height, width = (int(n) for n in head.split("(")[1].split(")")[0].split(",")[:2])
    require(len(data) == 10 + size + 4 * height * width, path, "its size is wrong")


def journal(path, _):
    lines = path.read_bytes().split(b"\n")
    require(lines[-1] == b"", path, "ends inside a line")
    for line in lines[:-1]:
        require(line[:17] == b"%016x\t" % fnv(line[17:]), path, "the hash of a line is wrong")


def record(path, _):
    require(all(len(line) in (0, 35) for line in path.read_text().split("\n")), path, "a line is cut short")


def kind_of(path):
    collecting = {"coco.json": coco, "coco-rle.json": coco, "coco-rle-crowd.json": coco, "cvat.xml": cvat, "label-studio.json": label_studio,
                  "label-studio-polygon.json": label_studio, ".tagmask-done": journal, ".tagmask-yolo": record}
    endings = {".json": labelme, ".txt": yolo, ".png": png, ".npy": npy}
    hidden = path.name.startswith(".tagmask-") and path.suffix in (".tmp", ".lock")
    return None if hidden else collecting.get(path.name) or endings.get(path.suffix) or unknown


def unknown(path, _):
    raise Damaged(f"{path}: nobody asked for this file")


def check_folder(out, seen):
    """Checks all files; `seen` remembers those that were whole and are as they were."""
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        check = kind_of(path)
        info = path.stat()
        state = (info.st_ino, info.st_size, info.st_mtime_ns)
        if check and seen.get(path) != state:
            check(path, out)
            seen[path] = state
