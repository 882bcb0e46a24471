"""Frames of videos: the very frame that was asked for, from any video in any order, decoded once or refused by name."""

import pickle
import random
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehps.converters.formats import video
from ehps.converters.formats.video import VideoFrame, frame_at, video_facts
from ehps.converters.pictures import assemble, labels_alone
from ehps.errors import PictureError
from ehps.shards.record import ContainedPicture, Frame, Labels, Person, Provenance, Reject
from ehps.tests.raw._videos import number_of, numbered, rewrite_video, write_video

COUNT = 60
GROUP = 12
H265 = "open-gop=1:bframes=4:log-level=none:pools=1:frame-threads=1"
OPEN_GOP = "open-gop=1:keyint=12:min-keyint=12:b-adapt=0"
UNEVEN = np.cumsum(np.random.default_rng(1).integers(1, 5, COUNT)).tolist()


def pictures(count=COUNT, size=(192, 128)):
    """Yield pictures in which something moves, so that frames depend on one another."""
    scene = np.random.default_rng(0).integers(0, 255, (size[1] // 8, size[0] // 8, 3)).astype(np.uint8)
    scene = scene.repeat(8, axis=0).repeat(8, axis=1)
    for number in range(count):
        yield numbered(np.roll(scene, 3 * number, axis=1), number)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Videos of 60 numbered frames; what a player shows begins at the number that the name ends in."""
    root = tmp_path_factory.mktemp("videos")
    write_video(root / "plain-0.mp4", pictures())
    write_video(root / "no_b_frames-0.mp4", pictures(), b_frames=0)
    write_video(root / "one_key_frame-0.mp4", pictures(), group=250)
    write_video(root / "open_groups-0.mp4", pictures(), b_frames=3, x264=OPEN_GOP)
    write_video(root / "uneven-0.mp4", pictures(), times=UNEVEN)
    write_video(root / "matroska-0.mkv", pictures())
    write_video(root / "stream-0.ts", pictures())
    write_video(root / "old-0.avi", pictures(), codec="mpeg4")
    write_video(root / "h264_in_avi-0.avi", pictures())
    write_video(root / "h265-0.mp4", pictures(), codec="libx265", preset="ultrafast", **{"x265-params": H265})
    write_video(root / "vp9-0.webm", pictures(), codec="libvpx-vp9", deadline="realtime", **{"cpu-used": "8"})
    write_video(root / "av1-0.mp4", pictures(), codec="libsvtav1", preset="12", **{"svtav1-params": "lp=1"})
    rewrite_video(root / "plain-0.mp4", root / "edit_list-5.mp4", shift=-5, avoid_negative_ts="disabled")
    rewrite_video(root / "plain-0.mp4", root / "first_is_no_key-12.mp4", lambda place: place >= 5)
    rewrite_video(root / "matroska-0.mkv", root / "first_is_no_key-12.mkv", lambda place: place >= 5)
    write_video(root / "front_index.mp4", pictures(), movflags="faststart")
    return root


NAMES = (
    *("plain-0.mp4", "no_b_frames-0.mp4", "one_key_frame-0.mp4", "open_groups-0.mp4", "uneven-0.mp4"),
    *("matroska-0.mkv", "stream-0.ts", "old-0.avi", "h264_in_avi-0.avi"),
    *("h265-0.mp4", "vp9-0.webm", "av1-0.mp4"),
    *("edit_list-5.mp4", "first_is_no_key-12.mp4", "first_is_no_key-12.mkv"),
)


@pytest.fixture(params=NAMES)
def path(request, folder):
    return folder / request.param


@pytest.fixture
def seeks(monkeypatch):
    """The key frames that decoders go to."""
    found = []
    seek = video._Decoder._seek
    monkeypatch.setattr(video._Decoder, "_seek", lambda self, key: (found.append(key), seek(self, key))[1])
    return found


def first_number(path):
    """Return the number that stands in the first frame: what the name ends in."""
    return int(path.stem.partition("-")[2] or 0)


def shown(path, numbers):
    """Return the numbers that stand in frames, less the number of the first; None for a frame that is refused."""
    first = first_number(path)
    out = []
    for number in numbers:
        frame = VideoFrame(path, number)
        try:
            out.append(number_of(frame.read()) - first)
        except PictureError as error:
            named = (error.reason, str(error).startswith(f"{path}, frame {number}: "))
            out.append(None if named == ("damaged_image", True) else error)
    return out


def test_frames_in_order_are_those_of_a_plain_decode(path):
    count = video_facts(path).frames
    assert count == COUNT - first_number(path)
    with av.open(str(path)) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(plain) == count
    assert all(np.array_equal(VideoFrame(path, i).read(), plain[i]) for i in range(count))


@pytest.mark.parametrize("step", [2, 3, 10, 17, 40])
def test_every_nth_frame_is_the_nth(path, step):
    numbers = range(0, video_facts(path).frames, step)
    assert shown(path, numbers) == list(numbers)


@given(order=st.lists(st.integers(0, COUNT - 13), min_size=1, max_size=12), name=st.sampled_from(NAMES))
@settings(max_examples=60, deadline=None)
def test_any_order_gives_the_frames_that_were_asked_for(folder, order, name):
    assert shown(folder / name, order) == order


@pytest.mark.parametrize("step", [1, 3, 10, 16])
def test_frames_in_order_are_decoded_once(folder, seeks, step):
    path = folder / "plain-0.mp4"
    VideoFrame(path, 0).read()
    del seeks[:]
    assert shown(path, range(step, COUNT, step)) == list(range(step, COUNT, step))
    assert seeks == []


def test_a_step_back_and_a_long_leap_begin_at_the_key_frame_before(folder, seeks):
    path = folder / "plain-0.mp4"
    VideoFrame(path, 0).read()
    del seeks[:]
    assert shown(path, [59, 30, 35]) == [59, 30, 35]
    assert seeks == [48, 24]


def test_without_time_stamps_a_step_back_begins_at_the_beginning(folder, seeks):
    assert shown(folder / "h264_in_avi-0.avi", [40, 30, 31]) == [40, 30, 31]
    assert seeks[-1:] == [0]


def test_facts_are_those_of_the_file(folder):
    assert video_facts(folder / "plain-0.mp4") == (COUNT, 192, 128, 25.0)
    assert video_facts(folder / "uneven-0.mp4").fps == pytest.approx(
        25 * COUNT / (UNEVEN[-1] - UNEVEN[0] + 2), rel=0.05
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_is_found_by_its_time(folder, name):
    if name == "uneven-0.mp4":
        times = (np.array(UNEVEN) - UNEVEN[0]) / 25
    else:
        times = np.arange(COUNT - first_number(folder / name)) / 25
    for shift in (0, 0.4 / 25, -0.4 / 25):
        assert [frame_at(folder / name, max(time + shift, 0)) for time in times] == list(range(len(times)))
    assert frame_at(folder / name, times[-1] + 3) >= len(times)


@pytest.mark.parametrize("name", ["front_index.mp4", "matroska-0.mkv", "stream-0.ts", "h264_in_avi-0.avi"])
@pytest.mark.parametrize("kept", [0.3, 0.45, 0.6, 0.75, 0.9, 0.97])
def test_a_video_that_is_cut_off_gives_right_frames_or_none(folder, tmp_path, name, kept):
    data = (folder / name).read_bytes()
    path = tmp_path / f"cut{name[-4:]}"
    path.write_bytes(data[: int(len(data) * kept)])
    found = shown(path, range(COUNT))
    assert all(number in (None, i) for i, number in enumerate(found))
    there = video_facts(path).frames
    assert found[there:] == [None] * (COUNT - there)
    assert sum(number is not None for number in found) > COUNT * kept / 2


def test_a_video_that_ends_too_early_says_how_long_it_is(folder):
    with pytest.raises(
        PictureError, match=r"plain-0\.mp4, frame 60: the video has 60 frames, the first is 0"
    ) as caught:
        VideoFrame(folder / "plain-0.mp4", 60).size()
    assert caught.value.reason == "damaged_image"
    with pytest.raises(PictureError, match="frame -1"):
        VideoFrame(folder / "plain-0.mp4", -1).read()


@pytest.fixture
def hurt(folder, tmp_path):
    """A video in which a disk lost the data of one of the frames 24 to 35, to which others refer."""
    data = bytearray((folder / "plain-0.mp4").read_bytes())
    with av.open(str(folder / "plain-0.mp4")) as container:
        packet = next(packet for place, packet in enumerate(container.demux(video=0)) if place == 28)
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path = tmp_path / "hurt.mp4"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["forward", "backward", "mixed"])
def test_damage_costs_the_frames_up_to_the_next_key_frame_and_no_other(hurt, order):
    numbers = list(range(COUNT))
    if order != "forward":
        numbers = numbers[::-1] if order == "backward" else random.Random(0).sample(numbers, COUNT)
    found = dict(zip(numbers, shown(hurt, numbers), strict=True))
    refused = {number for number, seen in found.items() if seen is None}
    assert {number: seen for number, seen in found.items() if seen is not None} == {
        i: i for i in set(numbers) - refused
    }
    assert {30, 35} <= refused <= set(range(25, 36))


def test_what_is_no_video_is_refused_by_name(tmp_path, folder):
    with pytest.raises(PictureError, match=r"gone\.mp4: the video is not there") as caught:
        VideoFrame(tmp_path / "gone.mp4", 0).size()
    assert caught.value.reason == "missing_image"
    data = (folder / "plain-0.mp4").read_bytes()
    for content in (b"", b"no video at all", data[: len(data) // 2]):
        (tmp_path / "bad.mp4").write_bytes(content)
        with pytest.raises(PictureError, match=r"bad\.mp4: FFmpeg cannot open it as a video") as caught:
            VideoFrame(tmp_path / "bad.mp4", 0).read()
        assert caught.value.reason == "damaged_image"


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(PictureError, match="holds no video stream"):
        video_facts(tmp_path / "sound.wav")


@pytest.mark.parametrize("matrix", [1, 5, 2], ids=["bt709", "bt601", "not stated"])
@pytest.mark.parametrize("value_range", [1, 2], ids=["limited", "full"])
def test_colours_follow_the_matrix_and_the_range_that_the_file_states(tmp_path, matrix, value_range):
    colors = [(200, 40, 90), (10, 220, 30), (30, 60, 240), (128, 128, 128)]
    path = tmp_path / "colours.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = {"qp": "1"}
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, value_range
        for i, color in enumerate(colors):
            container.mux(stream.encode(plane_frame(color, matrix, value_range, i)))
        container.mux(stream.encode())
    for i, color in enumerate(colors):
        assert np.abs(VideoFrame(path, i).read().astype(int) - color).max() <= 4


def plane_frame(rgb, matrix, value_range, number):
    """Return a frame of one colour, its planes filled as ITU-R BT.601 and BT.709 say."""
    red, green, blue = (value / 255 for value in rgb)
    kr, kb = (0.2126, 0.0722) if matrix == 1 else (0.299, 0.114)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    differences = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    base, spread, spread_of_colour = (16, 219, 224) if value_range == 1 else (0, 255, 255)
    frame = av.VideoFrame(64, 64, "yuv420p")
    values = [base + spread * luma, *(128 + spread_of_colour * value for value in differences)]
    for plane, value in zip(frame.planes, values, strict=True):
        np.frombuffer(plane, np.uint8)[:] = round(value)
    frame.pts, frame.time_base = number, Fraction(1, 25)
    return frame


def test_videos_that_come_in_turns_stay_open_up_to_a_bound(folder):
    names = [name for name in NAMES if name.endswith("-0.mp4")] + ["matroska-0.mkv"]
    assert len(names) > video.OPEN_DECODERS
    for number in range(3):
        assert [shown(folder / name, [number]) for name in names] == [[number]] * len(names)
    assert len(video._open_decoders.by_file) == video.OPEN_DECODERS


def test_threads_do_not_share_a_decoder(folder):
    found = {}

    def read(first):
        found[first] = shown(folder / "plain-0.mp4", range(first, COUNT, 2))

    threads = [threading.Thread(target=read, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {first: list(range(first, COUNT, 2)) for first in (0, 1)}


def test_a_video_that_was_replaced_is_read_anew(tmp_path):
    path = tmp_path / "video-0.mp4"
    write_video(path, pictures(5))
    assert shown(path, [4]) == [4]
    write_video(path, list(pictures(9))[::-1])
    assert (shown(path, [0]), video_facts(path).frames) == ([8], 9)


def test_a_frame_is_a_small_value(folder):
    frame = VideoFrame(folder / "plain-0.mp4", 7)
    frame.read()
    assert isinstance(frame, ContainedPicture)
    assert pickle.loads(pickle.dumps(frame)) == frame
    assert len(pickle.dumps(frame)) < 500


def someone():
    return Person(provenance=Provenance(file="labels.json", row="1"), labels=Labels())


def assembled(path, index, **words):
    place = Provenance(file="labels.json", row="frame")
    return list(assemble("key", VideoFrame(path, index), [someone(), someone()], place, **words))


def test_frames_of_videos_are_assembled_like_files(folder, tmp_path):
    (frame,) = assembled(folder / "plain-0.mp4", 3, quarter_turns=1)
    assert isinstance(frame, Frame)
    assert (frame.width, frame.height) == (128, 192)
    cases = {
        "missing_image": (tmp_path / "gone.mp4", 0, {}),
        "damaged_image": (folder / "plain-0.mp4", COUNT, {}),
        "image_size": (folder / "plain-0.mp4", 0, {"expected_size": (200, 128)}),
    }
    for reason, (path, index, words) in cases.items():
        (reject,) = assembled(path, index, **words)
        assert isinstance(reject, Reject)
        assert (reject.reason, reject.people) == (reason, 2)
        assert path.name in reject.detail


def test_labels_alone_need_no_video_where_they_tell_its_size(tmp_path):
    with labels_alone(True):
        (frame,) = assembled(tmp_path / "gone.mp4", 0, expected_size=(900, 800))
    assert (frame.width, frame.height) == (900, 800)
