"""Who has which row: files a person of AGORA's kind, boxes, and pixels of another size."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.benchmark.matching import find_people, greedy, overlaps
from ehps.benchmark.people import Place
from ehps.benchmark.predictions import read_predictions
from ehps.benchmark.protocol import load_protocol
from ehps.errors import ProtocolError

AGORA = load_protocol("agora_val")
RNG = np.random.default_rng(12)


def place(picture: str, number: int, box: list[float]) -> Place:
    return Place(f"agora-val-{picture}#{number}", f"agora-val-{picture}", np.array(box, float), (1280, 720))


# Two people in one picture, one in another; boxes in pixels of the stored 1280 x 720.
PLACES = [place("ag_a_00", 0, [100, 100, 200, 400]), place("ag_a_00", 1, [600, 90, 720, 410])]
PLACES += [place("ag_b_01", 0, [300, 200, 380, 500])]


def joints_in(box: np.ndarray) -> np.ndarray:
    """24 points whose extent is the box."""
    points = RNG.uniform(box[:2], box[2:], (24, 2))
    points[0], points[1] = box[:2], box[2:]
    return points


@pytest.fixture
def folder(tmp_path):
    """Files of the three people, numbered against the order of the catalog, and of a fourth who is nobody."""

    def write(scale: float = 3.0, **fields):
        boxes = [("ag_a_00", 1, PLACES[0]), ("ag_a_00", 0, PLACES[1]), ("ag_b_01", 0, PLACES[2])]
        for picture, number, own in boxes:
            content = {
                "joints": joints_in(own.bbox * scale)[None],
                "verts": RNG.uniform(-0.8, 0.8, (10475, 3)),
                **fields,
            }
            (tmp_path / f"{picture}_personId_{number}.pkl").write_bytes(pickle.dumps(content))
        stranger = {
            "joints": joints_in(np.array([1000, 500, 1200, 700]) * scale),
            "verts": np.ones((10475, 3)),
            **fields,
        }
        (tmp_path / "ag_a_00_personId_2.pkl").write_bytes(pickle.dumps(stranger))
        return tmp_path

    return write


def test_files_a_person_are_found_by_picture_and_joints(folder, standin_dir):
    predictions = read_predictions(folder(), AGORA, standin_dir)
    found = find_people(predictions, PLACES, AGORA)
    files = sorted(["ag_a_00_personId_0", "ag_a_00_personId_1", "ag_a_00_personId_2", "ag_b_01_personId_0"])
    assert {key: files[row] for key, row in found.rows.items()} == {
        "agora-val-ag_a_00#0": "ag_a_00_personId_1",
        "agora-val-ag_a_00#1": "ag_a_00_personId_0",
        "agora-val-ag_b_01#0": "ag_b_01_personId_0",
    }
    assert found.strangers == 1


def test_joints_in_pixels_of_the_small_pictures_are_refused(folder, standin_dir):
    predictions = read_predictions(folder(scale=1.0), AGORA, standin_dir)
    message = (
        "joints in pixels of another size: 3 people fit when they are multiplied by 3, 0 as they are; .* 3840 wide"
    )
    with pytest.raises(ProtocolError, match=message):
        find_people(predictions, PLACES, AGORA)


def test_too_few_joints_and_odd_names_are_refused(folder, standin_dir):
    root = folder()
    (root / "ag_b_01_personId_0.pkl").write_bytes(pickle.dumps({"joints": np.zeros((17, 2))}))
    with pytest.raises(ProtocolError, match="joints of ag_b_01 should be 24 points or more in pixels, found 17"):
        read_predictions(root, AGORA, standin_dir)
    (root / "ag_b_01_personId_0.pkl").rename(root / "ag_b_01_0.pkl")
    with pytest.raises(ProtocolError, match=r"holds ag_b_01_0\.pkl, expected <image>_personId"):
        read_predictions(root, AGORA, standin_dir)


def test_parameters_of_agora_have_the_mean_hand_added(tmp_path, standin_dir):
    params = {"transl": np.zeros((1, 3)), "global_orient": np.zeros((1, 3)), "body_pose": np.zeros((1, 63))}
    params |= {f"{side}_hand_pose": np.zeros((1, 45)) for side in ("left", "right")} | {"betas": np.zeros((1, 10))}
    content = {"joints": joints_in(PLACES[0].bbox * 3), "params": params, "gender": "neutral"}
    (tmp_path / "ag_a_00_personId_0.pkl").write_bytes(pickle.dumps(content))
    predictions = read_predictions(tmp_path, AGORA, standin_dir)
    (declared,) = predictions.points(np.array([0]))
    ((why, flat),) = predictions.mistakes.items()
    assert why == "flat_hand_mean true, not false"
    assert np.abs(declared - flat(np.array([0]))[0]).max() > 0.01


boxes = st.lists(st.tuples(*[st.floats(0, 50)] * 2, *[st.floats(1, 50)] * 2), min_size=1, max_size=5)


@given(boxes, boxes)
def test_overlaps_are_shares_and_everyone_is_matched_once(first, second):
    one, two = (np.array([(x, y, x + w, y + h) for x, y, w, h in own]) for own in (first, second))
    iou = overlaps(one, two)
    assert ((iou >= 0) & (iou <= 1 + 1e-9)).all()
    np.testing.assert_allclose(overlaps(two, one).T, iou)
    np.testing.assert_allclose(np.diag(overlaps(one, one)), 1)
    pairs = greedy(iou)
    assert len({row for row, _ in pairs}) == len({person for _, person in pairs}) == len(pairs)
    assert sorted((iou[pair] for pair in pairs), reverse=True) == [iou[pair] for pair in pairs]
