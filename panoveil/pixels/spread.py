"""How work on a capture is spread over threads."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

Made = TypeVar("Made")

Spread = Callable[[Callable[[int], None], Iterable[int]], None]
"""Calls a function for every number, in whatever threads it likes, and returns when all are done."""


def one_by_one(work: Callable[[int], None], numbers: Iterable[int]) -> None:
    """Spread work over no other thread."""
    for number in numbers:
        work(number)


def each(work: Callable[[Any], Made], things: Sequence[Any], spread: Spread) -> list[Made]:
    """Return what the work makes of each thing, in order, in whatever threads."""
    made: list[Any] = [None] * len(things)

    def make(number: int) -> None:
        made[number] = work(things[number])

    spread(make, range(len(things)))
    return made
