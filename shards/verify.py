"""Whether a converted tree still holds the bytes that were written, and whether its files say the same of one another.

What is looked at, and what is promised, is in docs/integrity.md. A tree is verified as a list of checks, one a file or
so, which run on any number of threads: hashing and reading let go of the interpreter.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ShardError
from .catalog_files import CATALOG_FILE, PARTITION_FILE, catalog_dir
from .digest import file_digest
from .sidecar import read_sidecar, sidecar_facts
from .tarcheck import SidecarFrames, read_tar
from .tree import (
    REJECTS_FILE,
    UNIT_FILE,
    read_sealed,
    read_unit,
    sealed_text,
    shards_fingerprint,
    unit_dirs,
    unit_shards,
)

_SHOWN = 3  # damaged members that a sentence names
_AGAIN = "convert the unit again"
_REBUILD = "rebuild it with ehps catalog"


class Problem(NamedTuple):
    """One thing that is wrong with a file."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class Check(NamedTuple):
    """Something to look at, and how many bytes must be read for it."""

    path: Path
    size: int
    run: Callable[[], list[Problem]]


def verify_tree(
    out: Path, dataset: str | None = None, split: str | None = None, *, fast: bool = False, jobs: int = 1
) -> Iterator[tuple[Check, list[Problem]]]:
    """Yield what was looked at, with what is wrong there; ``fast`` reads sizes and rows, but no picture."""
    return run_checks(tree_checks(out, dataset, split, fast=fast), jobs)


def tree_checks(out: Path, dataset: str | None = None, split: str | None = None, *, fast: bool = False) -> list[Check]:
    """Return everything that there is to look at in a tree, or in one source or split of it."""
    units = [check for folder in unit_dirs(out, dataset, split) for check in unit_checks(folder, fast=fast)]
    return units + catalog_checks(out, dataset, split, fast=fast)


def run_checks(checks: Iterable[Check], jobs: int = 1) -> Iterator[tuple[Check, list[Problem]]]:
    """Run checks on so many threads; they come back in their order."""
    checks = list(checks)
    if jobs == 1:
        yield from ((check, _run(check)) for check in checks)
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from zip(checks, pool.map(_run, checks), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)  # who stops listening need not wait for terabytes


def _run(check: Check) -> list[Problem]:
    """Return what is wrong; a file that the disk does not give is wrong, and no reason to stop."""
    try:
        return check.run()
    except OSError as error:
        return [Problem(check.path, f"it cannot be read ({error.strerror})")]


def verify_unit(folder: Path, *, fast: bool = False) -> list[str]:
    """Return one sentence for each file of a unit that is missing, damaged or unexpected; none when it is sound."""
    return [str(problem) for _, problems in run_checks(unit_checks(folder, fast=fast)) for problem in problems]


def unit_checks(folder: Path, *, fast: bool = False) -> list[Check]:
    """Return what there is to look at in a unit."""
    path = Path(folder) / UNIT_FILE
    try:
        unit = read_unit(folder)
    except ShardError as error:
        return [Check(path, 0, partial(_told, [Problem(path, f"{error.problem}; {_AGAIN}")]))]
    if unit is None:
        return [Check(path, 0, partial(_told, [Problem(path, "the unit was never committed")]))]
    checks = [Check(path, 0, partial(_check_summary, path, unit))]
    for shard in unit["shards"]:
        tar = path.parent / shard["file"]
        checks.append(Check(tar, 0 if fast else shard["size"], partial(_check_shard, tar, unit, shard, fast)))
    return checks


def _told(problems: list[Problem]) -> list[Problem]:
    """Return what is known already."""
    return problems


def _check_summary(path: Path, unit: Mapping[str, Any]) -> list[Problem]:
    """Hold ``unit.json`` against itself and against the list of rejects, and look for files that it does not name."""
    where = (unit["dataset"], unit["split"], unit["unit"])
    found = [] if path.read_bytes() == sealed_text(unit).encode() else ["its bytes are not those that were written"]
    if path.parent.parts[-3:] != where:
        found.append(f"it speaks of {'/'.join(where)}, which is not its folder")
    found += _count_problems(unit)
    files = {shard["file"] for shard in unit["shards"]}
    known = {UNIT_FILE, REJECTS_FILE, *files, *(_sidecar(file) for file in files)}
    strangers = sorted({other.name for other in path.parent.iterdir()} - known)
    problems = [Problem(path, f"{text}; {_AGAIN}") for text in found]
    problems += [Problem(path.parent / name, f"nothing in {UNIT_FILE} speaks of this file") for name in strangers]
    return problems + _check_rejects(path.parent / REJECTS_FILE, unit)


