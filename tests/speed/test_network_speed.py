"""What training computes: the body's joints, the losses, augmentation, a step and a forward pass of every network.

Beside each its peer: the forward pass of the ``smplx`` package, which poses the whole mesh; colours changed picture by
picture; and the straight implementation of a step, which is float32 and eager, writes attention out and poses the mesh.

With ``EHPS_SPEED_DEVICE=cuda EHPS_SPEED_SIZES=sblh`` it makes the table of a GPU (docs/training.md): batches are as
large as fit, arithmetic is bf16 and the network compiled. ``EHPS_SPEED_SIZES`` are letters, "s" unless given;
``EHPS_SPEED_BATCH`` is a number of people for all sizes; ``EHPS_SPEED_DEPTH`` cuts the encoders to so many blocks, to
try the file out. Rows are printed as they come. ``EHPS_SPEED_PROFILE=1`` adds where the time of a step goes,
``EHPS_SPEED_ALONE=1`` leaves the straight implementation out, ``EHPS_SPEED_RECOMPUTE=1`` recomputes blocks.
"""

import gc
import os
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from ehps.body.models import load_smplx_layer
from ehps.body.posing import PosingModel
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.training import smplestx, vit
from ehps.training.augment import AugmentationRange, draw_all
from ehps.training.batches import CropMemory, empty_batch, float_images
from ehps.training.effects import apply_effects, colour_maps
from ehps.training.loop import Learner
from ehps.training.losses import compute_losses, mean_losses
from ehps.training.network_size import SIZES
from ehps.training.networks import body_of, new_network_of
from ehps.training.outputs import body_outputs
from ehps.training.progress import Window
from ehps.training.ranks import Ranks
from ehps.training.recipes import get_recipe
from ehps.training.smplerx_losses import compute_smplerx_losses
from ehps.training.smplx_layer import JointLayer
from ehps.training.throughput import forward_flops

pytestmark = pytest.mark.speed
DEVICE = torch.device(os.environ.get("EHPS_SPEED_DEVICE", "cpu"))
NETWORK_SIZES = os.environ.get("EHPS_SPEED_SIZES", "s")
ON_GPU = DEVICE.type == "cuda"
BODIES = 256
# As many people as a GPU of 80 GiB holds in bf16; where they do not fit, half as many are tried.
BATCH = {"s": 512, "b": 256, "l": 128, "h": 64} if ON_GPU else dict.fromkeys("sblh", 4)
if "EHPS_SPEED_BATCH" in os.environ:
    BATCH = dict.fromkeys("sblh", int(os.environ["EHPS_SPEED_BATCH"]))
MODELS = ("smplest-x", "smpler-x")
COLUMNS = {
    "batch": "people a step",
    "train_people_per_s": "train, people/s",
    "train_share_of_matrices": "of the matrix rate",
    "train_gib": "train, GiB",
    "infer_people_per_s": "inference, people/s",
    "infer_share_of_matrices": "of the matrix rate",
    "infer_gib": "inference, GiB",
    "straight_people_per_s": "straight float32, people/s",
    "times_straight": "times it",
}
PARTS = {"global_orient": (), "body_pose": (21,), "left_hand_pose": (15,), "right_hand_pose": (15,), "jaw_pose": ()}


def timed(work, rounds=20 if ON_GPU else 2, seconds=5.0):
    """The median seconds of a function over so many rounds, or as many as fit into a time, but three.

    The first calls are left out: they compile, choose kernels and take memory.
    """
    for _ in range(3 if ON_GPU else 1):
        work()
    found = []
    while len(found) < rounds and (len(found) < 3 or sum(found) < seconds):
        finished()
        began = time.perf_counter()
        work()
        finished()
        found.append(time.perf_counter() - began)
    return float(np.median(found))


def finished():
    """Wait until the GPU has done what was asked of it."""
    if ON_GPU:
        torch.cuda.synchronize()


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


def host_batch(count):
    """A batch of noise in which everything is labelled, as a stream hands it over."""
    keys, positions = tuple(map(str, range(count))), tuple(range(count))
    batch = empty_batch(count, (192, 256), CropMemory(1, pinned=ON_GPU))._replace(keys=keys, positions=positions)
    generator = torch.Generator().manual_seed(1)
    batch.crops.copy_(torch.randint(0, 255, batch.crops.shape, generator=generator).to(torch.uint8))
    batch.colour.copy_(torch.eye(3, 4).expand_as(batch.colour))
    for tensor in batch.targets:
        tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    for tensor in batch.validity:
        tensor.fill_(1.0)
    return batch


def filled_batch(count):
    """The same batch where it is computed with."""
    return host_batch(count).to(DEVICE)


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


