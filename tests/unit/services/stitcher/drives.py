"""Short drives down the virtual street, photographed once a session and worn afterwards."""

import functools

from panoveil.contracts.rig import Lens, Rig
from simulator import wear
from simulator.rigs import demo_rig
from simulator.sensor import Sensor, exposures, sense
from simulator.street import Street
from tests.unit.services.stitcher.virtual import Image

Turn = tuple[float, float, float]


@functools.cache
def street(seed: int, captures: int, width: int) -> Street:
    """Return the street."""
    return Street(seed, captures, width)


@functools.cache
def frame(seed: int, captures: int, width: int, capture: int, lens: str, turn: Turn = (0.0, 0.0, 0.0)) -> Image:
    """Return what one lens of the demo's rig records, turned by degrees about its own axes."""
    rig = wear.knocked(demo_rig(width), lens, turn)
    names = tuple(each.name for each in rig.lenses)
    number = names.index(lens)
    image = street(seed, captures, width).frame(rig, _lens(rig, lens), capture)
    sensor = Sensor(exposure=exposures(names, 1000 * seed + capture)[lens])
    return sense(image, _lens(rig, lens), sensor, 100_000 * seed + 10 * capture + number)


def frames(seed: int, captures: int, width: int, capture: int, turned: str = "", turn: Turn = (0.0, 0.0, 0.0)) -> list[Image]:
    """Return the frames of a capture, in the rig's order."""
    lenses = demo_rig(width).lenses
    return [frame(seed, captures, width, capture, lens.name, *((turn,) if lens.name == turned else ())) for lens in lenses]


def _lens(rig: Rig, name: str) -> Lens:
    return next(lens for lens in rig.lenses if lens.name == name)
