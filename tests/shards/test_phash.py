"""The perceptual hash, on pictures made here: what may change without changing it, and what may not."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.shards.phash import NO_HASH, hamming, perceptual_hash


def scene(seed: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A grey picture with large and small structure: a gradient, discs and rectangles, fine noise."""
    rng = np.random.default_rng(seed)
    canvas = np.add.outer(
        np.linspace(0, rng.uniform(-60, 60), height), np.linspace(100, 100 + rng.uniform(-60, 60), width)
    )
    for _ in range(12):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        size, grey = int(rng.integers(10, 90)), float(rng.integers(20, 230))
        if rng.random() < 0.5:
            cv2.circle(canvas, (x, y), size // 2, grey, -1)
        else:
            cv2.rectangle(canvas, (x, y), (x + size, y + 2 * size), grey, -1)
    return np.clip(canvas + rng.normal(0, 3, canvas.shape), 0, 255).astype(np.uint8)


def distance(a: np.ndarray, b: np.ndarray) -> int:
    first, second = (np.array([perceptual_hash(picture)], np.uint64) for picture in (a, b))
    return int(hamming(first, second)[0])


def scaled(picture: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA).astype(np.uint8)


def brightened(picture: np.ndarray, factor: float, offset: float = 0) -> np.ndarray:
    return np.clip(picture * factor + offset, 0, 255).astype(np.uint8)


def recompressed(picture: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return decoded.astype(np.uint8)


@pytest.mark.parametrize("seed", range(8))
def test_what_a_copy_on_the_web_goes_through_changes_few_bits(seed):
    original = scene(seed)
    assert distance(original, scaled(original, 1 / 8)) <= 4
    assert distance(original, scaled(original, 0.37)) <= 4
    assert distance(original, recompressed(original, 30)) <= 2
    assert distance(original, brightened(original, 1, 9)) <= 4
    assert distance(original, brightened(original, 0.85)) <= 2
    assert distance(original, recompressed(scaled(brightened(original, 0.9), 0.5), 50)) <= 4


def test_other_pictures_differ_in_many_bits():
    hashes = np.array([perceptual_hash(scene(seed)) for seed in range(60)], np.uint64)
    distances = hamming(hashes[:, None], hashes[None])[~np.eye(60, dtype=bool)]
    assert distances.min() > 8
    assert 28 < distances.mean() < 36


@pytest.mark.real
def test_copies_of_real_photographs_are_near_and_others_are_not(real_dir):
    found = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(real_dir.rglob("*.jpg"))]
    photographs = [picture.astype(np.uint8) for picture in found if picture is not None]
    if len(photographs) < 2:
        pytest.skip(f"{real_dir} holds fewer than two JPEGs")
    for photograph in photographs:
        copy = recompressed(scaled(brightened(photograph, 1.05, 6), 1 / 3), 50)
        assert distance(photograph, copy) <= 4
    hashes = np.array([perceptual_hash(photograph) for photograph in photographs], np.uint64)
    assert hamming(hashes[:, None], hashes[None])[~np.eye(len(hashes), dtype=bool)].min() > 8


def test_a_mirrored_or_turned_picture_is_another_one():
    original = scene(3)
    assert distance(original, np.ascontiguousarray(original[:, ::-1])) > 12
    assert distance(original, np.ascontiguousarray(np.rot90(original))) > 12


def test_a_hash_is_known_forever():
    picture = (np.add.outer(np.arange(96) * 2, np.arange(64) * 3) % 251).astype(np.uint8)
    assert perceptual_hash(picture) == 0xC0392C732C6739BB


@pytest.mark.parametrize("grey", [0, 17, 255])
def test_a_picture_without_contrast_has_no_hash(grey):
    flat = np.full((50, 70), grey, np.uint8)
    assert perceptual_hash(flat) == NO_HASH
    noisy = np.clip(flat + np.random.default_rng(0).integers(-3, 4, flat.shape), 0, 255).astype(np.uint8)
    assert perceptual_hash(noisy) == NO_HASH


def test_a_picture_of_no_size_is_refused():
    with pytest.raises(ValueError, match="0x4 px has no hash"):
        perceptual_hash(np.zeros((0, 4), np.uint8))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32))
def test_any_size_has_a_hash_of_64_balanced_bits(rows, columns, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    found = perceptual_hash(picture)
    assert 0 <= found < 2**64
    assert found.bit_count() <= 32
    assert distance(picture, np.repeat(np.repeat(picture, 3, 0), 2, 1)) == 0


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.integers(0, 2**64 - 1))
def test_hamming_counts_bits(values, other):
    found = hamming(np.array(values, np.uint64), np.array([other], np.uint64))
    assert found.tolist() == [(value ^ other).bit_count() for value in values]
