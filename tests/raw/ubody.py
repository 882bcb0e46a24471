"""A UBody look-alike: two scenes with two large files each, lists of test videos, one scene with extracted frames.

The other scene has its videos alone. Each fitted person is seen by the virtual camera of its own crop of 192 x 256, as
the fits are defined; names of pictures begin with a slash or with the scene, as some of the owner's do.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.converters.formats.coco_json import clipped_box
from ehps.tests.raw._neuralannot import fit_entry
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    face_camera,
    fill_crop,
    joints,
    points_2d,
    random_parameters,
    standin,
    write_picture,
)
from ehps.tests.raw._videos import numbered, write_video

SPLITS = ("train", "test")
EXPECTED = {
    "train": {
        "frames": 7,
        "people": 11,
        "rejects": {
            "crowd": 1,
            "no_keypoints": 1,
            "empty_box": 1,
            "bad_keypoints": 1,
            "not_valid": 1,
            "missing_fit": 1,
            "bad_fit": 2,
            "missing_image": 2,
            "image_size": 1,
        },
    },
    "test": {"frames": 3, "people": 5, "rejects": {"not_valid": 1}},
}
SIZE = (1280, 720)
POSED = ("global_orient", "body_pose", "betas", "transl")
# Scene, video, frames, people; those of the second title of each scene are test.
VIDEOS = (
    ("Magic_show", "Magic_show_S1_Trim1/Magic_show_S1_Trim1", 3, 2),
    ("Magic_show", "Magic_show_S1_Trim10/Magic_show_S1_Trim10", 1, 1),
    ("Magic_show", "Magic_show_S2_Trim1/Magic_show_S2_Trim1", 2, 2),
    ("Magic_show", "Magic_show_S3_Trim2/Magic_show_S3_Trim2", 2, 1),
    ("Speech", "Speech_V1", 1, 2),
    ("Speech", "Speech_V2", 1, 1),
)
TESTED = {"intra": ["Magic_show_S2", "Speech_V2"], "inter": ["Speech_V1", "Speech_V2"]}
FILMED = "Speech"  # the scene without extracted frames
_PREFIX = {"Magic_show_S1_Trim10": "/", "Magic_show_S3_Trim2": "Magic_show/"}
_WIDTH_SHARE = 192 / 256
_PARTS = {"foot": slice(17, 23), "face": slice(23, 91), "lefthand": slice(91, 112), "righthand": slice(112, 133)}


def build(root: Path, *, bad: bool = True, times: int = 1, seed: int = 210) -> Truth:
    """Write the tree; ``times`` makes the videos as many times as long."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    rng = np.random.default_rng(seed)
    plain = backdrop(rng, SIZE, "plain")
    picture = cv2.imencode(".png", plain)[1].tobytes()
    contents = {scene: {"images": [], "annotations": []} for scene, *_ in VIDEOS}
    fits = {scene: {} for scene in contents}
    for scene, video, frames, count in VIDEOS:
        split = "test" if video.split("/")[-1].split("_Trim")[0] in TESTED["intra"] else "train"
        people = [_person(rng) for _ in range(frames * times * count)]
        points = joints(standin(), people)
        for row in range(0, len(people), count):
            number = row // count + 1
            image_id = _add_image(contents[scene], video, number)
            if scene != FILMED:
                _write_bytes(root / "images" / scene / video / f"{number:06d}.png", picture)
            for slot in range(count):
                person = _Seen(rng, people[row + slot], points[row + slot], (slot + 0.5) / count)
                identity = len(contents[scene]["annotations"])
                contents[scene]["annotations"].append(person.annotation(rng, identity, image_id))
                fits[scene][str(identity)] = person.fit()
                true = TruePerson(person.parameters, person.labelled, person.K, SIZE)
                truth.people[split, f"{scene}/{video}/{number:06d}", str(identity)] = true
            truth.expected[split]["frames"] += 1
            truth.expected[split]["people"] += count
        if scene == FILMED:
            pictures = (numbered(plain, number) for number in range(frames * times))
            write_video(root / "videos" / scene / f"{video}.mp4", pictures, fps=30)
    if bad:
        _add_bad_records(root, contents["Magic_show"], fits["Magic_show"], truth)
    for scene, content in contents.items():
        folder = root / "annotations" / scene
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "keypoint_annotation.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / "smplx_annotation.json").write_text(json.dumps(fits[scene]), encoding="utf-8")
    (root / "splits").mkdir(exist_ok=True)
    for protocol, titles in TESTED.items():
        np.save(root / "splits" / f"{protocol}_scene_test_list.npy", np.array(titles))
    return truth


def _person(rng: np.random.Generator) -> Parameters:
    """Return a body on the axis of a crop that it fills."""
    person = face_camera(random_parameters(rng), rng.uniform(-0.9, 0.9), rng.uniform(-0.1, 0.25))
    return fill_crop(standin(), person, 5000 * 1.25 / 256)


