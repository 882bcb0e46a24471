"""One unit from its raw files to its folder of shards: the work that is parallel, resumable and all or nothing.

The converter's frames are taken in batches, posed and measured as arrays, and written one by one with their pictures,
which other threads may read and encode ahead of the writer.
``unit.json`` keeps what the bytes depend on (versions, options, bounds, raw files, body models), so that a later run
can tell whether the unit still stands. Equal input gives equal bytes.
"""

import hashlib
import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from ..cards import Checks
from ..errors import ConversionError, EhpsError
from ..shards.codec import sample_key
from ..shards.record import Frame, Reject
from ..shards.writer import DEFAULT_SHARD_BYTES, UnitWriter
from . import Converter, checks
from .batch import examine
from .bodies import Bodies
from .hand_convention import HandSample
from .logs import LiveFile
from .pictures import labels_alone
from .report import State, Tally, UnitReport
from .source import Source
from .storing import PictureRoom, Storing, open_room

# Grows whenever the engine makes other records of the same frames.
ENGINE_VERSION = 3
# Enough people for arrays to pay, few enough to need some tens of megabytes.
BATCH_PEOPLE = 1024
# Frames that carry their pictures (cut from videos) or meshes are held until their batch is done.
BATCH_BYTES = 64 << 20
# The dashboard follows a conversion at this pace.
TELL_SECONDS = 2.0

Notify = Callable[[UnitReport], None]


@dataclass(frozen=True)
class UnitTask:
    """Everything that a worker needs to convert one unit; travels by pickle."""

    dataset: str
    source: Source
    module: str  # of the converter
    out: Path
    bounds: Checks
    options: Mapping[str, str] = field(default_factory=dict)
    body_models: Path | None = None
    limit: int | None = None  # people
    max_shard_bytes: int = DEFAULT_SHARD_BYTES
    storing: Storing = field(default_factory=Storing)
    threads: int = 1  # that look at pictures; the bytes do not depend on it
    is_trial: bool = False  # look at the unit, but leave nothing behind
    message: str = ""  # why the unit is converted again

    @property
    def converter(self) -> Converter:
        """Return the converter's module."""
        return cast(Converter, import_module(self.module))

    @property
    def live(self) -> LiveFile:
        """Return the file that says how far the unit is."""
        return LiveFile.of(self.out, self.dataset, self.source.split, self.source.name)

    def recipe(self) -> dict[str, Any]:
        """Return what the bytes of the unit depend on, apart from body models."""
        return {
            "engine_version": ENGINE_VERSION,
            "converter_version": self.converter.VERSION,
            "options": dict(self.options),
            "limit": self.limit,
            "max_shard_bytes": self.max_shard_bytes,
            "storing": asdict(self.storing),
            "bounds": self.bounds.model_dump(),
            "raw": raw_fingerprint(self.source),
        }


def raw_fingerprint(source: Source) -> dict[str, Any]:
    """Return the number, bytes and a digest of names and sizes of a unit's raw files; times do not count."""
    files = []
    for role, path in sorted(source.files.items()):
        name = path.relative_to(source.root).as_posix() if path.is_relative_to(source.root) else path.name
        files.append((role, name, path.stat().st_size if path.is_file() else None))
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
    return {"files": len(files), "bytes": sum(size or 0 for _, _, size in files), "digest": digest}


def attempt_unit(task: UnitTask, notify: Notify | None = None) -> UnitReport:
    """Return the report of a unit, done or failed: what runs in a worker, so no error may leave it."""
    start = time.monotonic()
    try:
        report = convert_unit(task, notify)
    except EhpsError as error:
        report = UnitReport(task.source.name, "failed", error=str(error))
    except Exception as error:  # noqa: BLE001 a bug in one unit must not stop the others; the conversion fails at its end
        sentence = f"{type(error).__name__}: {error}"
        report = UnitReport(task.source.name, "failed", error=sentence, trace=traceback.format_exc())
    report = replace(report, seconds=time.monotonic() - start, message=task.message)
    task.live.write(report)
    return report


def convert_unit(task: UnitTask, notify: Notify | None = None) -> UnitReport:
    """Convert one unit and return its report; its folder appears by one rename, or an error does."""

    def tell(report: UnitReport) -> None:
        task.live.write(report)
        if notify is not None:
            notify(report)

    key_of = partial(sample_key, task.dataset, task.source.split)
    with (
        labels_alone(task.storing.images == "none"),
        open_room(task.storing, key_of, task.threads) as room,
        open_writer(task) as writer,
    ):
        bodies = Bodies(task.body_models)
        report = fill(writer, task, bodies, room, tell)
        writer.meta |= {"body_model": bodies.used or None, "body_model_missing": bodies.missing}
        if not task.is_trial:
            writer.commit(report.facts())
    return report


def open_writer(task: UnitTask) -> UnitWriter:
    """Return the writer of a unit, which replaces an older one of the same name."""
    return UnitWriter(
        task.out,
        task.dataset,
        task.source.split,
        task.source.name,
        meta=task.recipe(),
        max_shard_bytes=task.max_shard_bytes,
        replace=True,
    )


