"""AGORA's known label errors, each planted on purpose: all show up as distances, or as labels too many.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import numpy as np
import pytest

from ehps.body.cameras import parameters_to_camera
from ehps.converters import agora
from ehps.converters.formats import agora_fit, agora_scene, unreal
from ehps.shards.record import Frame, Reject
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped
from ehps.tests.raw._recovery import converted, differences


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return planted_tree("agora", tmp_path_factory.mktemp("agora"))


def moved_without(*, turn=False, offset=False):
    """The change of space without turning the root, or without the rest pelvis."""

    def change(orient, transl, pelvis, T_camera_scan):
        turned, moved = parameters_to_camera(orient, transl, 0 * pelvis if offset else pelvis, T_camera_scan)
        return (orient if turn else turned), moved

    return change


def view(**changes):
    return {word: one._replace(**changes) for word, one in agora_scene._VIEWS.items()}


def with_fields(**changes):
    return lambda fit: {**fit, **{name: change(fit) for name, change in changes.items()}}


def unguarded(plant):
    """The planted error without the comparison of the owner's joints that refuses everyone whom it touches."""

    def both(monkeypatch):
        plant(monkeypatch)
        monkeypatch.setattr(agora, "keypoint_gap", lambda *_: 0.0)

    return both


_FOCAL = replaced(agora_scene, "_VIEWS", view(focal_mm=18))

# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
MUTATIONS = {
    "global_orient left in the scan's space": (
        replaced(agora_fit, "parameters_to_camera", moved_without(turn=True)),
        *(500, 50, 0),
    ),
    "rest pelvis forgotten": (replaced(agora_fit, "parameters_to_camera", moved_without(offset=True)), 200, 20, 0),
    "hand mean forgotten": (replaced(agora_fit, "to_absolute", lambda pose, _: pose), 20, 3, 0),
    "left and right hand swapped": (
        wrapped(
            agora_fit,
            "read_body",
            with_fields(left_hand_pose=lambda b: b["right_hand_pose"], right_hand_pose=lambda b: b["left_hand_pose"]),
        ),
        *(20, 3, 0),
    ),
    "weight of the kid's template dropped": (
        wrapped(agora, "read_fit", with_fields(kid_weight=lambda fit: 0.0 if fit["kid_weight"] else None)),
        *(50, 5, 0),
    ),
    "girls posed with the female model": (
        wrapped(
            agora,
            "read_fit",
            with_fields(gender=lambda fit: "female" if fit["gender"] == "neutral" else fit["gender"]),
        ),
        *(5, 0.5, 0),
    ),
    "gendered betas on the neutral model": (
        wrapped(agora, "read_fit", with_fields(gender=lambda _: "neutral")),
        *(5, 0.5, 0),
    ),
    "Yaw without its quarter turn": (
        replaced(agora, "scan_pose", lambda row, i: agora_scene.scan_pose({**row, "Yaw": np.add(row["Yaw"], 90)}, i)),
        *(500, 50, 0),
    ),
    "pitch of the camera the wrong way round": (
        replaced(agora_scene, "_VIEWS", {w: v._replace(pitch=-v.pitch) for w, v in agora_scene._VIEWS.items()}),
        *(500, 50, 0),
    ),
    "ground plane forgotten": (replaced(agora_scene, "_VIEWS", view(ground_m=0.0)), 1500, 100, 0),
    "focal length of the archviz cameras for all": (unguarded(_FOCAL), 0, 50, 0),
    "centimetres taken for metres": (
        replaced(agora_scene, "point_from_unreal", lambda place: 100 * unreal.point_from_unreal(place)),
        *(1000, 20, 0),
    ),
    "keypoints left in the large picture": (
        wrapped(agora, "_keypoints", with_fields(keypoints_2d=lambda fields: fields["keypoints_2d"] * [3, 3, 1])),
        *(0, 0, 500),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, tree, monkeypatch):
    plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, tree, bounds, monkeypatch)


def test_a_wrong_focal_length_is_refused_by_the_owner_s_own_joints(tree, monkeypatch):
    _FOCAL(monkeypatch)
    records = list(converted("agora", tree.root, "train"))
    kept = [record.key for record in records if isinstance(record, Frame)]
    assert all("archviz" in key for key in kept)
    assert {record.reason for record in records if isinstance(record, Reject)} == {"bad_keypoints"}


def test_hands_and_faces_of_body_pictures_are_noticed_as_invented(tree, monkeypatch):
    monkeypatch.setattr(agora, "_FINE_FIELDS", ())
    assert {name for one in differences(*tree) for name in one.invented} >= {"left_hand_pose", "jaw_pose"}
