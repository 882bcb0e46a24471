"""A small converted tree for the tests of training: two sources whose people are posed stand-in bodies."""

import numpy as np
import pytest
import torch
import yaml

from ehps.shards.catalog import build_catalog
from ehps.shards.picture import encode_jpeg, encode_png, picture_of
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.shards.writer import UnitWriter
from ehps.tests.raw import _people as people
from ehps.training.network_size import NetworkSize
from ehps.training.recipe import Recipe

WIDTH, HEIGHT = 160, 200
K = np.array([[300.0, 0, 80], [0, 300, 100], [0, 0, 1]])
POSES = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose")
FLOATS = (*POSES, "betas", "expression", "transl")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small compute no faster on two threads, which only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def posed_people(rng, count):
    """Return parameters and joints of people who fill the picture."""
    model = people.standin()
    bodies = [people.face_camera(people.random_parameters(rng), rng.uniform(-1, 1), 0.05) for _ in range(count)]
    bodies = people.place(model, bodies, rng.normal(0, 0.02, (count, 3)) + [0, 0.05, 3.2])
    return bodies, people.joints(model, bodies)


def person(body, joints, number, *, with_hands=True, with_box=True):
    """Return the record of one posed body."""
    arrays = {name: body[name].astype(np.float32) for name in FLOATS}
    pixels = (joints @ K.T)[:, :2] / joints[:, 2:]
    hands = "synthetic" if with_hands else None
    if not with_hands:
        arrays |= {"left_hand_pose": None, "right_hand_pose": None}
    return Person(
        provenance=Provenance(file="fake.npz", row=str(number)),
        labels=Labels(body="synthetic", left_hand=hands, right_hand=hands, face="synthetic", shape="synthetic"),
        body_model="smplx",
        gender="neutral",
        joints_3d=joints.astype(np.float32),
        bbox_xyxy=people.tight_box(pixels).astype(np.float32) if with_box else None,
        **arrays,
    )


def write_source(out, dataset, count, seed, *, split="train", with_hands=True, num_without_box=0, encode=encode_jpeg):
    """Write one unit of ``count`` frames with one person each."""
    rng = np.random.default_rng(seed)
    bodies, joints = posed_people(rng, count)
    with UnitWriter(out, dataset, split, "all", meta={"converter_version": 1}) as writer:
        for number in range(count):
            picture = people.backdrop(rng, (WIDTH, HEIGHT), "rendered")
            someone = person(
                bodies[number], joints[number], number, with_hands=with_hands, with_box=number >= num_without_box
            )
            frame = Frame(
                key=f"{number:04d}",
                image=b"",
                width=WIDTH,
                height=HEIGHT,
                people=(someone,),
                camera=Camera(K=K, kind="measured"),
            )
            writer.write(frame, f"{dataset}-{split}-{number:04d}", picture_of(encode(picture)))
        writer.commit({})


@pytest.fixture(scope="session")
def converted(tmp_path_factory, standin_dir):
    """A converted tree: 12 people of bedlam, 5 (and one without box) of ehf's test split without hands."""
    out = tmp_path_factory.mktemp("converted")
    write_source(out, "bedlam", 12, seed=1)
    write_source(out, "ehf", 6, seed=2, split="test", with_hands=False, num_without_box=1, encode=encode_png)
    build_catalog(out)
    return out


def tiny_recipe(folder):
    """A network so small that a step takes no time, on everyone of the converted tree."""
    members = [{"dataset": "bedlam"}, {"dataset": "ehf", "split": "test"}]
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({"about": "t", "strategy": "concat", "members": members}))
    return Recipe(
        name="tiny",
        about="test",
        mixture=str(path),
        network=NetworkSize(16, 2, 2, drop_path_rate=0.2, dim_out=8, decoder_depth=1, decoder_heads=1),
        batch_size=4,
        steps=6,
        lr=1e-3,
        min_lr=1e-5,
        warmup_steps=2,
        clip=10.0,
        ema=0.9,
        workers=2,
        log_every=1,
        save_every=3,
        seed=3,
    )


@pytest.fixture
def recipe(tmp_path):
    """The recipe of ``tiny_recipe``."""
    return tiny_recipe(tmp_path)
