"""A TalkSHOW look-alike: pickles with torch tensors among the losses, hands as PCA coefficients, three kinds of trees.

Seth's clips have been moved into folders of splits, Conan's are as released, Oliver's as the readme describes them; the
pictures of Oliver are a video, the others' were cut out. The right hand is another than the left one.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ehps.body.cameras import intrinsics
from ehps.body.hands import to_absolute, to_deviation
from ehps.body.models import read_hand_components
from ehps.body.posing import model_path
from ehps.body.standin import standin_dir
from ehps.tests.raw._owner_pickles import _Call, _Global, write_pickle
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    batch,
    body_model,
    clothes,
    draw_people,
    face_camera,
    place,
    random_parameters,
    vertices,
)
from ehps.tests.raw._videos import numbered, write_video

SPLITS = ("train", "val", "test")
EXPECTED = {
    "train": {
        "frames": 7,
        "people": 7,
        "rejects": {"bad_clip": 1, "nan_pose": 1, "frame_count": 4, "missing_image": 3, "damaged_image": 1},
    },
    "val": {"frames": 3, "people": 3, "rejects": {}},
    "test": {"frames": 3, "people": 3, "rejects": {}},
}
SIZE = (320, 180)  # a quarter of the owner's, and so are the focal length and the centre
K = intrinsics(1250.0, 1250.0, 160.0, 90.0)
HANDS = frozenset({"left_hand_pose", "right_hand_pose"})
LABELLED = HANDS | frozenset(
    {"global_orient", "body_pose", "betas", "transl", "jaw_pose", "leye_pose", "reye_pose", "expression"}
)
COMPONENTS = 12
RELEASE = "ExpressiveWholeBodyDatasetReleaseV1.0"
_LENGTH = 3  # frames of a clip
FIRST = 30  # frame of Oliver's video in which his clip begins, a second in


@dataclass(frozen=True)
class _Clip:
    """One clip of the tree."""

    speaker: str
    video: str
    name: str
    split: str
    length: int
    form: str  # moved, released or flat
    trouble: str = ""

    @property
    def track(self) -> str:
        return f"{self.speaker}/{self.video}/{self.name}"

    def pickle(self, root: Path) -> Path:
        folders = {"moved": [self.split, self.name], "released": [self.name], "flat": []}[self.form]
        return (root / RELEASE / self.speaker / self.video).joinpath(*folders, f"{self.name}.pkl")

    @property
    def frames(self) -> str:
        return f"frames/{self.track}"


def build(
    root: Path,
    *,
    pictures: str = "plain",
    seed: int = 150,
    bad: bool = True,
    with_hands: bool = True,
    times: int = 1,
) -> Truth:
    """Write the tree; ``with_hands=False`` is the truth for users without a model."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    clips = list(_clips(_LENGTH * times, bad=bad))
    for number, clip in enumerate(clips):
        rng = np.random.default_rng([seed, number])
        people = _performance(rng, clip)
        content = _content(rng, clip, people)
        path = clip.pickle(root)
        write_pickle(path, [content] if clip.form == "released" else content)
        if clip.trouble == "cut off":
            path.write_bytes(path.read_bytes()[:2000])
        _write_pictures(root, rng, clip, people, pictures)
        _note(truth, clip, people, LABELLED if with_hands else LABELLED - HANDS)
    listed = {split: [clip.track for clip in clips if clip.split == split and clip.form != "moved"] for split in SPLITS}
    (root / "train_val_test.json").write_text(json.dumps(listed), encoding="utf-8")
    return truth


def _clips(length: int, *, bad: bool) -> Iterator[_Clip]:
    """Yield the clips: two good ones of train, one of each other split, and one with each trouble."""
    seth = "A_Closer_Look_-_The_Fake-cyBPoiRNpYY.webm"
    yield _Clip("seth", seth, "96210-00_06_56-00_07_06", "train", length, "moved")
    yield _Clip("seth", seth, "96871-00_00_01-00_00_11", "val", length, "moved")
    yield _Clip("conan", "Fake_Interview-OGBop7wzknk.mkv", "100674-00_03_25-00_03_28", "test", length, "released")
    yield _Clip("oliver", "Fake_News-elg1BF_hfII.webm", "98835-00_00_01-00_00_11", "train", length, "flat")
    if bad:
        for number, trouble in enumerate(("NaN", "no pictures", "more labels", "cut off")):
            size = {"NaN": 3, "no pictures": 3, "more labels": 4, "cut off": 3}[trouble]
            yield _Clip("seth", seth, f"{97005 + number}-00_03_49-00_03_51", "train", size, "moved", trouble)


