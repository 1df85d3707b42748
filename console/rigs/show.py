"""What a rig sees, in numbers and as a picture."""

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, lenses

Floats = NDArray[np.floating[Any]]

_WIDTH = 720
_LABELLED = 1440
_FAR = 15.0
_LIGHT = np.array([130, 210, 240, 250, 255], np.uint8)
_SIDES = {"ahead": 0, "right": 90, "behind": 180, "left": -90}
_METRES = (3, 5, 10, 20)
_PARALLAX_METRES = (5.0, 15.0)
_STEP = 0.05
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True, slots=True)
class LensView:
    """One lens: where it looks in degrees (yaw to the right, pitch up), its share of the sphere and its fineness on its axis."""

    name: str
    yaw: float
    pitch: float
    share: float
    pixels_per_degree: float


@dataclass(frozen=True, slots=True)
class PairView:
    """Two lenses that both see a part of the horizon, or are neighbours round it.

    `overlap` is that part in degrees. `parallax_5m` and `parallax_15m` are by how many pixels of a panorama of equal fineness they
    disagree at most there on what is so far off, where both are stitched as if it were endlessly far.
    """

    one: str
    other: str
    overlap: float
    parallax_5m: float
    parallax_15m: float


@dataclass(frozen=True, slots=True)
class GroundView:
    """The road `metres` from the rig's origin to a side: the lens that resolves it best, and millimetres a pixel across and along."""

    side: str
    metres: int
    lens: str
    across: float
    along: float


@dataclass(frozen=True, slots=True)
class RigView:
    """A rig: shares of the sphere that one lens and that two or more see, and the same at eye level (15° around the horizon)."""

    rig_id: str
    coverage: float
    overlap: float
    street_coverage: float
    lenses: tuple[LensView, ...]
    pairs: tuple[PairView, ...]
    ground: tuple[GroundView, ...]

    def __str__(self) -> str:
        """A few lines for a terminal."""
        head = (
            f"rig {self.rig_id}: sees {self.coverage:.1%} of the sphere, {self.street_coverage:.1%} of the street,"
            f" {self.overlap:.1%} twice; panorama of equal fineness: {self.full_width} x {self.full_width // 2}"
        )
        rows = [
            f"  {lens.name:<16} yaw {lens.yaw:7.1f}°  pitch {lens.pitch:6.1f}°  {lens.pixels_per_degree:5.1f} px/°  {lens.share:6.1%}"
            for lens in self.lenses
        ]
        return "\n".join([head, *rows, *self._pair_rows(), *self._ground_rows()])

    def as_json(self) -> dict[str, Any]:
        """The same for a program."""
        return {**asdict(self), "full_width": self.full_width}

    @property
    def full_width(self) -> int:
        """The panorama's width at which the finest lens loses nothing, a multiple of 32."""
        return _full_width(self.lenses)

    def _pair_rows(self) -> list[str]:
        rows = [
            f"  {pair.one + ' and ' + pair.other:<33} {pair.overlap:5.1f}°  {pair.parallax_5m:5.1f} px  {pair.parallax_15m:5.1f} px"
            for pair in self.pairs
        ]
        return ["overlap at the horizon, and parallax there of what is 5 m and 15 m off:", *rows] if rows else []

    def _ground_rows(self) -> list[str]:
        rows = [f"  {side:<8}" + "  ".join(self._ground_cell(side, metres) for metres in _METRES) for side in _SIDES]
        return ["road, best lens, mm a pixel across x along, at " + ", ".join(f"{metres} m" for metres in _METRES) + ":", *rows]

    def _ground_cell(self, side: str, metres: int) -> str:
        found = next((each for each in self.ground if (each.side, each.metres) == (side, metres)), None)
        return f"{f'{found.across:.1f} x {found.along:.1f}' if found else 'unseen':>15}"


