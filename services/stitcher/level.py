"""The panorama turned upright, and to the north: by the pose, baked into the rig's tables without projecting through its lenses again.

The attitude A takes rays of the rig frame to the level frame (x east, y down, z north: the rig frame of a level car that heads
north). It turns by the heading h round y, then by the pitch p round the car's own x, then by the roll r round its own z:

    A = Y(h) X(p) Z(r)

    Y(h) = | cos h  0  sin h |    X(p) = | 1    0       0    |    Z(r) = | cos r  -sin r  0 |
           |   0    1    0   |           | 0  cos p  -sin p  |           | sin r   cos r  0 |
           |-sin h  0  cos h |           | 0  sin p   cos p  |           |   0       0    1 |

A car that heads east has its forward z at Y(90°) z = (1, 0, 0), east. One with its nose up by p has it at X(p) z = (0, -sin p, cos p),
above the horizon for y goes down: so what is level ahead lies at pitch -p of its rig frame. One that leans to the right by r has its
right at Z(r) x = (cos r, sin r, 0), below the horizon.

A level panorama keeps the heading: a ray of it is X(p) Z(r) of a ray of the rig frame. A turn is the inverse, so that every ray of the
panorama finds where the rig's tables know about it: (X(p) Z(r))^T, and (Y(h) X(p) Z(r))^T where its middle is to look north.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.messages import Pose
from panoveil.contracts.recipe import StitchRecipe
from panoveil.pixels import equirect
from panoveil.pixels.lenses import NOWHERE
from panoveil.pixels.spread import Spread, one_by_one
from services.stitcher import layout
from services.stitcher.sheets import padded
from services.stitcher.tables import Nodes, Tables
from services.stitcher.zones import find_zones

Floats = NDArray[np.floating[Any]]
Turn = NDArray[np.float64]
"""A rotation [3, 3] that takes rays of the panorama into the rig frame."""

LEAST = 0.02
"""Degrees: what is turned by less is left as it is; a survey's pose is not known any better."""

_IMAGED, _SEEN = 1 - 1e-6, 1.5
_RING = np.ones((3, 3), np.uint8)


def attitude(heading: float, pitch: float, roll: float) -> Turn:
    """Return what takes rays of the rig frame to the level frame, float64 [3, 3], of angles in degrees."""
    h, p, r = np.radians([heading, pitch, roll])
    around_down = np.array([[np.cos(h), 0, np.sin(h)], [0, 1, 0], [-np.sin(h), 0, np.cos(h)]])
    around_right = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    around_ahead = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray(around_down @ around_right @ around_ahead, np.float64)


def angles(turned: Turn) -> tuple[float, float, float]:
    """Return heading in [0, 360), pitch and roll of an attitude [3, 3], in degrees, to a millionth."""
    heading = np.arctan2(turned[0, 2], turned[2, 2])
    pitch = np.arcsin(np.clip(-turned[1, 2], -1, 1))
    roll = np.arctan2(turned[1, 0], turned[1, 1])
    rounded = [round(float(angle), 6) + 0.0 for angle in np.degrees([heading, pitch, roll])]
    return rounded[0] % 360, rounded[1], rounded[2]


def turn_of(pose: Pose, recipe: StitchRecipe) -> Turn | None:
    """Return by what the recipe turns a panorama of this pose; None where by nothing, or by what the pose does not say."""
    pitch, roll = _lean(pose) if recipe.level else (0.0, 0.0)
    heading = pose.heading if recipe.north and pose.heading is not None else 0.0
    turn = attitude(heading, pitch, roll).T
    far = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    return turn if far >= LEAST else None


def _lean(pose: Pose) -> tuple[float, float]:
    """Return pitch and roll, 0 unless both are known: to undo one alone makes nothing level."""
    return (0.0, 0.0) if pose.pitch is None or pose.roll is None else (pose.pitch, pose.roll)


def pose_after(pose: Pose, turn: Turn | None) -> Pose:
    """Return the pose of a panorama made with this turn at a rig of this pose; what was not known stays so."""
    if turn is None:
        return pose
    heading, pitch, roll = angles(attitude(pose.heading or 0.0, *_lean(pose)) @ turn)
    found = {"heading": heading, "pitch": pitch, "roll": roll}
    return pose.model_copy(update={name: angle for name, angle in found.items() if getattr(pose, name) is not None})


def levelled(tables: Tables, turn: Turn | None, recipe: StitchRecipe, spread: Spread = one_by_one) -> Tables:
    """Return the tables for a panorama turned against the rig; the overview, what statistics are made on, stays in the rig frame."""
    if turn is None:
        return tables
    nodes = _turned(tables.nodes, _places(tables.width // tables.step, turn) + 1, spread)
    places = tables.places @ turn
    zones = find_zones(nodes.shares, nodes.sees, tables.step, places, recipe)
    runs = layout.runs(nodes.shares, tables.step, [zone.area for zone in zones])
    return replace(tables, nodes=nodes, zones=zones, runs=runs, places=places, turn=turn)


def upright(small: NDArray[np.float32], turn: Turn | None) -> NDArray[np.float32]:
    """Return a panorama float32 [h, 2 h, 3] of the rig frame as it looks turned."""
    if turn is None:
        return small
    places = _places(small.shape[1], turn) + 1
    return cv2.remap(padded(small), places, None, cv2.INTER_LINEAR)  # type: ignore[call-overload, no-any-return]


def _places(width: int, turn: Turn) -> NDArray[np.float32]:
    """Return where the pixels of a turned panorama lie in one of the rig frame, (x, y) float32 [width / 2, width, 2]."""
    return equirect.to_pixels(_rays(width) @ turn.T.astype(np.float32), width)


@lru_cache(maxsize=4)
def _rays(width: int) -> NDArray[np.float32]:
    return equirect.rays(width)


def _turned(nodes: Nodes, places: NDArray[np.float32], spread: Spread) -> Nodes:
    turned = Nodes(*(np.empty(part.shape, part.dtype) for part in (nodes.maps, nodes.shares, nodes.sees)))

    def turn_lens(lens: int) -> None:
        maps, share, sees = _sampled(nodes, lens, places)
        turned.maps[lens], turned.shares[lens], turned.sees[lens] = padded(maps), padded(share), padded(sees)

    spread(turn_lens, range(len(nodes.maps)))
    return turned


def _sampled(nodes: Nodes, lens: int, places: NDArray[np.float32]) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Return maps [h, w, 2], share [h, w] and sees [h, w] of a lens at places among its padded nodes.

    A node is known if the lens images all nodes round it (1 and more in the mean of 0 nowhere, 1 imaged, 2 well seen: what is well
    seen is never next to nowhere); it keeps its share if its neighbours are known too. OpenCV takes four channels at the exact
    place, but two at the nearest 32nd of a node.
    """
    x, y = cv2.split(nodes.maps[lens])
    known = (x > NOWHERE / 2).astype(np.float32) + nodes.sees[lens]
    found = cv2.remap(cv2.merge([x, y, nodes.shares[lens], known]), places, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    x, y, share, known = cv2.split(found)
    imaged = cv2.erode(padded((known > _IMAGED).astype(np.uint8)), _RING)[1:-1, 1:-1]
    return np.asarray(cv2.merge([x, y]), np.float32), share * imaged, (known >= _SEEN).astype(np.uint8)
