"""Counts and sizes in words that people read at a glance."""

_LETTERS = ((10**9, "G"), (10**6, "M"), (10**4, "k"))
_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def compact(number: int) -> str:
    """Return a count in at most four digits and a letter."""
    for limit, letter in _LETTERS:
        if number >= limit:
            scaled = number / (1000 if letter == "k" else limit)
            return f"{scaled:.1f}{letter}" if scaled < 100 else f"{scaled:.0f}{letter}"
    return f"{number:,}"


def stored(size: int) -> str:
    """Return a number of bytes in its largest unit, such as ``29.1 MB``."""
    for limit, unit in _UNITS:
        if size >= limit:
            return f"{size / limit:.1f} {unit}"
    return f"{size} bytes"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a count with its word, such as ``**1** person``; ``many`` is the word with an s unless it is given."""
    return f"**{number:,}** {_word(number, one, many)}"


def several(number: int, one: str, many: str = "") -> str:
    """Return a count with its word as ``counted`` does, nothing of it bold."""
    return f"{number:,} {_word(number, one, many)}"


def _word(number: int, one: str, many: str) -> str:
    return one if number == 1 else many or f"{one}s"
