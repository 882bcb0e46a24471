"""One module per source. A converter is two functions: ``sources(root, split)`` and ``frames(source)``.

``sources`` lists independent units of work and raises RawDataError when the tree is not what the card says;
``frames`` yields every picture of a unit with its people, or the Reject that says why a raw person is left out.
``VERSION`` grows whenever the same raw files give other records. Keyword-only arguments of ``sources`` are the
source's options: strings with a default.
"""

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from ..cards import card_ids, load_card
from ..errors import RawFileError, UnknownNameError
from ..shards.record import Frame, Reject
from .source import Source

_HERE = Path(__file__).resolve().parent


@runtime_checkable
class Converter(Protocol):
    """What a converter module offers."""

    VERSION: int

    def sources(self, root: Path, split: str, **options: str) -> list[Source]:
        """Return the units of a split."""
        ...

    def frames(self, source: Source) -> Iterator[Frame | Reject]:
        """Yield the pictures of a unit, or why they are left out."""
        ...


def converter_ids() -> list[str]:
    """Return the ids of all sources with a converter, sorted; each has a card of the same name."""
    return [dataset for dataset in card_ids() if (_HERE / f"{dataset}.py").is_file()]


def get_converter(dataset: str) -> Converter:
    """Return the converter module of a source; an unknown id raises UnknownNameError."""
    if dataset not in converter_ids():
        raise UnknownNameError("converter", dataset, converter_ids())
    return cast(Converter, import_module(f".{dataset}", __name__))


def converter_options(dataset: str) -> dict[str, str]:
    """Return the options of a converter with their defaults."""
    parameters = inspect.signature(get_converter(dataset).sources).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def list_sources(dataset: str, root: Path, split: str, options: Mapping[str, str] | None = None) -> list[Source]:
    """Return the units of a split of a raw tree, in a fixed order.

    An unknown split or option raises UnknownNameError; a missing or empty tree raises RawFileError with the way to
    get the data.
    """
    card, known = load_card(dataset), converter_options(dataset)
    if split not in card.splits:
        raise UnknownNameError(f"split of {dataset}", split, card.splits)
    for name in options or {}:
        if name not in known:
            raise UnknownNameError(f"option of the {dataset} converter", name, known)
    if not root.is_dir() or not any(root.iterdir()):
        raise RawFileError(root, f"no raw files of {dataset} here", f"ehps card {dataset} says how to get them")
    units = get_converter(dataset).sources(root, split, **(options or {}))
    if not units:
        raise RawFileError(
            root, f"holds nothing of the {split} split of {dataset}", f"ehps card {dataset} shows the tree"
        )
    return units
