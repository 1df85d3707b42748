"""A detector in memory that finds coloured rectangles."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from panoveil.contracts.errors import Unavailable
from panoveil.detection._port import Detections, Images, Kind


@dataclass(slots=True)
class RectangleDetector:
    """Takes pure rectangles of a colour for objects: red ones are faces, blue ones are plates. Counts the pixels it was shown."""

    pixels: int = 0
    interruptions: int = 0
    colours: dict[Kind, tuple[int, int, int]] = field(default_factory=lambda: {"face": (255, 0, 0), "plate": (0, 0, 255)})
    tolerance: int = 60
    least: int = 6

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        """Return the bounding boxes of connected patches of the kind's colour, at least `least` pixels high and wide."""
        self.pixels += images.shape[0] * images.shape[1] * images.shape[2]
        return [self._found(kind, image) for image in images]

    async def prove(self, since: int | None = None) -> None:
        """Look at a patch of each colour."""
        if since not in {None, self.interruptions}:
            raise Unavailable("triton", "the twin was interrupted")
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
