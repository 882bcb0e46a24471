"""Which reading of the hand poses fits is seen from 2D and from 3D keypoints, on bodies and on hands without one."""

from dataclasses import replace

import numpy as np
import pytest

from ehps.body.cameras import project
from ehps.body.hands import HAND_MEANS, to_deviation
from ehps.body.posing import PosingModel
from ehps.cards import Checks
from ehps.converters.batch import examine
from ehps.converters.bodies import Bodies, joints_of
from ehps.converters.columns import Columns
from ehps.converters.engine import check
from ehps.converters.formats import mano_json
from ehps.converters.hand_convention import HandSample
from ehps.converters.mano_hands import hung_hands, mano_model
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.tests.raw import freihand
from ehps.tests.raw._hands import HAND_21, Hand, random_mano

K = np.array([[600.0, 0, 159.5], [0, 600.0, 159.5], [0, 0, 1]])
POINTS = {"left": slice(21, 42), "right": slice(0, 21)}  # of interhand_42
TIP_FIRST = [4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17, 0]


@pytest.fixture
def bodies(standin_dir):
    return Bodies(standin_dir)


def somebody(hands: list[Hand], *, points_2d=False) -> Person:
    points = np.zeros((42, 4))
    for hand in hands:
        points[POINTS[hand.side], :3], points[POINTS[hand.side], 3] = hand.joints()[TIP_FIRST], 1
    values = {f"{hand.side}_hand_pose": hand.pose for hand in hands} | {
        f"{hand.side}_hand_orient": hand.orient for hand in hands
    }
    if len(hands) == 1:
        values["betas"] = hands[0].betas
    kind = "keypoints_2d" if points_2d else "keypoints_3d"
    if points_2d:  # the wrist alone in 3D, as the place to hang the hand
        wrists = np.where(np.isin(np.arange(42), (20, 41))[:, None], points, 0)
        values |= {"keypoints_3d": wrists, "keypoints_3d_convention": "interhand_42"}
        points = np.concatenate([project(points[:, :3] + [0, 0, 1e-9], K), points[:, 3:]], axis=1)
        points = np.where(points[:, 2:] > 0, points, 0)
    values |= {kind: points, f"{kind}_convention": "interhand_42"}
    return Person(
        provenance=Provenance(file="a", row="0"), labels=Labels(), body_model="mano", gender="neutral",
        bbox_xyxy=np.array([0.0, 0, 300, 300]), **values,
    )  # fmt: skip


def people(count=6, sides=("right",), **options) -> list[Person]:
    rng = np.random.default_rng(7)
    places = {"left": np.array([-0.1, 0, 1.0]), "right": np.array([0.1, 0, 1.0])}
    hands = [[random_mano(rng, side, places[side]) for side in sides] for _ in range(count)]
    if len(sides) == 2:  # the record has no betas of both
        hands = [[replace(hand, betas=np.zeros(10)) for hand in both] for both in hands]
    return [somebody(both, **options) for both in hands]


def outcome_of(crowd, bodies):
    frame = Frame(key="f", image=b"", width=320, height=320, camera=Camera(K=K, kind="measured"), people=tuple(crowd))
    return examine([frame], bodies, Checks())


def verdicts(crowd, bodies):
    sample = HandSample()
    sample.add(outcome_of(crowd, bodies))
    return sample.verdicts(bodies)


def changed(crowd, change):
    names = ("left_hand_pose", "right_hand_pose")
    return [replace(p, **{n: change(v, n[:-10]) for n in names if (v := getattr(p, n)) is not None}) for p in crowd]


def swapped(person: Person) -> Person:
    left, right = (
        {part: getattr(person, f"{side}_hand_{part}") for part in ("pose", "orient")} for side in ("left", "right")
    )
    own = {f"left_hand_{part}": value for part, value in right.items()}
    return replace(person, **own, **{f"right_hand_{part}": value for part, value in left.items()})


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hand_hangs_on_its_wrist_where_mano_would_put_it(bodies, side):
    hand = random_mano(np.random.default_rng(1), side, np.array([0.05, -0.02, 0.8]))
    person = somebody([hand])
    (person,) = outcome_of([person], bodies).frames[0].people
    assert person.quality["joint_error_mm"] < 0.01
    assert person.quality["min_depth_m"] == pytest.approx(hand.joints()[:, 2].min(), abs=0.05)
    assert person.quality["box_coverage"] == 1
    assert person.joints_3d is None, "the record keeps the owner's points"
    keypoints = np.zeros((1, 144, 4))
    keypoints[0, HAND_21[side][0]] = [*hand.joints()[0], 1]
    joints = hung_hands(Columns([person]), keypoints, bodies)
    np.testing.assert_allclose(joints[0, list(HAND_21[side])], hand.joints(), atol=1e-6)
    assert np.isfinite(joints).all(axis=2).sum() == 21


