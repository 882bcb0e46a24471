"""What training computes: the body's joints, the losses, a step and a forward pass of each size of network.

Beside each its peer: the forward pass of the ``smplx`` package, which poses the whole mesh, and the network as a
plain float32 loop would run it, that forward pass included. On a GPU (EHPS_SPEED_DEVICE=cuda) batches are larger,
arithmetic is bf16 and the network compiled, and the share of the measured rate of bf16 matrices is recorded.
EHPS_SPEED_SIZES (letters, "s" unless given) chooses the sizes.
"""

import os
import time

import numpy as np
import pytest
import torch

from ehps.body.models import load_smplx_layer
from ehps.body.posing import PosingModel
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.training.batches import empty_batch, float_images
from ehps.training.losses import compute_losses, mean_losses
from ehps.training.networks import body_of, new_network_of
from ehps.training.outputs import body_outputs
from ehps.training.smplerx_losses import compute_smplerx_losses
from ehps.training.smplestx import SIZES
from ehps.training.smplx_layer import JointLayer
from ehps.training.throughput import forward_flops

pytestmark = pytest.mark.speed
DEVICE = torch.device(os.environ.get("EHPS_SPEED_DEVICE", "cpu"))
NETWORK_SIZES = os.environ.get("EHPS_SPEED_SIZES", "s")
ON_GPU = DEVICE.type == "cuda"
BODIES = 256
BATCH = {"s": 256, "b": 128, "l": 64, "h": 48} if ON_GPU else dict.fromkeys("sblh", 4)
PARTS = {"global_orient": (), "body_pose": (21,), "left_hand_pose": (15,), "right_hand_pose": (15,), "jaw_pose": ()}


def timed(work, rounds=5):
    """The median seconds of a function, the first call left out."""
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        work()
        if ON_GPU:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:]))


@pytest.fixture(scope="module")
def joint_layer(standin_dir):
    return JointLayer(PosingModel.load(standin_dir)).to(DEVICE)


def parameters_of(count):
    """Random parameters that take gradients: rotations as matrices for ours, as vectors for smplx."""
    generator = torch.Generator().manual_seed(0)
    vectors = {name: 0.3 * torch.randn(count, *shape, 3, generator=generator) for name, shape in PARTS.items()}
    vectors = {name: value.to(DEVICE).requires_grad_() for name, value in vectors.items()}
    others = {"betas": (10,), "expression": (10,), "transl": (3,)}
    return vectors, {
        name: torch.randn(count, *shape, generator=generator).to(DEVICE).requires_grad_()
        for name, shape in others.items()
    }


@pytest.mark.benchmark(group="joints of 256 bodies, forward and backward")
def test_joints_beside_smplx(benchmark, joint_layer):
    peer = load_smplx_layer("neutral").to(DEVICE)
    vectors, others = parameters_of(BODIES)

    def ours():
        joints, _ = joint_layer(**{name: axis_angle_to_matrix(value) for name, value in vectors.items()}, **others)
        joints.square().sum().backward()

    def theirs():
        flat = {name: value.flatten(1) for name, value in vectors.items()}
        zeros = torch.zeros(BODIES, 3, device=DEVICE)
        peer(**flat, **others, leye_pose=zeros, reye_pose=zeros).joints.square().sum().backward()

    ours_s, theirs_s = timed(ours), timed(theirs, rounds=2)
    benchmark.extra_info["times_smplx"] = round(theirs_s / ours_s, 1)
    benchmark.pedantic(ours, rounds=3)


def filled_batch(count):
    """A batch of noise in which everything is labelled."""
    batch = empty_batch(count, (192, 256))
    generator = torch.Generator().manual_seed(1)
    batch.crops.copy_(torch.randint(0, 255, batch.crops.shape, generator=generator).to(torch.uint8))
    batch.colour.copy_(torch.eye(3, 4).expand_as(batch.colour))
    for tensor in batch.targets:
        tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    for tensor in batch.validity:
        tensor.fill_(1.0)
    return batch.to(DEVICE)


