"""A street that does not exist: houses, parked and driving cars, trees, lamps and people, all from a seed, in three dimensions."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect
from simulator import surroundings
from simulator.cars import car
from simulator.extras import Extras
from simulator.people import someone
from simulator.scene import Quad, draw_quad
from simulator.stage import draw_things, mounted, remembered_rays, truths
from simulator.surroundings import CROSSING, CROSSINGS_APART, HOUSE_ROOM, ROAD_HALF_WIDTH, STREET_HALF_WIDTH
from simulator.textures import Texture
from simulator.things import PlatedCar, Thing, Upright, Walker
from simulator.truth import TrueObject
from simulator.views import Station, View, stand

Image = NDArray[np.uint8]

_SPACING = 4.0
_BEHIND = 36.0
_AHEAD = 44.0
_LANE = 1.35
_SHARE_LOOKING = 0.6
_SHARE_FREE = 0.42
_SHARE_COMING = 0.75
_CLEAR = 5.6
_MOST_TEXELS = 100.0
_HAZE = (198, 207, 214)
_ROWS_AT_ONCE = 128


class Street:
    """A world: the rig drives along z in the right lane, about four metres from capture to capture."""

    def __init__(
        self, seed: int = 0, captures: int = 12, panorama_width: int = 4096, extras: Extras | None = None, tilt: float = 0.0
    ) -> None:
        """Build a street long enough for `captures`, its textures fine enough for panoramas of that width; extras come on top.

        Beyond about 60 captures textures get coarser: photograph several streets instead. The car leans by up to `tilt` degrees,
        forwards, backwards and aside, differently at every capture.
        """
        rng = np.random.default_rng((seed, 1))
        self._captures = captures
        self._wobble = rng.normal(0, 1, (captures, 3))
        self._lean = np.radians(np.random.default_rng((seed, 2)).uniform(-tilt, tilt, (captures, 2)))
        self._start, self._end = -_BEHIND, captures * _SPACING + _AHEAD
        scale = float(np.clip(80 * panorama_width / 4096, 8, min(_MOST_TEXELS, 30_000 / (self._end - self._start))))
        self._sky = surroundings.sky(rng, max(512, panorama_width // 2))
        self._backdrop = _backdrop(rng, self._start, self._end, scale)
        self._things = _things(rng, (self._start, self._end), scale, panorama_width)
        self._extras, self._width = extras or Extras(), panorama_width
        self._present = lru_cache(maxsize=4)(self._with_extras)

    def station(self, capture: int) -> Station:
        """Return where the rig stands: 3.2 to 4.8 metres on from the capture before, swaying a little."""
        if not 0 <= capture < self._captures:
            raise IndexError(f"this street was built for {self._captures} captures, there is no number {capture}")
        along, aside, turn = np.clip(self._wobble[capture], -2, 2)
        z = capture * _SPACING + 0.2 * float(along)
        pitch, roll = self._lean[capture].tolist()
        return Station(_LANE + 0.08 * float(aside), 0.0, z, float(np.radians(0.6 * turn)), pitch, roll)

    def frame(self, rig: Rig, lens: Lens, capture: int) -> Image:
        """Return what the lens would see through perfect glass, RGB uint8 [H, W, 3]."""
        station = mounted(rig, self.station(capture))
        view = stand(lens, remembered_rays(lens), station)
        frame = np.empty((lens.height, lens.width, 3), np.uint8)
        _draw_sky(frame, view, station, self._sky)
        for quad in self._backdrop:
            draw_quad(frame, view, quad)
        draw_things(frame, view, self.things(capture), station)
        return frame

    def truth(self, rig: Rig, capture: int, panorama_width: int) -> tuple[TrueObject, ...]:
        """Return the faces and plates that could identify somebody, in the order of their yaw."""
        return truths(self.things(capture), rig, mounted(rig, self.station(capture)), panorama_width)

    def things(self, capture: int) -> Sequence[Thing]:
        """Return who and what is there at a capture, from far to near."""
        return _far_to_near(self._present(capture), self.station(capture))

    def _with_extras(self, capture: int) -> list[Thing]:
        return [*self._things, *self._extras.placed(self.station(capture), capture, self._width)]


def _backdrop(rng: np.random.Generator, start: float, end: float, scale: float) -> list[Quad]:
    """From far to near: the houses across both ends, those along both sides, the ground."""
    length, wide = end - start, 2 * STREET_HALF_WIDTH
    up = np.array([0.0, HOUSE_ROOM, 0.0])
    along = np.array([0.0, 0.0, length])
    across = np.array([wide + 16, 0.0, 0.0])
    with ThreadPoolExecutor(2) as pool:
        seeds = rng.spawn(5)
        road_later = pool.submit(surroundings.ground, seeds[4], length, scale)
        sizes = [(length, scale), (length, scale), (wide + 16, scale / 2), (wide + 16, scale / 2)]
        pictures = pool.map(lambda seed, size: surroundings.houses(seed, *size), seeds[:4], sizes)
        *rows, first, second = (Texture.of(picture) for picture in pictures)
        closing, road = (first, second), Texture.of(road_later.result())
    left, right = -STREET_HALF_WIDTH, STREET_HALF_WIDTH
    return [
        Quad(np.array([left - 8, -HOUSE_ROOM, end - 0.05]), across, up, closing[0], everywhere=True),
        Quad(np.array([right + 8, -HOUSE_ROOM, start + 0.05]), -across, up, closing[1], everywhere=True),
        Quad(np.array([left, -HOUSE_ROOM, start]), along, up, rows[0], everywhere=True),
        Quad(np.array([right, -HOUSE_ROOM, end]), -along, up, rows[1], everywhere=True),
        Quad(np.array([left, 0.0, start]), np.array([wide, 0.0, 0.0]), along, road, everywhere=True),
    ]


def _things(rng: np.random.Generator, reach: tuple[float, float], scale: float, panorama_width: int) -> list[Thing]:
    cars = [*_parked(rng, *reach), *_driving(rng, *reach)]
    return [*cars, *_uprights(rng, *reach, scale), *_walkers(rng, *reach, panorama_width / (2 * np.pi))]


def _parked(rng: np.random.Generator, start: float, end: float) -> list[Thing]:
    """Most bays are taken; on the right cars look along the street, on the left mostly the other way."""
    cars: list[Thing] = []
    for side in (-1.0, 1.0):
        for z in np.arange(np.ceil(start / 5.6) * 5.6 + 2.8, end - 3, 5.6):
            free = abs((z - start) % CROSSINGS_APART - CROSSING) < _CLEAR or rng.uniform() < _SHARE_FREE
            if not free:
                backwards = rng.uniform() < (0.12 if side > 0 else 0.85)
                centre = np.array([side * (ROAD_HALF_WIDTH - 1.05) + rng.normal(0, 0.06), 0, z + rng.normal(0, 0.2)])
                cars.append(PlatedCar(car(rng, centre, np.pi * backwards + rng.normal(0, 0.02))))
    return cars


def _driving(rng: np.random.Generator, start: float, end: float) -> list[Thing]:
    """Oncoming cars, and one ahead and one behind in the rig's own lane."""
    oncoming = [
        PlatedCar(car(rng, np.array([-_LANE, 0, z + rng.uniform(-3, 3)]), np.pi)) for z in np.arange(start + 20, end - 8, 21)
    ]
    own = [PlatedCar(car(rng, np.array([_LANE, 0, z]), 0.0)) for z in (start + 14, end - 30)]
    return [*oncoming, *own]


