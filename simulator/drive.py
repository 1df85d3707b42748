"""Photographs a world from a moving rig and writes the drive folder a survey car would bring home."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.keys import MANIFEST_NAME
from panoveil.contracts.messages import CaptureManifest, FrameEntry, Pose
from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import jpeg
from simulator.rigs import matched_panorama_width
from simulator.sensor import Sensor, exposures, sense
from simulator.truth import TrueObject, truth_line
from simulator.views import Station

_JPEG_QUALITY = 92
_THREADS = 2
_METRES_PER_DEGREE = 111_320.0
_START = (55.39594, 10.38831)
_DEPARTURE = datetime(2026, 6, 17, 9, 30, tzinfo=timezone(timedelta(hours=2)))


class World(Protocol):
    """Something to photograph. Captures are numbered from 0; the same number always shows the same."""

    def station(self, capture: int) -> Station:
        """Return where the rig stands for a capture."""
        ...

    def frame(self, rig: Rig, lens: Lens, capture: int) -> NDArray[np.uint8]:
        """Return what the lens would see through perfect glass, RGB uint8 [H, W, 3]."""
        ...

    def truth(self, rig: Rig, capture: int, panorama_width: int) -> tuple[TrueObject, ...]:
        """Return what in the capture's panorama could identify somebody."""
        ...


@dataclass(frozen=True, slots=True)
class _Outing:
    world: World
    rig: Rig
    folder: Path
    survey: str
    drive: str
    seed: int


def photograph(
    world: World,
    rig: Rig,
    folder: Path,
    survey: str,
    drive: str,
    captures: int,
    seed: int,
    on_capture: Callable[[CaptureManifest], None] | None = None,
) -> None:
    """Write `rig.json`, `truth.jsonl` and a folder a capture: frames first, `capture.json` last.

    `on_capture` is told of every finished capture, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rig.json").write_text(rig.model_dump_json(indent=1))
    outing = _Outing(world, rig, folder, survey, drive, seed)
    with ThreadPoolExecutor(_THREADS) as pool, (folder / "truth.jsonl").open("w") as truth:
        for manifest, line in pool.map(partial(_take, outing), range(captures)):
            truth.write(line + "\n")
            truth.flush()
            if on_capture is not None:
                on_capture(manifest)


def _take(outing: _Outing, capture: int) -> tuple[CaptureManifest, str]:
    """Photograph and write one capture; return its manifest and its line of truth."""
    name = f"{capture:06d}"
    folder = outing.folder / name
    folder.mkdir(exist_ok=True)
    frames = tuple(_write_frame(outing, folder, lens, capture) for lens in outing.rig.lenses)
    manifest = CaptureManifest(
        survey=outing.survey,
        drive=outing.drive,
        capture=name,
        rig_id=outing.rig.rig_id,
        captured_at=_time(outing, capture),
        pose=_pose(outing, capture),
        frames=frames,
    )
    objects = outing.world.truth(outing.rig, capture, matched_panorama_width(outing.rig))
    _write_whole(folder / MANIFEST_NAME, manifest.model_dump_json(indent=1).encode())
    return manifest, truth_line(name, objects)


def _write_frame(outing: _Outing, folder: Path, lens: Lens, capture: int) -> FrameEntry:
    names = tuple(each.name for each in outing.rig.lenses)
    sensor = Sensor(exposure=exposures(names, _seed(outing, capture, 0))[lens.name])
    image = outing.world.frame(outing.rig, lens, capture)
    data = jpeg.encode(sense(image, lens, sensor, _seed(outing, capture, 1 + names.index(lens.name))), _JPEG_QUALITY)
    file = f"{lens.name}.jpg"
    _write_whole(folder / file, data)
    return FrameEntry(lens=lens.name, file=file, sha256=hashlib.sha256(data).hexdigest())


def _write_whole(path: Path, data: bytes) -> None:
    """Nobody who watches the folder ever reads half a file."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def _seed(outing: _Outing, capture: int, purpose: int) -> int:
    return int(np.random.SeedSequence((outing.seed, capture, purpose)).generate_state(1)[0])


def _pose(outing: _Outing, capture: int) -> Pose:
    """Lay the world's z axis along a street in Odense; its bearing is the seed's."""
    station = outing.world.station(capture)
    bearing = np.radians(20.0 + (outing.seed * 47) % 320)
    north = station.z * np.cos(bearing) - station.x * np.sin(bearing)
    east = station.z * np.sin(bearing) + station.x * np.cos(bearing)
    return Pose(
        latitude=round(_START[0] + float(north) / _METRES_PER_DEGREE, 8),
        longitude=round(_START[1] + float(east) / (_METRES_PER_DEGREE * float(np.cos(np.radians(_START[0])))), 8),
        altitude=round(53.2 - station.y, 3),
        heading=round(float(np.degrees(bearing + station.yaw)) % 360, 3),
        pitch=round(float(np.degrees(station.pitch)), 3),
        roll=round(float(np.degrees(station.roll)), 3),
        accuracy=0.04,
    )


def _time(outing: _Outing, capture: int) -> datetime:
    """About 30 km/h."""
    travelled = outing.world.station(capture).z - outing.world.station(0).z
    return _DEPARTURE + timedelta(days=outing.seed % 60, seconds=travelled / 8.4 + 0.001 * capture)
