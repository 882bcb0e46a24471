"""What a prediction leaves on disk."""

import json
from fractions import Fraction

import av
import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from ehps.body.posing import PosingModel
from ehps.errors import RawFileError
from ehps.shards.picture import decode_rgb
from ehps.tests.raw import _people as people
from ehps.tests.training._oracle import Oracle, scene
from ehps.training.boxes import Box
from ehps.training.mesh_files import write_mesh
from ehps.training.overlays import draw_people
from ehps.training.picture_camera import CameraRule, centred_intrinsics
from ehps.training.prediction import LoadedPicture, PosedShot, Shot, predict_shots
from ehps.training.prediction_output import PARAMETERS, PredictionFolder, read_people

SIZE = (160, 120)
K = centred_intrinsics(200.0, *SIZE)
FACES = people.standin().triangles


@pytest.fixture(scope="module")
def couple():
    return scene(np.random.default_rng(0), K, SIZE, [[-0.7, 0, 3.2], [0.8, 0.1, 3.8]])


@pytest.fixture(scope="module")
def picture(couple):
    return couple.picture(np.random.default_rng(1))


@pytest.fixture(scope="module")
def posed(couple, picture):
    """A picture with two people, then two frames of a video, tracked."""

    def find(shot, _):
        return [Box(box, None, None if shot.frame is None else 5 + i) for i, box in enumerate(couple.boxes)]

    some = [Shot(*which, lambda: LoadedPicture(picture)) for which in (("a/b.png", None), ("v.mov", 4), ("v.mov", 6))]
    return list(predict_shots(Oracle(couple), some, find, CameraRule(K)))


def write(out, posed, **options):
    with PredictionFolder(out, FACES, **options) as folder:
        for one in posed:
            folder.add(one, None if one.shot.frame is None else Fraction(10))
        folder.finish({"model": "m"})
    return folder


