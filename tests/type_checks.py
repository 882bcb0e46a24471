"""The checks of annotations that every test runs under, at a fraction of what jaxtyping's own decorator costs.

``--jaxtyping-packages`` puts ``@jaxtyping.jaxtyped(typechecker=...)`` on every function and class of ehps. That
decorator binds the arguments of every call, checks them twice, and has beartype write two checkers a function when a
module is imported. The one here finds the same, but checks once, opens a scope for the names of axes only where an
annotation has axes, and has the checker written at the first call. Axes computed from arguments ("{n}") are beyond it.
``no_type_check`` keeps it from decorating itself.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints, no_type_check

import jaxtyping

Decorator = Callable[[Callable], Callable]
_MARK = "__checks_annotations__"


@no_type_check
def install() -> None:
    """Let jaxtyping's import hook use this decorator from now on."""
    jaxtyping.jaxtyped = jaxtyped


@no_type_check
def jaxtyped(fn: Any = None, *, typechecker: Decorator) -> Any:
    """Return a function that checks what it takes and returns, or a dataclass that checks its fields."""
    if fn is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if inspect.isclass(fn):
        if dataclasses.is_dataclass(fn) and inspect.isfunction(fn.__init__) and not hasattr(fn.__init__, _MARK):
            fn.__init__ = _checked(fn.__init__, typechecker)
        return fn
    if isinstance(fn, classmethod | staticmethod):
        return type(fn)(_checked(fn.__func__, typechecker))
    if isinstance(fn, property):
        return property(*(one and _checked(one, typechecker) for one in (fn.fget, fn.fset, fn.fdel)))
    return _checked(fn, typechecker)


@no_type_check
def _checked(fn: Callable, typechecker: Decorator) -> Callable:
    """Return a function whose annotations are checked; those of arrays in a scope of their own."""
    if inspect.isgeneratorfunction(fn):  # beartype would check its arguments only when it is read, in another scope
        return _jaxtyped(fn, typechecker=typechecker)
    checker = functools.cache(lambda: typechecker(_with_known_types(fn)))

    @functools.wraps(fn)
    def checked(*args: Any, **kwargs: Any) -> Any:
        return checker()(*args, **kwargs)

    @functools.wraps(fn)
    def checked_with_axes(*args: Any, **kwargs: Any) -> Any:
        with _jaxtyped("context"):
            return checker()(*args, **kwargs)

    has_axes = any(_names_axes(hint) for hint in getattr(fn, "__annotations__", {}).values())
    chosen = checked_with_axes if has_axes else checked
    setattr(chosen, _MARK, True)
    return chosen


@no_type_check
def _with_known_types(fn: Callable) -> Callable:
    """Return the function, its annotations no longer strings; what only type checkers import may be anything."""
    known = {}
    for name, hint in fn.__annotations__.items():
        one = SimpleNamespace(__annotations__={name: hint})
        try:
            known |= get_type_hints(one, fn.__globals__, include_extras=True)
        except NameError:
            known[name] = Any
    fn.__annotations__ = known
    return fn


@no_type_check
def _names_axes(hint: Any) -> bool:
    """Whether an annotation holds one of an array; one that is still a string may."""
    if isinstance(hint, str) or (inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)):
        return True
    return any(_names_axes(part) for part in get_args(hint))


_jaxtyped = jaxtyping.jaxtyped
