"""Things on a stage, seen by a rig: drawing them, and the exact truth about them.

The truth lists a face when it is turned less than 75 degrees from the camera, a plate when it is seen less than 70 degrees off its
normal; either must be 5 panorama pixels high, and a quarter of it must be seen by some lens with nothing before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Rig
from panoveil.pixels import equirect
from simulator.scene import Quad, draw_facets, draw_quad
from simulator.things import Mark, Thing
from simulator.truth import TrueObject
from simulator.views import Station, View, lens_rays, stand

Image = NDArray[np.uint8]
Points = NDArray[np.float64]

LEAST_HEIGHT = 5.0
"""Panorama pixels; what is smaller is not in the truth."""

LEAST_VISIBLE = 0.25
"""What is hidden further is not in the truth."""

_LARGEST = 3.5

remembered_rays = lru_cache(maxsize=16)(lens_rays)
"""`lens_rays`, kept: they cost a tenth of a second for a lens of two megapixels."""


def mounted(rig: Rig, station: Station) -> Station:
    """Lift a station on the ground to the height of the rig's origin."""
    return replace(station, y=-rig.height_above_ground)


def draw_things(frame: Image, view: View, far_to_near: Sequence[Thing], station: Station) -> None:
    """Paint things over a frame, in their order."""
    for thing in far_to_near:
        if view.may_see(thing.place - (0, 1, 0), _LARGEST):
            for part in thing.parts(station.place):
                if isinstance(part, Quad):
                    draw_quad(frame, view, part)
                else:
                    draw_facets(frame, view, part)


def truths(things: Sequence[Thing], rig: Rig, station: Station, panorama_width: int) -> tuple[TrueObject, ...]:
    """Return the faces and plates that could identify somebody, from west to east; of a car that leans, in the levelled panorama."""
    found = (item for _, item in sightings(things, rig, station, panorama_width))
    return tuple(sorted(found, key=lambda item: (item.west, item.south)))


def sightings(things: Sequence[Thing], rig: Rig, station: Station, panorama_width: int) -> Iterator[tuple[Mark, TrueObject]]:
    """Yield the faces and plates that could identify somebody: where they are in the world, and what the truth says of them."""
    for thing in things:
        for mark in thing.marks(station.place):
            box = angular_box(mark.outline, station.level)
            height = (box[3] - box[1]) / 180 * panorama_width / 2
            visible = _visible(mark, thing, things, rig, station) if height >= LEAST_HEIGHT else 0.0
            if visible >= LEAST_VISIBLE:
                yield mark, TrueObject(mark.kind, box[0], box[2], box[1], box[3], round(visible, 3), round(height, 2))


def angular_box(points: Points, station: Station) -> tuple[float, float, float, float]:
    """Return (west, south, east, north) in panorama degrees of world points [N, 3]; west > east where it wraps."""
    yaw, pitch = equirect.to_angles((points - station.place) @ station.rotation)
    first = float(yaw[0])
    apart = (yaw.astype(np.float64) - first + np.pi) % (2 * np.pi) - np.pi
    west, east = (wrapped(np.degrees(first + float(edge))) for edge in (apart.min(), apart.max()))
    return west, float(np.degrees(pitch.min())), east, float(np.degrees(pitch.max()))


def wrapped(degrees: float) -> float:
    """Return the angle in [-180, 180)."""
    return float((degrees + 180) % 360 - 180)


def _visible(mark: Mark, owner: Thing, things: Sequence[Thing], rig: Rig, station: Station) -> float:
    """Return the share of the mark that some lens sees and nothing hides from the rig's origin."""
    clear = seen_by_a_lens(mark.spread, rig, station)
    for thing in things:
        if thing is not owner and clear.any() and _near(thing, mark, station.place):
            clear &= ~thing.hides(station.place, mark.spread)
    return float(clear.mean())


def _near(thing: Thing, mark: Mark, eye: Points) -> bool:
    """Whether the thing may come near the line of sight at all: a quick look from above."""
    stands, shown = ((point - eye)[[0, 2]] for point in (thing.place, mark.spread[0]))
    distance, reach = float(np.linalg.norm(stands)), float(np.linalg.norm(shown))
    if distance > reach + _LARGEST:
        return False
    aside = abs(stands[0] * shown[1] - stands[1] * shown[0]) / reach
    return distance < _LARGEST or (float(stands @ shown) > 0 and aside < _LARGEST)


def seen_by_a_lens(points: Points, rig: Rig, station: Station) -> NDArray[np.bool_]:
    """Return bool [N]: world points that fall on the sensor of at least one lens."""
    nothing = np.empty((0, 0, 3), np.float32)
    views = (stand(lens, nothing, station) for lens in rig.lenses)
    return np.asarray(np.any([view.sees(points) for view in views], axis=0))
