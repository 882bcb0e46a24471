"""SMPLer-X against the released implementation's numbers, and what those cannot tell."""

import numpy as np
import pytest
import torch

from ehps.body.rotations import axis_angle_to_matrix, matrix_to_sixd, sixd_to_matrix
from ehps.tests.training.made_up_body import MadeUpBody, assert_golden
from ehps.training.checkpoint import load_checkpoint, network_entries, network_from_state, save_checkpoint
from ehps.training.compat import PAPER, SMPLERX_RELEASED
from ehps.training.feature_sampling import box_features
from ehps.training.loss_weights import LossWeights
from ehps.training.losses import Targets, Validity, mean_losses
from ehps.training.network_size import SIZES, NetworkSize
from ehps.training.outputs import Prediction, body_outputs, pose_body
from ehps.training.smplerx import SmplerX, square_boxes
from ehps.training.smplerx_losses import (
    compute_smplerx_losses,
    in_hand_boxes,
    volume_loss,
)

TINY = NetworkSize(embed_dim=32, depth=2, num_heads=4, drop_path_rate=0.1)
PARTS = ("lhand", "rhand", "face")
LARGER = 2  # the released code reports boxes in px of its 512 x 384 crop
LOSSES = {
    "smplx_pose": "pose",
    "smplx_shape": "betas",
    "smplx_expr": "expression",
    "joint_cam": "joints_root",
    "smplx_joint_cam": "joints_part",
    "joint_proj": "joints_grid",
    "lhand_bbox": "left_hand_box",
    "rhand_bbox": "right_hand_box",
    "face_bbox": "face_box",
}


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "smplerx_tiny_a.npz") as file:
        return {name: torch.tensor(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def released(golden_dir):
    return network_from_state(load_checkpoint(golden_dir / "smplerx_tiny_a.pth.tar"), num_heads=4)


@pytest.fixture(scope="module")
def said(golden, released):
    with torch.no_grad():
        return released(golden["in.img"])


@pytest.fixture(scope="module")
def posed_in_float32(golden, said):
    with torch.no_grad():
        return body_outputs(said.body, MadeUpBody(golden["fake_body.A"].numpy()))


@pytest.fixture(scope="module")
def posed(golden, golden_dir):
    """In double precision: the made-up body makes rounding errors of rotations ten times larger.

    The file's own float32 is 0.0008 cells off; an implementation that rounds elsewhere is as far off on another side.
    """
    network = network_from_state(load_checkpoint(golden_dir / "smplerx_tiny_a.pth.tar"), num_heads=4).double()
    body = MadeUpBody(golden["fake_body.A"].numpy())
    body.joint_mix, body.mesh_mix = body.joint_mix.double(), body.mesh_mix.double()
    with torch.no_grad():
        return pose_body(network(golden["in.img"].double()).body, body)


@pytest.fixture(scope="module")
def posed_as_filed(golden):
    """What the file's own rotations and shape pose: its losses start from their rounding, not from ours."""
    names = ("root_pose", "body_pose", "lhand_pose", "rhand_pose", "jaw_pose")
    pose = torch.cat([golden[f"test.smplx_{name}"].double() for name in names], dim=1).unflatten(1, (53, 3))
    sixd = matrix_to_sixd(axis_angle_to_matrix(pose))
    body = MadeUpBody(golden["fake_body.A"].numpy())
    body.joint_mix, body.mesh_mix = body.joint_mix.double(), body.mesh_mix.double()
    prediction = Prediction(
        global_orient=sixd[:, 0],
        body_pose=sixd[:, 1:22],
        left_hand_pose=sixd[:, 22:37],
        right_hand_pose=sixd[:, 37:52],
        jaw_pose=sixd[:, 52],
        betas=golden["test.smplx_shape"].double(),
        expression=golden["test.smplx_expr"].double(),
        camera=golden["net.body_regressor.3"].double(),
    )
    return pose_body(prediction, body)


def compare(golden, values):
    for name, value in values.items():
        assert_golden(name, value.numpy(), golden[name].numpy())


def test_every_module_says_what_the_released_one_does(golden, released, said):
    assert isinstance(released, SmplerX)
    with torch.no_grad():
        features, tokens = released.encoder(released.prepare(golden["in.img"]))
        volumes, _ = released.body_position_net(features)
        hands = released.hand_roi_net(features, said.parts.boxes)
        hand_volumes, hand_cells = released.hand_position_net(hands)
        hand_pose = released.hand_regressor(hands, hand_cells)
    body, parts = said
    values = {"encoder.0": features, "encoder.1": tokens, "body_position_net.0": volumes}
    values |= {"body_position_net.1": parts.body_cells, "body_regressor.0": body.global_orient}
    values |= {"body_regressor.1": body.body_pose, "body_regressor.2": body.betas, "body_regressor.3": body.camera}
    for i in range(3):
        values |= {f"box_net.{2 * i}": parts.box_centres[:, i], f"box_net.{2 * i + 1}": parts.box_sizes[:, i]}
    values |= {"hand_roi_net.0": hands, "hand_position_net.0": hand_volumes, "hand_position_net.1": hand_cells}
    values |= {"hand_regressor.0": hand_pose, "face_regressor.0": body.expression, "face_regressor.1": body.jaw_pose}
    assert {f"net.{name}" for name in values} == {name for name in golden if name.startswith("net.")}
    compare(golden, {f"net.{name}": value for name, value in values.items()})


def test_the_posed_person_and_the_boxes_are_the_released_ones(golden, said, posed):
    pose = posed.pose()
    values = {"smplx_joint_proj": posed.joints_grid, "smplx_mesh_cam": posed.vertices, "cam_trans": posed.transl}
    values |= {"smplx_root_pose": pose[:, 0], "smplx_body_pose": pose[:, 1:22], "smplx_jaw_pose": pose[:, 52]}
    values |= {"smplx_lhand_pose": pose[:, 22:37], "smplx_rhand_pose": pose[:, 37:52]}
    values |= {"smplx_shape": posed.betas, "smplx_expr": posed.expression}
    values |= {f"{part}_bbox": said.parts.boxes[:, i] * LARGER for i, part in enumerate(PARTS)}
    values["joint_img"] = joints_over_the_crop(said.parts)
    assert {f"test.{name}" for name in values} == {name for name in golden if name.startswith("test.")}
    compare(golden, {f"test.{name}": value for name, value in values.items()})


def test_float32_rounds_no_more_than_the_released_code(golden, posed, posed_in_float32):
    ours = (posed_in_float32.joints_grid - posed.joints_grid).abs().max()
    theirs = (golden["test.smplx_joint_proj"] - posed.joints_grid).abs().max()
    assert ours < 3 * theirs


def joints_over_the_crop(parts):
    """The joints of the position nets in cells of the grid, as the released code reports them."""
    boxes = parts.boxes[:, :2, None] / 16
    sizes = boxes[..., 2:] - boxes[..., :2]
    hands = torch.cat([parts.hand_cells[..., :2] * sizes / 16 + boxes[..., :2], parts.hand_cells[..., 2:]], dim=-1)
    return torch.cat([parts.body_cells, hands.flatten(1, 2)], dim=1)


def batch_of(golden):
    """The golden file's training batch in our form."""
    centres, sizes = (
        torch.stack([golden[f"target.{part}_bbox_{what}"] for part in PARTS], dim=1) for what in ("center", "size")
    )
    targets = Targets(
        pose=golden["target.smplx_pose"].unflatten(1, (53, 3)),
        betas=golden["target.smplx_shape"],
        expression=golden["target.smplx_expr"],
        joints_root=golden["target.joint_cam"],
        joints_part=golden["target.smplx_joint_cam"],
        joints_grid=golden["target.joint_img"][..., :2],
        hand_orients=torch.zeros(2, 2, 3),
        depth=golden["target.joint_img"][:, :65, 2],
        box_centres=centres,
        box_sizes=sizes,
    )
    validity = Validity(
        pose=golden["meta.smplx_pose_valid"][:, ::3],
        betas=golden["meta.smplx_shape_valid"],
        expression=golden["meta.smplx_expr_valid"],
        joints=golden["meta.joint_trunc"][..., 0],
        joints_3d=golden["meta.joint_valid"][..., 0] * golden["meta.is_3D"][:, None],
        boxes=torch.stack([golden[f"meta.{part}_bbox_valid"] for part in PARTS], dim=1),
    )
    return targets, validity


def test_every_loss_is_the_released_one(golden, said, posed_as_filed):
    targets, validity = batch_of(golden)
    losses = compute_smplerx_losses(posed_as_filed, said.parts, targets, validity, SMPLERX_RELEASED)
    # The released code masks the part-relative joints on their own; every other mask is shared.
    own = validity._replace(joints_3d=golden["meta.smplx_joint_valid"][..., 0])
    losses["joints_part"] = compute_smplerx_losses(posed_as_filed, said.parts, targets, own, SMPLERX_RELEASED)[
        "joints_part"
    ]
    values = {f"loss.{theirs}": losses[ours].float() for theirs, ours in LOSSES.items()}
    seen = in_hand_boxes(targets.joints_grid, validity.joints, said.parts.boxes)
    has_depth = golden["meta.is_3D"][:, None].expand(-1, 65)
    values["loss.joint_img"] = volume_loss(said.parts, seen, targets.depth, has_depth)
    again = golden["target.smplx_joint_img"]
    seen = in_hand_boxes(again[..., :2], golden["meta.smplx_joint_trunc"][..., 0], said.parts.boxes)
    values["loss.smplx_joint_img"] = volume_loss(said.parts, seen, again[:, :65, 2], torch.ones(2, 65))
    means = {name.replace("loss.", "loss_mean."): value.mean() for name, value in values.items()}
    assert set(values | means) == {name for name in golden if name.startswith(("loss.", "loss_mean."))}
    compare(golden, values | means)
    seen = in_hand_boxes(targets.joints_grid, validity.joints, said.parts.boxes)
    ours = volume_loss(said.parts, seen, targets.depth, validity.joints_3d[:, :65])
    torch.testing.assert_close(losses["joints_volume"], LossWeights().joints_volume * ours)


@pytest.mark.parametrize(
    ("size", "count"), [("s", 32_008_024), ("b", 102_939_928), ("l", 326_654_872), ("h", 661_827_096)]
)
def test_a_size_has_as_many_parameters_as_published(size, count):
    """Published are 32, 103, 327 and 662 million."""
    with torch.device("meta"):
        network = SmplerX(SIZES[size])
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("size", SIZES)
def test_keys_and_shapes_are_the_released_file_s_at_another_width(size, golden_dir):
    stored = load_checkpoint(golden_dir / "smplerx_tiny_a.pth.tar")["network"]
    with torch.device("meta"):
        network = SmplerX(SIZES[size]._replace(depth=2))
    wanted = {key: [at_width(n, SIZES[size].embed_dim) for n in value.shape] for key, value in stored.items()}
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == wanted


def at_width(length, width):
    """A length of the file, whose width is 48, at another width: a multiple of it, 400 channels more, or fixed."""
    return {448: 400 + width}.get(length, length * width // 48 if length in (12, 24, 48, 144, 192) else length)


def plain_box_features(features, box, bins):
    """The mean over sample points of each bin, point by point."""
    height, width = features.shape[1:]
    out = torch.zeros(len(features), bins, bins)
    size = [max(float(box[i + 2] - box[i]), 1.0) / bins for i in range(2)]
    count = [int(np.ceil(length)) for length in size]
    for row in range(bins):
        for column in range(bins):
            for i in range(count[1]):
                for j in range(count[0]):
                    x = float(box[0]) + (column + (j + 0.5) / count[0]) * size[0]
                    y = float(box[1]) + (row + (i + 0.5) / count[1]) * size[1]
                    if -1 <= x <= width and -1 <= y <= height:
                        out[:, row, column] += bilinear(features, min(max(x, 0), width - 1), min(max(y, 0), height - 1))
    return out / (count[0] * count[1])


def bilinear(features, x, y):
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, features.shape[2] - 1), min(y0 + 1, features.shape[1] - 1)
    left = features[:, y0, x0] * (1 - (y - y0)) + features[:, y1, x0] * (y - y0)
    right = features[:, y0, x1] * (1 - (y - y0)) + features[:, y1, x1] * (y - y0)
    return left * (1 - (x - x0)) + right * (x - x0)


@pytest.mark.parametrize(
    "box", [(3.2, 4.7, 9.1, 8.3), (-5.0, -2.0, 30.0, 40.0), (10.0, 10.0, 10.2, 10.1), (60.0, 70.0, 80.0, 90.0)]
)
def test_boxes_of_features_are_means_over_sample_points(box):
    features = torch.randn(1, 3, 20, 14, generator=torch.Generator().manual_seed(1))
    found = box_features(features, torch.tensor([box]), 4)[0]
    torch.testing.assert_close(found, plain_box_features(features[0], torch.tensor(box), 4), rtol=1e-4, atol=1e-5)


def test_boxes_are_square_and_enlarged_and_take_no_gradient():
    centres = torch.tensor([[[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]], requires_grad=True)
    sizes = torch.tensor([[[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]]], requires_grad=True)
    boxes = square_boxes(centres, sizes)
    assert not boxes.requires_grad
    wanted = [[16.0, 32.0, 80.0, 96.0], [32.0, 48.0, 128.0, 144.0], [88.0, 104.0, 136.0, 152.0]]
    assert boxes[0].tolist() == wanted


def test_a_mirrored_crop_swaps_the_hands_when_the_boxes_do():
    """One regressor serves both hands: a mirrored left hand is read as a right one, and comes back mirrored."""
    torch.manual_seed(0)
    network = SmplerX(TINY, PAPER).eval()
    features = torch.randn(1, 32, 16, 12)
    boxes = torch.tensor([[[20.0, 40.0, 60.0, 80.0], [100.0, 120.0, 150.0, 170.0], [0.0, 0.0, 9.0, 9.0]]])
    mirrored = boxes.clone()
    mirrored[..., 0], mirrored[..., 2] = 192 - boxes[..., 2], 192 - boxes[..., 0]
    with torch.no_grad():
        pose, cells = network._hands(features, boxes)
        # The deconvolutions are not symmetric, so their result is mirrored, not what goes in.
        network.hand_roi_net.deconv.register_forward_hook(lambda _, __, out: out.flip(-1))
        shifted = mirrored - torch.tensor([4.0, 0, 4.0, 0])  # cell 0's centre lies on x = 0, the last one's on 47
        swapped_pose, swapped_cells = network._hands(features, shifted[:, [1, 0, 2]])
    left, right = sixd_to_matrix(pose[:, 0])
    swapped_left, swapped_right = sixd_to_matrix(swapped_pose[:, 0])
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    torch.testing.assert_close(mirror @ left @ mirror, swapped_right, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mirror @ right @ mirror, swapped_left, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(15 - cells[0, 0, :, 0], swapped_cells[0, 1, :, 0], rtol=1e-3, atol=1e-3)


def test_our_file_of_it_brings_size_and_switches(tmp_path):
    torch.manual_seed(3)
    network = SmplerX(TINY, SMPLERX_RELEASED)
    save_checkpoint(tmp_path / "last.pt", network_entries(network))
    loaded = network_from_state(load_checkpoint(tmp_path / "last.pt"))
    assert isinstance(loaded, SmplerX)
    assert loaded.size == TINY
    assert loaded.quirks == SMPLERX_RELEASED
    for key, value in network.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key]), key


def test_every_weight_learns(golden):
    """So that distributed training needs no search for unused parameters."""
    torch.manual_seed(2)
    network = SmplerX(TINY._replace(drop_path_rate=0.0), PAPER).train()
    for module in network.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(module.weight, std=0.05)
    said = network(golden["in.img"])
    outputs = body_outputs(said.body, MadeUpBody(golden["fake_body.A"].numpy()))
    targets, validity = batch_of(golden)
    parts = said.parts._replace(boxes=torch.tensor([[[0.0, 0.0, 192.0, 256.0]] * 3] * 2))
    losses = compute_smplerx_losses(outputs, parts, targets, validity)
    torch.stack(list(mean_losses(losses).values())).sum().backward()
    idle = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert idle == []
