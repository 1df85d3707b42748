"""A real Triton whose models answer from memory what the real ones said of the same pictures: as quick as a GPU, or quicker.

With inference on the CPU the anonymizer waits nine tenths of its time, and what runs while it waits (a JVM that polls) would count as
much as its work. Whatever else a panorama costs is as it is with any Triton: the same requests, pictures and answers.
"""

import hashlib
import itertools
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV, Stack, start_triton
from panoveil.detection import KINDS, Detections, Detector, Images, Kind, street

_MODEL = Path(__file__).with_name("model.py")
_SPARSE = 29
"""A thousandth of a picture's pixels tell it apart from others; model.py knows the number too."""

_INSTANCES = 2
_WARMUP = re.compile(r"^model_warmup \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)

Key = tuple[Kind, str]


def key_of(kind: Kind, picture: Any) -> Key:
    """Return what tells uint8 [H, W, 3] apart from other pictures."""
    digest = hashlib.sha256(repr(picture.shape).encode() + picture[::_SPARSE, :: _SPARSE + 2].tobytes())
    return kind, digest.hexdigest()


@dataclass
class Memorised:
    """Answers as the detector did, from memory; asks it where it has not been asked yet. Without one, that is a KeyError."""

    detector: Detector | None = None
    answers: dict[Key, Detections] = field(default_factory=dict)
    interruptions: int = 0

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        """Return what the detector said of the same images."""
        keys = [key_of(kind, image) for image in images]
        if self.detector and any(key not in self.answers for key in keys):
            self.answers |= dict(zip(keys, await self.detector.detect(kind, images), strict=True))
        return [self.answers[key] for key in keys]

    async def prove(self, since: int | None = None) -> None:
        """Believe it."""

    async def learn_golden(self) -> None:
        """Ask about the golden picture in the sizes in which a service shows it, one to every instance of a model."""
        for kind, extra in itertools.product(KINDS, range(_INSTANCES)):
            await self.detect(kind, np.pad(street().picture, ((0, 0), (0, 32 * extra), (0, 0)), mode="edge")[None])


def write_repository(folder: Path, answers: Mapping[Key, Detections]) -> Path:
    """Write models into `folder` that know the answers and nothing else; return it. They call themselves what the real ones do."""
    for kind in KINDS:
        version = folder / kind / "1"
        version.mkdir(parents=True)
        shutil.copy(MODELS / kind / "1" / "model.onnx", version)  # never opened: its hash is in the recipe
        shutil.copy(_MODEL, version)
        (folder / kind / "config.pbtxt").write_text(_config((MODELS / kind / "config.pbtxt").read_text()))
        np.savez(version / "answers.npz", **_arrays(found for found in answers.items() if found[0][0] == kind))
    return folder


def _config(text: str) -> str:
    """Return a real model's configuration for the python backend, without the warm-up: nobody was asked about a black picture."""
    return _WARMUP.sub("", text.replace('"onnxruntime"', '"python"'))


def _arrays(answers: Iterable[tuple[Key, Detections]]) -> dict[str, Any]:
    return {key: np.column_stack([found.boxes, found.scores]).astype(np.float32) for (_, key), found in answers}


async def start_recalled(stack: Stack, repository: Path) -> None:
    """Start a Triton on these models where the stack's own was; the stack stops it at its end."""
    was = stack.triton
    state = stack.folder / "recalled"
    server = triton.command(repository, TRITON_VENV, state, was.grpc_port, was.http_port, was.metrics_port)
    stack.processes["triton"] = start_triton(server, state)
    await triton.wait_ready(server.http_port, lambda: stack.processes["triton"].running)
