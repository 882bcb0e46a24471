"""A study's tables as text."""

import json
from collections.abc import Sequence

import pandas as pd

from ..benchmark import render
from ..benchmark.tables import HOLE
from .declaration import Study
from .standing import Standing
from .tables import gains, ranked_by, size_tables, study_matrix, study_results

_FRAMES = {"text": render.frame_to_text, "markdown": render.frame_to_markdown}
_MATRICES = {
    "text": render.to_text,
    "markdown": render.to_markdown,
    "csv": render.to_csv,
    "latex": render.to_latex,
}


def printed(study: Study, standings: Sequence[Standing], form: str = "text") -> str:
    """Return what a study found so far as text, markdown, csv, latex or json (an object a number of the results).

    Text and Markdown have more than the matrix: what the rows are ordered by, errors by size, gains of finetuning.
    """
    if form == "json":
        rows = study_results(study, standings).to_dict("records")
        return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
    matrix = study_matrix(study, standings)
    if matrix.values.empty:
        return "nothing is scored yet\n"
    out = _MATRICES[form](matrix)
    if form not in _FRAMES:
        return out
    blocks = [f"{out}{ranked_by(matrix)}"]
    if study.kind == "scaling":
        blocks += [_by_size(title, table, form) for title, table in size_tables(study, standings).items()]
    if study.kind == "finetune" and len(changes := gains(matrix)):
        blocks.append(f"Finetuned, after minus before\n\n{_FRAMES[form](_rounded(changes))}")
    return "\n\n".join(blocks) + "\n"


def _by_size(title: str, table: pd.DataFrame, form: str) -> str:
    """Return a table of parameters by people."""
    shown = table.map(lambda value: HOLE if pd.isna(value) else f"{value:.1f}")
    shown.columns = [f"{int(people):,} people" for people in table.columns]
    shown.insert(0, "parameters", [f"{int(size):,}" for size in table.index])
    return f"{title}\n\n{_FRAMES[form](shown)}"


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    return table.round(1).astype(str)
