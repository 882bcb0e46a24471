"""What only Human3.6M does: frames of the protocols, one world a subject, fits that need a body model."""

import json

import numpy as np
import pytest

from ehps.body.cameras import project
from ehps.converters import human36m, list_sources
from ehps.converters.engine import convert
from ehps.errors import BodyModelError, RawFileError, RawSchemaError, UnknownNameError
from ehps.shards.record import Frame, Reject
from ehps.tests.raw import human36m as fake
from ehps.tests.raw._recovery import converted


def frames_of(root, split="train", **options):
    return [record for record in converted("human36m", root, split, **options) if isinstance(record, Frame)]


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_unit_is_what_one_camera_saw_of_a_subaction(root):
    names = [unit.name for unit in list_sources("human36m", root, "train")]
    assert names[:2] == ["s_01_act_02_subact_01_ca_01", "s_01_act_02_subact_01_ca_04"]
    assert {unit.name[:4] for unit in list_sources("human36m", root, "test")} == {"s_09", "s_11"}


def test_frames_are_those_of_the_protocols_unless_one_asks_for_others(root):
    assert {frame.frame_index for frame in frames_of(root)} == {0, 5}
    assert {frame.frame_index for frame in frames_of(root, "test")} == {0, 64}
    assert {frame.frame_index for frame in frames_of(root, every="1")} == {0, 3, 5}
    with pytest.raises(UnknownNameError, match="step of pictures called '0'"):
        list_sources("human36m", root, "train", {"every": "0"})


def test_the_name_of_a_picture_counts_from_one(root):
    (frame, *_) = frames_of(root)
    assert (frame.key, frame.frame_index, frame.camera_name) == ("s_01_act_02_subact_01_ca_01_000001", 0, "1")


def test_cameras_of_a_moment_show_one_person_in_one_world(root):
    one, four = (next(f for f in frames_of(root) if f.key == f"s_01_act_02_subact_01_ca_0{n}_000006") for n in (1, 4))
    assert one.people[0].track == four.people[0].track
    worlds = []
    for frame in (one, four):
        T = frame.camera.T_camera_world
        worlds.append((frame.people[0].keypoints_3d[:, :3] - T[:3, 3]) @ T[:3, :3])
    assert np.abs(worlds[0] - worlds[1]).max() < 1e-5
    assert np.abs(one.people[0].keypoints_3d[0] - four.people[0].keypoints_3d[0]).max() > 0.01


def with_places_of_cameras(content):
    """Cameras as the release had them before June 2020: t is where the camera stands."""
    for camera in content.values():
        camera["t"] = (-np.array(camera["R"]).T @ camera["t"]).tolist()


def test_cameras_of_an_old_release_are_told_by_the_box(small):
    before = {frame.key: frame for frame in frames_of(small)}
    for path in small.glob("annotations/*_camera.json"):
        rewrite(path, with_places_of_cameras)
    rejects = list(converted("human36m", small, "train"))
    assert [reject.reason for reject in rejects] == ["bad_camera"] * len(before)
    assert "in files of before June 2020 t is where the camera stands" in rejects[0].detail
    misplaced = {}
    for key, frame in before.items():
        camera, points = frame.camera, frame.people[0].keypoints_3d[:, :3]
        wrong = points + (
            -camera.T_camera_world[:3, :3].T @ camera.T_camera_world[:3, 3] - camera.T_camera_world[:3, 3]
        )
        misplaced[key] = np.nanmin(np.linalg.norm(project(wrong, camera.K) - project(points, camera.K), axis=1))
    assert min(misplaced.values()) > 2000  # px


def test_the_box_is_the_owners_and_a_fifth_larger_than_the_joints(root):
    for frame in [*frames_of(root), *frames_of(root, "test")]:
        (person,) = frame.people
        pixels, box = person.keypoints_2d[:, :2], person.bbox_xyxy
        sides = (pixels.max(axis=0) - pixels.min(axis=0) - 1) * 1.2
        assert np.abs(box[2:] - box[:2] - sides).max() < 1e-2
        assert np.abs((box[2:] + box[:2]) / 2 - (pixels.max(axis=0) + pixels.min(axis=0)) / 2).max() < 1e-2


