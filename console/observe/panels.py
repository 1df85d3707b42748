"""Provisioned dashboards as Grafana reads them, and what their panels show of a Prometheus."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.observe.prometheus import Prometheus, Series

_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_STEPS = 240


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel; `legend` may name labels as `{{label}}`."""

    expression: str
    legend: str
    instant: bool

    def name(self, labels: Mapping[str, str]) -> str:
        """Return what Grafana calls a series."""
        if self.legend == "__auto":
            return ", ".join(value for name, value in sorted(labels.items()) if name != "__name__")
        return _LABEL.sub(lambda match: labels.get(match[1], ""), self.legend)


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: what it asks and where it stands, on a grid 24 wide. `limit` and `low`: from where on, or up to where, it is red."""

    title: str
    kind: str
    unit: str
    targets: tuple[Target, ...]
    place: tuple[int, int, int, int]
    stacked: bool = False
    limit: float | None = None
    low: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: its panels, rows' titles with the line on which each begins, and its variables' values."""

    title: str
    panels: tuple[Panel, ...]
    rows: tuple[tuple[int, str], ...]
    variables: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> Board:
    """Read a provisioned dashboard."""
    page = json.loads(path.read_text())
    rows = tuple((one["gridPos"]["y"], one["title"]) for one in page["panels"] if one["type"] == "row")
    panels = tuple(_panel(one) for one in page["panels"] if one["type"] != "row")
    variables = {one["name"]: str(one["query"]) for one in page["templating"]["list"] if one["type"] == "textbox"}
    return Board(page["title"], panels, rows, variables)


def _panel(text: Mapping[str, Any]) -> Panel:
    defaults, where = text["fieldConfig"]["defaults"], text["gridPos"]
    steps = defaults.get("thresholds", {}).get("steps", [])
    return Panel(
        title=text["title"],
        kind=text["type"],
        unit=defaults.get("unit", ""),
        targets=tuple(Target(one["expr"], one["legendFormat"], one["instant"]) for one in text["targets"]),
        place=(where["x"], where["y"], where["w"], where["h"]),
        stacked=defaults.get("custom", {}).get("stacking", {}).get("mode") == "normal",
        limit=steps[-1]["value"] if steps else None,
        low=bool(steps) and steps[-1]["color"] == "green",
    )


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, epoch seconds, and over how many seconds a rate is taken."""

    start: float
    end: float
    rate: float

    @property
    def step(self) -> float:
        """Seconds between two points of a line."""
        return max(1.0, (self.end - self.start) / _STEPS)

    def resolved(self, expression: str, variables: Mapping[str, str]) -> str:
        """Return the PromQL that Grafana would send."""
        known = {
            **variables,
            "__rate_interval": f"{math.ceil(self.rate)}s",
            "__range": f"{math.ceil(self.end - self.start)}s",
            "__range_s": f"{math.ceil(self.end - self.start)}",
        }
        for name, value in sorted(known.items(), key=lambda one: -len(one[0])):
            expression = expression.replace("${" + name + "}", value).replace(f"${name}", value)
        return expression


Answer = tuple[str, Series]


def answers(panel: Panel, board: Board, span: Span, server: Prometheus) -> Iterator[tuple[Target, list[Answer]]]:
    """Yield what each query of a panel shows, series by name, points that are no numbers left out."""
    for target in panel.targets:
        expression = span.resolved(target.expression, board.variables)
        if target.instant:
            found = server.instant(expression, span.end)
        else:
            found = server.range(expression, span.start, span.end, span.step)
        named = [(target.name(one.labels), _finite(one)) for one in found]
        yield target, [(name, one) for name, one in named if one.points]


def _finite(series: Series) -> Series:
    return Series(series.labels, tuple(point for point in series.points if math.isfinite(point[1])))
