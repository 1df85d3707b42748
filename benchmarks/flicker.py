"""How much brightness and colour jump from capture to capture, with and without steadying, on panoramas photographed again.

    python -m benchmarks.flicker [--panoramas DIR] [--width 1024] [--repeats 6] [--tasks 1] [--json]

A rig of five lenses at one point photographs real panoramas (../shared/eval/panoramas/gopro_max_walk unless told; skipped where absent)
and the procedural street. Every capture has its own exposure (sd 10 %), every lens of it another (5 %), and every capture its own white
balance (3 % a channel): what automatic exposure does at its worst. The same frames without any of it, stitched, are the truth. What is
counted is the change from capture to capture of the mean of the output, minus that of the truth: of log luma in % (sd and largest) and
of CIELAB colour (root mean square of Delta E, and of its a, b part alone). `--tasks` spreads the captures over so many tasks at random,
each of which remembers only what it stitched itself.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Lens, Rig
from services.stitcher import tables
from services.stitcher.steady import Drives
from services.stitcher.stitch import in_order, look, stitch
from simulator.drive import World
from simulator.rigs import demo_rig
from simulator.sensor import Sensor, sense
from simulator.street import Street
from simulator.worlds import Photographs, centred

Image = NDArray[np.uint8]
Frames = dict[str, Image]
Means = NDArray[np.float64]

WALK = Path("../shared/eval/panoramas/gopro_max_walk")
MODES = ("as shot", "lenses matched", "steadied")
_SECONDS = 1.2
_START = datetime(2026, 6, 17, 9, 30, tzinfo=UTC)
_QUIET = Sensor(read_noise=0, shot_noise=0)


@dataclass(frozen=True, slots=True)
class Flicker:
    """Changes from capture to capture that are not the world's: luma in per cent, colour in Delta E of CIELAB."""

    world: str
    mode: str
    luma_sd: float
    luma_largest: float
    delta_e: float
    delta_ab: float


@dataclass(frozen=True, slots=True)
class Bench:
    """The rig, its tables, and the recipe without and with steadying."""

    rig: Rig
    tables: tables.Tables
    recipe: StitchRecipe


