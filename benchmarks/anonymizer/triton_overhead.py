"""What it costs to ask Triton instead of an engine in the same process: the same views, models and threads, in turns.

`onnxruntime` and `openvino` are those engines in an interpreter of Triton's environment, the second being the one that Triton has on a
CPU; `grpc` is what the services do by default, `shared_memory` what they do where Triton is on the same machine. Counted is the CPU of
both ends.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self, cast

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV
from panoveil.detection import KINDS, DetectorSettings, TritonDetector
from simulator.rigs import demo_rig
from simulator.street import Street

Views = NDArray[np.uint8]
Work = Callable[[], Awaitable[float | None]]
"""Show every view to both models; return the CPU seconds of it where they are not those of this process and its children."""

ENGINES = ("onnxruntime", "openvino")
WAYS = (*ENGINES, "grpc", "shared_memory")
_DIRECT = """
import sys, time, json, numpy as np
sys.path.insert(0, sys.argv[1])
from cpu_engines import ENGINES
views = np.load(sys.argv[3])
models = [ENGINES[sys.argv[2]](path, 1) for path in sys.argv[4:]]
def work():
    for model in models:
        for view in views:
            model.run({"image": view[None]}, ["boxes", "scores"])
work()
print("ready", flush=True)
for line in sys.stdin:
    before = time.process_time()
    work()
    print(json.dumps(time.process_time() - before), flush=True)
"""


def section(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the ways in turns.

    `triton_overhead_ratio` is CPU seconds by gRPC over those of onnxruntime directly, below 1 where Triton's engine is the faster one;
    `same_engine_ratio` over those of Triton's own engine directly: what Triton itself costs.
    """
    views = _views()
    with tempfile.TemporaryDirectory() as work:
        samples = asyncio.run(_samples(views, Path(work), options.repeat))
    megapixels = views[..., 0].size * len(KINDS) / 1e6
    cpu = {way: statistics.median(cpu for cpu, _ in samples[way]) / megapixels for way in WAYS}
    wall = {way: statistics.median(wall for _, wall in samples[way]) / megapixels for way in WAYS}
    return {
        "triton_overhead_ratio": _ratio(samples, "grpc", "onnxruntime"),
        "triton_overhead": {
            "shared_memory_ratio": _ratio(samples, "shared_memory", "onnxruntime"),
            "same_engine_ratio": _ratio(samples, "grpc", "openvino"),
            "shared_memory_same_engine_ratio": _ratio(samples, "shared_memory", "openvino"),
            "cpu_s_per_megapixel": {way: round(seconds, 4) for way, seconds in cpu.items()},
            "wall_s_per_megapixel": {way: round(seconds, 4) for way, seconds in wall.items()},
        },
    }


def _ratio(samples: dict[str, list[tuple[float, float]]], way: str, engine: str) -> float:
    """Return the median, over the rounds, of the CPU seconds of a way over those of an engine in the same round."""
    rounds = zip(samples[way], samples[engine], strict=True)
    return round(statistics.median(through[0] / direct[0] for through, direct in rounds), 3)


def _views() -> Views:
    """Return four pieces of a procedural street as a lens sees it, uint8 [4, 640, 1280, 3]."""
    rig = demo_rig(4096)
    frame = Street(3, 2, 4096).frame(rig, rig.lenses[0], 1)
    wide = cv2.resize(frame, (2560, 1280), interpolation=cv2.INTER_LINEAR)
    pieces = [wide[y : y + 640, x : x + 1280] for y in (0, 640) for x in (0, 1280)]
    return cast("Views", np.stack(pieces).astype(np.uint8))


async def _samples(views: Views, work: Path, repeat: int) -> dict[str, list[tuple[float, float]]]:
    """Return, for every way, CPU and wall seconds of each round."""
    samples: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    async with AsyncExitStack() as closing:
        server = await closing.enter_async_context(triton.running(MODELS, TRITON_VENV, work / "triton"))
        ways: dict[str, Work] = {
            **{engine: closing.enter_context(_Direct(engine, views, work)).work for engine in ENGINES},
            "grpc": await closing.enter_async_context(_through_triton(server.grpc_url, views, shared_memory=False)),
            "shared_memory": await closing.enter_async_context(_through_triton(server.grpc_url, views, shared_memory=True)),
        }
        for _ in range(repeat + 1):
            for way in WAYS:
                samples[way].append(await _measured(ways[way]))
    return {way: rounds[1:] for way, rounds in samples.items()}  # the first was to warm up


async def _measured(work: Work) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), _cpu_s()
    own = await work()
    return (_cpu_s() - cpu if own is None else own), time.perf_counter() - wall


def _cpu_s() -> float:
    """CPU seconds so far of this process, Triton's server and its stubs."""
    children = psutil.Process().children(recursive=True)
    return time.process_time() + float(sum(sum(child.cpu_times()[:2]) for child in children))


@asynccontextmanager
async def _through_triton(url: str, views: Views, *, shared_memory: bool) -> AsyncIterator[Work]:
    settings = DetectorSettings(triton_url=url, triton_shared_memory=shared_memory)
    async with TritonDetector.of(settings) as detector:
        await detector.prove()

        async def work() -> None:
            for kind in KINDS:
                for view in views:
                    await detector.detect(kind, view[None])

        yield work


class _Direct:
    """An engine in a process of its own that works when told to."""

    def __init__(self, engine: str, views: Views, work: Path) -> None:
        np.save(work / "views.npy", views)
        weights: Sequence[str] = [str(MODELS / kind / "1" / "model.onnx") for kind in KINDS]
        command = [
            str(TRITON_VENV / "bin" / "python"),
            "-c",
            _DIRECT,
            str(triton.CPU_BACKEND),
            engine,
            str(work / "views.npy"),
            *weights,
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        assert self._said() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    async def work(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return float(json.loads(await asyncio.to_thread(self._said)))

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()
