"""HumanData out: what the released loaders find in a file, and what comes back from it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ehps.body.cameras import Distortion, intrinsics, project
from ehps.body.hands import HAND_MEANS
from ehps.body.joints import RELEASED_TARGET_INDEX
from ehps.body.posing import PARAMETER_SHAPES
from ehps.cli.main import app
from ehps.converters import humandata_out
from ehps.converters.engine import convert
from ehps.converters.humandata_out import Wishes, export
from ehps.converters.pictures import labels_alone
from ehps.errors import ShardError, UnknownNameError
from ehps.shards.catalog import build_catalog, query_arrow
from ehps.shards.reader import read_people
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance, array_fields
from ehps.shards.writer import UnitWriter
from ehps.tests.raw import humandata as fake
from ehps.tests.raw._recovery import converted

GATHER = np.array(RELEASED_TARGET_INDEX)  # 137 of 144 or 190 points


class Loader:
    """What a released loader takes from a file: its keys, gathers and types, as the dossiers of both describe them."""

    KEYS_2D = ("keypoints2d", "keypoints2d_smplx", "keypoints2d_smpl", "keypoints2d_original")
    KEYS_3D = ("keypoints3d_cam", "keypoints3d", "keypoints3d_smplx", "keypoints3d_smpl", "keypoints3d_original")

    def __init__(self, path: Path, *, subtracts_mean: bool = False) -> None:
        self.content, self.subtracts_mean = np.load(path, allow_pickle=True), subtracts_mean
        meta = self.content["meta"].item()
        self.paths, self.people = self.content["image_path"], len(self.content["image_path"])
        self.shapes = np.stack([np.array(meta["height"]), np.array(meta["width"])], axis=-1)
        self.body = next(name for name in ("smplx", "smpl", "smplh") if name in self.content)
        self.parameters = self.content[self.body].item()
        assert not self.content["__keypoints_compressed__"]  # what is compressed is expanded by its mask first
        self.points, self.mask = {}, None
        for dimension, keys in ((3, self.KEYS_3D), (2, self.KEYS_2D)):
            key = next(key for key in keys if key in self.content)
            self.points[dimension] = self.content[key][:, GATHER, :dimension]
            if self.mask is None:  # that of the 3D points counts for the 2D points as well
                self.mask = self.content[f"{key}_mask"][GATHER]

    def row(self, i: int) -> dict:
        """Return what the loader keeps of a row."""
        fit = {name: values[i] for name, values in self.parameters.items()}
        out = {
            "img_path": str(self.paths[i]),
            "img_shape": self.shapes[i],
            "bbox": self.content["bbox_xywh"][i][:4],
            "lhand_bbox": self.content["lhand_bbox_xywh"][i],
            "joint_img": self.points[2][i],
            "joint_cam": self.points[3][i],
            "joint_valid": self.mask.reshape(-1, 1),
            "is_kid": fit.pop("betas_extra", 0) != 0,
            "root_pose": fit.pop("global_orient"),
            "shape": fit.pop("betas_neutral", fit.pop("betas"))[:10],
            "trans": fit.pop("transl", np.zeros(3)),
            "lhand_pose": fit.pop("left_hand_pose", None),
            "rhand_pose": fit.pop("right_hand_pose", None),
            "expr": fit.pop("expression", None),
            "body_pose": fit["body_pose"].reshape(-1, 3)[:21],
        }
        if self.subtracts_mean:  # in place, as it does
            out["lhand_pose"] -= HAND_MEANS["left"]
            out["rhand_pose"] -= HAND_MEANS["right"]
        assert not np.isnan(out["joint_cam"]).any()  # such rows are passed over
        return out


@pytest.fixture(scope="module")
def tree(tmp_path_factory, built):
    """The fake files, converted with their pictures, and who is who."""
    root = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", "standin")
        truth = built(fake, root / "raw", bad=False)
        convert("humandata", root / "raw", root / "data")
    return root / "data", truth


@pytest.fixture(scope="module")
def exported(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "people_train.npz"
    return path, export(tree[0], path, dataset="humandata", split="train")


def truths(tree, loader):
    """The true people of the rows."""
    asked = query_arrow(tree[0], "select person_key, split, frame_key, provenance_row from people").to_pylist()
    places = {row.pop("person_key"): tuple(row.values()) for row in asked}
    return [tree[1].people[places[key]] for key in loader.content["meta"].item()["person_key"].tolist()]


def test_a_released_loader_finds_every_label_where_it_was_put(tree, exported):
    path, done = exported
    loader = Loader(path)
    assert loader.people == done.people == 9
    for i, true in enumerate(truths(tree, loader)):
        row = loader.row(i)
        joints = true.joints()
        np.testing.assert_allclose(row["joint_cam"], joints[GATHER], atol=1e-4)
        np.testing.assert_allclose(row["joint_img"], project(joints, true.K)[GATHER], atol=0.02)
        assert row["joint_valid"].shape == (137, 1)
        assert row["joint_valid"].all()
        for name, own in (("root_pose", "global_orient"), ("body_pose", "body_pose"), ("trans", "transl")):
            np.testing.assert_allclose(row[name], true.parameters[own], atol=1e-5)
        for side in ("left", "right"):
            deviation = true.parameters[f"{side}_hand_pose"] - HAND_MEANS[side]
            np.testing.assert_allclose(row[f"{side[0]}hand_pose"], deviation, atol=1e-5)
        assert row["shape"].shape == row["expr"].shape == (10,)
        assert tuple(row["img_shape"]) == true.size[::-1]


def test_pictures_lie_where_their_paths_say(exported):
    path, done = exported
    loader = Loader(path)
    files = {path.parent / loader.row(i)["img_path"] for i in range(loader.people)}
    assert len(files) == done.pictures == 5
    assert all(file.read_bytes()[:2] == b"\xff\xd8" for file in files)


def test_boxes_are_those_of_the_tight_ones_grown_as_the_loaders_expect(tree, exported):
    loader = Loader(exported[0])
    for i, true in enumerate(truths(tree, loader)):
        want = fake.boxes_of([true])[0]
        np.testing.assert_allclose(loader.row(i)["bbox"], want[:4], atol=0.02)
        assert loader.content["bbox_xywh"].shape == (9, 5)
        assert loader.row(i)["lhand_bbox"].tolist() == [30, 40, 50, 60, 1]


def test_classes_that_subtract_the_mean_get_absolute_hands(tree, exported, tmp_path):
    export(tree[0], tmp_path / "x.npz", Wishes(hands="absolute", pictures=False), split="train")
    one, two = Loader(exported[0]), Loader(tmp_path / "x.npz", subtracts_mean=True)
    assert two.content["misc"].item()["flat_hand_mean"] is True
    for i in range(one.people):
        deviation, made = one.row(i), two.row(i)  # once: the loader subtracts in place
        np.testing.assert_allclose(made["lhand_pose"], deviation["lhand_pose"], atol=1e-6)
        np.testing.assert_allclose(made["rhand_pose"], deviation["rhand_pose"], atol=1e-6)


def test_every_entry_has_the_type_that_humandata_gives_it(exported):
    with np.load(exported[0], allow_pickle=True) as content:
        assert {"__key_strict__", "__data_len__", "__keypoints_compressed__"} <= set(content.files)
        assert content["__data_len__"].item() == 9
        assert content["image_path"].dtype.kind == "U"
        for name in ("smplx", "meta", "misc"):
            assert content[name].shape == ()
            assert isinstance(content[name].item(), dict)
        assert all(len(values) == 9 for values in content["smplx"].item().values())
        assert all(len(values) == 9 for values in content["meta"].item().values())
        assert content["keypoints2d_smplx_mask"].dtype == np.uint8
        assert {content[name].shape[1:] for name in ("keypoints2d_smplx", "keypoints3d_smplx")} == {(144, 3), (144, 4)}


def test_the_same_people_give_the_same_bytes(tree, exported, tmp_path):
    again = tmp_path / exported[0].name
    export(tree[0], again, dataset="humandata", split="train")
    assert again.read_bytes() == exported[0].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people_train", "people_train.npz"]


@pytest.mark.parametrize("size", [1, 4])
def test_chunks_of_any_size_give_the_same_file(tree, exported, tmp_path, monkeypatch, size):
    monkeypatch.setattr(humandata_out, "CHUNK", size)
    again = tmp_path / exported[0].name
    export(tree[0], again, split="train")
    assert again.read_bytes() == exported[0].read_bytes()


def test_who_does_not_fit_is_counted_by_reason(tree, exported, tmp_path):
    assert exported[1].left_out == {"no_joints_3d": 5}  # without transl nobody knows where they stand
    done = export(tree[0], tmp_path / "all.npz", Wishes(pictures=False))
    assert done.left_out == {"no_joints_3d": 5, "body_model_smpl": 4}
    assert done.people + sum(done.left_out.values()) == len(tree[1].people)
    with pytest.raises(ShardError, match=r"nobody can be exported \(body_model_smplx 18, body_model_smpl 4\)"):
        export(tree[0], tmp_path / "none.npz", Wishes(body="smplh"))
    with pytest.raises(UnknownNameError, match="there is no part called 'feet'"):
        Wishes(parts=("feet",))


def test_gendered_smpl_bodies_make_a_file_of_their_own(tree, tmp_path):
    export(tree[0], tmp_path / "x_val.npz", Wishes(body="smpl", pictures=False))
    loader = Loader(tmp_path / "x_val.npz")
    assert (loader.body, loader.parameters["body_pose"].shape) == ("smpl", (4, 23, 3))
    assert set(loader.content["meta"].item()["gender"]) == {"male", "female", "neutral"}
    assert loader.mask.sum() == np.isin(GATHER, np.arange(22)).sum()


def test_what_comes_back_is_what_was_there(tree, exported):
    before = [person for person in stored(tree[0], "train") if person.transl is not None]
    path = exported[0]
    after = [
        person
        for record in converted("humandata", path.parent, "train")
        if isinstance(record, Frame)
        for person in record.people
    ]
    assert len(before) == len(after) == 9
    for person in after:
        same(min(before, key=lambda one: np.abs(one.transl - person.transl).max()), person)


def stored(data, split):
    return [person.record() for person in read_people(data, "humandata", split)]


def same(one: Person, two: Person) -> None:
    """Check that two people are one, but for what the engine computes and single precision."""
    computed = {"joints_3d", "face_bbox_xyxy", "left_hand_bbox_xyxy", "right_hand_bbox_xyxy"}
    a, b = ({n: v for n, v in array_fields(p).items() if n not in computed} for p in (one, two))
    assert a.keys() == b.keys()
    for name, values in a.items():
        np.testing.assert_allclose(b[name], values, rtol=1e-5, atol=2e-4 if "bbox" in name else 1e-6, err_msg=name)
    for name in ("labels", "body_model", "gender", "kid_weight", "transl_is_metric"):
        assert getattr(one, name) == getattr(two, name), name
    for name in ("keypoints_2d_convention", "keypoints_3d_convention"):
        assert getattr(one, name) == getattr(two, name)


# People of any kind.

K = intrinsics(500.0, 510.0, 320.0, 240.0)
ALWAYS = ("global_orient", "body_pose", "betas", "transl", "joints_3d", "bbox_xyxy")
SOMETIMES = ("left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose", "expression", "keypoints_2d")


@st.composite
def people(draw):
    """Return people who carry the same parts but for eyes and keypoints; numbers come from a seed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    carried = draw(st.sets(st.sampled_from(SOMETIMES[:6])))
    betas, expression = draw(st.sampled_from(((10, 10), (11, 10), (300, 50), (10, 9))))
    return [
        made(
            rng,
            {*carried, *(n for n in draw(st.sets(st.sampled_from(("leye_pose", "keypoints_2d")))))},
            betas,
            expression,
        )
        for _ in range(draw(st.integers(1, 4)))
    ]


