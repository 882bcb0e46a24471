"""Tables as text, CSV, Markdown and LaTeX (booktabs).

The best number of a column is bold and the second underlined where the form can show it. Marks stand behind a number
and are explained below the table; the CSV has them in columns of their own and its numbers at full precision.
"""

import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from .measures import digits, get_measure, lower_is_better, means
from .tables import HOLE, MARKS, Matrix, ranks

# A mark's sign in text and Markdown, and in LaTeX without any package.
SIGNS = {"t": "\N{BLACK CIRCLE}", "f": "\N{BLACK UP-POINTING TRIANGLE}", "b": "\N{BLACK DIAMOND}", "m": "\N{DAGGER}"}
LATEX_SIGNS = {"t": r"\bullet", "f": r"\triangle", "b": r"\diamond", "m": r"\dagger"}
_LATEX_WORDS = {"~": r"\textasciitilde{}", "^": r"\^{}", "\\": r"\textbackslash{}"}
_LATEX_SPECIAL = str.maketrans({sign: "\\" + sign for sign in "&%$#_{}"} | _LATEX_WORDS)
_NUMBER = re.compile(rf"$|{HOLE}|(\*\*|<u>)?[-+]?\d")
_ARROWS = {True: "\N{DOWNWARDS ARROW}", False: "\N{UPWARDS ARROW}"}

Decorate = Callable[[str, int, str], str]  # number, rank, mark letters


def to_text(matrix: Matrix, decimals: int = 1) -> str:
    """Return the matrix for a terminal: aligned columns, the best number starred, marks explained below."""
    stars = {0: "", 1: "*", 2: ""}
    table = _strings(matrix, decimals, lambda number, rank, marks: number + stars[rank] + _signs(marks))
    legend = ["* best of its column", *_legend(matrix, SIGNS)]
    return "\n".join([frame_to_text(table), *legend]) + "\n"


def to_markdown(matrix: Matrix, decimals: int = 1) -> str:
    """Return the matrix as a Markdown table."""
    table = _strings(matrix, decimals, _decorate_markdown)
    legend = [f"\n{'; '.join(_legend(matrix, SIGNS))}"] if _legend(matrix, SIGNS) else []
    return "\n".join([frame_to_markdown(table), *legend]) + "\n"


def to_csv(matrix: Matrix) -> str:
    """Return the matrix as CSV: ``protocol/measure`` at full precision and its mark letters beside it."""
    columns = {}
    for protocol, measure in matrix.values.columns:
        columns[f"{protocol}/{measure}"] = matrix.values[protocol, measure]
        columns[f"{protocol}/{measure} marks"] = matrix.marks[protocol, measure]
    return pd.DataFrame(columns, index=matrix.values.index).to_csv(lineterminator="\n")


def to_latex(matrix: Matrix, decimals: int = 1, names: Mapping[str, str] | None = None) -> str:
    """Return the matrix as a booktabs tabular; ``names`` gives the printed name of a protocol."""
    cells = _cells(matrix, decimals, _decorate_latex)
    columns = list(matrix.values.columns)
    rows = [" & ".join([escape_latex(str(row)), *cells.loc[row].map(_latex_hole)]) + r" \\" for row in cells.index]
    measures = [f"{escape_latex(_measure_title(m))} ${_latex_arrow(m)}$" for _, m in columns]
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        *_latex_groups([protocol for protocol, _ in columns], names or {}),
        " & ".join(["Model", *measures]) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {line}" for line in _legend(matrix, LATEX_SIGNS)),
    ]
    return "\n".join(lines) + "\n"


