"""A pack holds every person of its frames once, with the pixels and the labels where they belong."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ehps.body.cameras import project
from ehps.cli.main import app
from ehps.errors import PictureError, ShardError
from ehps.shards import packs
from ehps.shards.catalog import query
from ehps.shards.cutting import cut_person
from ehps.shards.packs import CROP_ASPECT, CROP_PADDING, PackOptions, cut_region, moved_points, pack_key, person_cuts
from ehps.shards.picture import decode_rgb, encode_jpeg, encode_png, encoded_picture, picture_of
from ehps.shards.reader import ShardReader, iter_shards, read_people
from ehps.shards.record import Camera, Frame, Labels, Person, Provenance
from ehps.shards.repack import repack
from ehps.shards.tree import read_unit
from ehps.shards.writer import UnitWriter
from ehps.training.augment import Augmentation
from ehps.training.crops import crop_affine, crop_box, padded_box

WIDTH, HEIGHT = 1000, 800
K = np.array([[900.0, 0, 480], [0, 910, 410], [0, 0, 1]])


def scene(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Smooth colours with fine dots on them, so that a shift by half a pixel is seen."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 215, (height // 40, width // 40, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)


def someone(box, number: int = 0, **changes) -> Person:
    """A person whose joints lie in the box, some metres away, with 2D keypoints where the joints are seen."""
    rng = np.random.default_rng(number)
    x0, y0, x1, y1 = box
    pixels = rng.uniform([x0, y0], [x1, y1], (144, 2))
    depth = rng.uniform(3, 5, (144, 1))
    joints = np.concatenate([(pixels - K[:2, 2]) / K[[0, 1], [0, 1]] * depth, depth], axis=1)
    values = {
        "provenance": Provenance(file="f.npz", row=str(number)),
        "labels": Labels(body="synthetic", keypoints_2d="synthetic"),
        "joints_3d": joints.astype(np.float32),
        "keypoints_2d": np.concatenate([pixels, np.ones((144, 1))], axis=1).astype(np.float32),
        "keypoints_2d_convention": "smplx_144",
        "bbox_xyxy": np.array(box, np.float32),
        "left_hand_bbox_xyxy": np.array([x0, y0, x0 + 10, y0 + 10], np.float32),
        "quality": {"reprojection_px": 1.5 + number},
    }
    return Person(**(values | changes))


def frame_of(people, width: int = WIDTH, height: int = HEIGHT) -> Frame:
    camera = Camera(K=K, kind="measured")
    return Frame(key="f", image=b"", width=width, height=height, people=tuple(people), camera=camera, sequence="s")


SMALL, LARGE = (300.0, 200.0, 420.0, 520.0), (250.0, 20.0, 700.0, 780.0)


@pytest.mark.parametrize("box", [SMALL, LARGE, (-50.0, 300.0, 60.0, 500.0), (900.0, 700.0, 1200.0, 950.0)])
@pytest.mark.parametrize("encode", [encode_jpeg, encode_png])
def test_labels_stay_on_the_same_content(box, encode):
    """Joints projected through the camera of the cut fall on pixels that look like those of the frame."""
    picture = encoded_picture(encode(scene()), png="keep")
    person = someone(box, camera=None)
    [(one, key, cut)] = person_cuts(frame_of([person]), "d-train-f", picture, PackOptions(max_height=400))
    moved = one.people[0]
    pixels = project(moved.joints_3d.astype(np.float64), one.camera.K)
    np.testing.assert_allclose(pixels, moved.keypoints_2d[:, :2], atol=2e-3)
    np.testing.assert_allclose(pixels, moved_points(person.keypoints_2d[:, :2].astype(float), one.cut), atol=2e-3)
    before, after = decode_rgb(picture.data), decode_rgb(cut.data)
    assert after.shape == (one.height, one.width, 3) == (cut.height, cut.width, 3)
    smooth = cv2.GaussianBlur(before, None, 0.5 / one.cut.scale_x) if one.cut.scale_x < 1 else before
    shifts = [(0.0, 0.0), (0.2, 0.0), (-0.2, 0.0), (0.0, 0.2), (0.0, -0.2)]
    differences = [np.abs(resampled(smooth, one, shift) - after.astype(float))[4:-4, 4:-4].mean() for shift in shifts]
    assert np.argmin(differences) == 0
    assert key == "d-train-f_0"


def resampled(pixels: np.ndarray, one: Frame, shift: tuple[float, float]) -> np.ndarray:
    """Return the pixels of a frame where those of its cut lie, but for a shift in pixels of the cut."""
    x, y = np.meshgrid(np.arange(one.width), np.arange(one.height))
    u = (x + shift[0] + 0.5) / one.cut.scale_x + one.cut.x0 - 0.5
    v = (y + shift[1] + 0.5) / one.cut.scale_y + one.cut.y0 - 0.5
    return cv2.remap(pixels, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR).astype(float)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 900), st.integers(0, 700), st.integers(20, 300), st.integers(20, 400), st.booleans())
def test_a_cut_without_loss_has_the_pixels_of_the_frame(x, y, w, h, is_tiled):
    picture = encoded_picture(FRAME_JPEG, jpeg="tile" if is_tiled else "keep")
    box = (float(x), float(y), float(x + w), float(y + h))
    [(one, _, cut)] = person_cuts(frame_of([someone(box)]), "k", picture, PackOptions(max_height=10_000))
    region, _ = cut_region(np.array(box, np.float32), WIDTH, HEIGHT, 1.6)
    x0, y0 = int(one.cut.x0), int(one.cut.y0)
    inside = decode_rgb(cut.data)[region.y0 - y0 : region.y1 - y0, region.x0 - x0 : region.x1 - x0]
    np.testing.assert_array_equal(inside, FRAME_PIXELS[region.y0 : region.y1, region.x0 : region.x1])
    assert (one.cut.scale_x, one.cut.scale_y, cut.stored) == (1, 1, "cut_as_distributed")


FRAME_JPEG = cv2.imencode(".jpg", scene())[1].tobytes()  # without tiles
FRAME = encoded_picture(FRAME_JPEG)
FRAME_PIXELS = decode_rgb(FRAME_JPEG)


def test_a_png_is_cut_without_loss():
    picture = picture_of(encode_png(scene()))
    [(one, _, cut)] = person_cuts(frame_of([someone(SMALL)]), "k", picture)
    x0, y0 = int(one.cut.x0), int(one.cut.y0)
    np.testing.assert_array_equal(decode_rgb(cut.data), scene()[y0 : y0 + one.height, x0 : x0 + one.width])
    assert (cut.ext, cut.stored) == ("png", "cut_as_distributed")


@pytest.mark.parametrize("scale", [0.75, 1.0, 1.25])
@pytest.mark.parametrize("rotation", [0, 30, 45, 60, 90, 143])
def test_every_augmented_crop_fits_into_a_cut(scale, rotation):
    """The corners of the crop box of training, enlarged and turned, lie in the cut of a person amid the picture."""
    box = np.array([5000.0, 5000.0, 5120.0, 5300.0])
    region, _ = cut_region(box, 10_000, 10_000, PackOptions().margin)
    half = (box[2:] - box[:2]) / 2 * CROP_PADDING
    half = np.array([max(half[0], half[1] * CROP_ASPECT), max(half[1], half[0] / CROP_ASPECT)]) * scale
    turn = np.deg2rad(rotation)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ matrix.T + (box[:2] + box[2:]) / 2
    assert (corners >= region[:2]).all()
    assert (corners < region[2:]).all()


BOXES = st.tuples(st.integers(-200, 900), st.integers(-200, 700), st.integers(30, 500), st.integers(30, 700))


@settings(deadline=None, max_examples=40)
@given(BOXES, st.sampled_from([90, 10_000]))
def test_training_crops_the_same_from_a_cut_as_from_the_frame(corner_and_size, max_height):
    x, y, w, h = corner_and_size
    person = someone((float(x), float(y), float(x + w), float(y + h)))
    expected = crop_box(padded_box(person.bbox_xyxy.astype(float)), WIDTH, HEIGHT)
    [(one, _, _)] = person_cuts(frame_of([person]), "k", FRAME, PackOptions(max_height=max_height))
    found = crop_box(padded_box(one.people[0].bbox_xyxy.astype(float)), one.width, one.height)
    if expected is None:
        assert (one.width, one.height) == (WIDTH, HEIGHT)
        return
    corners = np.array([expected[:2], expected[:2] + expected[2:]])
    moved = moved_points(corners, one.cut)
    np.testing.assert_allclose(np.array([found[:2], found[:2] + found[2:]]), moved, atol=1e-3 if max_height > 90 else 2)


@pytest.mark.parametrize("reason", ["unsupported_image", "damaged_image"])
def test_a_jpeg_that_cannot_be_tiled_is_decoded_and_a_damaged_one_is_an_error(monkeypatch, reason):
    tile_jpeg = packs.tile_jpeg

    def refuse(data: bytes):
        if data == FRAME_JPEG:
            raise PictureError("f", reason, "no tiles")
        return tile_jpeg(data)

    monkeypatch.setattr(packs, "tile_jpeg", refuse)
    cuts = person_cuts(frame_of([someone(SMALL)]), "k", encoded_picture(FRAME_JPEG, jpeg="keep"))
    if reason == "damaged_image":
        with pytest.raises(PictureError, match="no tiles"):
            next(cuts)
        return
    one, _, cut = next(cuts)
    x0, y0 = int(one.cut.x0), int(one.cut.y0)
    expected = FRAME_PIXELS[y0 : y0 + one.height, x0 : x0 + one.width].astype(int)
    assert np.abs(decode_rgb(cut.data) - expected).mean() < 3
    assert cut.stored == "cut_jpeg_95"


def test_a_large_body_becomes_as_high_as_allowed():
    picture = encoded_picture(encode_jpeg(scene()))
    [(one, _, cut)] = person_cuts(frame_of([someone(LARGE)]), "k", picture, PackOptions(max_height=320))
    box = one.people[0].bbox_xyxy
    assert box[3] - box[1] == pytest.approx(320, abs=1)
    assert cut.stored == "cut_jpeg_95"
    assert cut.tiles is not None
    hand = one.people[0].left_hand_bbox_xyxy
    np.testing.assert_allclose(hand[:2], box[:2], atol=1e-3)
    assert hand[2] - hand[0] == pytest.approx(10 * 320 / 760, rel=0.01)


def test_a_person_without_a_box_keeps_the_whole_picture():
    picture = encoded_picture(encode_jpeg(scene()))
    people = [someone(SMALL, bbox_xyxy=None), someone((2000.0, 0.0, 2100.0, 90.0))]
    for one, _, cut in person_cuts(frame_of(people), "k", picture):
        assert (one.width, one.height, one.cut.x0, one.cut.y0, one.cut.scale_x) == (WIDTH, HEIGHT, 0, 0, 1)
        np.testing.assert_array_equal(decode_rgb(cut.data), decode_rgb(picture.data))


def test_an_own_camera_moves_along():
    own = Camera(K=K + np.diag([100.0, 100.0, 0]), kind="virtual_crop")
    picture = encoded_picture(encode_jpeg(scene()))
    [(one, _, _)] = person_cuts(frame_of([someone(SMALL, camera=own)]), "k", picture)
    found, frames = one.people[0].camera.K, one.camera.K
    np.testing.assert_allclose(found - frames, np.diag([100.0, 100.0, 0]), atol=1e-9)
    np.testing.assert_allclose(frames[:2, 2], K[:2, 2] - [one.cut.x0, one.cut.y0])


@settings(deadline=None)
@given(st.text("ab_1", min_size=1, max_size=95), st.integers(0, 200))
def test_keys_of_packs_are_short_enough_and_differ(key, person):
    own = pack_key(key, person)
    assert len(own) <= 95
    assert own.endswith(f"_{person}")
    assert own != pack_key(key, person + 1)
    assert own != pack_key(key[:-1] + "c", person)


@pytest.fixture
def frames(tmp_path, make):
    """A converted tree: two units with 2 and 3 people in tiled JPEGs."""
    for unit, boxes in (("one", [SMALL, LARGE]), ("two", [SMALL, (600.0, 300.0, 700.0, 420.0), LARGE])):
        with UnitWriter(tmp_path / "frames", "fake", "train", unit, meta={"converter_version": 7}) as writer:
            people = [someone(box, number) for number, box in enumerate(boxes)]
            picture = encoded_picture(encode_jpeg(scene(len(unit))))
            writer.write(replace(frame_of(people), key=unit), f"fake-train-{unit}", picture)
            writer.reject(make.reject())
            writer.commit({"median_reprojection_px": 2.0})
    return tmp_path / "frames"


def test_a_tree_is_repacked_with_everyone_and_all_rejects(frames, tmp_path):
    out = tmp_path / "packs"
    done = list(repack(frames, out, PackOptions(max_height=500)))
    assert [(unit.unit, unit.people, unit.was_there) for unit in done] == [("one", 2, False), ("two", 3, False)]
    before, after = list(read_people(frames)), list(read_people(out))
    assert [person.provenance for person in after] == [person.provenance for person in before]
    for source, pack in zip(before, after, strict=True):
        np.testing.assert_array_equal(pack.joints_3d, source.joints_3d)
        assert pack.quality == source.quality
        assert (pack.frame.meta["cut"]["frame_key"], pack.frame.meta["cut"]["person"]) == (source.key, source.index)
    unit = read_unit(out / "fake/train/two")
    assert (unit["frames"], unit["people"], unit["rejected_people"]) == (3, 3, 2)
    assert unit["checks"] == {"median_reprojection_px": 2.0}
    assert unit["conversion"]["repacked_from"]["conversion"] == {"converter_version": 7}


def test_the_sidecar_of_a_pack_says_where_its_pictures_come_from(frames, tmp_path):
    list(repack(frames, tmp_path / "packs"))
    [original] = [ShardReader(path).rows.to_pylist() for path in iter_shards(frames) if "one" in path.name]
    [rows] = [ShardReader(path).rows.to_pylist() for path in iter_shards(tmp_path / "packs") if "one" in path.name]
    assert [row["cut_frame_key"] for row in rows] == ["fake-train-one"] * 2
    assert [row["cut_person"] for row in rows] == [0, 1]
    for name in ("image_blake3", "image_phash"):
        assert {row[name] for row in rows} == {original[0][name]} != {None}
    assert all(row["tile_row_offsets"] for row in rows)


def test_repacking_goes_on_where_it_stopped_and_notices_another_source(frames, tmp_path, make):
    out = tmp_path / "packs"
    next(repack(frames, out))
    assert [unit.was_there for unit in repack(frames, out)] == [True, False]
    first = {path: path.read_bytes() for path in out.rglob("*.tar")}
    assert [unit.was_there for unit in repack(frames, out)] == [True, True]
    assert [unit.was_there for unit in repack(frames, out, PackOptions(margin=1.2))] == [False, False]
    list(repack(frames, out))
    assert {path: path.read_bytes() for path in out.rglob("*.tar")} == first


def test_packs_are_not_cut_again(frames, tmp_path):
    list(repack(frames, tmp_path / "packs"))
    with pytest.raises(ShardError, match="holds single people already"):
        list(repack(tmp_path / "packs", tmp_path / "again"))
    with pytest.raises(ShardError, match="among the frames"):
        list(repack(frames, frames))


@pytest.mark.parametrize("seed", range(4))
def test_an_augmented_crop_of_a_pack_has_the_pixels_of_one_of_the_frame(frames, tmp_path, seed):
    list(repack(frames, tmp_path / "packs", PackOptions(max_height=10_000)))
    rng = np.random.default_rng(seed)
    change = Augmentation(scale=rng.uniform(0.75, 1.25), rotation=rng.uniform(-60, 60), is_flipped=bool(seed % 2))
    for source, pack in zip(read_people(frames), read_people(tmp_path / "packs"), strict=True):
        crops = []
        for person in (source, pack):
            box = crop_box(padded_box(person.bbox_xyxy.astype(float)), person.width, person.height)
            affine = crop_affine(box, (192, 256), change, person.width)
            crops.append(cut_person(person.frame, affine, (192, 256), mode="exact").astype(int))
        assert np.abs(crops[0] - crops[1]).max() <= 1  # a corner elsewhere rounds the affine map elsewhere


def test_the_verb_says_what_it_made_and_catalogs_it(frames, tmp_path):
    arguments = ["repack", frames, "--images", "person", "--out", tmp_path / "packs", "--max-height", 300, "--json"]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    units = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(unit["unit"], unit["people"], unit["was_there"]) for unit in units] == [
        ("one", 2, False),
        ("two", 3, False),
    ]
    heights = query(tmp_path / "packs", "select max(box_height_px) as height, count(*) as people from people")
    assert heights["people"].tolist() == [5]
    assert heights["height"][0] == pytest.approx(300, abs=1)
