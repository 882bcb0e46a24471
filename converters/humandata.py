"""HumanData: files that users of MMHuman3D, SMPLer-X and SMPLest-X already have, whatever dataset they came from.

A file is read in blocks of rows, whatever its size, and a long one is several units: a picture belongs to the unit that
its first row lies in. The rows of a picture make a frame; those that lie far apart wait for the last one. What a file
says about its conventions can be overruled by options, because nobody checks it. Facts: ``formats/humandata.py``.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from ..shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from .formats.humandata import BOXES, PARAMETERS, PARTS, Block, Choices, HumanDataFile, split_of
from .pictures import assemble, need_pictures
from .raw import natural_key, same_intrinsics
from .source import Source, slug

VERSION = 2

BLOCK = 2048  # rows read at once
UNIT = 50_000  # rows of a unit


def sources(
    root: Path,
    split: str,
    *,
    files: str = "",
    images: str = "",
    body: str = "auto",
    keypoints: str = "auto",
    hands: str = "auto",
    gender: str = "auto",
    camera: str = "auto",
    box_scale: str = "auto",
    origin: str = "fitted",
    size: str = "labels",
) -> list[Source]:
    """Return the files of a split, by their names; ``files`` is a pattern, and all that match belong to the split."""
    options = {"body": body, "keypoints": keypoints, "hands": hands, "gender": gender, "camera": camera}
    options |= {"box_scale": box_scale, "origin": origin, "size": size}
    Choices(**options)
    options["images"] = images
    found = [path for path in root.glob(files or "**/*.npz") if path.is_file() and (files or split_of(path) == split)]
    found.sort(key=natural_key)
    return [unit for path in found for unit in _units(Source("x", root, split, {"labels": path}, options))]


def _units(whole: Source) -> list[Source]:
    """Return the pieces of a file that are units of their own."""
    name = slug(whole.relative(whole.files["labels"]).removesuffix(".npz"))
    with HumanDataFile(whole.files["labels"]) as file:
        count = max(1, -(-file.people // UNIT))
    parts = [(name, "")] if count == 1 else [(f"{name}-{i + 1}of{count}", str(i)) for i in range(count)]
    return [replace(whole, name=name, options={**whole.options, "part": part}) for name, part in parts]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield the pictures of a unit with everyone in them, or why somebody is left out."""
    with HumanDataFile(source.files["labels"], Choices.of(source.options)) as file:
        (pictures, left), folder = file.pictures(BLOCK), source.root / source.options["images"]
        if not source.options["images"] and need_pictures():
            folder = file.image_dir(source.root)
        waiting: dict[int, list[tuple[int, Person | Reject]]] = {}
        for row, path, block, i in file.rows(_rows_of(source, pictures), BLOCK):
            picture = int(pictures[row])
            waiting.setdefault(picture, []).append((row, _person_or_reject(source, file, block, i, row)))
            left[picture] -= 1
            if not left[picture]:
                yield from _frame(source, file, folder / path, path, waiting.pop(picture))


def _rows_of(source: Source, pictures: Int[np.ndarray, " people"]) -> Int[np.ndarray, " rows"]:
    """Return the rows of a unit, given the first row of each row's picture."""
    part = source.options["part"]
    return np.flatnonzero(pictures // UNIT == int(part)) if part else np.arange(len(pictures))


def count_people(source: Source) -> int:
    """Return the number of rows of a unit."""
    with HumanDataFile(source.files["labels"]) as file:
        return len(_rows_of(source, file.pictures(BLOCK)[0]))


def _frame(
    source: Source, file: HumanDataFile, image: Path, path: str, found: list[tuple[int, Person | Reject]]
) -> Iterator[Frame | Reject]:
    """Yield a picture with its people; those whose camera is not that of the first person have their own."""
    key, K = f"{file.path.stem}/{PurePosixPath(path).with_suffix('')}", file.K
    first = next((row for row, result in found if isinstance(result, Person)), found[0][0])
    results = [result for _, result in found]
    for i, (row, result) in enumerate(found):
        if K is not None and isinstance(result, Person) and not same_intrinsics(K[row], K[first]):
            results[i] = replace(result, camera=Camera(K=K[row], kind=file.kind(row)))
    yield from assemble(
        key,
        image,
        results,
        Provenance(file=source.relative(file.path), row=f"image_path {path}"),
        expected_size=None if file.sizes is None or source.options["size"] == "picture" else file.size(first),
        camera=Camera() if K is None else Camera(K=K[first], kind=file.kind(first)),
        sequence=None if file.sequences is None else file.sequences[first],
    )


def _person_or_reject(source: Source, file: HumanDataFile, block: Block, i: int, row: int) -> Person | Reject:
    """Return the person of row ``i`` of a block, which is ``row`` of the file, or why it cannot be used."""
    carried = [name for name in PARAMETERS if name in block and block[f"has_{name}"][i]]
    broken = [name for name in carried if not block[f"is_finite_{name}"][i]]
    place = Provenance(file=source.relative(file.path), row=str(row))
    reason = detail = ""
    if row in file.rejected:
        reason, detail = "not_valid", f"the file marks the row: {file.rejected[row]}"
    elif broken:
        reason, detail = "nan_pose", f"NaN in {', '.join(broken)}"
    elif file.bad_cameras[row]:
        reason, detail = "bad_camera", "focal_length and principal_point are no camera"
    if reason:
        detail = f"{place.file} row {row}: {detail}"
        return Reject(key=f"{file.path.stem}/{row}", reason=reason, detail=detail, provenance=place)
    return _person(source, file, block, i, row, carried, place)


def _person(
    source: Source, file: HumanDataFile, block: Block, i: int, row: int, carried: list[str], place: Provenance
) -> Person:
    """Return the person of row ``i`` of a block, which is ``row`` of the file."""
    arrays = {name: block[name][i] for name in carried}
    arrays |= {name: block[name][i] for name in BOXES if name in block and np.isfinite(block[name][i]).all()}
    points = {name: block[name][i] for name in file.points if block[name][i, :, -1].any()}
    origin = source.options["origin"]
    told = {part: file.told(f"label_{part}", row, origin) for part, name in PARTS.items() if name in {*arrays, *points}}
    for name in {"betas", "expression"} & arrays.keys():
        arrays[name] = arrays[name][: file.told(f"num_{name}", row, len(arrays[name]))]
    kid = float(block["betas_extra"][i].reshape(-1)[0]) if "betas_extra" in block else 0.0
    return Person(
        provenance=place,
        labels=Labels(**told),
        body_model=file.body if file.fit else None,
        gender=file.genders[row] if file.fit else None,
        kid_weight=kid or None,
        transl_is_metric=bool(file.told("transl_is_metric", row, file.kind(row) != "virtual_crop")),
        track=None if file.tracks is None else file.tracks[row],
        **{f"{name}_convention": file.points[name].convention for name in points},
        **arrays,
        **points,
    )
