"""Frames with small random pictures, and a converted tree made of them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ehps.body.cameras import Distortion
from ehps.shards.catalog import build_catalog
from ehps.shards.codec import sample_key
from ehps.shards.picture import picture_of
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from ehps.shards.writer import UnitWriter

WIDTH, HEIGHT = 40, 24
SHAPES = {
    "global_orient": (3,),
    "body_pose": (21, 3),
    "left_hand_pose": (15, 3),
    "right_hand_pose": (15, 3),
    "jaw_pose": (3,),
    "leye_pose": (3,),
    "reye_pose": (3,),
    "betas": (11,),
    "betas_neutral": (11,),
    "expression": (10,),
    "transl": (3,),
    "left_hand_orient": (3,),
    "right_hand_orient": (3,),
    "vertices": (7, 3),
    "keypoints_2d": (17, 3),
    "keypoints_3d": (14, 4),
    "joints_3d": (144, 3),
    "bbox_xyxy": (4,),
    "face_bbox_xyxy": (4,),
    "left_hand_bbox_xyxy": (4,),
    "right_hand_bbox_xyxy": (4,),
}


def full_person(number: int = 0, **changes) -> Person:
    """A person with every field, no value of which occurs in another field."""
    arrays, start = {}, 1000.0 * number
    for name, shape in SHAPES.items():
        size = int(np.prod(shape))
        arrays[name] = np.arange(start, start + size, dtype=np.float32).reshape(shape)
        start += size
    values = {
        "provenance": Provenance(file=f"annotations/{number}.json", row=f"row {number}"),
        "labels": Labels(body="measured", left_hand="fitted", right_hand="pseudo", face="synthetic", shape="fitted"),
        "body_model": "smplx",
        "gender": "female",
        "template": "meta/templates/s01.obj",
        "kid_weight": 0.25,
        "transl_is_metric": False,
        "keypoints_2d_convention": "coco_17",
        "keypoints_3d_convention": "lsp_14",
        "track": f"person {number}",
        "quality": {"reprojection_px": 3.5, "own_measure": 0.125},
    }
    return Person(**(values | arrays | changes))


def bare_person(number: int = 0, **changes) -> Person:
    """A person about whom nothing is known but the place in the owner's files."""
    return Person(provenance=Provenance(file="bare.json", row=str(number)), labels=Labels(), **changes)


def picture(number: int = 0, ext: str = "jpg", width: int = WIDTH, height: int = HEIGHT) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(f".{ext}", pixels)[1].tobytes()


def full_camera() -> Camera:
    return Camera(
        K=np.array([[1000.5, 0.0, 19.5], [0.0, 1001.25, 11.5], [0.0, 0.0, 1.0]]),
        kind="measured",
        distortion=Distortion("brown_conrady", (0.1, -0.2, 0.003, 0.0004)),
        is_undistorted=True,
        T_camera_world=np.linspace(-1, 1, 16).reshape(4, 4),
    )


def make_frame(number: int = 0, people: tuple[Person, ...] | None = None, ext: str = "jpg", **changes) -> Frame:
    values = {
        "key": f"sequence/cam_1/{number:05d}.{ext}",
        "image": picture(number, ext),
        "width": WIDTH,
        "height": HEIGHT,
        "people": (full_person(number), bare_person(number)) if people is None else people,
        "camera": full_camera(),
        "sequence": "sequence",
        "frame_index": number,
        "camera_name": "cam_1",
    }
    return Frame(**(values | changes))


def make_reject() -> Reject:
    """A reject that stands for two people."""
    return Reject(
        key="sequence/cam_1/bad.jpg",
        reason="nan_pose",
        detail="body_pose holds NaN",
        provenance=Provenance(file="bad.json", row="9"),
        people=2,
    )


def write_unit(
    out: Path, frames: list[Frame], unit: str = "unit_0", dataset: str = "fake", split: str = "train", **options
) -> Path:
    """Write frames and one reject as a unit."""
    meta = {"converter_version": 3, "options": {"a": "b"}}
    with UnitWriter(out, dataset, split, unit, meta=meta, **options) as writer:
        for frame in frames:
            assert isinstance(frame.image, bytes)
            writer.write(frame, sample_key(dataset, split, frame.key), picture_of(frame.image))
        writer.reject(make_reject())
        return writer.commit({"median_reprojection_px": 1.5})


@pytest.fixture
def make() -> type:
    """The builders of this file under one name."""

    class Make:
        person = staticmethod(full_person)
        bare = staticmethod(bare_person)
        picture = staticmethod(picture)
        camera = staticmethod(full_camera)
        frame = staticmethod(make_frame)
        reject = staticmethod(make_reject)
        unit = staticmethod(write_unit)
        width, height = WIDTH, HEIGHT

    return Make


def write_tree(out: Path) -> Path:
    """Write a converted tree: two units of one source, the first with two tars, one of another; JPEG and PNG."""
    first = [make_frame(number) for number in range(6)]
    size = 2 * 512 + 20_000
    write_unit(out, first, "unit_0", max_shard_bytes=3 * size)
    write_unit(out, [make_frame(number, ext="png") for number in range(6, 9)], "unit_1")
    write_unit(out, [make_frame(9, (bare_person(9),))], "only", dataset="other", split="test")
    return out


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A converted tree of one's own."""
    return write_tree(tmp_path / "out")


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted tree with its catalog, for tests that only read."""
    out = write_tree(tmp_path_factory.mktemp("catalog") / "out")
    build_catalog(out)
    return out


@pytest.fixture
def assert_same() -> Callable[[object, object], None]:
    """Compare two dataclasses of the record field by field, arrays by value, NaN equal to NaN."""

    def compare(found: object, expected: object) -> None:
        assert type(found) is type(expected)
        for name, value in vars(expected).items():
            other = getattr(found, name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(other, value.astype(other.dtype), err_msg=name)
            elif hasattr(value, "__dataclass_fields__"):
                compare(other, value)
            else:
                assert other == value, name

    return compare
