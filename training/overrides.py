"""Changes to a recipe as people type them: ``key=value``, read by the types of the fields."""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Literal

from ..errors import RecipeError, UnknownNameError
from .network_size import SIZES, NetworkSize
from .recipe import Recipe


def overridden(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    """Return a recipe changed by ``key=value`` pairs; dots reach inside (``augmentation.rotation=0``).

    ``network`` also takes a size's letter. Unknown keys raise UnknownNameError, unfit values RecipeError.
    """
    changes: dict[str, Any] = {}
    for pair in overrides:
        key, equals, text = pair.partition("=")
        if not equals:
            raise RecipeError(f"an override reads key=value, found {pair!r}")
        name, _, inner = key.partition(".")
        changes[name] = _value(changes.get(name, getattr(recipe, name, None)), name, inner, text)
    return dataclasses.replace(recipe, **changes)


def _value(current: Any, name: str, inner: str, text: str) -> Any:
    """Return the new value of a field, or of the part of it that ``inner`` names."""
    hints = typing.get_type_hints(Recipe)
    if name not in hints:
        raise UnknownNameError("recipe field", name, hints)
    if not inner:
        return _parsed(name, hints[name], text)
    parts = typing.get_type_hints(hints[name]) if _is_group(hints[name]) else {}
    if inner not in parts:
        raise UnknownNameError(f"part of the recipe field {name}", inner, parts)
    change = {inner: _parsed(f"{name}.{inner}", parts[inner], text)}
    return current._replace(**change) if hints[name] is NetworkSize else dataclasses.replace(current, **change)


def _is_group(hint: Any) -> bool:
    """Return whether a type has named parts."""
    return hint is NetworkSize or dataclasses.is_dataclass(hint)


def _parsed(name: str, hint: Any, text: str) -> Any:
    """Return text as a value of a type."""
    if isinstance(hint, types.UnionType):
        if text.lower() in ("none", "null"):
            return None
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is Literal:
        if text not in typing.get_args(hint):
            raise UnknownNameError(f"value of {name}", text, typing.get_args(hint))
        return text
    readers: dict[Any, Callable[[str], Any]] = {int: _whole, float: float, bool: _truth, str: str, NetworkSize: _size}
    if hint not in readers:
        raise RecipeError(f"{name} is changed part by part, as in {name}.{next(iter(typing.get_type_hints(hint)))}=...")
    try:
        return readers[hint](text)
    except ValueError as error:
        raise RecipeError(f"{name} should be of type {hint.__name__}, found {text!r}") from error


def _whole(text: str) -> int:
    """Return a whole number, also when written as 1e6."""
    value = float(text.replace("_", ""))
    if value != int(value):
        raise ValueError(text)
    return int(value)


def _truth(text: str) -> bool:
    """Return true or false."""
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _size(text: str) -> NetworkSize:
    """Return a network size by its letter."""
    if text.lower() not in SIZES:
        raise UnknownNameError("network size", text, SIZES)
    return SIZES[text.lower()]
