"""Recorded time: from the clips of the catalog and the frame rates of the cards, and nothing where these are silent."""

import numpy as np
import pandas as pd

from ehps.cards import card_ids, load_card
from ehps.dashboard import durations, recorded
from ehps.shards.catalog import query

RATES = {"bedlam": 30.0, "ubody": 25.0, "gta_human2": None}
CLIPS = pd.DataFrame({"dataset": ["bedlam", "gta_human2", "mscoco"], "clips": [3, 1, 1], "frames": [10_800, 99, 5]})


def test_time_is_frames_by_rate_and_what_is_not_known_is_named():
    found = recorded.recorded(CLIPS, ["bedlam", "gta_human2", "mscoco"], RATES)
    assert found.seconds == {"bedlam": 360.0}
    assert found.total == 360.0
    assert found.unknown == ("gta_human2",)


def test_without_a_rate_there_is_no_time():
    found = recorded.recorded(CLIPS, ["gta_human2"], RATES)
    assert (found.total, found.unknown) == (None, ("gta_human2",))
    assert recorded.recorded(CLIPS, [], RATES).total is None


def test_a_clip_goes_from_its_first_to_its_last_frame(tree):
    clips = query(tree.catalog, recorded.CLIPS).set_index("dataset")
    np.testing.assert_array_equal(clips.loc["bedlam"].to_numpy(), [2, 7 + 5])  # frames 0 to 7, and 0 to 5
    np.testing.assert_array_equal(clips.loc["mscoco"].to_numpy(), [1, 4])


def test_only_video_has_a_rate():
    rates = recorded.frame_rates()
    assert rates["bedlam"] == 30
    assert rates["gta_human2"] is None
    assert "mscoco" not in rates
    assert all(load_card(name).images.video for name in card_ids() if load_card(name).images.frame_rate)


def test_hours_are_hours_from_one_hour_on():
    assert (durations.hours(59), durations.hours(3599), durations.hours(4_500_000)) == (
        "59 s",
        "59 min 59 s",
        "1,250.0 h",
    )
