"""Formats of the owners of AGORA, SPEC and GTA-Human: pickled tables and bodies, Unreal's world, cameras as columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.body.cameras import intrinsics, project, transform_points
from ehps.converters.formats.keeping import keeps_last
from ehps.converters.formats.keypoints import sound_points
from ehps.converters.formats.npz_scalars import read_scalars
from ehps.converters.formats.pandas_pickle import read_rows
from ehps.converters.formats.placing import solve_transl
from ehps.converters.formats.smplx_pickle import read_body
from ehps.converters.formats.tilted_camera import Cameras
from ehps.converters.formats.unreal import camera_from_world, point_from_unreal
from ehps.errors import RawFileError, RawSchemaError, UnsafePickleError
from ehps.tests.raw._owner_pickles import write_pickle, write_table
from ehps.tests.raw._people import rotation

DEGREES = st.floats(-180, 180)


def body(**changes):
    sizes = {"global_orient": 3, "body_pose": 63, "left_hand_pose": 45, "right_hand_pose": 45, "jaw_pose": 3}
    sizes |= {"leye_pose": 3, "reye_pose": 3, "transl": 3, "betas": 11, "expression": 10}
    ramp = {name: np.arange(size, dtype=np.float32)[None] + 100 * i for i, (name, size) in enumerate(sizes.items())}
    return {**ramp, "gender": "female", **changes}


def written(path, value):
    write_pickle(path, value)
    return path


# Pickled tables


def test_rows_hold_the_wanted_columns_alone(tmp_path):
    write_table(tmp_path / "x.pkl", {"name": ["a", "b"], "X": [[1.0, 2.0], [3.0]], "heavy": [np.ones(9), None]})
    assert read_rows(tmp_path / "x.pkl", ("name",), ("X",)) == [
        {"name": "a", "X": [1.0, 2.0]},
        {"name": "b", "X": [3.0]},
    ]


def test_a_table_that_changed_is_read_again(tmp_path):
    path = tmp_path / "x.pkl"
    for name in ("first", "second"):
        write_table(path, {"name": [name]})
        path.touch()
        assert read_rows(path, ("name",)) == [{"name": name}]


def test_a_cell_that_is_no_list_is_named(tmp_path):
    write_table(tmp_path / "x.pkl", {"X": [[1.0], float("nan")]})
    with pytest.raises(RawSchemaError, match=r"column 'X' of row 1 should be a list of .*found a float"):
        read_rows(tmp_path / "x.pkl", (), ("X",))


def test_a_pickle_of_something_else_is_no_table(tmp_path):
    with pytest.raises(RawSchemaError, match="the pickle should be a table of pandas, found a dict; take the other"):
        read_rows(written(tmp_path / "x.pkl", {"name": ["a"]}), ("name",), (), "take the other")
    with pytest.raises(RawFileError, match="no such file"):
        read_rows(tmp_path / "gone.pkl", ("name",))


def test_the_last_file_is_kept_until_a_setting_changes(tmp_path):
    reads = []

    @keeps_last
    def read(path, setting=""):
        reads.append(setting)
        return path.read_text() + setting

    (tmp_path / "a").write_text("a")
    assert [read(tmp_path / "a"), read(tmp_path / "a"), read(tmp_path / "a", "!")] == ["a", "a", "a!"]
    assert reads == ["", "!"]


# Pickled bodies


def test_a_body_comes_back_unbatched(tmp_path):
    found = read_body(written(tmp_path / "x.pkl", body()))
    assert found["body_pose"].shape == (21, 3)
    assert found["right_hand_pose"].shape == (15, 3)
    assert found["betas"].tolist() == list(range(800, 811))
    assert found["left_hand_pose"][14, 2] == 244
    assert "gender" not in found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"body_pose": np.ones((1, 69))}, r"parameter 'body_pose' should be 63 numbers, found an array \(1, 69\)"),
        ({"jaw_pose": None}, "parameter 'jaw_pose' should be an array of numbers, found a NoneType"),
        ({"transl": np.full((1, 3), np.nan)}, "parameter 'transl' should be finite"),
        ({"betas": ["1"] * 10}, "parameter 'betas' should be an array of numbers, found a list"),
    ],
)
def test_a_body_that_is_not_one_is_named(tmp_path, changes, message):
    with pytest.raises(RawSchemaError, match=message):
        read_body(written(tmp_path / "x.pkl", body(**changes)))


def test_a_body_that_wants_to_run_code_is_refused(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.")
    with pytest.raises(UnsafePickleError, match="system"):
        read_body(tmp_path / "x.pkl")


# Placing


@given(st.integers(0, 2**32 - 1), st.floats(0, 2))
def test_a_body_is_placed_where_its_keypoints_are_seen(seed, noise_px):
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.4, (3, 24, 3))
    transl = np.column_stack([rng.normal(0, 0.5, (3, 2)), rng.uniform(3, 9, 3)])
    K = np.tile(intrinsics(1500.0, 1530.0, 960.0, 540.0), (3, 1, 1))
    pixels = project(joints + transl[:, None], K) + noise_px * rng.uniform(-1, 1, (3, 24, 2))
    keypoints = np.concatenate([pixels, rng.uniform(0.3, 1, (3, 24, 1))], axis=2)
    keypoints[2, 6:, 2] = 0  # two hips, knees and nothing else of the limbs
    found = solve_transl(joints, keypoints, "smpl_24", K)
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[:2], transl[:2], atol=1e-6 + 0.15 * noise_px)


# Unreal's world


def test_unreal_s_axes_become_a_camera_s():
    np.testing.assert_allclose(point_from_unreal(np.array([300.0, 20.0, 170.0])), [0.2, -1.7, 3.0])


@given(DEGREES, st.floats(-60, 60), st.floats(0.5, 30))
def test_a_camera_looks_along_its_yaw_and_down_by_its_pitch(yaw, pitch, distance):
    angle, down = np.radians([yaw, pitch])
    ahead_cm = 100 * distance * np.array([np.cos(down) * np.cos(angle), np.cos(down) * np.sin(angle), -np.sin(down)])
    place_cm = np.array([150.0, -220.0, 265.0])
    T = camera_from_world(point_from_unreal(place_cm), yaw, pitch)
    np.testing.assert_allclose(transform_points(T, point_from_unreal(place_cm + ahead_cm)), [0, 0, distance], atol=1e-9)
    level = place_cm + [-np.sin(angle), np.cos(angle), 0]  # Unreal's y is to the right of x
    np.testing.assert_allclose(transform_points(T, point_from_unreal(level)), [0.01, 0, 0], atol=1e-9)


# Single values, keypoints, cameras


def test_single_values_are_read_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", fov=np.array(50.0), valid=np.array(True), text=np.array("RAIN"), many=np.arange(3))
    assert read_scalars(tmp_path / "x.npz", "fov", "valid", "text") == {"fov": 50.0, "valid": True, "text": "RAIN"}
    with pytest.raises(RawSchemaError, match="value 'length' should be present, found only fov, many, text, valid"):
        read_scalars(tmp_path / "x.npz", "length")
    with pytest.raises(RawSchemaError, match=r"value 'many' should be a single value, found an array \(3,\)"):
        read_scalars(tmp_path / "x.npz", "many")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_point_that_is_not_finite_does_not_count(bad, place):
    points = np.array([[3.0, 4.0, 0.5], [5.0, 6.0, 0.25]])
    points[0, place] = bad
    found = sound_points(points)
    assert found[0, 2] == 0
    assert found[1].tolist() == [5.0, 6.0, 0.25]
    assert np.isfinite(found).all()


def test_cameras_of_angles_are_those_of_the_matrix(tmp_path):
    pitch, roll = np.array([0.2, -0.3]), np.array([-0.1, 0.25])
    R = np.stack([rotation(x=p) @ rotation(z=r) for p, r in zip(pitch, roll, strict=True)])
    focal = np.array([[1500.0, 1510.0], [900.0, 900.0]])
    angles = Cameras(tmp_path, {"cam_pitch": pitch, "cam_roll": roll, "focal_length": focal}, (1920, 1080))
    matrix = Cameras(tmp_path, {"cam_rotmat": R, "cam_int": angles.K}, (1920, 1080))
    np.testing.assert_allclose(angles.R, matrix.R, atol=1e-12)
    assert angles.K[0].tolist() == [[1500, 0, 960], [0, 1510, 540], [0, 0, 1]]
    assert matrix.is_sound.tolist() == [True, True]
    assert not matrix.is_same(0, 1)
    assert matrix.is_same(1, 1)


@pytest.mark.parametrize("change", [lambda R: R * 1.01, lambda R: -R, lambda R: R * np.nan, lambda R: R[:, ::-1]])
def test_what_is_no_rotation_is_no_camera(tmp_path, change):
    R = change(rotation(x=0.3)[None])
    K = np.array([[[900.0, 0, 960], [0, 900, 540], [0, 0, 1]]])
    assert not Cameras(tmp_path, {"cam_rotmat": R, "cam_int": K}, (1920, 1080)).is_sound.any()
