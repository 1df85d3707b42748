"""The Triton that answers from memory: what it is told is what it says, and it knows nothing else."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.load.recalled import Memorised, key_of, write_repository
from console.stack.stack import MODELS
from console.stack.triton_stamp import stamped
from panoveil.detection import KINDS, Detections, Images, Kind

PICTURE = np.arange(96 * 64 * 3, dtype=np.uint8).reshape(96, 64, 3)
FOUND = Detections(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32), np.array([0.9, 0.5], np.float32))


class Counting:
    """A detector that finds the same everywhere and counts who asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.interruptions = 0

    async def detect(self, _kind: Kind, images: Images) -> list[Detections]:
        self.asked += 1
        return [FOUND for _ in images]

    async def prove(self, since: int | None = None) -> None: ...


@pytest.fixture(name="model")
def a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The face model as Triton would load it."""
    backend = ModuleType("triton_python_backend_utils")
    vars(backend).update(
        Tensor=lambda name, array: SimpleNamespace(name=name, array=array),
        TritonError=str,
        InferenceResponse=lambda output_tensors=None, error=None: SimpleNamespace(tensors=output_tensors, error=error),
        get_input_tensor_by_name=lambda request, name: SimpleNamespace(as_numpy=lambda: request[name]),
    )
    monkeypatch.setitem(sys.modules, backend.__name__, backend)
    repository = write_repository(tmp_path / "models", {key_of("face", PICTURE): FOUND})
    module = importlib.import_module("benchmarks.load.recalled.model")
    monkeypatch.delitem(sys.modules, module.__name__)
    model = module.TritonPythonModel()
    output = {"output": [{"name": "boxes", "dims": [256, 4]}, {"name": "scores", "dims": [256]}]}
    model.initialize({"model_repository": str(repository / "face"), "model_version": "1", "model_config": json.dumps(output)})
    return model


def test_a_model_says_what_it_was_told_padded_to_its_shape(model: Any) -> None:
    (answer,) = model.execute([{"image": np.stack([PICTURE, PICTURE])}])
    boxes, scores = answer.tensors
    assert boxes.array.shape == (2, 256, 4)
    np.testing.assert_array_equal(boxes.array[1, :2], FOUND.boxes)
    np.testing.assert_array_equal(scores.array[0], [*FOUND.scores, *[0] * 254])


def test_of_another_picture_a_model_says_nothing(model: Any) -> None:
    (answer,) = model.execute([{"image": PICTURE[None] + np.uint8(1)}])
    assert answer.tensors is None
    assert "nobody told" in answer.error


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_called_and_hashed_as_the_real_one(kind: Kind, tmp_path: Path) -> None:
    folder = write_repository(tmp_path / "models", {}) / kind
    config = (folder / "config.pbtxt").read_text()
    assert 'backend: "python"' in config
    assert f'name: "{kind}"' in config
    assert "model_warmup" not in config
    assert stamped(folder / "config.pbtxt") == stamped(MODELS / kind / "config.pbtxt")
    assert config.count("[") == config.count("]")


async def test_a_picture_is_asked_about_once_for_each_kind() -> None:
    detector = Counting()
    memory = Memorised(detector)
    for _ in range(2):
        for kind in KINDS:
            assert await memory.detect(kind, PICTURE[None]) == [FOUND]
    assert detector.asked == len(KINDS)


def test_pictures_of_another_shape_are_other_pictures() -> None:
    assert key_of("face", PICTURE) != key_of("face", PICTURE.reshape(64, 96, 3))
