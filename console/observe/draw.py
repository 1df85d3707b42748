"""Pictures of the dashboards as a Prometheus answers them, where there is no Grafana: every panel with its series. Needs the dev group."""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import dates
from matplotlib import pyplot as plt

from console.observe.panels import Answer, Board, Panel, Span, answers, read
from console.observe.prometheus import Prometheus, Series
from console.stack.stack import HOME

DASHBOARDS = HOME / "k8s-or-ecs" / "observe" / "dashboards"
_GRID, _INCH, _LINE = 24, 0.75, 0.36
_INK, _PALE, _RED, _GREEN = "#24292f", "#8b949e", "#cf222e", "#1a7f37"
_NAMES_A_LINE = 10
_THOUSAND = 1000


def draw(board: Board, server: Prometheus, span: Span, path: Path) -> list[str]:
    """Draw a dashboard into a PNG; return the titles of the panels that have nothing to show."""
    bottom = max(y + height for _, y, _, height in (panel.place for panel in board.panels))
    figure = plt.figure(figsize=(_GRID * _INCH, bottom * _LINE + 1), dpi=80, facecolor="white")
    _headings(figure, board, bottom, span)
    empty = []
    for panel in board.panels:
        found = [answer for _, named in answers(panel, board, span, server) for answer in named]
        if not found:
            empty.append(panel.title)
        axes = _axes(figure, panel, bottom)
        _DRAWN[panel.kind](axes, panel, [(name, _with_gaps(series, span.step)) for name, series in found])
        if panel.kind == "timeseries":
            axes.set_xlim(*(datetime.fromtimestamp(at, UTC) for at in (span.start, span.end)))
    figure.savefig(path)
    plt.close(figure)
    return empty


def _with_gaps(series: Series, step: float) -> Series:
    """Break the line where there was nothing for more than a step, as Grafana does."""
    points = list(series.points[:1])
    for before, after in pairwise(series.points):
        points += [(before[0] + step, math.nan)] if after[0] - before[0] > 1.5 * step else []
        points.append(after)
    return Series(series.labels, tuple(points))


def _headings(figure: Any, board: Board, bottom: int, span: Span) -> None:
    when = " to ".join(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") for at in (span.start, span.end))
    figure.text(0.01, 0.995, f"{board.title}    {when} UTC", va="top", size=15, weight="bold", color=_INK)
    for y, title in board.rows:
        figure.text(0.01, _up(y + 0.85, bottom), title, va="bottom", size=12, weight="bold", color=_INK)


def _up(y: float, bottom: int) -> float:
    """Return how high up a line of the grid lies, 0..1."""
    height = bottom * _LINE + 1
    return (height - 0.6 - y * _LINE) / height


def _axes(figure: Any, panel: Panel, bottom: int) -> Any:
    x, y, width, height = panel.place
    left = x / _GRID + (0.1 if panel.kind == "bargauge" else 0.04)
    top, low = _up(y + 1.1, bottom), _up(y + height - (2.6 if panel.kind == "timeseries" else 0.6), bottom)
    axes = figure.add_axes((left, low, (x + width) / _GRID - 0.02 - left, max(0.01, top - low)))
    axes.set_title(panel.title, loc="left", size=10, color=_INK, pad=3)
    return axes


def _lines(axes: Any, panel: Panel, found: Sequence[Answer]) -> None:
    times = [[datetime.fromtimestamp(at, UTC) for at, _ in series.points] for _, series in found]
    values = [[value for _, value in series.points] for _, series in found]
    if panel.stacked and found:
        _stacked(axes, found)
    else:
        for (name, _), at, value in zip(found, times, values, strict=True):
            axes.plot(at, value, label=name[:38], linewidth=1.4, drawstyle="steps-post" if panel.unit == "short" else "default")
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, panel.unit))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S"))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    _quiet(axes)
    highest = max((one for value in values for one in value if not math.isnan(one)), default=1.0)
    if not panel.stacked:
        axes.set_ylim(0, highest * 1.15 or 1.0)
    if panel.limit is not None and panel.limit <= highest * 3:
        axes.axhline(panel.limit, color=_RED, linewidth=0.8, linestyle="--")
    if found:
        _legend(axes, panel.place[2])
    else:
        _nothing(axes)


