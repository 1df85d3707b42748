"""How work on a capture is spread over threads."""

from collections.abc import Callable, Iterable

Spread = Callable[[Callable[[int], None], Iterable[int]], None]
"""Calls a function for every number, in whatever threads it likes, and returns when all are done."""


def one_by_one(work: Callable[[int], None], numbers: Iterable[int]) -> None:
    """Spread work over no other thread."""
    for number in numbers:
        work(number)
