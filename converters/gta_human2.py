"""GTA-Human II: people of a computer game with the game's joints and SMPL-X fitted to them (Cai et al., TPAMI 2024).

One npz a person and sequence, one row a picture, everything in camera space. Tracks whose fit failed have keypoints
alone. Hands are coefficients of 24 components that lie in the user's SMPL-X file; they sum to absolute poses, and
without the file they stay absent.
Facts: gta-human_toolbox ``gta-human_v2/README.md``, ``visualizer_2d.py``; MMHuman3D ``gta_human2.py``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ..body.cameras import intrinsics
from ..body.hands import Side
from ..body.models import model_dir, read_hand_components
from ..body.posing import model_path
from ..errors import RawSchemaError
from ..shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from .bodies import fingerprint
from .formats.coco_json import corners
from .formats.keypoints import sound_points
from .formats.npz_scalars import read_scalars
from .pictures import assemble, picture_dir
from .raw import broken_rows, first_dir, list_files, load_columns, natural_key, same_intrinsics
from .source import Source, slug

VERSION = 1

SIZE = (1920, 1080)
NUM_HAND_COMPONENTS = 24
# Shape of one row of each column.
COLUMNS = {"keypoints_2d": (100, 3), "keypoints_3d": (100, 4), "bbox_xywh": (4,)}
FIT = {
    "betas": (10,),
    "global_orient": (3,),
    "body_pose": (63,),
    "transl": (3,),
    "left_hand_pose": (NUM_HAND_COMPONENTS,),
    "right_hand_pose": (NUM_HAND_COMPONENTS,),
}
_HINT = "the converter knows 63 numbers of body_pose and 24 hand components; see the uncertain facts of the card"


def sources(root: Path, split: str) -> list[Source]:
    """Return the sequences; each unit lists the tracks of its people, and the body model when the user has one."""
    base, model = root / "gta-human_v2_release", {}
    base = base if base.is_dir() else root
    labels, images, models = first_dir(base, "annotations"), picture_dir(base, "images"), model_dir()
    if models is not None and fingerprint(models, "smplx/neutral"):
        model = {"body_model": model_path(models, "smplx", "neutral")}
    units = []
    for folder in sorted((path for path in labels.glob("seq_*") if path.is_dir()), key=natural_key):
        tracks = {path.stem: path for path in list_files(folder, "*.npz")}
        files = {**tracks, **model, "images": images / folder.name}
        units.append(Source(slug(folder.name), root, split, files, {"sequence": folder.name}))
    return units


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield the pictures of a sequence with everyone tracked in them, or why somebody is left out."""
    sequence, basis = source.options["sequence"], {}
    if "body_model" in source.files:
        basis = read_hand_components(source.files["body_model"], NUM_HAND_COMPONENTS)
    tracks = [_Track(source, path, basis) for path in _track_paths(source)]
    for number in range(max(track.length for track in tracks)):
        key, K = f"{sequence}/{number:08d}", tracks[0].K
        yield from assemble(
            key,
            source.files["images"] / f"{number:08d}.jpeg",
            [track.person(key, number, K) for track in tracks if number < track.length],
            Provenance(file=source.relative(tracks[0].path), row=str(number)),
            expected_size=SIZE,
            camera=Camera(K=K, kind="measured"),
            sequence=sequence,
            frame_index=number,
        )


def count_people(source: Source) -> int:
    """Return how many people the tracks of a sequence count in all their pictures."""
    return sum(read_scalars(path, "num_frames")["num_frames"] for path in _track_paths(source))


def _track_paths(source: Source) -> list[Path]:
    return [path for role, path in sorted(source.files.items()) if role not in ("images", "body_model")]


class _Track:
    """One person of a sequence, all pictures at once."""

    def __init__(self, source: Source, path: Path, basis: Mapping[Side, np.ndarray]) -> None:
        columns = load_columns(path, COLUMNS, optional=FIT, hint=_HINT)
        facts = read_scalars(path, "is_valid_smplx", "fov")
        focal = SIZE[1] / 2 / np.tan(np.radians(facts["fov"] / 2))
        self.path, self.file = path, source.relative(path)
        self.name = f"{source.options['sequence']}/{path.stem}"
        self.length = len(columns["bbox_xywh"])
        self.K = intrinsics(focal, focal, SIZE[0] / 2, SIZE[1] / 2)
        fit = _fit(path, columns, basis) if facts["is_valid_smplx"] else {}
        self.broken = broken_rows(columns, FIT if fit else ())
        self.arrays = {name: sound_points(columns[name]) for name in ("keypoints_2d", "keypoints_3d")} | fit
        self.boxes = columns["bbox_xywh"]
        body, hand = "fitted" if fit else None, "fitted" if fit and basis else None
        self.labels = Labels(body=body, left_hand=hand, right_hand=hand, shape=body, keypoints_2d="synthetic")

    def person(self, key: str, row: int, K: np.ndarray) -> Person | Reject:
        """Return the person in a picture, or why the row cannot be used; ``K`` is the picture's."""
        provenance = Provenance(file=self.file, row=f"{self.path.stem}/{row}")
        if row in self.broken:
            key, detail = f"{key}/{self.path.stem}", f"{self.file} row {row}: NaN in {', '.join(self.broken[row])}"
            return Reject(key=key, reason="nan_pose", detail=detail, provenance=provenance)
        return Person(
            provenance=provenance,
            labels=self.labels,
            keypoints_2d_convention="gta_100",
            keypoints_3d_convention="gta_100",
            bbox_xyxy=corners(self.boxes[row]),
            camera=None if same_intrinsics(self.K, K) else Camera(K=self.K, kind="measured"),
            track=self.name,
            body_model="smplx" if self.labels.body else None,
            gender="neutral" if self.labels.body else None,
            **{name: values[row] for name, values in self.arrays.items()},
        )


def _fit(path: Path, columns: dict[str, np.ndarray], basis: Mapping[Side, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the parameters of a track; hands only with the components, RawSchemaError when one is missing."""
    for name in FIT:
        if name not in columns:
            expected = "present, because is_valid_smplx is true"
            raise RawSchemaError(path, f"column {name!r}", expected, f"only {', '.join(sorted(columns))}", _HINT)
    out = {name: columns[name].astype(np.float32) for name in ("betas", "global_orient", "transl")}
    out["body_pose"] = columns["body_pose"].reshape(-1, 21, 3).astype(np.float32)
    for side, components in basis.items():
        name = f"{side}_hand_pose"
        out[name] = (columns[name] @ components).reshape(-1, 15, 3).astype(np.float32)
    return out
