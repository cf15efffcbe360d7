"""Label files through the programs they are for: labelme, pycocotools, supervision (YOLO), datumaro and cvat-sdk (CVAT),
label-studio-sdk and Pillow (VOC).

  python real_readers.py LIBTAGMASK

For each format tagmask writes a photo's masks and the other program reads them; then the other program writes them and
tagmask reads. Formats with masks must agree in every pixel. Programs that draw polygons paint the pixels on the outline
as well, to which tagmask's corners between pixels belong by half: their masks must hold ours and no pixel farther than
one from them, and the polygons' area must be exact. What a person changes in labelme or in a COCO file must survive a
second proposal. Prints a line a check; the exit status is 1 if one fails.
"""
import contextlib, io, json, os, pathlib, sys, tempfile, traceback
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr
import stand_ins  # noqa: F401  before the programs
import numpy as np
from loguru import logger
import PIL.Image, PIL.PngImagePlugin
from tagmask import Library

WIDTH, HEIGHT = 161, 119
CAT, CUP = 'katt, "röd"/猫', "coffee cup"
PHOTO = "två katter & 1.png"
TAGS = (CAT, CUP)


def disc(x, y, radius):
    """Of blocks of 4 x 4 pixels: no corner of its outline is within the tolerance of the polygons, so all stay."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] // 4 * 4 + 2
    return (xs - x) ** 2 + (ys - y) ** 2 <= radius ** 2


def parts():
    """Two cats, one of them a ring at the photo's first corner, and a cup that touches the other."""
    cat = disc(100, 60, 30)
    cup = disc(135, 60, 20) & ~cat
    cup[64:HEIGHT, 144:148] = cup[112:HEIGHT, 144:WIDTH] = True  # down to the last corner
    return [(CAT, disc(20, 20, 35) & ~disc(18, 22, 12)), (CAT, cat), (CUP, cup)]


def union(pieces):
    return {tag: np.any([mask for other, mask in pieces if other == tag], 0) for tag in {tag for tag, _ in pieces}}


def label_map(pieces):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for tag, mask in pieces:
        labels[mask] = TAGS.index(tag) + 1
    return labels


def grown(mask):
    padded = np.pad(mask, 1)
    return np.any([padded[y:y + HEIGHT, x:x + WIDTH] for y in range(3) for x in range(3)], 0)


def exact(ours, theirs):
    return bool((ours == theirs).all())


def around(ours, theirs):
    return not (ours & ~theirs).any() and not (theirs & ~grown(ours)).any()


def area(points):
    x, y = np.asarray(points, float).reshape(-1, 2).T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def expect_parts(found, agree=exact):
    """Each part once, whatever the order."""
    wanted = parts()
    expect(len(found) == len(wanted), f"{len(found)} parts, expected {len(wanted)}")
    for tag, mask in wanted:
        expect(sum(tag == other and agree(mask, seen.astype(bool)) for other, seen in found) == 1,
               f"a part of {tag} is not read as it was written")


def expect_masks(result, agree=exact):
    found, wanted = result.masks(), union(parts())
    expect(found.keys() == wanted.keys(), f"tags {sorted(found)}, expected {sorted(wanted)}")
    for tag, mask in wanted.items():
        expect(agree(mask, found[tag]), f"tagmask reads other pixels of {tag}")


class Workplace:
    """A folder with the photo, and a result with the parts in it."""

    def __init__(self, library, folder):
        self.library, self.folder, self.photo = library, pathlib.Path(folder), pathlib.Path(folder) / PHOTO
        noise = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        PIL.Image.fromarray(noise).save(self.photo)
        self.result = self.result_of(parts())

    def result_of(self, pieces):
        picture = PIL.Image.fromarray(label_map(pieces))
        names = PIL.PngImagePlugin.PngInfo()
        names.add_itxt("tagmask-names", json.dumps(TAGS))
        path = self.folder / "masks" / "source.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path, pnginfo=names)
        return self.library.read("voc", path, self.photo, WIDTH, HEIGHT)

    def write(self, format, name, result=None):
        (result or self.result).write(format, self.photo, self.folder)
        return self.folder / name

    def read(self, format, path):
        return self.library.read(format, path, self.photo, WIDTH, HEIGHT)


# ---- labelme


