"""Labels are drawn where they lie in the picture."""

from copy import copy

import cv2
import numpy as np
import pytest

from ehps.body.models import ENVIRONMENT
from ehps.dashboard import posed, previews, queries
from ehps.dashboard.lookup import Lookup
from ehps.dashboard.views import tiles
from ehps.shards.catalog import build_catalog, open_catalog
from ehps.shards.codec import sample_key
from ehps.shards.picture import encode_png, picture_of
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.shards.writer import UnitWriter

WIDTH, HEIGHT = 1200, 600
BOX = np.array([700.0, 100.0, 900.0, 500.0])


def decoded(tile: previews.Tile) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(tile.data, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)


def drawn_people(tree, dataset, limit):
    """Some people of a source, as a page finds them."""
    out = tree.catalog if hasattr(tree, "catalog") else tree
    with open_catalog(out) as connection:
        keys = queries.sample_people(connection.cursor(), dataset, 0, limit)["person_key"]
    return Lookup(out).people(tuple(keys))


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A black picture with a white square where the box of its one person is, and keypoints on the square's corners."""
    out = tmp_path_factory.mktemp("marked")
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    x0, y0, x1, y1 = BOX.astype(int)
    pixels[y0 : y1 + 1, x0 : x1 + 1] = 255
    person = Person(
        provenance=Provenance(file="f", row="0"),
        labels=Labels(keypoints_2d="measured"),
        keypoints_2d=np.array([[x0, y0, 1], [x1, y1, 1], *[[0, 0, 0]] * 15], float),
        keypoints_2d_convention="coco_17",
        bbox_xyxy=BOX,
    )
    frame = Frame(key="f", image=b"", width=WIDTH, height=HEIGHT, people=(person,), camera=Camera())
    with UnitWriter(out, "marked", "train", "unit", meta={}) as writer:
        writer.write(frame, sample_key("marked", "train", "f"), picture_of(encode_png(pixels)))
        writer.commit({})
    build_catalog(out)
    return out


@pytest.mark.parametrize(
    ("shapes", "size", "columns"),
    [
        ([(640, 480)], (480, 360), 4),
        ([(1920, 1080), (1080, 1920), (1920, 1080)], (480, 270), 4),
        ([(720, 1280), (1280, 720), (720, 1280)], (320, 480), 6),
        ([(600, 700)], (320, 373), 6),
    ],
)
def test_tiles_of_frames_have_the_shape_that_most_pictures_have(shapes, size, columns, marked):
    [person] = drawn_people(marked, "marked", 1)
    frames = [copy(person.frame) for _ in shapes]
    for frame, (width, height) in zip(frames, shapes, strict=True):
        facts = {name: value for name, value in person.frame.meta.items() if name != "image"}  # labels alone
        frame.meta = facts | {"width": width, "height": height}
    made = previews.frame_tiles(frames, "none", 1.0)
    assert {decoded(tile).shape[:2] for tile in made} == {size[::-1]}
    assert tiles.frame_columns(made) == columns


def test_a_frame_keeps_its_shape_and_content(marked):
    frames = [person.frame for person in drawn_people(marked, "marked", 1)]
    tile = decoded(previews.frame_tiles(frames, "none", 1.0)[0])
    assert tile.shape == (previews.FRAME_HEIGHTS[0], previews.FRAME_WIDTH, 3)
    scale = previews.FRAME_WIDTH / WIDTH
    top = (previews.FRAME_HEIGHTS[0] - HEIGHT * scale) / 2
    ys, xs = np.nonzero(tile.min(axis=2) > 128)
    found = np.array([xs.min(), ys.min(), xs.max(), ys.max()])
    assert found == pytest.approx(BOX * scale + [0, top, 0, top], abs=1.5)


@pytest.mark.parametrize("overlay", ["boxes", "keypoints"])
def test_labels_meet_the_picture_in_a_person_tile(marked, overlay):
    people = drawn_people(marked, "marked", 1)
    plain, drawn = (decoded(previews.person_tiles(people, kind, 1.0)[0]) for kind in ("none", overlay))
    ys, xs = np.nonzero(plain.min(axis=2) > 128)
    square = np.array([xs.min(), ys.min(), xs.max(), ys.max()])
    ys, xs = np.nonzero(np.abs(drawn - plain).max(axis=2) > 60)
    assert np.array([xs.min(), ys.min(), xs.max(), ys.max()]) == pytest.approx(square, abs=4)


