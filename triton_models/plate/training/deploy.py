"""The model as it is served: raw pictures in, boxes and scores out."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .network import STRIDE, Detector, normalised
from .verifier import Verifier, cut

ANSWERS = 256
VERIFIED = 64
FLOOR, ALONE = 0.15, 0.06
"""The least chance of a candidate, with a verifier and without one. With one, what is below cannot reach a score of more than .39, its root."""
NOWHERE = -30.0
"""The logit of what is no peak."""
PEAK = (3, 5)


class Served(nn.Module):
    """uint8 [N, H, W, 3] to boxes float32 [N, 256, 4] and scores float32 [N, 256], best first."""

    def __init__(self, detector: Detector, verifier: Verifier | None = None) -> None:
        """Wrap a trained detector and, if there is one, its verifier."""
        super().__init__()
        self.detector = detector
        self.verifier = verifier

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Detect plates."""
        pixels = normalised(image)
        heat, reach = self.detector(pixels)
        if self.verifier is None:
            return decode(heat.float(), reach.float(), ALONE)
        return reranked(self.verifier, pixels, *decode(heat.float(), reach.float(), FLOOR))


def reranked(verifier: nn.Module, pixels: Tensor, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Replace the best scores by the geometric mean with the verifier's; drop what was not verified.

    Only as many places are looked at as the picture with the most candidates has, 64 at most.
    """
    count = (scores > 0).sum(dim=1).max().clamp(1, VERIFIED)
    first = torch.arange(count, device=scores.device)
    tried, before = boxes.index_select(1, first), scores.index_select(1, first)
    opinion = torch.sigmoid(verifier(cut(pixels, tried))).view(boxes.shape[0], -1)
    after = torch.sqrt(before * opinion) * (before > 0).float()
    best, order = F.pad(after, (0, ANSWERS)).topk(ANSWERS, dim=1)
    spare = F.pad(tried, (0, 0, 0, ANSWERS))
    return spare.gather(1, order[..., None].expand(-1, -1, 4)), best


def decode(heat: Tensor, reach: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Pick peaks of the heat map whose chance is above `floor` and turn them into boxes: [N, 256, 4] and [N, 256].

    Distances become corners where there are peaks only: on a CPU, corners everywhere took as long as a stage of the network.
    """
    best, index = F.pad(_peaks(heat, floor).flatten(1), (0, ANSWERS), value=NOWHERE).topk(ANSWERS, dim=1)
    found = (best > NOWHERE).float()
    return _boxes(reach, index) * found.unsqueeze(-1), torch.sigmoid(best) * found


def _peaks(heat: Tensor, floor: float) -> Tensor:
    """Keep the logits that are the highest around and above the floor's; and what is no number, so that no answer passes for an empty one."""
    tall, wide = PEAK
    around = F.max_pool2d(heat, PEAK, 1, (tall // 2, wide // 2)).clamp(min=math.log(floor / (1 - floor)))
    return torch.where(heat < around, NOWHERE, heat)


def _boxes(reach: Tensor, index: Tensor) -> Tensor:
    """Turn log distances [N, 4, h, w] at places [N, M] of the flattened map into corners [N, M, 4] in pixels, clipped to the picture."""
    height, width = reach.shape[2], reach.shape[3]
    place = index.clamp(max=height * width - 1)
    logs = reach.flatten(2).gather(2, place[:, None].expand(-1, 4, -1))
    left, top, right, bottom = (torch.exp(logs.clamp(-4.0, 6.0)) * STRIDE).unbind(1)
    x, y = ((part.float() + 0.5) * STRIDE for part in (place % width, place // width))
    wide, tall = width * STRIDE, height * STRIDE
    corners = (x - left).clamp(0, wide), (y - top).clamp(0, tall), (x + right).clamp(0, wide), (y + bottom).clamp(0, tall)
    return torch.stack(corners, dim=2)
