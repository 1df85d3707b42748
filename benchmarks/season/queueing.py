"""One stage: batches in the order in which they arrive, worked off at a rate that is constant between two looks at the clock.

A stage of c slots of s seconds a record is taken for one that works c times as fast, each record then taking what a single slot would
have taken longer: exact for one slot; for several never too quick, and too slow by less than s (tests compare it with `exact`).
"""

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Batch(NamedTuple):
    """Panoramas that go together: when they reached this stage, their number, how many, when captured and when they were in the stream."""

    arrived: float
    number: int
    panoramas: float
    captured: float
    uploaded: float


class Fifo:
    """First come, first served; times are seconds and only rise."""

    def __init__(self) -> None:
        self._waiting: list[Batch] = []
        self._head: Batch | None = None
        self._left = 0.0
        self.backlog = 0.0

    def put(self, batch: Batch) -> None:
        """Queue a batch, which may arrive later than the present."""
        heapq.heappush(self._waiting, batch)
        self.backlog += batch.panoramas

    def repeat(self, records: float) -> None:
        """Let so many records of what is being worked on be done once more."""
        if self._head:
            self._left += records

    def behind(self, now: float) -> float:
        """Return the age of the oldest batch that has arrived, seconds."""
        head = self._head or (self._waiting[0] if self._waiting else None)
        return max(0.0, now - head.arrived) if head else 0.0

    def serve(self, start: float, end: float, rate: float) -> list[tuple[float, Batch]]:
        """Work from start to end at so many records a second; return what became ready, and when."""
        done: list[tuple[float, Batch]] = []
        now = start
        while rate > 0 and (head := self._taken(end)):
            begin = max(now, head.arrived)
            finish = begin + self._left / rate
            if finish > end:
                self._left -= (end - begin) * rate
                break
            done.append((finish, head))
            self.backlog -= head.panoramas
            self._head, now = None, finish
        return done

    def _taken(self, end: float) -> Batch | None:
        if self._head is None and self._waiting and self._waiting[0].arrived < end:
            self._head = heapq.heappop(self._waiting)
            self._left = self._head.panoramas
        return self._head


def exact(arrived: Floats, servers: int, service_s: float) -> Floats:
    """Return when each single record leaves `servers` servers that take `service_s` each: FIFO, arrivals in order."""
    free = [0.0] * servers
    leaves = np.empty_like(arrived)
    for index, time in enumerate(arrived.tolist()):
        leaves[index] = max(time, heapq.heappop(free)) + service_s
        heapq.heappush(free, float(leaves[index]))
    return leaves


def quantiles(ages: Floats, counts: Floats, shares: tuple[float, ...]) -> list[float]:
    """Return weighted quantiles: the age that a share of all records does not exceed."""
    order = np.argsort(ages)
    reached = np.cumsum(counts[order])
    at = np.searchsorted(reached, np.asarray(shares) * reached[-1] * (1 - 1e-12))
    return [float(ages[order[index]]) for index in np.minimum(at, len(order) - 1)]
