"""``ehps predict`` as its users type it."""

import json
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ehps.cli.main import app
from ehps.cli.predict_inputs import Span, find_sources
from ehps.errors import EhpsError, RawFileError
from ehps.shards.picture import encode_jpeg, encode_png
from ehps.tests.raw import _people as people
from ehps.tests.raw._videos import number_of, numbered, write_video
from ehps.tests.training._yolox import Session
from ehps.training.checkpoint import network_entries, save_checkpoint
from ehps.training.network_size import NetworkSize
from ehps.training.prediction_output import read_people
from ehps.training.smplestx import SmplestX

SIZE = (96, 128)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A checkpoint, three pictures (one below the folder, one damaged), a video of ten frames."""
    root = tmp_path_factory.mktemp("predict")
    torch.manual_seed(0)
    network = SmplestX(NetworkSize(embed_dim=16, depth=1, num_heads=2, drop_path_rate=0.0, dim_out=8))
    save_checkpoint(root / "a.pt", network_entries(network))
    rng = np.random.default_rng(0)
    ground = people.backdrop(rng, SIZE, "rendered")
    (root / "pictures/sub").mkdir(parents=True)
    (root / "pictures/a.jpg").write_bytes(encode_jpeg(ground))
    (root / "pictures/sub/b.png").write_bytes(encode_png(ground))
    (root / "pictures/c.JPG").write_bytes(b"no picture")
    (root / "pictures/notes.txt").write_text("x")
    write_video(root / "v.mp4", [numbered(ground, number) for number in range(10)], fps=5)
    return root


def predict(tree, *arguments):
    arguments = ["predict", *map(str, arguments), "--checkpoint", str(tree / "a.pt"), "--device", "cpu"]
    return CliRunner().invoke(app, arguments)


def said(result):
    """The one sentence of an error."""
    assert result.exit_code != 0
    if isinstance(result.exception, EhpsError):
        return str(result.exception)
    return " ".join(result.output.replace("│", " ").split())


def test_pictures_of_a_folder_and_a_video_together(tree, tmp_path):
    out = tmp_path / "out"
    options = ("--whole", "--overlays", "--meshes", "obj", "--stride", 4, "--json")
    result = predict(tree, tree / "pictures", tree / "v.mp4", "--out", out, *options)
    assert result.exit_code == 0, result.output + str(result.exception)
    assert json.loads(result.stdout) == {"out": str(out), "pictures": 5, "people": 5, "outside": 0, "unreadable": 1}
    assert "left out c.JPG" in result.stderr
    rows = read_people(out / "people.parquet")
    assert rows["picture"].tolist() == ["a.jpg", "sub/b.png", "v.mp4", "v.mp4", "v.mp4"]
    assert rows["frame"].tolist() == [-1, -1, 0, 4, 8]
    assert rows["track"].tolist() == [-1, -1, 0, 0, 0]
    np.testing.assert_allclose(rows["K"][0], [[160, 0, 47.5], [0, 160, 63.5], [0, 0, 1]])
    facts = json.loads((out / "prediction.json").read_text())
    assert (facts["model"], facts["body_model_is_standin"], list(facts["unreadable"])) == ("a", True, ["c.JPG"])
    names = sorted(path.name for path in (out / "overlays").rglob("*.*"))
    assert names == ["a.jpg", "b.png.jpg", "v.mp4"]
    assert len(list(out.glob("meshes/v.mp4/*.obj"))) == 3


def test_listed_people_of_a_video_are_tracked(tree, tmp_path):
    left, right = [2, 5, 40, 120], [50, 5, 90, 120, 0.8]
    frames = {str(n): [left, right] if n % 2 else [right, left, [0, 0, 5, 5, 0.1]] for n in range(2, 6)}
    (tmp_path / "boxes.json").write_text(json.dumps(frames))
    options = ("--boxes", tmp_path / "boxes.json", "--from", 2, "--to", "1.6s", "--focal", 500)
    result = predict(tree, tree / "v.mp4", "--out", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "names 4 of 7 pictures" in result.stderr
    rows = read_people(tmp_path / "out/people.parquet")
    assert rows["frame"].tolist() == [2, 2, 3, 3, 4, 4, 5, 5]
    assert rows["track"].tolist() == [0, 1, 1, 0, 0, 1, 1, 0]
    np.testing.assert_array_equal(rows["bbox_xyxy"][2], left)
    np.testing.assert_allclose(rows["score"][::3], [0.8, 0.8, np.nan], rtol=1e-6)
    assert set(rows["camera"]) == {"given"}
    assert (rows["K"][:, 0, 0] == 500).all()


def test_a_detector_finds_the_people(tree, tmp_path, monkeypatch):
    """The picture is as high as twice the input, so boxes come out twice as large."""
    session = Session([([5.0, 4, 25, 60], 8, (0.9, 0.9, 0)), ([30.0, 4, 44, 60], 16, (0.9, 0.5, 0))])
    runtime = SimpleNamespace(
        InferenceSession=lambda *_, **__: session, get_available_providers=lambda: ["CPUExecutionProvider"]
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    (tmp_path / "yolox.onnx").write_bytes(b"x")
    options = ("--detector", tmp_path / "yolox.onnx", "--score", 0.4)
    result = predict(tree, tree / "pictures/a.jpg", "--out", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output + str(result.exception)
    rows = read_people(tmp_path / "out/people.parquet")
    np.testing.assert_allclose(rows["bbox_xyxy"], [[10, 8, 50, 120], [60, 8, 88, 120]], atol=1e-3)
    np.testing.assert_allclose(rows["score"], [0.81, 0.45], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pictures"], "say where people stand: --boxes FILE, --detector FILE or --whole"),
        (["pictures", "--whole", "--boxes", "b.json"], "one of them"),
        (["nothing.jpg", "--whole"], "nothing.jpg: is not there; name a picture"),
        (["a.pt", "--whole"], "is neither a picture, a folder of pictures nor a video; known are .avi"),
        (["pictures/a.jpg", "sub2", "--whole"], "two inputs are called a.jpg"),
        (["empty", "--whole"], "empty: holds no picture"),
        (["pictures", "--boxes", "other.json"], "names none of the 3 pictures, of which the first is a.jpg"),
        (["v.mp4", "--boxes", "other.json"], "of which the first is frame 0 of v.mp4"),
        (["v.mp4", "--whole", "--from", "x"], "'x' is no frame"),
        (["v.mp4", "--whole", "--from=-1"], "lies before the first frame"),
        (["v.mp4", "--whole", "--from", "10"], "has 10 frames, none of them from 10"),
        (["pictures/c.JPG", "--whole"], "c.JPG: cannot be read, nor can any other picture"),
        (["damaged.mp4", "--whole"], "FFmpeg cannot open it as a video"),
        (["pictures", "--whole", "--camera", "1,2"], "a camera should be fx,fy,cx,cy in px, found '1,2'"),
        (["pictures", "--whole", "--focal", "0"], "--focal is a positive number of px"),
    ],
)
def test_each_error_is_one_sentence_and_leaves_nothing(tree, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tree)
    (tree / "empty").mkdir(exist_ok=True)
    (tree / "sub2").mkdir(exist_ok=True)
    (tree / "sub2/a.jpg").write_bytes(b"x")
    (tree / "other.json").write_text('{"other.jpg": []}')
    (tree / "damaged.mp4").write_bytes(b"x" * 100)
    assert sentence in said(predict(tree, *arguments, "--out", tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_already_is_refused_before_any_work(tree, tmp_path):
    (tmp_path / "mine").write_text("x")
    assert "not empty; name a new folder" in said(predict(tree, tree / "pictures", "--whole", "--out", tmp_path))


def test_frames_are_the_ones_that_were_asked_for(tree):
    def shown(*span):
        (source,) = find_sources([tree / "v.mp4"], Span(*span))
        assert source.is_video
        return [(shot.frame, number_of(shot.load().pixels)) for shot in source.shots], float(source.fps)

    assert shown() == ([(n, n) for n in range(10)], 5)
    assert shown("3", "8", 2) == ([(3, 3), (5, 5), (7, 7)], 2.5)
    assert shown("0.4s", "1.0s") == ([(n, n) for n in range(2, 6)], 5)
    assert shown("8", "99") == ([(8, 8), (9, 9)], 5)


def corner(pixels):
    """Which corner is brightest."""
    height, width = pixels.shape[0] // 4, pixels.shape[1] // 4
    parts = {"top left": pixels[:height, :width], "top right": pixels[:height, -width:]}
    parts |= {"bottom left": pixels[-height:, :width], "bottom right": pixels[-height:, -width:]}
    return max(parts, key=lambda name: parts[name].mean())


def marked():
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:12, :24] = 255
    return picture


def test_a_phone_s_picture_stands_upright_and_brings_its_focal_length(tmp_path):
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x8769, 4, 1, 38)
    tiff = b"II" + struct.pack("<HIH", 42, 8, 2) + entries + b"\0" * 4
    block = b"Exif\0\0" + tiff + struct.pack("<HHHIHHI", 1, 0xA405, 3, 1, 26, 0, 0)
    data = encode_jpeg(marked())
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])
    picture = find_sources([path], Span())[0].shots[0].load()
    assert picture.pixels.shape == (96, 48, 3)
    assert corner(picture.pixels) == "top right"
    assert picture.focal == pytest.approx(26 / 43.2666 * np.hypot(48, 96), rel=1e-4)


@pytest.mark.parametrize(
    ("matrix", "where"),
    [((0, 1, -1, 0), "top right"), ((-1, 0, 0, -1), "bottom right"), ((0, -1, 1, 0), "bottom left")],
)
def test_a_phone_s_video_stands_upright(tmp_path, matrix, where):
    """The turn is the matrix of the track header (ISO 14496-12): x' = a x + c y, y' = b x + d y."""
    write_video(tmp_path / "v.mp4", [marked()] * 2, b_frames=0)
    data = bytearray((tmp_path / "v.mp4").read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    place = data.index(struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), data.index(b"tkhd"))
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "v.mp4").write_bytes(data)
    pixels = find_sources([tmp_path / "v.mp4"], Span())[0].shots[1].load().pixels
    assert corner(pixels) == where
    assert (pixels.shape[0] > pixels.shape[1]) == (matrix[0] == 0)


def test_a_picture_that_goes_away_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    shot = find_sources([tmp_path / "a.jpg"], Span())[0].shots[0]
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(EhpsError, match=r"a\.jpg: the picture cannot be read"):
        shot.load()
    with pytest.raises(RawFileError, match="is not there"):
        find_sources([tmp_path / "a.jpg"], Span())
