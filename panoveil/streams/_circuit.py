"""One wait for all records of a service: while a dependency is down only one of them asks now and then whether it is up again."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from panoveil import telemetry
from panoveil.contracts.errors import Unavailable

_log = logging.getLogger("panoveil.streams.consumer")
_MOST_DOUBLINGS = 32

Call = Callable[[], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently. Pauses double from `first_pause` to `longest_pause` (seconds), each cut by up to half at random."""

    attempts: int = 4
    first_pause: float = 0.5
    longest_pause: float = 30.0

    def pause(self, failures: int, chance: float) -> float:
        """Seconds to wait after so many failures (1 or more); `chance` is uniform in [0, 1)."""
        whole = min(self.longest_pause, self.first_pause * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
        return whole * (1 - chance / 2)


PATIENT = RetryPolicy()
"""What services wait by."""


class Circuit:
    """Closed, it lets every call through. The first that raises `Unavailable` opens it.

    Open, calls queue: one at a time waits for its turn, pauses, and tries. Each failed try makes the next pause longer; the record behind it
    in the queue tries next, so that one that alone meets a broken shelf does not keep the others waiting for good. The first try that
    raises anything else, or nothing, closes the circuit for all.
    """

    def __init__(
        self,
        service: str,
        policy: RetryPolicy,
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`sleep` is called with seconds, `chance` is uniform in [0, 1)."""
        self._service = service
        self._policy = policy
        self._sleep = sleep
        self._chance = chance
        self._down: set[str] = set()
        self._failures = 0
        self._turn = asyncio.Lock()
        self._waiting: set[asyncio.Task[object]] = set()
        self._given_up = False

    async def call(self, call: Call) -> None:
        """Call once the circuit lets it through, again and again until no dependency is down; raise whatever else comes out of it."""
        own_failures = 0
        while True:
            done = await (self._in_turn(call) if self._down else self._freely(call))
            if done:
                return
            own_failures += done is False
            if own_failures > 1 and not self._down:  # others get through: what is wrong is with this one
                await self.pause(own_failures)

    async def pause(self, failures: int) -> None:
        """Wait as the policy says after so many failures (1 or more)."""
        seconds = self._policy.pause(failures, self._chance())
        await self._wait(lambda: self._sleep(seconds))

    def give_up(self) -> None:
        """Cancel whoever waits, now and from now on: whoever consumes next gets those records. Calls that run go on."""
        self._given_up = True
        for task in self._waiting:
            task.cancel()

    async def _freely(self, call: Call) -> bool:
        try:
            await call()
        except Unavailable as error:
            self._note(error)
            return False
        return True

    async def _in_turn(self, call: Call) -> bool | None:
        """Wait for the turn, pause and try; say whether that went well, None where the circuit closed meanwhile."""
        await self._wait(self._turn.acquire)
        try:
            if not self._down:
                return None
            await self.pause(self._failures)
            return await self._tried(call)
        finally:
            self._turn.release()

    async def _tried(self, call: Call) -> bool:
        try:
            await call()
        except Unavailable as error:
            self._failures += 1
            self._note(error)
            return False
        except Exception:  # of whatever kind: what was down has answered
            self._close()
            raise
        self._close()
        return True

    def _note(self, error: Unavailable) -> None:
        telemetry.RETRIES.labels(self._service, error.dependency).inc()
        if error.dependency not in self._down:
            _log.warning("%s waits for %s", self._service, error)
            telemetry.DEPENDENCY_UP.labels(self._service, error.dependency).set(0)
        self._failures = max(1, self._failures)
        self._down.add(error.dependency)

    def _close(self) -> None:
        for dependency in self._down:
            _log.warning("%s: %s answers again", self._service, dependency)
            telemetry.DEPENDENCY_UP.labels(self._service, dependency).set(1)
        self._down.clear()
        self._failures = 0

    async def _wait(self, waiting: Callable[[], Awaitable[object]]) -> None:
        task = asyncio.current_task()
        if self._given_up or task is None:
            raise asyncio.CancelledError
        self._waiting.add(task)
        try:
            await waiting()
        finally:
            self._waiting.discard(task)
