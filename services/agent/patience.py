"""How long the agent waits for what does not answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from panoveil.contracts.errors import Unavailable

_T = TypeVar("_T")
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before the next attempt: doubled each time up to `longest`; given up once `give_up_after` are waited (0: never)."""

    first: float = 0.5
    longest: float = 30.0
    give_up_after: float = 600.0

    def delays(self) -> Iterator[float]:
        """Yield the waits, in order."""
        waited, delay = 0.0, self.first
        while not self.give_up_after or waited + delay <= self.give_up_after:
            yield delay
            waited, delay = waited + delay, min(2 * delay, self.longest)


@dataclass(frozen=True, slots=True)
class Patience:
    """Repeats what fails with `Unavailable`; the last failure is raised when the backoff gives up.

    `on_wait` is told the seconds of a wait, once where several wait for the same dependency.
    """

    backoff: Backoff
    on_wait: Callable[[Unavailable, float], None]
    sleep: Sleep = asyncio.sleep
    _waited_for: set[str] = field(default_factory=set)

    async def until_answered(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """Return the first answer of `attempt`."""
        for delay in self.backoff.delays():
            try:
                return await attempt()
            except Unavailable as error:
                await self._wait(error, delay)
        return await attempt()

    async def _wait(self, error: Unavailable, seconds: float) -> None:
        if error.dependency in self._waited_for:
            await self.sleep(seconds)
            return
        self._waited_for.add(error.dependency)
        self.on_wait(error, seconds)
        try:
            await self.sleep(seconds)
        finally:
            self._waited_for.discard(error.dependency)
