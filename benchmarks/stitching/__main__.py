"""What stitching costs and how good it is: ours, fast and best, beside Hugin's nona and enblend, same frames, same calibration, one run.

    python -m benchmarks.stitching
    python -m benchmarks.stitching --quick --json
    python -m benchmarks.stitching --sections quality --panoramas ~/panoramas --pictures ~/seams

Sections: `speed` (CPU seconds of a panorama beside the floor of decode + remap + encode, memory, two threads) and `quality` (against the
exact truth: the procedural street and real panoramas painted on a street with depth, lens centres 6 cm off the rig's origin; and both
again without parallax). Before they are scored, every result, ours and theirs, gets the one gain a channel that brings it nearest to
the truth: nobody can know a capture's exposure. Progress goes to standard error.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.table import Table

from benchmarks.options import Tell, teller
from benchmarks.stitching import hugin, quality, speed
from benchmarks.stitching.ours import MODES
from benchmarks.stitching.scenes import REAL, Scene, first, scenes
from panoveil.pixels.process import prepare

SECTIONS = ("speed", "quality")
_NOT_INSTALLED = 78
KEYS = (
    "cpu_s", "cpu_vs_floor", "cpu_vs_enblend", "rss_mb", "threads2_speedup", "band_psnr_gain_db", "band_ssim_gain",
    "band_gradient_ratio", "de2000_mean", "noparallax_gain_db",
)  # fmt: skip
"""What the JSON has for every mode, whatever else it has; None where a section or Hugin was left out."""


def main() -> None:
    """Measure, and print a table or one JSON object."""
    options = _options()
    lacking = [] if options.without_hugin else hugin.missing()
    if lacking:
        print(f"{', '.join(lacking)} not found: {hugin.INSTALL}, or leave them out by --without-hugin", file=sys.stderr)
        sys.exit(_NOT_INSTALLED)
    prepare()  # as the stitcher's service does
    with tempfile.TemporaryDirectory(prefix="panoveil-stitching-") as work:
        figures = measured(options, Path(work), teller())
    if options.json:
        print(json.dumps(figures))
    else:
        _show(figures)


def measured(options: argparse.Namespace, work: Path, tell: Tell) -> dict[str, Any]:
    """Run the sections asked for; return what the JSON shows."""
    wish = quality.Wish(options.modes, not options.without_hugin, work / "tables", options.pictures, tell)
    taken = _scenes(options, tell)
    lead = next(taken)
    timed: dict[str, dict[str, Any]] = {}
    if "speed" in options.sections:
        timed = speed.measure(lead, options.modes, options.width, options.rounds, wish.cache, tell)
    found = quality.Found()
    if "quality" in options.sections:
        found = quality.compare(itertools.chain([lead], taken), wish)
    elif wish.with_hugin:
        tell("nona and enblend")
        (work / "hugin").mkdir()
        found.costs.append(hugin.run(lead, options.width, work / "hugin")[1])
    return _figures(options, timed, found)


def _scenes(options: argparse.Namespace, tell: Tell) -> Iterator[Scene]:
    """Yield what to stitch: the first is also what speed is measured on, and without a truth where nothing else is asked for."""
    if "quality" in options.sections:
        return scenes(options.width, options.captures, _panoramas(options, tell), tell)
    tell("rendering frames")
    return iter([first(options.width)])


def _figures(options: argparse.Namespace, timed: dict[str, dict[str, Any]], found: quality.Found) -> dict[str, Any]:
    theirs = statistics.median(cost.cpu_s for cost in found.costs) if found.costs else None
    figures: dict[str, Any] = {mode: _mode(mode, timed, found, theirs) for mode in options.modes}
    if found.costs:
        figures["enblend"] = _enblend(found)
    return figures | {
        "floor": timed.get("floor"),
        "scenes": quality.by_scene(found),
        "hugin_calibration_px": None if found.deviation is None else round(found.deviation, 4),
        "aligned": "every result by one gain a channel, least squares against the truth",
        "width": options.width,
        "machine": _machine(),
    }


def _mode(mode: str, timed: dict[str, dict[str, Any]], found: quality.Found, theirs: float | None) -> dict[str, Any]:
    figures: dict[str, Any] = dict.fromkeys(KEYS) | timed.get(mode, {})
    if theirs is not None and figures["cpu_s"]:
        figures["cpu_vs_enblend"] = round(theirs / figures["cpu_s"], 1)
    if found.scores:
        figures |= quality.summary(found, mode) | quality.gains(found, mode)
    return figures


def _enblend(found: quality.Found) -> dict[str, Any]:
    parts = {
        "cpu_s": [cost.cpu_s for cost in found.costs],
        "nona_cpu_s": [cost.nona_cpu_s for cost in found.costs],
        "wall_s": [cost.wall_s for cost in found.costs],
        "rss_mb": [cost.peak_mb for cost in found.costs],
    }
    figures: dict[str, Any] = {name: round(statistics.median(values), 2) for name, values in parts.items()}
    return figures | (quality.summary(found, quality.ENBLEND) if found.scores else {})


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "load": round(os.getloadavg()[0], 2),
    }


def _panoramas(options: argparse.Namespace, tell: Tell) -> Path | None:
    folder: Path = options.panoramas or REAL
    if folder.is_dir():
        return folder
    tell("no real panoramas: skipped, --panoramas DIR names some")
    return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stitching", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--width", type=int, default=None, help="of the panoramas, pixels; 8192 unless told")
    parser.add_argument(
        "--panoramas", type=Path, help="a folder of equirectangular JPEGs instead of the project's own, if there are any"
    )
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of every seam, side by side")
    parser.add_argument("--captures", type=int, default=1, help="of the street, and real ones")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="of the stitcher")
    parser.add_argument("--rounds", type=int, default=5, help="how often a step is timed; the median counts")
    parser.add_argument("--without-hugin", action="store_true", help="leave nona and enblend out")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="what to measure")
    parser.add_argument("--quick", action="store_true", help="panoramas of 2048 pixels: a rough look")
    options = parser.parse_args()
    options.width = options.width or (2048 if options.quick else 8192)
    return options


def _show(figures: dict[str, Any]) -> None:
    """Print a row a figure, a column a method."""
    methods = [name for name in (*MODES, "enblend", "floor") if figures.get(name)]
    table = Table("", *methods, title=f"{figures['width']} x {figures['width'] // 2}")
    for key in dict.fromkeys(key for method in methods for key in figures[method]):
        table.add_row(key, *(_cell(figures[method].get(key)) for method in methods))
    console = Console()
    console.print(table)
    for scene, scores in figures["scenes"].items():
        console.print(_scene_table(scene, scores))
    notes = {key: figures[key] for key in ("hugin_calibration_px", "aligned", "machine")}
    console.print("\n".join(f"{key}: {value}" for key, value in notes.items()))


def _scene_table(scene: str, scores: dict[str, dict[str, Any]]) -> Table:
    table = Table("", *scores, title=scene)
    for key in (key for key in next(iter(scores.values())) if key != "gains"):
        table.add_row(key, *(_cell(each[key]) for each in scores.values()))
    return table


def _cell(value: object) -> str:
    return "" if value is None else str(value)


if __name__ == "__main__":
    main()
