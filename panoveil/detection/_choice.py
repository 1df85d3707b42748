"""Which models to ask for, and how patiently."""

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """A model to ask for: its name at Triton, the score from which it counts, and the longest side of a picture it takes, in pixels.

    Longer pictures are shown to it in overlapping pieces; None is no limit.
    """

    name: str
    threshold: float = 0.0
    longest_side: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to ask, and how long to wait in between: doubling from `first` seconds to `longest`, each cut at random by up to half."""

    attempts: int = 5
    first: float = 0.5
    longest: float = 8.0

    def waits(self) -> Iterator[float]:
        """Yield the seconds before the second attempt, the third and so on."""
        for number in range(self.attempts - 1):
            yield min(self.first * 2**number, self.longest) * random.uniform(0.5, 1)  # noqa: S311 - no secret
