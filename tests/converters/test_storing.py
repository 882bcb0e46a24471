"""Pictures on their way to the writer: in order whatever the threads, looked at once, refused by name."""

import cv2
import numpy as np
import pytest

from ehps.converters.storing import Storing, has_sound_chunks, open_room
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