def main() -> None:
    """Photograph, stitch, count; print a table, or one JSON line."""
    options = _options()
    rig, recipe = centred(demo_rig(options.width)), StitchRecipe(width=options.width)
    rows: list[Flicker] = []
    with TemporaryDirectory() as work:
        bench = Bench(rig, tables.load(rig, recipe, Path(work)), recipe)
        for name, world, captures in _worlds(options):
            rows += _measure(name, world, captures, bench, options)
    print(json.dumps([asdict(row) for row in rows]) if options.json else _table(rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panoramas", type=Path, default=WALK)
    parser.add_argument("--width", type=int, default=1024, help="of the panorama, pixels")
    parser.add_argument("--street", type=int, default=16, help="captures of the procedural street")
    parser.add_argument("--repeats", type=int, default=6, help="how often exposures are drawn anew")
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _worlds(options: argparse.Namespace) -> Iterator[tuple[str, World, int]]:
    photographs = Photographs(options.panoramas) if options.panoramas.is_dir() else None
    if photographs is None or len(photographs) < 2:
        print(f"SKIPPED: {options.panoramas} holds no panoramas", flush=True)
    else:
        yield options.panoramas.name, photographs, len(photographs)
    yield "street", Street(1, options.street, options.width), options.street


def _measure(name: str, world: World, captures: int, bench: Bench, options: argparse.Namespace) -> list[Flicker]:
    perfect = [{lens.name: world.frame(bench.rig, lens, capture) for lens in bench.rig.lenses} for capture in range(captures)]
    truth = _means([_stitched(_sensed(frames, bench.rig, None), bench, None) for frames in perfect], bench)
    changes: dict[str, list[Means]] = {mode: [] for mode in MODES}
    for repeat in range(options.repeats):
        drive = list(_wobbling(perfect, bench.rig, repeat))
        for mode in MODES:
            outputs = _drive(drive, bench, mode, options.tasks, repeat)
            changes[mode].append(np.diff(_means(outputs, bench) - truth, axis=0))
    return [_flicker(name, mode, np.concatenate(found)) for mode, found in changes.items()]


def _flicker(world: str, mode: str, changes: Means) -> Flicker:
    luma, lab = 100 * changes[:, 0], changes[:, 1:]
    values = (luma.std(), np.abs(luma).max(), np.sqrt((lab**2).sum(axis=1).mean()), np.sqrt((lab[:, 1:] ** 2).sum(axis=1).mean()))
    return Flicker(world, mode, *(round(float(value), 2) for value in values))


def _wobbling(perfect: list[Frames], rig: Rig, seed: int) -> Iterator[Frames]:
    rng = np.random.default_rng((seed, 5))
    for frames in perfect:
        level, balance = rng.normal(0, 0.10), rng.normal(0, 0.03, 3)
        gains = np.exp(level + balance + rng.normal(0, 0.05, (len(rig.lenses), 1)))
        yield _sensed(frames, rig, gains, int(rng.integers(2**31)))


def _sensed(frames: Frames, rig: Rig, gains: Means | None, seed: int = 0) -> Frames:
    return {
        lens.name: sense(frames[lens.name], lens if gains is None else _under(lens, gains[number]), _QUIET, seed + number)
        for number, lens in enumerate(rig.lenses)
    }


def _under(lens: Lens, gains: Means) -> Lens:
    gain = tuple((np.asarray(lens.photometry.gain) * gains).tolist())
    return lens.model_copy(update={"photometry": lens.photometry.model_copy(update={"gain": gain})})


def _drive(drive: list[Frames], bench: Bench, mode: str, tasks: int, seed: int) -> list[Image]:
    """Stitch a drive as the service does; with several tasks, each capture falls to one of them."""
    if mode == "as shot":
        nothing = np.ones((len(bench.rig.lenses), 3))
        return [_stitched(frames, bench, nothing) for frames in drive]
    recipe = bench.recipe.model_copy(update={"steady": mode == "steadied"})
    memories, rng = [Drives() for _ in range(tasks)], np.random.default_rng((seed, 6))
    outputs = []
    for number, frames in enumerate(drive):
        memory, at = memories[int(rng.integers(tasks))], _START + timedelta(seconds=_SECONDS * number)
        views = look(in_order(frames, bench.rig), bench.rig, recipe, bench.tables.overview)
        light = views.light(recipe, memory.near(("drive", "recipe"), str(number), at, len(bench.rig.lenses)))
        memory.remember(("drive", "recipe"), str(number), at, light)
        outputs.append(_stitched(frames, bench, light.gains))
    return outputs


def _stitched(frames: Frames, bench: Bench, light: Any) -> Image:
    return stitch(frames, bench.rig, bench.recipe, bench.tables, light=light).image


def _means(panoramas: list[Image], bench: Bench) -> Means:
    """Return log luma and CIELAB of the mean colour over what the rig sees of the sphere, [n, 4]."""
    height, width = panoramas[0].shape[:2]
    areas = np.cos((0.5 - (np.arange(height) + 0.5) / height) * np.pi)[:, None]
    shares = cv2.resize(bench.tables.overview.shares.sum(axis=0), (width, height)) > 0.99
    means = np.array(
        [np.average(image, axis=(0, 1), weights=np.repeat((areas * shares)[..., None], 3, axis=2)) for image in panoramas]
    )
    lab = np.asarray(cv2.cvtColor((means / 255).astype(np.float32)[None], cv2.COLOR_RGB2LAB), np.float64)[0]
    return np.concatenate([np.log(means @ (0.299, 0.587, 0.114))[:, None], lab], axis=1)


def _table(rows: list[Flicker]) -> str:
    lines = ["| world | light | luma sd % | largest % | ΔE | ΔE of a, b |", "|---|---|---|---|---|---|"]
    lines += [f"| {r.world} | {r.mode} | {r.luma_sd} | {r.luma_largest} | {r.delta_e} | {r.delta_ab} |" for r in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
