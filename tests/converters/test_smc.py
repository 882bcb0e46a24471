"""SMC files: pictures by name, arrays by shape, and what is said when they are not there."""

import pickle

import cv2
import h5py
import numpy as np
import pytest

from ehps.converters.formats.smc import SmcPicture, has_array, names_in, open_smc, read_array, read_attribute
from ehps.errors import PictureError, RawFileError, RawSchemaError
from ehps.shards.record import ContainedPicture

JPEG = cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8))[1].tobytes()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "0001_01.smc"
    with h5py.File(path, "w") as file:
        file.attrs.update({"gender": "female", "height": np.float64(171.5)})
        for name in ("2", "10", "1"):
            file[f"Camera_5mp/{name}/color/0"] = np.frombuffer(JPEG, np.uint8)
        file["Camera_5mp/1/color/1"] = np.frombuffer(JPEG[:-30], np.uint8)
        file["Camera_5mp/1/color/2"] = np.zeros((4, 4), np.uint8)
        file["Camera_5mp"].attrs["resolution"] = np.array([48, 64])
        file["SMPLx/betas"] = np.ones((1, 10), np.float32)
        file["SMPLx/names"] = np.array([b"a", b"b"])
    return path


def test_a_picture_comes_out_as_the_owner_encoded_it(path):
    picture = SmcPicture(path, "Camera_5mp/1/color/0")
    assert isinstance(picture, ContainedPicture)
    assert picture.size() == (64, 48)
    assert picture.read() == JPEG


def test_a_picture_travels_to_workers(path):
    picture = SmcPicture(path, "Camera_5mp/1/color/0")
    picture.size()
    assert pickle.loads(pickle.dumps(picture)) == picture
    assert len(pickle.dumps(picture)) < 500


def test_a_header_longer_than_usual_is_read_whole(tmp_path):
    comment = b"\xff\xfe" + (60_000).to_bytes(2, "big") + b" " * 59_998
    with h5py.File(tmp_path / "a.smc", "w") as file:
        file["c"] = np.frombuffer(JPEG[:2] + comment + JPEG[2:], np.uint8)
    assert SmcPicture(tmp_path / "a.smc", "c").size() == (64, 48)


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("Camera_5mp/1/color/7", "missing_image", "0001_01.smc, Camera_5mp/1/color/7: the file holds no such picture"),
        ("Camera_5mp/1/color", "missing_image", "the file holds no such picture"),
        (
            "Camera_5mp/1/color/1",
            "damaged_image",
            "0001_01.smc, Camera_5mp/1/color/1: the picture is damaged: it is cut off",
        ),
        ("Camera_5mp/1/color/2", "damaged_image", r"expected the bytes of an encoded picture, found uint8 \(4, 4\)"),
    ],
)
def test_what_is_no_picture_says_where(path, name, reason, message):
    with pytest.raises(PictureError, match=message) as error:
        SmcPicture(path, name).size()
    assert error.value.reason == reason


def test_a_file_that_is_missing_or_no_hdf5_gives_no_picture(tmp_path):
    with pytest.raises(PictureError, match=r"gone.smc: no such file") as missing:
        SmcPicture(tmp_path / "gone.smc", "a").size()
    (tmp_path / "half.smc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(PictureError, match=r"half.smc: is not a readable SMC file") as damaged:
        SmcPicture(tmp_path / "half.smc", "a").read()
    assert (missing.value.reason, damaged.value.reason) == ("missing_image", "damaged_image")
    with pytest.raises(RawFileError, match="download it again"):
        open_smc(tmp_path / "half.smc")


def test_names_count_as_numbers(path):
    assert names_in(path, "Camera_5mp") == ["1", "2", "10"]
    with pytest.raises(RawSchemaError, match="group 'Camera_12mp' should be present, found only Camera_5mp, SMPLx"):
        names_in(path, "Camera_12mp")


def test_attributes_are_plain_python(path):
    assert read_attribute(path, "/", "gender") == "female"
    assert read_attribute(path, "Camera_5mp", "resolution") == [48, 64]
    assert type(read_attribute(path, "/", "height")) is float
    assert read_attribute(path, "/", "shoe_size") is None
    assert read_attribute(path, "Kinect", "resolution") is None


def test_arrays_are_checked_by_shape(path):
    assert read_array(path, "SMPLx/betas", (None, 3), (1, 10)).dtype == np.float64
    assert has_array(path, "SMPLx/betas")
    assert not has_array(path, "SMPLx")
    with pytest.raises(RawSchemaError, match=r"'SMPLx/betas' should be numbers of shape \(any, 3\) or \(2\), found fl"):
        read_array(path, "SMPLx/betas", (None, 3), (2,))
    with pytest.raises(RawSchemaError, match=r"array 'SMPLx/names' should be numbers"):
        read_array(path, "SMPLx/names", (None,))
    with pytest.raises(RawSchemaError, match="array 'SMPLx/transl' should be present"):
        read_array(path, "SMPLx/transl", (None, 3))


def test_a_file_that_changed_is_opened_anew(path, tmp_path):
    assert read_array(path, "SMPLx/betas", (1, 10))[0, 0] == 1
    with h5py.File(tmp_path / "new.smc", "w") as file:
        file["SMPLx/betas"] = np.full((1, 10), 2.0)
    (tmp_path / "new.smc").replace(path)
    assert read_array(path, "SMPLx/betas", (1, 10))[0, 0] == 2
