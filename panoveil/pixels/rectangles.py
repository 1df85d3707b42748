"""Areas of rectangles that overlap: (x0, y0, x1, y1), x0 <= x1, y0 <= y1, of any unit; exact."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rectangle = tuple[float, float, float, float]


def union_area(rectangles: Sequence[Rectangle]) -> float:
    """Return the area that at least one of them covers."""
    return outside_area(rectangles, ())


def outside_area(rectangles: Sequence[Rectangle], others: Sequence[Rectangle]) -> float:
    """Return the area that at least one of the rectangles covers and none of the others.

    The plane is cut along every edge; a cell lies wholly in or wholly outside of each rectangle.
    """
    corners = np.array([*rectangles, *others], np.float64).reshape(-1, 4)
    columns, rows = np.unique(corners[:, ::2]), np.unique(corners[:, 1::2])
    cells = _cells(rectangles, columns, rows) & ~_cells(others, columns, rows)
    return float(np.diff(rows) @ cells @ np.diff(columns))


def _cells(rectangles: Sequence[Rectangle], columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return bool [rows - 1, columns - 1]: which cells some rectangle covers."""
    cells = np.zeros((max(len(rows) - 1, 0), max(len(columns) - 1, 0)), np.bool_)
    for x0, y0, x1, y1 in rectangles:
        (left, right), (top, bottom) = np.searchsorted(columns, (x0, x1)), np.searchsorted(rows, (y0, y1))
        cells[top:bottom, left:right] = True
    return cells
