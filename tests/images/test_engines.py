"""What runs the models on a CPU: either engine answers alike, and refuses what a GPU's backend would refuse."""

import asyncio
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from console.stack import triton
from panoveil.contracts.errors import Unavailable
from panoveil.detection import KINDS, Detections, DetectorSettings, Kind, TritonDetector, street
from tests.images import standins

ROOT = Path(__file__).resolve().parents[2]
VENV, MODELS = ROOT / ".venv-triton", ROOT / "triton_models"
ENGINES = ("onnxruntime", "openvino")
SURE = 0.5

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not (MODELS / "face" / "1" / "model.onnx").exists(), reason="the face model is not built: make setup"),
    pytest.mark.skipif(not VENV.exists(), reason="Triton is not installed: make setup"),
]


async def answers(repository: Path, state: Path) -> dict[Kind, Detections]:
    async with (
        triton.running(repository, VENV, state) as server,
        TritonDetector.of(DetectorSettings(triton_url=server.grpc_url)) as detector,
    ):
        return {kind: (await detector.detect(kind, street().picture[None]))[0].above(SURE) for kind in KINDS}


def with_engine(repository: Path, engine: str) -> Path:
    for config in repository.glob("*/config.pbtxt"):
        text, count = re.subn(r'(key: "cpu_engine" value: \{ string_value: )"\w+"', rf'\1"{engine}"', config.read_text())
        assert count == 1
        config.write_text(text)
    return repository


async def test_the_shipped_models_answer_alike_in_either_engine(tmp_path: Path) -> None:
    found = {}
    for engine in ENGINES:
        repository = shutil.copytree(MODELS, tmp_path / engine, ignore=shutil.ignore_patterns("training", "*.md"))
        found[engine] = await answers(with_engine(repository, engine), tmp_path / f"{engine}-state")
    for kind in KINDS:
        one, other = (found[engine][kind] for engine in ENGINES)
        assert len(one.boxes) == len(other.boxes) > 0
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1.0)
        np.testing.assert_allclose(one.scores, other.scores, atol=0.1)


@pytest.mark.parametrize("engine", ENGINES)
async def test_requests_that_are_answered_together_get_each_its_own_answer(tmp_path: Path, engine: str) -> None:
    chosen = f'parameters {{ key: "cpu_engine" value: {{ string_value: "{engine}" }} }}\n'
    patient = "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 500000 }\n"
    repository = standins.repository(tmp_path / "models", chosen + patient)
    pictures = [np.roll(standins.golden().picture, 10 * number, axis=1)[None] for number in range(4)]
    async with (
        triton.running(repository, VENV, tmp_path / "state") as server,
        TritonDetector(server.grpc_url, golden=standins.golden()) as detector,
    ):
        found = await asyncio.gather(*(detector.detect("face", picture) for picture in pictures))
    left = [detections.boxes[0, 0] for (detections,) in found]
    assert left == [40, 50, 60, 70]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("promise", "instead", "complaint"),
    [
        ("dims: [ 1, 4 ]", "dims: [ 2, 4 ]", r"has dims \[-1, 2, 4\] in config.pbtxt and \[-1, 1, 4\]"),
        ('"scores" data_type: TYPE_FP32', '"scores" data_type: TYPE_FP16', "is TYPE_FP16 in config.pbtxt and TYPE_FP32"),
        ('name: "scores"', 'name: "certainty"', "differ between config.pbtxt and the ONNX"),
    ],
)
async def test_what_the_file_does_not_keep_is_refused(
    tmp_path: Path, engine: str, promise: str, instead: str, complaint: str
) -> None:
    chosen = f'parameters {{ key: "cpu_engine" value: {{ string_value: "{engine}" }} }}\n'
    repository = standins.repository(tmp_path / "models", chosen)
    config = repository / "plate" / "config.pbtxt"
    assert promise in config.read_text()
    config.write_text(config.read_text().replace(promise, instead))
    assert re.search(complaint, await refusal(repository, tmp_path / "state"))


async def test_an_engine_that_there_is_not(tmp_path: Path) -> None:
    repository = standins.repository(tmp_path / "models", 'parameters { key: "cpu_engine" value: { string_value: "abacus" } }\n')
    assert "there is no cpu_engine 'abacus', but ['onnxruntime', 'openvino']" in await refusal(repository, tmp_path / "state")


async def refusal(repository: Path, state: Path) -> str:
    with pytest.raises(Unavailable, match="ended before it was ready"):
        async with triton.running(repository, VENV, state):
            pytest.fail("it serves what it should refuse")
    return (state / "triton.log").read_text()