def made(rng: np.random.Generator, carried: set[str], betas: int = 10, expression: int = 10) -> Person:
    """Return a made-up person who carries some labels."""
    shapes = PARAMETER_SHAPES | {"betas": (betas,), "expression": (expression,)}
    arrays = {n: rng.normal(0, 0.5, s).astype(np.float32) for n, s in shapes.items() if n in {*ALWAYS, *carried}}
    arrays["transl"] += np.float32([0, 0, 5])
    arrays["joints_3d"] = (rng.uniform(-0.5, 0.5, (144, 3)) + [0, 0, 5]).astype(np.float32)
    arrays["bbox_xyxy"] = np.float32([100, 50, 220, 300]) + rng.integers(0, 40, 4).astype(np.float32)
    parts = {"left_hand": "left_hand_pose", "right_hand": "right_hand_pose", "face": "expression"}
    labels = {part: "pseudo" for part, name in parts.items() if name in carried}
    if "keypoints_2d" in carried:
        arrays["keypoints_2d"] = rng.uniform(1, 99, (17, 3)).astype(np.float32)
        labels["keypoints_2d"] = "measured"
    return Person(
        provenance=Provenance(file="made", row="0"),
        labels=Labels(body="synthetic", shape="fitted", **labels),
        body_model="smplx",
        gender="female",
        keypoints_2d_convention="coco_17" if "keypoints_2d" in carried else None,
        track=None,
        **arrays,
    )


