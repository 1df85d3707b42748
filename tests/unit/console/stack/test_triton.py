import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.stack import triton, triton_stamp
from panoveil.contracts.errors import Misconfigured, Unavailable

GOOD: dict[str, Any] = {
    "python": "3.11", "numpy": "1.26.4", "onnxruntime": "1.20.0", "openvino": "2026.4.1", "pytriton": "0.7.0", "site": "/nowhere", "libdir": "",
    "libpython": True, "glibc": "glibc 2.36",
}  # fmt: skip


@pytest.fixture(name="probe")
def a_probe(tmp_path: Path) -> dict[str, Any]:
    stub = tmp_path / "pytriton" / "tritonserver" / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
    stub.parent.mkdir(parents=True)
    stub.touch()
    return GOOD | {"site": str(tmp_path)}


def test_a_good_environment_has_no_problem(probe: dict[str, Any]) -> None:
    assert triton._environment_problems(probe) == []


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ({"numpy": "2.1.0"}, "numpy 2.1.0", "uv sync --frozen --extra triton-cpu"),
        ({"numpy": ""}, "numpy (none)", "uv sync --frozen --extra triton-cpu"),
        ({"onnxruntime": ""}, "no onnxruntime", "uv sync --frozen --extra triton-cpu"),
        ({"openvino": ""}, "no openvino", "uv sync --frozen --extra triton-cpu"),
        ({"pytriton": ""}, "no nvidia-pytriton", "uv sync --frozen --extra triton-cpu"),
        ({"python": "3.99"}, "no stub for Python 3.99", "uv venv --python 3.11"),
        ({"libpython": False}, "libpython3.11.so.1.0", "apt-get install libpython3.11"),
        ({"glibc": "glibc 2.31"}, "glibc 2.31", "Debian 12"),
    ],
)
def test_each_problem_comes_with_its_remedy(probe: dict[str, Any], change: dict[str, Any], what: str, remedy: str) -> None:
    (problem,) = triton._environment_problems(probe | change)
    assert what in problem.what
    assert remedy in problem.remedy
    assert "\n" not in str(problem)


def test_without_an_environment_the_remedy_is_to_make_one(tmp_path: Path) -> None:
    (problem,) = triton.preflight(tmp_path / "none", tmp_path)
    assert "uv sync" in problem.remedy
    with pytest.raises(Misconfigured, match="uv sync"):
        triton.command(tmp_path, tmp_path / "none", tmp_path / "state")


def test_a_model_is_built_and_names_its_weights(tmp_path: Path) -> None:
    model = tmp_path / "face"
    model.mkdir()
    (model / "config.pbtxt").write_text('name: "face"\n')
    assert [problem.remedy for problem in triton._model_problems(tmp_path)] == ["python -m console.stack.triton_face_model"]
    for content in (b"weights", b"better weights"):
        (model / "1").mkdir(exist_ok=True)
        (model / "1" / "model.onnx").write_bytes(content)
        assert [problem.remedy for problem in triton._model_problems(tmp_path)] == ["python -m console.stack.triton_stamp"]
        triton_stamp.main([str(tmp_path)])
        assert triton._model_problems(tmp_path) == []
    assert (model / "config.pbtxt").read_text().count("sha256") == 1


def test_stale_shared_memory_goes_and_that_of_the_living_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton, "_SHM", tmp_path)
    for name in ("panoveil-triton-999999999-a-x", "panoveil-triton-1-b-x", "other"):
        (tmp_path / name).touch()
    triton.remove_stale_regions()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "panoveil-triton-1-b-x"]
    triton.remove_stale_regions("panoveil-triton-1-b-")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize(("free", "can"), [(256 << 20, True), ((256 << 20) - 1, False)])
def test_pictures_go_through_shared_memory_where_there_is_room(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can: bool
) -> None:
    monkeypatch.setattr(triton, "_SHM", tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=free))
    assert triton.can_share_memory() is can


def test_where_there_is_no_shared_memory_pictures_go_over_the_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton, "_SHM", tmp_path / "shm")
    assert triton.can_share_memory() is False


@asynccontextmanager
async def _answering(status: str) -> AsyncIterator[int]:
    """A server that answers before it is asked; yields its port. Whoever gave up on it half-way is hung up on at the end."""
    writers: list[asyncio.StreamWriter] = []

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        for _ in range(5):  # somebody may just be let in
            await asyncio.sleep(0)
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def test_ready_is_when_the_server_says_so() -> None:
    async with _answering("200 OK") as port:
        await triton.wait_ready(port, lambda: True, 60)


async def test_a_server_that_ended_or_never_gets_ready_is_unavailable() -> None:
    async with _answering("400 Bad Request") as port:
        with pytest.raises(Unavailable, match="ended"):
            await triton.wait_ready(port, lambda: False, 60)
        with pytest.raises(Unavailable, match="not ready"):
            await triton.wait_ready(port, lambda: True, 0.2)
