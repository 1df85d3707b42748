"""Write the served model as ONNX, and refuse to if onnxruntime disagrees with torch."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import nn

from .arrays import Floats, Pixels

log = logging.getLogger(__name__)

OPSET = 17
SIZES = ((1, 64, 64), (1, 640, 640), (2, 320, 480), (3, 32, 32))
PIXELS_APART, SCORES_APART = 0.5, 2e-3
AXES = {"image": {0: "n", 1: "height", 2: "width"}, "boxes": {0: "n", 1: "answers"}, "scores": {0: "n", 1: "answers"}}


class ExportError(Exception):
    """The written model does not do what the trained one does."""


@dataclass(frozen=True)
class Notes:
    """What the file says about itself."""

    recommended_threshold: float
    recommended_dilation: float
    trained_on: str
    version: str


def export(served: nn.Module, path: Path, notes: Notes) -> None:
    """Write, annotate and check the model."""
    served.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, 128, 160, 3, dtype=torch.uint8)
    torch.onnx.export(
        served, (example,), path, opset_version=OPSET, dynamo=False,
        input_names=["image"], output_names=["boxes", "scores"], dynamic_axes=AXES,
    )  # fmt: skip
    _annotate(path, notes)
    verify(served, path)
    log.info("%s: %.2f MB", path, path.stat().st_size / 1e6)


def _annotate(path: Path, notes: Notes) -> None:
    """Put the notes into the file's metadata and check the graph."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {name: str(value) for name, value in vars(notes).items()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def verify(served: nn.Module, path: Path) -> None:
    """Compare both on random pictures of several sizes."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(5)
    for count, height, width in SIZES:
        image = _picture(rng, count, height, width)
        _compare(served, session, image)


def _picture(rng: np.random.Generator, count: int, height: int, width: int) -> Pixels:
    """Return blocks of random colour, which make the detector answer something."""
    blocks = rng.integers(0, 256, (count, height // 16, width // 16, 3), dtype=np.uint8)
    return np.asarray(blocks.repeat(16, axis=1).repeat(16, axis=2), np.uint8)


@torch.inference_mode()
def _compare(served: nn.Module, session: ort.InferenceSession, image: Pixels) -> None:
    """Raise unless scores and boxes agree."""
    boxes, scores = (np.asarray(part.numpy(), np.float32) for part in served(torch.from_numpy(image)))
    other_boxes, other_scores = session.run(None, {"image": image})
    _agree("scores", scores, other_scores, SCORES_APART)
    order = [np.lexsort((box[:, 0], box[:, 1])) for box in boxes]
    again = [np.lexsort((box[:, 0], box[:, 1])) for box in other_boxes]
    for index, (first, second) in enumerate(zip(order, again, strict=True)):
        _agree("boxes", boxes[index][first], other_boxes[index][second], PIXELS_APART)


def _agree(what: str, first: Floats, second: Floats, limit: float) -> None:
    apart = float(np.abs(first - second).max())
    if first.shape != second.shape or apart > limit:
        message = f"{what} differ by {apart:.4f} between torch and onnxruntime"
        raise ExportError(message)