def written(folder: Path, everyone: list[Person], camera: Camera = Camera(K=K, kind="fitted")) -> Path:
    """Write people, one a frame and without pictures, and return the converted tree."""
    with UnitWriter(folder, "toy", "train", "unit", meta={"converter_version": 1}) as writer:
        for number, person in enumerate(everyone):
            frame = Frame(key=f"{number}", image=b"", width=640, height=480, people=(person,), camera=camera)
            writer.write(frame, f"toy-train-{number}", None)
        writer.commit({})
    return folder


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people())
def test_people_of_any_kind_come_back(tmp_path_factory, everyone):
    folder = tmp_path_factory.mktemp("kind")
    done = export(written(folder / "data", everyone), folder / "back" / "x_train.npz", Wishes(pictures=False))
    assert (done.people, done.left_out, done.partly) == (len(everyone), {}, {"betas_neutral": 0})
    with labels_alone(True):
        back = [p for r in converted("humandata", folder / "back", "train") if isinstance(r, Frame) for p in r.people]
    for one, two in zip(everyone, back, strict=True):
        same(one, two)


def test_labels_that_some_lack_are_left_out_of_the_file_or_take_their_people_along(tmp_path):
    rng = np.random.default_rng(0)
    hands = {"left_hand_pose", "right_hand_pose"}
    data = written(tmp_path / "data", [made(rng, hands), made(rng, set()), made(rng, hands)])
    done = export(data, tmp_path / "a.npz", Wishes(pictures=False))
    assert (done.people, done.partly) == (3, {"left_hand_pose": 2, "right_hand_pose": 2, "betas_neutral": 0})
    assert "left_hand_pose" not in Loader(tmp_path / "a.npz").parameters
    done = export(data, tmp_path / "b.npz", Wishes(parts=("hands",), pictures=False))
    assert (done.people, done.partly, done.left_out) == (2, {"betas_neutral": 0}, {"no_hands": 1})
    assert Loader(tmp_path / "b.npz").parameters["left_hand_pose"].shape == (2, 15, 3)


