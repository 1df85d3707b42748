"""Waiting for what does not answer."""

import asyncio
import itertools

import pytest

from panoveil.contracts.errors import Unavailable
from services.agent.patience import Backoff, Patience


def test_waits_double_up_to_the_longest_until_given_up() -> None:
    assert list(Backoff(first=1, longest=4, give_up_after=15).delays()) == [1, 2, 4, 4, 4]
    assert list(Backoff(first=1, longest=4, give_up_after=0.5).delays()) == []


def test_zero_never_gives_up() -> None:
    delays = list(itertools.islice(Backoff(first=0.5, longest=30, give_up_after=0).delays(), 1000))
    assert (delays[0], max(delays), sum(delays) > 20_000) == (0.5, 30, True)


async def test_a_wait_of_several_is_told_once() -> None:
    told: list[tuple[str, float]] = []
    left = {"a": 2, "b": 2, "c": 2}

    async def attempt(name: str) -> str:
        left[name] -= 1
        await asyncio.sleep(0)
        if left[name] >= 0:
            raise Unavailable("s3", "down")
        return name

    patience = Patience(Backoff(), lambda error, seconds: told.append((error.dependency, seconds)), lambda _: asyncio.sleep(0))
    answers = await asyncio.gather(*(patience.until_answered(lambda name=name: attempt(name)) for name in left))  # type: ignore[misc]
    assert answers == ["a", "b", "c"]
    assert told == [("s3", 0.5), ("s3", 1.0)]


async def test_the_last_failure_is_raised() -> None:
    attempts = itertools.count(1)

    async def attempt() -> None:
        raise Unavailable("s3", f"attempt {next(attempts)}")

    patience = Patience(Backoff(first=1, give_up_after=3), lambda *_: None, lambda _: asyncio.sleep(0))
    with pytest.raises(Unavailable, match="attempt 3"):
        await patience.until_answered(attempt)
