"""MSCOCO 2017: photographs with keypoints (Lin et al. 2014), COCO-WholeBody (Jin et al. 2020) and SMPL-X pseudo labels.

Keypoints come from the COCO-WholeBody file, or from COCO's own where that is absent; the SMPL-X parameters of train
come from one of two public files of fits, NeuralAnnot's or OSX's. A person without a fit keeps keypoints and box. The
two files are different fits of the same people, so provenance names the one that was read.
Facts: COCO-WholeBody ``data_format.md``; NeuralAnnot_RELEASE ``README.md``; OSX and SMPLer-X ``data/MSCOCO/MSCOCO.py``.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..errors import UnknownNameError
from ..shards.record import Frame, Person, Provenance, Reject
from .formats.coco_json import Annotation, CocoImage, clipped_box, coco_frames, coco_sources
from .formats.neuralannot_json import crop_mismatch, fit_fields, fit_problem, read_fits
from .pictures import picture_dir
from .raw import first_file
from .source import Source

VERSION = 1

# Files of fits for train2017, best known first; val2017 has none.
FITS = {"neuralannot": "MSCOCO_train_SMPLX_all_NeuralAnnot.json", "osx": "MSCOCO_train_SMPLX.json"}


def sources(root: Path, split: str, *, fit: str = "auto") -> list[Source]:
    """Return blocks of images of a split.

    ``fit`` is ``neuralannot``, ``osx``, ``none``, or ``auto`` for the first of these files that is there.
    """
    if fit not in ("auto", "none", *FITS):
        raise UnknownNameError("file of fits", fit, ("auto", "none", *FITS))
    folder, year = root / "annotations", f"{split}2017"
    files = {
        "annotations": first_file(folder, f"coco_wholebody_{split}_v1.0.json", f"person_keypoints_{year}.json"),
        "images": picture_dir(root, f"images/{year}", year),
    }
    if split == "train" and fit != "none":
        wanted = [FITS[fit]] if fit in FITS else [name for name in FITS.values() if (folder / name).is_file()]
        if wanted:
            files["fits"] = first_file(folder, *wanted)
    return coco_sources(root, split, files)


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every image of a block with all its people, fitted where a fit exists."""
    yield from coco_frames(source, partial(_with_fit, source) if "fits" in source.files else None)


def _with_fit(source: Source, person: Person, annotation: Annotation, image: CocoImage) -> Person | Reject:
    """Return the person with the parameters of its fit, if there is one, or a Reject for a broken fit."""
    path = source.files["fits"]
    fit = read_fits(path).get(str(annotation["id"]))
    if fit is None:
        return person
    file, row = person.provenance.file, person.provenance.row
    provenance = Provenance(file=f"{file};{source.relative(path)}", row=row)
    if problem := fit_problem(fit):
        key = f"{Path(image.file_name).stem}/{row}"
        return Reject(key=key, reason="bad_fit", detail=f"{path.name} {row}: {problem}", provenance=provenance)
    box = clipped_box(annotation["bbox"], image.width, image.height)
    assert box is not None  # such people were refused before
    quality = {"crop_mismatch": crop_mismatch(fit, box)}
    return replace(person, provenance=provenance, quality=quality, **fit_fields(fit, annotation))
