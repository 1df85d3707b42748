"""Chooses the drive of a demo: the procedural street, photographed panoramas, or a folder that exists."""

from dataclasses import dataclass
from pathlib import Path

from console.demo.progress import View
from console.demo.run import Drive
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import MANIFEST_NAME
from panoveil.contracts.messages import CaptureManifest, parse_manifest
from panoveil.contracts.rig import Rig
from simulator.drive import World, photograph
from simulator.extras import Extras
from simulator.mischief import Defect, spoil
from simulator.rigs import demo_rig
from simulator.street import Street
from simulator.worlds import Photographs, centred

SURVEY = "demo"
_EXTRAS = 4
"""People, and cars, composited into every photographed panorama, so that there is truth to score."""


@dataclass(frozen=True)
class Wish:
    """What the person asked for; `width` in pixels of the panorama."""

    world: Path | None
    drive: Path | None
    captures: int
    width: int
    defects: bool
    seed: int


def choose(wish: Wish, folder: Path, view: View) -> Drive:
    """Return the drive that was asked for, photographing it into `folder/drive` where it is not there yet."""
    if wish.drive is not None:
        return existing_drive(wish.drive, wish.width)
    drive = _photographed(wish, folder / "drive", view)
    return _spoiled(drive, folder / "spoiled") if wish.defects else drive


def _photographed(wish: Wish, folder: Path, view: View) -> Drive:
    world, rig, captures = _world(wish)
    name = f"world-{wish.seed}" if wish.world else f"street-{wish.seed}"
    view.say(f"The virtual car photographs {captures} captures with {len(rig.lenses)} lenses")
    photograph(world, rig, folder, SURVEY, name, captures, wish.seed)
    return existing_drive(folder, wish.width)


def _world(wish: Wish) -> tuple[World, Rig, int]:
    rig = demo_rig(wish.width)
    if wish.world is None:
        return Street(wish.seed, wish.captures, wish.width), rig, wish.captures
    world = Photographs(wish.world, Extras(_EXTRAS, _EXTRAS, wish.seed))
    if not len(world):
        raise Misconfigured(f"{wish.world} holds no JPEG: --world wants a folder of equirectangular panoramas.")
    return world, centred(rig), min(wish.captures, len(world))


def _spoiled(drive: Drive, folder: Path) -> Drive:
    """Give the drive's last captures one defect each, as many kinds as leave half of it whole."""
    names = sorted(path.parent.name for path in drive.folder.glob(f"*/{MANIFEST_NAME}"))
    spoil(drive.folder, folder, dict(zip(names[len(names) // 2 :], Defect, strict=False)))
    return existing_drive(folder, drive.panorama_width)


def existing_drive(folder: Path, width: int) -> Drive:
    """Return the drive that lies in `folder`, to be stitched `width` pixels wide; `Misconfigured` where there is none."""
    manifests = sorted(folder.rglob(MANIFEST_NAME))
    if not manifests or not (folder / "rig.json").exists():
        raise Misconfigured(
            f"{folder} is no drive folder: it needs rig.json and at least one <capture>/{MANIFEST_NAME} (see README)."
        )
    readable = [manifest for path in manifests if (manifest := _manifest(path)) is not None]
    drives = {f"{manifest.survey}/{manifest.drive}" for manifest in readable}
    if len(drives) != 1:
        raise Misconfigured(f"{folder} must hold one drive with a readable {MANIFEST_NAME}; it holds {sorted(drives) or 'none'}.")
    return Drive(folder, drives.pop(), frozenset(manifest.capture for manifest in readable), width)


def _manifest(path: Path) -> CaptureManifest | None:
    """Return the manifest, None where it cannot be read: the agent leaves such a capture in the car, and says so."""
    try:
        return parse_manifest(path.read_bytes())
    except Rejected:
        return None
