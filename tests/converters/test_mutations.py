"""Proof that label errors are noticed: each known one is planted on purpose and must show up as a distance.

The same comparison passes for every converter in the contract, so what it reports here is the planted error. The bounds
are well below what was measured on the fake trees, and far above the 0.1 mm and 0.1 px that the contract allows.
``pytest --log-cli-level=INFO`` shows the figures.
"""

import importlib
import logging
from dataclasses import replace

import numpy as np
import pytest

from ehps.body import cameras
from ehps.body.cameras import invert_rigid, parameters_to_camera, rigid, transform_points
from ehps.body.hands import LEFT_HAND_MEAN, RIGHT_HAND_MEAN, to_absolute
from ehps.converters import bedlam, ehf
from ehps.converters.formats import coco_json, neuralannot_json
from ehps.converters.pictures import assemble
from ehps.tests.raw._people import joints, place, random_parameters, rotation, standin
from ehps.tests.raw._planting import replaced, wrapped
from ehps.tests.raw._recovery import differences, worst

LOG = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def trees(tmp_path_factory, built):
    """The root, the truth and the splits of one fake tree a source."""
    out = {}
    for dataset in ("bedlam", "ehf", "mscoco"):
        fake = importlib.import_module(f"ehps.tests.raw.{dataset}")
        root = tmp_path_factory.mktemp(dataset)
        out[dataset] = (root, built(fake, root, frames=3, bad=False), fake.SPLITS)
    return out


def with_swapped_hands(parts):
    return {**parts, "left_hand_pose": parts["right_hand_pose"], "right_hand_pose": parts["left_hand_pose"]}


def with_means(parts):
    return {
        **parts,
        "left_hand_pose": (parts["left_hand_pose"] + LEFT_HAND_MEAN).astype(np.float32),
        "right_hand_pose": (parts["right_hand_pose"] + RIGHT_HAND_MEAN).astype(np.float32),
    }


def with_column(name, change):
    return lambda columns: {**columns, name: change(columns[name])}


def without_offset(cam_ext):
    return cam_ext * np.where(np.arange(4) == 3, 0, 1)


def turned_by(quarter_turns):
    return lambda *args, **fields: assemble(*args, **{**fields, "quarter_turns": quarter_turns, "expected_size": None})


FIXED = 127  # the 17 points after these slide along the jaw with the neck's yaw, which a change of space changes
FACE_LAST = dict(sorted(coco_json._WHOLE_BODY.items(), key=lambda item: item[0] == "face_kpts"))

# What is planted -> (source, how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "bedlam: left and right hand swapped": ("bedlam", wrapped(bedlam, "cut_pose", with_swapped_hands), 20, 3, 0),
    "mscoco: left and right hand swapped": (
        "mscoco",
        wrapped(neuralannot_json, "fit_fields", with_swapped_hands),
        *(20, 3, 0),
    ),
    "bedlam: hand mean added to absolute hands": ("bedlam", wrapped(bedlam, "cut_pose", with_means), 20, 3, 0),
    "mscoco: hand mean added twice": (
        "mscoco",
        replaced(neuralannot_json, "to_absolute", lambda pose, side: to_absolute(to_absolute(pose, side), side)),
        *(20, 3, 0),
    ),
    "mscoco: hand mean forgotten": ("mscoco", replaced(neuralannot_json, "to_absolute", lambda p, _: p), 20, 3, 0),
    "bedlam: picture not turned": ("bedlam", replaced(bedlam, "assemble", turned_by(0)), 0, 200, 200),
    "bedlam: picture turned the wrong way": ("bedlam", replaced(bedlam, "assemble", turned_by(3)), 0, 200, 200),
    "bedlam: millimetres taken for metres": (
        "bedlam",
        wrapped(bedlam, "load_columns", with_column("trans_cam", lambda value: 1000 * value)),
        *(1000, 100, 0),
    ),
    "ehf: millimetres taken for metres": ("ehf", wrapped(ehf, "read_vertices", lambda v: 1000 * v), 1000, 100, 0),
    "bedlam: camera offset forgotten": (
        "bedlam",
        wrapped(bedlam, "load_columns", with_column("cam_ext", without_offset)),
        *(500, 100, 0),
    ),
    "bedlam: eleventh beta dropped": (
        "bedlam",
        wrapped(bedlam, "load_columns", with_column("shape", lambda b: b * (np.arange(11) < 10))),
        *(0.5, 0.2, 0),
    ),
    "ehf: camera transform the wrong way round": (
        "ehf",
        replaced(ehf, "T_CAMERA_WORLD", invert_rigid(ehf.T_CAMERA_WORLD)),
        *(300, 100, 0),
    ),
    "mscoco: hands before the face, as MMHuman3D orders them": (
        "mscoco",
        replaced(coco_json, "_WHOLE_BODY", FACE_LAST),
        *(0, 0, 50),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, trees, monkeypatch):
    dataset, plant, mesh_mm, joints_px, keypoints_px = MUTATIONS[name]
    plant(monkeypatch)
    found = worst(differences(dataset, *trees[dataset]))
    LOG.info("%s: mesh %.1f mm, joints %.1f px, keypoints %.1f px", name, *found)
    assert found[0] >= mesh_mm
    assert found[1] >= joints_px
    assert found[2] >= keypoints_px


