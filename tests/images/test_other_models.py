"""Other models than the shipped ones, with other names, another K, other thresholds and a limit of size: by settings alone."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from console.preflight import served
from console.stack import triton
from console.stack.triton_stamp import main as stamp
from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.detection import KINDS, Kind, TritonDetector, street
from services.anonymizer.app import recipe_of
from services.anonymizer.settings import AnonymizerSettings

ROOT = Path(__file__).resolve().parents[2]
VENV, MODELS = ROOT / ".venv-triton", ROOT / "triton_models"
NAMES: dict[Kind, str] = {"face": "our_faces", "plate": "nordic_plates"}
K = 7

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not (MODELS / "face" / "1" / "model.onnx").exists(), reason="the face model is not built: make setup"),
    pytest.mark.skipif(not VENV.exists(), reason="Triton is not installed: make setup"),
]


def with_k(model: onnx.ModelProto, k: int) -> onnx.ModelProto:
    """The same model with only its k best answers."""
    graph = model.graph
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name in {"boxes", "scores"}:
                    names[place] = f"all_{name}"
    for name, values in {"k_first": [0], "k_last": [k], "k_axis": [1]}.items():
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
    for name in ("boxes", "scores"):
        graph.node.append(helper.make_node("Slice", [f"all_{name}", "k_first", "k_last", "k_axis"], [name]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", k, 4]))
    graph.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", k]))
    return model


@pytest.fixture(scope="module", name="repository")
def a_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for kind, name in NAMES.items():
        (folder / name / "1").mkdir(parents=True)
        config = (MODELS / kind / "config.pbtxt").read_text()
        config = re.sub(r"\b256\b", str(K), config).replace(f'name: "{kind}"', f'name: "{name}"')
        (folder / name / "config.pbtxt").write_text(config)
        onnx.save(with_k(onnx.load(MODELS / kind / "1" / "model.onnx"), K), folder / name / "1" / "model.onnx")
    stamp([str(folder)])
    return folder


async def test_other_models_by_settings_alone(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {
        "FACE_MODEL": NAMES["face"], "FACE_THRESHOLD": "0.25", "FACE_LONGEST_SIDE": "640",
        "PLATE_MODEL": NAMES["plate"], "PLATE_THRESHOLD": "0.45",
    }  # fmt: skip
    wide = np.concatenate([np.full((320, 704, 3), 120, np.uint8), street().picture], axis=1)[None]
    async with triton.running(repository, VENV, tmp_path / "state") as server:
        with pytest.raises(Misconfigured, match="refuses the model 'face'"):
            await served(server.grpc_url)
        for name, value in chosen.items():
            monkeypatch.setenv(f"PANOVEIL_{name}", value)
        settings = AnonymizerSettings(triton_url=server.grpc_url)
        assert [facts.name for facts in await served(server.grpc_url)] == [NAMES[kind] for kind in KINDS]
        async with TritonDetector.of(settings) as detector:
            recipe = await recipe_of(settings, detector)()
            found = {kind: (await detector.detect(kind, wide))[0] for kind in KINDS}
        monkeypatch.setenv("PANOVEIL_FACE_THRESHOLD", "1.0")
        with pytest.raises(Unavailable, match="golden picture"):
            await served(server.grpc_url)
    assert (recipe.face.name, recipe.face.threshold, recipe.face.longest_side) == (NAMES["face"], 0.25, 640)
    assert (recipe.plate.name, recipe.plate.threshold, recipe.plate.longest_side) == (NAMES["plate"], 0.45, None)
    for kind, seen in found.items():
        assert 0 < seen.scores.size <= 2 * K
        assert street().is_found(kind, seen.boxes - np.array([704, 0, 704, 0], np.float32), seen.scores)