def labelme_save(path, label_file, shapes):
    """As labelme's window does (labelme/app.py, _shape_to_dict and its save)."""
    from labelme.utils import img_arr_to_b64
    saved = []
    for shape in shapes:
        entry = dict(shape["other_data"])
        mask = shape["mask"]
        entry.update(label=shape["label"], points=[(float(x), float(y)) for x, y in shape["points"]],
                     group_id=shape["group_id"], description=shape["description"], shape_type=shape["shape_type"],
                     flags=shape["flags"], mask=None if mask is None else img_arr_to_b64(mask.astype(np.uint8)))
        saved.append(entry)
    label_file.save(filename=str(path), shapes=saved, image_path=label_file.image_path, image_data=label_file.image_data,
                    image_height=HEIGHT, image_width=WIDTH, other_data=label_file.other_data, flags=label_file.flags)


def labelme_parts(shapes):
    from labelme.utils import shapes_to_label
    numbers = {CAT: 1, CUP: 2}
    _, instances = shapes_to_label((HEIGHT, WIDTH), shapes, numbers)
    whole = [(shape["label"], shapes_to_label((HEIGHT, WIDTH), [shape], numbers)[0] > 0) for shape in shapes]
    return whole, instances.max()


def check_labelme(place, format, agree):
    from labelme._label_file import LabelFile
    path = place.write(format, PHOTO.replace(".png", ".json"))
    label_file = LabelFile(str(path))
    found, instances = labelme_parts(label_file.shapes)
    expect_parts(found, agree)
    expect(instances == 3, f"labelme counts {instances} objects, expected two cats and a cup")
    if format == "labelme":
        areas = sorted(area(shape["points"]) for shape in label_file.shapes)
        expect(areas == sorted(mask.sum() for _, mask in parts()), "the polygons' areas are not the parts'")
    # Saved without a change, everything is still a proposal: another result replaces it.
    labelme_save(path, label_file, label_file.shapes)
    expect(json.loads(path.read_text())["imageData"], "labelme was expected to embed the photo")
    expect_masks(place.read(format, path))
    place.write(format, path.name, place.result_of(parts()[:1]))
    expect(len(LabelFile(str(path)).shapes) == 1, "proposals that labelme only saved were kept")
    # One part deleted, one changed, one drawn: all of it stays, and comes back once more after labelme's next save.
    place.write(format, path.name)
    for _ in range(2):
        label_file = LabelFile(str(path))
        shapes = [shape for shape in label_file.shapes if shape["label"] == CUP or shape["description"] == "mine"]
        expect(len(shapes) in (1, 2), f"{len(shapes)} shapes of the person")
        if len(shapes) == 1:
            shapes[0]["points"][0] = [shapes[0]["points"][0][0] + 0.5, shapes[0]["points"][0][1]]
            drawn = dict(shapes[0], label=CAT, points=[[70, 30], [131, 30], [131, 91], [70, 91]], other_data={},
                         shape_type="polygon", description="mine", group_id=4, flags={"checked": True}, mask=None)
            shapes.append(drawn)
        labelme_save(path, label_file, shapes)
        before = json.loads(path.read_text())["shapes"]
        place.write(format, path.name)
        expect(json.loads(path.read_text())["shapes"] == before, "a person's shapes in labelme did not stay alone")


# ---- COCO


def open_coco(path):
    from pycocotools.coco import COCO
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def check_coco(place, format, iscrowd):
    from pycocotools import mask as masks
    path = place.write(format, format + ".json")
    coco = open_coco(path)
    names = {item["id"]: item["name"] for item in coco.dataset["categories"]}
    annotations = coco.loadAnns(coco.getAnnIds(iscrowd=iscrowd))
    expect_parts([(names[item["category_id"]], coco.annToMask(item)) for item in annotations])
    for item in annotations:
        expect(item["area"] == masks.area(coco.annToRLE(item)), "an area is not pycocotools'")
        expect(item["bbox"] == list(masks.toBbox(coco.annToRLE(item))), "a box is not pycocotools'")
    # The same content in another program's words is untouched; a person's category stays.
    rewritten = json.loads(path.read_text(), parse_int=float)
    path.write_text(json.dumps(rewritten, sort_keys=True, indent=1))
    expect_masks(place.read(format, path))
    place.write(format, path.name, place.result_of(parts()[:1]))
    expect(len(open_coco(path).anns) == 1, "annotations that were only written anew were kept")
    rewritten["annotations"][0]["category_id"] = next(key for key, name in names.items() if name == CUP)
    path.write_text(json.dumps(rewritten))
    place.write(format, path.name, place.result_of(parts()[2:]))
    cups = [item for item in open_coco(path).anns.values() if names[item["category_id"]] == CUP]
    expect(len(cups) == 2, f"{len(cups)} annotations of {CUP}, expected a person's and a proposal")
    # What pycocotools packs.
    for number, (tag, mask) in enumerate(parts()):
        code = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        packed = {"size": code["size"], "counts": code["counts"].decode()}
        coco.dataset["annotations"][number].update(segmentation=packed, category_id=TAGS.index(tag) + 1)
    coco.dataset["categories"] = [{"id": i + 1, "name": tag} for i, tag in enumerate(TAGS)]
    path.write_text(json.dumps(coco.dataset))
    expect_masks(place.read(format, path))


