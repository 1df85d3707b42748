"""Train the verifier on what the finished detector finds in fresh crops."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .deploy import decode
from .losses import Batch
from .network import Detector, faster, normalised
from .scenes import HardNegative, Kitchen
from .sources import Sources
from .stream import Pool, scenes
from .verifier import Verifier, cut

log = logging.getLogger(__name__)

CANDIDATES = 6
LEAST_SCORE = 0.03
AGREES = 0.4


@dataclass(frozen=True)
class SecondPlan:
    """How the verifier is trained."""

    iterations: int = 2500
    batch: int = 32
    fresh: int = 16
    pool: int = 3000
    rate: float = 2e-3
    seed: int = 20261131
    workers: int = 1


def train_verifier(detector: Detector, sources: Sources, hard: list[HardNegative], plan: SecondPlan, out: Path) -> Verifier:
    """Train, save and return a verifier."""
    torch.manual_seed(plan.seed)
    detector.eval()
    verifier, pool = Verifier(), Pool(plan.pool, plan.seed)
    optimiser = torch.optim.AdamW(verifier.parameters(), lr=plan.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=plan.iterations)
    with scenes(Kitchen(sources, hard), plan.seed, 0, plan.workers) as stream:
        for iteration in range(plan.iterations):
            for _ in range(plan.fresh if iteration else plan.pool // 10):
                pool.add(next(stream))
            loss = _step(detector, verifier, optimiser, pool.batch(plan.batch))
            schedule.step()
            if iteration % 100 == 0:
                log.info("verifier %d loss %.4f", iteration, loss)
    torch.save(verifier.state_dict(), out / "verifier.pt")
    return verifier.eval()


def _step(detector: Detector, verifier: Verifier, optimiser: torch.optim.Optimizer, batch: Batch) -> float:
    """Detect, label what was found, and take one step of the optimiser."""
    patches, labels, weights = examples(detector, batch)
    logits = verifier(patches)
    loss = (F.binary_cross_entropy_with_logits(logits, labels, reduction="none") * weights).sum() / weights.sum().clamp(min=1)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def examples(detector: Detector, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return patches of the best candidates, their labels, and zero weight where the truth is unknown."""
    images = normalised(batch.images)
    with faster():
        heat, reach = detector(images.contiguous(memory_format=torch.channels_last))
    boxes, scores = (part[:, :CANDIDATES] for part in decode(heat.float(), reach.float(), LEAST_SCORE))
    labels = (_overlap(boxes, batch.plates).amax(2) >= AGREES).float()
    touching = torch.maximum(_overlap(boxes, batch.plates).amax(2), _overlap(boxes, batch.unknown).amax(2)) > 0
    sure = (scores > 0) & ((labels > 0) | ~touching)
    return cut(images, _shaken(boxes))[sure.view(-1)], labels[sure], _balance(labels[sure])


def _shaken(boxes: Tensor) -> Tensor:
    """Move the corners a little, so that the verifier does not depend on them."""
    size = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)
    return boxes + torch.randn_like(boxes) * size * 0.03


def _balance(labels: Tensor) -> Tensor:
    """Weigh plates and others equally within a batch."""
    share = labels.mean().clamp(0.1, 0.9)
    return torch.where(labels > 0, 0.5 / share, 0.5 / (1 - share))


def _overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes [N, A, 4] and [N, B, 4]: [N, A, B]."""
    a, b = first[:, :, None], second[:, None]
    size = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    shared = size.prod(-1)
    total = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return shared / total.clamp(min=1e-6)
