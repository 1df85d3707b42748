"""The views a detector looks at: overlapping pieces of a picture at several scales, which together show everything that may be there.

Coordinates. A picture is uint8 [H, W, 3] RGB. Its coordinates are continuous: pixel (0, 0) covers [0, 1) x [0, 1). A box is
x0, y0, x1, y1 in them, float32. A panorama wraps: there x0 lies in [0, W) and x1 may exceed W, by less than W.

A plan is made of levels. A level shows a band of the picture at one scale and is meant for objects up to a size, its *reach*: every
object of the band that is no larger lies whole in at least one of its views. Small and far objects stand near the horizon, so the
fine levels cover only that band; coarse levels cover everything, but for plates above 45°, where none hang. Within 45° of the horizon
a panorama is so little distorted that crops of it serve; above and below, rectilinear views look upright, since detectors know no
people upside down.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.detection._port import KINDS, Kind
from panoveil.pixels import equirect
from panoveil.pixels.shrinking import Shrinking

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]
Box = tuple[float, float, float, float]
PlanName = Literal["fast", "standard", "thorough"]

MULTIPLE = 32
"""Detectors take pictures whose sides are multiples of this."""

RIM = 96
"""View pixels round a box that are looked at once more when the box has changed."""

SIZES = (256, 384, 512, 768, 1024, 1536)
"""Sides of the views that are looked at once more, in pixels: an engine prepares itself for every size it has not seen, which takes longer
than what few pixels more take."""

GREY = (114, 114, 114)
"""What lies beyond the edge of a flat picture."""


class View(Protocol):
    """A piece of a picture, shown to a detector as uint8 [height, width, 3]; both sides are multiples of 32."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is looked for in it."""
        ...

    @property
    def width(self) -> int:
        """Pixels of the view."""
        ...

    @property
    def height(self) -> int:
        """Pixels of the view."""
        ...

    def sample(self, picture: Shrinking) -> Picture:
        """Return what the view shows of the picture: uint8 [height, width, 3] RGB."""
        ...

    def locate(self, boxes: Boxes) -> Boxes:
        """Return boxes [n, 4] of the view as boxes [n, 4] of the picture, each enclosing what the view's box shows."""
        ...

    def around(self, box: Box) -> "View | None":
        """Return a view at this scale of a box of the picture and its neighbourhood; None where this view does not show the box."""
        ...


def footprint(view: View) -> tuple[float, float, float, float]:
    """Return the box of the picture that holds everything the view shows."""
    whole = np.array([[0, 0, view.width, view.height]], np.float32)
    x0, y0, x1, y1 = view.locate(whole)[0].tolist()
    return x0, y0, x1, y1


@dataclass(frozen=True, slots=True)
class Crop:
    """An upright rectangle of the picture, from pixel (x, y), `scale` view pixels to a picture pixel.

    `picture_width` and `picture_height` are the picture's; where it `wraps`, columns beyond the right edge are those at the left.
    """

    x: int
    y: int
    width: int
    height: int
    scale: float
    picture_width: int
    picture_height: int
    wraps: bool
    kinds: tuple[Kind, ...] = KINDS

    def sample(self, picture: Shrinking) -> Picture:
        """Resample bilinearly down to half the size, where that still reads every pixel; what is coarser is averaged."""
        times = self._halvings()
        factor = 2**times
        scale, left, top = self.scale * factor, self.x // factor, self.y // factor
        right, bottom = left + math.ceil(self.width / scale), top + math.ceil(self.height / scale)
        source = _cut(picture.halved(times), left, top, right, bottom, wraps=self.wraps)
        if scale != 1:
            how = cv2.INTER_AREA if scale <= 0.5 else cv2.INTER_LINEAR  # noqa: PLR2004 - half the size
            source = cast("Picture", cv2.resize(source, None, fx=scale, fy=scale, interpolation=how))
        return _fitted(source, self.width, self.height)

    def _halvings(self) -> int:
        """How often the picture may be halved beforehand: the view is no finer than that, and begins where a pixel of it begins."""
        times = 0
        while self.scale * 2 ** (times + 1) <= 1 and not any(
            side % 2 ** (times + 1) for side in (self.x, self.y, self.picture_width, self.picture_height)
        ):
            times += 1
        return times

    def around(self, box: Box) -> "Crop | None":
        """Return the part of this view that shows a box of the picture and 96 view pixels round it; None where it shows none of it."""
        x0, y0, x1, y1 = box
        left = (x0 - self.x) % self.picture_width if self.wraps else x0 - self.x
        if left * self.scale >= self.width:
            left -= self.picture_width
        columns = _within(left * self.scale, (left + x1 - x0) * self.scale, self.width)
        rows = _within((y0 - self.y) * self.scale, (y1 - self.y) * self.scale, self.height)
        if columns is None or rows is None:
            return None
        (across, width), (down, height) = (_part(*side, self.scale) for side in ((*columns, self.width), (*rows, self.height)))
        x, y = self.x + math.floor(across / self.scale), self.y + math.floor(down / self.scale)
        x = x % self.picture_width if self.wraps else x
        return replace(self, x=x, y=y, width=width, height=height)

    def locate(self, boxes: Boxes) -> Boxes:
        """Scale and shift; the part beyond a flat picture's edge is cut off."""
        moved = boxes / np.float32(self.scale) + np.array([self.x, self.y, self.x, self.y], np.float32)
        moved[:, 1::2] = moved[:, 1::2].clip(0, self.picture_height)
        if self.wraps:
            return normalised(moved, self.picture_width)
        moved[:, 0::2] = moved[:, 0::2].clip(0, self.picture_width)
        return moved