# ---- YOLO


def check_yolo(place):
    import supervision
    path = place.write("yolo", PHOTO.replace(".png", ".txt"))
    names = (place.folder / "classes.txt").read_text().splitlines()
    settings = place.folder / "data.yaml"
    settings.write_text("names: " + json.dumps(names))
    labels = place.folder / "labels"
    labels.mkdir()
    os.link(path, labels / path.name)

    def load(folder):
        data = supervision.DetectionDataset.from_yolo(str(place.folder), str(folder), str(settings), force_masks=True)
        _, _, found = next(iter(data))
        return data, [(data.classes[number], mask) for number, mask in zip(found.class_id, found.mask)]

    data, found = load(labels)
    expect_parts(found, around)
    areas = [area(np.array(line.split()[1:], float).reshape(-1, 2) * (WIDTH, HEIGHT)) for line in path.open()]
    expect(np.allclose(sorted(areas), sorted(mask.sum() for _, mask in parts()), atol=0.05), "areas differ")
    # What supervision traces from its masks: corners at pixel centres, so that it loses the half pixels again.
    again = place.folder / "again"
    data.as_yolo(annotations_directory_path=str(again))
    (again / "classes.txt").write_text("".join(name + "\n" for name in names))
    read = place.read("yolo", again / path.name).masks()
    for tag, mask in union(parts()).items():
        expect(around(read[tag], grown(mask)) and (read[tag] & mask).sum() > 0.9 * mask.sum(), f"{tag} differs")


# ---- CVAT


