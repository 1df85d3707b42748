"""What the services ask of a detector of faces and plates."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["face", "plate"]
KINDS: tuple[Kind, ...] = ("face", "plate")

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
    """Finds faces or plates. `Unavailable("triton")` where there is no answer that can be trusted; never an empty one instead.

    `interruptions` counts how often what answers may have become another: its server was lost, a model was loaded anew.
    """

    @property
    def interruptions(self) -> int:
        """So far."""
        ...

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        """Return what was found in each of uint8 [N, H, W, 3] RGB; H and W are multiples of 32."""
        ...

    async def prove(self, since: int | None = None) -> None:
        """Return once both kinds were found where they are known to be, in a look that began after this call; else `Unavailable`.

        `since`: the interruptions when the caller began to look; where there are more by now, `Unavailable`.
        """
        ...
