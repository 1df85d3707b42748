"""Dashboards are read as Grafana reads them, and drawn as they answer."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from console.observe.draw import draw, shown
from console.observe.panels import Board, Panel, Span, Target, answers, read
from console.observe.prometheus import Prometheus, Series

SPAN = Span(1000.0, 4600.0, rate=60.0)


@dataclass(frozen=True, slots=True)
class Answering(Prometheus):
    """A Prometheus that notes what it was asked and answers everything alike."""

    url: str = "http://nowhere"
    found: tuple[Series, ...] = ()
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def instant(self, expression: str, at: float | None = None) -> list[Series]:
        self.asked.append((expression, at))
        return [Series(one.labels, one.points[-1:]) for one in self.found]

    def range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        self.asked.append((expression, start, end, step))
        return list(self.found)


def answering(*found: Series) -> Answering:
    return Answering(found=found)


def panel(kind: str = "timeseries", **changes: Any) -> Panel:
    target = Target("rate(x[$__rate_interval]) * $price", "{{job}} at {{ lens }}", kind != "timeseries")
    fields = {"title": "A title", "kind": kind, "unit": "s", "targets": (target,), "place": (0, 1, 12, 8)}
    return Panel(**{**fields, **changes})


def board(*panels: Panel) -> Board:
    return Board("A board", panels, ((0, "a row"),), {"price": "2", "price_two": "3"})


def test_a_query_is_what_grafana_would_send() -> None:
    asked = "x[$__range] / $__range_s * ${price} + $price_two + rate(y[$__rate_interval])"
    assert SPAN.resolved(asked, {"price": "2", "price_two": "3"}) == "x[3600s] / 3600 * 2 + 3 + rate(y[60s])"


def test_series_are_named_after_their_labels() -> None:
    server = answering(Series({"job": "ingest", "lens": "left"}, ((1000.0, 1.0),)), Series({}, ((1000.0, 2.0),)))
    ((_, found),) = answers(panel(), board(), SPAN, server)
    assert [name for name, _ in found] == ["ingest at left", " at "]
    assert Target("x", "__auto", instant=True).name({"__name__": "x", "b": "2", "a": "1"}) == "1, 2"


def test_a_line_is_asked_for_over_the_time_and_a_number_at_its_end() -> None:
    server = Answering()
    list(answers(panel(), board(), SPAN, server))
    list(answers(panel("stat"), board(), SPAN, server))
    assert server.asked == [("rate(x[60s]) * 2", 1000.0, 4600.0, 15.0), ("rate(x[60s]) * 2", 4600.0)]


def test_what_is_no_number_is_no_data() -> None:
    server = answering(
        Series({}, ((1000.0, math.nan), (1015.0, math.inf))), Series({"job": "a"}, ((1000.0, math.nan), (1015.0, 3.0)))
    )
    ((_, found),) = answers(panel(), board(), SPAN, server)
    assert [series.points for _, series in found] == [((1015.0, 3.0),)]


def test_a_provisioned_file_is_read_with_its_limits_and_variables(tmp_path: Path) -> None:
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 900}]
    target = {"expr": "up", "legendFormat": "{{job}}", "instant": False}
    where = {"x": 0, "y": 1, "w": 12, "h": 8}
    defaults = {"unit": "s", "thresholds": {"steps": steps}, "custom": {"stacking": {"mode": "normal"}}}
    one = {"type": "timeseries", "title": "T", "gridPos": where, "targets": [target], "fieldConfig": {"defaults": defaults}}
    row = {"type": "row", "title": "R", "gridPos": {**where, "y": 0}}
    text = {"title": "B", "panels": [row, one], "templating": {"list": [{"type": "textbox", "name": "price", "query": "2"}]}}
    (tmp_path / "b.json").write_text(json.dumps(text))
    found = read(tmp_path / "b.json")
    assert (found.title, found.rows, found.variables) == ("B", ((0, "R"),), {"price": "2"})
    (only,) = found.panels
    assert (only.limit, only.low, only.stacked, only.place) == (900, False, True, (0, 1, 12, 8))


@pytest.mark.parametrize("kind", ["timeseries", "stat", "bargauge"])
def test_every_kind_of_panel_is_drawn_and_an_empty_one_is_named(tmp_path: Path, kind: str) -> None:
    points = ((1000.0, 1.0), (1015.0, 2.0), (3000.0, 4.0))
    server = answering(Series({"job": "a"}, points), Series({"job": "b"}, points))
    both = board(panel(kind, limit=3.0), panel(kind, place=(12, 1, 12, 8), stacked=True))
    full, blank = tmp_path / "full.png", tmp_path / "blank.png"
    assert draw(both, server, SPAN, full) == []
    assert draw(both, Answering(), SPAN, blank) == ["A title", "A title"]
    assert full.read_bytes() != blank.read_bytes()
    assert full.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.25, "percentunit", "25 %"),
        (5.0, "s", "5 s"),
        (600.0, "s", "10 min"),
        (9000.0, "s", "2.5 h"),
        (1_234_567.0, "decbytes", "1.23 MB"),
        (0.0, "Bps", "0 B/s"),
        (134_544.2, "currencyUSD", "134,544 $"),
        (0.5, "cps", "0.5 /s"),
        (3.0, "short", "3"),
    ],
)
def test_values_are_written_with_their_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text
