"""What only SynHand does."""

import numpy as np
import pytest

from ehps.converters import get_converter, list_sources
from ehps.converters.engine import convert
from ehps.errors import RawSchemaError
from ehps.shards.record import Frame
from ehps.tests.raw import synhand as fake
from ehps.tests.raw._recovery import converted


@pytest.fixture
def small(tmp_path, built):
    """A tree that a test may spoil, and its file of test."""
    built(fake, tmp_path, bad=False)
    return tmp_path, next(tmp_path.glob("annot/synhand_*test*.npz"))


def frames_of(root, split="train"):
    return [record for record in converted("synhand", root, split) if isinstance(record, Frame)]


def rewrite(path, **changes):
    """Replace entries of a file; one that becomes None goes."""
    with np.load(path, allow_pickle=True) as archive:
        content = {name: archive[name] for name in archive.files}
    content |= {name: change(content[name]) for name, change in changes.items()}
    np.savez_compressed(path, **{name: value for name, value in content.items() if value is not None})


def with_entry(name, value):
    """Return a change of a dictionary: one entry replaced."""

    def change(stored):
        content = stored.item()
        return {**content, name: value(content[name])}

    return change


def test_each_file_belongs_to_the_split_of_its_name_and_others_are_left_alone(root):
    units = {split: [unit.name for unit in list_sources("synhand", root, split)] for split in fake.SPLITS}
    assert units == {
        "train": ["annot-synhand_20240927_241004_0002_fix_betas"],
        "test": ["annot-synhand_20241018_test_241023_0001_fix_betas"],
    }


def test_pictures_have_the_sizes_that_meta_tells(root):
    frames = frames_of(root)
    assert [(frame.width, frame.height) for frame in frames] == [(320, 256)] * 3 + [(256, 256)] * 2
    assert [frame.camera.K[0, 2] for frame in frames] == [160.0] * 3 + [128.0] * 2


def test_betas_go_with_their_gender_and_the_neutral_refit_is_not_read(root):
    people = [frame.people[0] for frame in frames_of(root)]
    assert [person.gender for person in people] == ["male"] * 3 + ["female"] * 2
    with np.load(next(root.glob("annot/synhand_*0927*.npz")), allow_pickle=True) as archive:
        stored = archive["smplx"].item()
    np.testing.assert_allclose([person.betas for person in people], stored["betas"], rtol=1e-6)


def test_hands_are_taken_as_they_are_whatever_the_file_says(small):
    root, path = small
    want = frames_of(root, "test")[0].people[0].left_hand_pose
    rewrite(path, misc=with_entry("flat_hand_mean", lambda _: False))
    np.testing.assert_array_equal(frames_of(root, "test")[0].people[0].left_hand_pose, want)


def test_a_flat_hand_is_a_hand(small):
    root, path = small
    rewrite(path, smplx=with_entry("left_hand_pose", np.zeros_like))
    person = frames_of(root, "test")[0].people[0]
    assert (person.labels.left_hand, float(np.abs(person.left_hand_pose).max())) == ("synthetic", 0.0)


def test_points_behind_the_camera_are_no_keypoints(root):
    *far, near = [frame.people[0] for frame in frames_of(root)]
    behind = near.keypoints_3d[:, 2] < 0
    assert 5 < behind[:144].sum() < 140
    assert not near.keypoints_2d[behind].any()
    assert near.keypoints_2d[:144, 2].sum() == 144 - behind[:144].sum()
    assert all(person.keypoints_2d[:144, 2].all() for person in far)


def test_boxes_around_points_behind_the_camera_are_left_out(root):
    *far, near = [frame.people[0] for frame in frames_of(root)]
    assert near.bbox_xyxy is None
    assert near.left_hand_bbox_xyxy is not None or near.right_hand_bbox_xyxy is not None
    assert all(person.bbox_xyxy is not None for person in far)


def test_somebody_partly_behind_the_camera_is_written_with_a_box_of_the_engine_s(root, tmp_path):
    (report,) = convert("synhand", root, tmp_path, "test", catalog=False)
    (unit,) = report.units
    assert (unit.people, unit.rejects, unit.warnings) == (2, {}, [])
    assert unit.measures["reprojection_px"]["max"] < 0.1


def test_a_file_without_the_control_entry_is_read_by_its_mask(small):
    root, path = small
    want = frames_of(root, "test")[0].people[0].keypoints_2d
    rewrite(path, __keypoints_compressed__=lambda _: None)
    np.testing.assert_array_equal(frames_of(root, "test")[0].people[0].keypoints_2d, want)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"smplx": lambda _: None, "smpl": lambda _: None}, "entry 'smplx' should be present"),
        ({"smplx": with_entry("body_pose", lambda pose: pose[:1])}, r"smplx\['body_pose'\] should be of 2 rows"),
        ({"keypoints2d_smplx": lambda points: points[:, :143]}, "keypoints2d_smplx should be"),
    ],
)
def test_what_a_file_should_hold(small, changes, message):
    root, path = small
    rewrite(path, **{name: change for name, change in changes.items() if name != "smpl"})
    with pytest.raises(RawSchemaError, match=message):
        frames_of(root, "test")


def test_people_are_counted_as_the_file_has_rows(tmp_path, built):
    expected = built(fake, tmp_path).expected["train"]
    units = list_sources("synhand", tmp_path, "train")
    counted = sum(get_converter("synhand").count_people(unit) for unit in units)
    assert counted == expected["people"] + sum(expected["rejects"].values())
