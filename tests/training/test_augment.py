"""Random changes of a sample."""

import numpy as np

from ehps.training.augment import NO_AUGMENTATION, NO_RANGE, AugmentationRange, draw, draw_all


def test_a_position_always_draws_the_same_change():
    assert draw(7, 123456789) == draw(7, 123456789)


def test_neighbouring_positions_and_seeds_draw_different_changes():
    drawn = {draw(seed, position) for seed in (1, 2) for position in range(50)}
    assert len(drawn) == 100


def test_no_range_means_no_change():
    assert all(draw(0, position, NO_RANGE) == NO_AUGMENTATION for position in range(20))


def test_the_changes_fill_the_ranges_of_the_papers():
    drawn = [draw(3, position) for position in range(4000)]
    scales, turns = np.array([a.scale for a in drawn]), np.array([a.rotation for a in drawn])
    colours = np.array([a.colour for a in drawn])
    assert (scales.min(), scales.max()) == (0.75, 1.25)
    assert (turns.min(), turns.max()) == (-60.0, 60.0)
    assert abs((turns != 0).mean() - 0.6) < 0.03
    assert abs(np.mean([a.is_flipped for a in drawn]) - 0.5) < 0.03
    assert 0.8 <= colours.min() < 0.81
    assert 1.19 < colours.max() <= 1.2
    assert abs(np.corrcoef(scales, turns)[0, 1]) < 0.05


def test_a_narrower_range_is_kept():
    ranges = AugmentationRange(scale=0.1, rotation=5.0)
    drawn = [draw(0, position, ranges) for position in range(500)]
    assert max(abs(a.rotation) for a in drawn) <= 10
    assert max(a.scale for a in drawn) <= 1.1


STRONG = AugmentationRange(
    brightness=0.3,
    contrast=0.4,
    saturation=0.5,
    hue=20.0,
    blur_probability=0.3,
    jpeg_probability=0.4,
    occlusion_probability=0.5,
)


def test_the_changes_of_many_positions_are_those_of_each():
    positions = np.array([5, 10**12, 7])
    assert draw_all(9, positions, STRONG) == [draw(9, int(position), STRONG) for position in positions]


def test_the_stronger_changes_are_off_unless_asked_for():
    plain, strong = draw_all(3, np.arange(50), AugmentationRange()), draw_all(3, np.arange(50), STRONG)
    tones = ("brightness", "contrast", "saturation", "hue", "blur", "jpeg_quality", "occluders")
    assert all(getattr(a, name) == getattr(NO_AUGMENTATION, name) for a in plain for name in tones)
    # They do not change what else is drawn.
    assert [(a.scale, a.rotation, a.is_flipped, a.colour) for a in plain] == [
        (a.scale, a.rotation, a.is_flipped, a.colour) for a in strong
    ]


def test_the_stronger_changes_fill_their_ranges():
    drawn = draw_all(3, np.arange(4000), STRONG)
    tones = np.array([(a.brightness, a.contrast, a.saturation, a.hue) for a in drawn])
    np.testing.assert_allclose(tones.min(axis=0), [0.7, 0.6, 0.5, -20], atol=0.01 * 20)
    np.testing.assert_allclose(tones.max(axis=0), [1.3, 1.4, 1.5, 20], atol=0.01 * 20)
    assert np.abs(np.corrcoef(tones.T) - np.eye(4)).max() < 0.06
    blurs, qualities = np.array([a.blur for a in drawn]), np.array([a.jpeg_quality for a in drawn])
    assert abs((blurs > 0).mean() - 0.3) < 0.03
    assert 0.3 <= blurs[blurs > 0].min() < 0.35
    assert 1.9 < blurs.max() <= 2
    assert abs((qualities > 0).mean() - 0.4) < 0.03
    assert (qualities[qualities > 0].min(), qualities.max()) == (30, 95)
    counts = np.bincount([len(a.occluders) for a in drawn]) / len(drawn)
    np.testing.assert_allclose(counts, [0.5, 0.25, 0.25], atol=0.03)


def test_rectangles_lie_in_the_crop():
    for change in draw_all(1, np.arange(300), STRONG):
        for box in change.occluders:
            assert 0 <= box.x0 <= box.x0 + box.width <= 1
            assert 0 <= box.y0 <= box.y0 + box.height <= 1
            assert 0.1 <= min(box.width, box.height) <= max(box.width, box.height) <= 0.4
