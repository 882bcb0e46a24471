"""Lengths of time in words that people read at a glance."""

import math

_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def span(seconds: float | None) -> str:
    """Return a length of time by its two largest units, such as ``2 h 5 min``; a dash where it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return "\N{EN DASH}"
    whole = round(max(seconds, 0))
    for size, name, below, below_name in _UNITS:
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {below_name}" if rest else "")
    return f"{whole} s"


def ago(seconds: float) -> str:
    """Return how long ago something was, by its largest unit."""
    for size, name, _, _ in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {name} ago"
    return "just now" if seconds < 10 else f"{int(seconds)} s ago"


def hours(seconds: float) -> str:
    """Return a length of recorded time: in hours from one hour on, below that by its two largest units."""
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else span(seconds)