def seen_by(rig: Rig, width: int = _WIDTH) -> NDArray[np.bool_]:
    """Return which pixels of an equirectangular panorama each lens sees, at 15 m: bool [L, H, W]."""
    points = equirect.rays(width) * _FAR
    return np.stack([_sees(lens, points) for lens in rig.lenses])


def describe(rig: Rig) -> RigView:
    """Measure what the rig sees."""
    seen = seen_by(rig)
    street = slice(seen.shape[1] * 5 // 12, seen.shape[1] * 7 // 12)
    views = tuple(_describe_lens(lens, mask) for lens, mask in zip(rig.lenses, seen, strict=True))
    return RigView(
        rig_id=rig.rig_id,
        coverage=_share(np.any(seen, axis=0)),
        overlap=_share(seen.sum(axis=0) > 1),
        street_coverage=float(seen[:, street].any(axis=0).mean()),
        lenses=views,
        pairs=_pairs(rig, views),
        ground=_ground(rig),
    )


def picture(rig: Rig, width: int = _WIDTH) -> NDArray[np.uint8]:
    """Return the coverage map uint8 [H, W, 3] RGB: a hue for each lens, lighter where several see, black where none does."""
    seen = seen_by(rig, width)
    count = seen.sum(axis=0)
    hues = np.stack([_hue(index / len(seen)) for index in range(len(seen))])
    mixed = np.tensordot(seen.transpose(1, 2, 0), hues, axes=1) / np.maximum(count, 1)[..., None]
    light = _LIGHT[np.minimum(count, len(_LIGHT)) - 1] * (count > 0)
    colours: NDArray[np.float64] = mixed * light[..., None]
    return np.rint(colours).astype(np.uint8)


def picture_with_labels(rig: Rig, width: int = _LABELLED) -> NDArray[np.uint8]:
    """Return the coverage map with the lenses' names on their axes, yaw along the horizon, and the road at 3, 5, 10 and 20 m."""
    image = np.ascontiguousarray(picture(rig, width))
    for yaw in range(-150, 180, 30):
        _write(image, f"{yaw}", equirect.to_rays(np.radians(yaw), np.zeros(())), 0.4)
    for metres in _METRES:
        _draw_road(image, rig.height_above_ground, metres)
    for lens in rig.lenses:
        _write(image, lens.name, np.asarray(lens.rotation)[:, 2], 0.6)
    return image


def _draw_road(image: NDArray[np.uint8], height: float, metres: float) -> None:
    row = round(float(equirect.to_pixels(np.array([0, height, metres]), image.shape[1])[1]))
    cv2.line(image, (0, row), (image.shape[1], row), _WHITE, 1)
    cv2.putText(image, f"{metres} m", (4, row - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _WHITE, 1, cv2.LINE_AA)


def _write(image: NDArray[np.uint8], text: str, ray: Floats, scale: float) -> None:
    """Write text in the middle of where a ray [3] meets the panorama."""
    (across, down), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    u, v = equirect.to_pixels(ray, image.shape[1])
    corner = (int(np.clip(u - across / 2, 0, image.shape[1] - across)), int(v + down / 2 - 20 * (scale > 0.5)))  # noqa: PLR2004
    cv2.putText(image, text, (corner[0] + 1, corner[1] + 1), cv2.FONT_HERSHEY_SIMPLEX, scale, _BLACK, 1, cv2.LINE_AA)
    cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, _WHITE, 1, cv2.LINE_AA)


def _full_width(views: tuple[LensView, ...]) -> int:
    return 32 * round(360 * max(lens.pixels_per_degree for lens in views) / 32)


def _pairs(rig: Rig, views: tuple[LensView, ...]) -> tuple[PairView, ...]:
    """Return the pairs that share a part of the horizon, and neighbours that do not, in the order of their yaws."""
    horizon = equirect.to_rays((np.arange(3600) + 0.5) / 3600 * 2 * np.pi - np.pi, np.zeros(()))
    seen = np.stack([_sees(lens, horizon * _FAR) for lens in rig.lenses])
    order = sorted(range(len(views)), key=lambda index: views[index].yaw % 360)
    neighbours = {frozenset(pair) for pair in zip(order, order[1:] + order[:1], strict=True)}
    pairs = [
        (one, other)
        for one, other in itertools.combinations(order, 2)
        if frozenset((one, other)) in neighbours or (seen[one] & seen[other]).any()
    ]
    return tuple(_pair(rig, (one, other), horizon[seen[one] & seen[other]], _full_width(views)) for one, other in pairs)


def _pair(rig: Rig, pair: tuple[int, int], shared: Floats, width: int) -> PairView:
    """`shared` are the rays [N, 3] round the horizon, a tenth of a degree apart, that both see."""
    one, other = rig.lenses[pair[0]], rig.lenses[pair[1]]
    baseline = np.subtract(other.position, one.position)
    aside = float(np.linalg.norm(np.cross(shared, baseline), axis=-1).max(initial=0))
    near, far = (float(np.arctan2(aside, metres)) * width / (2 * np.pi) for metres in _PARALLAX_METRES)
    return PairView(one.name, other.name, len(shared) / 10, near, far)


def _ground(rig: Rig) -> tuple[GroundView, ...]:
    views = (_ground_view(rig, side, metres) for side in _SIDES for metres in _METRES)
    return tuple(view for view in views if view is not None)


def _ground_view(rig: Rig, side: str, metres: int) -> GroundView | None:
    """Return how the lens that resolves this spot of the road best does so, or None where no lens sees it."""
    yaw = np.radians(_SIDES[side])
    along, across = np.array([np.sin(yaw), 0, np.cos(yaw)]), np.array([np.cos(yaw), 0, -np.sin(yaw)])
    spot = metres * along + (0, rig.height_above_ground, 0)
    seen = [lens for lens in rig.lenses if _sees(lens, spot)]
    scales = [(_millimetres(lens, spot, across), _millimetres(lens, spot, along), lens.name) for lens in seen]
    best = min(scales, key=lambda scale: scale[0] * scale[1], default=(np.inf, np.inf, ""))
    if not np.isfinite(best[0] * best[1]):
        return None
    return GroundView(side, metres, best[2], best[0], best[1])


def _millimetres(lens: Lens, spot: Floats, direction: Floats) -> float:
    """Return the millimetres a pixel at a spot [3] of the road along a unit direction [3]; infinite beyond the lens's edge."""
    ends = np.stack([spot - _STEP * direction, spot + _STEP * direction])
    pixels, visible = lenses.project(lens.intrinsics, (ends - np.asarray(lens.position)) @ np.asarray(lens.rotation))
    return float(2000 * _STEP / np.linalg.norm(pixels[1] - pixels[0])) if visible.all() else np.inf


def _sees(lens: Lens, points: Floats) -> NDArray[np.bool_]:
    turned = (points - np.asarray(lens.position)) @ np.asarray(lens.rotation)
    pixels, visible = lenses.project(lens.intrinsics, turned)
    inside = (pixels > -0.5) & (pixels < (lens.width - 0.5, lens.height - 0.5))  # noqa: PLR2004
    return np.asarray(visible & inside.all(axis=-1))


def _describe_lens(lens: Lens, seen: NDArray[np.bool_]) -> LensView:
    yaw, pitch = np.degrees(equirect.to_angles(np.asarray(lens.rotation)[:, 2]))
    fineness = np.radians(max(lens.intrinsics.fx, lens.intrinsics.fy))
    return LensView(lens.name, float(yaw), float(pitch), _share(seen), float(fineness))


def _share(mask: NDArray[np.bool_]) -> float:
    height = mask.shape[0]
    rows = np.cos((0.5 - (np.arange(height) + 0.5) / height) * np.pi)
    return float(np.average(mask.mean(axis=1), weights=rows))


def _hue(turn: float) -> NDArray[np.float64]:
    return 0.5 + 0.5 * np.cos(2 * np.pi * (turn - np.array([0, 1 / 3, 2 / 3])))
