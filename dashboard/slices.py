"""Where a model fails: errors of one result over what the catalog knows about its people, as SQL.

Every function returns the text of a question to the catalog whose table ``person_results`` holds one measure of the
result (``state.answer``); DuckDB counts, and only bins or slices come back.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Factor:
    """Something that may make a person hard."""

    title: str
    expression: str  # over the table people
    is_number: bool = True
    scale: str = "linear"


FACTORS: dict[str, Factor] = {
    "box_height": Factor("box height (px)", "box_height_px"),
    "occlusion": Factor("share of joints that somebody covers", "quality_occlusion"),
    "truncation": Factor("share of joints outside of the picture", "quality_truncation"),
    "distance": Factor("distance (m)", "quality_distance_m"),
    "crowd": Factor("people in the picture", "num_people"),
    "sharpness": Factor("sharpness of the cut", "quality_sharpness"),
    "body_pose": Factor("rarity of the body pose", "quality_body_pose_rarity"),
    "hand_pose": Factor("rarity of the hand pose", "quality_hand_pose_rarity"),
    "left_hand": Factor("left hand labelled", "coalesce(label_left_hand, 'no')", is_number=False),
    "right_hand": Factor("right hand labelled", "coalesce(label_right_hand, 'no')", is_number=False),
    "gender": Factor("gender of the body", "coalesce(gender, 'unknown')", is_number=False),
    "sequence": Factor("sequence", "coalesce(sequence, 'none')", is_number=False),
}
MOST_SLICES = 40

_STATISTICS = (
    "quantile_cont(error, 0.25) AS q25, median(error) AS median, quantile_cont(error, 0.75) AS q75, "
    "avg(error) AS mean, count(*)::BIGINT AS people"
)


def bins_sql(factor: Factor, bins: int = 10) -> str:
    """Return the question for the errors over bins of a number that hold about as many people each.

    Columns ``low``, ``high``, ``middle`` (of the factor), ``q25``, ``median``, ``q75``, ``mean`` (of the error),
    ``people``. People with one value of the factor stay together.
    """
    return (
        f"WITH known AS ({_known(f'({factor.expression})::DOUBLE')}),\n"
        f"placed AS (SELECT *, least(floor(percent_rank() OVER (ORDER BY x) * {bins}), {bins - 1}) AS bin FROM known)\n"
        f"SELECT min(x) AS low, max(x) AS high, median(x) AS middle, {_STATISTICS}\n"
        "FROM placed GROUP BY bin ORDER BY low"
    )


def slices_sql(factor: Factor) -> str:
    """Return the question for the errors over the values of a factor, those with the most people first.

    Columns ``slice``, ``q25``, ``median``, ``q75``, ``mean`` (of the error), ``people``.
    """
    return (
        f"WITH known AS ({_known(f'({factor.expression})::VARCHAR')})\n"
        f"SELECT x AS slice, {_STATISTICS}\nFROM known GROUP BY x ORDER BY people DESC, slice LIMIT {MOST_SLICES}"
    )


def _known(expression: str) -> str:
    return (
        f"SELECT r.value AS error, {expression} AS x FROM person_results r JOIN people USING (person_key) "
        f"WHERE isfinite(r.value) AND {expression} IS NOT NULL"
    )