def _within(low: float, high: float, length: int) -> tuple[float, float] | None:
    """Widen a stretch of one side of a view and cut it to the view; None where nothing of the stretch itself lies in it."""
    if high <= 0 or low >= length:
        return None
    return max(low - RIM, 0.0), min(high + RIM, float(length))


def _part(low: float, high: float, length: int, scale: float) -> tuple[float, int]:
    """Return where a part of one side begins that holds the stretch, and its length: one of few, and all of the side at most."""
    size = min(next((size for size in SIZES if size >= high - low + scale), length), length)
    return max(0.0, min(low, length - size)), size


@dataclass(frozen=True, slots=True)
class Rectilinear:
    """A pinhole camera in a panorama: it looks at (yaw, pitch), radians, without roll; `focal` in pixels."""

    yaw: float
    pitch: float
    width: int
    height: int
    focal: float
    picture_width: int
    kinds: tuple[Kind, ...] = KINDS

    def rays(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float32]:
        """Return rays [..., 3] of the rig frame through points of the view (continuous coordinates)."""
        right, down = (x - self.width / 2) / self.focal, (y - self.height / 2) / self.focal
        cos, sin = math.cos(self.pitch), math.sin(self.pitch)
        forward, lowered = cos + down * sin, down * cos - sin
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        rays = (right * cos + forward * sin, lowered, forward * cos - right * sin)
        return np.stack(np.broadcast_arrays(*rays), axis=-1).astype(np.float32)

    def around(self, box: Box) -> "Rectilinear | None":
        """Return this view where it shows something of a box of the picture, else None: these views are small, and coarse."""
        x0, y0, x1, y1 = footprint(self)
        apart = (box[0] - x0) % self.picture_width
        beside = apart >= x1 - x0 and apart + box[2] - box[0] <= self.picture_width
        return None if beside or box[1] >= y1 or box[3] <= y0 else self

    def project(self, rays: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return points [..., 2] of the view for rays [..., 3], and which of them lie in front of the camera."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        right, ahead = rays[..., 0] * cos - rays[..., 2] * sin, rays[..., 0] * sin + rays[..., 2] * cos
        cos, sin = math.cos(self.pitch), math.sin(self.pitch)
        forward, down = ahead * cos - rays[..., 1] * sin, rays[..., 1] * cos + ahead * sin
        ahead_of_us = forward > _GRAZING
        depth = np.where(ahead_of_us, forward, np.nan)
        points = np.stack([right / depth * self.focal + self.width / 2, down / depth * self.focal + self.height / 2], axis=-1)
        return points.astype(np.float32), ahead_of_us

    def sample(self, picture: Shrinking) -> Picture:
        """Resample bilinearly; where the view is coarser than the picture, from that halved beforehand."""
        coarser = self.picture_width / (2 * math.pi) / self.focal
        times = max(0, math.floor(math.log2(coarser) + 0.01))
        shrunk, width = picture.halved(times), self.picture_width / 2**times
        ahead, y = _pixels_ahead(replace(self, yaw=0.0), width)
        x = _turned(ahead, self.yaw / (2 * math.pi) * width, width)
        return cast("Picture", cv2.remap(shrunk, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))

    def locate(self, boxes: Boxes) -> Boxes:
        """Enclose the outline of every box in yaw and pitch; a box that holds a pole spans all columns up to it."""
        return np.array([self._located(box) for box in boxes], np.float32).reshape(-1, 4)

    def _located(self, box: NDArray[np.float32]) -> tuple[float, float, float, float]:
        yaw, pitch = equirect.to_angles(self.rays(*_outline(box)))
        middle = math.atan2(float(np.sin(yaw).mean()), float(np.cos(yaw).mean()))
        spread = (yaw - middle + np.pi) % (2 * np.pi) - np.pi
        west, east = middle + float(spread.min()), middle + float(spread.max())
        south, north = float(pitch.min()), float(pitch.max())
        for pole in (-math.pi / 2, math.pi / 2):
            if self._holds(box, pole):
                west, east = -math.pi, math.pi
                south, north = min(south, pole), max(north, pole)
        return self._pixels(west, east, south, north)

    def _holds(self, box: NDArray[np.float32], pole: float) -> bool:
        point, ahead = self.project(np.array([0.0, -math.sin(pole), 0.0]))
        return bool(ahead) and bool(box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3])

    def _pixels(self, west: float, east: float, south: float, north: float) -> tuple[float, float, float, float]:
        width, height = self.picture_width, self.picture_width // 2
        x0, x1 = ((angle / (2 * math.pi) + 0.5) * width for angle in (west, east))
        y0, y1 = ((0.5 - angle / math.pi) * height for angle in (north, south))
        shift = math.floor(x0 / width) * width
        return x0 - shift, max(y0, 0.0), x1 - shift, min(y1, float(height))


