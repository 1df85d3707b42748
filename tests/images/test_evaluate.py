"""`panoveil evaluate` with the shipped models behind a real Triton."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from console.evaluate.folder import Wish, evaluate_folder
from console.evaluate.simulated import Scene, evaluate_simulated
from console.pictures import Running
from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV
from panoveil.detection import street
from panoveil.pixels import jpeg

pytestmark = [
    pytest.mark.servers,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not (MODELS / "face" / "1" / "model.onnx").exists(), reason="the face model is not built: make setup"),
    pytest.mark.skipif(not (MODELS / "plate" / "1" / "model.onnx").exists(), reason="the plate model is not there"),
    pytest.mark.skipif(not TRITON_VENV.exists(), reason="Triton is not installed: make setup"),
]

QUIET = Console(quiet=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A Triton with the shipped models."""
    async with triton.running(MODELS, TRITON_VENV, tmp_path_factory.mktemp("triton")) as server:
        yield Running(server.grpc_url, "fast")


async def test_the_golden_picture_is_covered(running: Running, tmp_path: Path) -> None:
    golden = street()
    height, width = golden.picture.shape[:2]
    boxes = {f"{kind}s": [[float(v) for v in (x0, y0, x1 - x0, y1 - y0)]] for kind, (x0, y0, x1, y1) in golden.boxes.items()}
    line: dict[str, Any] = {"image": "images/golden.jpg", "width": width, "height": height, **boxes}
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "golden.jpg").write_bytes(jpeg.encode(golden.picture, 95))
    (tmp_path / "annotations.jsonl").write_text(json.dumps(line))
    result = await evaluate_folder(Wish(tmp_path, running=running), QUIET)
    assert result.complete
    assert {name: score.recall.covered.share for name, score in result.classes.items()} == {"faces": 1, "plates": 1}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["annotations.jsonl", "golden.jpg", "images"]


async def test_the_virtual_car_finds_faces_across_the_wrap_and_draws_them(running: Running, tmp_path: Path) -> None:
    result = await evaluate_simulated(Scene(captures=1, width=2048, seed=1), running, tmp_path / "drawn", QUIET)
    assert {one.place for one in result.judged} == {"wrap", "seam", "elsewhere"}
    assert result.rate("face").hits > 0
    assert result.boxes > 0
    drawn = jpeg.decode((tmp_path / "drawn" / "000000.jpg.jpg").read_bytes())
    assert drawn.shape == (1024, 2048, 3)
