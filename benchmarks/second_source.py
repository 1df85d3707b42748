"""What looking at the lens frames adds to looking at the stitched panorama, on the simulator's truth.

    python -m benchmarks.second_source [--captures 12] [--width 4096] [--plan standard] [--json] [--pictures FOLDER]

People and cars stand where lenses meet and between, seen by lenses 6 cm off axis. An object counts as covered where at least 90 % of
the places at which the panorama shows a point of it, through whichever lens, lie under what would be obfuscated. Sources: the panorama's
own first look (`panorama`), that and the views of its verification (`twice`), the frames alone (`seams`, `everywhere`), and unions.
CPU-seconds are Triton's and this process's together, for looking alone.
"""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV
from panoveil.contracts.messages import CarriedBox
from panoveil.contracts.recipe import SecondSource, StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.detection import Detector, TritonDetector
from panoveil.detection.views import megapixels
from panoveil.pixels import equirect, jpeg
from services.anonymizer.anonymize import look as look_at_panorama
from services.anonymizer.anonymize import needed
from services.anonymizer.anonymize import plan as panorama_views
from services.anonymizer.merge import merged
from services.anonymizer.regions import Extent, Region, from_box, grown, mask
from services.anonymizer.settings import AnonymizerSettings
from services.stitcher import tables
from services.stitcher.carry import Drawing
from services.stitcher.lens_views import plan as frame_views
from services.stitcher.lookout import look as look_at_frames
from services.stitcher.stitch import in_order, stitch
from simulator.gathering import Gathering
from simulator.rigs import demo_rig
from simulator.sensor import Sensor, exposures, sense
from simulator.stage import mounted, sightings
from simulator.truth import HEIGHT_EDGES, TrueObject
from simulator.views import Station, stand

T = TypeVar("T")
Image = NDArray[np.uint8]
Points = NDArray[np.float64]
Place = Literal["seam", "elsewhere"]
Where = Literal["seams", "everywhere"]

COVERED = 0.9
SOURCES = ("panorama", "twice", "seams", "everywhere", "panorama + seams", "twice + seams", "twice + everywhere")
_FAINT = 0.05
"""A lens that has a smaller share of a pixel than this does not show there what it sees."""

_NOTHING = np.empty((0, 0, 3), np.float32)
_AT_ORIGIN = Station(0.0, 0.0, 0.0)


@dataclass(slots=True)
class Tally:
    """Objects, and how many of them each source covered."""

    objects: int = 0
    covered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SOURCES, 0))

    def add(self, covering: Iterable[str]) -> None:
        """Count one object."""
        self.objects += 1
        for source in covering:
            self.covered[source] += 1


def _zeros() -> dict[str, float]:
    return dict.fromkeys(SOURCES, 0.0)


