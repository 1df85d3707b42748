"""Captures to stitch, each with the exact truth: what is to be seen from the rig's origin.

- the procedural street, whose truth is rendered by pinholes at the rig's origin;
- real panoramas painted on a street with depth, which is not the stitcher's idea of a street; the truth is the panorama itself;
- both once more with all lens centres at the origin, so that nothing is displaced.

Frames have exposures and white balances of their own, vignetting, gain, blur, noise and JPEG; no tool is told of the first two.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import jpeg
from simulator.drive import World
from simulator.painted import Painted
from simulator.panorama import panorama
from simulator.rigs import demo_rig
from simulator.sensor import Sensor, exposures, sense
from simulator.street import Street
from simulator.worlds import centred

Image = NDArray[np.uint8]

REAL = Path(__file__).parents[3] / "shared/eval/panoramas/survey_vehicles"
"""Real panoramas beside the project, where there are any."""

FIVE_MEGAPIXELS = 0.727
"""The demo's rig made for a panorama so many times as wide has lenses of 5 megapixels beside 8192 x 4096."""

_EXPOSURE, _WHITE_BALANCE = 0.05, 0.02
_QUALITY = 92
_SEED = 7


@dataclass(frozen=True)
class Scene:
    """One capture: `parallax` says whether lenses are off the rig's origin; the truth is the same for all scenes of one `place`."""

    place: str
    parallax: bool
    rig: Rig
    frames: Mapping[str, bytes]
    truth: Image

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"{self.place} {'parallax' if self.parallax else 'centred'}"

    @cached_property
    def images(self) -> dict[str, Image]:
        """The frames decoded."""
        return {name: jpeg.decode(data) for name, data in self.frames.items()}


def survey_rig(width: int) -> Rig:
    """Return the demo's rig with lenses of about 5 megapixels for a panorama of 8192, in proportion for others."""
    return demo_rig(max(512, round(FIVE_MEGAPIXELS * width / 32) * 32))


def scenes(width: int, captures: int, panoramas: Path | None, tell: Callable[[str], None]) -> Iterator[Scene]:
    """Yield `captures` scenes of the street and as many real ones, the first of either with and without parallax; told what is done."""
    for number in range(captures):
        tell(f"rendering street {number + 1}")
        world = Street(seed=_SEED + number, captures=3, panorama_width=width)
        rig = survey_rig(width)
        yield from _both(f"street {number + 1}", world, 1, panorama(world, rig, 1, width), number == 0)
    for number, path in enumerate(_fitting(panoramas, captures, width)):
        tell(f"photographing {path.stem}")
        truth = _resized(jpeg.decode(path.read_bytes()), width)
        yield from _both(f"real {number + 1}", Painted([truth]), 0, truth, number == 0)


def first(width: int) -> Scene:
    """Return a street scene without its truth, for what only takes time."""
    world = Street(seed=_SEED, captures=3, panorama_width=width)
    rig = survey_rig(width)
    return Scene("street 1", True, rig, _photographed(world, rig, 1), np.empty((0, 0, 3), np.uint8))  # noqa: FBT003 - named in Scene


def _both(place: str, world: World, capture: int, truth: Image, also_centred: bool) -> Iterator[Scene]:  # noqa: FBT001
    rig = survey_rig(truth.shape[1])
    rigs = [rig, centred(rig)] if also_centred else [rig]
    for each in rigs:
        yield Scene(place, each is rig, each, _photographed(world, each, capture), truth)


def _fitting(folder: Path | None, count: int, width: int) -> list[Path]:
    """Return the first panoramas by name, those that are large enough before those that are not."""
    if folder is None:
        return []
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    return sorted(paths, key=lambda path: jpeg.dimensions(path.read_bytes())[0] < width)[:count]


def _resized(image: Image, width: int) -> Image:
    way = cv2.INTER_AREA if image.shape[1] > width else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, width // 2), interpolation=way), np.uint8)


def _photographed(world: World, rig: Rig, capture: int) -> dict[str, bytes]:
    """Return the frames as JPEGs by lens name."""
    names = tuple(lens.name for lens in rig.lenses)
    exposed = exposures(names, _SEED + capture, _EXPOSURE)
    tints = np.exp(np.random.default_rng((_SEED, capture)).normal(0, _WHITE_BALANCE, (len(names), 3)))
    frames = {}
    for index, lens in enumerate(rig.lenses):
        tinted = _tinted(lens, tints[index])
        sensed = sense(world.frame(rig, lens, capture), tinted, Sensor(exposure=exposed[lens.name]), _SEED + index)
        frames[lens.name] = jpeg.encode(sensed, _QUALITY)
    return frames


def _tinted(lens: Lens, tint: NDArray[np.float64]) -> Lens:
    """Return the lens as it was at this capture: its white balance is not quite what the rig says."""
    red, green, blue = (float(gain * factor) for gain, factor in zip(lens.photometry.gain, tint, strict=True))
    return lens.model_copy(update={"photometry": lens.photometry.model_copy(update={"gain": (red, green, blue)})})