def test_the_left_hand_s_unmirrored_shape_directions_are_turned(bodies, monkeypatch):
    left, right = (bodies.model("mano", side, 10) for side in ("left", "right"))
    as_released = left.shape_directions.copy()
    as_released[:, 0] = right.shape_directions[:, 0]
    released = {"left": replace(left, shape_directions=as_released), "right": right}
    monkeypatch.setattr(Bodies, "model", lambda _self, _kind, side, _num_betas: released[side])
    turned = mano_model(bodies, "left").shape_directions
    np.testing.assert_allclose(turned, left.shape_directions, atol=1e-12)
    assert mano_model(bodies, "right") is right


def test_a_hand_without_betas_or_wrist_is_not_measured(bodies):
    both, (alone,) = people(1, ("left", "right")), people(1)
    lost = replace(alone, keypoints_3d=alone.keypoints_3d * [1, 1, 1, 0])
    for person in (both[0], lost):
        assert "joint_error_mm" not in outcome_of([person], bodies).frames[0].people[0].quality


def test_a_joint_of_a_hand_behind_the_camera_rejects_it(bodies):
    hand = random_mano(np.random.default_rng(2), "right", np.array([0, 0, 0.02]))
    assert [reject.reason for reject in outcome_of([somebody([hand])], bodies).rejects] == ["behind_camera"]


@pytest.mark.parametrize("kind", ["2d", "3d"])
@pytest.mark.parametrize("sides", [("right",), ("left",), ("left", "right")])
@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (lambda pose, _side: pose, "as_stored"),
        (to_deviation, "mean_added"),
        (lambda pose, side: pose + HAND_MEANS[side], "mean_removed"),
    ],
)
def test_the_reading_that_fits_mano_hands_is_found(bodies, kind, sides, mistake, expected):
    crowd = changed(people(sides=sides, points_2d=kind == "2d"), mistake)
    found = verdicts(crowd, bodies)
    assert set(found) == {kind}
    assert found[kind].best == expected
    assert found[kind].people == 6
    assert getattr(found[kind], expected) < 0.01


def test_swapped_hands_without_a_body_are_noticed(bodies):
    found = verdicts([swapped(person) for person in people(sides=("left", "right"))], bodies)
    assert found["3d"].best == "swapped"
    assert found["3d"].swapped < 0.01


def test_one_handed_people_are_judged_although_few_others_could_be_swapped(bodies):
    crowd = changed(people(8) + people(2, ("left", "right")), to_deviation)
    found = verdicts(crowd, bodies)["3d"]
    assert found.people == 10
    assert found.best == "mean_added"
    assert np.isnan(found.swapped)


def test_the_fingers_of_smplh_are_posed_and_judged(bodies, standin_dir, toy):
    rows = toy.people(6)
    names = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "betas", "transl")
    parameters = {name: rows[name].astype(np.float64) for name in names}
    model = PosingModel.load(standin_dir, "smplh", "neutral", 10)
    truth = model.joints(parameters)
    crowd = [
        Person(
            provenance=Provenance(file="a", row=str(row)), labels=Labels(), body_model="smplh", gender="neutral",
            **{name: value[row] for name, value in parameters.items()},
        )
        for row in range(6)
    ]  # fmt: skip
    joints = joints_of(crowd, bodies)
    np.testing.assert_allclose(joints[:, 25:55], truth[:, 22:52], atol=1e-9)
    tips = model.vertices(parameters)[:, model.picks[11:]]
    np.testing.assert_allclose(joints[:, 66:76], tips, atol=1e-9)
    assert np.isnan(joints_of([replace(crowd[0], left_hand_pose=None)], bodies)[0, 25:40]).all()
    points = np.concatenate([np.nan_to_num(joints), np.isfinite(joints[..., :1])], axis=2)
    marked = [
        replace(person, keypoints_3d=own, keypoints_3d_convention="smplx_144")
        for person, own in zip(changed(crowd, to_deviation), points, strict=True)
    ]
    assert verdicts(marked, bodies)["3d"].best == "mean_added"


def test_a_check_of_a_hand_source_names_a_forgotten_mean(tmp_path, monkeypatch, built):
    built(freihand, tmp_path, bad=False)
    monkeypatch.setattr(mano_json, "to_absolute", lambda deviation, _side: deviation)
    report = check("freihand", tmp_path, "train")
    assert any("hands fit better as mean_added" in text and "3D hand keypoints" in text for text in report.warnings)
    hands = next(rows for title, rows in report.tables() if "hand poses" in title)
    assert hands[-1]["verdict"] == "look: fits with mean hand added"
