"""What the anonymizer costs beside looking through views: CPU seconds by step, and whether pixels elsewhere stay as they were."""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.messages import Pose
from panoveil.contracts.recipe import StitchRecipe
from panoveil.pixels import jpeg
from panoveil.pixels.patch import patched
from services.anonymizer import metadata
from services.anonymizer.obfuscate import obfuscated_units, share
from services.anonymizer.original import Original
from services.anonymizer.regions import Extent, Rect, Region, grown
from services.stitcher import tables
from services.stitcher.stitch import stitch
from simulator.rigs import demo_rig
from simulator.street import Street

T = TypeVar("T")
Picture = NDArray[np.uint8]

WIDTH, OBJECTS, MARGIN, QUALITY = 8192, 40, 0.2, 92
PIXELS = 33_554_432
"""Of 8192 x 4096: what "33 Mpx" means."""

RIM = 1
"""Pixels beside a replaced MCU that decoders make of its colours as well."""

_POSE = Pose(latitude=55.4, longitude=10.4, altitude=20.0, heading=90.0, pitch=0.0, roll=0.0, accuracy=0.5)
_AT = datetime(2026, 6, 17, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Subject:
    """A stitched panorama as it lies in the sealed bucket, and what is to be hidden in it."""

    name: str
    data: bytes
    regions: tuple[Region, ...]


def section(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the procedural street, and every panorama of a folder.

    The figure is that of the dearest panorama of 33 Mpx: what a region costs does not change with the picture, so one of another size, scaled,
    would have more or fewer than its 40 regions.
    """
    cv2.setNumThreads(1)
    by_picture = {subject.name: _measured(subject, options.repeat) for subject in _subjects(options.panoramas)}
    of_that_size = [each for each in by_picture.values() if each["pixels"] == f"{WIDTH} x {WIDTH // 2}"]
    return {
        "noninference_cpu_s_per_33mp": max(each["cpu_s_per_33mp"]["total"] for each in of_that_size),
        "outside_pixels_changed": sum(each["outside_pixels_changed"] for each in by_picture.values()),
        "noninference": by_picture,
    }


def _subjects(folder: Path | None) -> Iterator[Subject]:
    yield street()
    for path in sorted(folder.rglob("*.jpg")) if folder else ():
        _say(path.name)
        picture = jpeg.decode(path.read_bytes())
        data = jpeg.encode_patchable(picture, QUALITY)
        yield Subject(path.name, data, tuple(anywhere(picture.shape[1], OBJECTS)))


def street() -> Subject:
    """Stitch a capture of the procedural street, 8192 x 4096, and take its truth for what is to be hidden."""
    _say(f"a procedural street at {WIDTH} x {WIDTH // 2}")
    rig, world, recipe = demo_rig(WIDTH), Street(3, 2, WIDTH), StitchRecipe(width=WIDTH)
    frames = {lens.name: world.frame(rig, lens, 0) for lens in rig.lenses}
    with tempfile.TemporaryDirectory() as cache:
        image = stitch(frames, rig, recipe, tables.load(rig, recipe, Path(cache))).image
    seen = [
        Region(
            truth.kind, 1.0, (truth.west / 360 + 0.5) * WIDTH, (0.5 - truth.north / 180) * WIDTH / 2,
            (truth.west + (truth.east - truth.west) % 360) / 360 * WIDTH + WIDTH / 2, (0.5 - truth.south / 180) * WIDTH / 2,
        )
        for truth in world.truth(rig, 0, WIDTH)
    ]  # fmt: skip
    more = anywhere(WIDTH, max(0, OBJECTS - len(seen)))
    return Subject("procedural street", jpeg.encode_patchable(image, QUALITY), (*seen, *more))


def anywhere(width: int, number: int) -> Iterator[Region]:
    """Yield boxes 10 to 90 pixels high near the horizon, half of them as wide as plates; one lies across the edge."""
    rng = np.random.default_rng(7)
    for index in range(number):
        height = float(rng.uniform(10, 90)) * width / WIDTH
        across = height * (4.6 if index % 2 else 0.75)
        x = width - across / 2 if index == 0 else float(rng.uniform(0, width))
        y = float(rng.uniform(0.46, 0.6)) * width / 2
        yield Region("plate" if index % 2 else "face", 1.0, x, y, x + across, y + height)


def _measured(subject: Subject, repeat: int) -> dict[str, Any]:
    rounds = [once(subject) for _ in range(repeat)]
    width, height = jpeg.dimensions(subject.data)
    seconds = {step: statistics.median(each[0][step] for each in rounds) for step in rounds[0][0]}
    scaled = {step: round(value * PIXELS / (width * height), 4) for step, value in seconds.items()}
    counted = round(sum(value for step, value in scaled.items() if step != "verify_scan"), 4)
    _say(f"{subject.name}: {counted} CPU-s per 33 Mpx")
    return {
        "pixels": f"{width} x {height}",
        "bytes": len(subject.data),
        "regions": len(subject.regions),
        "obfuscated_share": rounds[-1][3],
        "cpu_s_per_33mp": {**scaled, "total": counted},
        "outside_pixels_changed": rounds[-1][1],
        "units_replaced": rounds[-1][2],
    }


def once(subject: Subject) -> tuple[dict[str, float], int, int, float]:
    """Return CPU seconds by step, changed pixels outside the obfuscated blocks, replaced MCUs, and the obfuscated share."""
    seconds: dict[str, float] = {}
    width, height = jpeg.dimensions(subject.data)
    extent = Extent(width, height, wraps=True)
    picture = _timed(seconds, "decode", lambda: jpeg.decode(subject.data))
    original = _timed(seconds, "patch", lambda: Original.of(picture, subject.data, QUALITY))
    rects: tuple[Rect, ...] = tuple(grown(region, MARGIN, extent, original.layout.unit) for region in subject.regions)
    shown, units = _timed(seconds, "obfuscate", lambda: obfuscated_units(picture, rects, "inpaint", extent, original.layout.unit))
    bare = _timed(seconds, "patch", lambda: patched(subject.data, original.layout, shown, units))
    published = _timed(
        seconds, "metadata", lambda: metadata.described(bare, metadata.exif(_POSE, _AT), metadata.xmp(_POSE, width, height))
    )
    findings = _timed(seconds, "verify_scan", lambda: metadata.scan(published))
    if findings or original.encoded_anew:
        raise AssertionError(f"not what the service would publish: {findings}")
    changed = _changed_outside(picture, jpeg.decode(published), units, original.layout.unit)
    return seconds, changed, int(units.sum()), round(share(rects, extent), 5)


def _timed(seconds: dict[str, float], step: str, work: Callable[[], T]) -> T:
    start = time.process_time()
    result = work()
    seconds[step] = seconds.get(step, 0.0) + time.process_time() - start
    return result


def _changed_outside(before: Picture, after: Picture, units: NDArray[np.bool_], unit: tuple[int, int]) -> int:
    height, width = before.shape[:2]
    replaced = np.kron(units, np.ones(unit[::-1], np.bool_))[:height, :width].astype(np.uint8)
    near = cv2.dilate(replaced, np.ones((1 + 2 * RIM, 1 + 2 * RIM), np.uint8))
    return int(((before != after).any(axis=2) & (near == 0)).sum())


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
