"""`panoveil rig calibrate-photometry`: a drive folder in, a rig with measured photometry out."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from console.rigs import importers, overlaps, photometry
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import Photometry, Rig
from panoveil.pixels import light

AMBIGUOUS = (
    "Overlaps tell a response only up to a power law (fall-off, gains and exposures bend alike under it): "
    "that part of it is assumed to be none."
)
_LONGEST_ID = 64
_WHITE = 255


@dataclass(frozen=True, slots=True)
class Calibration:
    """The rig before and after; disagreement of lenses where they overlap is a share of the light."""

    before: Rig
    after: Rig
    captures: int
    places: int
    disagreement_before: float
    disagreement_after: float


def calibrate(drive: Path, rig_file: Path | None, most: int, on_capture: Callable[[str, str], None]) -> Calibration:
    """Estimate the photometry of the rig that a drive was taken with; `Misconfigured` says what is missing."""
    path = rig_file or drive / "rig.json"
    if rig_file is None and not path.is_file():
        raise Misconfigured(f"{drive} has no rig.json: name the rig's file with --rig")
    rig = importers.load_rig(path)
    samples = overlaps.sampled(overlaps.chosen(drive, most), rig, on_capture)
    found = photometry.estimate(samples, len(rig.lenses))
    after = renamed(rig, found.lenses)
    before, left = (photometry.disagreement(samples, [lens.photometry for lens in each.lenses]) for each in (rig, after))
    places = sum(each.lenses.shape[1] for each in samples)
    return Calibration(rig, after, len(samples), places, before, left)


def renamed(rig: Rig, models: tuple[Photometry, ...]) -> Rig:
    """Return the rig with other photometry, under `<old>-p<hash>`; a calibration's suffix is replaced, not added to."""
    digest = hashlib.sha256(repr([model.model_dump() for model in models]).encode()).hexdigest()[:8]
    stem = re.sub(r"-p[0-9a-f]{8}$", "", rig.rig_id)[: _LONGEST_ID - 10]
    lenses = tuple(lens.model_copy(update={"photometry": model}) for lens, model in zip(rig.lenses, models, strict=True))
    return rig.model_copy(update={"rig_id": f"{stem}-p{digest}", "lenses": lenses})


def table(result: Calibration) -> Table:
    """Return before and after, lens by lens: gains, and what is left of the light at half the radius and in the corner."""
    shown = Table(title=f"{result.before.rig_id} → {result.after.rig_id}", box=None, padding=(0, 1, 0, 0))
    for column in ("lens", "gain R", "gain G", "gain B", "V(r=½)", "V(r=1)"):
        shown.add_column(column, justify="left" if column == "lens" else "right")
    for old, new in zip(result.before.lenses, result.after.lenses, strict=True):
        cells = zip(_cells(old.photometry), _cells(new.photometry), strict=True)
        shown.add_row(new.name, *(f"{before:.3f}→{after:.3f}" for before, after in cells))
    return shown


def _cells(model: Photometry) -> list[float]:
    return [*model.gain, *light.fall_off(model.vignetting, np.array([0.25, 1.0])).tolist()]


def told(result: Calibration) -> str:
    """Return the sentences beneath the table."""
    response = ", ".join(f"{value:+.3f}" for value in result.after.lenses[0].photometry.response)
    return (
        f"Response {response}. {AMBIGUOUS}\n"
        f"Lenses differ where they overlap by {result.disagreement_before:.2%} before and {result.disagreement_after:.2%} after "
        f"(median, exposures matched; {result.places} places in {result.captures} captures)."
    )


def picture(rig: Rig, width: int = 640) -> NDArray[np.uint8]:
    """Return the lenses' fall-off, 0 to 1 upwards over the radius from 0 to 1, RGB uint8 [width / 2, width, 3]; dashed: the response."""
    height = width // 2
    canvas = np.full((height, width, 3), _WHITE, np.uint8)
    for share in (0.25, 0.5, 0.75):
        canvas[round((1 - share) * height)] = 220
    x = np.linspace(0, 1, width)
    for index, lens in enumerate(rig.lenses):
        hue = 0.5 + 0.4 * np.cos(2 * np.pi * (index / len(rig.lenses) - np.array([0, 1 / 3, 2 / 3])))
        _draw(canvas, light.fall_off(lens.photometry.vignetting, x * x), tuple((255 * hue).tolist()))
    response = light.respond(rig.lenses[0].photometry.response, _WHITE * x) / _WHITE
    for start in range(0, width, 24):
        _draw(canvas[:, start : start + 12], response[start : start + 12], (0, 0, 0))
    return canvas


def _draw(canvas: NDArray[np.uint8], heights: NDArray[np.floating[Any]], colour: tuple[float, ...]) -> None:
    points = np.stack([np.arange(len(heights)), (1 - heights) * (canvas.shape[0] - 1)], axis=-1).round().astype(np.int32)
    drawn = np.ascontiguousarray(canvas)
    cv2.polylines(drawn, [points], False, colour, 1, cv2.LINE_AA)  # noqa: FBT003
    canvas[:] = drawn
