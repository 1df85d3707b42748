"""One line on a terminal: how far it is, how fast, and how long it will take."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from services.agent.events import CaptureFound, CaptureUploaded, DriveDone, Event, FrameUploaded, StillWritten, Waiting

_STRETCH = 20.0
"""Seconds over which the rate is taken."""
_PAUSE = 0.1
"""Seconds between two drawings."""
_CLEAR = "\r\x1b[K"
_THOUSAND = 1000
_MINUTE, _HOUR = 60, 3600


@dataclass(slots=True)
class Progress:
    """Adds events up; `clock` gives seconds and never goes back."""

    clock: Callable[[], float] = time.monotonic
    captures: int = 0
    done: int = 0
    left: dict[str, int] = field(default_factory=dict)
    total: int = 0
    sent: int = 0
    trouble: str = ""
    _points: deque[tuple[float, int]] = field(default_factory=deque)

    def __call__(self, event: Event) -> None:
        """Listen."""
        match event:
            case CaptureFound():
                self.captures += 1
                self.total += event.size
                self.left[event.capture_id] = event.size
            case FrameUploaded():
                self.trouble = ""
                self._sent(event.capture_id, event.size)
            case CaptureUploaded():
                self.done += 1
                # What went in an earlier run, or stays behind, is not to be waited for.
                self.left.pop(event.capture_id, None)
            case Waiting():
                self.trouble = f"waiting for {event.dependency}"
            case StillWritten():
                self.trouble = f"{event.captures} still being written"

    @property
    def rate(self) -> float:
        """Bytes a second over the last seconds; 0 while nothing is known."""
        if not self._points:
            return 0.0
        began, sent = self._points[0]
        passed = self.clock() - began
        return (self.sent - sent) / passed if passed > 0 else 0.0

    @property
    def bytes_left(self) -> int:
        """Bytes to be sent."""
        return sum(self.left.values())

    def _sent(self, capture_id: str, size: int) -> None:
        now = self.clock()
        self._points.append((now, self.sent))
        while now - self._points[0][0] > _STRETCH and len(self._points) > 1:
            self._points.popleft()
        self.sent += size
        if capture_id in self.left:
            self.left[capture_id] = max(0, self.left[capture_id] - size)

    def __str__(self) -> str:
        """`12/340 captures · 1.2/28.4 GB · 18.3 MB/s · 25 min left`."""
        left, rate = self.bytes_left, self.rate
        parts = [f"{self.done}/{self.captures} captures", f"{_size(self.total - left)} of {_size(self.total)}"]
        if rate:
            parts.append(f"{_size(rate)}/s")
        if rate and left:
            parts.append(f"{_duration(left / rate)} left")
        return " · ".join([*parts, self.trouble] if self.trouble else parts)


class ProgressLine:
    """Draws `Progress` on the last line of a terminal; it is the stream that log lines go to as well, so that they stand above it."""

    def __init__(self, terminal: TextIO, columns: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        """`columns` gives the terminal's width."""
        self._terminal = terminal
        self._columns = columns
        self._clock = clock
        self._progress = Progress(clock)
        self._drawn_at = float("-inf")

    def __call__(self, event: Event) -> None:
        """Listen."""
        self._progress(event)
        if isinstance(event, DriveDone):
            self._progress = Progress(self._clock)
            self._terminal.write(_CLEAR)
        elif self._clock() - self._drawn_at >= _PAUSE or isinstance(event, Waiting):
            self._draw()

    def write(self, text: str) -> None:
        """Write a log line above the progress."""
        self._terminal.write(_CLEAR + text)
        if self._progress.captures:
            self._draw()

    def flush(self) -> None:
        """Have the terminal show it."""
        self._terminal.flush()

    def _draw(self) -> None:
        self._drawn_at = self._clock()
        self._terminal.write(_CLEAR + str(self._progress)[: self._columns() - 1])
        self._terminal.flush()


def _size(count: float) -> str:
    """Write a number of bytes with a unit."""
    for unit in ("B", "kB", "MB"):
        if count < _THOUSAND:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _THOUSAND
    return f"{count:.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:02.0f} min"