def files(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_every_number_comes_back_from_parquet_and_npz(tmp_path, posed):
    folder = write(tmp_path / "out", posed)
    assert folder.counts == {"pictures": 3, "people": 6, "outside": 0}
    rows = read_people(tmp_path / "out/people.parquet")
    with np.load(tmp_path / "out/people.npz", allow_pickle=False) as archive:
        assert set(archive.files) == set(rows)
        for name in rows:
            np.testing.assert_array_equal(archive[name], rows[name])
    persons = [(one, person) for one in posed for person in one.people]
    for row, (one, person) in enumerate(persons):
        assert rows["picture"][row] == one.shot.source
        assert rows["frame"][row] == (-1 if one.shot.frame is None else one.shot.frame)
        assert rows["track"][row] == (-1 if person.box.track is None else person.box.track)
        assert rows["flat_hand_mean"][row]
        assert (rows["camera"][row], np.isnan(rows["score"][row])) == ("given", True)
        for name, shape in PARAMETERS.items():
            assert rows[name].shape[1:] == shape
            np.testing.assert_array_equal(rows[name][row], person.parameters[name].astype(np.float32))
        np.testing.assert_array_equal(rows["K"][row], K)
        np.testing.assert_array_equal(rows["bbox_xyxy"][row], person.box.bbox_xyxy)
        np.testing.assert_allclose(rows["K_crop"][row], person.K_crop)
        np.testing.assert_array_equal(rows["transl_crop"][row], person.transl_crop)


def test_rows_pose_the_meshes(tmp_path, posed):
    """Whoever reads the rows poses the very mesh, with flat hands at zero."""
    write(tmp_path / "out", posed)
    rows = read_people(tmp_path / "out/people.parquet")
    model = PosingModel.load(people.standin_dir())
    vertices = model.vertices({name: rows[name].astype(np.float64) for name in PARAMETERS})
    wanted = np.stack([person.vertices for one in posed for person in one.people])
    np.testing.assert_allclose(vertices, wanted, atol=2e-4)


def test_absent_is_null_and_sql_reads_it(tmp_path, posed):
    write(tmp_path / "out", posed)
    table = f"'{tmp_path}/out/people.parquet'"
    found = duckdb.sql(
        f"select picture, frame, person, track, score, len(body_pose) from {table} order by all"
    ).fetchall()
    assert found[:2] == [("a/b.png", None, person, None, None, 63) for person in (0, 1)]
    assert found[2] == ("v.mov", 4, 0, 5, None, 63)


def test_the_same_people_give_the_same_bytes(tmp_path, posed):
    for name in ("one", "two"):
        write(tmp_path / name, posed, meshes="obj", overlays=True)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    for name in files(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_meshes_and_overlays_go_by_source_frame_and_track(tmp_path, posed):
    write(tmp_path / "out", posed, meshes="ply", overlays=True)
    assert files(tmp_path / "out") == [
        "meshes/a/b.png/000.ply",
        "meshes/a/b.png/001.ply",
        *(f"meshes/v.mov/{frame:06d}_{track:03d}.ply" for frame in (4, 6) for track in (5, 6)),
        "overlays/a/b.png.jpg",
        "overlays/v.mov.mp4",
        "people.npz",
        "people.parquet",
        "prediction.json",
    ]


def test_overlays_show_people_where_they_are_and_nothing_else(tmp_path, posed, picture, couple):
    write(tmp_path / "out", posed, overlays=True)
    drawn = decode_rgb((tmp_path / "out/overlays/a/b.png.jpg").read_bytes())
    with av.open(str(tmp_path / "out/overlays/v.mov.mp4")) as container:
        assert container.streams.video[0].average_rate == 10
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 2
    around = np.ones(SIZE[::-1], bool)
    for x0, y0, x1, y1 in couple.boxes.astype(int):
        around[max(y0 - 12, 0) : y1 + 12, max(x0 - 12, 0) : x1 + 12] = False
    for one in (drawn, *frames):
        change = np.abs(one.astype(int) - picture).sum(axis=2)
        assert change[~around].mean() > 3 * change[around].mean()
        for joint in np.stack([person.joints_3d[9] for person in posed[0].people]):  # the chest
            column, row = np.round((K @ joint)[:2] / joint[2]).astype(int)
            assert change[row, column] > 30


def test_a_track_keeps_its_colour(posed):
    other = [PosedShot(**{**vars(posed[1]), "people": posed[1].people[::-1]})]
    np.testing.assert_array_equal(draw_people(posed[1], FACES), draw_people(other[0], FACES))
    assert not np.array_equal(draw_people(posed[0], FACES), draw_people(posed[1], FACES))


def test_odd_sides_lose_a_pixel_in_a_video(tmp_path, couple):
    odd = Shot("v.mp4", 0, lambda: LoadedPicture(np.full((51, 71, 3), 90, np.uint8)))
    write(tmp_path / "out", predict_shots(Oracle(couple), [odd], lambda *_: []), overlays=True)
    with av.open(str(tmp_path / "out/overlays/v.mp4")) as container:
        (frame,) = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert frame.shape == (50, 70, 3)
    assert abs(int(frame.mean()) - 90) < 3


def test_after_an_error_nothing_is_there(tmp_path, posed):
    def fail():
        with PredictionFolder(tmp_path / "out", FACES, overlays=True) as folder:
            folder.add(posed[1], Fraction(10))
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_an_attempt_that_was_killed_has_left_is_cleared(tmp_path, posed):
    (tmp_path / ".out.part/overlays").mkdir(parents=True)
    (tmp_path / ".out.part/overlays/old.jpg").write_bytes(b"x")
    write(tmp_path / "out", posed)
    assert files(tmp_path) == ["out/people.npz", "out/people.parquet", "out/prediction.json"]


def test_a_folder_that_holds_something_is_not_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RawFileError, match="not empty; name a new folder"):
        PredictionFolder(tmp_path, FACES)
    with pytest.raises(RawFileError, match="not empty"):
        PredictionFolder(tmp_path / "notes.txt", FACES)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", [])
    assert (tmp_path / "empty/prediction.json").is_file()


def test_nobody_is_an_empty_table_and_damage_is_named(tmp_path, couple):
    empty = PosedShot(shot=Shot("a.jpg", None, lambda: None), problem="a.jpg: it is cut off")
    write(tmp_path / "out", [empty])
    assert pq.read_metadata(tmp_path / "out/people.parquet").num_rows == 0
    assert read_people(tmp_path / "out/people.parquet")["body_pose"].shape == (0, 21, 3)
    facts = json.loads((tmp_path / "out/prediction.json").read_text())
    assert facts["unreadable"] == {"a.jpg": "a.jpg: it is cut off"}
    assert facts["counts"]["pictures"] == 0


def test_meshes_come_back(tmp_path):
    rng = np.random.default_rng(0)
    vertices, faces = rng.normal(0, 1, (5, 3)).astype(np.float32), np.array([[0, 1, 2], [4, 3, 0]], np.int64)
    for form in ("ply", "obj"):
        write_mesh(tmp_path / f"m/a.{form}", vertices, faces, form)
    lines = (tmp_path / "m/a.obj").read_text().splitlines()
    read = np.array([line.split()[1:] for line in lines if line[0] == "v"], float)
    np.testing.assert_allclose(read, vertices, atol=1e-6)
    assert [line for line in lines if line[0] == "f"] == ["f 1 2 3", "f 5 4 1"]
    header, _, body = (tmp_path / "m/a.ply").read_bytes().partition(b"end_header\n")
    assert b"element vertex 5\n" in header
    assert b"element face 2\n" in header
    np.testing.assert_array_equal(np.frombuffer(body[:60], "<f4").reshape(5, 3), vertices)
    assert body[60:] == b"\x03" + np.array([0, 1, 2], "<i4").tobytes() + b"\x03" + np.array([4, 3, 0], "<i4").tobytes()
