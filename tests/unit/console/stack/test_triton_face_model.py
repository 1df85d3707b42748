"""The patched face model against a plain numpy reading of the network's own heads, computed by ONNX's reference evaluator."""

import hashlib

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from console.stack import triton_face_model as face
from console.stack.triton_stamp import REPOSITORY, stamped
from panoveil.contracts.errors import Unavailable

needs_model = pytest.mark.skipif(
    not face.TARGET.exists(), reason="the face model is not built: python -m console.stack.triton_face_model"
)


def heads(image: np.ndarray) -> dict[str, np.ndarray]:
    model = onnx.load(face.TARGET)
    names = ["boxes", "scores", face.HEATMAP, face.SCALE, face.OFFSET]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names[2:])
    return dict(zip(names, ReferenceEvaluator(model).run(None, {"image": image}), strict=True))


def decoded(heat: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> list[tuple[float, ...]]:
    """Every local maximum of one picture's heads [1 or 2, h, w] as (score, x0, y0, x1, y1), best first."""
    _, rows, columns = heat.shape
    found = []
    for row in range(rows):
        for column in range(columns):
            score = heat[0, row, column]
            if score < heat[0, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max():
                continue
            high, wide = np.exp(scale[:, row, column]) * 4
            y, x = (np.array([row, column]) + offset[:, row, column] + 0.5) * 4
            found.append((
                score, max(x - wide / 2, 0), max(y - high / 2, 0), min(x + wide / 2, columns * 4), min(y + high / 2, rows * 4),
            ))  # fmt: skip
    return sorted(found, reverse=True)


@needs_model
@pytest.mark.parametrize(("height", "width"), [(32, 64), (64, 96)])
def test_decoding_in_the_graph_equals_decoding_in_numpy(height: int, width: int) -> None:
    image = np.random.default_rng(5).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    out = heads(image)
    assert out["boxes"].shape == (2, 256, 4)
    for index in range(2):
        expected = np.array(decoded(*(out[name][index] for name in (face.HEATMAP, face.SCALE, face.OFFSET))))
        count = len(expected)
        assert np.allclose(out["scores"][index][:count], expected[:, 0], atol=1e-6)
        assert np.allclose(out["boxes"][index][:count], expected[:, 1:], atol=1e-3)
        assert not out["scores"][index][count:].any()
        assert not out["boxes"][index][count:].any()


@needs_model
def test_the_model_is_the_one_that_was_tested_and_its_configuration_says_so() -> None:
    assert face.sha256(face.TARGET) == face.MODEL_SHA256
    assert stamped(REPOSITORY / "face" / "config.pbtxt") == face.MODEL_SHA256


@needs_model
def test_the_network_is_all_there_but_the_landmarks() -> None:
    model = onnx.load(face.TARGET)
    operators = [node.op_type for node in model.graph.node]
    assert (operators.count("Conv"), operators.count("ConvTranspose"), operators.count("Relu")) == (59, 3, 42)
    assert model.opset_import[0].version == 17
    assert face.LANDMARKS not in {name for node in model.graph.node for name in node.output}


def test_a_model_that_is_there_is_not_built_again(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "sha256", lambda _: face.MODEL_SHA256)
    monkeypatch.setattr(face, "fetched_network", pytest.fail)
    assert face.main([f"{tmp_path}/model.onnx"]) == 0


@pytest.mark.servers
def test_the_builder_changes_no_weight_and_gives_the_same_bytes_each_time() -> None:
    try:
        network = face.fetched_network()
    except Unavailable as error:
        pytest.skip(str(error))
    first, second = (face.wrapped(network) for _ in range(2))
    assert hashlib.sha256(first.SerializeToString(deterministic=True)).hexdigest() == face.MODEL_SHA256
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    kept = {tensor.name: tensor.raw_data for tensor in first.graph.initializer}
    used = {tensor.name: tensor.raw_data for tensor in network.graph.initializer if tensor.name in kept}
    assert len(used) > 100
    assert all(kept[name] == data for name, data in used.items())
    bodies = [
        [node for node in model.graph.node if node.op_type in {"Conv", "ConvTranspose", "Relu"}] for model in (first, network)
    ]
    assert bodies[0] == [node for node in bodies[1] if face.LANDMARKS not in node.output]
