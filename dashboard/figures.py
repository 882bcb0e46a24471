"""Small figures as HTML: a table goes in, a text comes out, and the browser lays it out with the rest of the page.

A page of ten charts of a chart library keeps a browser busy for a second; these take none. Bars and cells say their
numbers where the pointer rests. Colours are those of ``charts``, words take the colour of the theme. Nothing here knows
Streamlit; every word of others is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape

import pandas as pd

from .theme import BLUE, GREY, ORANGE, VERMILION

OTHERS = "all other sources"
_HEIGHT = 150  # px, of what is between the axes
_TICKS = 6
_BENDS = 4  # straight pieces of a cell's side
_STEPS = (1, 2, 2.5, 5, 10)
_DEGREE = "\N{DEGREE SIGN}"

STYLE = f"""<style>
.figure {{font-size: 0.72rem; line-height: 1.2; margin: 0 0 0.4rem 0;}}
.figure .legend {{display: flex; flex-wrap: wrap; gap: 0 1rem; min-height: 1.3rem; padding-left: 2.6rem;}}
.figure .legend i {{display: inline-block; width: 0.6rem; height: 0.6rem; border-radius: 2px; margin-right: 0.35rem;}}
.figure .plot {{position: relative; height: {_HEIGHT}px; margin: 0.2rem 0.4rem 1.3rem 2.6rem;}}
.figure .plot > * {{position: absolute;}}
.figure .area {{inset: 0;}}
.figure .line {{left: 0; right: 0; height: 0; border-top: 1px solid currentColor; opacity: 0.13;}}
.figure .up {{right: calc(100% + 0.35rem); transform: translateY(50%); white-space: nowrap; opacity: 0.7;}}
.figure .along {{top: calc(100% + 0.25rem); transform: translateX(-50%); white-space: nowrap; opacity: 0.7;}}
.figure .along.first {{transform: none;}}
.figure .along.last {{transform: translateX(-100%);}}
.figure .title {{text-align: center; opacity: 0.85; padding-left: 2.6rem;}}
.figure .parts {{inset: 0; display: grid;}}
.figure .part:hover {{background: color-mix(in srgb, currentColor 14%, transparent);}}
.figure.globe {{max-width: 34rem;}}
.figure.globe .plot {{height: auto; aspect-ratio: 2;}}
.figure .patch {{inset: 0;}}
.figure .patch:hover {{filter: brightness(0.75);}}
.figure .meridian {{border: 1px solid currentColor; border-radius: 50%; opacity: 0.13; pointer-events: none;}}
.figure .rows {{display: grid; grid-template-columns: max-content 1fr; gap: 0.4rem 0.6rem; align-items: center;}}
.figure .row {{position: relative; display: flex; align-items: center; gap: 0.4rem;}}
.figure .rows.three {{grid-template-columns: minmax(0, max-content) 1fr max-content;}}
.figure .rows .name {{overflow: hidden; text-overflow: ellipsis; white-space: nowrap;}}
.figure .row.beside {{height: 1.1rem; background: color-mix(in srgb, currentColor 5%, transparent);}}
.figure .beside > * {{position: absolute; pointer-events: none;}}
.figure .bar {{display: flex; height: 0.9rem; min-width: 2px;}}
.figure .bar div {{min-width: 2px;}}
.figure .bar div:hover {{filter: brightness(1.15);}}
.figure [data-says]:hover::after {{content: attr(data-says); position: absolute; z-index: 1; top: 0; right: 0;
 padding: 0.15rem 0.4rem; border-radius: 4px; background: #17212F; color: #FFFFFF; pointer-events: none;
 opacity: 0.94; white-space: pre;}}