@pytest.fixture(scope="module")
def matrix_rate():
    """Floating-point operations a second of large matrices, bf16 on a GPU, float32 elsewhere."""
    count, dtype, products = (8192, torch.bfloat16, 10) if ON_GPU else (1024, torch.float32, 1)
    a, b = (torch.randn(count, count, device=DEVICE, dtype=dtype) for _ in range(2))
    return products * 2 * count**3 / timed(lambda: [a @ b for _ in range(products)])


@pytest.fixture(scope="module")
def say(request):
    """Prints at once, so that what is measured is known however the rest ends."""
    plugins = request.config.pluginmanager

    def line(text):
        with plugins.getplugin("capturemanager").global_and_fixture_disabled():
            plugins.getplugin("terminalreporter").write_line(text)

    return line


@pytest.fixture(scope="module")
def table(say, matrix_rate):
    """Takes the rows of the note's table, and prints each."""
    name = torch.cuda.get_device_name(DEVICE) if ON_GPU else "processor"
    say(f"\n\n{name}: {matrix_rate / 1e12:.3g} TFLOP/s of matrices, torch {torch.__version__}\n")
    say(f"| network | {' | '.join(COLUMNS.values())} |\n" + "|---" * (1 + len(COLUMNS)) + "|")
    return lambda of, row: say(f"| {of} | {' | '.join(shown(row.get(column)) for column in COLUMNS)} |")


def shown(value):
    return "" if value is None else f"{value:.3g}"


def size_of(letter):
    """A published size, or a shallower one to try this file out."""
    depth = int(os.environ.get("EHPS_SPEED_DEPTH", SIZES[letter].depth))
    return SIZES[letter]._replace(depth=depth)


def straight_attention(q, k, v):
    """Attention as a straight implementation writes it."""
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v


class WholeMesh(torch.nn.Module):
    """The body layer of a straight implementation: the ``smplx`` package's, with all of its vertices."""

    def __init__(self):
        super().__init__()
        self.peer = load_smplx_layer("neutral").to(DEVICE)

    def forward(self, *, betas, expression, transl, **rotations):
        flat = {name: matrix_to_axis_angle(value).flatten(1) for name, value in rotations.items()}
        zeros = torch.zeros(len(betas), 3, device=betas.device)
        posed = self.peer(**flat, betas=betas, expression=expression, transl=transl, leye_pose=zeros, reye_pose=zeros)
        return posed.joints, posed.vertices


def straight_step(network, body, batch, optimiser):
    """A step of a straight implementation: float32, eager, one loss after another."""

    def step():
        loss_of(network(float_images(batch.crops, batch.colour)), body, batch).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def recipe_of(model, letter, count):
    """The published training of a network; on a GPU in half precision and compiled."""
    recipe = get_recipe(f"{model.replace('-', '')}_{letter}5")
    return replace(
        recipe,
        network=size_of(letter),
        batch_size=count,
        precision="bf16" if ON_GPU else "fp32",
        compile=ON_GPU,
        recompute_blocks="EHPS_SPEED_RECOMPUTE" in os.environ,
    )


def trained(network):
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def memory_gib():
    """The most memory since the last question, GiB; None on the processor."""
    if not ON_GPU:
        return None
    peak = torch.cuda.max_memory_allocated(DEVICE) / 2**30
    torch.cuda.reset_peak_memory_stats(DEVICE)
    return peak


def freed():
    """Give back what the last measurement held."""
    gc.collect()
    if ON_GPU:
        torch._dynamo.reset()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(DEVICE)


def that_fits(measure, batch):
    """Measure with as many people as given, or with half as many where memory is short, and so on."""
    while True:
        freed()
        try:
            return measure(batch)
        except torch.cuda.OutOfMemoryError:
            if batch == 1:
                raise
        batch //= 2


def measure_ours(recipe, flops, peak, say):
    """A row of the table without its peer; the step is that of ``ehps train``, but for reading people."""
    count = recipe.batch_size
    learner, host, window = Learner(recipe, Ranks(0, 1, DEVICE)), host_batch(count), Window("", 1)

    def step():
        learner.learn(0, [host.to(DEVICE)], window)
        learner.guard.next_step()

    row = {"batch": count, "train_people_per_s": count / timed(step)}
    row |= {"train_share_of_matrices": 3 * flops * row["train_people_per_s"] / peak, "train_gib": memory_gib()}
    if "EHPS_SPEED_PROFILE" in os.environ:
        say(profile_of(step))
    network = learner.state.network.eval().requires_grad_(False)
    del learner, step

    @torch.inference_mode()
    def forward():
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=ON_GPU):
            network(float_images(host.crops.to(DEVICE, non_blocking=True)))

    freed()
    row |= {"infer_people_per_s": count / timed(forward), "infer_gib": memory_gib()}
    return row | {"infer_share_of_matrices": flops * row["infer_people_per_s"] / peak}