def datumaro_dataset():
    import datumaro
    shapes = [datumaro.Mask(mask, label=TAGS.index(tag)) for tag, mask in parts()]
    media = datumaro.Image.from_numpy(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    item = datumaro.DatasetItem(id="day/one", subset="train", media=media, annotations=shapes)
    return datumaro.Dataset.from_iterable([item], categories=list(TAGS))


def check_cvat(place):
    from cvat_sdk.masks import encode_mask
    from datumaro.components.annotation import AnnotationType
    from datumaro.plugins.data_formats.cvat.base import CvatBase
    from datumaro.plugins.data_formats.cvat.exporter import CvatExporter

    def load(path):
        data = CvatBase(str(path))
        names = [item.name for item in data.categories()[AnnotationType.label]]
        item = next(iter(data))
        return [(names[shape.label], shape.image) for shape in item.annotations]

    (place.folder / "images").mkdir()
    os.link(place.photo, place.folder / "images" / PHOTO)
    path = place.write("cvat", "cvat.xml")
    expect_parts(load(path))
    image = ElementTree.parse(path).find("image")
    expect(image.get("name") == PHOTO, "the photo's name differs")
    codes = [[int(number) for number in mask.get("rle").split(",")] for mask in image.iter("mask")]
    wanted = [encode_mask(mask)[:-4] for _, mask in parts()]
    expect(sorted(codes) == sorted(wanted), "the codes are not those of CVAT's own encoder")
    CvatExporter.convert(datumaro_dataset(), str(place.folder / "theirs"), save_media=False)
    expect_masks(place.library.read("cvat", place.folder / "theirs" / "train.xml", "day/one.jpg", WIDTH, HEIGHT))


# ---- Label Studio


def regions(path, control):
    """The only task and its regions, after label-studio-sdk found them right for a labelling configuration."""
    with contextlib.redirect_stdout(io.StringIO()):  # it names what its other parts miss
        from label_studio_sdk.label_interface import LabelInterface
    labels = "".join(f"<Label value={quoteattr(tag)}/>" for tag in TAGS)
    setting = LabelInterface(f'<View><Image name="image" value="$image"/>{control.format(labels)}</View>')
    task, = json.loads(path.read_text())
    prediction, = task["predictions"]
    errors = setting.validate_prediction(prediction, return_errors=True)
    expect(errors == [], f"label-studio-sdk says: {errors}")
    return task, prediction["result"]


def check_brush(place):
    path = place.write("label-studio", "label-studio.json")
    task, found = regions(path, '<BrushLabels name="tag" toName="image">{}</BrushLabels>')
    with contextlib.redirect_stdout(io.StringIO()):
        from label_studio_sdk.converter import brush
    layers = [(region["value"]["brushlabels"][0],
               brush.decode_rle(region["value"]["rle"]).reshape(HEIGHT, WIDTH, 4)[:, :, 3] > 0) for region in found]
    expect_parts(layers)
    expect(task["data"]["image"] == "/data/local-files/?d=tv%C3%A5%20katter%20%26%201.png", "the address differs")
    for region, (tag, mask) in zip(found, parts()):
        region["value"] = {"format": "rle", "rle": brush.mask2rle(mask.astype(np.uint8) * 255), "brushlabels": [tag]}
    task["annotations"] = [{"result": found}]
    path.write_text(json.dumps([task]))
    expect_masks(place.read("label-studio", path))
    before = path.read_text()
    place.write("label-studio", path.name, place.result_of(parts()[:1]))
    expect(json.loads(path.read_text()) == json.loads(before), "an annotated task was changed")


def check_percent(place):
    import PIL.ImageDraw
    path = place.write("label-studio-polygon", "label-studio-polygon.json")
    _, found = regions(path, '<PolygonLabels name="label" toName="image">{}</PolygonLabels>')
    drawn = []
    for region in found:
        # As label-studio-sdk's converter to COCO makes pixels of percents.
        points = [(x / 100 * region["original_width"], y / 100 * region["original_height"])
                  for x, y in region["value"]["points"]]
        picture = PIL.Image.new("1", (WIDTH, HEIGHT))
        PIL.ImageDraw.Draw(picture).polygon([(round(x), round(y)) for x, y in points], fill=1, outline=1)
        drawn.append((region["value"]["polygonlabels"][0], np.array(picture)))
        expect(any(abs(area(points) - mask.sum()) < 0.05 for _, mask in parts()), "an area differs")
    expect_parts(drawn, around)
    expect_masks(place.read("label-studio-polygon", path))


# ---- VOC


def check_voc(place):
    out = place.folder / "voc"
    place.result.write("voc", place.photo, out)
    path = out / PHOTO
    picture = PIL.Image.open(path)
    expect(picture.mode == "P", f"mode {picture.mode}, expected a palette")
    expect(exact(np.array(picture), label_map(parts())), "the indices differ")
    expect(picture.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0], "the colours differ")
    expect(json.loads(picture.text["tagmask-names"]) == list(TAGS), "the names differ")
    few = PIL.Image.fromarray(label_map(parts()))
    few.putpalette(picture.getpalette()[:12])  # four colours: Pillow packs them in two bits
    void = label_map(parts())
    void[0, :5] = 255
    for name, again in ("few.png", few), ("gray.png", PIL.Image.fromarray(label_map(parts()))), \
            ("void.png", PIL.Image.fromarray(void)):
        again.save(out / name)
        masks = place.read("voc", out / name).masks()
        expect(sorted(masks) == ["aeroplane", "bicycle"], f"{name}: {sorted(masks)}, expected VOC's names")
        stored = np.array(again)
        expect(exact(masks["aeroplane"], stored == 1) and exact(masks["bicycle"], stored == 2), f"{name} differs")


def check_colours(place):
    """VOC in colours with a labelmap.txt, as datumaro and so CVAT export it."""
    from datumaro.plugins.data_formats.voc.exporter import VocSegmentationExporter
    from datumaro.util.image import IMAGE_BACKEND, ImageBackend
    IMAGE_BACKEND.set(ImageBackend.PIL)
    VocSegmentationExporter.convert(datumaro_dataset(), str(place.folder / "voc"), save_media=False,
                                    label_map="source")
    path, = (place.folder / "voc").rglob("SegmentationClass/**/*.png")
    expect(PIL.Image.open(path).mode == "RGB", "datumaro was expected to write colours")
    expect_masks(place.read("voc", path))


CHECKS = {
    "labelme polygons": lambda place: check_labelme(place, "labelme", around),
    "labelme masks": lambda place: check_labelme(place, "labelme-mask", exact),
    "pycocotools polygons": lambda place: check_coco(place, "coco", 0),
    "pycocotools run lengths": lambda place: check_coco(place, "coco-rle", 0),
    "pycocotools crowds": lambda place: check_coco(place, "coco-rle-crowd", 1),
    "supervision YOLO": check_yolo,
    "datumaro and cvat-sdk": check_cvat,
    "label-studio-sdk brush": check_brush,
    "Label Studio polygons": check_percent,
    "Pillow VOC": check_voc,
    "datumaro VOC": check_colours,
}


def main():
    library, failed = Library(os.path.abspath(sys.argv[1])), 0
    logger.remove()  # what labelme says while it reads
    for name, check in CHECKS.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(Workplace(library, folder))
                print(f"{name}: passed", flush=True)
            except Exception:
                failed += 1
                print(f"{name}: failed", flush=True)
                traceback.print_exc(limit=-3)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
