"""Damaged and unsupported JPEGs are refused by name: nothing crashes, hangs, or passes as another picture."""

import io
import random
import shutil
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import ehps.shards
from ehps.errors import PictureError
from ehps.shards.jpeg import map_tiles, tile_jpeg

NATIVE = Path(ehps.shards.__file__).parent / "native"
KINDS = {
    "baseline": {},
    "restarts": {"restart_marker_blocks": 2},
    "progressive": {"progressive": True},
    "progressive with restarts": {"progressive": True, "restart_marker_blocks": 3},
    "optimised": {"optimize": True},
}


def jpeg(kind: str, size: tuple[int, int] = (70, 50), mode: str = "RGB") -> bytes:
    noise = np.random.default_rng(3).normal(128, 60, (size[1], size[0], 3))
    pixels = np.clip(cv2.GaussianBlur(noise, (0, 0), 1) + np.arange(size[0])[:, None], 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "jpeg", quality=80, **KINDS[kind])
    return buffer.getvalue()


def refusal(data: bytes) -> PictureError:
    with pytest.raises(PictureError) as error:
        tile_jpeg(data, "scene/1.jpg")
    assert str(error.value).startswith("scene/1.jpg: the JPEG cannot be used: ")
    return error.value


def frame_at(data: bytes) -> int:
    """Where the SOF marker stands."""
    return max(data.find(b"\xff\xc0\x00\x11\x08"), data.find(b"\xff\xc2\x00\x11\x08"))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_cut_off_anywhere_is_damaged(kind):
    data = jpeg(kind)
    for length in range(len(data)):
        assert refusal(data[:length]).reason == "damaged_image"


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_cut_off_and_ended_is_damaged_too(kind):
    data = jpeg(kind)
    first_scan = data.find(b"\xff\xda") + 14
    for length in range(first_scan, len(data) - 4):
        assert refusal(data[:length] + b"\xff\xd9").reason == "damaged_image"


def test_a_progressive_jpeg_without_its_last_scans_is_damaged():
    data = jpeg("progressive")
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    assert len(scans) == 10
    for scan in scans[1:]:
        before = data[:scan].rfind(b"\xff\xc4") if b"\xff\xc4" in data[scan - 80 : scan] else scan
        assert "scans are missing" in str(refusal(data[:before] + b"\xff\xd9"))
    twice = data[: scans[1]] + data[scans[1] : scans[2]] * 2 + data[scans[2] :]
    assert "repeats or skips" in str(refusal(twice))


@pytest.mark.parametrize(
    ("marker", "words"),
    [(0xC3, "lossless"), (0xC5, "hierarchical"), (0xC7, "hierarchical"), (0xC9, "arithmetic"), (0xCA, "arithmetic")],
)
def test_other_processes_are_refused_by_name(marker, words):
    data = jpeg("baseline")
    error = refusal(patched(data, frame_at(data) + 1, bytes([marker])))
    assert (error.reason, words in str(error)) == ("unsupported_image", True)


@pytest.mark.parametrize(
    ("offset", "new", "reason", "words"),
    [
        (4, b"\x0c", "unsupported_image", "12 bits a sample"),
        (5, b"\0\0", "unsupported_image", "DNL"),
        (7, b"\0\0", "damaged_image", "no width"),
        (9, b"\x02", "unsupported_image", "2 components"),
        (9, b"\x04", "damaged_image", "cut off"),
        (11, b"\x00", "damaged_image", "malformed"),
        (11, b"\x51", "damaged_image", "malformed"),
        (11, b"\x44", "unsupported_image", "more than one scan may hold"),
        (14, b"\x31", "unsupported_image", "sampled 3x1 of 3x2"),
        (12, b"\x03", "damaged_image", "quantisation table that is not there"),
        (13, b"\x01", "damaged_image", "two components have the number 1"),
    ],
)
def test_a_frame_header_that_cannot_be_used_says_why(offset, new, reason, words):
    data = jpeg("baseline")
    error = refusal(patched(data, frame_at(data) + offset, new))
    if words.startswith("sampled"):
        assert "sampled" in str(error)
    else:
        assert words in str(error)
    assert error.reason == reason


