"""Pictures on their way to the writer: in order whatever the threads, looked at once, refused by name."""

import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from ehps.converters.storing import Storing, has_sound_chunks, open_room
from ehps.errors import PictureError
from ehps.shards.picture import decode_rgb
from ehps.shards.record import Frame, Labels, Person, Provenance


def noise(seed=0, ext=".jpg"):
    pixels = np.random.default_rng(seed).integers(0, 255, (96, 128, 3), np.uint8)
    return cv2.imencode(ext, pixels)[1].tobytes()


def frame(number, image=None, width=128):
    box = np.float32([10, 10, 60, 90])
    person = Person(provenance=Provenance(file="f", row=str(number)), labels=Labels(), bbox_xyxy=box)
    image = noise(number) if image is None else image
    return Frame(key=f"frame {number}", image=image, width=width, height=96, people=(person,))


def pictured(frames, storing=Storing(), threads=1):
    with open_room(storing, "toy-train-{}".format, threads) as room:
        return list(room.pictured(frames))


def test_order_and_bytes_do_not_depend_on_the_threads():
    frames = [frame(number) for number in range(30)]
    one, many = pictured(frames), pictured(frames, threads=4)
    assert [found.pieces[0].key for found in many] == [f"toy-train-frame {number}" for number in range(30)]
    for a, b in zip(one, many, strict=True):
        assert a.pieces[0].picture.data == b.pieces[0].picture.data
        assert a.pieces[0].frame.people[0].quality == b.pieces[0].frame.people[0].quality


def test_sharpness_is_measured_where_a_picture_is_looked_at_or_when_asked():
    def measured(**words):
        return "sharpness" in pictured([frame(0)], Storing(**words))[0].pieces[0].frame.people[0].quality

    assert measured()
    assert not measured(jpeg="keep")
    assert measured(jpeg="keep", sharpness=True)
    assert not measured(sharpness=False)


def test_labels_alone_need_no_picture(tmp_path):
    (found,) = pictured([frame(0, tmp_path / "nothing.jpg")], Storing(images="none"), threads=2)
    assert (found.pieces[0].picture, found.rejects) == (None, [])


def test_single_people_are_cut_out():
    (found,) = pictured([frame(0)], Storing(images="person"))
    (piece,) = found.pieces
    assert piece.frame.cut.frame_key == "toy-train-frame 0"
    assert piece.picture.width == piece.frame.width


@pytest.mark.parametrize(
    ("image", "width", "reason"),
    [
        (noise()[:900], 128, "damaged_image"),
        (noise(), 127, "image_size"),
        (b"GIF89a", 128, "unsupported_image"),
        (noise(0, ".png")[:5000] + b"damage" + noise(0, ".png")[5006:], 128, "damaged_image"),
    ],
)
@pytest.mark.parametrize("mode", ["look", "keep"])
def test_a_picture_that_is_no_good_costs_its_people_and_says_why(image, width, reason, mode):
    storing = Storing() if mode == "look" else Storing(jpeg="keep", png="keep")
    (found,) = pictured([frame(7, image, width)], storing)
    (reject,) = found.rejects
    assert (reject.reason, reject.provenance.row, found.pieces) == (reason, "7", [])
    assert "frame 7" in reject.detail


def test_damage_inside_a_jpeg_is_found_when_it_is_looked_at():
    good = noise()
    middle = len(good) // 2
    bad = good[:middle] + b"\xff\xc4\x00\x00" + good[middle + 4 :]
    assert pictured([frame(0, bad)])[0].rejects[0].reason == "damaged_image"
    assert not pictured([frame(0, bad)], Storing(jpeg="keep"))[0].rejects


def test_checksums_of_a_png_are_followed_chunk_by_chunk():
    png = noise(0, ".png")
    assert has_sound_chunks(png)
    assert not has_sound_chunks(png[:300] + bytes([png[300] ^ 1]) + png[301:])


READ: list[tuple[int, str]] = []  # number and thread of the pictures that were taken out of their file


@dataclass(frozen=True)
class Contained:
    """A picture inside a file: pixels of one colour, or the owner's bytes; the seventh is damaged."""

    number: int
    is_encoded: bool = False
    path = Path("film.mp4")

    @property
    def name(self):
        return f"frame {self.number}"

    def size(self):
        return 128, 96

    def read(self):
        READ.append((self.number, threading.current_thread().name))
        if self.number == 7:
            raise PictureError(f"{self.path}, {self.name}", "damaged_image", "a hole in the film")
        return noise(self.number) if self.is_encoded else np.full((96, 128, 3), (10 * self.number, 40, 90), np.uint8)


@pytest.mark.parametrize("threads", [1, 4])
def test_pictures_inside_a_file_are_taken_out_by_one_thread_in_order(threads):
    del READ[:]
    found = pictured([frame(number, Contained(number)) for number in range(20)], threads=threads)
    assert [(number, threading.current_thread().name) for number in range(20)] == READ
    (reject,) = found.pop(7).rejects
    assert (reject.reason, reject.detail) == ("damaged_image", "film.mp4, frame 7: a hole in the film")
    for number, one in zip([n for n in range(20) if n != 7], found, strict=True):
        picture = one.pieces[0].picture
        assert (picture.stored, picture.tiles is not None, picture.width) == ("video_to_jpeg_95", True, 128)
        assert np.abs(decode_rgb(picture.data).astype(int) - (10 * number, 40, 90)).max() <= 2


def test_encoded_pictures_inside_a_file_go_the_way_of_files():
    (one,) = pictured([frame(3, Contained(3, is_encoded=True))])
    assert one.pieces[0].picture.data == pictured([frame(3)])[0].pieces[0].picture.data
    (kept,) = pictured([frame(3, Contained(3, is_encoded=True))], Storing(jpeg="keep"))
    assert kept.pieces[0].picture.data == noise(3)


def test_pixels_are_turned_before_they_are_encoded():
    pixels = cv2.imdecode(np.frombuffer(noise(1), np.uint8), cv2.IMREAD_COLOR_RGB)

    class Turned(Contained):
        def read(self):
            return pixels

    one = frame(0, Turned(0), width=96)
    turned = Frame(**{**vars(one), "height": 128, "quarter_turns": 1})
    picture = pictured([turned])[0].pieces[0].picture
    assert (picture.width, picture.height) == (96, 128)
    straight = cv2.imencode(
        ".jpg", cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95]
    )[1]
    assert np.array_equal(decode_rgb(picture.data), decode_rgb(straight.tobytes()))


def test_labels_alone_take_nothing_out_of_a_file():
    del READ[:]
    (found,) = pictured([frame(7, Contained(7))], Storing(images="none"), threads=2)
    assert (found.rejects, READ) == ([], [])


def test_a_contained_picture_of_another_size_names_its_place():
    (found,) = pictured([frame(3, Contained(3), width=127)])
    assert found.rejects[0].reason == "image_size"
    assert found.rejects[0].detail.startswith("film.mp4, frame 3: ")
