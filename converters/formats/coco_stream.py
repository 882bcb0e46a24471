"""COCO files of gigabytes, cut into blocks of whole groups (videos) that are read again by their bytes.

One pass over a file finds where the pictures, annotations and fits of each group lie; a block remembers the stretch of
the file that holds those of its groups, and reads nothing else. Owners write their groups one after the other, so a
stretch holds little else; where they did not, a block passes over what belongs to others.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import RawSchemaError
from ..raw import compact_numbers, natural_key, require
from .coco_json import Annotation, CocoImage
from .json_stream import Hook, Item, read_stretch, stream_json

_HINT = "unpack all annotations of one release"


class Stretch(NamedTuple):
    """Part of a file."""

    start: int = 0
    stop: int = 0  # bytes; as ``start`` where there is nothing
    first: int = 0  # which item of its list begins it, from 1

    def with_(self, other: "Stretch") -> "Stretch":
        """Return the shortest stretch that holds both."""
        if self.start == self.stop or other.start == other.stop:
            return other if self.start == self.stop else self
        return Stretch(min(self.start, other.start), max(self.stop, other.stop), min(self.first, other.first))

    def read(self, path: Path, hook: Hook | None = None) -> Iterator[Item]:
        """Yield the items of the stretch."""
        yield from read_stretch(path, self.start, self.stop, hook) if self.stop > self.start else ()


# A picture and its people, each with its number in the file from 1.
Entry = tuple[CocoImage, list[tuple[int, Annotation]]]

_NOTHING = Stretch()
_LISTS = ("images", "annotations", "fits")


@dataclass
class Block:
    """Groups, and where files hold what belongs to them."""

    groups: list[str]
    people: int = 0
    images: Stretch = _NOTHING
    annotations: Stretch = _NOTHING
    fits: Stretch = _NOTHING

    def add(self, name: str, item: Stretch) -> None:
        """Count one more item of the list ``name`` in."""
        setattr(self, name, getattr(self, name).with_(item))

    def take(self, other: "Block") -> None:
        """Count another block in."""
        self.groups += other.groups
        self.people += other.people
        for name in _LISTS:
            self.add(name, getattr(other, name))

    def options(self) -> dict[str, str]:
        """Return the block as options of a unit."""
        stretches = {name: ":".join(map(str, getattr(self, name))) for name in _LISTS}
        return {"groups": "\n".join(self.groups), **stretches}

    @classmethod
    def of(cls, options: Mapping[str, str]) -> "Block":
        """Return the block of a unit's options."""
        stretches = (Stretch(*map(int, options[name].split(":"))) for name in _LISTS)
        return cls(options["groups"].split("\n"), 0, *stretches)


def find_blocks(labels: Path, fits: Path, group_of: Callable[[str, str], str], scene: str) -> dict[str, Block]:
    """Return where the pictures, annotations and fits of each group lie, by ``group_of(scene, name of a picture)``.

    RawSchemaError for an annotation of a picture that is not listed; a fit of nobody is passed over. Cached, because
    both splits ask for it.
    """
    changed = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in (labels, fits))
    return _find_blocks(labels, fits, changed, group_of, scene)


@lru_cache(maxsize=64)
def _find_blocks(
    labels: Path, fits: Path, _changed: tuple[int, ...], group_of: Callable[[str, str], str], scene: str
) -> dict[str, Block]:
    blocks: dict[str, Block] = {}
    of_image: dict[int, Block] = {}
    annotations: list[tuple[Any, Any, Stretch]] = []
    for item in stream_json(labels, members=("images", "annotations")):
        if item.name == "images":
            require(labels, item.value, "id", "file_name", "width", "height")
            group = group_of(scene, item.value["file_name"])
            of_image[item.value["id"]] = block = blocks.setdefault(group, Block([group]))
            block.add("images", Stretch(item.start, item.stop))
        elif item.name == "annotations":
            require(labels, item.value, "id", "image_id", "bbox", "keypoints")
            where = Stretch(item.start, item.stop, len(annotations) + 1)
            annotations.append((item.value["id"], item.value["image_id"], where))
    of_person = {}
    for identity, image, where in annotations:
        if image not in of_image:
            found = f"image {image}, which is not listed"
            raise RawSchemaError(labels, f"image_id of annotation {identity}", "one of images", found, _HINT)
        of_person[str(identity)] = block = of_image[image]
        block.add("annotations", where)
        block.people += 1
    for item in stream_json(fits):
        if item.name in of_person:
            of_person[item.name].add("fits", Stretch(item.start, item.stop))
    return blocks


def merged(blocks: Mapping[str, Block], people: int) -> list[Block]:
    """Return blocks of neighbouring groups in natural order, each with at least so many people but for the last."""
    out: list[Block] = []
    for name in sorted(blocks, key=natural_key):
        if not out or out[-1].people >= people:
            out.append(Block([]))
        out[-1].take(blocks[name])
    return out


def read_entries(
    path: Path, block: Block, group_of: Callable[[str], str], drop: frozenset[str] = frozenset()
) -> list[Entry]:
    """Return the pictures of a block that have people, by group and name.

    Names of pictures keep their folders; fields of ``drop`` are left out of the annotations.
    """
    groups, images = frozenset(block.groups), {}
    for item in block.images.read(path):
        if group_of(item.value["file_name"]) in groups:
            entry = CocoImage(item.value["file_name"], item.value["width"], item.value["height"])
            images[item.value["id"]] = (entry, [])
    hook = partial(compact_numbers, drop=drop)
    for number, item in enumerate(block.annotations.read(path, hook), block.annotations.first):
        if item.value["image_id"] in images:
            images[item.value["image_id"]][1].append((number, item.value))
    entries = [entry for entry in images.values() if entry[1]]

    def place(entry: Entry) -> tuple[Hashable, ...]:
        name = entry[0].file_name
        return natural_key(group_of(name)), natural_key(name)

    return sorted(entries, key=place)


def read_fits(path: Path, block: Block) -> dict[str, dict[str, Any]]:
    """Return the fits in the stretch of a block by annotation id; some may belong to others."""
    return {item.name: item.value for item in block.fits.read(path, compact_numbers)}