def frame_to_text(table: pd.DataFrame) -> str:
    """Return a table of strings with a rule below the header: numbers stand right, words left."""
    is_left = _hold_words(table)
    rows = [list(map(str, table.columns)), *([str(cell) for cell in row] for row in table.to_numpy())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = ["  ".join(_justify(row, widths, is_left)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def frame_to_markdown(table: pd.DataFrame) -> str:
    """Return a table of strings as a Markdown table: numbers stand right, words left."""
    rule = ["---" if is_left else "---:" for is_left in _hold_words(table)]
    rows = [list(map(str, table.columns)), rule, *([str(cell) for cell in row] for row in table.to_numpy())]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)


def escape_latex(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return text.translate(_LATEX_SPECIAL)


def _strings(matrix: Matrix, decimals: int, decorate: Decorate) -> pd.DataFrame:
    """Return the matrix as one frame of strings, the model in the first column."""
    cells = _cells(matrix, decimals, decorate)
    titles = [column_title(protocol, measure) for protocol, measure in cells.columns]
    cells.columns = pd.Index(titles)
    cells.insert(0, "model", [str(row) for row in cells.index])
    return cells


def _cells(matrix: Matrix, decimals: int, decorate: Decorate) -> pd.DataFrame:
    """Return each number as text with its rank and marks shown, holes as their words."""
    values, places = matrix.values.to_numpy(float), ranks(matrix.values).to_numpy()
    marks, cells = matrix.marks.to_numpy(), matrix.holes.to_numpy(copy=True)
    behind = [digits(measure, decimals) for _, measure in matrix.values.columns]
    for row, column in np.argwhere(~np.isnan(values)):
        number = f"{values[row, column]:.{behind[column]}f}"
        cells[row, column] = decorate(number, int(places[row, column]), str(marks[row, column]))
    return pd.DataFrame(cells, index=matrix.values.index, columns=matrix.values.columns)


def _decorate_markdown(number: str, rank: int, marks: str) -> str:
    shown = {0: number, 1: f"**{number}**", 2: f"<u>{number}</u>"}[rank]
    return shown + _signs(marks)


def _decorate_latex(number: str, rank: int, marks: str) -> str:
    shown = {0: number, 1: rf"\textbf{{{number}}}", 2: rf"\underline{{{number}}}"}[rank]
    signs = "".join(LATEX_SIGNS[letter] for letter in marks)
    return f"{shown}$^{{{signs}}}$" if signs else shown


def _latex_groups(protocols: list[str], names: Mapping[str, str]) -> list[str]:
    """Return the header line that spans the measures of each protocol, and the rules below it."""
    groups: list[tuple[str, int, int]] = []
    for position, protocol in enumerate(protocols, start=2):
        if groups and groups[-1][0] == protocol:
            groups[-1] = (protocol, groups[-1][1], position)
        else:
            groups.append((protocol, position, position))
    titles = [
        rf"\multicolumn{{{last - first + 1}}}{{c}}{{{escape_latex(names.get(protocol, protocol))}}}"
        for protocol, first, last in groups
    ]
    rules = [rf"\cmidrule(lr){{{first}-{last}}}" for _, first, last in groups]
    return [" & ".join(["", *titles]).lstrip() + r" \\", " ".join(rules)]


def _latex_hole(cell: str) -> str:
    return "--" if cell == HOLE else cell


def _latex_arrow(measure: str) -> str:
    return r"\downarrow" if lower_is_better(measure) else r"\uparrow"


def column_title(protocol: str, measure: str) -> str:
    """Return the heading of a column: protocol, measure and which direction is the better one."""
    name = _measure_title(measure) if protocol == measure else f"{protocol} {_measure_title(measure)}"
    return f"{name} {_ARROWS[lower_is_better(measure)]}"


def _measure_title(measure: str) -> str:
    return means()[measure].display_name if measure in means() else get_measure(measure).display_name


def _signs(marks: str) -> str:
    return "".join(SIGNS[letter] for letter in marks)


def _legend(matrix: Matrix, signs: Mapping[str, str]) -> list[str]:
    """Return what each mark that occurs means."""
    used = set("".join(matrix.marks.to_numpy().ravel()))
    return [f"{signs[letter]} {meaning}" for letter, meaning in MARKS.items() if letter in used]


def _justify(row: list[str], widths: list[int], is_left: list[bool]) -> list[str]:
    own = zip(row, widths, is_left, strict=True)
    return [cell.ljust(width) if to_left else cell.rjust(width) for cell, width, to_left in own]


def _hold_words(table: pd.DataFrame) -> list[bool]:
    """Return which columns hold words: the first, and those with a cell that begins like no number and no hole."""
    cells = ([str(cell) for cell in table.iloc[:, column]] for column in range(table.shape[1]))
    return [number == 0 or not all(_NUMBER.match(cell) for cell in own) for number, own in enumerate(cells)]
