"""Which label each loss looks at, and what each switch changes."""

import numpy as np
import pytest
import torch

from ehps.body.joints import SMPLX_INDEX
from ehps.body.rotations import axis_angle_to_matrix
from ehps.errors import UnknownNameError
from ehps.training import compat
from ehps.training.compat import PAPER, SMPLESTX_RELEASED, Quirks
from ehps.training.loss_weights import LossWeights
from ehps.training.losses import Targets, Validity, compute_losses, mean_losses
from ehps.training.outputs import Outputs

PEOPLE = 3
LEFT_WRIST, RIGHT_WRIST, LEFT_THUMB, RIGHT_THUMB = 20, 21, 34, 49


def random_pair(seed=0):
    """Outputs and targets that disagree everywhere."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(PEOPLE, *shape, generator=g)

    outputs = Outputs(
        rotations=axis_angle_to_matrix(draw(53, 3)),
        hand_orients=axis_angle_to_matrix(draw(2, 3)),
        betas=draw(10),
        expression=draw(10),
        transl=draw(3),
        joints_smplx=draw(144, 3),
        joints_root=draw(137, 3),
        joints_part=draw(137, 3),
        joints_grid=draw(137, 2),
        vertices=None,
    )
    joints = (draw(137, 3), draw(137, 3), draw(137, 2))
    targets = Targets(draw(53, 3), draw(10), draw(10), *joints, draw(2, 3), draw(65), draw(3, 2), draw(3, 2))
    return outputs, targets


def all_valid():
    return Validity(
        pose=torch.ones(PEOPLE, 53),
        betas=torch.ones(PEOPLE, dtype=torch.bool),
        expression=torch.ones(PEOPLE),
        joints=torch.ones(PEOPLE, 137, dtype=torch.bool),
        joints_3d=torch.ones(PEOPLE, 137),
        boxes=torch.ones(PEOPLE, 3),
    )


def without(mask, *where):
    """A copy of a mask that is off at one index."""
    mask = mask.clone()
    mask[where] = 0
    return mask


def changed(before, after):
    """Names of the losses that differ."""
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_a_perfect_prediction_costs_nothing():
    outputs, targets = random_pair()
    from_root = axis_angle_to_matrix(targets.pose)
    wrists = []
    for chain in ((0, 3, 6, 9, 13, 16, 18, 20), (0, 3, 6, 9, 14, 17, 19, 21)):
        product = torch.eye(3).expand(PEOPLE, 3, 3)
        for joint in chain:
            product = product @ from_root[:, joint]
        wrists.append(product)
    perfect = outputs._replace(
        rotations=from_root,
        hand_orients=torch.stack(wrists, dim=1),
        betas=targets.betas,
        expression=targets.expression,
        joints_root=targets.joints_root,
        joints_part=targets.joints_part,
        joints_grid=targets.joints_grid,
    )
    for name, loss in mean_losses(compute_losses(perfect, targets, all_valid())).items():
        assert loss < 1e-5, name


def test_left_and_right_hands_are_not_interchangeable():
    outputs, targets = random_pair()
    swapped = outputs._replace(hand_orients=outputs.hand_orients.flip(1))
    validity = all_valid()
    assert changed(compute_losses(outputs, targets, validity), compute_losses(swapped, targets, validity)) == {
        "hand_orient"
    }
    one_handed = validity._replace(pose=without(validity.pose, slice(None), RIGHT_WRIST))
    loss = compute_losses(outputs, targets, one_handed)["hand_orient"]
    moved = outputs._replace(hand_orients=torch.stack([outputs.hand_orients[:, 0], torch.zeros(PEOPLE, 3, 3)], 1))
    assert torch.equal(loss, compute_losses(moved, targets, one_handed)["hand_orient"])


@pytest.mark.parametrize(
    ("field", "index", "losses"),
    [
        ("pose", (1, 0), {"orient", "pose"}),
        ("pose", (1, 5), {"pose"}),
        ("pose", (1, LEFT_WRIST), {"pose", "hand_orient", "hand_orient_chain"}),
        ("pose", (1, RIGHT_THUMB), {"pose"}),
        ("betas", (1,), {"betas"}),
        ("expression", (1,), {"expression"}),
        ("joints", (1, 30), {"joints_root", "joints_part", "joints_grid"}),
        ("joints", (1, 0), {"joints_root", "joints_part", "joints_grid", "hand_orient", "hand_orient_chain"}),
        ("joints_3d", (1, 30), {"joints_root", "joints_part"}),
    ],
)
def test_a_mask_silences_its_losses_for_its_person_alone(field, index, losses):
    outputs, targets = random_pair()
    before = compute_losses(outputs, targets, all_valid())
    validity = all_valid()._replace(**{field: without(getattr(all_valid(), field), *index)})
    after = compute_losses(outputs, targets, validity)
    assert changed(before, after) == losses
    for name in losses:
        assert torch.equal(before[name][[0, 2]], after[name][[0, 2]]), name


@pytest.mark.parametrize("mask", ["joints", "joints_3d"])
def test_joints_from_the_root_need_the_root(mask):
    """Also of somebody whose pelvis is marked in the picture and not labelled in 3D, beside hands that are."""
    outputs, targets = random_pair()
    validity = all_valid()._replace(**{mask: without(getattr(all_valid(), mask), 1, 0)})
    losses = compute_losses(outputs, targets, validity)
    assert not losses["joints_root"][1].any()
    assert losses["joints_part"][1, 1:].all()
    assert losses["joints_grid"][1, 1:].all()


def test_the_thumb_decides_for_people_without_a_pelvis():
    outputs, targets = random_pair()
    hidden = all_valid()._replace(joints=without(all_valid().joints, 1, 0))
    before = compute_losses(outputs, targets, hidden)
    no_wrist = hidden._replace(pose=without(hidden.pose, 1, slice(LEFT_WRIST, RIGHT_WRIST + 1)))
    no_thumb = hidden._replace(pose=without(hidden.pose, 1, LEFT_THUMB))
    assert changed(before, compute_losses(outputs, targets, no_wrist)) == {"pose"}
    assert changed(before, compute_losses(outputs, targets, no_thumb)) == {"pose", "hand_orient", "hand_orient_chain"}
    expected = (outputs.hand_orients[1] - axis_angle_to_matrix(targets.hand_orients[1])).abs().sum(0).flatten()
    torch.testing.assert_close(before["hand_orient"][1], expected)


def test_the_quirk_averages_the_pelvis_mask_over_the_batch():
    outputs, targets = random_pair()
    hidden = all_valid()._replace(joints=without(all_valid().joints, 1, 0))
    loss = compute_losses(outputs, targets, hidden, Quirks(batch_averaged_pelvis_mask=True))["hand_orient"]
    assert loss.shape == (PEOPLE, PEOPLE, 9)
    no_one = all_valid()._replace(joints=torch.zeros(PEOPLE, 137))
    body = compute_losses(outputs, targets, all_valid())["hand_orient"].mean()
    hand = compute_losses(outputs, targets, no_one)["hand_orient"].mean()
    assert loss.mean() == pytest.approx(float(2 / 3 * body + 1 / 3 * hand), rel=1e-5)


def test_the_quirk_supervises_parts_without_3d_labels():
    outputs, targets = random_pair()
    flat = all_valid()._replace(joints_3d=torch.zeros(PEOPLE, 137))
    assert not compute_losses(outputs, targets, flat)["joints_part"].any()
    quirky = compute_losses(outputs, targets, flat, Quirks(part_joints_without_3d=True))
    assert quirky["joints_part"].all()
    assert not quirky["joints_root"].any()


def test_the_chain_teaches_the_arm_but_not_the_global_orientation():
    outputs, targets = random_pair()
    rotations = outputs.rotations.clone().requires_grad_()
    losses = compute_losses(outputs._replace(rotations=rotations), targets, all_valid())
    losses["hand_orient_chain"].sum().backward()
    touched = rotations.grad.abs().sum(dim=(0, 2, 3)).nonzero().flatten().tolist()
    assert touched == [3, 6, 9, 13, 14, 16, 17, 18, 19, 20, 21]


def test_the_mean_counts_masked_elements():
    outputs, targets = random_pair()
    one = all_valid()._replace(betas=torch.tensor([1, 0, 0]).bool())
    loss = mean_losses(compute_losses(outputs, targets, one))["betas"]
    alone = (outputs.betas[0] - targets.betas[0]).abs().mean()
    torch.testing.assert_close(loss, alone / PEOPLE)


def test_weights_scale_and_add_losses():
    outputs, targets = random_pair()
    plain = compute_losses(outputs, targets, all_valid())
    weights = LossWeights(pose=20.0, hand_orient_chain=False, hand_joints=2.0)
    other = compute_losses(outputs, targets, all_valid(), weights=weights)
    torch.testing.assert_close(other["pose"], 2 * plain["pose"])
    assert set(other) - set(plain) == {"hand_joints_root", "hand_joints_part"}
    assert set(plain) - set(other) == {"hand_orient_chain"}
    expected = 2 * (outputs.joints_part - targets.joints_part)[:, 25:65].abs()
    torch.testing.assert_close(other["hand_joints_part"], expected)


# (x, y, z) on the grid of 12 x 16 x 16, and whether the joint counts as seen: by the paper, by the released code.
TRUNCATION = [
    ((6.0, 8.0, 8.0), True, True),
    ((0.0, 0.0, 0.0), True, True),
    ((-0.1, 8.0, 8.0), False, False),
    ((6.0, -0.1, 8.0), False, False),
    ((6.0, 8.0, -0.1), False, False),
    ((12.0, 8.0, 8.0), False, True),
    ((6.0, 16.0, 8.0), False, True),
    ((6.0, 8.0, 16.0), False, True),
    ((191.9, 255.9, 8.0), False, True),
    ((192.0, 8.0, 8.0), False, False),
    ((6.0, 256.0, 8.0), False, False),
]


@pytest.mark.parametrize("as_array", [np.array, torch.tensor])
def test_truncation_is_tested_on_the_grid_unless_the_quirk_mistakes_it_for_pixels(as_array):
    points = as_array([point for point, _, _ in TRUNCATION])
    assert compat.truncation_mask(points, PAPER).tolist() == [paper for _, paper, _ in TRUNCATION]
    quirky = compat.truncation_mask(points, SMPLESTX_RELEASED)
    assert quirky.tolist() == [released for _, _, released in TRUNCATION]


def test_only_the_quirk_swaps_the_eyes_of_the_targets():
    right, left = SMPLX_INDEX["right_eye"], SMPLX_INDEX["left_eye"]
    plain, quirky = compat.target_joint_index(PAPER), compat.target_joint_index(SMPLESTX_RELEASED)
    assert plain[67:69] == (left, right)
    assert quirky[67:69] == (right, left)
    assert [i for i in range(137) if plain[i] != quirky[i]] == [67, 68]


def test_switches_have_names_and_survive_storage():
    assert compat.quirks_named("smplest-x") is SMPLESTX_RELEASED
    assert not any(compat.quirks_to_dict(PAPER).values())
    released = [compat.quirks_to_dict(compat.quirks_named(name)) for name in ("smplest-x", "smpler-x")]
    assert all(one or two for one, two in zip(*(quirks.values() for quirks in released), strict=True))
    mixed = Quirks(swapped_eyes=True)
    assert compat.quirks_from_dict(compat.quirks_to_dict(mixed)) == mixed
    with pytest.raises(UnknownNameError, match="smplest-x"):
        compat.quirks_named("smplestx")
    with pytest.raises(UnknownNameError, match="did you mean swapped_eyes"):
        compat.quirks_from_dict({"swaped_eyes": True})
