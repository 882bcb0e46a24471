"""SMPLest-X against the released implementation's numbers, and the switches that the golden file cannot tell apart."""

import json

import numpy as np
import pytest
import torch

from ehps.tests.training.made_up_body import MadeUpBody, assert_golden
from ehps.training.checkpoint import load_checkpoint, network_from_state
from ehps.training.compat import PAPER, SMPLESTX_RELEASED, Quirks
from ehps.training.losses import Targets, Validity, compute_losses, mean_losses
from ehps.training.network_size import SIZES, NetworkSize
from ehps.training.outputs import body_outputs, picture_intrinsics, project_to_grid
from ehps.training.smplestx import SmplestX
from ehps.training.vit import ViT

TINY = NetworkSize(embed_dim=32, depth=2, num_heads=4, drop_path_rate=0.1, dim_out=8)
ENCODED = ("enc_feat", "enc_tokens")
PREDICTED = (
    ("body_root_pose", "body_pose", "body_betas", "body_cam", "lhand_root_pose", "rhand_root_pose", "lhand_pose")
    + ("rhand_pose", "lhand_cam", "rhand_cam", "face_root_pose", "face_expression", "face_jaw_pose", "face_cam")
)  # fmt: skip
POSED = (
    ("smplx_joint_proj", "smplx_mesh_cam", "smplx_root_pose", "smplx_body_pose", "smplx_lhand_pose")
    + ("smplx_rhand_pose", "smplx_jaw_pose", "smplx_shape", "smplx_expr", "cam_trans", "smplx_joint_cam")
)  # fmt: skip
LOSSES = {
    "smplx_orient": "orient",
    "smplx_pose": "pose",
    "smplx_shape": "betas",
    "smplx_expr": "expression",
    "joint_cam": "joints_root",
    "smplx_joint_cam": "joints_part",
    "joint_proj": "joints_grid",
    "hand_root": "hand_orient",
    "hand_root_chain": "hand_orient_chain",
}


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "smplestx_tiny_a.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def released(golden_dir):
    return network_from_state(load_checkpoint(golden_dir / "smplestx_tiny_a.pth.tar"), num_heads=4)


@pytest.fixture(scope="module")
def computed(golden, released):
    """Everything that the golden file holds, computed by our code, under the file's names."""
    with torch.no_grad():
        images = torch.tensor(golden["in.img"])
        said = released(images)
        posed = body_outputs(said, MadeUpBody(golden["fake_body.A"]))
        losses = compute_losses(posed, *batch_of(golden), SMPLESTX_RELEASED)
        encoded = released.encoder(released.prepare(images))
    pose = posed.pose()
    hands = (*said.hand_orients.unbind(1), said.left_hand_pose, said.right_hand_pose, *said.hand_cameras.unbind(1))
    face = (said.face_orient, said.expression, said.jaw_pose, said.face_camera)
    predicted = (said.global_orient, said.body_pose, said.betas, said.camera, *hands, *face)
    rotations = (pose[:, 0], pose[:, 1:22], pose[:, 22:37], pose[:, 37:52], pose[:, 52])
    shape = (posed.betas, posed.expression, posed.transl)
    values = {f"net.{name}": value for name, value in zip(ENCODED, encoded, strict=True)}
    values |= {f"net.{name}": value for name, value in zip(PREDICTED, predicted, strict=True)}
    whole = (posed.joints_grid, posed.vertices, *rotations, *shape, posed.joints_root)
    values |= {f"test.{name}": value for name, value in zip(POSED, whole, strict=True)}
    values |= {f"loss.{name}": losses[ours] for name, ours in LOSSES.items()}
    return values | {f"loss_mean.{name}": mean_losses(losses)[ours] for name, ours in LOSSES.items()}


