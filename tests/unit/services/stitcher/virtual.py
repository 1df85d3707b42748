"""A smooth virtual world and rigs that look at it, by pure arithmetic."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import BrownConrady, KannalaBrandt, Lens, Matrix3, Photometry, Rig
from panoveil.pixels import equirect, lenses, light
from services.stitcher import proxy

Image = NDArray[np.uint8]


def world(rays: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the colour, float64 [..., 3] within 50 and 180, that the world has in the directions rays [..., 3]."""
    waves = np.array([[5.0, 2.0, -3.0], [-4.0, 6.0, 2.0], [3.0, -2.0, 7.0]])
    colour: NDArray[np.float64] = 115 + 40 * np.sin(rays @ waves.T) + 25 * np.sin(2.3 * (rays @ waves[::-1].T) + 1)
    return colour


def turned(yaw: float, pitch: float = 0.0) -> Matrix3:
    """Return the rotation of a lens that looks `yaw` degrees to the right and `pitch` degrees up."""
    a, b = np.radians(yaw), np.radians(pitch)
    around = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    upwards = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    rows = (around @ upwards).tolist()
    return tuple(tuple(row) for row in rows)  # type: ignore[return-value]


def ring(count: int = 5, size: int = 200, photometry: Photometry | None = None) -> Rig:
    """Return a ring of wide lenses at one point, the first looking ahead."""
    model = BrownConrady(fx=size * 0.36, fy=size * 0.36, cx=size / 2 - 0.5, cy=size / 2 - 0.5, k1=-0.05, k2=0.01)
    return Rig(
        rig_id="ring",
        lenses=tuple(
            Lens(
                name=f"lens{number}",
                width=size,
                height=size,
                intrinsics=model,
                rotation=turned(360 * number / count),
                photometry=photometry or Photometry(),
            )
            for number in range(count)
        ),
    )


def dual_fisheye(size: int = 260) -> Rig:
    """Return two fisheyes back to back, 200° each."""
    model = KannalaBrandt(fx=size / 3.6, fy=size / 3.6, cx=size / 2 - 0.5, cy=size / 2 - 0.5, k1=0.01, max_theta=1.75)
    return Rig(
        rig_id="dual",
        lenses=(
            Lens(name="front", width=size, height=size, intrinsics=model, rotation=turned(0)),
            Lens(name="back", width=size, height=size, intrinsics=model, rotation=turned(180)),
        ),
    )


def render(lens: Lens) -> Image:
    """Return what a lens of a rig at one point sees of the world, its photometry applied."""
    across, down = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    pixels = np.stack([across, down], axis=-1).astype(np.float32)
    rays = lenses.unproject(lens.intrinsics, pixels) @ np.asarray(lens.rotation, np.float32).T
    first, second, third = lens.photometry.vignetting
    offset = pixels - (lens.intrinsics.cx, lens.intrinsics.cy)
    square = np.sum(offset**2, axis=-1) * 4 / (lens.width**2 + lens.height**2)
    fall_off = 1 + square * (first + square * (second + square * third))
    sensed: NDArray[np.float64] = world(rays) * fall_off[..., None] * np.asarray(lens.photometry.gain)
    return np.rint(light.respond(lens.photometry.response, sensed)).astype(np.uint8)


def render_proxy(lens: Lens, height: float, distance: float) -> Image:
    """Return what a lens anywhere sees of the proxy surface, painted with the world as it looks from the rig's origin.

    The ray of a pixel is followed to the surface by bisection, because the surface is star-shaped around the origin.
    """
    across, down = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    rays = lenses.unproject(lens.intrinsics, np.stack([across, down], axis=-1)) @ np.asarray(lens.rotation, np.float32).T
    near, far = np.zeros((*across.shape, 1)), np.full((*across.shape, 1), 8 * distance)
    for _ in range(40):
        middle = (near + far) / 2
        point = np.asarray(lens.position) + rays * middle
        length = np.linalg.norm(point, axis=-1, keepdims=True)
        inside = length < np.linalg.norm(proxy.points(point / length, height, distance), axis=-1, keepdims=True)
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return np.rint(world(np.asarray(point / length, np.float32))).astype(np.uint8)


def frames(rig: Rig) -> dict[str, Image]:
    """Return every lens's view."""
    return {lens.name: _rendered(lens) for lens in rig.lenses}


_rendered = functools.cache(render)


def truth(width: int) -> NDArray[np.float64]:
    """Return the world as a panorama float64 [H, W, 3]."""
    return world(equirect.rays(width))


def psnr(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the peak signal-to-noise ratio in dB of arrays in 0-255."""
    return float(10 * np.log10(255**2 / max(1e-9, float(np.mean((one - other) ** 2)))))


def tilted(rig: Rig, attitude: NDArray[np.float64]) -> Rig:
    """Return a rig whose lenses are and look where those of `rig` do once it is turned by `attitude` [3, 3]."""
    turned_lenses = []
    for lens in rig.lenses:
        rows = (attitude @ np.asarray(lens.rotation)).tolist()
        held = {"rotation": tuple(map(tuple, rows)), "position": tuple((attitude @ lens.position).tolist())}
        turned_lenses.append(lens.model_copy(update=held))
    return rig.model_copy(update={"rig_id": f"{rig.rig_id}-tilted", "lenses": tuple(turned_lenses)})
