"""Cook crops in other processes while the detector trains, and keep the latest in a pool."""

import multiprocessing as mp
import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import torch

from .arrays import Boxes, Scene
from .losses import MOST_BOXES, Batch
from .scenes import SIDE, Kitchen, random_scene

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

DEPTH = 64


def _cook(kitchen: Kitchen, seed: tuple[int, ...], out: "Queue[Scene]") -> None:
    """Fill a queue for as long as the parent lives; crop number i depends on the seed and i alone."""
    parent = os.getppid()
    for index in count():
        scene = random_scene(np.random.default_rng((*seed, index)), kitchen)
        while not _offered(out, scene):
            if os.getppid() != parent:
                return


def _offered(out: "Queue[Scene]", scene: Scene) -> bool:
    """Try for some seconds to hand a scene over."""
    try:
        out.put(scene, timeout=5)
    except queue.Full:
        return False
    return True


@contextmanager
def scenes(kitchen: Kitchen, seed: int, stage: int, workers: int) -> Iterator[Iterator[Scene]]:
    """Stream scenes from worker processes, in an order that does not depend on their speed."""
    context = mp.get_context("fork")
    queues: list[Queue[Scene]] = [context.Queue(DEPTH) for _ in range(workers)]
    jobs = [context.Process(target=_cook, args=(kitchen, (seed, stage, i), q), daemon=True) for i, q in enumerate(queues)]
    for job in jobs:
        job.start()
    try:
        yield _round_robin(queues)
    finally:
        _stop(jobs)


def _round_robin(queues: "list[Queue[Scene]]") -> Iterator[Scene]:
    while True:
        for box in queues:
            yield box.get(timeout=120)


def _stop(jobs: "list[mp.context.ForkProcess]") -> None:
    for job in jobs:
        job.kill()
        with suppress(queue.Empty):
            job.join(10)


class Pool:
    """The latest crops, from which batches are drawn; the oldest give way to new ones."""

    def __init__(self, capacity: int, seed: int) -> None:
        """Reserve room for `capacity` crops."""
        self.images = np.zeros((capacity, SIDE, SIDE, 3), np.uint8)
        self.plates = np.zeros((capacity, MOST_BOXES, 4), np.float32)
        self.unknown = np.zeros((capacity, MOST_BOXES, 4), np.float32)
        self.rng = np.random.default_rng((seed, 77))
        self.added = 0

    def add(self, scene: Scene) -> None:
        """Put a crop in the place of the oldest."""
        slot = self.added % len(self.images)
        self.images[slot] = scene.image
        self.plates[slot], self.unknown[slot] = _padded(scene.plates), _padded(scene.unknown)
        self.added += 1

    def batch(self, size: int) -> Batch:
        """Draw crops at random."""
        index = self.rng.integers(min(self.added, len(self.images)), size=size)
        return Batch(*(torch.from_numpy(part[index]) for part in (self.images, self.plates, self.unknown)))


def _padded(boxes: Boxes) -> Boxes:
    """Cut or pad a list of boxes to 16 rows."""
    rows = np.zeros((MOST_BOXES, 4), np.float32)
    kept = boxes[:MOST_BOXES]
    rows[: len(kept)] = kept
    return rows
