"""FreiHAND: a right hand a picture, MANO fitted to several views (Zimmermann et al., ICCV 2019).

One JSON list a quantity, one entry a sample, everything in camera space. Each training sample has four pictures, the
hand before a green screen and before three kinds of new background, so the number of a picture is that of its sample
plus a multiple of the number of samples.
Facts: lmb-freiburg/freihand ``README.md``, ``utils/fh_utils.py``, ``utils/model.py``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RawSchemaError
from ..shards.record import Camera, Frame, Person, Provenance, Reject
from .formats.mano_json import NUM_BETAS, NUM_POSE, Hand, hand_fields, joint_fields, numbers
from .pictures import assemble, picture_dir
from .raw import are_intrinsics, first_file, load_json
from .source import Source

VERSION = 1

SIZE = (224, 224)
FOLDERS = {"train": "training", "test": "evaluation"}
# The pictures of a sample, in the order of their numbers.
PICTURES = {"train": ("gs", "hom", "sample", "auto"), "test": ("evaluation",)}
LISTS = ("K", "mano", "xyz")
_NUM_MANO = NUM_POSE + NUM_BETAS + 3  # behind pose and shape: the root's pixel and a scale
_RIGHT = np.ones(21, bool)


def sources(root: Path, split: str) -> list[Source]:
    """Return one unit for each kind of picture of a split."""
    base, name = root / "FreiHAND_pub_v2", FOLDERS[split]
    base = base if base.is_dir() else root
    files = {kind: first_file(base, f"{name}_{kind}.json") for kind in LISTS}
    files["images"] = picture_dir(base, f"{name}/rgb")
    kinds = enumerate(PICTURES[split])
    return [Source(kind, root, split, files, {"repetition": str(number)}) for number, kind in kinds]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield one picture of every sample."""
    samples, images = read_samples(source), source.files["images"]
    first = int(source.options["repetition"]) * len(samples)
    for row, sample in enumerate(samples):
        key = f"{first + row:08d}"
        provenance = Provenance(file=source.relative(source.files["mano"]), row=str(row))
        person = _person(key, sample, provenance)
        yield from assemble(
            key,
            images / f"{key}.jpg",
            [person],
            provenance,
            expected_size=SIZE,
            camera=Camera(K=numbers(sample["K"], 3, 3), kind="measured"),
        )


def count_people(source: Source) -> int:
    """Return the number of samples."""
    return len(load_json(source.files["K"]))


def read_samples(source: Source) -> list[dict[str, Any]]:
    """Return what the lists tell of each sample; RawSchemaError when they and the pictures are not of one number."""
    lists = {kind: load_json(source.files[kind]) for kind in LISTS}
    sizes = {kind: len(values) if isinstance(values, list) else -1 for kind, values in lists.items()}
    if len(set(sizes.values())) > 1 or -1 in sizes.values():
        found = ", ".join(f"{source.files[kind].name} {size}" for kind, size in sizes.items())
        raise RawSchemaError(source.files["K"], "the lists", "of one length", found, "unpack all lists of one release")
    beyond = source.files["images"] / f"{sizes['K'] * len(PICTURES[source.split]):08d}.jpg"
    if beyond.is_file():
        expected = f"as many samples as there are pictures, {len(PICTURES[source.split])} each"
        found = f"{sizes['K']} samples, and a picture {beyond.name}"
        raise RawSchemaError(source.files["K"], "the list", expected, found, "unpack all lists and pictures again")
    return [dict(zip(LISTS, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _person(key: str, sample: dict[str, Any], provenance: Provenance) -> Person | Reject:
    """Return the hand of a sample, or why its labels cannot be used."""
    K, joints = numbers(sample["K"], 3, 3), numbers(sample["xyz"], 21, 3)
    fit = numbers(sample["mano"], 1, _NUM_MANO)
    reason, detail = "", ""
    if K is None or not are_intrinsics(K[None])[0]:
        reason, detail = "bad_camera", "K is no matrix of 3 x 3 finite numbers with positive focal lengths"
    elif joints is None:
        reason, detail = "bad_joints", "xyz is not 21 x 3 finite numbers"
    elif fit is None:
        reason, detail = "bad_fit", f"mano is not 1 x {_NUM_MANO} finite numbers"
    if K is None or joints is None or fit is None or reason:
        return Reject(key=key, reason=reason, detail=f"sample {provenance.row}: {detail}", provenance=provenance)
    hand = Hand(fit[0, :NUM_POSE], fit[0, NUM_POSE : NUM_POSE + NUM_BETAS])
    return Person(
        provenance=provenance,
        **hand_fields({"right": hand}, fits="fitted", keypoints_2d="fitted"),
        **joint_fields(joints, K, "right_hand_21", _RIGHT, _RIGHT),
    )
