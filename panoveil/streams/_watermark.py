"""How far a shard may be checkpointed: the highest sequence number with nothing unfinished at or below it."""

import heapq
from collections import Counter

_Place = tuple[int, str]
"""A sequence number, to compare and as it is spelt: a stream may write leading zeros, and wants its own spelling back."""


class Watermark:
    """Tracks one shard's records from delivery to completion, in whatever order they complete.

    A sequence number may be delivered several times (aggregated records, redelivery): it counts as finished once
    each of its deliveries is. The mark only ever rises.
    """

    def __init__(self) -> None:
        self._ahead: list[_Place] = []
        self._unfinished: Counter[_Place] = Counter()
        self._mark: _Place = (-1, "")

    @property
    def mark(self) -> str | None:
        """The sequence number to checkpoint at, spelt as it was delivered, or None while nothing may be."""
        return self._mark[1] or None

    @property
    def unfinished(self) -> int:
        """Deliveries that have not completed."""
        return self._unfinished.total()

    def delivered(self, sequence_number: str) -> None:
        """Note a record before it is worked on."""
        place = (int(sequence_number), sequence_number)
        if place not in self._unfinished:
            heapq.heappush(self._ahead, place)
        self._unfinished[place] += 1

    def completed(self, sequence_number: str) -> None:
        """Note that one delivery of the record is finished; `KeyError` where none is open."""
        place = (int(sequence_number), sequence_number)
        if self._unfinished[place] <= 0:
            raise KeyError(sequence_number)
        self._unfinished[place] -= 1
        self._rise()

    def _rise(self) -> None:
        while self._ahead and not self._unfinished[self._ahead[0]]:
            place = heapq.heappop(self._ahead)
            del self._unfinished[place]
            self._mark = max(self._mark, place)
