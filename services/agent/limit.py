"""How fast the agent may send."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from services.agent.patience import Sleep

_RATE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kMG]?)(?P<what>B|bit)/s")
_THOUSANDS = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_BITS = 8


@dataclass(slots=True)
class Limit:
    """A token bucket: over any stretch of time at most `rate` bytes a second, and one object. 0 is no limit.

    It may be overdrawn: an object goes as fast as the line takes it, and the next one waits for as long as it should have taken.
    `clock` gives seconds and never goes back.
    """

    rate: float
    clock: Callable[[], float] = time.monotonic
    sleep: Sleep = asyncio.sleep
    _free_at: float = field(default=float("-inf"))

    async def take(self, size: int) -> None:
        """Return when `size` bytes may be sent."""
        if not self.rate:
            return
        now = self.clock()
        start = max(self._free_at, now)
        self._free_at = start + size / self.rate
        if start > now:
            await self.sleep(start - now)


def bytes_per_second(text: str) -> float:
    """Read `20MB/s`, `500kB/s` or `8Mbit/s`, or raise `ValueError`."""
    match = _RATE.fullmatch(text.strip())
    if match is None or not float(match["number"]):
        raise ValueError(f"{text!r} is no rate: write it as 20MB/s, 500kB/s or 8Mbit/s")
    return float(match["number"]) * _THOUSANDS[match["unit"]] / (_BITS if match["what"] == "bit" else 1)
