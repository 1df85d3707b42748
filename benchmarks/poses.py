"""What it takes to open a day's pose file and to find the poses of a day's triggers in it.

    python -m benchmarks.poses [--hours 8] [--triggers 30000] [--json]

An SBET of 200 records a second, and CSV, NMEA and GPX of 10 fixes a second, lie in a temporary folder (TMPDIR; an 8-hour SBET is
783 MB) and are put out of the page cache first. Triggers are spread at random over the whole of it, in order, and have lever arm and
offset; `complete` makes of each capture.json without a pose the bytes that are uploaded.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from panoveil.contracts.messages import CaptureManifest, FrameEntry, Pose
from services.agent.poses import PoseOptions, open_poses
from simulator.trajectory import Format, Trajectory, write

_RATES: dict[Format, float] = {"sbet": 200.0, "csv": 10.0, "nmea": 10.0, "gpx": 10.0}
_BEGIN = datetime(2026, 6, 17, 7, 30, tzinfo=UTC).timestamp()
_CHUNK = 200_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds of wall clock, megabytes of 10⁶ bytes; `again` is the same once more, the file in the page cache."""

    form: Format
    fixes: int
    megabytes: float
    open_seconds: float
    triggers_seconds: float
    triggers_seconds_again: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--triggers", type=int, default=30_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    figures = [_measure(form, options.hours * 3600, options.triggers) for form in _RATES]
    if options.json:
        print(json.dumps([asdict(one) for one in figures]))
        return
    for one in figures:
        print(
            f"{one.form:5} {one.fixes:>9,} fixes {one.megabytes:7.1f} MB: open {one.open_seconds:6.2f} s, "
            f"{options.triggers:,} triggers {one.triggers_seconds:5.2f} s (once more {one.triggers_seconds_again:5.2f} s)"
        )


def _measure(form: Format, seconds: float, triggers: int) -> Figures:
    manifests = _manifests(seconds, triggers)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"day.{form}"
        fixes = _write(path, form, seconds)
        _forget(path)
        began = time.perf_counter()
        poses = open_poses(PoseOptions(files=(path,), time_offset=-0.012, lever_arm=(0.31, 0.0, -1.84)), lambda _event: None)
        opened = time.perf_counter()
        laps = [opened]
        for _ in range(2):
            for manifest in manifests:
                poses.complete(manifest)
            laps.append(time.perf_counter())
        size = path.stat().st_size / 1e6
    return Figures(form, fixes, round(size, 1), *(round(value, 3) for value in (opened - began, *np.diff(laps).tolist())))


def _write(path: Path, form: Format, seconds: float) -> int:
    """Write piece by piece, for a day in memory is many times the file; return the number of fixes."""
    count = round(seconds * _RATES[form])
    if form != "sbet":
        write(_trajectory(0, count, _RATES[form]), path, form)
        return count
    with path.open("wb") as file:
        piece = path.with_suffix(".piece")
        for begin in range(0, count, _CHUNK):
            write(_trajectory(begin, min(begin + _CHUNK, count), _RATES[form]), piece, form)
            file.write(piece.read_bytes())
    return count


def _trajectory(begin: int, end: int, rate: float) -> Trajectory:
    """Round and round a circle of 2 km, at 8.4 m/s."""
    seconds = np.arange(begin, end) / rate
    angle = seconds * 8.4 / 2000.0
    return Trajectory(
        time=_BEGIN + seconds,
        latitude=55.39594 + np.degrees(2000.0 / 6_371_000.0) * np.sin(angle),
        longitude=10.38831 + np.degrees(2000.0 / 3_620_000.0) * np.cos(angle),
        altitude=53.2 + np.sin(seconds / 30),
        heading=-np.degrees(angle),
        pitch=2 * np.sin(seconds / 3),
        roll=1.5 * np.cos(seconds / 2),
    )


def _manifests(seconds: float, triggers: int) -> list[bytes]:
    frames = tuple(FrameEntry(lens=f"lens{index}", file=f"lens{index}.jpg", sha256="0" * 64) for index in range(5))
    moments = np.sort(np.random.default_rng(0).uniform(1, seconds - 2, triggers)) + _BEGIN
    whole = CaptureManifest(
        survey="s",
        drive="d",
        capture="c",
        rig_id="r",
        captured_at=datetime.now(UTC),
        pose=Pose(latitude=0, longitude=0),
        frames=frames,
    ).model_dump(mode="json", exclude={"pose"})
    times = (datetime.fromtimestamp(moment, UTC).isoformat() for moment in moments.tolist())
    return [json.dumps({**whole, "captured_at": moment}).encode() for moment in times]


def _forget(path: Path) -> None:
    """Put the file out of the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
