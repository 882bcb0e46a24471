"""Half precision poses people as float32 does."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ehps.training.checkpoint import load_checkpoint, network_from_state
from ehps.training.network_size import NetworkSize
from ehps.training.networks import body_of, new_network_of
from ehps.training.predictor import Predictor

REST = torch.tensor([1.0, 0, 0, 1, 0, 0])  # no rotation
POSE_HEADS = ("root_pose", "body_pose", "hand_pose", "jaw_pose", "root_pose_out", "body_pose_out", "hand_pose_out")


def with_human_poses(network):
    """Give a network of random weights poses near rest, a tenth about it in the numbers of its rotations.

    As they are, its poses are no people's: each joint is turned by anything, and rounding by as much more.
    """
    crops = torch.rand(4, 3, 256, 192, generator=torch.Generator().manual_seed(1))
    heads = [
        module
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) and any(head in name for head in POSE_HEADS)
    ]
    with torch.no_grad():
        for head in heads:
            head.bias.copy_(REST.repeat(head.out_features // 6))
        spread = (body_of(network(crops)).body_pose - REST).std()
        for head in heads:
            head.weight.mul_(0.1 / spread)
    return network


@pytest.mark.parametrize("name", ["smplestx", "smplerx"])
def test_meshes_of_bf16_are_within_a_millimetre(golden_dir, name):
    """Of the golden checkpoints; on a network that is trained, ``test_overfit`` looks at the same."""
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8).repeat(40, 0).repeat(40, 1)
    boxes = [[20.0, 10, 200, 300], [150.0, 30, 420, 330], [5.0, 5, 100, 350]]
    people = [SimpleNamespace(bbox_xyxy=np.array(box), image=lambda: picture) for box in boxes]
    state = load_checkpoint(golden_dir / f"{name}_tiny_a.pth.tar")
    network = with_human_poses(network_from_state(state, num_heads=4))
    fine, coarse = (Predictor(network, "cpu", precision=precision)(people) for precision in ("fp32", "bf16"))
    own = [[one.vertices - one.joints_3d[0] for one in answers] for answers in (fine, coarse)]
    errors = np.linalg.norm(np.subtract(*own), axis=-1)
    assert errors.max() > 0
    assert 1000 * errors.mean() < 1


@pytest.mark.parametrize("model", ["smplest-x", "smpler-x"])
def test_what_reads_and_what_sees_stays_in_float32_and_the_rest_does_not(model):
    network = new_network_of(model, NetworkSize(32, 1, 2, 0.0, dim_out=8)).eval()
    found = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _, __, out, name=name: found.update({name: getattr(out, "dtype", None)}))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        said = body_of(network(torch.rand(1, 3, 256, 192)))
    assert {value.dtype for value in said if value is not None} == {torch.float32}
    assert found["encoder.patch_embed"] == torch.float32
    assert {found[f"encoder.blocks.0.{name}"] for name in ("attn.qkv", "mlp.fc1", "mlp.fc2")} == {torch.bfloat16}
