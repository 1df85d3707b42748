"""A second opinion: a small network that looks at each detected patch by itself."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .network import convolution, stage

PATCH = (24, 72)
FINER = 2
CONTEXT = 0.25
WIDTHS = (16, 24, 40, 64)


class Verifier(nn.Module):
    """Patches float32 [P, 3, 24, 72] to logits [P] of their being plates."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        first, *rest = WIDTHS
        self.stem = convolution(3, first)
        self.stages = nn.Sequential(*(stage(a, b, 1) for a, b in zip(WIDTHS, rest, strict=False)))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(WIDTHS[-1] * 3 * 9, 48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 1))

    def forward(self, patches: Tensor) -> Tensor:
        """Judge the patches."""
        logits: Tensor = self.head(self.stages(self.stem(patches)))[:, 0]
        return logits


def cut(images: Tensor, boxes: Tensor) -> Tensor:
    """Cut patches [N * M, 3, 24, 72] out of normalised images [N, 3, H, W] at boxes [N, M, 4], with some context."""
    count, many = boxes.shape[0], boxes.shape[1]
    tall, wide = PATCH[0] * FINER, PATCH[1] * FINER
    margin = (boxes[..., 2:] - boxes[..., :2]) * CONTEXT
    low, size = boxes[..., :2] - margin, boxes[..., 2:] - boxes[..., :2] + 2 * margin
    steps_x = ((torch.arange(wide, device=boxes.device) + 0.5) / wide).view(1, 1, 1, -1)
    steps_y = ((torch.arange(tall, device=boxes.device) + 0.5) / tall).view(1, 1, -1, 1)
    x = (low[..., 0, None, None] + size[..., 0, None, None] * steps_x) / images.shape[3] * 2 - 1
    y = (low[..., 1, None, None] + size[..., 1, None, None] * steps_y) / images.shape[2] * 2 - 1
    grid = torch.stack([x.expand(-1, -1, tall, -1), y.expand(-1, -1, -1, wide)], dim=-1)
    seen = F.grid_sample(images, grid.reshape(count, many * tall, wide, 2), align_corners=False)
    finer = seen.view(count, 3, many, tall, wide).transpose(1, 2).reshape(count * many, 3, tall, wide)
    return F.avg_pool2d(finer, FINER)
