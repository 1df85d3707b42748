"""What a world is made of, and how a view draws it: textured rectangles, and bodies of flat facets.

Frames are RGB uint8 [H, W, 3]. World: x right, y down, z along the street, metres.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.textures import Image, Texture, sample
from simulator.views import View

Floats = NDArray[np.floating[Any]]

_ROWS_AT_ONCE = 96
_COARSE = 16
_PARALLEL = 1e-7
_HAZE = (198, 207, 214, 255)
_HAZE_LENGTH = 260.0
_MARGIN = 3
_GRID = np.linspace(0, 1, 9)
_SUBPIXEL_BITS = 4
_LARGEST_PATCH = 2200


@dataclass(frozen=True, slots=True, eq=False)
class Quad:
    """A rectangle in space that shows a texture: top left corner, and edges to the right and down, float64 [3], metres.

    `everywhere`: so large that it may fill any part of a view.
    """

    corner: NDArray[np.float64]
    right: NDArray[np.float64]
    down: NDArray[np.float64]
    texture: Texture
    everywhere: bool = False

    @property
    def normal(self) -> NDArray[np.float64]:
        """Right x down, float64 [3]: away from who sees the texture the right way round."""
        (a, b, c), (d, e, f) = self.right.tolist(), self.down.tolist()
        return np.array([b * f - c * e, c * d - a * f, a * e - b * d])

    def points(self, across: Floats, down: Floats) -> NDArray[np.float64]:
        """Return the points float64 [..., 3] at shares 0..1 of the edges."""
        return np.asarray(self.corner + across[..., None] * self.right + down[..., None] * self.down, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Facets:
    """Flat four-cornered faces: corners float64 [N, 4, 3] counter-clockwise as seen from outside, colours uint8 [N, 3].

    Painted by layer, int [N], and within one from far to near; faces that look away are not painted.
    """

    corners: NDArray[np.float64]
    colours: Image
    layers: NDArray[np.int32]


def draw_quad(frame: Image, view: View, quad: Quad) -> None:
    """Paint the rectangle over the frame."""
    if quad.everywhere:
        parts = _reached(view, quad)
    else:
        left, top, right, bottom = _bounds(view, quad)
        parts = [np.s_[row : min(row + _ROWS_AT_ONCE, bottom), left:right] for row in range(top, bottom, _ROWS_AT_ONCE)]
    for part in parts:
        _draw_part(frame, view, quad, part)


def _reached(view: View, quad: Quad) -> list[tuple[slice, slice]]:
    """Return the bands of the frame, cut to the columns that a coarse look finds reached, that a large quad may fill."""
    _, _, _, hit = _meet(view, quad, np.s_[::_COARSE, ::_COARSE])
    height, width = view.rays.shape[:2]
    parts = []
    for row in range(0, height, _ROWS_AT_ONCE):
        rows = slice(max(0, row // _COARSE - 1), (row + _ROWS_AT_ONCE) // _COARSE + 2)
        columns = _extent(hit[rows], 1)
        if columns.stop:
            across = slice(max(0, (columns.start - 1) * _COARSE), min(width, (columns.stop + 1) * _COARSE))
            parts.append((slice(row, min(row + _ROWS_AT_ONCE, height)), across))
    return parts


def _bounds(view: View, quad: Quad) -> tuple[int, int, int, int]:
    width, height = view.lens.width, view.lens.height
    pixels, valid = view.project(quad.points(_GRID[None, :], _GRID[:, None]))
    if not valid.any():
        return 0, 0, 0, 0
    low, high = pixels[valid].min(axis=0) - _MARGIN, pixels[valid].max(axis=0) + _MARGIN
    left, top = (int(v) for v in np.maximum(low, 0))
    right, bottom = (int(v) for v in np.minimum(high + 1, (width, height)))
    return (left, top, right, bottom) if right > left and bottom > top else (0, 0, 0, 0)


def _draw_part(frame: Image, view: View, quad: Quad, part: tuple[slice, slice]) -> None:
    depth, across, down, hit = _meet(view, quad, part)
    rows, columns = _extent(hit, 0), _extent(hit, 1)
    if not rows.stop:
        return
    inner = np.s_[rows, columns]
    colour = sample(quad.texture, across[inner], down[inner])
    if quad.everywhere:
        colour = _hazed(colour, depth[inner])
    colour[~hit[inner]] = 0
    _compose(frame[part][inner], colour)


def _meet(view: View, quad: Quad, part: tuple[slice, slice]) -> tuple[Any, Any, Any, NDArray[np.bool_]]:
    """Intersect the rays of a part of the view with the quad: depth in metres, texels across and down, and whether they hit."""
    texture = quad.texture
    normal = quad.normal
    across = quad.right * (texture.width / (quad.right @ quad.right))
    down = quad.down * (texture.height / (quad.down @ quad.down))
    apart = view.eye - quad.corner
    basis = np.stack([normal, across, down], axis=1).astype(np.float32)
    normals, rights, downs = np.moveaxis(view.rays[part] @ basis, -1, 0)
    normals = np.where(np.abs(normals) < _PARALLEL, np.float32(_PARALLEL), normals)
    depth = np.float32(-(apart @ normal)) / normals
    u = depth * rights + np.float32(apart @ across)
    v = depth * downs + np.float32(apart @ down)
    hit = (depth > 0) & (u > 0) & (u < texture.width) & (v > 0) & (v < texture.height)
    return depth, u, v, hit


def _extent(hit: NDArray[np.bool_], axis: int) -> slice:
    """From the first to the last row (axis 0) or column (axis 1) with a hit."""
    where = np.flatnonzero(np.any(hit, axis=1 - axis))
    return slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 0)


def _hazed(colour: Image, depth: NDArray[np.float32]) -> Image:
    """What is far fades into the air; what is clear stays clear."""
    air = 1 - np.exp(np.clip(depth, 0, 1e4) * np.float32(-1 / _HAZE_LENGTH))
    haze = np.empty_like(colour)
    haze[:] = _HAZE
    mixed = cv2.blendLinear(colour, haze, 1 - air, air)
    mixed[..., 3] = colour[..., 3]
    if colour[..., 3].min() < 255:  # noqa: PLR2004 - not opaque
        mixed[colour[..., 3] < 128] = 0  # noqa: PLR2004 - half
    return mixed.astype(np.uint8, copy=False)


def _compose(target: Image, colour: Image) -> None:
    """Put premultiplied RGBA over a part of a frame."""
    opacity = np.ascontiguousarray(colour[..., 3])
    if opacity.min() == 255:  # noqa: PLR2004 - opaque
        target[:] = colour[..., :3]
        return
    rest = cv2.multiply(target, cv2.cvtColor(255 - opacity, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    target[:] = cv2.add(rest, np.ascontiguousarray(colour[..., :3]))


def draw_facets(frame: Image, view: View, facets: Facets) -> None:
    """Paint the faces over the frame, at twice its resolution."""
    pixels, valid = view.project(facets.corners)
    keep = valid.all(axis=1) & (_turn(pixels) < 0)
    if not keep.any():
        return
    low, high = pixels[keep].min(axis=(0, 1)) - 2, pixels[keep].max(axis=(0, 1)) + 2
    left, top = (int(v) for v in np.maximum(low, 0))
    right, bottom = (int(v) for v in np.minimum(high + 1, (view.lens.width, view.lens.height)))
    if right <= left or bottom <= top:
        return
    order = _order(facets, view, np.flatnonzero(keep))
    patch = _painted(pixels[order] - (left, top), facets.colours[order], (bottom - top, right - left))
    _compose(frame[top:bottom, left:right], patch)


def _turn(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Twice the signed area of quadrilaterals [N, 4, 2]: positive where the corners run clockwise on the frame."""
    first, second = pixels[:, 2] - pixels[:, 0], pixels[:, 3] - pixels[:, 1]
    return np.asarray(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])


def _order(facets: Facets, view: View, kept: NDArray[np.intp]) -> NDArray[np.intp]:
    distance = np.linalg.norm(facets.corners[kept].mean(axis=1) - view.eye, axis=-1)
    return kept[np.lexsort((-distance, facets.layers[kept]))]


def _painted(corners: NDArray[np.float32], colours: Image, size: tuple[int, int]) -> Image:
    """Return premultiplied RGBA uint8 [*size, 4] of the faces, painted in their order."""
    scale = 2 if max(size) < _LARGEST_PATCH else 1
    canvas = np.zeros((size[0] * scale, size[1] * scale, 4), np.uint8)
    # Pixel centres: a point at p of the frame lies at scale * (p + .5) - .5 of the finer canvas.
    fine = np.round(((corners + 0.5) * scale - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    for face, colour in zip(fine, colours.tolist(), strict=True):
        cv2.fillConvexPoly(canvas, face, (*colour, 255), cv2.LINE_8, _SUBPIXEL_BITS)
    return cv2.resize(canvas, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
