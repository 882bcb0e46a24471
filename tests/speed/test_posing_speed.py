"""Joints of 256 people: ours from the vertices that define them, beside the full forward pass of the smplx package."""

import numpy as np
import pytest
import torch

from ehps.body.models import load_smplx_layer
from ehps.body.posing import PosingModel

pytestmark = [pytest.mark.speed, pytest.mark.benchmark(group="joints of 256 people")]
PEOPLE = 256


@pytest.fixture(scope="module")
def parameters():
    rng = np.random.default_rng(0)
    shapes = {"global_orient": 3, "body_pose": 63, "left_hand_pose": 45, "right_hand_pose": 45, "jaw_pose": 3}
    shapes |= {"leye_pose": 3, "reye_pose": 3, "transl": 3, "betas": 10, "expression": 10}
    return {name: rng.normal(0, 0.3, (PEOPLE, size)) for name, size in shapes.items()}


def test_numpy_joints(benchmark, parameters, standin_dir):
    model = PosingModel.load(standin_dir)
    benchmark.extra_info["people"] = PEOPLE
    assert benchmark(model.joints, parameters).shape == (PEOPLE, 144, 3)


def test_numpy_joints_without_the_face(benchmark, parameters, standin_dir):
    model = PosingModel.load(standin_dir)
    benchmark.extra_info["people"] = PEOPLE
    assert benchmark(model.joints, parameters, with_face=False).shape == (PEOPLE, 76, 3)


def test_numpy_all_vertices(benchmark, parameters, standin_dir):
    model = PosingModel.load(standin_dir)
    some = {name: value[:64] for name, value in parameters.items()}
    benchmark.extra_info["people"] = 64
    assert benchmark(model.vertices, some).shape == (64, 10475, 3)


def test_smplx_package_full_forward(benchmark, parameters, standin_dir):
    layer = load_smplx_layer(batch_size=PEOPLE, directory=standin_dir)
    tensors = {name: torch.from_numpy(value).float() for name, value in parameters.items()}
    benchmark.extra_info["people"] = PEOPLE
    with torch.no_grad():
        assert benchmark(lambda: layer(**tensors)).joints.shape == (PEOPLE, 144, 3)


def test_smplx_package_one_person_at_a_time(benchmark, parameters, standin_dir):
    layer = load_smplx_layer(batch_size=1, directory=standin_dir)
    tensors = {name: torch.from_numpy(value[:1]).float() for name, value in parameters.items()}
    benchmark.extra_info["people"] = 1
    with torch.no_grad():
        assert benchmark(lambda: layer(**tensors)).joints.shape == (1, 144, 3)