def test_opacity_mixes_the_labels_with_the_picture(marked):
    people = drawn_people(marked, "marked", 1)
    plain, half, full = (decoded(previews.person_tiles(people, "boxes", o)[0]) for o in (0.0, 0.5, 1.0))
    change = np.abs(full - plain).sum()
    assert 0.3 * change < np.abs(half - plain).sum() < 0.7 * change


def test_a_mesh_lies_on_its_person_and_nowhere_else(tree):
    people = drawn_people(tree, "bedlam", 1)
    plain, drawn = (decoded(previews.person_tiles(people, kind, 1.0)[0]) for kind in ("none", "mesh"))
    changed = np.abs(drawn - plain).max(axis=2) > 25
    height, width = changed.shape
    ys, xs = np.nonzero(changed)
    assert 0.03 < changed.mean() < 0.6
    assert 0.05 * height < ys.min() < 0.25 * height
    assert xs.min() > 0.03 * width
    assert xs.max() < 0.97 * width


def test_people_without_a_camera_get_no_mesh(marked):
    people = drawn_people(marked, "marked", 1)
    plain, drawn = (decoded(previews.person_tiles(people, kind, 1.0)[0]) for kind in ("none", "mesh"))
    assert (plain == drawn).all()


def test_without_models_of_the_user_the_stand_in_body_serves_and_is_named(monkeypatch, standin_dir):
    monkeypatch.delenv(ENVIRONMENT)
    assert posed.body_folder() == standin_dir
    assert posed.uses_standin()


@pytest.fixture
def unseen(tmp_path):
    """A person of whom only labels were converted."""
    person = Person(provenance=Provenance(file="f", row="0"), labels=Labels(), bbox_xyxy=BOX)
    frame = Frame(key="f", image=b"", width=WIDTH, height=HEIGHT, people=(person,))
    with UnitWriter(tmp_path, "unseen", "train", "unit", meta={}) as writer:
        writer.write(frame, sample_key("unseen", "train", "f"), None)
        writer.commit({})
    build_catalog(tmp_path)
    return tmp_path


def test_labels_without_a_picture_stand_on_an_empty_ground(unseen):
    with open_catalog(unseen) as connection:
        assert queries.sample_frames(connection.cursor(), "unseen", 0, 1).empty
    plain, boxed = (
        previews.person_tiles(drawn_people(unseen, "unseen", 1), kind, 1.0)[0] for kind in ("none", "boxes")
    )
    assert not plain.has_picture
    assert plain.problem == ""
    assert np.ptp(decoded(plain), axis=(0, 1)).max() < 4
    assert decoded(boxed).max() > 200


def test_a_person_whose_tar_is_gone_has_an_empty_tile_that_says_so(unseen):
    people = drawn_people(unseen, "unseen", 1)
    next(unseen.glob("unseen/*/*/*.tar")).unlink()
    tile = previews.person_tiles(people, "boxes", 1.0, ["a note"])[0]
    assert ("is not there" in tile.problem, tile.caption, tile.has_picture) == (True, "a note", False)


def test_a_large_picture_takes_several_marks_at_once(marked):
    person = drawn_people(marked, "marked", 1)[0]
    plain, boxes, both = (
        decoded(previews.large_picture(person, marks, 1.0, is_whole=False))
        for marks in ((), ("boxes",), ("boxes", "keypoints"))
    )
    assert np.abs(boxes - plain).sum() < np.abs(both - plain).sum()
    assert max(plain.shape) == max(previews.LARGE)
    whole = decoded(previews.large_picture(person, (), 1.0, is_whole=True))
    assert whole.shape[1] / whole.shape[0] == pytest.approx(WIDTH / HEIGHT, rel=0.01)


def test_the_surface_of_a_large_picture_can_be_painted(tree):
    person = drawn_people(tree, "bedlam", 1)[0]
    vertices = len(posed.bodies([person])[person.person_key].vertices)
    red = np.tile([1.0, 0.0, 0.0], (vertices, 1))
    tile = decoded(previews.large_picture(person, ("mesh",), 1.0, is_whole=False, colours={person.person_key: red}))
    assert ((tile[:, :, 0] > 120) & (tile[:, :, 1:].max(axis=2) < 60)).mean() > 0.03