def test_a_frame_without_a_fit_keeps_its_joints(root):
    (person,) = next(frame for frame in frames_of(root, "test") if frame.frame_index == 64).people
    assert (person.body_pose, person.betas, person.body_model, person.labels.body) == (None,) * 4
    assert person.keypoints_3d.shape == (17, 4)
    assert person.provenance.file.split(";") == [
        "annotations/Human36M_subject11_data.json",
        "annotations/Human36M_subject11_joint_3d.json",
    ]


def test_the_right_leg_comes_first(root):
    for frame in frames_of(root):
        (person,) = frame.people
        assert person.keypoints_3d_convention == person.keypoints_2d_convention == "h36m_17"
        left_of_pelvis = person.keypoints_3d[4, :3] - person.keypoints_3d[0, :3]
        assert left_of_pelvis @ (person.keypoints_3d[11, :3] - person.keypoints_3d[14, :3]) > 0  # left hip, shoulders


def test_sequences_said_to_be_shifted_are_marked(root):
    marked = {frame.sequence for frame in frames_of(root, "test") if frame.people[0].quality["reported_shift"]}
    assert marked == {"s_09_act_05_subact_02_ca_01", "s_09_act_05_subact_02_ca_04"}


def test_joints_alone_need_neither_fits_nor_a_body_model(small, monkeypatch):
    for path in small.glob("annotations/*_NeuralAnnot.json"):
        path.unlink()
    monkeypatch.delenv("EHPS_BODY_MODELS")
    people = [frame.people[0] for frame in frames_of(small, fit="none")]
    assert len(people) == 9
    assert all(person.body_pose is None and person.keypoints_3d is not None for person in people)
    with pytest.raises(BodyModelError, match="EHPS_BODY_MODELS"):
        list_sources("human36m", small, "train")
    monkeypatch.setenv("EHPS_BODY_MODELS", "standin")
    with pytest.raises(RawFileError, match="fit=none converts joints without fits"):
        list_sources("human36m", small, "train")
    with pytest.raises(UnknownNameError, match="did you mean neuralannot"):
        list_sources("human36m", small, "train", {"fit": "neuralanot"})


def test_the_measured_joints_agree_with_the_body_that_the_engine_poses(root, tmp_path):
    (report,) = convert("human36m", root, tmp_path, "train", catalog=False)
    for unit in report.units:
        assert unit.measures["joint_error_mm"]["max"] < 0.1
        assert unit.measures["reprojection_px"]["max"] < 0.1


def test_an_annotation_of_an_unlisted_picture_is_named(small):
    path = small / "annotations" / "Human36M_subject5_data.json"
    rewrite(path, lambda content: content["annotations"][0].update(image_id=12))
    with pytest.raises(RawSchemaError, match=r"subject5_data.json: image_id of annotation \d+ should be one of images"):
        list_sources("human36m", small, "train")


def test_a_file_without_annotations_is_named(small):
    rewrite(small / "annotations" / "Human36M_subject8_data.json", lambda content: content.pop("annotations"))
    with pytest.raises(RawSchemaError, match="field 'annotations' should be present"):
        list_sources("human36m", small, "train")


def test_rejects_say_what_is_wrong(tmp_path, built):
    built(fake, tmp_path)
    rejects = {r.reason: r.detail for r in converted("human36m", tmp_path, "train") if isinstance(r, Reject)}
    assert "body_pose: expected 63 values, got 60" in rejects["bad_fit"]
    assert "no sound camera 5" in rejects["bad_camera"]


def test_people_are_counted_as_the_files_list_them(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    counted = sum(human36m.count_people(unit) for unit in list_sources("human36m", tmp_path, "train"))
    assert counted == expected["people"] + sum(expected["rejects"].values())