def _count_problems(unit: Mapping[str, Any]) -> list[str]:
    """Return which counts of a unit disagree: everyone in the raw files is written or rejected."""
    sums = {name: sum(shard[name] for shard in unit["shards"]) for name in ("frames", "people")}
    sums["rejected_people"] = sum(unit["rejects"].values())
    found = [f"{name} is {unit[name]}, its parts add up to {n}" for name, n in sums.items() if unit[name] != n]
    raw = unit["checks"].get("people_raw")
    if raw is not None and raw != unit["people"] + unit["rejected_people"]:
        counts = f"{unit['people']} people and {unit['rejected_people']} rejected ones"
        found.append(f"{counts} do not make the {raw} of the raw files")
    return found


def _check_rejects(path: Path, unit: Mapping[str, Any]) -> list[Problem]:
    """Hold the list of rejects against its checksum and the counts of the unit."""
    if problems := _check_file(path, unit["rejects_blake3"], _AGAIN):
        return problems
    rejects = read_sidecar(path, ["reason", "people"])
    counts = Counter[str]()
    for reason, people in zip(*(column.to_pylist() for column in rejects.columns), strict=True):
        counts[reason] += people
    if dict(counts) == unit["rejects"]:
        return []
    return [Problem(path, f"its reasons {dict(counts)} are not the {unit['rejects']} of {UNIT_FILE}; {_AGAIN}")]


def _sidecar(file: str) -> str:
    return str(Path(file).with_suffix(".parquet"))


def _check_file(path: Path, blake3: str, advice: str, fast: bool = False) -> list[Problem]:
    """Hold a file against its checksum, or only whether it is there."""
    if not path.is_file():
        return [Problem(path, f"the file is not there; {advice}")]
    found = blake3 if fast else file_digest(path)
    return [] if found == blake3 else [Problem(path, f"BLAKE3 should be {blake3}, found {found}; {advice}")]


def _check_shard(tar: Path, unit: Mapping[str, Any], shard: Mapping[str, Any], fast: bool) -> list[Problem]:
    """Hold a tar against its checksum and its sidecar, and the sidecar against its own."""
    sidecar = tar.with_suffix(".parquet")
    problems = _check_file(sidecar, shard["sidecar_blake3"], _AGAIN)
    if not tar.is_file():
        return [*problems, Problem(tar, f"the file is not there; {_AGAIN}")]
    if (size := tar.stat().st_size) != shard["size"]:
        return [*problems, Problem(tar, f"{shard['size']} bytes were written, found {size}; {_AGAIN}")]
    frames = None
    if not problems:
        frames, texts = _read_frames(sidecar, (*_where(unit), tar.name), shard)
        problems = [Problem(sidecar, f"{text}; {_AGAIN}") for text in texts]
    if fast:
        return problems
    if problems or frames is None:  # the sidecar cannot say which member is damaged
        return problems + _check_file(tar, shard["blake3"], _AGAIN)
    return _check_tar(tar, frames, shard["blake3"])


def _read_frames(
    sidecar: Path, where: tuple[str, str, str, str], shard: Mapping[str, Any]
) -> tuple[SidecarFrames | None, list[str]]:
    """Return the frames of a sidecar and what is wrong with them; no frames when they cannot be read."""
    try:
        frames = SidecarFrames(sidecar)
    except ShardError as error:
        return None, [error.problem]
    texts = _facts_problems(sidecar, shard) + frames.problems(shard["size"], where)
    return frames, texts + _row_problems(frames, shard)


def _where(unit: Mapping[str, Any]) -> tuple[str, str, str]:
    return unit["dataset"], unit["split"], unit["unit"]


def _facts_problems(sidecar: Path, shard: Mapping[str, Any]) -> list[str]:
    """Return whether the sidecar speaks of the tar that ``unit.json`` speaks of."""
    facts, expected = sidecar_facts(sidecar), {"ehps_tar_blake3": shard["blake3"], "ehps_tar_size": str(shard["size"])}
    return [
        f"{name} is {facts.get(name)}, {UNIT_FILE} says {v}" for name, v in expected.items() if facts.get(name) != v
    ]


def _row_problems(frames: SidecarFrames, shard: Mapping[str, Any]) -> list[str]:
    """Return whether the sidecar has as many frames and people as ``unit.json`` says."""
    counts = {"frames": len(frames), "people": len(frames.first)}
    return [f"it has {n} {name}, {UNIT_FILE} says {shard[name]}" for name, n in counts.items() if n != shard[name]]


