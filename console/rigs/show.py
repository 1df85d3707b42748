"""What a rig sees, in numbers and as a picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, lenses

_WIDTH = 720
_FAR = 15.0
_LIGHT = np.array([130, 210, 240, 250, 255], np.uint8)


@dataclass(frozen=True, slots=True)
class LensView:
    """One lens: where it looks in degrees (yaw to the right, pitch up), its share of the sphere and its fineness on its axis."""

    name: str
    yaw: float
    pitch: float
    share: float
    pixels_per_degree: float


@dataclass(frozen=True, slots=True)
class RigView:
    """A rig: shares of the sphere that one lens and that two or more see, and the same at eye level (15° around the horizon)."""

    rig_id: str
    coverage: float
    overlap: float
    street_coverage: float
    lenses: tuple[LensView, ...]

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
        return "\n".join([head, *rows])

    @property
    def full_width(self) -> int:
        """The panorama's width at which the finest lens loses nothing, a multiple of 32."""
        return 32 * round(360 * max(lens.pixels_per_degree for lens in self.lenses) / 32)


def seen_by(rig: Rig, width: int = _WIDTH) -> NDArray[np.bool_]:
    """Return which pixels of an equirectangular panorama each lens sees, at 15 m: bool [L, H, W]."""
    points = equirect.rays(width) * _FAR
    return np.stack([_sees(lens, points) for lens in rig.lenses])


def describe(rig: Rig) -> RigView:
    """Measure what the rig sees."""
    seen = seen_by(rig)
    street = slice(seen.shape[1] * 5 // 12, seen.shape[1] * 7 // 12)
    return RigView(
        rig_id=rig.rig_id,
        coverage=_share(np.any(seen, axis=0)),
        overlap=_share(seen.sum(axis=0) > 1),
        street_coverage=float(seen[:, street].any(axis=0).mean()),
        lenses=tuple(_describe_lens(lens, mask) for lens, mask in zip(rig.lenses, seen, strict=True)),
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


def _sees(lens: Lens, points: NDArray[np.float32]) -> NDArray[np.bool_]:
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
