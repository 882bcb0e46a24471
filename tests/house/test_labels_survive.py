"""From the owner's file to the training target: the labels of all rooms together still pose the same body.

A fake COCO tree is converted, streamed as training batches, and its targets are posed by the network's own joint layer.
Any disagreement between rooms (hand convention, joint order, frame, rotation augmentation) shows as millimetres.
"""

import pytest
import torch

from ehps.body.joints import SUPERVISION_INDEX
from ehps.body.rotations import axis_angle_to_matrix
from ehps.converters.engine import convert
from ehps.shards.reader import PeopleIndex
from ehps.tests.raw import mscoco
from ehps.training.augment import AugmentationRange
from ehps.training.mixture import Member, Mixture, mix
from ehps.training.smplx_layer import load_body_layer
from ehps.training.stream import Batch, SampleSettings, Stream


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("labels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", "standin")
        mscoco.build(root / "raw", frames=8, bad=False)
        convert("mscoco", root / "raw", root / "data", "train")
    return root / "data"


def one_batch(tree, **ranges: float) -> Batch:
    members = (Member(dataset="mscoco", where="has_body_pose"),)
    people = mix(Mixture(name="labels", about="one source", strategy="concat", members=members), tree)
    settings = SampleSettings(seed=3, ranges=AugmentationRange(**ranges))
    stream = Stream(people, PeopleIndex.from_shards(tree).load, settings, batch_size=8, workers=0)
    return next(iter(stream))


def errors_mm(batch: Batch) -> torch.Tensor:
    """How far each supervised joint of the posed targets lies from its own 3D target, 0 where it is not supervised."""
    rotations = axis_angle_to_matrix(batch.targets.pose)
    joints, _ = load_body_layer(mesh=False)(
        betas=batch.targets.betas,
        expression=batch.targets.expression,
        transl=torch.zeros(len(rotations), 3),
        global_orient=rotations[:, 0],
        body_pose=rotations[:, 1:22],
        left_hand_pose=rotations[:, 22:37],
        right_hand_pose=rotations[:, 37:52],
        jaw_pose=rotations[:, 52],
    )
    joints = joints[:, list(SUPERVISION_INDEX)]
    distance = (joints - joints[:, :1] - batch.targets.joints_root).norm(dim=-1) * 1000
    return distance * batch.validity.joints.reshape(distance.shape)


@pytest.mark.parametrize("rotation", [0.0, 40.0])
def test_targets_pose_the_joints_that_were_converted(tree, rotation):
    batch = one_batch(tree, scale=0.2, colour=0.1, rotation=rotation, flip_probability=0.0)
    assert batch.validity.joints.sum() > 8 * 60
    assert errors_mm(batch).max() < 0.05


def test_a_mirrored_person_differs_only_by_the_asymmetry_of_the_body(tree):
    assert errors_mm(one_batch(tree, scale=0.0, colour=0.0, rotation=0.0, flip_probability=1.0)).max() < 20


def test_hands_swapped_in_the_targets_would_be_seen(tree):
    batch = one_batch(tree, scale=0.0, colour=0.0, rotation=0.0, flip_probability=0.0)
    pose = batch.targets.pose.clone()
    pose[:, 22:37], pose[:, 37:52] = batch.targets.pose[:, 37:52], batch.targets.pose[:, 22:37]
    assert errors_mm(batch._replace(targets=batch.targets._replace(pose=pose))).max() > 20
