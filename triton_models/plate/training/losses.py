"""What the detector is asked for, and how far off it is."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .network import STRIDE

SPREAD, LEAST_SPREAD = 0.18, 0.6
POSITIVE = 0.75
MOST_BOXES = 16
BOX_WEIGHT, LOG_WEIGHT = 1.5, 0.3


@dataclass(frozen=True)
class Batch:
    """Images uint8 [N, H, W, 3]; plates and unknown float32 [N, 16, 4] in pixels, rows of zeros where there are fewer."""

    images: Tensor
    plates: Tensor
    unknown: Tensor


@dataclass(frozen=True)
class Targets:
    """Heat [N, h, w] in 0..1, distances [N, 4, h, w] in strides, and known [N, h, w] as bool."""

    heat: Tensor
    reach: Tensor
    known: Tensor


def grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the cells' centres in pixels: y as [h, 1], x as [1, w]."""
    y = (torch.arange(height, dtype=torch.float32) + 0.5) * STRIDE
    x = (torch.arange(width, dtype=torch.float32) + 0.5) * STRIDE
    return y[:, None], x[None, :]


def trimmed(boxes: Tensor) -> Tensor:
    """Drop the columns of box lists that are empty in every picture, all but one."""
    used = (boxes[..., 2] > boxes[..., 0]).any(dim=0).sum()
    return boxes[:, : max(int(used), 1)]


def targets(batch: Batch) -> Targets:
    """Draw the heat map, the distances of the strongest box in each cell, and the mask of known cells."""
    height, width = batch.images.shape[1] // STRIDE, batch.images.shape[2] // STRIDE
    y, x = grid(height, width)
    plates = trimmed(batch.plates)
    heat, best = _heat(plates, y, x).max(dim=1)
    owner = best.flatten(1)[..., None].expand(-1, -1, 4)
    boxes = plates.gather(1, owner).view(-1, height, width, 4)
    reach = torch.stack([x - boxes[..., 0], y - boxes[..., 1], boxes[..., 2] - x, boxes[..., 3] - y], dim=1)
    hidden = _inside(trimmed(batch.unknown), y, x).any(dim=1) & (heat < POSITIVE)
    return Targets(heat, reach.clamp(min=0.4) / STRIDE, ~hidden)


def _heat(boxes: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return one Gaussian a box, 1 in its middle cell: [N, 16, h, w]."""
    left, top, right, bottom = (edge[..., None, None] for edge in boxes.unbind(-1))
    centre_x, centre_y = (_middle((left + right) / 2), _middle((top + bottom) / 2))
    wide = ((right - left) * SPREAD).clamp(min=LEAST_SPREAD * STRIDE)
    tall = ((bottom - top) * SPREAD).clamp(min=LEAST_SPREAD * STRIDE)
    gauss = torch.exp(-(((x - centre_x) / wide) ** 2 + ((y - centre_y) / tall) ** 2) / 2)
    return gauss * (right > left)


def _middle(position: Tensor) -> Tensor:
    """Move a position to the centre of its cell."""
    return (torch.floor(position / STRIDE) + 0.5) * STRIDE


def _inside(boxes: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Say which cells each box holds: bool [N, 16, h, w]."""
    left, top, right, bottom = (edge[..., None, None] for edge in boxes.unbind(-1))
    return (x > left - 2) & (x < right + 2) & (y > top - 2) & (y < bottom + 2) & (right > left)


def loss(heat: Tensor, reach: Tensor, aim: Targets) -> tuple[Tensor, Tensor]:
    """Return the heat loss and the box loss, each averaged over positive cells."""
    positive = (aim.heat >= POSITIVE) & aim.known
    count = positive.sum().clamp(min=1)
    box = _box_loss(reach.float().movedim(1, -1)[positive], aim.reach.movedim(1, -1)[positive]) / count
    return _focal(heat.float()[:, 0], aim, positive) / count, box


def _focal(logit: Tensor, aim: Targets, positive: Tensor) -> Tensor:
    """Gaussian focal loss, summed over known cells."""
    chance = torch.sigmoid(logit).clamp(1e-5, 1 - 1e-5)
    hit = -F.logsigmoid(logit) * (1 - chance) ** 2
    miss = -F.logsigmoid(-logit) * chance**2 * (1 - aim.heat) ** 4
    return (torch.where(positive, hit, miss) * aim.known).sum()


def _box_loss(logs: Tensor, reach: Tensor) -> Tensor:
    """Generalised IoU and log distance, summed over [P, 4] left, top, right, bottom."""
    guess = torch.exp(logs.clamp(-4, 6))
    low, high = torch.minimum(guess, reach), torch.maximum(guess, reach)
    shared, hull = _area(low), _area(high)
    union = _area(guess) + _area(reach) - shared
    giou = shared / union - (hull - union) / hull
    return BOX_WEIGHT * (1 - giou).sum() + LOG_WEIGHT * (logs - torch.log(reach)).abs().mean(dim=1).sum()


def _area(reach: Tensor) -> Tensor:
    return (reach[:, 0] + reach[:, 2]) * (reach[:, 1] + reach[:, 3])