class _Seen:
    """A person in the virtual camera of its own crop; the legs of half of them leave the picture."""

    def __init__(self, rng: np.random.Generator, parameters: Parameters, points: np.ndarray, across: float) -> None:
        self.parameters = parameters
        side, centre = rng.uniform(400, 900), np.array([across * SIZE[0], rng.uniform(330, 560)])
        focal = 5000 * 1.25 / 256 * side
        first = project(points, intrinsics(focal, focal, *centre))
        box = np.round(np.concatenate([first.min(axis=0), np.ptp(first, axis=0)]), 3)
        left, top, width, height = clipped_box(box, *SIZE)
        focal = 5000 * 1.25 / 256 * max(width / _WIDTH_SHARE, height)
        self.box, self.K = box, intrinsics(focal, focal, left + width / 2, top + height / 2)
        self.points = points_2d(project(points, self.K), "coco_wholebody")
        self.valid = {part: bool(rng.random() < 0.8) for part in ("face", "lefthand", "righthand")}

    @property
    def labelled(self) -> frozenset[str]:
        """What the fit tells."""
        hands = {f"{side}_hand_pose" for side in ("left", "right") if self.valid[f"{side}hand"]}
        return frozenset({*POSED, *hands, *(("jaw_pose", "expression") if self.valid["face"] else ())})

    def annotation(self, rng: np.random.Generator, identity: int, image_id: int) -> dict:
        """Return the entry of the keypoint file; scores and second detections are there to be left out."""
        out = {"id": identity, "image_id": image_id, "bbox": self.box.tolist(), "segmentation": [[]], "area": 0}
        out |= {"iscrowd": 0, "category_id": 1, "score": 1, "person_id": 0, "num_keypoints": 9, "full_body": False}
        inside = ((self.points >= 0) & (self.points < SIZE)).all(axis=1)
        out["keypoints"] = np.column_stack([self.points[:17], inside[:17]]).ravel().tolist()
        for part, where in _PARTS.items():
            valid = self.valid.get(part, True)
            points = np.column_stack([self.points[where], inside[where] & valid])
            out |= {f"{part}_kpts": points.ravel().tolist(), f"{part}_kpts_score": rng.random(len(points)).tolist()}
            if part != "foot":
                low, span = self.points[where].min(axis=0), np.ptp(self.points[where], axis=0)
                out |= {f"{part}_box": [*low.tolist(), *span.tolist()], f"{part}_valid": valid}
        return out | {"valid_label": 2, "lefthand_update": True, "keypoints_score": rng.random(17).tolist()}

    def fit(self) -> dict:
        """Return the entry of the file of fits, which has empty eyes."""
        return fit_entry(self.parameters, self.K, leye_pose=[], reye_pose=[])


def _add_image(content: dict, video: str, number: int) -> int:
    """List a picture and return its id."""
    name = f"{_PREFIX.get(Path(video).name, '')}{video}/{number:06d}.png"
    content["images"].append({"id": len(content["images"]), "height": SIZE[1], "width": SIZE[0], "file_name": name})
    return len(content["images"]) - 1


def _write_bytes(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _add_bad_records(root: Path, content: dict, fits: dict, truth: Truth) -> None:
    """Append people and pictures that no converter may write; one of them belongs to a test video."""
    good, fit = content["annotations"][0], fits["0"]
    gone, smaller = len(content["images"]), len(content["images"]) + 1
    for number in (100_001, 100_002):
        _add_image(content, "Magic_show_S3_Trim2/Magic_show_S3_Trim2", number)
    write_picture(root / "images" / content["images"][-1]["file_name"], np.zeros((48, 64, 3), np.uint8))
    tested = next(one["id"] for one in content["images"] if "S2_Trim1" in one["file_name"])
    short = {**fit, "smplx_param": {**fit["smplx_param"], "body_pose": [0.0] * 60}}
    blind = {**fit, "cam_param": {**fit["cam_param"], "focal": [0.0, 0.0]}}
    spoilt = (
        ({"iscrowd": 1}, fit),
        ({"num_keypoints": 0}, fit),
        ({"bbox": [1400, 60, 10, 10]}, fit),
        ({"face_kpts": good["face_kpts"][:-3]}, fit),
        ({"valid_label": 0}, fit),
        ({}, None),
        ({}, short),
        ({}, blind),
        ({"image_id": gone}, fit),
        ({"image_id": gone}, fit),
        ({"image_id": smaller}, fit),
        ({"image_id": tested, "valid_label": 0}, fit),
    )
    for identity, (changes, own) in enumerate(spoilt, 90_001):
        content["annotations"].append({**good, "id": identity, **changes})
        if own is not None:
            fits[str(identity)] = own
    for split in SPLITS:
        truth.expected[split]["rejects"] = dict(EXPECTED[split]["rejects"])
