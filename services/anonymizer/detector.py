"""What the anonymizer asks of a detector, and a twin in memory that finds coloured rectangles."""

from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.errors import Unavailable
from services.anonymizer.regions import Kind

Images = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in one image: boxes float32 [n, 4] (x0, y0, x1, y1 in its pixels) and scores float32 [n] in 0..1."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def above(self, threshold: float) -> "Detections":
        """Return those that score at least `threshold`."""
        keep = self.scores >= threshold
        return Detections(self.boxes[keep], self.scores[keep])


class Detector(Protocol):
    """Finds faces or plates. `Unavailable("triton")` where there is no answer that can be trusted; never an empty one instead."""

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        """Return what was found in each of uint8 [N, H, W, 3] RGB; H and W are multiples of 32."""
        ...

    async def prove(self) -> None:
        """Return once both kinds were found where they are known to be, in a look that began after this call; else `Unavailable`."""
        ...


@dataclass(slots=True)
class RectangleDetector:
    """Takes pure rectangles of a colour for objects: red ones are faces, blue ones are plates. Counts the pixels it was shown."""

    pixels: int = 0
    colours: dict[Kind, tuple[int, int, int]] = field(default_factory=lambda: {"face": (255, 0, 0), "plate": (0, 0, 255)})
    tolerance: int = 60
    least: int = 6

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        """Return the bounding boxes of connected patches of the kind's colour, at least `least` pixels high and wide."""
        self.pixels += images.shape[0] * images.shape[1] * images.shape[2]
        return [self._found(kind, image) for image in images]

    async def prove(self) -> None:
        """Look at a patch of each colour."""
        for kind, colour in self.colours.items():
            (found,) = await self.detect(kind, np.full((1, 32, 32, 3), colour, np.uint8))
            if not found.scores.size:
                raise Unavailable("triton", f"the twin does not see a {kind}")

    def _found(self, kind: Kind, image: Images) -> Detections:
        difference = np.abs(image.astype(np.int16) - np.array(self.colours[kind], np.int16)).max(axis=2)
        _, _, stats, _ = cv2.connectedComponentsWithStats((difference <= self.tolerance).astype(np.uint8))
        rows = [row for row in stats[1:] if min(row[cv2.CC_STAT_WIDTH], row[cv2.CC_STAT_HEIGHT]) >= self.least]
        boxes = [(x, y, x + width, y + height) for x, y, width, height, _ in rows]
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))
