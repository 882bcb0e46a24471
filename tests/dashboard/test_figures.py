"""Small figures say the numbers of their tables, at heights and places that are those numbers."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehps.dashboard import distributions, figures, theme
from ehps.shards.analyses.sphere import AZIMUTHS, HEIGHTS, direction_cells
from ehps.tests.dashboard.test_distributions import sample


class Reader(HTMLParser):
    """What a browser would make of a figure: its elements and the words in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[dict[str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append({"tag": tag, **{name: value or "" for name, value in attrs}})

    def handle_data(self, data):
        self.words.append(data)

    def of(self, name: str) -> list[dict[str, str]]:
        return [element for element in self.elements if name in element.get("class", "").split()]

    def says(self) -> list[str]:
        return [element["data-says"] for element in self.elements if "data-says" in element]


def two_groups(own: list[float], others: list[float], width: float = 2.0) -> pd.DataFrame:
    rows = [(is_this, i * width, (i + 1) * width, share) for is_this, shares in ((True, own), (False, others))
            for i, share in enumerate(shares) if share]  # fmt: skip
    return pd.DataFrame(rows, columns=["is_this", "low", "high", "share"])


def outline(element: dict[str, str]) -> np.ndarray:
    """Return the corners of a polygon, per cent from the left and from below."""
    points = re.search(r"polygon\(([^)]*)\)", element["style"])[1].split(", ")
    corners = np.array([[float(number.rstrip("%")) for number in point.split()] for point in points])
    return np.stack([corners[:, 0], 100 - corners[:, 1]], axis=1)


shares = st.lists(st.floats(0.001, 1), min_size=1, max_size=36)


@given(own=shares, others=shares)
def test_every_bar_is_as_high_as_its_share_and_says_it(own, others):
    own[-1] = others[0] = 0.5
    figure = Reader(figures.histogram(two_groups(own, others), "box height (px)", "BEDLAM"))
    count, top = max(len(own), len(others)), max(*own, *others)
    for element, part, colour in zip(figure.of("area"), (others, own), (theme.GREY, theme.BLUE), strict=True):
        corners = outline(element)[1:-1]
        padded = np.pad(part, (0, count - len(part)))
        np.testing.assert_allclose(corners[:, 1], np.repeat(100 * padded / top, 2), atol=0.006)
        np.testing.assert_allclose(corners[::2, 0], 100 * np.arange(count) / count, atol=0.006)
        assert colour in element["style"]
    says = figure.says()
    assert len(says) == count
    assert says[0] == f"0 to 2\nBEDLAM: {own[0]:.2%}\nall other sources: {others[0]:.2%}"


def test_a_source_that_nobody_else_stands_beside_has_a_histogram():
    figure = Reader(figures.histogram(two_groups([0.25, 0.0, 0.75], []), "distance (m)", "A"))
    assert [text.split("\n")[1:] for text in figure.says()] == [
        ["A: 25.00%", "all other sources: 0.00%"],
        ["A: 0.00%", "all other sources: 0.00%"],
        ["A: 75.00%", "all other sources: 0.00%"],
    ]
    assert figure.words[-1] == "distance (m)"


def test_names_of_others_stay_words():
    name = '<img src=x onerror="alert(1)">'
    for text in (
        figures.histogram(two_groups([1.0], [1.0]), "x", name),
        figures.sphere(direction_cells({name: sample(3)}), name),
        figures.shape_spread(distributions.shape_spread({name: sample(3), "b": sample(2)}, name), name),
    ):
        figure = Reader(text)
        assert not any(element["tag"] == "img" for element in figure.elements)
        assert name in figure.words


def area(corners: np.ndarray) -> float:
    """The area within a polygon (shoelace formula)."""
    x, y = corners.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def test_the_sphere_has_a_cell_for_each_part_of_it_and_the_fullest_is_the_strongest():
    cells = direction_cells({"a": sample(5)}).iloc[::-1]  # in any order
    drawn = Reader(figures.sphere(cells, "a")).of("patch")
    assert len(drawn) == AZIMUTHS * HEIGHTS
    [full] = [cell for cell in drawn if "100.0% of people" in cell["title"]]
    assert "srgb, #1B80C0 100%" in full["style"]
    fullest = cells.loc[cells["share"].idxmax()]
    middle = outline(full).mean(axis=0)
    where = (fullest["azimuth"] + fullest["azimuth_to"]) / 2, (fullest["height"] + fullest["height_to"]) / 2
    np.testing.assert_allclose(middle, figures.mollweide(*where), atol=0.5)
    first = next(cell for cell in drawn if cell["title"].startswith("-180\N{DEGREE SIGN} to -165"))
    assert "-90\N{DEGREE SIGN} to -49\N{DEGREE SIGN} up" in " ".join(cell["title"] for cell in drawn)
    assert outline(first)[:, 0].min() == pytest.approx(min(outline(cell)[:, 0].min() for cell in drawn), abs=20)


def test_cells_of_one_area_have_one_area_on_the_map_and_fill_its_ellipse():
    drawn = Reader(figures.sphere(direction_cells({"a": sample(5)}), "a")).of("patch")
    areas = np.array([area(outline(cell)) for cell in drawn])
    assert areas.sum() == pytest.approx(np.pi * 50 * 50, rel=0.01)  # per cent of width times per cent of height
    polar = np.array(["90\N{DEGREE SIGN} up" in cell["title"] or " -90\N{DEGREE SIGN} to" in cell["title"]
                      for cell in drawn])  # fmt: skip
    np.testing.assert_allclose(areas[~polar], np.pi * 2500 / len(drawn), rtol=0.01)


@given(azimuth=st.floats(-180, 180), sine=st.floats(-1, 1))
def test_the_map_is_mollweides(azimuth, sine):
    x, y = figures.mollweide(azimuth, sine)
    angle = np.arcsin(np.clip((y - 50) / 50, -1, 1))
    assert 2 * angle + np.sin(2 * angle) == pytest.approx(np.pi * sine, abs=1e-6)
    assert x == pytest.approx(50 + 50 * azimuth / 180 * np.cos(angle), abs=1e-6)
    assert ((x - 50) / 50) ** 2 + ((y - 50) / 50) ** 2 <= 1 + 1e-9


def test_boxes_of_shapes_stand_where_their_quantiles_are():
    rng = np.random.default_rng(0)
    samples = {"own": sample(3), "b": sample(3)}
    table = distributions.shape_spread(samples, "own")
    levels = np.sort(rng.normal(0, 2, (len(table), 5)), axis=1)
    table[["p05", "p25", "median", "p75", "p95"]] = levels
    figure = Reader(figures.shape_spread(table, "Own"))
    axis = {float(word): float(span["style"].split(":")[1].rstrip("%")) for word, span in
            zip(figure.words[2:], figure.of("up"), strict=False)}  # fmt: skip
    (low, at_low), *_, (high, at_high) = axis.items()
    whiskers = [element["style"] for element in figure.elements if "width:1px" in element.get("style", "")]
    found = np.array(
        [[float(number) for number in re.findall(r"(?:bottom|height):([-\d.]+)%", style)] for style in whiskers]
    )
    scale = (at_high - at_low) / (high - low)
    expected = table.sort_values(["beta", "is_this"], ascending=[True, False])
    np.testing.assert_allclose(found[:, 0], at_low + (expected["p05"] - low) * scale, atol=0.02)
    np.testing.assert_allclose(found[:, 1], (expected["p95"] - expected["p05"]) * scale, atol=0.02)
    first = expected.iloc[0]
    assert f"Own: {first['median']:.2f} ({first['p25']:.2f} to {first['p75']:.2f})" in figure.says()[0]


def test_shapes_that_are_all_alike_are_drawn():
    text = figures.shape_spread(distributions.shape_spread({"own": sample(3, beta=0.0)}, "own"), "Own")
    assert "nan" not in text
    assert len(Reader(text).says()) == 10


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), count=st.integers(2, 9))
def test_ticks_are_round_evenly_spaced_and_within(low, span, count):
    found = figures.ticks(low + span, count, low)
    assert 1 <= len(found) <= count + 1
    assert all(low - 1e-6 * span <= value <= low + span * (1 + 1e-6) for value in found)
    steps = np.diff(found)
    if len(steps):
        assert steps == pytest.approx(steps[0], rel=1e-6, abs=1e-9)
        mantissa = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
        assert min(abs(mantissa - round_one) for round_one in (1, 2, 2.5, 5, 10)) < 1e-3