def batch_of(golden):
    """The golden file's training batch in our form."""
    t = {name: torch.tensor(value) for name, value in golden.items()}
    targets = Targets(
        pose=t["target.smplx_pose"].unflatten(1, (53, 3)),
        betas=t["target.smplx_shape"],
        expression=t["target.smplx_expr"],
        joints_root=t["target.joint_cam"],
        joints_part=t["target.smplx_joint_cam"],
        joints_grid=t["target.joint_img"][..., :2],
        hand_orients=torch.stack([t["target.lhand_root"], t["target.rhand_root"]], dim=1),
        depth=t["target.joint_img"][:, :65, 2],
        box_centres=torch.zeros(len(t["meta.is_3D"]), 3, 2),
        box_sizes=torch.zeros(len(t["meta.is_3D"]), 3, 2),
    )
    validity = Validity(
        pose=t["meta.smplx_pose_valid"][:, ::9],
        betas=t["meta.smplx_shape_valid"],
        expression=t["meta.smplx_expr_valid"],
        joints=t["meta.joint_trunc"][..., 0],
        joints_3d=t["meta.is_3D"][:, None].expand(-1, 137),
        boxes=torch.zeros(len(t["meta.is_3D"]), 3),
    )
    return targets, validity


def test_every_golden_value_is_met(golden, computed):
    """Within 1e-4 of each value, or of the array's root mean square where a value is near zero."""
    wanted = {name for name in golden if name.startswith(("net.", "test.", "loss.", "loss_mean."))}
    assert wanted == set(computed)
    for name in sorted(wanted):
        assert_golden(name, computed[name].numpy(), golden[name])


@pytest.mark.parametrize(
    ("size", "count"), [("s", 37_405_808), ("b", 116_564_336), ("l", 346_050_416), ("h", 687_223_152)]
)
def test_a_size_has_the_published_number_of_parameters(size, count):
    with torch.device("meta"):
        network = SmplestX(SIZES[size])
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(("size", "name"), [("s", "small"), ("b", "base"), ("l", "large"), ("h", "huge")])
def test_keys_and_shapes_are_those_of_the_released_files(size, name, golden_dir):
    manifest = json.loads((golden_dir / "state_dict_manifest_depth1.json").read_text(encoding="utf-8"))[name]
    with torch.device("meta"):
        network = SmplestX(SIZES[size]._replace(depth=1))
    assert {f"module.{key}": list(value.shape) for key, value in network.state_dict().items()} == manifest


def test_halving_averages_unless_the_quirk_drops_pixels():
    images = torch.zeros(1, 3, 512, 384)
    images[..., ::2, ::2] = 1.0  # one pixel in four
    with torch.device("meta"):
        plain = SmplestX(TINY, Quirks(unnormalised_input=True))
        quirky = SmplestX(TINY, SMPLESTX_RELEASED)
    assert torch.equal(plain.prepare(images), torch.full((1, 3, 256, 192), 0.25))
    assert torch.equal(quirky.prepare(images), torch.ones(1, 3, 256, 192))


def test_input_is_normalised_unless_the_quirk_leaves_it():
    images = torch.tensor([0.485, 0.456 + 0.224, 0.406 - 2 * 0.225]).view(1, 3, 1, 1).expand(1, 3, 256, 192)
    with torch.device("meta"):
        prepared = SmplestX(TINY, PAPER).prepare(images)
        untouched = SmplestX(TINY, SMPLESTX_RELEASED).prepare(images)
    torch.testing.assert_close(prepared[0, :, 5, 7], torch.tensor([0.0, 1.0, -2.0]), atol=1e-6, rtol=0)
    assert torch.equal(untouched, images)


def test_a_crop_of_another_size_is_refused():
    with torch.device("meta"):
        network = SmplestX(TINY)
    with pytest.raises(ValueError, match=r"\(512, 384\) or \(256, 192\).*found \(384, 512\)"):
        network.prepare(torch.zeros(1, 3, 384, 512))


def zero_body(*, betas, expression, transl, **rotations):
    """A body whose joints feel every parameter, cheaply."""
    felt = sum(part.flatten(1).mean(1) for part in (betas, expression, *rotations.values()))
    spread = torch.linspace(-0.5, 0.5, 144 * 3).view(144, 3)
    return felt[:, None, None] * spread + transl[:, None], None