@lru_cache(maxsize=8)
def _pixels_ahead(view: Rectilinear, width: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return at which column [h, w] and row [h, w] of a panorama of that width a view shows it.

    Kept, for all views of a ring are turns of one, and so they are in every other panorama of that size.
    """
    rays = view.rays(np.arange(view.width)[None, :] + 0.5, np.arange(view.height)[:, None] + 0.5)
    yaw, pitch = equirect.to_angles(rays)
    columns = (yaw / (2 * np.pi) + 0.5) * np.float32(width) - 0.5
    rows = ((0.5 - pitch / np.pi) * np.float32(width / 2) - 0.5).clip(0, width // 2 - 1)
    for part in (columns, rows):
        part.setflags(write=False)
    return columns, rows


def _turned(columns: NDArray[np.float32], by: float, width: float) -> NDArray[np.float32]:
    """Return columns [...] of a panorama, moved by less than a turn, as columns of it: in [-.5, width - .5)."""
    moved = columns + np.float32(by)
    moved -= np.float32(width) * (moved >= width - 0.5)
    moved += np.float32(width) * (moved < -0.5)  # noqa: PLR2004 - half a pixel
    return moved


def _outline(box: NDArray[np.float32], steps: int = 9) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    across, down = np.linspace(box[0], box[2], steps), np.linspace(box[1], box[3], steps)
    x = np.concatenate([across, across, np.full(steps, box[0]), np.full(steps, box[2])])
    y = np.concatenate([np.full(steps, box[1]), np.full(steps, box[3]), down, down])
    return x.astype(np.float64), y.astype(np.float64)


def normalised(boxes: Boxes, width: int) -> Boxes:
    """Move boxes [n, 4] of a panorama by whole turns until x0 lies in [0, W)."""
    shift = np.floor(boxes[:, :1] / width) * width
    return np.asarray(boxes - shift * np.array([1, 0, 1, 0]), np.float32)


def _cut(picture: Picture, left: int, top: int, right: int, bottom: int, *, wraps: bool) -> Picture:
    height, width = picture.shape[:2]
    rows = picture[max(0, top) : min(height, bottom)]
    above, below = max(0, -top), max(0, bottom - height)
    if wraps:
        turns = [rows[:, max(0, left - turn) : max(0, right - turn)] for turn in range(0, right, width)]
        return _bordered(turns[0] if len(turns) == 1 else np.concatenate(turns, axis=1), above, below, 0, 0)
    inside = rows[:, max(0, left) : min(width, right)]
    return _bordered(inside, above, below, max(0, -left), max(0, right - width))


def _bordered(piece: Picture, above: int, below: int, left: int, right: int) -> Picture:
    if not (above or below or left or right):
        return piece
    return cast("Picture", cv2.copyMakeBorder(piece, above, below, left, right, cv2.BORDER_CONSTANT, value=GREY))


def _fitted(piece: Picture, width: int, height: int) -> Picture:
    grown = _bordered(piece, 0, max(0, height - piece.shape[0]), 0, max(0, width - piece.shape[1]))
    return np.ascontiguousarray(grown[:height, :width])


@dataclass(frozen=True, slots=True)
class Level:
    """A band of a panorama at one scale, up to so many degrees for faces and for plates; downwards as far as plates need it."""

    scale: float
    faces: float
    plates: float

    def north(self, kind: Kind) -> float:
        """Degrees up to which things of a kind are looked for at this scale."""
        return self.faces if kind == "face" else self.plates


@dataclass(frozen=True, slots=True)
class Scales:
    """What a plan is made from: levels near the horizon, scales towards the zenith and the nadir, the finest scale of a photo.

    Nobody is near who is seen that steeply from below, and what is seen steeply from above is near: coarse scales serve both. Plates
    hang lower than the cameras, but for those of slopes, ramps and car transporters: they are not looked for at the zenith, and above the
    horizon some levels end sooner for them.
    """

    levels: tuple[Level, ...]
    zenith: float
    nadir: float
    flat: float


REACH = 160
"""View pixels: the largest object a level is meant for. The next coarser level sees it at half the size or less."""

TILE = (2240, 1024)
"""The largest view, in pixels."""

LIMIT = 45.0
"""Degrees off the horizon up to which crops serve."""

_COARSEST = Level(0.25, LIMIT, LIMIT)
_FIRST: dict[PlanName, Scales] = {
    "fast": Scales((Level(1.5, 6, 6), Level(0.75, 20, 17), Level(0.375, LIMIT, LIMIT)), 0.25, 0.35, 1.0),
    "standard": Scales((Level(2, 6, 6), Level(1, 20, 17), Level(0.5, LIMIT, 30), _COARSEST), 0.25, 0.4, 2.0),
    "thorough": Scales(
        (Level(3, 15, 15), Level(2, 30, 30), Level(1, LIMIT, LIMIT), Level(0.5, LIMIT, LIMIT), _COARSEST), 0.5, 1.0, 3.0
    ),
}
_SECOND: dict[PlanName, Scales] = {
    "fast": Scales((Level(1, 6, 6), Level(0.5, 20, 17), _COARSEST), 0.2, 0.25, 0.75),
    "standard": Scales((Level(1.25, 6, 6), Level(0.55, 30, 25), Level(0.3, LIMIT, LIMIT)), 0.2, 0.3, 1.5),
    "thorough": Scales(
        (Level(2.5, 15, 15), Level(1.5, 30, 30), Level(0.75, LIMIT, LIMIT), Level(0.375, LIMIT, LIMIT)), 0.4, 0.75, 2.5
    ),
}
_GRAZING = 1e-6
_DROP = 2.0
"""Metres from a survey car's camera down to a plate."""
_PLATE = 0.11
_TALL: dict[Kind, float] = {"face": 24.0, "plate": 36.0}
"""View pixels: how tall a plate beside the road is where a level ends. At half of that the next coarser one finds it: faces near plates
are larger than these, and plates slanted, as near ones are, are harder than straight ones."""
_RING = 5
_RING_PITCH = math.radians(60)
_RING_FIELD = math.radians(72)


def panorama_plan(width: int, name: PlanName, *, second: bool = False) -> tuple[View, ...]:
    """Views of a panorama of `width` x `width / 2`; `second` gives the verification's: other scales, other edges."""
    scales = (_SECOND if second else _FIRST)[name]
    offset = width // 16 if second else 0
    bands = (view for level in scales.levels for kind in KINDS for view in _band(width, level, kind, offset))
    return (*bands, *_ring(width, scales.nadir, -1, offset, KINDS), *_ring(width, scales.zenith, 1, offset, ("face",)))


def flat_plan(width: int, height: int, name: PlanName, *, second: bool = False) -> tuple[View, ...]:
    """Views of a plain photo: tiles at the plan's finest scale, then at ever half of it until half the photo is within reach."""
    scale = (_SECOND if second else _FIRST)[name].flat
    views: list[View] = []
    while not views or max(width, height) * scale * 2 > 2 * REACH:
        views += _tiles(width, height, (0, height), scale, second=second)
        scale /= 2
    return tuple(views)


def levels(name: PlanName) -> tuple[Level, ...]:
    """Return the levels of a plan's first look."""
    return _FIRST[name].levels


def crops(area: tuple[int, int, int, int], width: int, height: int, scale: float) -> Iterator[Crop]:
    """Yield views at one scale of an area (x0, y0, x1, y1) of a flat picture: whatever is no larger than REACH lies whole in one."""
    columns, across = _cuts(area[2] - area[0], TILE[0], scale)
    rows, down = _cuts(area[3] - area[1], TILE[1], scale)
    for row in rows:
        for column in columns:
            yield Crop(area[0] + column, area[1] + row, across, down, scale, width, height, wraps=False)


def looking_at(plan: Sequence[View], boxes: Sequence[Box]) -> tuple[View, ...]:
    """Return views of the neighbourhood of every box, in every scale in which the plan shows it, and of nothing else if that is less."""
    return tuple(part for view in plan for part in _parts(view, boxes))


def _parts(view: View, boxes: Sequence[Box]) -> tuple[View, ...]:
    parts = tuple(dict.fromkeys(part for box in boxes if (part := view.around(box)) is not None))
    return parts if megapixels(parts) < megapixels((view,)) else (view,)


def megapixels(plan: Sequence[View], *kinds: Kind) -> float:
    """What a plan costs the detectors of some kinds, or of both: 10^6 pixels, times the detectors that are shown them."""
    wanted = kinds or KINDS
    return sum(view.width * view.height * sum(kind in wanted for kind in view.kinds) for view in plan) / 1e6


def south(width: int, scale: float, kind: Kind) -> float:
    """Degrees, negative: where a plate beside the road is so near that a level of this scale need show nothing below."""
    distance = _PLATE * width * scale / (2 * math.pi * _TALL[kind])
    return max(-LIMIT, -math.degrees(math.atan(_DROP / distance)))


def _band(width: int, level: Level, kind: Kind, offset: int) -> Iterator[View]:
    height = width // 2
    north, end = level.north(kind), south(width, level.scale, kind)
    rows = (round((0.5 - north / 180) * height), round((0.5 - end / 180) * height))
    for tile in _tiles(width, height, rows, level.scale, offset=offset, wraps=True):
        yield replace(tile, kinds=(kind,))


def _tiles(
    width: int, height: int, rows: tuple[int, int], scale: float, *, offset: int = 0, wraps: bool = False, second: bool = False
) -> Iterator[Crop]:
    columns, across = _cuts(width, TILE[0], scale, wraps=wraps, second=second)
    starts, down = _cuts(rows[1] - rows[0], TILE[1], scale, second=second)
    for start in starts:
        for column in columns:
            x = (column + offset) % width if wraps else column
            yield Crop(x, rows[0] + start, across, down, scale, width, height, wraps)


def _cuts(length: int, tile: int, scale: float, *, wraps: bool = False, second: bool = False) -> tuple[list[int], int]:
    """Where views begin along one side, in picture pixels, and how many view pixels each spans: equal steps, overlapping by REACH."""
    reach = math.ceil(REACH / scale)
    if not wraps and length * scale <= tile:
        return [0], _multiple(length * scale)
    count = math.ceil((length - (0 if wraps else reach)) / (tile / scale - reach))
    count += second and not wraps
    step = (length - (0 if wraps else reach)) / count
    return [math.floor(step * index) for index in range(count)], _multiple((step + reach + 1) * scale)


def _multiple(pixels: float) -> int:
    return max(2, math.ceil(pixels / MULTIPLE)) * MULTIPLE


def _ring(width: int, scale: float, sign: int, offset: int, kinds: tuple[Kind, ...]) -> Iterator[View]:
    focal = scale * width / (2 * math.pi)
    side = _multiple(2 * focal * math.tan(_RING_FIELD / 2))
    for index in range(_RING):
        yaw = (2 * math.pi) * (index / _RING + offset / width)
        yield Rectilinear((yaw + math.pi) % (2 * math.pi) - math.pi, sign * _RING_PITCH, side, side, focal, width, kinds)