def _uprights(rng: np.random.Generator, start: float, end: float, scale: float) -> list[Thing]:
    trees = [Texture.of(surroundings.tree(rng, scale)) for _ in range(3)]
    lamp = Texture.of(surroundings.lamp_post(scale))
    things: list[Thing] = []
    for index, z in enumerate(np.arange(start + 4, end - 3, 9.0)):
        side = 1.0 if index % 2 else -1.0
        things.append(Upright(np.array([side * 4.95, 0.0, z]), trees[index % 3], scale))
        things.append(Upright(np.array([-side * 5.0, 0.0, z + 4]), lamp, scale))
    return things


def _walkers(rng: np.random.Generator, start: float, end: float, pixels_per_radian: float) -> list[Thing]:
    """Every few metres somebody on either pavement: half look at the road, half walk along it."""
    walkers = _crossing(rng, start, end, pixels_per_radian)
    for side in (-1.0, 1.0):
        z = start + rng.uniform(2, 6)
        while z < end - 2:
            place = np.array([side * rng.triangular(4.8, 5.2, 7.1), 0.0, z])
            along = np.pi * float(rng.integers(2))
            looks = rng.uniform() < _SHARE_LOOKING
            body = -side * np.pi / 2 + rng.normal(0, 0.5) if looks else along + rng.normal(0, 0.15)
            walkers.append(Walker(someone(rng), place, float(body), float(body + rng.normal(0, 0.4)), pixels_per_radian))
            z += rng.uniform(1.2, 6.0)
    return walkers


