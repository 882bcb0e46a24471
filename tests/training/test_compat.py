"""What each switch changes and costs, as the table in docs/training.md states it."""

import re
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from ehps.body.joints import POSE_PARTS, SMPLX_INDEX, SUPERVISION_INDEX, SUPERVISION_PARTS
from ehps.body.rotations import axis_angle_to_matrix
from ehps.shards.reader import PeopleIndex
from ehps.tests.training.conftest import posed_people
from ehps.tests.training.test_losses import all_valid, random_pair, without
from ehps.tests.training.test_targets import full_person, person
from ehps.training.augment import AugmentationRange, draw_all
from ehps.training.compat import COMPAT, PAPER, Quirks
from ehps.training.crop_network import IMAGENET_MEAN, IMAGENET_STD, CropNetwork
from ehps.training.losses import compute_losses
from ehps.training.mixture import mix
from ehps.training.mixture_spec import Member, Mixture
from ehps.training.order import ReleasedBalance
from ehps.training.outputs import Outputs
from ehps.training.samples import SampleReader, SampleSettings, empty_rows
from ehps.training.smplerx import PartPrediction
from ehps.training.smplerx_losses import compute_smplerx_losses
from ehps.training.targets import augmented, labels_of, part_relative, training_rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<smplest>yes|) ?\| (?P<smpler>yes|) ?\| (?P<cost>.+) \|$", re.MULTILINE)
ROWS = {found["name"]: found for found in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
HAND_JOINTS = slice(SUPERVISION_PARTS["left_hand"].start, SUPERVISION_PARTS["right_hand"].stop)


@cache
def samples(converted, quirks, count=24):
    """Labels of the people of the small tree, over and over, as they are trained on."""
    mixture = Mixture(name="t", about="t", strategy="concat", members=[Member(dataset="bedlam")])
    settings = SampleSettings(quirks=quirks, crop_size=(192, 256))
    rows = empty_rows(count, settings.size)
    SampleReader(mix(mixture, converted), PeopleIndex.open(converted).load, settings).fill(np.arange(count), rows)
    return rows


def masks(converted, **switch):
    """Which joints count in the picture, without a switch and with it."""
    return [samples(converted, quirks).validity["joints"] > 0 for quirks in (PAPER, Quirks(**switch))]


def percent(share) -> str:
    return f"{100 * float(share):.0f} %"


def nearest_halving(converted):
    crops = torch.from_numpy(samples(converted, PAPER, count=4).crops).float() / 255
    crops = crops.repeat_interleave(2, 2).repeat_interleave(2, 3)
    fine = crops + 0.1 * torch.randn(crops.shape, generator=torch.Generator().manual_seed(0))
    plain, quirky = (
        CropNetwork(Quirks(unnormalised_input=True, nearest_halving=on)).prepare(fine) for on in (False, True)
    )
    assert quirky.shape == plain.shape
    noise = [float((halved - crops[..., ::2, ::2]).std()) for halved in (plain, quirky)]
    return f"{noise[1] / noise[0]:.1f} times the noise of fine detail"


def unnormalised_input(_):
    image = torch.tensor(IMAGENET_MEAN).view(3, 1, 1).expand(1, 3, 256, 192)
    plain, quirky = (CropNetwork(Quirks(unnormalised_input=on)).prepare(image) for on in (False, True))
    assert plain.abs().max() < 1e-6
    return f"mean {quirky.mean():.2f} and deviation {np.mean(IMAGENET_STD):.2f} where 0 and 1 are expected"


def batch_averaged_pelvis_mask(_):
    outputs, targets = random_pair()
    hidden = all_valid()._replace(joints=without(all_valid().joints, slice(0, 1), 0))
    seen = [
        compute_losses(outputs, targets, hidden._replace(pose=pose), Quirks(batch_averaged_pelvis_mask=True))
        for pose in (hidden.pose, without(hidden.pose, 0, slice(20, 22)))
    ]
    changed, whole = (float((losses["hand_orient"]).sum()) for losses in (seen[1], seen[0]))
    assert changed < whole
    return "the loss of people without a pelvis takes in a body they do not have, by the share of the others"


def truncation_in_pixels(converted):
    plain, quirky = masks(converted, truncation_in_pixels=True)
    assert (quirky | ~plain).all()
    return f"{percent((quirky & ~plain).sum() / (~plain).sum())} of the joints outside of the crop count as seen"


def swapped_eyes(converted):
    plain, quirky = (samples(converted, Quirks(swapped_eyes=on)).targets["joints_root"] for on in (False, True))
    moved = np.linalg.norm(plain - quirky, axis=-1)
    assert np.flatnonzero(moved.any(axis=0)).tolist() == [67, 68]
    return f"both eyes {1000 * moved[:, 67].mean():.0f} mm off"


def part_joints_without_3d(_):
    outputs, targets = random_pair()
    flat = all_valid()._replace(joints_3d=torch.zeros(3, 137))
    plain, quirky = (compute_losses(outputs, targets, flat, Quirks(part_joints_without_3d=on)) for on in (False, True))
    assert {name for name in plain if not torch.equal(plain[name], quirky[name])} == {"joints_part"}
    joints = full_person().joints_3d[list(SUPERVISION_INDEX)]
    assert part_relative(joints)[HAND_JOINTS].any()
    return "hands and face of people without 3D labels are drawn together into a point"


def unflipped_hand_roots(_):
    someone = full_person(left_hand_orient=np.array([0.4, 0.2, 0.1]), right_hand_orient=np.array([0.1, -0.6, 0.3]))
    drawn = draw_all(0, np.arange(400), AugmentationRange())
    changes = np.array([one.is_flipped for one in drawn]), np.array([one.rotation for one in drawn])
    plain, quirky = (
        augmented(labels_of([someone] * len(drawn), quirks), *changes, quirks)
        for quirks in (PAPER, Quirks(unflipped_hand_roots=True))
    )
    assert np.array_equal(plain.joints_3d, quirky.joints_3d)
    wrong = np.abs(plain.hand_orients - quirky.hand_orients).max(axis=(1, 2)) > 1e-6
    return f"{percent(wrong.mean())} of the samples of hands alone have a wrong orientation"


def one_joint_mask(_):
    joints = full_person().joints_3d.copy()
    joints[[SMPLX_INDEX[name] for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]] = np.nan
    keypoints = np.tile(np.array([300.0, 200.0, 1.0], np.float32), (17, 1))
    someone = full_person(joints_3d=joints, keypoints_2d=keypoints, keypoints_2d_convention="coco_17")
    plain, quirky = (row_of(someone, Quirks(one_joint_mask=on))["joints"] for on in (False, True))
    assert (plain >= quirky).all()
    return f"{int((plain - quirky).sum())} joints in the picture of a mocap body with COCO keypoints"


def positive_pixels_only(_):
    """People who stand with one half left of the picture, seen in a mirror."""
    _, joints = posed_people(np.random.default_rng(3), 20)
    joints[..., 0] -= joints[:, :1, 0] + 4 * 320 / 600
    joints[..., 2] += 4 - joints[:, :1, 2]
    mirror = np.array([[-1.0, 0, 639], [0, 1, 0]])
    seen = []
    for quirks in (PAPER, Quirks(positive_pixels_only=True)):
        labels = labels_of([full_person(joints_3d=one.astype(np.float32)) for one in joints], quirks)
        labels = augmented(labels, np.ones(20, bool), np.zeros(20), quirks)
        seen.append(training_rows(labels, np.tile(mirror, (20, 1, 1)), (640, 360), quirks)[1]["joints"] > 0)
    plain, quirky = seen
    assert (plain | ~quirky).all()
    return f"{percent((plain & ~quirky).sum() / plain.sum())} of the seen joints of mirrored people cut by the border"


def shared_hand_masks(converted):
    mixture = Mixture(name="t", about="t", strategy="concat", members=[Member(dataset="bedlam")])
    stored = PeopleIndex.open(converted)
    last = mix(mixture, converted).next_person(0, 0, -1)

    def load(person_id):
        found = stored.load(person_id)
        return found if person_id != last else person(bbox_xyxy=found.bbox_xyxy, frame=found.frame, person_key="last")

    rows = []
    for quirks in (PAPER, Quirks(shared_hand_masks=True)):
        rows.append(empty_rows(11, (192, 256)))
        settings = SampleSettings(quirks=quirks, crop_size=(192, 256))
        reader = SampleReader(mix(mixture, converted), load, settings)
        positions = [i for i in range(12) if reader.people.draw(np.array([i])).person_id[0] != last]
        reader.fill(np.array(positions), rows[-1])
    plain, quirky = (one.validity["joints_3d"][:, HAND_JOINTS] for one in rows)
    assert plain.all()
    assert np.array_equal(*(one.validity["joints_3d"][:, :12] for one in rows))
    return f"{percent(1 - quirky.mean())} of a source's hand joints where its last person has none"


def zeros_are_absent(_):
    rest = full_person(body_pose=np.zeros((21, 3), np.float32), betas=np.zeros(10, np.float32))
    plain, quirky = (row_of(rest, Quirks(zeros_are_absent=on)) for on in (False, True))
    assert (plain["betas"], quirky["betas"]) == (1, 0)
    assert plain["pose"].all()
    assert np.flatnonzero(quirky["pose"] == 0).tolist() == list(range(*POSE_PARTS["body"].indices(53)))
    return f"{int((plain['pose'] - quirky['pose']).sum())} of 53 rotations, and the shape, of a person at rest"


def jaw_needs_expression(_):
    plain, quirky = (row_of(full_person(expression=None), Quirks(jaw_needs_expression=on)) for on in (False, True))
    assert np.flatnonzero(plain["pose"] != quirky["pose"]).tolist() == [52]
    return "1 of 53 rotations of people with a jaw and no expression"


def first_quota_sampling(_):
    order = ReleasedBalance(np.array([100, 37, 1000]), 600, 1)
    picks = order.at(np.arange(20 * 600))
    seen = len(np.unique(picks.person[picks.source == 2]))
    return f"{percent(1 - seen / 1000)} of the largest of sources of 100, 37 and 1,000 people, in epochs of 600"


def row_of(someone, quirks):
    """The validity of a person of ``test_targets``."""
    found = training_rows(labels_of([someone], quirks), np.array([[[1.0, 0, 0], [0, 1, 0]]]), (640, 360), quirks)
    return {name: values[0] for name, values in found[1].items()}


def smplerx_losses(outputs: Outputs, targets, validity, quirks):
    """SMPLer-X's losses of a prediction whose parts are anywhere."""
    boxes = torch.tensor([[[0.0, 0, 192, 256]] * 3] * 3)
    parts = PartPrediction(torch.zeros(3, 25, 3), torch.zeros(3, 2, 20, 3), *[torch.ones(3, 3, 2)] * 2, boxes)
    return compute_smplerx_losses(outputs, parts, targets, validity, quirks)


def root_without_pelvis(_):
    outputs, targets = random_pair()
    hand = all_valid()._replace(joints_3d=without(all_valid().joints_3d, slice(None), slice(0, 25)))
    plain, quirky = (smplerx_losses(outputs, targets, hand, Quirks(root_without_pelvis=on)) for on in (False, True))
    assert {name for name in plain if not torch.equal(plain[name], quirky[name])} == {"joints_root", "joints_volume"}
    assert not plain["joints_root"].any()
    assert not plain["joints_volume"][..., 2].any()
    return "as many metres as a hand without a body is away from the camera"


def axis_angle_losses(_):
    outputs, targets = random_pair()
    angles = torch.tensor([np.pi - 0.01, -np.pi + 0.01], dtype=torch.float32)
    said, wanted = (torch.zeros(3, 53, 3).index_fill(2, torch.tensor([1]), float(angle)) for angle in angles)
    pair = outputs._replace(rotations=axis_angle_to_matrix(said)), targets._replace(pose=wanted)
    plain, quirky = (
        smplerx_losses(*pair, all_valid(), Quirks(axis_angle_losses=on))["pose"].view(3, 53, -1).sum(-1) / 10
        for on in (False, True)
    )
    assert plain.max() < 0.1
    return f"a loss of {float(quirky.mean()):.1f} instead of {float(plain.mean()):.2f} for 0.02 rad across half a turn"


COSTS: dict[str, Callable] = {
    function.__name__: function
    for function in (nearest_halving, unnormalised_input, batch_averaged_pelvis_mask, truncation_in_pixels)
    + (swapped_eyes, part_joints_without_3d, unflipped_hand_roots, one_joint_mask, root_without_pelvis)
    + (axis_angle_losses, positive_pixels_only, shared_hand_masks, zeros_are_absent, jaw_needs_expression)
    + (first_quota_sampling,)
}


def test_every_switch_has_its_row():
    assert list(ROWS) == list(asdict(PAPER)) == list(COSTS)
    assert not any(asdict(PAPER).values())
    for name, row in ROWS.items():
        released = [getattr(COMPAT[compat], name) for compat in ("smplest-x", "smpler-x")]
        assert [row["smplest"] == "yes", row["smpler"] == "yes"] == released, name
        assert any(released), name


@pytest.mark.parametrize("name", COSTS)
def test_a_switch_changes_what_it_names_at_the_stated_cost(name, converted):
    cost = COSTS[name](converted)
    assert ROWS[name]["cost"].startswith(cost), cost
