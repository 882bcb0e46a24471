"""Charts say what their data says, in colours that everybody can tell apart."""

import numpy as np
import pandas as pd
import pytest

from ehps.dashboard import charts, theme


def layers(chart):
    return chart.to_dict()["layer"]


def test_the_chosen_model_stands_out_from_the_others():
    curves = pd.DataFrame({"model": ["a", "b"], "error": [1.0, 2.0], "share": [1.0, 0.5]})
    others, own = layers(charts.error_distribution(curves, "a", "mm"))
    assert (own["mark"]["color"], others["mark"]["color"]) == (theme.BLUE, theme.GREY)
    assert own["mark"]["strokeWidth"] > others["mark"]["strokeWidth"]
    assert own["encoding"]["y"]["scale"]["domain"] == [0, 1]


def test_errors_over_a_factor_have_a_band_and_a_line():
    names = ("low", "high", "middle", "q25", "median", "q75", "people")
    band, line = layers(charts.error_by_factor(pd.DataFrame({n: [1.0] for n in names}), "box height (px)", "mm"))
    assert (band["mark"]["type"], line["mark"]["type"]) == ("area", "line")


def test_rejects_are_bars_by_reason():
    spec = charts.rejects_by_reason(pd.DataFrame({"reason": ["empty_box"], "people": [3]})).to_dict()
    assert spec["encoding"]["y"]["field"] == "reason"


def seen(colour: str, missing: int) -> np.ndarray:
    """Linear RGB of a colour as seen without one cone type (Vienot, Brettel, Mollon 1999; 0 protan, 1 deutan)."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]) ** 2.2
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    lose = [
        [[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]],
    ]
    return np.linalg.inv(to_lms) @ np.array(lose[missing]) @ to_lms @ rgb


def hue(colour: str, missing: int) -> np.ndarray:
    """What is left of a colour's hue: its linear RGB without brightness."""
    rgb = seen(colour, missing)
    return rgb / rgb.sum()


@pytest.mark.parametrize("missing", [0, 1])
def test_best_and_worst_keep_their_hues_for_people_who_confuse_red_and_green(missing):
    assert np.abs(hue(theme.BLUE, missing) - hue(theme.VERMILION, missing)).max() > 0.5
    assert np.abs(hue("#D62728", missing) - hue("#2CA02C", missing)).max() < 0.25