def _crossing(rng: np.random.Generator, start: float, end: float, pixels_per_radian: float) -> list[Thing]:
    """On every zebra crossing two people, beside the oncoming lane."""
    walkers: list[Thing] = []
    for z in np.repeat(np.arange(start + CROSSING, end, CROSSINGS_APART), 2):
        place = np.array([rng.uniform(-4.3, -2.6), 0.0, z + rng.uniform(-1.4, 1.4)])
        body = np.pi * (float(rng.uniform() < _SHARE_COMING) - 0.5) + rng.normal(0, 0.15)
        walkers.append(Walker(someone(rng), place, float(body), float(body + rng.normal(0, 0.5)), pixels_per_radian))
    return walkers


def _far_to_near(things: Sequence[Thing], station: Station) -> list[Thing]:
    """A line of sight runs ever further aside: what stands further aside is behind; in one lane, what is further along."""

    def nearness(thing: Thing) -> tuple[float, float]:
        x = float(thing.place[0])
        lane = round(2 * x) / 2 if isinstance(thing, PlatedCar) else x
        return -abs(lane - float(station.x)), -abs(float(thing.place[2]) - station.z)

    return sorted(things, key=nearness)


def _draw_sky(frame: Image, view: View, station: Station, sky: Image) -> None:
    """Paint the sky, and haze below the horizon."""
    height, width = sky.shape[:2]
    wrapped = np.concatenate([sky, sky[:, :1]], axis=1)
    leans = station.level != station
    turns, rises = _sky_places(view.rays) if leans else _sky_of_level(view.lens)
    begins = 0.0 if leans else station.yaw / (2 * np.pi)
    frame[turns.shape[0] :] = _HAZE
    for row in range(0, turns.shape[0], _ROWS_AT_ONCE):
        part = np.s_[row : row + _ROWS_AT_ONCE]
        across = np.mod((turns[part] + np.float32(begins)) * width - np.float32(0.5), np.float32(width))
        down = rises[part] * height - np.float32(0.5)
        band = cv2.remap(wrapped, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        frame[row : row + band.shape[0]] = band


@lru_cache(maxsize=16)
def _sky_of_level(lens: Lens) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return _sky_places(remembered_rays(lens))


def _sky_places(rays: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where on the sky's picture rays [H, W, 3] look, 0..1 across and down, for the rows that see any sky."""
    rows = int(np.flatnonzero(rays[..., 1].min(axis=1) < 0.01).max(initial=0)) + 1  # noqa: PLR2004 - just below level
    yaw, pitch = equirect.to_angles(rays[:rows])
    return yaw / np.float32(2 * np.pi) + np.float32(0.5), 1 - pitch / np.float32(np.pi / 2)
