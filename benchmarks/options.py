"""What the command lines of benchmarks share: numbers that must be positive, and progress on standard error."""

import argparse
import sys
import time
from collections.abc import Callable

Tell = Callable[[str], None]
"""Says what is done now."""


def teller() -> Tell:
    """Return what says a step on standard error, with the seconds since this call."""
    start = time.monotonic()

    def tell(step: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {step}", file=sys.stderr, flush=True)

    return tell


def positive(value: str) -> int:
    """Read a whole number of at least 1, as argparse's `type`."""
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number
