"""Every error that ehps raises on purpose.

EhpsError
├── RawDataError            the owner's files are not what the card says
│   ├── RawFileError        a file or folder is missing or unreadable
│   ├── RawSchemaError      a field has another shape, type or value than expected
│   ├── UnsafePickleError   a pickle wants to run code
│   └── PictureError        a picture is missing, damaged or of an unknown kind
├── BodyModelError          a licensed body-model file is missing or of another kind
├── CardError               a card or mixture file says something impossible
├── UnknownNameError        a name that does not exist; knows the nearest ones
├── RecordError             a frame or person breaks the record's contract
├── ShardError              a shard, sidecar or catalog is missing or damaged
│   └── UnitExistsError     another process has already committed this unit
├── QueryError              an SQL query over the catalog is refused
├── ConversionError         a conversion ended without a usable result
├── CheckpointError         a checkpoint does not fit the network
├── ProtocolError           a protocol or result file cannot be used
├── RecipeError             a training recipe cannot be run
├── StudyError              a study cannot be planned, or some of its runs failed
└── MissingExtraError       an optional part of the installation is absent

Constructors take fields and build one sentence: what, where, expected and found, what to do next.
The command line prints that sentence and exits with 2.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path


class EhpsError(Exception):
    """Base of everything that the command line turns into one sentence."""


class RawDataError(EhpsError):
    """The owner's files are not what the card says."""


class RawFileError(RawDataError):
    """A file or folder of the raw tree is missing or unreadable."""

    def __init__(self, path: Path | str, problem: str, hint: str = "") -> None:
        self.path, self.problem, self.hint = Path(path), problem, hint
        super().__init__(f"{path}: {problem}{'; ' + hint if hint else ''}")


class RawSchemaError(RawDataError):
    """A field of a raw file has another shape, type or value than the card says."""

    def __init__(self, path: Path | str, field: str, expected: str, found: str, hint: str = "") -> None:
        self.path, self.field, self.expected, self.found = Path(path), field, expected, found
        super().__init__(f"{path}: {field} should be {expected}, found {found}{'; ' + hint if hint else ''}")


class UnsafePickleError(RawDataError):
    """A raw pickle refers to something that could run code."""

    def __init__(self, path: Path | str, name: str) -> None:
        self.path, self.name = Path(path), name
        super().__init__(
            f"{path}: the pickle refers to {name}, which is not among the plain data types that ehps reads; "
            "if you trust the file, re-save its arrays as npz"
        )


class PictureError(RawDataError):
    """A picture is missing, damaged or of an unknown kind; ``reason`` is the slug of the Reject it should become."""

    def __init__(self, where: Path | str, reason: str, problem: str, hint: str = "") -> None:
        self.where, self.reason, self.problem = str(where), reason, problem
        super().__init__(f"{where}: {problem}{'; ' + hint if hint else ''}")


class BodyModelError(EhpsError):
    """A licensed body-model file is missing or of another kind."""


class CardError(EhpsError):
    """A card or a mixture file says something impossible."""

    def __init__(self, path: Path | str, problem: str) -> None:
        self.path, self.problem = Path(path), problem
        super().__init__(f"{path}: {problem}")


class UnknownNameError(EhpsError):
    """A name that does not exist, with the nearest ones that do."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        near = difflib.get_close_matches(name, self.known, n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(self.known) or 'none'}"
        super().__init__(f"there is no {kind} called {name!r}; {advice}")


class RecordError(EhpsError):
    """A frame or a person breaks the record's contract."""

    def __init__(self, key: str, field: str, expected: str, found: str) -> None:
        self.key, self.field, self.expected, self.found = key, field, expected, found
        super().__init__(f"record {key}: {field} should be {expected}, found {found}")


class ShardError(EhpsError):
    """A shard, a sidecar or the catalog is missing or damaged."""

    def __init__(self, path: Path | str, problem: str, hint: str = "") -> None:
        self.path, self.problem = Path(path), problem
        super().__init__(f"{path}: {problem}{'; ' + hint if hint else ''}")


class UnitExistsError(ShardError):
    """Another process has already committed this unit; what it wrote is complete."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, "this unit is already there and complete", "keep it, or write it with replace=True")


class QueryError(EhpsError):
    """An SQL query over the catalog is refused."""

    def __init__(self, sql: str, problem: str) -> None:
        self.sql, self.problem = sql, problem
        super().__init__(f"query {' '.join(sql.split())!r}: {problem}")


class ConversionError(EhpsError):
    """A conversion ended without a usable result."""


class CheckpointError(EhpsError):
    """A checkpoint does not fit the network that should take it."""

    def __init__(self, path: Path | str, problem: str, hint: str = "") -> None:
        self.path, self.problem = Path(path), problem
        super().__init__(f"{path}: {problem}{'; ' + hint if hint else ''}")


class ProtocolError(EhpsError):
    """A protocol or a result file cannot be used."""

    def __init__(self, path: Path | str, problem: str, hint: str = "") -> None:
        self.path, self.problem = Path(path), problem
        super().__init__(f"{path}: {problem}{'; ' + hint if hint else ''}")


class RecipeError(EhpsError):
    """A training recipe cannot be run."""


class StudyError(EhpsError):
    """A study cannot be planned, or some of its runs failed."""


class MissingExtraError(EhpsError):
    """An optional part of the installation is absent."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{package} is not installed; run: pip install 'ehps[{extra}]'")
