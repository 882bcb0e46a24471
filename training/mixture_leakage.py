"""Pictures that a mixture shares with a benchmark that it should be judged by."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ShardError
from ..shards.leakage import Leakage, PictureTable, find_leakage, read_pictures

_HOW = {"exact": "the same files", "near": "nearly the same"}
Source = tuple[str, str]  # dataset and split


def mixture_leakage(sources: Sequence[Source], benchmarks: Sequence[Source], out: Path) -> list[str]:
    """Return a sentence for all that the sources of a mixture share with benchmarks of the same converted tree.

    Whole sources are compared, whoever of them the mixture chooses. ShardError where a benchmark is not in the tree.
    """
    tests = [table for benchmark in benchmarks for table in _benchmark(benchmark, out)]
    selves = [source for source in sources if source in benchmarks]
    said = [f"leakage: the mixture trains on {dataset}/{split} itself" for dataset, split in selves]
    others = [source for source in sources if source not in benchmarks]
    return said + _sentences(find_leakage(_pictures(others, out), tests))


def _benchmark(benchmark: Source, out: Path) -> list[PictureTable]:
    """Return the pictures of a benchmark."""
    found = list(read_pictures(out, *benchmark))
    if not found:
        dataset, split = benchmark
        raise ShardError(out, f"holds nobody of {dataset}/{split}", f"run ehps convert {dataset} --split {split}")
    return found


def _pictures(sources: Sequence[Source], out: Path) -> Iterator[PictureTable]:
    """Yield the pictures of sources, one after another."""
    for source in sources:
        yield from read_pictures(out, *source)


def _sentences(found: Leakage) -> list[str]:
    """Return what was found, and how much could not be judged."""
    said = [
        f"leakage: {shared.test_pictures:,} pictures ({shared.test_share:.1%}) of {shared.test} are in {shared.train}, "
        f"{_HOW[shared.kind]}"
        for shared in found.shared
        if shared.kind in _HOW and shared.test_pictures
    ]
    said += [
        f"leakage: not judged: {max(row.without_blake3, row.without_hash):,} of {row.pictures:,} pictures of "
        f"{row.source} have no hash"
        for _, row in found.unjudged
        if row.without_blake3 or row.without_hash
    ]
    return said or ["leakage: no picture is shared with the benchmarks"]
