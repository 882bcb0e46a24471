"""OCHuman: heavily occluded people in photographs, 17 keypoints each (Zhang et al., Pose2Seg, CVPR 2019).

Read from the owner's COCO-format files, which hold the people with keypoints and mask, boxes already as x, y, width,
height. The native ``ochuman.json`` (19 keypoints, other visibility codes) and the EFT fits are not read.
Facts: OCHumanApi ``README.md`` and ``ochumanApi/ochuman.py``.
"""

from collections.abc import Iterator
from pathlib import Path

from ..shards.record import Frame, Reject
from .formats.coco_json import coco_frames, coco_sources
from .pictures import picture_dir
from .raw import first_file
from .source import Source

VERSION = 1


def sources(root: Path, split: str) -> list[Source]:
    """Return blocks of images of a split's annotation file."""
    name = f"ochuman_coco_format_{split}_range_0.00_1.00.json"
    files = {"annotations": first_file(root, name, f"annotations/{name}"), "images": picture_dir(root, "images")}
    return coco_sources(root, split, files)


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every image of a block with all its people."""
    yield from coco_frames(source)