def test_points_that_somebody_lacks_are_masked_for_all_and_zero_for_that_one(tmp_path):
    rng = np.random.default_rng(0)
    one, two = made(rng, set()), made(rng, set())
    one.joints_3d[7] = np.nan
    done = export(written(tmp_path / "data", [one, two]), tmp_path / "x.npz", Wishes(pictures=False))
    content = np.load(tmp_path / "x.npz", allow_pickle=True)
    assert done.points == content["keypoints2d_smplx_mask"].sum() == 143
    assert not content["keypoints2d_smplx_mask"][7]
    assert not content["keypoints3d_smplx"][0, 7].any()
    np.testing.assert_allclose(content["keypoints3d_smplx"][1, 7, :3], two.joints_3d[7], rtol=1e-6)


def test_points_are_where_a_bent_picture_shows_them(tmp_path):
    lens = Distortion("brown_conrady", (0.2, -0.05, 0.01, 0.002))
    person = made(np.random.default_rng(0), set())
    camera = Camera(K=K, kind="measured", distortion=lens)
    export(written(tmp_path / "data", [person], camera), tmp_path / "x.npz", Wishes(pictures=False))
    found = np.load(tmp_path / "x.npz")["keypoints2d_smplx"][0, :, :2]
    np.testing.assert_allclose(found, project(person.joints_3d.astype(np.float64), K, lens), atol=0.01)