@pytest.mark.parametrize("kind", ["baseline", "progressive"])
def test_a_header_that_lies_about_the_size_costs_neither_time_nor_memory(kind):
    data = jpeg(kind)
    start = time.perf_counter()
    error = refusal(patched(data, frame_at(data) + 5, b"\xff\xdc\xff\xdc"))
    assert "cannot hold 65500 x 65500 px" in str(error)
    assert refusal(patched(data, frame_at(data) + 5, b"\x01\x00\x02\x00")).reason == "damaged_image"
    assert time.perf_counter() - start < 0.5


def test_a_missing_or_misplaced_restart_marker_is_damage():
    data = jpeg("restarts", (200, 50))
    for marker in (b"\xff\xd0", b"\xff\xd3"):
        assert "restart marker" in str(refusal(data.replace(marker, b"", 1)))
        assert "restart marker" in str(refusal(data.replace(marker, b"\xff\xd7", 1)))
    assert "restart markers" in str(refusal(jpeg("restarts").replace(b"\xff\xdd\0\4\0\2", b"\xff\xdd\0\4\0\3")))


def test_tables_that_cannot_be_are_damage():
    data = jpeg("baseline")
    books = data.find(b"\xff\xc4")
    assert "more codes than there can be" in str(refusal(patched(data, books + 5, b"\x03\0\2")))
    assert "Huffman table is malformed" in str(refusal(patched(data, books + 4, b"\x24")))
    assert "not there" in str(refusal(patched(data, books + 4, b"\x03")))
    steps = data.find(b"\xff\xdb")
    assert "holds a zero" in str(refusal(patched(data, steps + 20, b"\0")))
    assert "quantisation table is malformed" in str(refusal(patched(data, steps + 4, b"\x07")))


def test_many_bytes_that_no_block_claims_are_damage():
    data = jpeg("baseline")
    assert "bytes are left" in str(refusal(data[:-2] + bytes(100) + data[-2:]))


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Change, drop or double a few bytes, mostly where the headers are."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(2, len(out) if rng.random() < 0.5 else min(700, len(out)))
        action = rng.random()
        if action < 0.7:
            out[at] = rng.choice([0, 0xFF, rng.randrange(256), out[at] ^ 1 << rng.randrange(8)])
        elif action < 0.85:
            del out[at : at + rng.choice([1, 2, 20])]
        else:
            out[at:at] = out[at : at + rng.choice([1, 2, 20])]
    return bytes(out)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_refused_still_shows_the_same_picture(kind):
    rng, data, passed = random.Random(kind), jpeg(kind), 0
    for _ in range(600):
        broken = mutated(data, rng)
        map_tiles(broken)
        try:
            tiled = tile_jpeg(broken)
        except PictureError:
            continue
        before, after = (cv2.imdecode(np.frombuffer(d, np.uint8), cv2.IMREAD_UNCHANGED) for d in (broken, tiled.data))
        if before is not None:
            passed += 1
            np.testing.assert_array_equal(before, after)
    assert passed > 20


DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
#include "jpeg.h"
tiled *ehps_tile_jpeg(const uint8_t *data, size_t size);
tiled *ehps_map_tiles(const uint8_t *data, size_t size);
void ehps_free_tiled(tiled *result);
int64_t ehps_window_jpeg(const cut *c, uint8_t *out);
int32_t ehps_decode_window(const cut *c, int32_t reduce, uint8_t *pixels);

static void *copied(const uint8_t *data, int64_t size)
{
    return memcpy(malloc(size ? (size_t)size : 1), data, (size_t)size);
}