def test_bars_are_as_long_as_their_counts_and_divided_by_them():
    rows = {"bedlam <train>": {"done": 30, "failed": 10, "queued": 0}, "agora": {"done": 20, "failed": 0}, "none": {}}
    colours = {"failed": "#D55E00", "queued": "#8A94A3", "done": "#009E73"}
    figure = Reader(figures.stacked(rows, colours, "Units by state"))
    assert figure.says() == ["bedlam <train>: 10 failed", "bedlam <train>: 30 done", "agora: 20 done"]
    flex = [int(re.search(r"flex:(\d+)", element["style"])[1]) for element in figure.elements if "data-says" in element]
    assert flex == [10, 30, 20]
    lengths = [float(re.search(r"width:([\d.]+)%", bar["style"])[1]) for bar in figure.of("bar")]
    assert lengths == [90.0, 45.0, 0.0]
    assert figure.words == ["failed", "done", "bedlam <train>", "40", "agora", "20", "none", "0"]
    assert figures.stacked({}, colours, "nothing")


def test_shares_have_a_mark_where_they_should_be():
    rows = [("a <b>", 0.5, 0.25, 1000), ("c", 0.125, 1.0, 2), ("d", 0.375, None, 3)]
    members = pd.DataFrame(rows, columns=["member", "share", "wanted", "people"])
    figure = Reader(figures.shares(members, "wanted", ("consumed", "wanted"), "Shares"))
    assert figure.says() == [
        "a <b>\n1,000 people\n50.00% consumed\n25.00% wanted",
        "c\n2 people\n12.50% consumed\n100.00% wanted",
        "d\n3 people\n37.50% consumed",
    ]
    assert figure.words == ["consumed", "wanted", "a <b>", "50.0%", "c", "12.5%", "d", "37.5%"]
    styles = [element.get("style", "") for element in figure.elements]
    bars = [
        float(re.search(r"width:([\d.]+)%", style)[1]) for style in styles if theme.BLUE in style and "left:0" in style
    ]
    marks = [float(re.search(r"left:calc\(([\d.]+)%", style)[1]) for style in styles if "width:3px" in style]
    assert (bars, marks) == ([50.0, 12.5, 37.5], [25.0, 100.0])
    unknown = members.assign(wanted=np.nan)
    assert "wanted" not in Reader(figures.shares(unknown, "wanted", ("consumed", "wanted"), "Shares")).words