def test_long_shapes_are_cut_for_the_loaders_and_whole_for_ehps(tmp_path):
    person = made(np.random.default_rng(0), set(), 16)
    done = export(written(tmp_path / "data", [person]), tmp_path / "x_train.npz", Wishes(pictures=False))
    assert done.cut == {"betas": 1, "expression": 0}
    np.testing.assert_array_equal(Loader(tmp_path / "x_train.npz").row(0)["shape"], person.betas[:10])


def test_a_loader_that_poses_the_neutral_model_gets_the_shape_of_the_neutral_model(tmp_path):
    """Gendered betas read as neutral ones are somebody else: in the stand-in by more than 4 cm."""
    rng = np.random.default_rng(0)
    found = rng.normal(0, 1, (2, 10)).astype(np.float32)
    one, two = (replace(made(rng, set(), 16), betas_neutral=betas) for betas in found)
    three = replace(made(rng, set()), gender="neutral")
    done = export(written(tmp_path / "data", [one, two, three]), tmp_path / "x_train.npz", Wishes(pictures=False))
    loader = Loader(tmp_path / "x_train.npz")
    assert done.partly == {}
    np.testing.assert_array_equal([loader.row(i)["shape"] for i in range(3)], [*found, three.betas])
    np.testing.assert_array_equal(loader.parameters["betas"][0], one.betas[:10])
    with labels_alone(True):
        back = [p for r in converted("humandata", tmp_path, "train") if isinstance(r, Frame) for p in r.people]
    assert [p.gender for p in back] == ["female", "female", "neutral"]
    np.testing.assert_array_equal(back[0].betas, one.betas)


def test_neutral_people_need_no_second_shape_and_gendered_ones_get_theirs(tree, exported, tmp_path):
    assert "betas_neutral" not in Loader(exported[0]).parameters
    done = export(tree[0], tmp_path / "x_val.npz", Wishes(body="smpl", pictures=False))
    assert "betas_neutral" not in done.partly
    loader = Loader(tmp_path / "x_val.npz")
    genders = loader.content["meta"].item()["gender"]
    shifted = np.abs(loader.parameters["betas_neutral"] - loader.parameters["betas"]).max(axis=1) > 0.01
    assert (shifted == (genders != "neutral")).all()


def test_kids_are_marked_as_a_loader_looks_for_them(tmp_path):
    rng = np.random.default_rng(0)
    everyone = [replace(made(rng, set()), kid_weight=0.25), made(rng, set())]
    export(written(tmp_path / "data", everyone), tmp_path / "x.npz", Wishes(pictures=False))
    loader = Loader(tmp_path / "x.npz")
    assert [bool(loader.row(i)["is_kid"]) for i in range(2)] == [True, False]


# ``ehps export humandata``.


def ehps(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_verb_says_what_is_not_in_the_file(tree, tmp_path):
    result = ehps("export", "humandata", tmp_path / "x.npz", "--catalog", tree[0], "--no-pictures")
    assert result.exit_code == 0, result.output
    assert "left out: 5 people, no joints 3d" in result.output
    assert "left out: 4 people, body model smpl" in result.output
    assert not (tmp_path / "x").exists()


def test_a_condition_chooses_people(tree, tmp_path):
    where = "split = 'train' and sequence = 'seq 1' and has_transl"
    result = ehps("export", "humandata", tmp_path / "x.npz", "-c", tree[0], "--where", where, "--json")
    assert result.exit_code == 0, result.output
    row = json.loads(result.output.splitlines()[-1])
    assert (row["people"], row["left out"], row["points"]) == (4, 0, 144)
    assert set(np.load(tmp_path / "x.npz", allow_pickle=True)["meta"].item()["sequence_name"]) == {"seq 1"}


def test_a_file_of_another_kind_is_refused(tree, tmp_path):
    result = ehps("export", "humandata", tmp_path / "x.pkl", "-c", tree[0])
    assert result.exit_code == 2
    assert "should end in .npz" in result.output


def test_labels_alone_say_that_their_pictures_are_missing(tmp_path):
    written(tmp_path / "data", [made(np.random.default_rng(0), set())])
    build_catalog(tmp_path / "data")
    result = ehps("export", "humandata", tmp_path / "x.npz", "-c", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "no picture of 1 people is stored" in result.output
