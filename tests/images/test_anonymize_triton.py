"""The anonymizer against a real Triton: the golden picture, a killed server, a crashed instance, a model that talks nonsense."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from console.anonymize import anonymize_folder
from console.stack import triton
from console.stack.processes import Process
from console.stack.triton_stamp import main as stamp
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.recipe import Model
from panoveil.detection import KINDS, Detections, Golden, Retry, TritonDetector, street
from panoveil.pixels import jpeg
from services.anonymizer.app import recipe_of
from services.anonymizer.settings import AnonymizerSettings

ROOT = Path(__file__).resolve().parents[2]
SHM = Path("/dev/shm")  # noqa: S108 - Triton puts its regions there
VENV, MODELS = ROOT / ".venv-triton", ROOT / "triton_models"

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not (MODELS / "face" / "1" / "model.onnx").exists(), reason="the face model is not built: make setup"),
    pytest.mark.skipif(not VENV.exists(), reason="Triton is not installed: make setup"),
]

_CONFIG = """
name: "plate"
backend: "onnxruntime"
max_batch_size: 8
input [ { name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] } ]
output [ { name: "boxes" data_type: TYPE_FP32 dims: [ 1, 4 ] }, { name: "scores" data_type: TYPE_FP32 dims: [ 1 ] } ]
instance_group [ { count: 1 kind: KIND_AUTO } ]
"""


def constant_model(box: tuple[float, ...], score: float) -> onnx.ModelProto:
    """A plate model that gives the same answer to every picture, one picture at a time."""
    tensors = {"box": np.array([[box]], np.float32), "score": np.array([[score]], np.float32), "zero": np.array(0, np.float32)}
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Squeeze", ["mean", "last"], ["mean_1"]),
        helper.make_node("Mul", ["mean_1", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "box"], ["boxes"]),
        helper.make_node("Squeeze", ["nothing", "one"], ["nothing_1"]),
        helper.make_node("Add", ["nothing_1", "score"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 1, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1]),
        ],
        [
            *(numpy_helper.from_array(value, name) for name, value in tensors.items()),
            *(numpy_helper.from_array(np.array([at], np.int64), name) for name, at in (("last", 3), ("one", 1))),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def repository(folder: Path, plate: onnx.ModelProto) -> Path:
    """The real face model beside a plate model of our own."""
    shutil.copytree(MODELS / "face", folder / "face")
    (folder / "plate" / "1").mkdir(parents=True)
    (folder / "plate" / "config.pbtxt").write_text(_CONFIG)
    onnx.save(plate, folder / "plate" / "1" / "model.onnx")
    stamp([str(folder)])
    return folder


def golden() -> Golden:
    return street()


def stand_in() -> onnx.ModelProto:
    return constant_model(golden().boxes["plate"], 0.9)


@asynccontextmanager
async def detector_at(url: str) -> AsyncIterator[TritonDetector]:
    async with TritonDetector(url, deadline=60, retry=Retry(attempts=1)) as detector:
        yield detector


async def test_the_face_is_found_by_the_model_as_it_is_served(tmp_path: Path) -> None:
    served = repository(tmp_path / "models", stand_in())
    async with triton.running(served, VENV, tmp_path / "state") as server, detector_at(server.grpc_url) as detector:
        facts = await detector.facts()
        (found,) = await detector.detect("face", golden().picture[None])
    assert {facts[kind].name for kind in KINDS} == {"face", "plate"}
    assert golden().is_found("face", found.boxes, found.scores)
    assert not list(SHM.glob(f"{server.shm_prefix}*"))


@pytest.mark.skipif(not (MODELS / "plate" / "1" / "model.onnx").exists(), reason="the plate model is not there")
async def test_both_shipped_models_see_the_golden_picture_and_a_batch(tmp_path: Path) -> None:
    async with triton.running(MODELS, VENV, tmp_path / "state") as server, detector_at(server.grpc_url) as detector:
        await detector.prove()
        pair = np.stack([golden().picture, np.zeros_like(golden().picture)])
        found = {kind: await detector.detect(kind, pair) for kind in KINDS}
    for kind, (seen, blank) in found.items():
        assert golden().is_found(kind, seen.boxes, seen.scores)
        assert not (blank.scores > 0.2).any()


async def test_a_killed_server_is_unavailable_and_works_again_once_it_is_back(tmp_path: Path) -> None:
    served = repository(tmp_path / "models", stand_in())
    first = triton.command(served, VENV, tmp_path / "first")
    process = Process.start("first", first.argv, first.env, tmp_path)
    try:
        await triton.wait_ready(first.http_port, lambda: process.running)
        stubs = psutil.Process(process.popen.pid).children(recursive=True)
        async with detector_at(first.grpc_url) as detector:
            await detector.prove()
            process.popen.send_signal(signal.SIGKILL)
            process.popen.wait()
            await _ended(stubs)
            assert not list(SHM.glob(f"{first.shm_prefix}*"))
            with pytest.raises(Unavailable):
                await detector.detect("face", golden().picture[None])
            again = triton.command(served, VENV, tmp_path / "second", grpc_port=first.grpc_port)
            process = Process.start("second", again.argv, again.env, tmp_path)
            await triton.wait_ready(again.http_port, lambda: process.running)
            (found,) = await _answered(detector)
            assert golden().is_found("face", found.boxes, found.scores)
    finally:
        process.stop(8)


async def _answered(detector: TritonDetector, attempts: int = 40) -> list[Detections]:
    """Ask until the channel has noticed that its server is back."""
    for _ in range(attempts):
        try:
            return await detector.detect("face", golden().picture[None])
        except Unavailable:
            await _connected(detector)
    return await detector.detect("face", golden().picture[None])


async def _connected(detector: TritonDetector) -> None:
    channel = detector._client._channel
    # It may have become ready since the last failure, and would not change again.
    if (state := channel.get_state(try_to_connect=True)).name != "READY":
        await channel.wait_for_state_change(state)


def _stubs() -> list[psutil.Process]:
    """The processes that run the models."""
    return [member for member in psutil.Process().children(recursive=True) if "stub" in member.name()]


async def _ended(processes: list[psutil.Process]) -> None:
    """Return once none of them runs; a zombie whose parent is gone may stay for long."""
    async with asyncio.timeout(120):
        while any(map(_runs, processes)):  # noqa: ASYNC110 - it looks at other processes
            await asyncio.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_crashed_instance_is_loaded_anew(tmp_path: Path) -> None:
    served = repository(tmp_path / "models", stand_in())
    async with triton.running(served, VENV, tmp_path / "state") as server, detector_at(server.grpc_url) as detector:
        await detector.prove()
        crashed = _stubs()
        for stub in crashed:
            stub.kill()
        await _ended(crashed)
        (found,) = await _answered(detector)
        fresh = {stub.pid for stub in _stubs()}
    assert crashed
    assert fresh - {stub.pid for stub in crashed}
    assert golden().is_found("face", found.boxes, found.scores)


@pytest.mark.parametrize(
    ("box", "score"),
    [((189.0, 209.0, 261.0, 225.0), 0.0), ((189.0, 209.0, 261.0, 225.0), float("nan")), ((1e6, 0.0, 2e6, 10.0), 0.9)],
    ids=["blind", "not a number", "far outside"],
)
async def test_nothing_is_published_on_nonsense(tmp_path: Path, box: tuple[float, ...], score: float) -> None:
    served = repository(tmp_path / "models", constant_model(box, score))
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.jpg").write_bytes(jpeg.encode(golden().picture, 95))
    settings = AnonymizerSettings()
    model = Model(name="any", version="1", sha256="", threshold=0.5)
    async with triton.running(served, VENV, tmp_path / "state") as server, detector_at(server.grpc_url) as detector:
        with pytest.raises(Unavailable, match=r"nonsense|golden"):
            await anonymize_folder(
                source, target, tmp_path / "report.jsonl", detector, settings.recipe(model, model), lambda _: None
            )
        with pytest.raises(Unavailable):
            await recipe_of(settings, detector)()
    assert not target.exists()
