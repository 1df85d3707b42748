"""Drives enough for a long run: a few captures are photographed, and carried out many times under other names."""

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from console.demo.drives import existing_drive
from console.demo.run import Drive
from panoveil.contracts.keys import MANIFEST_NAME
from panoveil.contracts.messages import CaptureManifest, parse_manifest
from simulator.drive import photograph
from simulator.rigs import demo_rig
from simulator.street import Street

SURVEY = "chaos"
_DIFFERENT = 6


def make(folder: Path, captures: int, a_drive: int, width: int, seed: int) -> list[Drive]:
    """Lay `captures` captures into drive folders of at most `a_drive` each, to be stitched `width` pixels wide."""
    negatives = folder / "negatives"
    photograph(Street(seed, _DIFFERENT, width), demo_rig(width), negatives, SURVEY, "negatives", _DIFFERENT, seed)
    taken = [parse_manifest((path / MANIFEST_NAME).read_bytes()) for path in sorted(negatives.iterdir()) if path.is_dir()]
    starts = range(0, captures, a_drive)
    return [
        _laid_out(folder, f"drive-{number:03d}", range(start, min(start + a_drive, captures)), taken, width)
        for number, start in enumerate(starts)
    ]


def _laid_out(folder: Path, name: str, captures: range, taken: list[CaptureManifest], width: int) -> Drive:
    drive = folder / name
    drive.mkdir()
    shutil.copy(folder / "negatives" / "rig.json", drive)
    for manifest in _renamed(name, captures, taken):
        _carry(folder / "negatives" / taken[int(manifest.capture) % len(taken)].capture, drive / manifest.capture, manifest)
    return existing_drive(drive, width)


def _renamed(drive: str, captures: range, taken: list[CaptureManifest]) -> Iterator[CaptureManifest]:
    for capture in captures:
        original = taken[capture % len(taken)]
        later = original.captured_at + timedelta(seconds=2 * capture)
        yield original.model_copy(update={"drive": drive, "capture": f"{capture:06d}", "captured_at": later})


def _carry(source: Path, target: Path, manifest: CaptureManifest) -> None:
    target.mkdir()
    for entry in manifest.frames:
        os.link(source / entry.file, target / entry.file)
    (target / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=1))
