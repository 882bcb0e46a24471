"""Writing a unit: tars with their sidecars, the rejects and a summary, which all appear together or not at all.

The members of a sample lie next to each other and nothing depends on clock, host or user, so that the same input gives
the same bytes. ``unit.json`` says what the unit holds and how it was made.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import RecordError, UnitExistsError
from .codec import FORMAT_VERSION, check_key, check_name, encode_frame, frame_meta
from .digest import file_digest
from .phash import perceptual_hash
from .picture import Picture
from .record import Frame, Numbers, Reject, check_person
from .sidecar import write_rejects, write_table
from .sidecar_rows import SidecarRows
from .tree import REJECTS_FILE, UNIT_FILE, sealed_text, sync, sync_parents, temporary_folder, unit_dir
from .ustar import TarWriter, sample_size

DEFAULT_SHARD_BYTES = 1 << 30


class UnitWriter:
    """Writes one unit of a source; leaving the context without ``commit`` leaves nothing behind.

    ``meta`` says how the unit is made and is kept in ``unit.json`` under ``conversion`` (converter_version, options,
    fingerprints of the body model and the raw files, ...); it must not hold anything that changes from run to run.
    ``replace`` puts the new unit in the place of an older one, which otherwise raises UnitExistsError.
    """

    def __init__(
        self,
        out_dir: Path,
        dataset: str,
        split: str,
        unit: str,
        *,
        meta: Mapping[str, Any],
        max_shard_bytes: int = DEFAULT_SHARD_BYTES,
        replace: bool = False,
    ) -> None:
        self._where = {"dataset": dataset, "split": split, "unit": unit}
        for kind, name in self._where.items():
            check_name(kind, name)
        self.out, self.target = Path(out_dir), unit_dir(out_dir, dataset, split, unit)
        self.meta, self.max_shard_bytes, self.replace = dict(meta), max_shard_bytes, replace
        self._prefix = f"{dataset}-{split}-{unit}"
        self._stack = ExitStack()
        self._keys: dict[str, str] = {}
        self._rejects: list[Reject] = []
        self._shards: list[dict[str, Any]] = []
        self._tar: TarWriter | None = None
        self._rows = SidecarRows("")

    def __enter__(self) -> "UnitWriter":
        if self.target.exists() and not self.replace:
            raise UnitExistsError(self.target)
        self._folder = self._stack.enter_context(temporary_folder(self.out, self._prefix))
        return self

    def __exit__(self, *_: object) -> None:
        if self._tar is not None:
            self._tar.abandon()
        self._stack.close()

    def write(self, frame: Frame, key: str, picture: Picture | None, phash: int | None = None) -> None:
        """Append one frame under its global key (``codec.sample_key``); without a picture, only its labels.

        ``phash`` is the perceptual hash of the picture where it is known; it is taken from its luma otherwise.
        RecordError: a key that is malformed or taken, a picture of another size, a person out of contract.
        """
        numbers = self._check(frame, key, picture)
        meta = frame_meta(frame, picture, numbers, **self._where, key=key)
        members = encode_frame(meta, picture, numbers)
        tar = self._tar_with_room(sample_size(members))
        places = tar.add(key, members)
        if phash is None and picture is not None and picture.luma is not None:
            phash = perceptual_hash(picture.luma)
        self._rows.add(meta, numbers, picture, phash, places)

    def _check(self, frame: Frame, key: str, picture: Picture | None) -> list[Numbers]:
        """Return everyone's numbers; RecordError unless the frame can be stored and found again."""
        check_key(key)
        if key in self._keys:
            raise RecordError(key, "key", "unique", f"frames {self._keys[key]!r} and {frame.key!r} under it")
        self._keys[key] = frame.key
        if not frame.people:
            raise RecordError(key, "people", "at least one person", "none: a frame without people is left out")
        found = (frame.width, frame.height)
        if picture is not None and (size := (picture.width, picture.height)) != found:
            raise RecordError(key, "(width, height)", f"{size} like its picture", f"{found}")
        return [check_person(key, person) for person in frame.people]

    def _tar_with_room(self, size: int) -> TarWriter:
        """Return the open tar, a new one when the sample would carry it past the limit."""
        if self._tar is not None and self._tar.size + size > self.max_shard_bytes:
            self._close_shard()
        if self._tar is None:
            self._tar = TarWriter(self._folder / f"{self._prefix}-{len(self._shards):05d}.tar")
            self._rows = SidecarRows(self._tar.path.name)
        return self._tar

    def _close_shard(self) -> None:
        """Finish the open tar and write its sidecar."""
        if self._tar is None:
            return
        tar, sidecar = self._tar, self._tar.path.with_suffix(".parquet")
        blake3 = tar.close()
        facts = {"ehps_format": str(FORMAT_VERSION), "ehps_version": __version__}
        write_table(sidecar, self._rows.table(), facts | {"ehps_tar_blake3": blake3, "ehps_tar_size": str(tar.size)})
        shard = {"file": tar.path.name, "size": tar.size, "blake3": blake3}
        shard |= {"people": self._rows.people, "frames": self._rows.frames, "sidecar_blake3": _sealed(sidecar)}
        self._shards.append(shard)
        self._tar = None

    def reject(self, reject: Reject) -> None:
        """Note something that is left out on purpose."""
        self._rejects.append(reject)

    def commit(self, unit_info: Mapping[str, Any] | None = None) -> Path:
        """Make the unit visible by one rename and return its folder; ``unit_info`` is kept under ``checks``.

        UnitExistsError: another process committed the same unit first, and what it wrote is complete.
        """
        self._close_shard()
        write_rejects(self._folder / REJECTS_FILE, self._rejects, **self._where)
        summary = self._summary() | {"rejects_blake3": _sealed(self._folder / REJECTS_FILE)}
        summary["checks"] = dict(unit_info or {})
        (self._folder / UNIT_FILE).write_text(sealed_text(summary), encoding="utf-8")
        sync(self._folder / UNIT_FILE)
        sync(self._folder)
        self._publish()
        return self.target

    def _summary(self) -> dict[str, Any]:
        """Return counts, files and origin of the unit."""
        rejects = Counter[str]()
        for reject in self._rejects:
            rejects[reject.reason] += reject.people
        return {
            "format": FORMAT_VERSION,
            "ehps_version": __version__,
            **self._where,
            "frames": sum(shard["frames"] for shard in self._shards),
            "people": sum(shard["people"] for shard in self._shards),
            "rejected_people": rejects.total(),
            "rejects": dict(rejects),
            "shards": self._shards,
            "conversion": self.meta,
        }

    def _publish(self) -> None:
        """Rename the folder to its place; an older unit is moved aside first when it may be replaced."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        if self.replace and self.target.exists():
            aside = self._stack.enter_context(temporary_folder(self.out, f"{self._prefix}-old"))
            self.target.rename(aside / "unit")
        try:
            self._folder.rename(self.target)
        except OSError as error:
            if self.target.exists():
                raise UnitExistsError(self.target) from error
            raise
        sync_parents(self.target, self.out)


def _sealed(path: Path) -> str:
    """Bring a finished file to the disk and return its BLAKE3."""
    sync(path)
    return file_digest(path)
