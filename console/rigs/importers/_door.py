"""One door: a path to a rig, its format recognised by what is inside."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from console.rigs.importers import _assemble, colmap, double_sphere, hugin, kalibr, layout, nuscenes, opencv, opensfm
from console.rigs.importers._assemble import Imported
from console.rigs.importers._draft import Draft, Format, PictureSize, Pose, Wish
from console.rigs.importers._text import document, first, parse, read, read_text
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.rig import Rig
from panoveil.pixels import jpeg

_KNOWN = ("rig.json", "calibration.json", "rig_config.json", "rig_cameras.json")
_SUFFIXES = (".json", ".yaml", ".yml")
_PNG = b"\x89PNG\r\n\x1a\n"
_LADYBUG = (
    "the format of Ladybug .cal files is not published: write each lens's focal length, image centre and pose, as the Ladybug SDK"
    " gives them, into OpenCV YAML and import that (docs/rig.md)"
)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was pointed at, the file that told the format, and how to ask for the size of a lens's picture."""

    path: Path
    main: Path
    sizes: PictureSize


def load_rig(path: Path, wish: Wish | None = None) -> Rig:
    """Read a rig from any format that is known; `Misconfigured` says in a sentence what is wrong."""
    return import_rig(path, wish).rig


def import_rig(path: Path, wish: Wish | None = None, images: Path | None = None) -> Imported:
    """Read a rig and what was assumed about it; with `images`, a folder, its lenses' pictures must be of the size calibrated for."""
    wished = wish or Wish()
    main = _main(path)
    kind = wished.format or _recognised(path, main)
    if kind is Format.PANOVEIL:
        imported = Imported(_changed(panoveil_rig(main), wished))
    else:
        sizes = partial(picture_size, images or main.parent)
        imported = _assemble.assembled(_DRAFTS[kind](_Found(path, main, sizes), wished), wished)
    if images is not None:
        _assemble.check_sizes(imported.rig, partial(picture_size, images))
    return imported


def panoveil_rig(path: Path) -> Rig:
    """Read our own rig JSON and check that its rotations turn and its lenses see."""
    try:
        rig = Rig.model_validate_json(read(path))
    except ValidationError as error:
        raise Misconfigured(f"{path.name} is no rig: {first(error)}") from error
    return _assemble.checked(rig)


def layout_of(path: Path) -> dict[str, Pose]:
    """Read a layout, JSON or YAML: where each lens looks and stands."""
    return layout.poses(document(path))


def picture_size(folder: Path, name: str) -> tuple[int, int] | None:
    """Return (width, height) of `<name>.jpg`, `.jpeg` or `.png` in a folder, or None where there is none that can be read."""
    paths = (folder / f"{name}{suffix}" for suffix in (".jpg", ".jpeg", ".png"))
    data = next((read(path) for path in paths if path.is_file()), None)
    if data is not None and data.startswith(_PNG):
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    try:
        return jpeg.dimensions(data) if data is not None else None
    except Rejected:
        return None


def _changed(rig: Rig, wish: Wish) -> Rig:
    changes: dict[str, Any] = {"rig_id": wish.rig_id, "height_above_ground": wish.height}
    try:
        return Rig.model_validate(rig.model_dump() | {key: value for key, value in changes.items() if value is not None})
    except ValidationError as error:
        raise Misconfigured(f"the wishes make no rig: {first(error)}") from error


def _main(path: Path) -> Path:
    """Return the file that tells the format: the path, or the telling one of a directory."""
    if not path.is_dir():
        return path
    candidates: Iterable[Path] = (
        *(path / name for name in _KNOWN),
        *sorted(path.glob("*.pto")),
        *sorted(each for each in path.glob("*") if each.suffix in _SUFFIXES),
        *sorted(path.glob("*/calibration.*")),
        *sorted(path.glob("*.cal")),
    )
    found = next((each for each in candidates if each.is_file()), None)
    if found is None:
        raise Misconfigured(f"{path.name} holds no calibration (.json, .yaml, .pto)")
    return found


def _recognised(path: Path, main: Path) -> Format:
    if main.suffix.lower() == ".cal":
        raise Misconfigured(f"{main.name}: {_LADYBUG}")
    text = read_text(main)
    if hugin.recognised(text):
        return Format.HUGIN
    found = _kind(parse(text, main.name))
    if found is None:
        raise Misconfigured(f"{path.name}: no known calibration is in there; --format forces one of {', '.join(Format)}")
    return found


def _kind(found: Any) -> Format | None:
    if isinstance(found, dict) and (found.get("type") == "rig" or "rig_id" in found):
        return Format.PANOVEIL
    tests = {
        Format.NUSCENES: nuscenes.recognised,
        Format.KALIBR: kalibr.recognised,
        Format.COLMAP: colmap.recognised,
        Format.DOUBLE_SPHERE: double_sphere.recognised,
        Format.OPENSFM: opensfm.recognised,
        Format.OPENCV: opencv.recognised,
    }
    return next((kind for kind, recognised in tests.items() if recognised(found)), None)


def _colmap(found: _Found, wish: Wish) -> Draft:
    beside = found.main.with_name("cameras.txt")
    listed = colmap.listed_cameras(read_text(beside)) if beside.is_file() else {}
    return colmap.draft(_listed(found.main), listed, found.sizes, wish)


def _opensfm(found: _Found, wish: Wish) -> Draft:
    models, rig_cameras = (_mapping(found.main.with_name(name)) for name in ("camera_models.json", "rig_cameras.json"))
    return opensfm.draft(models, rig_cameras, wish)


def _double_sphere(found: _Found, wish: Wish) -> Draft:
    nested = found.path.is_dir() and found.main.parent != found.path
    files = sorted(found.path.glob("*/calibration.json")) if nested else [found.main]
    circles = {file.parent.name: file.with_name("vignette_circle.json") for file in files}
    read_circles = {name: _mapping(circle) for name, circle in circles.items() if circle.is_file()}
    return double_sphere.draft({file.parent.name: _mapping(file) for file in files}, read_circles, wish)


def _lens_files(path: Path, main: Path) -> dict[str, dict[str, Any]]:
    """Return OpenCV documents by lens: the one file's, or those of all files in the directory that are calibrations."""
    if not path.is_dir():
        return {main.stem: _mapping(main)}
    files = [each for each in sorted(main.parent.glob("*")) if each.suffix in _SUFFIXES]
    documents = {file.stem: document(file) for file in files}
    return {name: found for name, found in documents.items() if opencv.recognised(found)}


def _mapping(path: Path) -> dict[str, Any]:
    found = document(path)
    if not isinstance(found, dict):
        raise Misconfigured(f"{path.name} must be a mapping")
    return found


def _listed(path: Path) -> list[dict[str, Any]]:
    found = document(path)
    if not colmap.recognised(found):
        raise Misconfigured(f"{path.name} must be a list of rigs with cameras")
    return list(found)


_DRAFTS: dict[Format, Callable[[_Found, Wish], Draft]] = {
    Format.HUGIN: lambda found, wish: hugin.draft(read_text(found.main), wish),
    Format.KALIBR: lambda found, wish: kalibr.draft(_mapping(found.main), wish),
    Format.OPENCV: lambda found, wish: opencv.draft(_lens_files(found.path, found.main), found.sizes, wish),
    Format.COLMAP: _colmap,
    Format.OPENSFM: _opensfm,
    Format.NUSCENES: lambda found, _: nuscenes.draft(found.main),
    Format.DOUBLE_SPHERE: _double_sphere,
}