def _check_tar(tar: Path, frames: SidecarFrames, blake3: str) -> list[Problem]:
    """Read a tar once and hold it against its checksum and its sidecar."""
    state = read_tar(tar, frames)
    named = _few(state.damaged) if state.damaged else ""
    if state.blake3 != blake3:
        where = named or f"outside of all members{': ' if state.foreign else ''}{_few(state.foreign)}"
        text = f"BLAKE3 should be {blake3}, found {state.blake3}, damaged{': ' if named else ' '}{where}"
        return [Problem(tar, f"{text}; {_AGAIN}")]
    if state.damaged or state.foreign:
        named = _few([*state.damaged, *state.foreign])
        return [Problem(tar, f"it is as it was written, but its sidecar says otherwise of {named}; {_AGAIN}")]
    return []


def _few(names: list[str]) -> str:
    """Return the first of some names and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def catalog_checks(
    out: Path, dataset: str | None = None, split: str | None = None, *, fast: bool = False
) -> list[Check]:
    """Return what there is to look at in the catalog of a tree; nothing when there is no catalog."""
    out, path = Path(out), catalog_dir(out) / CATALOG_FILE
    if not path.is_file():
        return []
    content, check = _sealed_check(path)
    wanted = {path.relative_to(out).parts[:2] for path in unit_dirs(out, dataset, split)}
    if content is None:
        return [check]
    partitions = {(p["dataset"], p["split"]): catalog_dir(out) / p["folder"] for p in content["partitions"]}
    missing = [Problem(path, f"it does not have {'/'.join(w)}; {_REBUILD}") for w in sorted(wanted - set(partitions))]
    checks = [check, Check(path, 0, partial(_told, missing)), *_file_checks(out, content["files"], fast)]
    for where, folder in partitions.items():
        if dataset in (None, where[0]) and split in (None, where[1]):
            checks += _partition_checks(out, where, folder, fast)
    return checks


def _partition_checks(out: Path, where: tuple[str, str], folder: Path, fast: bool) -> list[Check]:
    """Return what there is to look at in one partition of the catalog."""
    path = folder / PARTITION_FILE
    content, check = _sealed_check(path)
    if content is None:
        return [check]
    texts = _partition_problems(out, where, content)
    strangers = sorted({other.name for other in folder.iterdir()} - {PARTITION_FILE, *content["files"]})
    texts += [f"it does not speak of {name}" for name in strangers]
    found = [Problem(path, f"{text}; {_REBUILD}") for text in texts]
    return [check, Check(path, 0, partial(_told, found)), *_file_checks(folder, content["files"], fast)]


def _partition_problems(out: Path, where: tuple[str, str], content: Mapping[str, Any]) -> list[str]:
    """Return what a partition says otherwise than the units of its split, if those are sound themselves."""
    try:
        units = [(folder / REJECTS_FILE, read_unit(folder) or {}) for folder in unit_dirs(out, *where)]
    except ShardError:
        return []
    if any(_check_file(path, unit["rejects_blake3"], _AGAIN) for path, unit in units):
        return []
    counts = {name: sum(unit[name] for _, unit in units) for name in ("frames", "people")}
    counts["rejects"] = sum(read_sidecar(path, ["people"]).num_rows for path, _ in units)
    texts = [f"it has {content[name]} {name}, the units have {n}" for name, n in counts.items() if content[name] != n]
    if content["fingerprint"] != shards_fingerprint([shard for _, unit in units for shard in unit_shards(unit)]):
        texts.append("it was made from other shards than those that are there")
    return texts


def _sealed_check(path: Path) -> tuple[dict[str, Any] | None, Check]:
    """Return the content of a sealed file, None when it cannot be used, and the check of its bytes."""
    text, content = "its bytes are not those that were written", None
    try:
        content = read_sealed(path)
        is_sound = path.read_bytes() == sealed_text(content).encode()
    except FileNotFoundError:
        is_sound, text = False, "the file is not there"
    except ShardError as error:
        is_sound, text = False, error.problem
    return content, Check(path, 0, partial(_told, [] if is_sound else [Problem(path, f"{text}; {_REBUILD}")]))


def _file_checks(folder: Path, files: Mapping[str, str], fast: bool) -> list[Check]:
    """Return the checks of files whose checksums are known."""
    checks = []
    for name, blake3 in sorted(files.items()):
        size = (folder / name).stat().st_size if not fast and (folder / name).is_file() else 0
        checks.append(Check(folder / name, size, partial(_check_file, folder / name, blake3, _REBUILD, fast)))
    return checks
