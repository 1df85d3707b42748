"""Measure an exported model on annotated sets it has never seen."""

import json
import logging
import runpy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort

from .arrays import Boxes, Floats, Pixels, grow
from .sources import read_image, read_lines

log = logging.getLogger(__name__)

TILE, LAP = 1280, 128
PRACTICAL = 0.05
SAME = 0.5

Score = Callable[[list[dict[str, Any]], list[dict[str, Any]], str], dict[str, Any]]


@dataclass(frozen=True)
class Trial:
    """One set, looked at in one way: plates shrunk to a height (0: as they are), the input enlarged or not."""

    folder: Path
    height: int = 0
    enlarge: int = 1

    @property
    def name(self) -> str:
        """Short title of the trial."""
        return f"{self.folder.name} {self.height or 'native'}{' px' if self.height else ''} x{self.enlarge}"


@dataclass(frozen=True)
class Seen:
    """A picture's annotation and what was detected: boxes in its pixels, and scores."""

    annotation: dict[str, Any]
    boxes: Boxes
    scores: Floats


def session(model: Path, threads: int = 1) -> ort.InferenceSession:
    """Open a model for the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def look(model: ort.InferenceSession, trial: Trial) -> list[Seen]:
    """Detect in every picture of a set."""
    return [_look(model, trial, row) for row in read_lines(trial.folder / "annotations.jsonl")]


def _look(model: ort.InferenceSession, trial: Trial, row: dict[str, Any]) -> Seen:
    """Shrink one picture as the trial says, then detect in it, enlarged or not."""
    image = read_image(trial.folder / row["image"])
    plates = row.get("plates", [])
    scale = min(trial.height / float(np.median([p[3] for p in plates])), 1.0) if trial.height and plates else 1.0
    small = _resized(image, scale)
    boxes, scores = detect(model, _resized(small, trial.enlarge))
    moved = {key: [[v * scale for v in box] for box in row.get(key, [])] for key in ("plates", "ignore")}
    return Seen({"image": row["image"], **moved}, np.asarray(boxes / trial.enlarge, np.float32), scores)


def _resized(image: Pixels, scale: float) -> Pixels:
    if scale == 1:
        return image
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), np.uint8)


def detect(model: ort.InferenceSession, image: Pixels) -> tuple[Boxes, Floats]:
    """Detect in overlapping tiles and join the answers."""
    step = TILE - LAP
    tops = range(0, max(image.shape[0] - LAP, 1), step)
    lefts = range(0, max(image.shape[1] - LAP, 1), step)
    parts = [_tile(model, image, top, left) for top in tops for left in lefts]
    boxes, scores = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    keep = cv2.dnn.NMSBoxes(
        np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist(), scores.tolist(), PRACTICAL, SAME
    )
    chosen = np.asarray(keep, int).reshape(-1)
    return boxes[chosen], scores[chosen]


def _tile(model: ort.InferenceSession, image: Pixels, top: int, left: int) -> tuple[Boxes, Floats]:
    """Run one tile, padded to multiples of 32."""
    tile = image[top : top + TILE, left : left + TILE]
    padded = np.pad(tile, ((0, -tile.shape[0] % 32), (0, -tile.shape[1] % 32), (0, 0)))
    boxes, scores = (part[0] for part in model.run(["boxes", "scores"], {"image": padded[None]}))
    kept = scores > PRACTICAL
    return boxes[kept] + np.array([left, top, left, top], np.float32), scores[kept]


def judge(score: Score, seen: list[Seen], threshold: float, dilation: float) -> dict[str, Any]:
    """Score the answers above a threshold, grown by the dilation."""
    annotations = [one.annotation for one in seen]
    return score(annotations, [_answer(one, threshold, dilation) for one in seen], "plates")


def _answer(one: Seen, threshold: float, dilation: float) -> dict[str, Any]:
    kept = one.scores >= threshold
    boxes = grow(one.boxes[kept], dilation)
    rows = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], one.scores[kept]]).tolist()
    return {"image": one.annotation["image"], "plates": rows}


def evaluate(model: Path, trials: list[Trial], thresholds: list[float], dilation: float, yardstick: Path, out: Path) -> None:
    """Run every trial and write one line per trial and threshold."""
    score: Score = runpy.run_path(str(yardstick))["score"]
    network = session(model, threads=2)
    with out.open("w") as report:
        for trial in trials:
            seen = look(network, trial)
            for threshold in thresholds:
                result = judge(score, seen, threshold, dilation)
                log.info("%s > %.2f: %s", trial.name, threshold, _brief(result))
                line = {"trial": trial.name, "threshold": threshold, **result}
                report.write(json.dumps(line) + "\n")


def _brief(result: dict[str, Any]) -> str:
    """Sum a result up in one line."""
    return f"n {result['objects']} covered {result['covered']} found {result['found']} false/image {result['false_per_image']}"


def pace(model: Path, side: int = 1024, runs: int = 5) -> float:
    """Return milliseconds a megapixel on one thread, the best of several runs."""
    network, image = session(model), np.zeros((1, side, side, 3), np.uint8)
    best = min(_timed(network, image) for _ in range(runs))
    return best * 1e3 / (side * side / 1e6)


def _timed(network: ort.InferenceSession, image: Pixels) -> float:
    began = time.perf_counter()
    network.run(None, {"image": image})
    return time.perf_counter() - began
