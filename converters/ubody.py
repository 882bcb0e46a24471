"""UBody: expressive upper bodies in videos of fifteen scenes (Lin et al., OSX, CVPR 2023).

COCO-WholeBody keypoints by detectors and SMPL-X fits in the crop camera of each person's box, two files of gigabytes a
scene, which are read block by block. Pictures are the frames that the owner's script extracts, or the videos
themselves. A video is test or train as one of two lists says; fits of the legs are a guess where they are out of view.
Facts: OSX ``data/UBody/UBody.py``, ``tool/UBody/video2image.py``.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import RawFileError, UnknownNameError
from ..shards.record import Frame, Person, Provenance, Reject
from .formats.coco_json import Annotation, CocoImage, person_of
from .formats.coco_stream import Block, Entry, find_blocks, merged, read_entries, read_fits
from .formats.neuralannot_json import Fit, fitted
from .formats.resampled_video import ResampledFrame
from .pictures import assemble, need_pictures
from .raw import first_file, natural_key
from .source import Source, slug

VERSION = 1

PROTOCOLS = ("intra", "inter")
PICTURES = ("auto", "images", "videos")
PEOPLE_PER_UNIT = 2000
FPS = 30.0  # of the extracted frames; videos may have another rate
_UNUSED = frozenset(
    [f"{part}_kpts_score" for part in ("face", "foot", "lefthand", "righthand")]
    + ["keypoints_score", "lefthand_kpts_vitposehand", "righthand_kpts_vitposehand", "segmentation"]
)


def sources(root: Path, split: str, *, protocol: str = "intra", pictures: str = "auto") -> list[Source]:
    """Return blocks of whole videos of every scene.

    ``protocol`` is ``intra``, where test videos share their scenes with train, or ``inter``. ``pictures`` are read from
    ``images`` or from ``videos``; ``auto`` takes extracted frames of a scene where there are any.
    """
    for what, name, known in (("protocol", protocol, PROTOCOLS), ("place of pictures", pictures, PICTURES)):
        if name not in known:
            raise UnknownNameError(what, name, known)
    held_out = _test_videos(first_file(root / "splits", f"{protocol}_scene_test_list.npy"))
    units = []
    for labels in sorted(root.glob("annotations/*/keypoint_annotation.json"), key=natural_key):
        scene, fits = labels.parent.name, labels.parent / "smplx_annotation.json"
        blocks = find_blocks(labels, fits, _video, scene)
        wanted = {name: block for name, block in blocks.items() if (_title(name) in held_out) == (split == "test")}
        files = {"labels": labels, "fits": fits, "pictures": _picture_dir(root, scene, pictures)}
        for number, block in enumerate(merged(wanted, PEOPLE_PER_UNIT)):
            options = {"scene": scene, **block.options()}
            units.append(Source(slug(f"{scene}-{number:04d}"), root, split, files, options))
    return units


def _test_videos(path: Path) -> frozenset[str]:
    """Return the names of the test videos."""
    try:
        return frozenset(np.load(path, allow_pickle=False).tolist())
    except ValueError as error:
        raise RawFileError(path, f"is no list of names ({error})", "download the lists again") from error


def _picture_dir(root: Path, scene: str, pictures: str) -> Path:
    """Return the folder of a scene that pictures are read from; RawFileError where it is needed and not there."""
    wanted = ("images", "videos") if pictures == "auto" else (pictures,)
    found = [root / kind / scene for kind in wanted if (root / kind / scene).is_dir()]
    if not found and need_pictures():
        raise RawFileError(root, f"holds neither frames nor videos of {scene}", "ehps card ubody says what to extract")
    return (found or [root / wanted[0] / scene])[0]


def _inner(scene: str, name: str) -> PurePosixPath:
    """Return the name of a picture inside the folder of its scene: some begin with a slash, some with the scene."""
    return PurePosixPath(name.strip("/").removeprefix(f"{scene}/"))


def _video(scene: str, name: str) -> str:
    """Return the folder of a picture inside its scene, which is the video's name without its suffix."""
    return _inner(scene, name).parent.as_posix()


def _title(video: str) -> str:
    """Return the name that lists have for a video: trimmed ones go by the video that they were cut from."""
    return PurePosixPath(video).name.split("_Trim")[0]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a block with its people, or why somebody is left out."""
    scene, labels = source.options["scene"], source.files["labels"]
    fits = read_fits(source.files["fits"], Block.of(source.options))
    for image, annotations in _entries(source):
        inner = _inner(scene, image.file_name)
        key = f"{scene}/{inner.with_suffix('')}"
        yield from assemble(
            key,
            _picture(source, inner),
            [_person(source, key, image, *annotation, fits) for annotation in annotations],
            Provenance(file=source.relative(labels), row=image.file_name),
            expected_size=(image.width, image.height),
            sequence=f"{scene}/{inner.parent}",
            frame_index=_index(inner),
        )


def count_people(source: Source) -> int:
    """Return the number of annotations of a block."""
    return sum(len(annotations) for _, annotations in _entries(source))


def _entries(source: Source) -> list[Entry]:
    group_of = partial(_video, source.options["scene"])
    return read_entries(source.files["labels"], Block.of(source.options), group_of, _UNUSED)


def _index(inner: PurePosixPath) -> int:
    """Return the number of a frame in its video, from 0; names count from 1."""
    return int(inner.stem) - 1


def _picture(source: Source, inner: PurePosixPath) -> Path | ResampledFrame:
    """Return the extracted frame, or the place in the video that it was extracted from."""
    folder = source.files["pictures"]
    if folder.parent.name == "images":
        return folder / inner
    return ResampledFrame(folder / f"{inner.parent}.mp4", _index(inner), FPS)


def _person(
    source: Source, key: str, image: CocoImage, number: int, annotation: Annotation, fits: dict[str, Fit]
) -> Person | Reject:
    """Return a person with keypoints and fit, or why the owner's loader leaves somebody out, too."""
    file = source.relative(source.files["labels"])
    person = person_of(key, file, annotation, image, keypoints_2d="pseudo")
    if isinstance(person, Reject):
        return person
    fit = fits.get(str(annotation["id"]))
    if annotation.get("valid_label") == 0:
        reason, detail = "not_valid", "valid_label is 0: the owner does not trust the fit"
    elif fit is None:
        reason, detail = "missing_fit", "smplx_annotation.json holds no fit of the person"
    else:
        # The owner's protocols take every n-th annotation of a scene's file, whoever is left out before.
        numbered = replace(person, quality={"owner_number": float(number)})
        return fitted(key, numbered, fit, annotation, image, source.relative(source.files["fits"]))
    return Reject(key=f"{key}/{annotation['id']}", reason=reason, detail=detail, provenance=person.provenance)