// Cut a window out of the tiles and decode it, of damaged bytes every other time.
static void cut_window(const tiled *t, unsigned long long state)
{
    int tiles = ((t->width - 1) / t->mcu_width + 1) / t->restart_mcus, row0 = (int)((state >> 9) % (unsigned)t->rows);
    const uint32_t *offsets = t->row_offsets + row0;
    int64_t size = (int64_t)offsets[t->rows - row0] - offsets[0];
    uint8_t *header = copied(t->data, t->header_size), *rows = copied(t->data + offsets[0], size), keep[8192] = {0};
    if (state & 1 << 20)
        header[(state >> 22) % (unsigned)t->header_size] ^= (uint8_t)(state >> 40);
    if (state & 1 << 21)
        rows[(state >> 32) % (unsigned long long)size] ^= (uint8_t)(state >> 40);
    int tile0 = (int)((state >> 24) % (unsigned)tiles);
    cut c = {header, rows, t->header_size, size, offsets, t->rows - row0, tiles, tile0, tiles, t->restart_mcus,
             t->width - tile0 * t->restart_mcus * t->mcu_width, t->height - row0 * t->mcu_height,
             state & 1 << 19 ? keep : NULL};
    for (unsigned i = 0; i < sizeof keep; i++)
        keep[i] = i % 3 == 0;
    uint8_t *out = malloc((size_t)(c.header_size + size + 2 * c.row_count + 2));
    ehps_window_jpeg(&c, out);
    int reduce = 1 << (state >> 44 & 3);
    int columns = (c.width + reduce - 1) / reduce, lines = (c.height + reduce - 1) / reduce;
    uint8_t *pixels = malloc(3 * (size_t)columns * (size_t)lines);
    ehps_decode_window(&c, reduce, pixels);
    free(header), free(rows), free(out), free(pixels);
}

static void try_one(const uint8_t *data, size_t size, unsigned long long state)
{
    uint8_t *exact = malloc(size ? size : 1);  // so that one byte too many is noticed
    memcpy(exact, data, size);
    tiled *result = ehps_tile_jpeg(exact, size);
    if (result->status == GOOD) {
        tiled *again = ehps_map_tiles(result->data, (size_t)result->size);
        if (again->status != GOOD)
            abort();
        cut_window(result, state);
        ehps_free_tiled(again);
    }
    ehps_free_tiled(result);
    ehps_free_tiled(ehps_map_tiles(exact, size));
    free(exact);
}

int main(int count, char **paths)
{
    static uint8_t data[1 << 20], changed[1 << 20];
    unsigned long long state = 88172645463325252ull;
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        for (int round = 0; round < 4000; round++) {
            memcpy(changed, data, size);
            for (int k = 0; k <= round % 4; k++) {
                state ^= state << 13, state ^= state >> 7, state ^= state << 17;
                changed[(state >> 20) % (k % 2 ? size : size < 700 ? size : 700)] = (uint8_t)(state >> 8);
            }
            try_one(changed, round % 5 ? size : (size_t)(state >> 30) % size, state);
        }
    }
    return 0;
}
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc with its sanitizers")
def test_no_mutation_makes_the_transcoder_touch_what_is_not_its_own(tmp_path):
    driver, program = tmp_path / "driver.c", tmp_path / "driver"
    driver.write_text(DRIVER)
    flags = "-std=c11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all".split()
    sources = [str(path) for path in [*sorted(NATIVE.glob("jpeg*.c")), NATIVE / "crc32.c", NATIVE / "cpu.c"]]
    build = ["gcc", *flags, f"-I{NATIVE}", "-o", str(program), str(driver), *sources]
    made = subprocess.run(build, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"gcc cannot build with sanitizers: {made.stderr.splitlines()[-1]}")
    paths = []
    for kind in KINDS:
        for mode in ("RGB", "L", "CMYK"):
            paths.append(tmp_path / f"{kind}-{mode}.jpg")
            paths[-1].write_bytes(jpeg(kind, (50, 30), mode))
    run = subprocess.run([str(program), *map(str, paths)], capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
