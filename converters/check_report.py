"""The result of a check: what a look at the first people of each unit found, without writing anything."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ..cards import Checks
from .findings import Finding, findings, hand_groups, hand_rows, pooled
from .report import SplitReport, Statistics, UnitReport, quantiles, reasons, total_rejects


class Table(NamedTuple):
    """Rows for people, under a title."""

    title: str
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CheckReport:
    """What a look at the first people of each unit found."""

    dataset: str
    splits: Sequence[SplitReport]
    bounds: Checks

    @property
    def units(self) -> list[UnitReport]:
        """Return the units of all splits."""
        return [unit for split in self.splits for unit in split.units]

    @property
    def measures(self) -> dict[str, Statistics]:
        """Return count and quantiles of each measure over everyone who was looked at."""
        everyone: dict[str, array] = pooled(self.units)
        return quantiles(everyone)

    @property
    def findings(self) -> dict[str, list[Finding]]:
        """Return the answers to every question, by split."""
        return {split.split: findings(split, self.bounds) for split in self.splits}

    @property
    def rejects(self) -> dict[str, int]:
        """Return the people that would be left out, by reason."""
        return total_rejects(self.units)

    @property
    def examples(self) -> dict[str, str]:
        """Return one sentence for each reason."""
        return {reason: text for unit in reversed(self.units) for reason, text in unit.examples.items()}

    @property
    def warnings(self) -> list[str]:
        """Return everything that a person should look at: failures first."""
        failures = [f"{s.split}/{unit.unit} failed: {unit.error}" for s in self.splits for unit in s.failed]
        absent = [f"{split.split}: {split.absent}" for split in self.splits if split.absent]
        shares = [
            f"{split.split}: {split.reject_share:.1%} of the people would be rejected, the card allows "
            f"{self.bounds.max_reject:.1%} ({reasons(split.rejects)})"
            for split in self.splits
            if split.reject_share > self.bounds.max_reject
        ]
        hands = [
            f"{split.split}: {text}"
            for split in self.splits
            for kind, are_small, verdict in hand_groups(split)
            if are_small and (text := verdict.warning(kind))
        ]
        return failures + absent + shares + hands + [text for split in self.splits for text in split.warnings]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "dataset": self.dataset,
            "splits": [split.to_json() for split in self.splits],
            "rejects": self.rejects,
            "examples": self.examples,
            "measures": self.measures,
            "findings": {split: [asdict(finding) for finding in found] for split, found in self.findings.items()},
            "bounds": self.bounds.model_dump(),
            "warnings": self.warnings,
        }

    def tables(self) -> Iterator[Table]:
        """Yield what a person wants to know, the counts first; a table without rows is left out."""
        columns = ("split", "units", "frames", "people", "rejected")
        counts = [split.summary() for split in self.splits]
        yield Table(
            f"{self.dataset}, the first people of each unit", [{name: row[name] for name in columns} for row in counts]
        )
        rejects = [
            {"rejected for": reason, "people": count, "for example": self.examples.get(reason, "")}
            for reason, count in self.rejects.items()
        ]
        if rejects:
            yield Table("left out", rejects)
        for split in self.splits:
            if found := findings(split, self.bounds):
                yield Table(f"{split.split}: do the labels agree?", [_row(finding) for finding in found])
            if hands := hand_rows(split):
                title = (
                    f"{split.split}: are the hand poses read rightly? median distance of the fingers, wrist on wrist"
                )
                yield Table(title, hands)


def _row(finding: Finding) -> dict[str, Any]:
    """Return a finding as columns for people."""
    return {name.replace("p95", "95 %"): value for name, value in vars(finding).items()}