def test_a_person_left_out_is_noticed(trees, monkeypatch):
    monkeypatch.setattr(bedlam, "are_intrinsics", lambda K: np.zeros(len(K), bool))  # everyone is rejected
    with pytest.raises(KeyError):
        differences("bedlam", *trees["bedlam"])


def test_an_invented_label_is_noticed(trees, monkeypatch):
    original = bedlam._person

    def with_face(*args):
        return replace(original(*args), jaw_pose=np.zeros(3, np.float32))

    monkeypatch.setattr(bedlam, "_person", with_face)
    assert {name for one in differences("bedlam", *trees["bedlam"]) for name in one.invented} == {"jaw_pose"}


@pytest.fixture
def world():
    """People in world space, the camera that sees them, and where their joints then are."""
    rng = np.random.default_rng(7)
    people = place(standin(), [random_parameters(rng) for _ in range(4)], rng.normal(0, 1, (4, 3)))
    T_camera_world = rigid(rotation(x=2.9) @ rotation(y=0.4), np.array([0.2, 1.1, 4.0]))
    return people, T_camera_world, transform_points(T_camera_world, joints(standin(), people)[:, :FIXED])


def distances_mm(people, seen):
    """How far the joints of people are from where they were seen."""
    return 1000 * np.linalg.norm(joints(standin(), people)[:, :FIXED] - seen, axis=-1)


def moved(people, T_camera_world, offset_factor=1.0):
    """The people after parameters_to_camera, given ``offset_factor`` times the true pelvis offset."""
    stacked = [np.stack([person[name] for person in people]) for name in ("global_orient", "transl", "betas")]
    offset = offset_factor * standin().pelvis_offset(stacked[2])
    turned, shifted = cameras.parameters_to_camera(*stacked[:2], offset, T_camera_world)
    return [{**p, "global_orient": g, "transl": t} for p, g, t in zip(people, turned, shifted, strict=True)]


def test_world_space_parameters_land_where_the_camera_sees_the_body(world):
    people, T_camera_world, seen = world
    error_mm = distances_mm(moved(people, T_camera_world), seen)
    assert error_mm.max() < 1e-6


def test_a_forgotten_pelvis_offset_is_reported(world):
    people, T_camera_world, seen = world
    error_mm = distances_mm(moved(people, T_camera_world, 0.0), seen)
    LOG.info("pelvis offset forgotten: joints %.1f to %.1f mm", error_mm.min(), error_mm.max())
    assert error_mm.min() > 100


def test_a_transform_the_wrong_way_round_is_reported(world, monkeypatch):
    people, T_camera_world, seen = world

    def backwards(*args):
        return parameters_to_camera(*args[:3], invert_rigid(args[3]))

    monkeypatch.setattr(cameras, "parameters_to_camera", backwards)
    error_mm = distances_mm(moved(people, T_camera_world), seen)
    assert error_mm.min() > 1000
