"""MSCOCO 2017: photographs with keypoints (Lin et al. 2014), COCO-WholeBody (Jin et al. 2020) and fitted bodies.

Keypoints come from the COCO-WholeBody file, or from COCO's own where that is absent; parameters come from public files
of fits: SMPL-X by NeuralAnnot or OSX for train, SMPL by EFT for both. They are different fits of the same people, so
each person takes the first wanted file that holds one of it, and provenance names that file. A person without a fit
keeps keypoints and box.
Facts: COCO-WholeBody ``data_format.md``; NeuralAnnot_RELEASE ``README.md``; OSX and SMPLer-X ``data/MSCOCO/MSCOCO.py``;
eft ``README.md``.
"""

from collections.abc import Iterator
from pathlib import Path

from ..errors import UnknownNameError
from ..shards.record import Frame, Person, Reject
from .formats import eft_json, neuralannot_json
from .formats.coco_json import Annotation, CocoImage, coco_frames, coco_sources
from .formats.keeping import keeps_last
from .pictures import picture_dir
from .raw import first_file
from .source import Source

VERSION = 2

# Files of fits, best known first. EFT's are of the pictures of 2014, which train2017 and val2017 share among them.
FITS = {
    "neuralannot": "MSCOCO_train_SMPLX_all_NeuralAnnot.json",
    "osx": "MSCOCO_train_SMPLX.json",
    "eft": "COCO2014-All-ver01.json",
    "eft_part": "COCO2014-Part-ver01.json",
    "eft_val": "COCO2014-Val-ver10.json",
}
OF_SPLIT = {"train": tuple(FITS), "val": ("eft_val",)}
FOLDERS = ("annotations", "eft_fit")
_OF_EFT = ("eft", "eft_part", "eft_val")
# One reader a file, because each keeps its last.
_READERS = {
    name: keeps_last(eft_json.by_annotation if name in _OF_EFT else neuralannot_json.read_fits) for name in FITS
}


def sources(root: Path, split: str, *, fit: str = "auto") -> list[Source]:
    """Return blocks of images of a split.

    ``fit`` names files of fits in the order in which they are asked (``neuralannot``, ``neuralannot+eft+eft_val``);
    ``none`` is none, and ``auto`` the first of all that is there.
    """
    folder, year = root / "annotations", f"{split}2017"
    files = {
        "annotations": first_file(folder, f"coco_wholebody_{split}_v1.0.json", f"person_keypoints_{year}.json"),
        "images": picture_dir(root, f"images/{year}", year),
    }
    names = _wanted(root, split, fit)
    files |= {f"fits_{name}": first_file(root, *(f"{folder}/{FITS[name]}" for folder in FOLDERS)) for name in names}
    return coco_sources(root, split, files, {"fits": "+".join(names)})


def _wanted(root: Path, split: str, fit: str) -> list[str]:
    """Return the names of the files of fits to read; files of another split are passed over."""
    if fit == "auto":
        there = [name for name in OF_SPLIT[split] if any((root / folder / FITS[name]).is_file() for folder in FOLDERS)]
        return there[:1]
    names = [] if fit == "none" else fit.split("+")
    for name in names:
        if name not in FITS:
            raise UnknownNameError("file of fits", name, ("auto", "none", *FITS))
    return [name for name in names if name in OF_SPLIT[split]]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every image of a block with all its people, fitted where a fit exists."""

    def finish(person: Person, annotation: Annotation, image: CocoImage) -> Person | Reject:
        return _with_fit(source, person, annotation, image)

    yield from coco_frames(source, finish)


def _with_fit(source: Source, person: Person, annotation: Annotation, image: CocoImage) -> Person | Reject:
    """Return the person with the parameters of its first fit, if there is one, or a Reject for a broken fit."""
    for name in filter(None, source.options.get("fits", "").split("+")):
        path = source.files[f"fits_{name}"]
        fit = _READERS[name](path).get(str(annotation["id"]))
        if fit is not None and name in _OF_EFT:
            return eft_json.fitted(person, fit, image.file_name, source.relative(path))
        if fit is not None:
            return neuralannot_json.fitted(
                Path(image.file_name).stem, person, fit, annotation, image, source.relative(path)
            )
    return person
