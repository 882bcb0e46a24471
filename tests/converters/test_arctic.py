"""What only ARCTIC does, and the shared readers of its files: OBJ meshes and dictionaries pickled in .npy."""

import json
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

from ehps.body.cameras import invert_rigid, project, transform_points
from ehps.body.posing import PosingModel
from ehps.body.unpickling import load_npy_object
from ehps.converters import arctic, list_sources
from ehps.converters.engine import convert
from ehps.converters.formats.obj import read_obj_vertices
from ehps.errors import ConversionError, RawFileError, RawSchemaError, UnknownNameError, UnsafePickleError
from ehps.shards.record import Frame, Reject
from ehps.shards.sidecar import read_sidecar
from ehps.tests.raw import arctic as fake
from ehps.tests.raw._people import batch
from ehps.tests.raw._recovery import converted, differences, worst

BASE = "arctic_data/data"


@pytest.fixture(scope="module")
def val(root):
    """The pictures of val, which carry meshes."""
    with pytest.MonkeyPatch.context() as patch:  # the fixture that sets it for every test comes after this one
        patch.setenv("EHPS_BODY_MODELS", "standin")
        return frames_of(root, "val")


@pytest.fixture
def small(tmp_path, built):
    """A tree that a test may spoil."""
    built(fake, tmp_path, bad=False, frames=2)
    return tmp_path


def records_of(root, split="train", **options):
    return list(converted("arctic", root, split, **options))


def frames_of(root, split="train", **options):
    return [record for record in records_of(root, split, **options) if isinstance(record, Frame)]


def rejects_of(root, **options):
    return [record for record in records_of(root, **options) if isinstance(record, Reject)]


def rewrite(root, kind, **changes):
    """Replace values of the train sequence; one that becomes None goes."""
    path = root / BASE / "raw_seqs" / "s01" / f"box_grab_01.{kind}.npy"
    content = load_npy_object(path)
    content |= {name: change(content[name]) for name, change in changes.items()}
    fake.write_npy(path, {name: value for name, value in content.items() if value is not None})


def own_body(person, root, standin_dir):
    """Return the person posed with the template that the record names: joints, mesh."""
    model = PosingModel.load(standin_dir, "smplx", person.gender, 10)
    model = replace(model, template=read_obj_vertices(root / person.template))
    names = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose")
    parameters = batch(
        [{name: getattr(person, name).astype(float) for name in (*names, "transl")} | {"betas": np.zeros(0)}]
    )
    return model.joints(parameters)[0], model.vertices(parameters)[0]


def test_a_record_names_the_template_in_place_of_betas(root, val):
    for frames, subject, gender in ((frames_of(root), "s01", "female"), (val, "s05", "male")):
        for frame in frames:
            (person,) = frame.people
            assert (person.template, person.gender) == (f"{BASE}/meta/subject_vtemplates/{subject}.obj", gender)
            assert (person.betas, person.expression, person.labels.shape) == (None, None, None)


def test_joints_and_mesh_are_those_of_the_template_and_not_of_the_model(root, val, standin_dir):
    (person,) = val[3].people
    joints, mesh = own_body(person, root, standin_dir)
    np.testing.assert_allclose(person.joints_3d, joints, atol=1e-5)
    np.testing.assert_allclose(person.vertices, mesh, atol=1e-5)
    model = PosingModel.load(standin_dir, "smplx", person.gender, 10)
    away = np.linalg.norm(read_obj_vertices(root / person.template) - model.template, axis=1)
    assert away.max() > 0.01, "a template that is the model's own proves nothing"


def test_one_moment_is_one_body_in_all_views(val):
    frames = [frame for frame in val if frame.frame_index == val[0].frame_index]
    assert [frame.camera_name for frame in frames] == [str(view) for view in range(1, 9)]
    spots = [
        transform_points(invert_rigid(f.camera.T_camera_world), f.people[0].vertices.astype(float)) for f in frames
    ]
    for spot in spots[1:]:
        np.testing.assert_allclose(spot, spots[0], atol=1e-5)


def test_meshes_are_there_where_they_are_asked_for(root):
    has = {
        mesh: [next(converted("arctic", root, s, mesh=mesh)).people[0].vertices is not None for s in fake.SPLITS]
        for mesh in arctic.MESHES
    }
    assert has == {"val": [False, True], "none": [False, False], "all": [True, True]}
    faces = [next(converted("arctic", root, split)).people[0].labels.face for split in fake.SPLITS]
    assert faces == [None, "fitted"]


