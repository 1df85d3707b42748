"""The model as it is served: raw pictures in, boxes and scores out."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .network import STRIDE, Detector, normalised
from .verifier import Verifier, cut

ANSWERS = 256
VERIFIED = 64
FLOOR = 0.06
"""No candidate below this can reach a final score of more than 0.25, its square root."""
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
        boxes, scores = decode(heat.float(), reach.float())
        return (boxes, scores) if self.verifier is None else reranked(self.verifier, pixels, boxes, scores)


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


def decode(heat: Tensor, reach: Tensor, floor: float = FLOOR) -> tuple[Tensor, Tensor]:
    """Pick peaks of the heat map above `floor` and turn them into boxes: [N, 256, 4] and [N, 256]."""
    scores = _peaks(torch.sigmoid(heat), floor)
    boxes = _boxes(reach)
    best, index = F.pad(scores.flatten(1), (0, ANSWERS)).topk(ANSWERS, dim=1)
    spare = F.pad(boxes.flatten(2).transpose(1, 2), (0, 0, 0, ANSWERS))
    chosen = spare.gather(1, index[..., None].expand(-1, -1, 4))
    return chosen * (best > 0).unsqueeze(-1).float(), best


def _peaks(chance: Tensor, floor: float) -> Tensor:
    """Keep the chances that are the highest around and above the floor; zero elsewhere."""
    tall, wide = PEAK
    around = F.max_pool2d(chance, PEAK, 1, (tall // 2, wide // 2))
    return chance * ((chance >= around) & (chance > floor)).float()


def _boxes(reach: Tensor) -> Tensor:
    """Turn log distances [N, 4, h, w] into corners in pixels, clipped to the picture."""
    away = torch.exp(reach.clamp(-4.0, 6.0)) * STRIDE
    height, width = reach.shape[2], reach.shape[3]
    x = ((torch.arange(width, device=reach.device, dtype=torch.float32) + 0.5) * STRIDE).view(1, 1, -1)
    y = ((torch.arange(height, device=reach.device, dtype=torch.float32) + 0.5) * STRIDE).view(1, -1, 1)
    right, bottom = width * STRIDE, height * STRIDE
    left_top = torch.stack([(x - away[:, 0]).clamp(0, right), (y - away[:, 1]).clamp(0, bottom)], dim=1)
    right_bottom = torch.stack([(x + away[:, 2]).clamp(0, right), (y + away[:, 3]).clamp(0, bottom)], dim=1)
    return torch.cat([left_top, right_bottom], dim=1)