def fill(writer: UnitWriter, task: UnitTask, bodies: Bodies, room: PictureRoom, tell: Notify) -> UnitReport:
    """Put all frames and rejects of a unit into its writer and return what was found."""
    tally, hands = Tally(), HandSample()
    tell(_report(task, tally, "running"))
    for frames, rejects in batches(task.converter.frames(task.source), task.limit):
        outcome = examine(frames, bodies, task.bounds)
        hands.add(outcome)
        tally.people_raw += len(outcome.crowd.people) + sum(reject.people for reject in rejects)
        told = time.monotonic()
        for pictured in room.pictured(outcome.frames):
            rejects += pictured.rejects
            for piece in pictured.pieces:
                writer.write(piece.frame, piece.key, piece.picture)
                tally.add_frame(piece.frame)
            if time.monotonic() > told + TELL_SECONDS:
                told = time.monotonic()
                tell(_report(task, tally, "running"))
        for reject in rejects + outcome.rejects:
            # Without the place of the raw tree on this machine, so that the same data give the same bytes.
            reject = replace(reject, detail=reject.detail.replace(f"{task.source.root}/", ""))
            writer.reject(reject)
            tally.add_reject(reject)
        tell(_report(task, tally, "running"))
    check_conservation(task, tally)
    verdicts = hands.verdicts(bodies)
    return replace(
        _report(task, tally, "done"),
        measures=tally.measures(),
        hands={name: verdict.to_json() for name, verdict in verdicts.items()},
        swapped=tally.count_above("swap_gain", checks.SWAP_MARGIN),
        warnings=find_warnings(tally, verdicts, bodies),
        values=tally.values if task.is_trial else {},
    )


def batches(records: Iterable[Frame | Reject], limit: int | None) -> Iterator[tuple[list[Frame], list[Reject]]]:
    """Yield frames and rejects in portions of about 1,024 people; at most ``limit`` people, to whole frames."""
    frames: list[Frame] = []
    rejects: list[Reject] = []
    people = held = seen = 0
    for record in records:
        if isinstance(record, Reject):
            rejects.append(record)
            count = record.people
        else:
            frames.append(record)
            count = len(record.people)
            held += _held_bytes(record)
        people, seen = people + count, seen + count
        if people >= BATCH_PEOPLE or held >= BATCH_BYTES:
            yield frames, rejects
            frames, rejects, people, held = [], [], 0, 0
        if limit is not None and seen >= limit:
            break
    if frames or rejects:
        yield frames, rejects


def _held_bytes(frame: Frame) -> int:
    """Return the bytes of the picture and the meshes that a frame carries."""
    meshes = sum(person.vertices.nbytes for person in frame.people if person.vertices is not None)
    return meshes + (len(frame.image) if isinstance(frame.image, bytes) else 0)


def _report(task: UnitTask, tally: Tally, state: State) -> UnitReport:
    """Return the counts so far."""
    return UnitReport(
        unit=task.source.name,
        state=state,
        frames=tally.frames,
        people=tally.people,
        people_raw=tally.people_raw,
        rejects=dict(sorted(tally.rejects.items())),
        examples=dict(sorted(tally.examples.items())),
        message=task.message,
    )


def check_conservation(task: UnitTask, tally: Tally) -> None:
    """Raise ConversionError unless everyone in the raw files was written or rejected.

    A converter that can count people without converting them says so with ``count_people(source)``.
    """
    unit, rejected = f"{task.dataset} {task.source.split}/{task.source.name}", tally.rejects.total()
    expected = {"its records hold": tally.people_raw}
    count_people = getattr(task.converter, "count_people", None)
    if count_people is not None and task.limit is None:
        expected["its raw files hold"] = count_people(task.source)
    for what, people in expected.items():
        if people != tally.people + rejected:
            raise ConversionError(
                f"{unit}: {what} {people} people, but {tally.people} were written and {rejected} rejected; "
                "the converter loses or invents people: correct it and raise its VERSION"
            )


def find_warnings(tally: Tally, hands: Mapping[str, checks.HandVerdict], bodies: Bodies) -> list[str]:
    """Return what a person should look at in a unit, in sentences."""
    out = [
        f"no body model {name}: people who need it go without joints, neutral betas and what follows"
        for name in bodies.missing
    ]
    out += [text for kind, verdict in hands.items() if (text := verdict.warning(kind))]
    measured = len(tally.values.get("swap_gain", ()))
    swapped = tally.count_above("swap_gain", checks.SWAP_MARGIN)
    if swapped > checks.MAX_SWAPPED_SHARE * measured:
        out.append(f"{swapped} of {measured} people fit their keypoints better with left and right swapped")
    boxed = len(tally.values.get("box_coverage", ()))
    uncovered = tally.count_below("box_coverage", checks.MIN_COVERAGE)
    if uncovered > checks.MAX_UNCOVERED_SHARE * boxed:
        out.append(f"{uncovered} of {boxed} boxes hold less than half of the visible body")
    if tally.unboxed:
        out.append(f"{tally.unboxed} people have no box: neither box nor keypoints, and no body model to make one from")
    return out