def test_the_camera_on_the_head_bends_and_moves(tmp_path, built):
    truth = built(fake, tmp_path, bad=False, protocol="p2")
    mesh_mm, _, _ = worst(differences("arctic", tmp_path, truth, fake.SPLITS, protocol="p2"))
    assert mesh_mm < 0.1
    frames = frames_of(tmp_path, protocol="p2")
    assert {frame.camera_name for frame in frames} == {"0"}
    assert len({frame.camera.T_camera_world.tobytes() for frame in frames}) == len(frames) == 2
    for frame in frames:
        lens = frame.camera.distortion
        assert len(lens.coefficients) == 8
        assert not frame.camera.is_undistorted
        hands = frame.people[0].joints_3d[25:55].astype(float)
        seen = hands[hands[:, 2] > 0.1]
        assert len(seen) > 10, "the head's camera sees hands"
        bent = project(seen, frame.camera.K, lens)  # NaN beside the lens, where hands may be
        assert np.nanmax(np.abs(bent - project(seen, frame.camera.K))) > 1


def test_who_wears_the_camera_is_no_reject(tmp_path, built):
    built(fake, tmp_path / "raw", bad=False)
    (report,) = convert(
        "arctic", tmp_path / "raw", tmp_path / "out", "train", options={"protocol": "p2"}, catalog=False
    )
    assert report.units[0].people == 2
    table = read_sidecar(next((tmp_path / "out").rglob("*.tar")).with_suffix(".parquet"))
    assert max(table["quality_min_depth_m"].to_pylist()) < 0, "the head lies behind its camera"
    assert set(table["template"].to_pylist()) == {f"{BASE}/meta/subject_vtemplates/s01.obj"}


def test_the_engine_keeps_the_joints_that_only_the_converter_can_pose(tmp_path, built):
    built(fake, tmp_path / "raw", bad=False)
    (report,) = convert("arctic", tmp_path / "raw", tmp_path / "out", "train", catalog=False)
    assert not report.units[0].warnings
    assert report.units[0].measures["truncation"]["max"] < 0.3
    table = read_sidecar(next((tmp_path / "out").rglob("*.tar")).with_suffix(".parquet"))
    assert all(table["has_joints_3d"].to_pylist())
    assert min(table["box_height_px"].to_pylist()) > 100
    assert all(table["has_left_hand_bbox_xyxy"].to_pylist())


def test_pictures_are_counted_otherwise_than_frames(val):
    frames = [frame for frame in val if frame.camera_name == "1"]
    assert [frame.key[-5:] for frame in frames] == ["00010", "00011"]
    assert [frame.frame_index for frame in frames] == [6, 7]
    assert [frame.people[0].provenance.row for frame in frames] == ["frame 6", "frame 7"]


def test_without_body_models_there_are_poses_alone(root, val, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    for one, two in zip(frames_of(root, "val"), val, strict=True):
        (person,), (other,) = one.people, two.people
        assert (person.transl, person.joints_3d, person.vertices, person.labels.face) == (None, None, None, None)
        np.testing.assert_array_equal(person.global_orient, other.global_orient)
        np.testing.assert_array_equal(person.left_hand_pose, other.left_hand_pose)


def test_a_pose_of_the_head_s_camera_that_mirrors_is_refused(small):
    def mirrored(R):
        return np.concatenate([R[:9], -R[9:10], R[10:]])

    rewrite(small, "egocam.dist", R_k_cam_np=mirrored)
    (reject,) = rejects_of(small, protocol="p2")
    assert (reject.reason, reject.provenance.row) == ("bad_camera", "frame 9")
    assert not rejects_of(small)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("smplx", {"jaw_pose": lambda _: None}, "box_grab_01.smplx.npy: field 'jaw_pose' should be present"),
        ("smplx", {"left_hand_pose": lambda pose: pose[:, :12]}, "left_hand_pose should be 21 rows of 45 numbers"),
        (
            "smplx",
            {"transl": lambda transl: transl[:-3]},
            "body_pose should be 18 rows|global_orient should be 18 rows",
        ),
        (
            "mano",
            {"left": lambda hand: {**hand, "rot": hand["rot"][:-1]}},
            "mano.npy: rot of right and left should be 21",
        ),
        ("egocam.dist", {"dist8": lambda lens: lens[:5]}, "egocam.dist.npy: camera should be"),
        ("egocam.dist", {"T_k_cam_np": lambda t: t[:-1]}, "egocam.dist.npy: camera should be"),
    ],
)
def test_a_sequence_of_another_shape_is_named(small, kind, changes, message):
    rewrite(small, kind, **changes)
    with pytest.raises(RawSchemaError, match=message):
        frames_of(small)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("gender", "f", "gender of s01 should be male or female"),
        ("world2cam", np.zeros((8, 4, 4)).tolist(), "cameras of s01 should be 8 rigid transforms"),
        ("image_size", [[64, 48]] * 8, "cameras of s01 should be 8 rigid transforms"),
        ("ioi_offset", None, "field 'ioi_offset' should be present"),
    ],
)
def test_a_table_of_subjects_that_cannot_be_understood_is_named(small, field, value, message):
    path = small / BASE / "meta" / "misc.json"
    content = json.loads(path.read_text())
    content["s01"][field] = value
    if value is None:
        del content["s01"][field]
    path.write_text(json.dumps(content))
    with pytest.raises(RawSchemaError, match=message):
        frames_of(small)