def _legend(axes: Any, width: int) -> None:
    """Name the series below the panel, as many as there is room for."""
    marks, names = axes.get_legend_handles_labels()
    room = _NAMES_A_LINE * width // _GRID * 3
    more = [f"{name} …" if number == room - 1 < len(names) - 1 else name for number, name in enumerate(names[:room])]
    where = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.1), "ncols": max(1, _NAMES_A_LINE * width // _GRID)}
    axes.legend(marks[:room], more, fontsize=6.5, frameon=False, labelspacing=0.15, columnspacing=1.0, handlelength=1.2, **where)


def _stacked(axes: Any, found: Sequence[Answer]) -> None:
    """Sum series up over all points in time that any of them has."""
    times = sorted({at for _, series in found for at, _ in series.points})
    rows = [[dict(series.points).get(at, 0.0) for at in times] for _, series in found]
    axes.stackplot([datetime.fromtimestamp(at, UTC) for at in times], rows, labels=[name[:38] for name, _ in found], alpha=0.8)


def _number(axes: Any, panel: Panel, found: Sequence[Answer]) -> None:
    axes.axis("off")
    if not found:
        _nothing(axes)
    for place, (name, series) in enumerate(found):
        value = series.points[-1][1]
        x = (place + 0.5) / len(found)
        axes.text(x, 0.5, shown(value, panel.unit), ha="center", va="center", size=22, weight="bold", color=_colour(panel, value))
        if len(found) > 1:
            axes.text(x, 0.02, name[:24], ha="center", va="bottom", size=8, color=_PALE)


def _colour(panel: Panel, value: float) -> str:
    if panel.limit is None:
        return _INK
    return _GREEN if (value >= panel.limit) == panel.low else _RED


def _bars(axes: Any, panel: Panel, found: Sequence[Answer]) -> None:
    if not found:
        _nothing(axes)
    names = [name[:38] for name, _ in found]
    values = [series.points[-1][1] for _, series in found]
    drawn = axes.barh(range(len(found)), values, color="#0969da", height=0.7)
    axes.bar_label(drawn, [shown(value, panel.unit) for value in values], size=7, padding=2)
    axes.set_yticks(range(len(found)), names, size=7)
    axes.invert_yaxis()
    axes.set_xlim(0, (max(values, default=0.0) or 1.0) * 1.2)
    axes.xaxis.set_visible(False)
    _quiet(axes)


def _quiet(axes: Any) -> None:
    axes.tick_params(labelsize=7, colors=_INK, length=2)
    axes.grid(alpha=0.25, linewidth=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _nothing(axes: Any) -> None:
    axes.text(0.5, 0.5, "No data", ha="center", va="center", size=12, color=_RED, transform=axes.transAxes)


_DRAWN = {"timeseries": _lines, "stat": _number, "bargauge": _bars}


def shown(value: float, unit: str) -> str:
    """Write a value as Grafana does, about."""
    if unit == "s" and value >= 120:  # noqa: PLR2004 - from there on minutes say more
        return f"{value / 60:.3g} min" if value < 7200 else f"{value / 3600:.3g} h"  # noqa: PLR2004
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit in {"decbytes", "Bps"}:
        return _scaled(value, "B") + ("/s" if unit == "Bps" else "")
    after = {"s": " s", "cps": " /s", "currencyUSD": " $", "degree": "°"}.get(unit, "")
    return f"{value:.3g}{after}" if abs(value) < _THOUSAND else f"{value:,.0f}{after}"


def _scaled(value: float, unit: str) -> str:
    power = 0 if value < 1 else min(4, int(math.log10(value)) // 3)
    return f"{value / _THOUSAND**power:.3g} {('', 'k', 'M', 'G', 'T')[power]}{unit}"


def main() -> None:
    """Draw all dashboards."""
    parser = argparse.ArgumentParser(prog="python -m console.observe.draw", description=__doc__)
    parser.add_argument("--prometheus", required=True, metavar="URL", help="http://127.0.0.1:9090")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the pictures")
    parser.add_argument("--seconds", type=float, default=3600.0, help="how far back")
    parser.add_argument("--rate", type=float, default=60.0, help="seconds over which rates are taken")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    now = time.time()
    span = Span(now - options.seconds, now, options.rate)
    for path in sorted(DASHBOARDS.glob("*.json")):
        empty = draw(read(path), Prometheus(options.prometheus), span, options.out / f"{path.stem}.png")
        sys.stdout.write(f"{options.out / path.stem}.png" + (f"  no data: {', '.join(empty)}" if empty else "") + "\n")


if __name__ == "__main__":
    mpl.use("agg")
    main()
