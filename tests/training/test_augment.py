"""Random changes of a sample."""

import numpy as np

from ehps.training.augment import NO_AUGMENTATION, NO_RANGE, AugmentationRange, draw


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
