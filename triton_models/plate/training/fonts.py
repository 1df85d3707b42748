"""Free typefaces, fetched by name when training starts and never kept in the repository."""

import io
import logging
import shutil
import subprocess
import tarfile
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .arrays import Pixels

log = logging.getLogger(__name__)

PACKAGES = {
    "barlow-condensed": "600",
    "barlow-semi-condensed": "600",
    "b612-mono": "700",
    "oswald": "500",
    "overpass": "700",
    "rajdhani": "700",
    "roboto-condensed": "600",
    "saira-condensed": "600",
    "share-tech-mono": "400",
}
"""npm packages of @fontsource, all under the SIL Open Font Licence or Apache 2.0, and the weight taken from each."""

DEJAVU = ("DejaVuSans-Bold.ttf", "DejaVuSans.ttf", "DejaVuSansMono-Bold.ttf")
"""Typefaces inside the matplotlib wheel (Bitstream Vera licence)."""

GLYPH_PIXELS = 72


def fetch(folder: Path) -> list[Path]:
    """Download what is missing and return every typeface file, always in the same order."""
    folder.mkdir(parents=True, exist_ok=True)
    local = [Path(mpl.get_data_path()) / "fonts" / "ttf" / name for name in DEJAVU]
    return local + [path for name, weight in PACKAGES.items() for path in _package(folder, name, weight)]


def _package(folder: Path, name: str, weight: str) -> list[Path]:
    """Fetch one npm package; training goes on without those that cannot be had."""
    target = folder / f"{name}.woff"
    if not target.exists():
        try:
            target.write_bytes(_unpack(_pack(folder, name), f"{name}-latin-{weight}-normal.woff"))
        except (OSError, subprocess.SubprocessError, KeyError) as error:
            log.warning("typeface %s left out: %s", name, error)
            return []
    return [target]


def _pack(folder: Path, name: str) -> bytes:
    """Let npm download a package and return the archive's bytes."""
    npm = shutil.which("npm") or "npm"
    command = [npm, "pack", "--silent", f"@fontsource/{name}"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120)
    archive = folder / done.stdout.strip().splitlines()[-1]
    data = archive.read_bytes()
    archive.unlink()
    return data


def _unpack(archive: bytes, name: str) -> bytes:
    """Read one typeface out of an npm archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as bundle:
        member = bundle.extractfile(f"package/files/{name}")
        if member is None:
            raise KeyError(name)
        return member.read()


@lru_cache(maxsize=64)
def _face(path: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(path.read_bytes()), GLYPH_PIXELS)


def letters(text: str, path: Path) -> Pixels:
    """Draw text tightly cropped as a mask: uint8 [height, width], 255 where there is ink."""
    face = _face(path)
    left, top, right, bottom = (int(edge) for edge in face.getbbox(text))
    canvas = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(canvas).text((-left, -top), text, fill=255, font=face)
    return np.asarray(canvas, np.uint8)
