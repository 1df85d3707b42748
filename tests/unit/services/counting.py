"""Twins that count what is asked of them."""

from collections import Counter
from typing import Any


class Counting:
    """Passes every call on to a store and counts it under its name."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._store, name)