def profile_of(step):
    """Where the time of three steps goes: what takes longest, and all that the GPU does beside the steps' length."""
    finished()
    began = time.perf_counter()
    with torch.profiler.profile() as found:
        for _ in range(3):
            step()
        finished()
    seconds, averages = time.perf_counter() - began, found.key_averages()
    busy = sum(one.self_device_time_total for one in averages) / 1e6
    order = "self_device_time_total" if ON_GPU else "self_cpu_time_total"
    lines = averages.table(sort_by=order, row_limit=25, max_name_column_width=70)
    return f"{lines}\nthree steps took {seconds:.3f} s under the profiler, the device was at work for {busy:.3f} s"


def measure_straight(model, size, count):
    """People a second of a straight float32 eager implementation of the same network."""
    network = new_network_of(model, size).to(DEVICE).train()
    optimiser = torch.optim.Adam(trained(network), 1e-6, foreach=False, fused=False)
    step = straight_step(network, WholeMesh(), filled_batch(count), optimiser)
    with pytest.MonkeyPatch.context() as patch:
        for module in (vit, smplestx):
            patch.setattr(module, "scaled_dot_product_attention", straight_attention)
        return count / timed(step)


@pytest.mark.filterwarnings("ignore")  # what a compiler has to say of a GPU is no failure of ours
@pytest.mark.parametrize("letter", NETWORK_SIZES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.benchmark(group="networks")
def test_a_step_and_a_forward_pass(benchmark, matrix_rate, table, say, model, letter):
    size = size_of(letter)
    flops = forward_flops(model, size)
    row = that_fits(lambda count: measure_ours(recipe_of(model, letter, count), flops, matrix_rate, say), BATCH[letter])
    if "EHPS_SPEED_ALONE" not in os.environ:
        row["straight_people_per_s"] = that_fits(lambda count: measure_straight(model, size, count), row["batch"])
        row["times_straight"] = row["train_people_per_s"] / row["straight_people_per_s"]
    table(f"{model}-{letter}", row)
    benchmark.extra_info.update({name: round(value, 3) for name, value in row.items() if value is not None})
    freed()
    benchmark.pedantic(lambda: None, rounds=1)


def coloured_one_by_one(crops, colours):
    """Colours of pictures as a loader changes them, one picture after another."""
    out = np.empty(crops.shape, np.float32)
    for crop, colour, into in zip(crops, colours, out, strict=True):
        into[:] = np.clip(np.einsum("ij,jhw->ihw", colour[:, :3], crop, dtype=np.float32) + colour[:, 3:, None], 0, 255)
    return out / 255


@pytest.mark.benchmark(group="colours of 64 crops")
def test_colours_of_a_batch(benchmark):
    """On the device that trains, all at once; the peer is a loader's thread on the processor."""
    changes = draw_all(0, np.arange(64), AugmentationRange(brightness=0.3, contrast=0.3, saturation=0.3, hue=10.0))
    batch = filled_batch(64)._replace(colour=torch.from_numpy(colour_maps(changes)).to(DEVICE))
    crops, colours = batch.crops.cpu().numpy(), batch.colour.cpu().numpy()
    difference = float_images(batch.crops, batch.colour).cpu() - torch.from_numpy(coloured_one_by_one(crops, colours))
    assert difference.abs().max() < 1e-4
    ours = timed(lambda: float_images(batch.crops, batch.colour))
    benchmark.extra_info["times_one_by_one"] = round(timed(lambda: coloured_one_by_one(crops, colours), 2) / ours, 1)
    benchmark.pedantic(float_images, args=(batch.crops, batch.colour), rounds=5)


EFFECTS = {
    "occlusion": AugmentationRange(occlusion_probability=1.0),
    "blur": AugmentationRange(blur_probability=1.0),
    "compression": AugmentationRange(jpeg_probability=1.0),
}


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.benchmark(group="effects on 64 crops, one thread of a loader")
def test_effects_on_bytes(benchmark, effect):
    """Beside the copy of the same bytes, which nothing that changes them is quicker than."""
    changes = draw_all(0, np.arange(64), EFFECTS[effect])
    crops = filled_batch(64).crops.cpu().numpy()

    def change():
        for crop, one in zip(crops, changes, strict=True):
            apply_effects(crop, one)

    benchmark.extra_info["times_copy"] = round(timed(change, 3) / timed(crops.copy), 1)
    benchmark.extra_info["crops_per_s"] = round(len(crops) / timed(change, 3))
    benchmark.pedantic(change, rounds=3)
