"""EgoBody's known label errors, each planted on purpose: all show up as distances.

The bounds are well below what was measured; ``pytest --log-cli-level=INFO`` shows the figures.
"""

import logging
from dataclasses import replace

import numpy as np
import pytest

from ehps.body.cameras import parameters_to_camera
from ehps.body.hands import HAND_MEANS
from ehps.converters import egobody_egocentric, egobody_kinect
from ehps.converters.formats import egobody_recording, hololens, pca_hands, world_body
from ehps.tests.raw._planting import planted_tree, replaced, reported, wrapped

LOG = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def kinect(tmp_path_factory):
    return planted_tree("egobody_kinect", tmp_path_factory.mktemp("kinect"))


@pytest.fixture(scope="module")
def headset(tmp_path_factory):
    return planted_tree("egobody_egocentric", tmp_path_factory.mktemp("headset"))


def without_offset(orient, transl, offset, T):
    return parameters_to_camera(orient, transl, 0 * offset, T)


def with_other_mean(pose, side):
    return pose + HAND_MEANS["right" if side == "left" else "left"]


def hands_swapped(body, components):
    names = {"left_hand_pose": "right_hand_pose", "right_hand_pose": "left_hand_pose"}
    return pca_hands.absolute_hands({**body, **{one: body[two] for one, two in names.items()}}, components)


def other_genders(recordings):
    other = {"male": "female", "female": "male"}
    return {n: replace(r, genders=tuple(other[g] for g in r.genders)) for n, r in recordings.items()}


def first_focus(headset):
    """Return a headset that never refocuses, as MMHuman3D has it."""
    rows = {stamp: rest.split(",") for stamp, rest in headset.rows.items()}
    first = next(iter(sorted(rows)))
    return replace(headset, rows={stamp: ",".join([*rows[first][:2], *rest[2:]]) for stamp, rest in rows.items()})


def one_row_late(headset):
    """Return a headset whose rows belong to the pictures before, as when they are joined by order."""
    stamps = sorted(headset.rows)
    return replace(headset, rows=dict(zip(stamps, [headset.rows[s] for s in (stamps[0], *stamps[:-1])], strict=True)))


def points_of_the_next(keypoints):
    return dict(zip(keypoints, [*list(keypoints.values())[1:], next(iter(keypoints.values()))], strict=True))


def as_the_wearer(monkeypatch):
    """Take the fits of the wearer for those of the interactee."""

    def other_archive(folders):
        return {
            role: path.with_name(path.name.replace("interactee", "camera_wearer")) for role, path in folders.items()
        }

    wrapped(egobody_egocentric, "fit_dirs", other_archive)(monkeypatch)
    replaced(egobody_recording.Recording, "body_of", lambda recording, _: 1 - recording.interactee)(monkeypatch)


VIEWS_MIXED = {
    **egobody_kinect.VIEWS,
    "sub_1": egobody_kinect.VIEWS["sub_2"],
    "sub_2": egobody_kinect.VIEWS["sub_1"],
}
SHARED = {
    "rest pelvis forgotten": (replaced(world_body, "parameters_to_camera", without_offset), 30, 20, 0),
    "mean hand forgotten": (replaced(pca_hands, "to_absolute", lambda pose, _: pose), 10, 2, 0),
    "mean hand of the other side": (replaced(pca_hands, "to_absolute", with_other_mean), 10, 2, 0),
    "coefficients of the other hand": (replaced(egobody_recording, "absolute_hands", hands_swapped), 10, 2, 0),
    "genders exchanged": (wrapped(egobody_recording, "read_recordings", other_genders), 5, 1, 0),
}
# What is planted -> (how, mesh in mm, joints in px, keypoints in px: at least this must be reported).
OF_KINECTS = {
    **SHARED,
    "lens forgotten": (replaced(egobody_kinect, "Distortion", lambda *_: None), 0, 1, 0),
    "transform not inverted": (wrapped(egobody_kinect, "_from_master", np.linalg.inv), 300, 0, 0),
    "sub_1 and sub_2 exchanged": (replaced(egobody_kinect, "VIEWS", VIEWS_MIXED), 300, 50, 0),
}
OF_HEADSETS = {
    **SHARED,
    "axes of the headset left as they are": (replaced(hololens, "_TO_OPENCV", np.eye(4)), 500, 0, 0),
    "transform to the master backwards": (wrapped(egobody_egocentric, "_headset_to_master", np.linalg.inv), 300, 0, 0),
    "focus of the first picture": (wrapped(egobody_egocentric, "read_headset", first_focus), 0, 1, 0),
    "rows joined by order": (wrapped(egobody_egocentric, "read_headset", one_row_late), 300, 0, 0),
    "keypoints joined by order": (wrapped(egobody_egocentric, "_keypoints", points_of_the_next), 0, 0, 20),
    "the wearer in place of the interactee": (as_the_wearer, 100, 20, 0),
}


@pytest.mark.parametrize("name", OF_KINECTS)
def test_an_error_planted_before_the_kinects_is_reported(name, kinect, monkeypatch):
    check(kinect, name, OF_KINECTS[name], monkeypatch)


@pytest.mark.parametrize("name", OF_HEADSETS)
def test_an_error_planted_before_the_headset_is_reported(name, headset, monkeypatch):
    check(headset, name, OF_HEADSETS[name], monkeypatch)


def check(tree, name, planted, monkeypatch):
    plant, mesh_mm, joints_px, keypoints_px = planted
    plant(monkeypatch)
    found = reported(tree)
    LOG.info("%s %s: mesh %.1f mm, joints %.1f px, keypoints %.1f px", tree.dataset, name, *found)
    assert found[0] >= mesh_mm
    assert np.isnan(found[1]) or found[1] >= joints_px  # nobody is seen who stands behind the camera
    assert np.isnan(found[2]) or found[2] >= keypoints_px