</style>"""


def histogram(bins: pd.DataFrame, title: str, name: str) -> str:
    """Return two distributions on one axis: one source in colour, all others in grey.

    Columns: ``low``, ``high`` (edges of bins of one width from 0 on, in the unit of the title), ``is_this``, ``share``
    (of the group).
    """
    width = float((bins["high"] - bins["low"]).iloc[0])
    count = round(max(bins["high"]) / width)
    shares = {is_this: [0.0] * count for is_this in (True, False)}
    for low, is_this, share in zip(bins["low"], bins["is_this"], bins["share"], strict=True):
        shares[bool(is_this)][round(low / width)] = float(share)
    top = max(map(max, shares.values()))
    steps = ticks(top, 4)
    names = {True: name, False: OTHERS}
    says = [
        "\n".join(
            [f"{_number(i * width)} to {_number((i + 1) * width)}", *(f"{names[k]}: {shares[k][i]:.2%}" for k in names)]
        )
        for i in range(count)
    ]
    grey, blue = (_area(shares[is_this], top, colour) for is_this, colour in ((False, GREY), (True, BLUE)))
    inside = [*_levels({step / top: f"{100 * step:g}%" for step in steps}), grey, blue]
    inside += _along({value / (count * width): _number(value) for value in ticks(count * width, _TICKS)})
    inside.append(_parts(says, f"grid-template-columns: repeat({count}, 1fr)"))
    return _figure(inside, f"{title} in this source and in all others", legend={name: BLUE, OTHERS: GREY}, title=title)


def _area(shares: Sequence[float], top: float, colour: str) -> str:
    """Return bars that stand side by side, as one outline."""
    corners = ["0 100%"]
    for i, share in enumerate(shares):
        height = 100 * (1 - share / top)
        corners += [f"{100 * k / len(shares):.2f}% {height:.2f}%" for k in (i, i + 1)]
    outline = ", ".join([*corners, "100% 100%"])
    return f'<div class="area" style="background:{colour};opacity:0.6;clip-path:polygon({outline})"></div>'


def sphere(cells: pd.DataFrame, name: str) -> str:
    """Return from where the camera sees people, on the sphere around the body as Mollweide laid it flat in 1805.

    Columns of ``analyses.sphere.direction_cells``: all cells, of one area, which the map keeps.
    """
    most = max(float(max(cells["share"])), 1e-9)
    drawn = []
    for azimuth, to, low, high, share in cells[["azimuth", "azimuth_to", "height", "height_to", "share"]].to_numpy(
        float
    ):
        strength = 100 * (0.04 + 0.96 * math.sqrt(share / most))
        where = f"{azimuth:.0f}{_DEGREE} to {to:.0f}{_DEGREE} around, {_elevation(low)} to {_elevation(high)} up"
        drawn.append(
            f'<div class="patch" title="{where}\n{share:.1%} of people" style="clip-path:polygon('
            f'{_outline(azimuth, to, low, high)});background:color-mix(in srgb, {BLUE} {strength:.0f}%, transparent)">'
            "</div>"
        )
    inside = [*drawn, *_parallels(), *(f'<div class="meridian" style="inset:0 {side}%"></div>' for side in (0, 25, 50))]
    inside += _along({0: "behind", 0.25: "right side", 0.5: "in front", 0.75: "left side", 1: "behind"})
    return _figure(inside, f"Camera directions around people of {name}", legend={name: BLUE}, kind="globe")


def _parallels() -> list[str]:
    """Return the lines of equal elevation and their words."""
    lines = []
    for sine in (-0.5, 0.0, 0.5):
        left, bottom = mollweide(-180, sine)
        beside = f"right:calc({100 - left:.2f}% + 0.35rem)"
        lines.append(f'<div class="line" style="bottom:{bottom:.2f}%;left:{left:.2f}%;right:{left:.2f}%"></div>')
        lines.append(f'<span class="up" style="bottom:{bottom:.2f}%;{beside}">{_elevation(sine)}</span>')
    return lines


def _outline(azimuth: float, to: float, low: float, high: float) -> str:
    """Return the corners of a cell, its sides bent: per cent from the left and from above."""
    begin, end = _parameter(low), _parameter(high)
    up = [begin + (end - begin) * i / _BENDS for i in range(_BENDS + 1)]
    corners = [_place(azimuth, angle) for angle in up] + [_place(to, angle) for angle in reversed(up)]
    return ", ".join(f"{x:.2f}% {100 - y:.2f}%" for x, y in corners)


def mollweide(azimuth: float, sine: float) -> tuple[float, float]:
    """Return where a direction lies on Mollweide's map: per cent from the left and from below.

    ``azimuth`` in degrees from -180 to 180, ``sine`` that of the elevation. The map is an ellipse twice as wide as
    high; equal areas stay equal (Snyder, Map Projections, USGS 1987, p. 251).
    """
    return _place(azimuth, _parameter(sine))


def _place(azimuth: float, angle: float) -> tuple[float, float]:
    return 50 + azimuth / 3.6 * math.cos(angle), 50 + 50 * math.sin(angle)


@lru_cache(maxsize=1024)
def _parameter(sine: float) -> float:
    """Return the angle t with 2t + sin 2t = pi sine, by halving."""
    low, high = -math.pi / 2, math.pi / 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if 2 * middle + math.sin(2 * middle) < math.pi * sine else (low, middle)
    return (low + high) / 2


def _elevation(sine: float) -> str:
    return f"{math.degrees(math.asin(sine)):.0f}{_DEGREE}"


def shape_spread(table: pd.DataFrame, name: str) -> str:
    """Return boxes of each shape coefficient: one source in colour, all others in grey.

    Columns of ``distributions.shape_spread``: boxes hold the middle half, whiskers nine tenths.
    """
    low, high = float(min(table["p05"])), float(max(table["p95"]))
    low, high = (low, high) if high > low else (low - 1, high + 1)
    levels = ticks(high, 5, low)
    low, high = min(low, *levels), max(high, *levels)
    betas = sorted(set(table["beta"]))
    groups = [
        (is_this, colour) for is_this, colour in ((True, BLUE), (False, GREY)) if is_this in set(table["is_this"])
    ]
    names = {True: name, False: OTHERS}
    inside, says = _levels({(value - low) / (high - low): _number(value) for value in levels}), []
    for i, beta in enumerate(betas):
        words = [f"coefficient {beta}"]
        for k, (is_this, colour) in enumerate(groups):
            row = table.loc[(table["beta"] == beta) & (table["is_this"] == is_this)].iloc[0]
            at = {level: 100 * (float(row[level]) - low) / (high - low) for level in _LEVELS}
            inside.append(_box(at, 100 * (i + (k + 0.75) / (len(groups) + 0.5)) / len(betas), colour))
            words.append(f"{names[is_this]}: {row['median']:.2f} ({row['p25']:.2f} to {row['p75']:.2f})")
        says.append("\n".join(words))
    inside += _along({(i + 0.5) / len(betas): str(beta) for i, beta in enumerate(betas)}, is_framed=False)
    inside.append(_parts(says, f"grid-template-columns: repeat({len(betas)}, 1fr)"))
    legend = {names[is_this]: colour for is_this, colour in groups}
    about = "Spread of the shape coefficients, here and in all others"
    return _figure(inside, about, legend=legend, title="shape coefficient (standard deviations)")


_LEVELS = ("p05", "p25", "median", "p75", "p95")


def _box(at: Mapping[str, float], left: float, colour: str) -> str:
    """Return a box with its whisker and its median; ``at`` are heights and ``left`` is its middle, per cent."""
    pieces = (
        (1, at["p05"], at["p95"], colour, "height"),
        (11, at["p25"], at["p75"], f"color-mix(in srgb, {colour} 65%, transparent)", "height"),
        (13, at["median"], at["median"], VERMILION, "min-height:2px;height"),
    )
    return "".join(
        f'<div style="left:calc({left:.2f}% - {width / 2:g}px);width:{width}px;bottom:{low:.2f}%;'
        f'{height}:{high - low:.2f}%;background:{paint}"></div>'
        for width, low, high, paint, height in pieces
    )


def stacked(rows: Mapping[str, Mapping[str, int]], colours: Mapping[str, str], about: str) -> str:
    """Return a bar for each name in ``rows``, as long as its counts together, divided by what they count.

    ``colours`` gives what is counted its colour and order; what does not occur is not named.
    """
    most = max((sum(counts.values()) for counts in rows.values()), default=0)
    drawn = []
    for name, counts in rows.items():
        parts = "".join(
            f'<div data-says="{escape(f"{name}: {counts[what]:,} {what}")}" '
            f'style="flex:{counts[what]};background:{colours[what]}"></div>'
            for what in colours
            if counts.get(what)
        )
        total = sum(counts.values())
        bar = f'<div class="bar" style="width:{90 * total / max(most, 1):.2f}%">{parts}</div>'
        drawn.append(f'<span>{escape(name)}</span><div class="row">{bar}<span>{total:,}</span></div>')
    legend = {what: colour for what, colour in colours.items() if any(counts.get(what) for counts in rows.values())}
    return _framed(f'<div class="rows">{"".join(drawn)}</div>', about, legend)


def shares(members: pd.DataFrame, target: str, titles: tuple[str, str], about: str) -> str:
    """Return bars of shares with a mark where each should be; ``titles`` say what bar and mark are.

    Columns ``member``, ``share``, ``target`` (may be unknown), ``people``.
    """
    rows = members[["member", "share", target, "people"]].to_numpy(object).tolist()
    marks = [float(mark) for _, _, mark, _ in rows if pd.notna(mark)]
    top = max([*(float(share) for _, share, _, _ in rows), *marks, 1e-9])
    drawn = []
    for member, share, mark, people in rows:
        says = [str(member), f"{people:,} people", f"{share:.2%} {titles[0]}"]
        pieces = f'<div style="left:0;width:{100 * share / top:.2f}%;height:100%;background:{BLUE}"></div>'
        if pd.notna(mark):
            says.append(f"{mark:.2%} {titles[1]}")
            place = f"left:calc({100 * mark / top:.2f}% - 1.5px);width:3px;top:-2px;bottom:-2px"
            pieces += f'<div style="{place};background:{ORANGE}"></div>'
        bar = f'<div class="row beside" data-says="{escape(chr(10).join(says))}">{pieces}</div>'
        drawn.append(f'<span class="name">{escape(str(member))}</span>{bar}<span>{share:.1%}</span>')
    legend = {titles[0]: BLUE} | ({titles[1]: ORANGE} if marks else {})
    return _framed(f'<div class="rows three">{"".join(drawn)}</div>', about, legend)


def ticks(high: float, count: int, low: float = 0.0) -> list[float]:
    """Return about ``count`` round numbers from ``low`` to ``high``, 1, 2, 2.5 or 5 times a power of ten apart."""
    rough = max(high - low, 1e-12) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in _STEPS if times * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _number(value: float) -> str:
    """Return a number as axes say it."""
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _levels(words: Mapping[float, str]) -> list[str]:
    """Return the lines across the plot and the words of their heights (0 to 1)."""
    return [
        f'<div class="line" style="bottom:{100 * at:.2f}%"></div>'
        f'<span class="up" style="bottom:{100 * at:.2f}%">{escape(text)}</span>'
        for at, text in words.items()
    ]


def _along(words: Mapping[float, str], *, is_framed: bool = True) -> list[str]:
    """Return the words under the plot by their places (0 to 1); those at the ends stay within its frame."""
    ends = {0.0: " first", 1.0: " last"} if is_framed else {}
    return [
        f'<span class="along{ends.get(at, "")}" style="left:{100 * at:.2f}%">{escape(text)}</span>'
        for at, text in words.items()
    ]


def _parts(says: Sequence[str], columns: str) -> str:
    """Return what answers the pointer: a part of the plot for each text."""
    parts = "".join(f'<div class="part" data-says="{escape(text)}"></div>' for text in says)
    return f'<div class="parts" style="{columns}">{parts}</div>'


def _figure(inside: Sequence[str], about: str, *, legend: Mapping[str, str], title: str = "", kind: str = "") -> str:
    """Return a figure with axes; ``kind`` is what the styles call it."""
    below = f'<div class="title">{escape(title)}</div>' if title else ""
    return _framed(f'<div class="plot">{"".join(inside)}</div>{below}', about, legend, kind)


def _framed(inside: str, about: str, legend: Mapping[str, str], kind: str = "") -> str:
    """Return a figure; ``legend`` holds colours by names."""
    keys = "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in legend.items())
    shape, label = f"figure {kind}".strip(), escape(about)
    return f'<div class="{shape}" role="img" aria-label="{label}"><div class="legend">{keys}</div>{inside}</div>'
