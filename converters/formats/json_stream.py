"""JSON files of gigabytes, item by item: memory holds one item and a few megabytes of text.

A file is an object; a member that is a list (``annotations`` of a COCO file) gives its items one by one, any other
member (a fit by its annotation id) is one item. Items know their bytes, so that a unit may read its own stretch again.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...errors import RawFileError
from ..raw import require

Hook = Callable[[dict[str, Any]], Any]

_CHUNK = 4 << 20
_LARGEST_ITEM = 256 << 20  # damage is told from an item that goes on by this many bytes
_SPACE = " \t\r\n"
_OF_NUMBERS = ("", *"0123456789.eE+-")
_COMPLETE = "unpack the archive again, and compare the tree with the one that the card shows"


class Item(NamedTuple):
    """One item of a list in the file, or one member of the file that is no list."""

    name: str  # of the list, or of the member
    value: Any
    start: int  # its first byte; for a member that of its name
    stop: int


class _Text:
    """A window on the text, one character a byte, that moves on through the file."""

    def __init__(self, path: Path, file: BinaryIO, start: int, hook: Hook | None) -> None:
        self._path, self._file, self._hook = path, file, hook
        self._text, self._at, self._base = "", 0, start
        self._decode = json.JSONDecoder(object_hook=hook).raw_decode
        file.seek(start)

    @property
    def place(self) -> int:
        """Byte of the file that comes next."""
        return self._base + self._at

    def _read_on(self) -> bool:
        """Drop what was passed and add what follows; False at the end of the file."""
        chunk = self._file.read(_CHUNK)
        self._base += self._at
        self._text, self._at = self._text[self._at :] + chunk.decode("latin-1"), 0
        return bool(chunk)

    def peek(self) -> str:
        """Return the next character that is no space, empty at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._read_on():
                return ""

    def take(self, wanted: str) -> str:
        """Pass the next character, which is one of ``wanted``, and return it."""
        found = self.peek()
        if not found or found not in wanted:
            self.fail(f"expected one of {wanted} at byte {self.place}, found {found or 'the end of the file'}")
        self._at += 1
        return found

    def value(self) -> Any:
        """Pass the value that comes next and return it."""
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                place = self._base + error.pos
                if len(self._text) - self._at > _LARGEST_ITEM or not self._read_on():
                    self.fail(f"{error.msg} at byte {place}")
                continue
            if self._text[end : end + 1] in _OF_NUMBERS and self._read_on():
                continue  # what was read so far of a number is one, too
            text, self._at = self._text[self._at : end], end
            return value if text.isascii() else json.loads(text.encode("latin-1"), object_hook=self._hook)

    def fail(self, problem: str) -> None:
        """Raise RawFileError."""
        raise RawFileError(self._path, f"is not JSON ({problem})", _COMPLETE)


def stream_json(path: Path, hook: Hook | None = None, *, members: Iterable[str] = ()) -> Iterator[Item]:
    """Yield the items of a file in their order; RawFileError for one that is missing, cut off or no JSON object.

    ``hook`` sees every object, as that of ``json.load``, and may shrink it. RawSchemaError at the end of a file that
    lacks one of ``members``.
    """
    found: dict[str, None] = {}
    with _open(path) as file:
        text = _Text(path, file, 0, hook)
        text.take("{")
        while text.peek() != "}":
            start = text.place
            name = text.value()
            found[name] = None
            text.take(":")
            if text.peek() == "[":
                yield from _listed(text, name)
            else:
                value = text.value()
                yield Item(name, value, start, text.place)
            if text.peek() != "}":
                text.take(",}")
    require(path, found, *members)


def _listed(text: _Text, name: str) -> Iterator[Item]:
    """Yield the items of the list that comes next."""
    text.take("[")
    while text.peek() != "]":
        start = text.place
        value = text.value()
        yield Item(name, value, start, text.place)
        if text.peek() != "]":
            text.take(",]")
    text.take("]")


def read_stretch(path: Path, start: int, stop: int, hook: Hook | None = None) -> Iterator[Item]:
    """Yield the items between two bytes, where ``stream_json`` found an item to start and one to stop.

    All belong to one list, whose name is not known here, or all are members of the file.
    """
    with _open(path) as file:
        text = _Text(path, file, start, hook)
        while text.peek() and (begun := text.place) < stop:
            name, value = "", text.value()
            if isinstance(value, str) and text.peek() == ":":
                text.take(":")
                name, value = value, text.value()
            yield Item(name, value, begun, text.place)
            if text.peek() == ",":
                text.take(",")


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise RawFileError(path, "no such file", _COMPLETE) from error
