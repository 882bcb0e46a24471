"""Our SMPL-X layers against the smplx package's own, values and gradients, on the stand-in body."""

import pytest
import torch
from smplx.lbs import find_dynamic_lmk_idx_and_bcoords

from ehps.body.models import load_smplx_layer
from ehps.body.posing import contour_rows
from ehps.body.rotations import axis_angle_to_matrix
from ehps.training.smplx_layer import JointLayer, SmplxLayer, load_body_layer

PEOPLE = 4
ROTATIONS = {"global_orient": (3,), "body_pose": (21, 3), "left_hand_pose": (15, 3), "right_hand_pose": (15, 3)}
ROTATIONS |= {"jaw_pose": (3,)}


@pytest.fixture(scope="module")
def parameters():
    """Axis-angle parameters of a few people, hands as deviations from the mean."""
    g = torch.Generator().manual_seed(3)

    def draw(*shape, scale=1.0):
        return scale * torch.randn(PEOPLE, *shape, generator=g)

    values = {name: draw(*shape, scale=0.4) for name, shape in ROTATIONS.items()}
    return values | {"betas": draw(10), "expression": draw(10), "transl": draw(3)}


@pytest.fixture(scope="module")
def reference(standin_dir, parameters):
    layer = load_smplx_layer(flat_hand_mean=False, batch_size=PEOPLE, directory=standin_dir)
    return with_gradients(lambda **given: reference_points(layer(**given)), parameters)


def reference_points(output):
    return output.joints, output.vertices


def in_matrices(layer):
    """A body layer of ours that takes axis-angle parameters."""

    def call(**given):
        return layer(**{k: axis_angle_to_matrix(v) if k in ROTATIONS else v for k, v in given.items()})

    return call


def with_gradients(layer, parameters):
    """Joints, vertices, and the gradient of a random combination of the joints."""
    given = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    joints, vertices = layer(**given)
    weights = torch.randn(joints.shape, generator=torch.Generator().manual_seed(5))
    (joints * weights).sum().backward()
    return joints.detach(), vertices, {name: value.grad for name, value in given.items()}


@pytest.mark.parametrize("mesh", [True, False])
def test_joints_and_gradients_are_those_of_smplx(standin_dir, parameters, reference, mesh):
    layer = load_body_layer(mesh=mesh, directory=standin_dir)
    joints, vertices, gradients = with_gradients(in_matrices(layer), parameters)
    torch.testing.assert_close(joints, reference[0], atol=1e-5, rtol=0)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, reference[2][name], atol=2e-5, rtol=1e-4, msg=name)
    if mesh:
        torch.testing.assert_close(vertices.detach(), reference[1].detach(), atol=1e-5, rtol=0)
    else:
        assert vertices is None


def test_training_poses_only_the_vertices_that_joints_need(standin_dir):
    few, all_of_them = (load_body_layer(mesh=mesh, directory=standin_dir) for mesh in (False, True))
    assert isinstance(few, JointLayer)
    assert isinstance(all_of_them, SmplxLayer)
    assert len(all_of_them.template) == 10475
    assert len(few.template) < 3500
    assert not few.state_dict()


def test_a_resting_hand_has_a_gradient(standin_dir, parameters):
    """The logarithm of a zero deviation is where a careless formula divides zero by zero."""
    layer = load_body_layer(mesh=False, directory=standin_dir)
    rest = parameters | {name: torch.zeros(PEOPLE, *shape) for name, shape in ROTATIONS.items()}
    _, _, gradients = with_gradients(in_matrices(layer), rest)
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert gradients["left_hand_pose"].abs().sum() > 0


def test_the_contour_turns_with_the_neck_as_in_smplx():
    degrees = torch.arange(-70, 71, 5) + 0.2
    turned = axis_angle_to_matrix(torch.deg2rad(degrees)[:, None] * torch.tensor([0.0, 1.0, 0.0]))
    table = torch.arange(79)
    expected, _ = find_dynamic_lmk_idx_and_bcoords(
        torch.zeros(len(degrees), 1, 3), turned[:, None], table, table, torch.tensor([0]), pose2rot=False
    )
    assert contour_rows(turned).tolist() == expected.tolist()
    assert len(set(expected.tolist())) > 10
