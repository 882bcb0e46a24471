"""Wrong annotations are found: the light decorator is in force, and as strict as jaxtyping's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, TypeCheckError

from ehps.body.cameras import project
from ehps.shards.record import Camera
from ehps.tests import type_checks

if TYPE_CHECKING:
    from ehps.shards.record import Frame

PAIR = (np.zeros((2, 3)), np.zeros((4, 3)))
checked = type_checks.jaxtyped(typechecker=beartype)


@checked
def first(one: Float[np.ndarray, "n 3"], two: Float[np.ndarray, "n 3"] | None = None) -> Float[np.ndarray, "n"]:
    return one[:, 0] if two is None else np.concatenate([one, two])[:, 0]


@checked
def halved(number: int) -> int:
    return number / 2  # pyright: ignore[reportReturnType]


@checked
def rows(one: Float[np.ndarray, "n 3"]) -> Iterator[Float[np.ndarray, "3"]]:
    yield from one


@checked
@dataclass(frozen=True)
class Pair:
    one: Float[np.ndarray, "n 3"]
    two: Float[np.ndarray, "n 3"]

    @property
    @checked
    def size(self) -> int:
        return float(len(self.one))  # pyright: ignore[reportReturnType]


@checked
@dataclass(frozen=True)
class Triple(Pair):
    three: Float[np.ndarray, "n 3"]


def test_what_fits_passes():
    assert first(PAIR[0]).shape == (2,)
    assert len(list(rows(PAIR[0]))) == 2
    assert len(Triple(*PAIR[:1] * 3).three) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: first(np.zeros((2, 4))),
        lambda: first(np.zeros((2, 3), int)),
        lambda: first(*PAIR),  # each is right alone
        lambda: first(PAIR[0], PAIR[0]),  # a result of twice the length
        lambda: halved(3),
        lambda: halved("3"),  # pyright: ignore[reportArgumentType]
        lambda: Pair(*PAIR),
        lambda: Pair(PAIR[0], PAIR[0]).size,
        lambda: Triple(PAIR[0], PAIR[0], PAIR[1]),
    ],
)
def test_what_does_not_fit_is_found(wrong):
    with pytest.raises(BeartypeCallHintViolation):
        wrong()


def test_a_generator_s_arguments_are_checked_when_it_is_called():
    with pytest.raises(TypeCheckError):
        rows(np.zeros((2, 4)))


def test_names_that_only_type_checkers_know_are_let_through_and_others_are_not():
    @checked
    def named(frame: "Frame", pair: "Pair | None" = None) -> "int":
        return 1

    assert named(3) == 1  # pyright: ignore[reportArgumentType]
    with pytest.raises(BeartypeCallHintViolation):
        named(3, 4)  # pyright: ignore[reportArgumentType]


def test_sizes_of_one_call_are_forgotten_by_the_next():
    assert first(PAIR[0]).shape == (2,)
    assert first(PAIR[1]).shape == (4,)


def test_the_names_of_a_caller_s_axes_are_not_those_of_what_it_calls():
    @checked
    def outer(one: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
        return np.concatenate([first(one[:1]), first(one[1:])])

    assert outer(PAIR[1]).shape == (4,)


def test_the_package_is_checked():
    with pytest.raises(BeartypeCallHintViolation):  # and not by jaxtyping's own decorator
        project(np.ones((2, 4)), np.eye(3))
    with pytest.raises(BeartypeCallHintViolation):
        Camera(K=np.zeros((3, 4)))
