"""Who stands in front hides who stands behind: truths made by hand, and the plain way beside the quick one."""

from dataclasses import replace

import numpy as np
import pytest

from ehps.body.joints import SMPLX_INDEX
from ehps.cards import Checks
from ehps.converters import batch
from ehps.converters import occlusion as module
from ehps.converters.bodies import Bodies
from ehps.converters.occlusion import occlusion
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance

FOCAL = 1000.0
REACH = 0.12 * FOCAL / 2  # px: half the thickness of a trunk at two metres


def people(count):
    """Pixels and joints of people whose joints all lie in one point at the middle of the picture, two metres away."""
    pixels, joints = np.full((count, 144, 2), 500.0), np.zeros((count, 144, 3))
    joints[..., 2] = 2.0
    return pixels, joints


def shares(pixels, joints, pictures=None, has_depth=None):
    count = len(pixels)
    pictures = np.zeros(count, int) if pictures is None else np.array(pictures)
    known = np.ones(count, bool) if has_depth is None else np.array(has_depth)
    return occlusion(pixels, joints, np.full(count, FOCAL), np.full((count, 2), 1000.0), pictures, known)


@pytest.fixture
def couple():
    """Somebody in a point, and behind them somebody half of whose joints that point's thickness reaches."""
    pixels, joints = people(2)
    joints[1, :, 2] = 3.0
    pixels[1, :11, 0] += REACH - 1
    pixels[1, 11:, 1] -= REACH + 1
    return pixels, joints


def test_a_person_in_front_hides_what_it_covers_and_nothing_else(couple):
    assert shares(*couple).tolist() == [0, 0.5]


def test_a_person_behind_hides_nothing(couple):
    pixels, joints = couple
    joints[0, :, 2] = 3.5
    assert shares(pixels, joints)[1] == 0


def test_joints_outside_the_picture_do_not_count(couple):
    pixels, joints = couple
    pixels[:, :, 0] -= 500 + REACH - 1.2  # eleven joints on the left edge of the picture, the others beyond it
    assert shares(pixels, joints).tolist()[1] == 1
    pixels[:, :, 0] -= 500
    assert np.isnan(shares(pixels, joints)).all()


def test_pictures_are_apart(couple):
    pixels, joints = (np.concatenate([part, part]) for part in couple)
    assert shares(pixels, joints, [0, 0, 1, 1]).tolist() == [0, 0.5, 0, 0.5]
    alone = shares(pixels[:3], joints[:3], [0, 1, 2])
    assert np.isnan(alone).all(), "nobody else is labelled, so nothing can be said"


def test_an_unknown_depth_leaves_the_share_open(couple):
    assert np.isnan(shares(*couple, has_depth=[False, True])).all()
    pixels, joints = couple
    pixels[0, SMPLX_INDEX["left_knee"]] = np.nan
    assert np.isnan(shares(pixels, joints)).all()


def test_a_limb_covers_along_its_whole_length():
    pixels, joints = people(2)
    joints[1, :, 2] = 5.0
    pixels[1] = (900, 900)
    hip, knee = SMPLX_INDEX["left_hip"], SMPLX_INDEX["left_knee"]
    pixels[0, hip], pixels[0, knee] = (500, 500), (500, 900)
    pixels[1, SMPLX_INDEX["head"]] = (500 + 0.079 * FOCAL / 2, 700)
    pixels[1, SMPLX_INDEX["neck"]] = (500 + 0.091 * FOCAL / 2, 700)
    assert shares(pixels, joints)[1] == pytest.approx(1 / 22)
    joints[0, knee, 2] = 4.0  # a knee further away is thinner: half way down the thigh so much is left
    pixels[1, SMPLX_INDEX["head"]] = (500 + 0.08 * FOCAL * (1 / 2 + 1 / 4) / 2 - 1, 700)
    assert shares(pixels, joints)[1] == pytest.approx(1 / 22)
    pixels[1, SMPLX_INDEX["head"], 0] += 2
    assert shares(pixels, joints)[1] == 0


def _plainly(pixels, joints, pictures):
    """One joint and one bone at a time."""
    hidden = np.zeros((len(pixels), 22), bool)
    capsules = module._capsules(pixels, joints, np.full(len(pixels), FOCAL))
    for far in range(len(pixels)):
        for near in np.flatnonzero((pictures == pictures[far]) & (np.arange(len(pixels)) != far)):
            for joint in range(22):
                for bone in range(len(module._RADIUS)):
                    (a, b), ends = (capsules.start[near, bone], capsules.end[near, bone]), capsules.radii[near, bone]
                    share = np.clip(np.dot(pixels[far, joint] - a, b - a) / np.dot(b - a, b - a), 0, 1)
                    gap = np.linalg.norm(pixels[far, joint] - a - share * (b - a))
                    nearer = np.interp(share, [0, 1], capsules.depths[near, bone]) < joints[far, joint, 2]
                    hidden[far, joint] |= bool(nearer and gap <= np.interp(share, [0, 1], ends))
    return hidden.mean(axis=1)


def test_many_people_at_once_are_what_one_after_the_other_are(monkeypatch):
    monkeypatch.setattr(module, "_PAIRS_AT_A_TIME", 3)
    rng = np.random.default_rng(5)
    pictures = np.repeat([0, 1, 2], [4, 1, 3])
    pixels = rng.uniform(300, 700, (8, 1, 2)) + rng.normal(0, 60, (8, 144, 2))
    joints = np.concatenate([np.zeros((8, 144, 2)), rng.uniform(2, 5, (8, 144, 1))], axis=2)
    found = shares(pixels, joints, pictures)
    expected = np.where(pictures == 1, np.nan, _plainly(pixels, joints, pictures))
    np.testing.assert_allclose(found, expected)
    assert 0.1 < np.nanmean(found) < 0.9


# In a batch


def _couple_of(toy, **back):
    rows = toy.people(1)
    parts = {name: rows[name][0] for name in toy.PARTS} | {"body_model": "smplx", "gender": "neutral"}
    front = Person(provenance=Provenance(file="f", row="0"), labels=Labels(), **parts)
    behind = replace(front, transl=front.transl + np.float32([0.05, 0, 1]), **back)
    camera = Camera(K=toy.K, kind="measured")
    return Frame(key="f", image=b"", width=toy.WIDTH, height=toy.HEIGHT, camera=camera, people=(front, behind))


def test_people_of_a_batch_get_their_occlusion(toy, standin_dir):
    (frame,) = batch.examine([_couple_of(toy)], Bodies(standin_dir), Checks()).frames
    front, behind = frame.people
    assert front.quality["occlusion"] == 0
    assert 0.5 < behind.quality["occlusion"] <= 1


@pytest.mark.parametrize(
    "back", [{"transl_is_metric": False}, {"transl": None}, {"camera": Camera(K=np.eye(3), kind="virtual_crop")}]
)
def test_a_depth_that_cannot_be_compared_gives_none(toy, standin_dir, back):
    frame = _couple_of(toy)
    couple = (frame.people[0], replace(frame.people[1], **back))
    (frame,) = batch.examine([replace(frame, people=couple)], Bodies(standin_dir), Checks()).frames
    assert not any("occlusion" in person.quality for person in frame.people)
