"""Girths: of solids whose girths are known, and through a protocol with landmarks on the stand-in body."""

import numpy as np
import pytest
import yaml

from ehps.benchmark.comparison import compare
from ehps.benchmark.girths import GIRTHS, Girths, Landmark, level_cut, load_girths
from ehps.benchmark.interface import BenchmarkPerson, PersonPrediction
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.scoring import score_points
from ehps.body.assets import load_evaluation_assets
from ehps.body.posing import PosingModel
from ehps.errors import BodyModelError, ProtocolError

PROTOCOL = load_protocol("hbw_val_girths")
HEIGHTS = {"chest-error": 0.05, "waist-error": -0.1, "hips-error": -0.3}  # of the stand-in's trunk (m)


def tube(outline: np.ndarray, low: float = 0.0, high: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A wall over an outline (x, z)."""
    count = len(outline)
    rings = [np.stack([outline[:, 0], np.full(count, y), outline[:, 1]], axis=1) for y in (low, high)]
    here, after = np.arange(count), (np.arange(count) + 1) % count
    faces = np.concatenate(
        [np.stack([here, after, here + count], 1), np.stack([after, after + count, here + count], 1)]
    )
    return np.concatenate(rings), faces


SQUARE = np.array([[0.0, 0], [0.2, 0], [0.2, 0.3], [0, 0.3]])
BAY = np.array([[0.0, 0], [0.1, 0.25], [0.2, 0], [0.2, 0.3], [0, 0.3]])  # the square with a bay on one side


@pytest.mark.parametrize("outline", [SQUARE, BAY])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_the_string_bridges_bays(outline, share):
    mesh, faces = tube(outline)
    girths = Girths(faces, {"chest-error": Landmark(0, np.array([1 - share, 0, share]))})
    np.testing.assert_allclose(girths.of("chest-error", np.stack([mesh, 2 * mesh])), [1000, 2000])


def test_a_cone_is_cut_where_the_landmark_is():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    mesh, faces = tube(np.stack([np.cos(angle), np.sin(angle)], 1))
    mesh[60:, [0, 2]] *= 0.5
    cut = level_cut(mesh, faces, 0.4)
    radius = np.linalg.norm(cut, axis=1).max()
    np.testing.assert_allclose(radius, 0.8, atol=1e-12)
    girths = Girths(faces, {"waist-error": Landmark(0, np.array([0.6, 0.0, 0.4]))})
    np.testing.assert_allclose(girths.of("waist-error", mesh[None]), 2 * np.pi * 0.8 * 1000, rtol=2e-3)


@pytest.fixture
def models(standin_dir, tmp_path):
    """The stand-in bodies with landmarks on their trunk, written as SHAPY's files are."""
    for item in standin_dir.iterdir():
        (tmp_path / item.name).symlink_to(item)
    (tmp_path / "shapy").mkdir()
    assets, model = load_evaluation_assets(standin_dir), PosingModel.load(standin_dir)
    middles = model.template[assets.faces].mean(axis=1)
    points, definitions = {}, {}
    for number, (measure, girth) in enumerate(GIRTHS.items()):
        triangle = np.abs(middles - [0, HEIGHTS[measure], 0.1]).sum(axis=1).argmin()
        points[f"point{number}"] = {"face_idx": int(triangle), "bc": [1 / 3, 1 / 3, 1 / 3]}
        definitions[girth] = [f"point{number}", "another"]
    for name, height in {"HeadTop": 0.3, "HeelLeft": -1.1}.items():
        triangle = np.abs(middles - [0, height, 0.1]).sum(axis=1).argmin()
        points[name] = {"face_idx": int(triangle), "bc": [0.5, 0.25, 0.25]}
    (tmp_path / "shapy" / "measurement_defitions.yaml").write_text(yaml.safe_dump(definitions))
    (tmp_path / "shapy" / "smplx_measurements.yaml").write_text(yaml.safe_dump(points))
    return tmp_path


def test_a_body_a_tenth_wider_is_a_tenth_off_around_and_not_in_height(models):
    template = PosingModel.load(models).template
    person = BenchmarkPerson(
        person_key="p",
        sequence="s",
        image=lambda: np.zeros((2, 2, 3), np.uint8),
        bbox_xyxy=np.array([0.0, 0, 10, 10]),
        vertices=template,
    )
    rows = score_points(
        lambda people: [PersonPrediction(template * [1.1, 1, 1.1])] * len(people),
        [person],
        PROTOCOL,
        compare(PROTOCOL, models),
    )
    girths = load_girths(models)
    around = {measure: girths.of(measure, template[None])[0] for measure in GIRTHS}
    assert all(500 < length < 1500 for length in around.values())
    assert len(set(around.values())) == 3
    for measure, length in around.items():
        np.testing.assert_allclose(rows[measure], length / 10, rtol=1e-6)
    np.testing.assert_allclose(rows["height-error"], 0, atol=1e-9)


def test_the_height_is_that_from_the_heel_to_the_top_of_the_head(models):
    """The owner's points, and not the extent of the mesh: raised arms and low toes do not count."""
    template, faces = PosingModel.load(models).template, load_evaluation_assets(models).faces
    points = yaml.safe_load((models / "shapy" / "smplx_measurements.yaml").read_text())
    head, heel = (template[faces[points[name]["face_idx"]], 1] @ [0.5, 0.25, 0.25] for name in ("HeadTop", "HeelLeft"))
    girths = load_girths(models)
    np.testing.assert_allclose(girths.of("height-error", template[None] * [1, 1.1, 1]), 1100 * (head - heel))
    assert 1100 * (head - heel) < 1050 * np.ptp(template[:, 1])


def test_the_owners_files_are_asked_for_and_what_is_wrong_in_them_is_named(standin_dir, models):
    with pytest.raises(BodyModelError, match=r"measurement_defitions\.yaml is missing: it comes with SHAPY"):
        compare(PROTOCOL, standin_dir)
    compare(load_protocol("hbw_val"), standin_dir)  # which measures no girths
    path = models / "shapy" / "smplx_measurements.yaml"
    text = path.read_text()
    path.write_text(text.replace("HeelLeft", "Heel"))
    with pytest.raises(BodyModelError, match="HeelLeft should have face_idx and three weights bc, found None"):
        compare(PROTOCOL, models)
    path.write_text(text.replace("face_idx", "face"))
    with pytest.raises(BodyModelError, match=r"point0 should have face_idx and three weights bc, found \{"):
        compare(PROTOCOL, models)
    (models / "shapy" / "measurement_defitions.yaml").write_text("CW_p: 3\n")
    with pytest.raises(BodyModelError, match="CW_p should list names of points, found 3"):
        compare(PROTOCOL, models)


def test_a_shape_of_another_mesh_is_refused(models):
    with pytest.raises(ProtocolError, match="cannot score predictions of the kind smpl: it compares smplx"):
        compare(PROTOCOL, models, "smpl")
    assert compare(load_protocol("ssp3d"), models, "smpl").num_points == 6890