def loss_of(said, body, batch):
    """The sum of all losses of a prediction."""
    outputs = body_outputs(body_of(said), body)
    if hasattr(said, "parts"):
        losses = compute_smplerx_losses(outputs, said.parts, batch.targets, batch.validity)
    else:
        losses = compute_losses(outputs, batch.targets, batch.validity)
    return torch.stack(list(mean_losses(losses).values())).sum()


@pytest.mark.benchmark(group="losses of a batch, forward and backward")
def test_losses_beside_the_body(benchmark, joint_layer):
    size = SIZES["s"]._replace(depth=1)
    batch = filled_batch(64)
    with torch.no_grad():
        said = new_network_of("smplest-x", size).to(DEVICE)(float_images(batch.crops))

    def posed():
        prediction = type(said)(*(value.detach().requires_grad_() for value in said))
        return body_outputs(prediction, joint_layer)

    def body_alone():
        posed().joints_root.sum().backward()

    def whole():
        losses = compute_losses(posed(), batch.targets, batch.validity)
        torch.stack(list(mean_losses(losses).values())).sum().backward()

    benchmark.extra_info["share_beyond_the_body"] = round(1 - timed(body_alone) / timed(whole), 2)
    benchmark.pedantic(whole, rounds=3)


def matrix_rate():
    """Floating-point operations a second of large matrices, bf16 on a GPU, float32 elsewhere."""
    count, dtype = (8192, torch.bfloat16) if ON_GPU else (1024, torch.float32)
    a, b = (torch.randn(count, count, device=DEVICE, dtype=dtype) for _ in range(2))
    return 2 * count**3 / timed(lambda: a @ b)


@pytest.mark.parametrize("size", NETWORK_SIZES)
@pytest.mark.parametrize("model", ["smplest-x", "smpler-x"])
@pytest.mark.benchmark(group="networks")
def test_a_step_and_a_forward_pass(benchmark, joint_layer, model, size):
    network = new_network_of(model, SIZES[size]).to(DEVICE)
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 1e-6, fused=ON_GPU)
    batch = filled_batch(BATCH[size])
    run = torch.compile(network) if ON_GPU else network

    def step():
        images = float_images(batch.crops, batch.colour)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=ON_GPU):
            said = run(images)
        loss_of(said, joint_layer, batch).backward()
        optimiser.step()
        optimiser.zero_grad()

    @torch.inference_mode()
    def forward():
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=ON_GPU):
            run(float_images(batch.crops))

    train = BATCH[size] / timed(step, rounds=3)
    network.eval()
    infer = BATCH[size] / timed(forward, rounds=3)
    info = {"train_people_per_s": train, "infer_people_per_s": infer}
    if model == "smplest-x":
        flops, peak = forward_flops(SIZES[size]), matrix_rate()
        info |= {"train_share_of_matrices": 3 * flops * train / peak, "infer_share_of_matrices": flops * infer / peak}
    if ON_GPU:
        info["memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
    benchmark.extra_info.update({name: round(value, 3) for name, value in info.items()})
    benchmark.pedantic(forward, rounds=1)


@pytest.mark.benchmark(group="a training step, S")
def test_a_step_beside_a_plain_loop(benchmark, joint_layer):
    """The plain loop poses the whole mesh with smplx, in float32, and looks at its joints."""
    network, batch = new_network_of("smplest-x", SIZES["s"]).to(DEVICE), filled_batch(BATCH["s"])
    peer = load_smplx_layer("neutral").to(DEVICE)

    class WholeMesh(torch.nn.Module):
        """smplx in the place of our layer."""

        def forward(self, *, betas, expression, transl, **rotations):
            flat = {name: matrix_to_axis_angle(value).flatten(1) for name, value in rotations.items()}
            zeros = torch.zeros(len(betas), 3, device=betas.device)
            posed = peer(**flat, betas=betas, expression=expression, transl=transl, leye_pose=zeros, reye_pose=zeros)
            return posed.joints, posed.vertices

    def step(body):
        loss_of(network(float_images(batch.crops, batch.colour)), body, batch).backward()

    theirs, ours = timed(lambda: step(WholeMesh()), rounds=2), timed(lambda: step(joint_layer), rounds=2)
    benchmark.extra_info["times_plain"] = round(theirs / ours, 2)
    benchmark.pedantic(step, args=(joint_layer,), rounds=1)
