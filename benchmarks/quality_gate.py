"""After how many captures a knocked or dirty lens is noticed, whether a sound rig ever alarms, and what looking costs.

    python -m benchmarks.quality_gate [--captures 20] [--width 1024] [--seeds 3] [--angles 0.5 0.3] [--sound-only] [--json]

The virtual street is photographed with real parallax, noise and unequal exposures by the demo's rig, sound, and with one lens turned
about each of its axes while the stitcher believes in the sound rig. CPU-seconds are this process's.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from services.stitcher import gate, tables
from services.stitcher.inspection import Spots, inspect
from services.stitcher.stitch import stitch
from services.stitcher.watch import Watch
from simulator.rigs import demo_rig
from simulator.sensor import Sensor, exposures, sense
from simulator.street import Street
from simulator.wear import knocked

Image = NDArray[np.uint8]
Turn = tuple[float, float, float]

AXES: dict[str, Turn] = {"pitch": (1.0, 0.0, 0.0), "yaw": (0.0, 1.0, 0.0), "roll": (0.0, 0.0, 1.0)}


@dataclass
class Drive:
    """What a drive told: `noticed` is the first capture with an alarm about each lens, `turns` are degrees and bounds at its end."""

    name: str
    seed: int
    noticed: dict[str, int] = field(default_factory=dict)
    held: int = 0
    lowest_score: float = 1.0
    turns: dict[str, tuple[float, float]] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=lambda: {"stitch": 0.0, "inspect": 0.0, "watch": 0.0})


def main() -> None:
    """Drive, and print a line a drive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captures", type=int, default=20)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--angles", type=float, nargs="*", default=[0.5])
    parser.add_argument("--sound-only", action="store_true")
    parser.add_argument("--lens", default="right")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    rig = demo_rig(chosen.width)
    with tempfile.TemporaryDirectory() as folder:
        loaded = tables.load(rig, StitchRecipe(width=chosen.width), Path(folder))
        for name, seed, turn in _drives(chosen):
            told = _driven(Drive(name, seed), rig, knocked(rig, chosen.lens, turn), loaded, chosen.captures)
            print(json.dumps(asdict(told)) if chosen.json else _line(told, chosen.captures))


def _drives(chosen: argparse.Namespace) -> Iterator[tuple[str, int, Turn]]:
    for seed in range(1, chosen.seeds + 1):
        yield "sound", seed, (0.0, 0.0, 0.0)
        for angle in () if chosen.sound_only else chosen.angles:
            for axis, (x, y, z) in AXES.items():
                yield f"{chosen.lens} {axis} {angle}°", seed, (angle * x, angle * y, angle * z)


def _driven(told: Drive, rig: Rig, real: Rig, loaded: tables.Tables, captures: int) -> Drive:
    world, recipe = Street(told.seed, captures, loaded.width), StitchRecipe(width=loaded.width)
    spots = Spots.of(rig, recipe, loaded.overview)
    watch = Watch(spots, loaded.overview)
    for number in range(captures):
        frames = _frames(world, real, told.seed, number)
        times = [time.process_time()]
        by_name = {lens.name: frame for lens, frame in zip(rig.lenses, frames, strict=True)}
        panorama = stitch(by_name, rig, recipe, loaded)
        times.append(time.process_time())
        seen = inspect(frames, panorama.views, panorama.gains, rig, spots, loaded.overview)
        times.append(time.process_time())
        watch.add(str(number), seen.glance)
        quality = gate.graded(panorama.quality, seen.lenses, watch.verdict(), rig.rig_id)
        times.append(time.process_time())
        for step, seconds in zip(told.cpu_seconds, np.diff(times).tolist(), strict=True):
            told.cpu_seconds[step] += seconds / captures
        for text in quality.alarms:
            told.noticed.setdefault(text.split()[1] if "turned" in text else text, number + 1)
        told.held += gate.held(quality, recipe.gate, rig.rig_id) is not None
        told.lowest_score = min(told.lowest_score, quality.score or 0.0)
    told.turns = {lens.lens: (lens.drift or 0.0, lens.drift_bound or 0.0) for lens in quality.lenses}
    return told


def _frames(world: Street, rig: Rig, seed: int, number: int) -> list[Image]:
    gains = exposures(tuple(lens.name for lens in rig.lenses), 1000 * seed + number)
    return [
        sense(world.frame(rig, lens, number), lens, Sensor(exposure=gains[lens.name]), 100_000 * seed + 10 * number + index)
        for index, lens in enumerate(rig.lenses)
    ]


def _line(told: Drive, captures: int) -> str:
    turns = "  ".join(f"{lens} {angle:.2f}±{bound:.2f}" for lens, (angle, bound) in told.turns.items())
    cost = ", ".join(f"{step} {1000 * seconds:.1f}" for step, seconds in told.cpu_seconds.items())
    noticed = ", ".join(f"{what} at capture {number}" for what, number in told.noticed.items()) or "nothing noticed"
    return (
        f"{told.name}, seed {told.seed}: {noticed}; {told.held} of {captures} held; lowest score {told.lowest_score:.2f}\n"
        f"    {turns}\n    CPU milliseconds a capture: {cost}"
    )


if __name__ == "__main__":
    main()