def test_every_trained_weight_gets_a_gradient_so_ddp_need_not_search():
    torch.manual_seed(0)
    network = SmplestX(TINY._replace(drop_path_rate=0.0)).train()
    outputs = body_outputs(network(torch.rand(2, 3, 256, 192)), zero_body)
    (sum(x.sum() for x in outputs if x is not None)).backward()
    idle = {name for name, p in network.named_parameters() if p.requires_grad and p.grad is None}
    frozen = {name.rsplit(".", 1)[0] for name, p in network.named_parameters() if not p.requires_grad}
    assert not idle
    assert frozen == {
        "decoder.transformer.to_token_embedding",
        "decoder.dec_hand_cam",
        "decoder.dec_face_root_pose",
        "decoder.dec_face_cam",
    }


def test_dropping_finished_tokens_changes_no_task_token():
    torch.manual_seed(0)
    layers = SmplestX(TINY).decoder.transformer.transformer.layers
    x, context = torch.randn(2, 272, 32), torch.randn(2, 192, 32)
    torch.testing.assert_close(layers[-1](x, context, 80), layers[-1](x, context, None)[:, :80])


def test_recomputing_blocks_changes_no_gradient():
    images = torch.rand(1, 3, 256, 192)
    gradients = []
    for checkpoint_blocks in (False, True):
        torch.manual_seed(1)
        encoder = ViT(
            embed_dim=32, depth=2, num_heads=4, num_task_tokens=3, checkpoint_blocks=checkpoint_blocks
        ).train()
        features, tasks = encoder(images)
        (features.square().sum() + tasks.square().sum()).backward()
        gradients.append(encoder.patch_embed.proj.weight.grad)
    torch.testing.assert_close(*gradients)


def test_drop_rates_rise_linearly_over_the_blocks():
    with torch.device("meta"):
        encoder = ViT(embed_dim=32, depth=5, num_heads=4, num_task_tokens=1, drop_path_rate=0.4)
    assert [block.drop_path_rate for block in encoder.blocks] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_three_people_are_posed_as_each_alone():
    """A cross product along the first axis of size 3 would mix people in a batch of three."""
    torch.manual_seed(0)
    network = SmplestX(TINY).eval()
    images = torch.rand(3, 3, 256, 192)
    with torch.no_grad():
        together = body_outputs(network(images), zero_body)
        alone = [body_outputs(network(images[i : i + 1]), zero_body) for i in range(3)]
    torch.testing.assert_close(together.rotations, torch.cat([one.rotations for one in alone]), atol=1e-5, rtol=0)
    identity = together.rotations @ together.rotations.mT
    torch.testing.assert_close(identity, torch.eye(3).expand_as(identity), atol=1e-5, rtol=0)


def test_hands_are_relative_to_their_wrist_and_the_face_to_the_neck():
    torch.manual_seed(0)
    with torch.no_grad():
        posed = body_outputs(SmplestX(TINY).eval()(torch.rand(1, 3, 256, 192)), zero_body)
    root, part = posed.joints_root[0], posed.joints_part[0]
    for joint, origin in ((28, 12), (48, 13), (100, 7)):
        torch.testing.assert_close(part[joint], root[joint] - root[origin])
    assert torch.equal(part[:25], root[:25])
    assert torch.equal(root[0], torch.zeros(3))


def test_the_crop_camera_seen_from_the_picture_hits_the_same_place():
    points = torch.tensor([[[0.1, -0.2, 30.0], [0.3, 0.4, 25.0]]])
    box = torch.tensor([100.0, 50.0, 300.0, 400.0])
    homogeneous = points @ picture_intrinsics(box).T
    pixels = homogeneous[..., :2] / homogeneous[..., 2:]
    on_grid = project_to_grid(points) / torch.tensor([12.0, 16.0]) * box[2:] + box[:2]
    torch.testing.assert_close(pixels, on_grid, atol=1e-2, rtol=0)


def test_a_point_in_the_camera_projects_to_a_finite_place():
    assert project_to_grid(torch.zeros(1, 1, 3)).tolist() == [[[6.0, 8.0]]]


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="embed_dim 30 cannot be split over 4 heads"):
        ViT(embed_dim=30, depth=1, num_heads=4, num_task_tokens=1)