@dataclass(slots=True)
class Report:
    """Everything that was counted; CPU-seconds, megapixels and hidden shares are per capture."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=_zeros)
    megapixels: dict[str, float] = field(default_factory=dict)
    hidden_share: dict[str, float] = field(default_factory=_zeros)
    boxes: dict[str, float] = field(default_factory=_zeros)


@dataclass(frozen=True, slots=True)
class Bench:
    """The rig, its tables, and what looks."""

    rig: Rig
    recipe: StitchRecipe
    tables: tables.Tables
    drawing: Drawing
    detector: Detector
    settings: AnonymizerSettings
    pictures: Path | None


async def main() -> None:
    """Look at every capture through every source; print a table, or one JSON line."""
    options = _options()
    settings = AnonymizerSettings(view_plan=options.plan)
    world = Gathering(options.seed, options.captures, options.width)
    rig, recipe = demo_rig(options.width), StitchRecipe(width=options.width)
    report = Report()
    with tempfile.TemporaryDirectory() as work:
        loaded = tables.load(rig, recipe, Path(work))
        async with triton.running(MODELS, TRITON_VENV, Path(work) / "triton") as server, _detector(settings, server) as detector:
            bench = Bench(rig, recipe, loaded, Drawing.of(rig, recipe, loaded), detector, settings, options.pictures)
            for capture in range(options.captures):
                await _measure(world, capture, bench, report)
    _average(report, options.captures)
    print(json.dumps(asdict(report)) if options.json else _table(report))


def _average(report: Report, captures: int) -> None:
    report.cpu_seconds["twice"] += report.cpu_seconds["panorama"]
    for name in SOURCES:
        if " + " in name:  # a union costs both looks
            first, second = name.split(" + ")
            report.cpu_seconds[name] = report.cpu_seconds[first] + report.cpu_seconds[second]
    for sums in (report.cpu_seconds, report.hidden_share, report.boxes):
        sums.update({name: round(total / captures, 6) for name, total in sums.items()})


def _detector(settings: AnonymizerSettings, server: triton.Command) -> TritonDetector:
    return TritonDetector.of(settings.model_copy(update={"triton_url": server.grpc_url}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captures", type=int, default=12)
    parser.add_argument("--width", type=int, default=4096, help="of the panorama, pixels")
    parser.add_argument("--plan", choices=("fast", "standard", "thorough"), default="standard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pictures", type=Path, help="folder for close-ups of what stands on seams, with every source's boxes")
    return parser.parse_args()


async def _measure(world: Gathering, capture: int, bench: Bench, report: Report) -> None:
    frames = await asyncio.to_thread(_photographed, world, capture, bench.rig)
    panorama = stitch(frames, bench.rig, bench.recipe, bench.tables).image
    picture = jpeg.decode(jpeg.encode(panorama, bench.recipe.jpeg_quality))
    regions = await _regions(frames, picture, bench, report)
    extent = Extent.of(picture, panorama=True)
    hidden = {
        name: mask(tuple(grown(region, bench.settings.margin, extent) for region in found), extent)
        for name, found in regions.items()
    }
    for name, found in regions.items():
        report.hidden_share[name] += float(hidden[name].mean())
        report.boxes[name] += len(found)
    station = mounted(bench.rig, world.station(capture))
    for number, (mark, item) in enumerate(sightings(world.things(capture), bench.rig, station, bench.recipe.width)):
        points = (mark.spread - station.place) @ station.rotation
        shown, place = _shown(points, bench)
        if not len(shown):
            continue
        covering = [name for name, covered in hidden.items() if covered[shown[:, 1], shown[:, 0]].mean() >= COVERED]
        for key in (f"{item.kind} {place}", f"{item.kind} {place} {_bucket(item.height_px)}"):
            report.tallies.setdefault(key, Tally()).add(covering)
        if bench.pictures and place == "seam":
            _close_up(picture, item, regions, bench.pictures / f"{capture:03d}-{number:02d}-{item.kind}.png")


def _photographed(world: Gathering, capture: int, rig: Rig) -> dict[str, Image]:
    """Return the frames as they come out of the car's JPEGs."""
    names = tuple(lens.name for lens in rig.lenses)
    light = exposures(names, capture)
    frames = {}
    for number, lens in enumerate(rig.lenses):
        sensed = sense(world.frame(rig, lens, capture), lens, Sensor(exposure=light[lens.name]), 10 * capture + number)
        frames[lens.name] = jpeg.decode(jpeg.encode(sensed, 92))
    return frames


async def _regions(frames: dict[str, Image], picture: Image, bench: Bench, report: Report) -> dict[str, tuple[Region, ...]]:
    """Return what every source finds, by its name, merged as the anonymizer does."""
    models = {kind: facts.as_model() for kind, facts in (await _facts(bench.detector)).items()}
    recipe = bench.settings.recipe(models["face"], models["plate"])
    extent = Extent.of(picture, panorama=True)
    first, second = (panorama_views(extent, recipe, second=again) for again in (False, True))
    report.megapixels |= {"panorama": round(megapixels(first), 2), "twice": round(megapixels((*first, *second)), 2)}
    own = await _counted("panorama", report, lambda: look_at_panorama(picture, first, bench.detector, recipe, panorama=True))
    again = await _counted("twice", report, lambda: look_at_panorama(picture, second, bench.detector, recipe, panorama=True))
    found: dict[str, list[Region]] = {"panorama": own, "twice": [*own, *again]}
    for where in get_args(Where):
        source = SecondSource(face=models["face"], plate=models["plate"], where=where, view_plan=bench.settings.view_plan)
        boxes = await _counted(where, report, lambda source=source: _carried(frames, source, bench, report))  # type: ignore[misc]
        regions = [from_box(box, extent) for box in boxes]
        found[where] = [region for region in regions if region.score >= needed(region, recipe)]
    return {name: merged((region for part in name.split(" + ") for region in found[part]), extent) for name in SOURCES}


async def _facts(detector: Detector) -> dict[str, Any]:
    assert isinstance(detector, TritonDetector)
    return {str(kind): facts for kind, facts in (await detector.facts()).items()}


