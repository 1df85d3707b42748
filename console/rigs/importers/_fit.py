"""Other houses' lens models, turned into the closest of our two.

Both of ours are linear in their coefficients once the pixels' aspect is kept: the fit is a few weighted linear least squares, whose
weights go to where the error is largest (Lawson's way to a minimax fit).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from console.rigs.importers._draft import Floats, Matrix
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt
from panoveil.pixels import lenses

Project = Callable[[Floats], Floats]
"""Rays float [..., 3] of the lens frame to pixels float [..., 2]; NaN where the model has none."""

WITHIN = 0.05
"""Pixels: a fit that is off by more anywhere in the image is refused unless a person allows it."""

_DIRECTIONS, _STEPS = 96, 60
_SCAN = 600
_HALVINGS = 30
_ROUNDS = 12
_WIDEST_PINHOLE = math.radians(87)
_MARGIN = 1e-3
_AT_EDGE = 0.5
_SLOWEST = 0.05


@dataclass(frozen=True, slots=True)
class Fit:
    """A lens, and the largest distance in pixels between what it says and what it was fitted to."""

    intrinsics: BrownConrady | KannalaBrandt
    deviation: float


def fitted(where: str, project: Project, size: tuple[int, int], aspect: float, reach: float, within: float = WITHIN) -> Fit:
    """Return the closest lens over all that an image of `size` (width, height) sees up to `reach` radians off axis.

    `aspect` is fy / fx. `Misconfigured` where neither of our models comes within `within` pixels everywhere.
    """
    rays, whole = _seen(where, project, size, reach)
    pixels = project(rays)
    fits = [_closest(model, rays, pixels, aspect) for model in ((_pinhole, _fisheye) if whole else (_fisheye,))]
    best = min(fits, key=lambda fit: fit.deviation)
    if not best.deviation <= within:
        off = f"is off by {best.deviation:.3g} px" if math.isfinite(best.deviation) else "cannot see all that it sees"
        raise Misconfigured(f"{where}: its lens model is not one of ours, and the closest of ours {off} (--within {within:g})")
    return fits[0] if fits[0].deviation <= WITHIN / 10 else best


def deviation(lens: BrownConrady | KannalaBrandt, rays: Floats, pixels: Floats) -> float:
    """Return the largest distance in pixels; infinite where the lens does not see one of the rays."""
    found, visible = lenses.project(lens, rays)
    return float(np.linalg.norm(found - pixels, axis=-1).max()) if visible.all() else math.inf


def _seen(where: str, project: Project, size: tuple[int, int], reach: float) -> tuple[Matrix, bool]:
    """Return rays [N, 3] all over what the image sees, from the axis outwards, and whether that is the whole image.

    It is not where the model all but stops growing, or the lens imaging, before the image ends: only Kannala-Brandt can say so.
    """
    around = np.linspace(-np.pi, np.pi, _DIRECTIONS, endpoint=False)
    corners = np.arctan2(np.array([-1, -1, 1, 1]) * size[1], np.array([-1, 1, -1, 1]) * size[0])
    directions = np.concatenate([around, corners])
    limits = _limits(project, directions, size, reach)
    if limits.min() <= 0:
        raise Misconfigured(f"{where} sees nothing: its optical axis meets no pixel of its {size[0]} x {size[1]} image")
    ends = project(_rays(directions, limits))
    whole = np.minimum(ends + 0.5, np.array(size) - 0.5 - ends).min(axis=-1) < _AT_EDGE
    rays = _rays(directions[:, None], limits[:, None] * np.linspace(1 / _STEPS, 1, _STEPS)).reshape(-1, 3)
    return rays, bool(whole.all())


def _limits(project: Project, directions: Matrix, size: tuple[int, int], reach: float) -> Matrix:
    """Return per direction the largest angle off axis, in radians, up to which the image sees: float64 [D]."""
    angles = np.linspace(0, reach, _SCAN)
    pixels = project(_rays(directions[:, None], angles[None]))
    steps = np.diff(np.linalg.norm(pixels - pixels[:, :1], axis=-1), axis=1)
    growing = steps > _SLOWEST * steps[:, :1]
    usable = _inside(pixels, size) & np.concatenate([np.ones((len(directions), 1), bool), growing], axis=1)
    last = np.where(usable.all(axis=1), _SCAN, np.argmin(usable, axis=1)) - 1
    low, high = angles[np.maximum(last, 0)], angles[np.minimum(last + 1, _SCAN - 1)]
    folds = ~growing[np.arange(len(directions)), np.clip(last, 0, _SCAN - 2)]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inside = _inside(project(_rays(directions, middle)), size) & ~folds
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(last < 0, 0, low)


def _inside(pixels: Floats, size: tuple[int, int]) -> Any:
    with np.errstate(invalid="ignore"):
        return ((pixels >= -0.5) & (pixels <= np.array(size) - 0.5)).all(axis=-1)  # noqa: PLR2004


def _rays(direction: Floats, angle: Floats) -> Matrix:
    parts = np.sin(angle) * np.cos(direction), np.sin(angle) * np.sin(direction), np.cos(angle) + 0 * direction
    return np.stack(np.broadcast_arrays(*parts), axis=-1)


def _closest(model: "_Model", rays: Matrix, pixels: Floats, aspect: float) -> Fit:
    design, lens_of = model(rays, aspect)
    targets = np.asarray(pixels / (1, aspect), np.float64)
    weights = np.full(len(rays), 1 / len(rays))
    best = Fit(BrownConrady(fx=1, fy=1, cx=0, cy=0), math.inf)
    for _ in range(_ROUNDS if design.size else 0):
        solution = _solved(design, targets, weights)
        lens = lens_of(solution)
        fit = Fit(lens, deviation(lens, rays, pixels)) if lens is not None else best
        best = min(best, fit, key=lambda each: each.deviation)
        if best.deviation <= WITHIN / 10:
            break
        weights = _heavier(weights, np.linalg.norm((design @ solution - targets) * (1, aspect), axis=-1))
    return best


def _solved(design: Matrix, targets: Matrix, weights: Matrix) -> Matrix:
    """Solve design [N, 2, P] @ solution [P] = targets [N, 2], weighted by [N]."""
    root = np.sqrt(weights)[:, None]
    columns = design.reshape(-1, design.shape[-1])
    scale = np.maximum(np.abs(columns).max(axis=0), 1e-12)
    left = (design * root[..., None]).reshape(columns.shape) / scale
    solution, *_ = np.linalg.lstsq(left, (targets * root).ravel(), rcond=None)
    return np.asarray(solution / scale, np.float64)


def _heavier(weights: Matrix, errors: Matrix) -> Matrix:
    heavier = weights * np.maximum(errors, 1e-3 * errors.max() + 1e-15)
    return np.asarray(heavier / heavier.sum(), np.float64)


def _pinhole(rays: Matrix, aspect: float) -> tuple[Matrix, "_LensOf"]:
    """Brown-Conrady's design [N, 2, 8], or an empty one where the image sees too wide for it."""
    if np.arccos(rays[:, 2].min()) > _WIDEST_PINHOLE:
        return np.zeros((0, 2, 8)), lambda _: None
    x, y = rays[:, 0] / rays[:, 2], rays[:, 1] / rays[:, 2]
    r, zero, one = x * x + y * y, 0 * x, 0 * x + 1
    across = [one, zero, x, x * r, x * r**2, x * r**3, 2 * x * y, r + 2 * x * x]
    down = [zero, one, y, y * r, y * r**2, y * r**3, r + 2 * y * y, 2 * x * y]

    def lens(solution: Matrix) -> BrownConrady | None:
        cx, cy, f, k1, k2, k3, p1, p2 = map(float, solution)
        if f <= 0:
            return None
        return BrownConrady(fx=f, fy=f * aspect, cx=cx, cy=cy * aspect, k1=k1 / f, k2=k2 / f, p1=p1 / f, p2=p2 / f, k3=k3 / f)

    return np.stack([np.stack(across, -1), np.stack(down, -1)], axis=1), lens


def _fisheye(rays: Matrix, aspect: float) -> tuple[Matrix, "_LensOf"]:
    """Kannala-Brandt's design [N, 2, 7]."""
    theta = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2])
    sideways = rays[:, :2] / np.maximum(np.hypot(rays[:, 0], rays[:, 1]), 1e-12)[:, None]
    powers = sideways[..., None] * theta[:, None, None] ** (1, 3, 5, 7, 9)
    centre = np.broadcast_to(np.eye(2), (len(rays), 2, 2))
    widest = min(math.pi, float(theta.max()) + _MARGIN)

    def lens(solution: Matrix) -> KannalaBrandt | None:
        cx, cy, f, k1, k2, k3, k4 = map(float, solution)
        if f <= 0:
            return None
        bent = {"k1": k1 / f, "k2": k2 / f, "k3": k3 / f, "k4": k4 / f}
        return KannalaBrandt(fx=f, fy=f * aspect, cx=cx, cy=cy * aspect, max_theta=widest, **bent)

    return np.concatenate([centre, powers], axis=-1), lens


_LensOf = Callable[[Matrix], BrownConrady | KannalaBrandt | None]
_Model = Callable[[Matrix, float], tuple[Matrix, _LensOf]]
