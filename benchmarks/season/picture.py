"""A season as a picture (SVG): arrivals, backlog and tasks, over all its days and over the busiest one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.season.demand import DAY, HOUR, Demand
from benchmarks.season.simulate import SAMPLE_S, Outcome
from benchmarks.season.supply import STAGES

Floats = NDArray[np.float64]

_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 170, 70, 46
_COLOURS = ("#555555", "#1f77b4", "#d95f02", "#1b9e77", "#8e44ad")


def svg(demand: Demand, outcome: Outcome) -> str:
    """Return the picture; on the left a point is the most of a day, on the right the mean of ten minutes."""
    steps = int(outcome.ended // SAMPLE_S) + 1
    arrivals = np.bincount((demand.arrived // SAMPLE_S).astype(int), demand.count, steps)[:, None] / SAMPLE_S
    samples = np.zeros((steps, 2 * len(STAGES) + 1))
    for time, *numbers in outcome.samples:
        samples[min(steps - 1, int(time // SAMPLE_S))] = numbers
    panels = {
        "arrivals, panoramas/s": (arrivals, ("arrivals",)),
        "backlog, panoramas": (samples[:, : len(STAGES)], STAGES),
        "running": (samples[:, len(STAGES) :], (*STAGES, "GPUs")),
    }
    per_day = int(DAY / SAMPLE_S)
    busiest = int(np.argmax(np.bincount((demand.arrived // DAY).astype(int), demand.count)))
    parts = []
    for row, (title, (values, names)) in enumerate(panels.items()):
        day = values[busiest * per_day : (busiest + 1) * per_day + per_day // 4]
        parts.append(_panel(0, row, f"{title}: most of each day", _daily(values, per_day), names, "days since 1 April", 1.0))
        parts.append(_panel(1, row, f"{title}: day {busiest}", day, names, "hours", SAMPLE_S / HOUR))
    width, height = 2 * (_WIDTH + _LEFT) + 30, len(panels) * (_HEIGHT + _TOP + 40)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def _daily(values: Floats, per_day: int) -> Floats:
    days = -(-len(values) // per_day)
    padded = np.zeros((days * per_day, values.shape[1]))
    padded[: len(values)] = values
    most: Floats = padded.reshape(days, per_day, -1).max(axis=1)
    return most


def _panel(column: int, row: int, title: str, values: Floats, names: Sequence[str], unit: str, step: float) -> str:
    left, top = _LEFT + column * (_WIDTH + _LEFT), _TOP + row * (_HEIGHT + _TOP + 40)
    most = float(values.max()) or 1.0
    parts = [f'<text x="{left}" y="{top - 24}" font-weight="bold">{title}</text>']
    parts += [_axes(left, top, most, len(values) * step, unit)]
    first = 0 if len(names) == 1 else 1
    for index, name in enumerate(names):
        colour = _COLOURS[first + index]
        parts.append(f'<text x="{left + index * 110}" y="{top - 8}" fill="{colour}">{name}</text>')
        parts.append(_line(left, top, values[:, index] / most, colour))
    return "\n".join(parts)


def _line(left: int, top: int, shares: Floats, colour: str) -> str:
    across = np.linspace(left, left + _WIDTH, len(shares))
    points = " ".join(f"{x:.1f},{top + _HEIGHT * (1 - share):.1f}" for x, share in zip(across, shares, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>'


def _axes(left: int, top: int, most: float, span: float, unit: str) -> str:
    bottom = top + _HEIGHT
    parts = [f'<path d="M{left},{top} V{bottom} H{left + _WIDTH}" fill="none" stroke="black"/>']
    parts += [
        f'<text x="{left - 6}" y="{bottom - share * _HEIGHT + 4}" text-anchor="end">{_number(most * share)}</text>'
        for share in (0, 0.5, 1)
    ]
    parts += [
        f'<text x="{left + share * _WIDTH}" y="{bottom + 16}" text-anchor="middle">{span * share:.4g}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts.append(f'<text x="{left + _WIDTH / 2}" y="{bottom + 31}" text-anchor="middle">{unit}</text>')
    return "\n".join(parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