async def _carried(frames: dict[str, Image], source: SecondSource, bench: Bench, report: Report) -> Sequence[CarriedBox]:
    views = frame_views(bench.drawing, source)
    report.megapixels[source.where] = round(sum(megapixels(own) for own in views), 2)
    return await look_at_frames(in_order(frames, bench.rig), bench.drawing, views, source, bench.detector)


async def _counted(name: str, report: Report, work: Callable[[], Awaitable[T]]) -> T:
    """Do the work and add the CPU-seconds that this process and its children spent meanwhile."""
    before = _cpu_seconds()
    result = await work()
    report.cpu_seconds[name] += _cpu_seconds() - before
    return result


def _cpu_seconds() -> float:
    family = [psutil.Process(os.getpid()), *psutil.Process(os.getpid()).children(recursive=True)]
    return float(sum(sum(member.cpu_times()[:2]) for member in family))


def _shown(points: Points, bench: Bench) -> tuple[NDArray[np.intp], Place]:
    """Return the pixels [n, 2] at which the panorama shows points [m, 3] of the rig frame, and whether more than one lens shows them."""
    width, pixels, drawing_lenses = bench.recipe.width, [], 0
    for lens, share in zip(bench.rig.lenses, bench.tables.overview.shares, strict=True):
        sees = stand(lens, _NOTHING, _AT_ORIGIN).sees(points)
        ends = bench.drawing.exits(lens, points - np.asarray(lens.position))
        places = equirect.to_pixels(ends, width)
        small = np.rint((places + 0.5) * (share.shape[1] / width) - 0.5).astype(int)
        drawn = sees & (share[small[:, 1].clip(0, share.shape[0] - 1), small[:, 0] % share.shape[1]] > _FAINT)
        pixels.append(places[drawn])
        drawing_lenses += bool(drawn.any())
    found = np.rint(np.concatenate(pixels)).astype(np.intp)
    return np.stack(
        [found[:, 0] % width, found[:, 1].clip(0, width // 2 - 1)], axis=-1
    ), "seam" if drawing_lenses > 1 else "elsewhere"


def _bucket(height: float) -> str:
    low = max(edge for edge in HEIGHT_EDGES if edge <= height)
    high = min((edge for edge in HEIGHT_EDGES if edge > height), default=None)
    return f"{low}-{high} px" if high else f"{low}+ px"


_COLOURS = {"panorama": (255, 255, 0), "seams": (0, 255, 255), "everywhere": (255, 0, 255)}


def _close_up(picture: Image, item: TrueObject, regions: dict[str, tuple[Region, ...]], path: Path) -> None:
    """Write the surroundings of an object twice, plain and with the boxes: yellow the panorama's, cyan from seams, magenta everywhere."""
    width = picture.shape[1]
    middle = _middle(item, width)
    side = int(max(48, 3 * item.height_px))
    columns = np.arange(middle[0] - side, middle[0] + side) % width
    rows = slice(max(0, middle[1] - side), middle[1] + side)
    marked = picture.copy()
    for name, colour in _COLOURS.items():
        for region in regions[name]:
            for turn in (0, -width):
                first, last = (int(region.x0 + turn), int(region.y0)), (int(region.x1 + turn), int(region.y1))
                cv2.rectangle(marked, first, last, colour, 1)
    both = np.concatenate([picture[rows][:, columns], marked[rows][:, columns]], axis=1)
    large = cv2.resize(both, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(large, cv2.COLOR_RGB2BGR))


def _middle(item: TrueObject, width: int) -> tuple[int, int]:
    across = (item.west + (item.east + 360 * (item.east < item.west))) / 2
    return round((across / 360 + 0.5) * width) % width, round((0.5 - (item.south + item.north) / 360) * width / 2)


def _table(report: Report) -> str:
    lines = [f"| | objects | {' | '.join(SOURCES)} |", "|---" * (2 + len(SOURCES)) + "|"]
    for name, tally in sorted(report.tallies.items()):
        lines.append(f"| {name} | {tally.objects} | {' | '.join(f'{tally.covered[source]}' for source in SOURCES)} |")
    for name, values in (("CPU-s", report.cpu_seconds), ("megapixels", report.megapixels), ("boxes", report.boxes)):
        lines.append(f"| {name} a capture | | {' | '.join(f'{values[s]:.2f}' if s in values else '' for s in SOURCES)} |")
    hidden = " | ".join(f"{report.hidden_share[source]:.4f}" for source in SOURCES)
    return "\n".join([*lines, f"| share of the panorama hidden | | {hidden} |"])


if __name__ == "__main__":
    asyncio.run(main())
