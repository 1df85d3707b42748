"""What commands list: rows as a table for a person, ages and times as a person writes them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.table import Table


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return some columns of rows; "age" is written from their `age_seconds`, None is left empty."""
    made = Table()
    for column in columns:
        made.add_column(column, overflow="fold")
    for one in rows:
        shown = {**one, "age": age(one["age_seconds"])}
        made.add_row(*("" if shown[column] is None else str(shown[column]) for column in columns))
    return made


def age(seconds: float) -> str:
    """Write an age as a person would: the two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def iso(at: float) -> str:
    """Write epoch seconds as ISO 8601 in UTC, cut to whole seconds: fractions only blur a listing."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(at))).isoformat()