def test_a_template_of_another_topology_is_named(small):
    path = small / BASE / "meta" / "subject_vtemplates" / "s01.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    with pytest.raises(RawSchemaError, match=r"s01\.obj: vertices should be 10475 of SMPL-X"):
        frames_of(small)


def test_unknown_protocols_and_meshes_name_the_nearest(root):
    with pytest.raises(UnknownNameError, match="p1"):
        list_sources("arctic", root, "train", {"protocol": "p3"})
    with pytest.raises(UnknownNameError, match="val"):
        list_sources("arctic", root, "train", {"mesh": "vla"})


def test_sequences_that_were_not_downloaded_are_left_out(small):
    (small / BASE / "images" / "s05").rename(small / "elsewhere")
    assert len(list_sources("arctic", small, "train")) == 1
    with pytest.raises(RawFileError, match="holds nothing of the val split"):
        list_sources("arctic", small, "val")


def test_the_tree_may_begin_where_the_owner_s_scripts_leave_it(small):
    (small / BASE).rename(small / "data")
    assert len(frames_of(small)) == 8


def test_a_mesh_is_read_as_text(tmp_path):
    path = tmp_path / "x.obj"
    path.write_text("# v 9 9 9\nv 1 2 3\nvn 0 0 1\nvt 0 0\nv -1e-3 2.5 3.5 1.0\nf 1//1 2//1 1//1\n")
    np.testing.assert_array_equal(read_obj_vertices(path), [[1, 2, 3], [-0.001, 2.5, 3.5]])
    for content, problem in (
        ("v 1 2\n", "is not a mesh"),
        ("v a b c\n", "is not a mesh"),
        ("f 1 2 3\n", "no vertices"),
    ):
        path.write_text(content)
        with pytest.raises(RawFileError, match=problem):
            read_obj_vertices(path)
    with pytest.raises(RawFileError, match="no such file"):
        read_obj_vertices(tmp_path / "y.obj")


class _Evil:
    def __reduce__(self):
        return print, ("run",)


def test_a_pickle_in_npy_cannot_run_code(tmp_path, capsys):
    path = tmp_path / "x.npy"
    np.save(path, np.array({"a": _Evil()}, dtype=object), allow_pickle=True)
    with pytest.raises(UnsafePickleError, match=r"builtins\.print"):
        load_npy_object(path)
    assert capsys.readouterr().out == ""


def test_dictionaries_in_npy_come_back(tmp_path):
    path, content = tmp_path / "x.npy", {"a": np.arange(6.0).reshape(2, 3), "b": ["x", 3], "c": {"d": np.float32(2)}}
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    found = load_npy_object(path)
    np.testing.assert_array_equal(found["a"], content["a"])
    assert (found["b"], found["c"]) == (content["b"], content["c"])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not a readable pickle"),
        (b"\x93NUMPY\x01\x00v\x00{", "not a readable pickle"),
        (pickle.dumps({}), "not a"),
    ],
)
def test_damaged_npy_files_are_named(tmp_path, data, problem):
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    with pytest.raises(RawFileError, match=problem):
        load_npy_object(path)


def test_plain_arrays_and_cut_files_are_no_dictionaries(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((2, 3)))
    with pytest.raises(RawFileError, match=re.escape("the file holds an array (2, 3) of float64")):
        load_npy_object(path)
    np.save(path, np.array({"a": np.zeros(1000)}, dtype=object), allow_pickle=True)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(RawFileError, match="not a readable pickle"):
        load_npy_object(path)


def test_black_and_unlabelled_pictures_fail_a_conversion_that_has_many(tmp_path, built):
    built(fake, tmp_path / "raw")
    with pytest.raises(ConversionError, match="no_label 16"):
        convert("arctic", tmp_path / "raw", tmp_path / "out", "train", catalog=False)


def test_people_are_counted_as_the_files_tell(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    counted = sum(arctic.count_people(unit) for unit in list_sources("arctic", tmp_path, "train"))
    assert counted == expected["people"] + sum(expected["rejects"].values())
