"""Train the detector on a stream of crops."""

import copy
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .arrays import Scene
from .deploy import Served
from .losses import loss, targets
from .mine import mine
from .network import Detector, faster, normalised
from .scenes import HardNegative, Kitchen
from .sources import Sources
from .stream import Pool, scenes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train; iterations are counted from the start of the whole run."""

    iterations: int = 15_000
    cooldown: int = 0
    mine_at: tuple[int, ...] = (1500, 4500, 8000, 12_500)
    batch: int = 32
    fresh: int = 24
    pool: int = 6000
    rate: float = 3e-3
    decay: float = 1e-2
    warmup: int = 150
    average: float = 0.998
    workers: int = 1
    threads: int = 1
    seed: int = 20261130
    save_every: int = 100


@dataclass
class State:
    """Everything that a checkpoint holds."""

    model: Detector
    averaged: Detector
    optimiser: torch.optim.Optimizer
    iteration: int = 0
    hard: list[HardNegative] = field(default_factory=list)


def start(plan: Plan) -> State:
    """Build a fresh network, its running average and its optimiser."""
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    model = Detector().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=plan.decay)
    return State(model, copy.deepcopy(model).eval(), optimiser)


def save(state: State, path: Path) -> None:
    """Write a checkpoint, atomically."""
    parts: dict[str, Any] = {"model": state.model.state_dict(), "averaged": state.averaged.state_dict()}
    parts |= {"optimiser": state.optimiser.state_dict(), "iteration": state.iteration}
    parts["hard"] = [(h.panorama, *h.centre, h.scale) for h in state.hard]
    torch.save(parts, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def restore(state: State, path: Path) -> None:
    """Read a checkpoint."""
    parts = torch.load(path, weights_only=True)
    state.model.load_state_dict(parts["model"])
    state.averaged.load_state_dict(parts["averaged"])
    state.optimiser.load_state_dict(parts["optimiser"])
    state.iteration = parts["iteration"]
    state.hard = [HardNegative(p, (x, y), s) for p, x, y, s in parts["hard"]]


def train(state: State, plan: Plan, sources: Sources, out: Path) -> None:
    """Train in stages; between them, mine the training pictures for mistakes."""
    ends = [end for end in (*plan.mine_at, plan.iterations) if end > state.iteration]
    for number, end in enumerate(ends):
        kitchen = Kitchen(sources, state.hard)
        with scenes(kitchen, plan.seed, state.iteration, plan.workers) as stream:
            _stage(state, plan, stream, end, out)
        if number < len(ends) - 1:
            state.hard = mine(Served(state.averaged), sources)


def _stage(state: State, plan: Plan, stream: Iterator[Scene], end: int, out: Path) -> None:
    """Train up to an iteration on one stream of crops."""
    pool = Pool(plan.pool, plan.seed + state.iteration)
    for _ in range(plan.pool // 10):
        pool.add(next(stream))
    began, first = time.monotonic(), state.iteration
    while state.iteration < end:
        for _ in range(plan.fresh):
            pool.add(next(stream))
        losses = _step(state, plan, pool)
        if state.iteration % plan.save_every == 0 or state.iteration == end:
            pace = (time.monotonic() - began) / (state.iteration - first)
            log.info("iteration %d heat %.3f box %.3f, %.3f s each", state.iteration, *losses, pace)
            save(state, out / "last.pt")


def _step(state: State, plan: Plan, pool: Pool) -> tuple[float, float]:
    """Take one step of the optimiser; return the two losses."""
    batch = pool.batch(plan.batch)
    images = normalised(batch.images).contiguous(memory_format=torch.channels_last)
    aim = targets(batch)
    with faster():
        heat, reach = state.model(images)
    parts = loss(heat, reach, aim)
    state.optimiser.zero_grad(set_to_none=True)
    (parts[0] + parts[1]).backward()
    _advance(state, plan)
    return float(parts[0].detach()), float(parts[1].detach())


def _advance(state: State, plan: Plan) -> None:
    """Clip, set the rate, step, and move the running average."""
    nn.utils.clip_grad_norm_(state.model.parameters(), 10.0)
    for group in state.optimiser.param_groups:
        group["lr"] = plan.rate * _share(state.iteration, plan)
    state.optimiser.step()
    state.iteration += 1
    _follow(state, min(plan.average, (1 + state.iteration) / (10 + state.iteration)))


def _share(iteration: int, plan: Plan) -> float:
    """Rise, stay, then fall along a cosine during the cool-down."""
    left = (plan.iterations - iteration) / max(plan.cooldown, 1)
    fall = 1.0 if left >= 1 else 0.5 - 0.5 * float(np.cos(np.pi * left))
    return min((iteration + 1) / plan.warmup, fall, 1.0)


@torch.no_grad()
def _follow(state: State, keep: float) -> None:
    """Move the averaged weights a little towards the trained ones."""
    pairs = zip(state.averaged.state_dict().values(), state.model.state_dict().values(), strict=True)
    for slow, fast in pairs:
        _blend(slow, fast, keep)


def _blend(slow: Tensor, fast: Tensor, keep: float) -> None:
    if slow.dtype.is_floating_point:
        slow.lerp_(fast, 1 - keep)
    else:
        slow.copy_(fast)