def _performance(rng: np.random.Generator, clip: _Clip) -> list[Parameters]:
    """Return the speaker in camera space, seen from the hips up, hands made of the first components alone."""
    components = read_hand_components(model_path(standin_dir(), "smplx", "neutral"), COMPONENTS)
    betas = np.concatenate([np.clip(rng.normal(0, 1, 10), -2, 2), rng.normal(0, 0.1, 290)])
    people = []
    for _ in range(clip.length):
        person = random_parameters(rng) | {"leye_pose": rng.normal(0, 0.1, 3), "reye_pose": rng.normal(0, 0.1, 3)}
        for side, basis in components.items():
            name = f"{side}_hand_pose"
            coefficients = basis @ to_deviation(person[name], side).reshape(45)  # the stand-in's basis is orthonormal
            person[name] = to_absolute((coefficients @ basis).reshape(15, 3), side)
        person["expression"] = np.concatenate([person["expression"], rng.normal(0, 0.3, 90)])
        people.append(face_camera(person, rng.uniform(-0.4, 0.4), 0.05) | {"betas": betas})
    return place(body_model("smplx", "neutral", 300), people, rng.normal([0, 0.45, 6.2], 0.03, (clip.length, 3)))


def _content(rng: np.random.Generator, clip: _Clip, people: list[Parameters]) -> dict:
    """Return what a pickle holds: shapes as in the owner's files, which are not those that the readme tells."""
    together, length = batch(people), clip.length
    camera = np.array([-0.27, -0.71, 6.22]) + rng.normal(0, 0.1, 3)
    hands = {
        f"{side}_hand_pose": to_deviation(together[f"{side}_hand_pose"], side).reshape(length, 45) @ basis.T
        for side, basis in read_hand_components(model_path(standin_dir(), "smplx", "neutral"), COMPONENTS).items()
    }
    arrays = {
        "camera_transl": camera,
        "betas": together["betas"][:1],
        "expression": together["expression"],
        "jaw_pose": together["jaw_pose"],
        "leye_pose": together["leye_pose"],
        "reye_pose": together["reye_pose"],
        "global_orient": together["global_orient"][:, None],
        "body_pose_axis": together["body_pose"].reshape(length, 63),
        "transl": together["transl"] - camera * [-1, -1, 1],
        **hands,
        "pose_embedding": rng.normal(0, 1, (length, 32)),
        "mica_head_transl": rng.normal(0, 1, (1, 3)),
    }
    if clip.trouble == "NaN":
        arrays["body_pose_axis"][1, 7] = np.nan
    storage = _Call(_Global("torch.storage", "_load_from_bytes"), b"\x80\x02 a tensor as torch saves it")
    loss = _Call(_Global("torch._utils", "_rebuild_tensor_v2"), storage, 0, (), (), False, OrderedDict())
    return {
        "width": SIZE[0],
        "height": SIZE[1],
        "center": K[:2, 2],
        "batch_size": length,
        "focal_length": K[0, 0],
        **{name: value.astype(np.float32) for name, value in arrays.items()},
        "speaker_name": clip.speaker,
        "losses_to_log": {"loss_face": loss},
    }


def _write_pictures(root: Path, rng: np.random.Generator, clip: _Clip, people: list[Parameters], pictures: str) -> None:
    """Write the pictures of a clip: a video with a second before it, or a file a frame."""
    shots = [backdrop(rng, SIZE, pictures)] * clip.length
    if pictures == "rendered":
        worn, meshes = clothes(rng), vertices(body_model("smplx", "neutral", 300), people)
        shots = [draw_people(shots[0], mesh[None], [K], [worn]) for mesh in meshes]
    if clip.speaker == "oliver":
        video = [numbered(picture, i) for i, picture in enumerate([shots[0]] * FIRST + shots)]
        write_video(root / "videos" / clip.speaker / "videos" / clip.video, video, fps=30, codec="libvpx")
        return
    files = [cv2.imencode(".jpg", shots[0][..., ::-1])[1].tobytes()] * clip.length
    if pictures == "rendered":
        files = [cv2.imencode(".jpg", shot[..., ::-1])[1].tobytes() for shot in shots]
    if clip.trouble == "NaN":
        files[2] = files[2][:-20]
    if clip.trouble == "more labels":
        files.pop()
    folder = root / clip.frames
    folder.mkdir(parents=True)
    if clip.trouble != "no pictures":
        for i, data in enumerate(files, 1):
            (folder / f"{i:06d}.jpg").write_bytes(data)


def _note(truth: Truth, clip: _Clip, people: list[Parameters], labelled: frozenset[str]) -> None:
    """Note the people of a clip and what becomes of them."""
    expected = truth.expected[clip.split]
    rejects = {"NaN": {"nan_pose": 1, "damaged_image": 1}, "no pictures": {"missing_image": clip.length}}
    rejects |= {"more labels": {"frame_count": clip.length}, "cut off": {"bad_clip": 1}, "": {}}
    expected["rejects"] |= rejects[clip.trouble]
    good = {"": range(clip.length), "NaN": range(1)}.get(clip.trouble, range(0))
    expected["frames"] += len(good)
    expected["people"] += len(good)
    for i in good:
        true = TruePerson(people[i], labelled, K, SIZE, num_betas=300)
        truth.people[clip.split, f"{clip.track}/{i:04d}", str(i)] = true
