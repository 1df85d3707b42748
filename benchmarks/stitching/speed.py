"""What a panorama costs, decode and encode included: beside the floor, in rounds taken in turns, and with two threads beside one."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.options import Tell
from benchmarks.stitching.floor import Floor
from benchmarks.stitching.ours import Line, recipe
from benchmarks.stitching.scenes import Scene
from services.stitcher.settings import StitcherSettings

Work = Callable[[], object]

_THREADS = 2
IN_FLIGHT: int = StitcherSettings.model_fields["max_in_flight"].default
"""Captures that the service works on at once."""


def measure(scene: Scene, modes: Sequence[str], width: int, rounds: int, cache: Path, tell: Tell) -> dict[str, dict[str, Any]]:
    """Return figures by mode, and the floor's under `floor`; CPU seconds are medians of `rounds`, the one before them thrown away."""
    tell("remap tables")
    lines = {mode: Line(scene.rig, mode, width, cache) for mode in modes}
    floor = Floor(scene.rig, width, recipe(modes[0], width).jpeg_quality)
    tell(f"{rounds} rounds of CPU")
    works: dict[str, Work] = {"floor": partial(floor.work, scene.frames)}
    works |= {mode: partial(line.alone, scene.frames) for mode, line in lines.items()}
    seconds = in_turns(works, rounds)
    figures: dict[str, dict[str, Any]] = {"floor": {"cpu_s": _median(seconds["floor"])}}
    for mode, line in lines.items():
        tell(f"{mode} with two threads, and its memory")
        ratio = statistics.median(mine / least for mine, least in zip(seconds[mode], seconds["floor"], strict=True))
        figures[mode] = {"cpu_s": _median(seconds[mode]), "cpu_vs_floor": round(ratio, 3)}
        figures[mode] |= _threads(line, scene.frames, rounds) | memory(scene, mode, width, cache)
    return figures


def in_turns(works: Mapping[str, Work], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of every work in every round but the first, which warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            before = time.process_time()
            work()
            seconds[name].append(time.process_time() - before)
    return {name: each[1:] for name, each in seconds.items()}


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 4)


def _threads(line: Line, frames: Mapping[str, bytes], rounds: int) -> dict[str, float]:
    """Return what a pool of two threads gains over one thread, medians over the rounds.

    `threads2_speedup` in captures a second, two of them in flight as in the service; `threads2_latency_speedup` for one alone.
    """
    walls: dict[str, list[float]] = {"one": [], "two": [], "pair": []}
    with ThreadPoolExecutor(_THREADS) as workers, ThreadPoolExecutor(IN_FLIGHT) as captures:
        for _ in range(rounds + 1):
            walls["one"].append(_wall(lambda: line.alone(frames)))
            walls["two"].append(_wall(lambda: line.shared(frames, workers)))
            walls["pair"].append(_wall(lambda: in_flight(line, frames, workers, captures)))
    one, two, pair = ([*times[1:]] for times in walls.values())
    return {
        "threads2_speedup": _median([IN_FLIGHT * alone / both for alone, both in zip(one, pair, strict=True)]),
        "threads2_latency_speedup": _median([alone / shared for alone, shared in zip(one, two, strict=True)]),
        "wall_s": _median(one),
        "wall_2_threads_s": _median(two),
    }


def in_flight(line: Line, frames: Mapping[str, bytes], workers: ThreadPoolExecutor, captures: ThreadPoolExecutor) -> None:
    """Stitch as many captures at once as the service does, all on one pool."""
    for _ in captures.map(lambda _: line.shared(frames, workers), range(IN_FLIGHT)):
        pass


def _wall(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def memory(scene: Scene, mode: str, width: int, cache: Path) -> dict[str, float]:
    """Return what a fresh process that only stitches holds, MB: see `worker`."""
    folder = cache.parent / f"worker-{mode}"
    folder.mkdir(exist_ok=True)
    (folder / "rig.json").write_text(scene.rig.model_dump_json())
    for name, data in scene.frames.items():
        (folder / f"{name}.jpg").write_bytes(data)
    command = [sys.executable, "-m", "benchmarks.stitching.worker", str(folder), mode, str(width), str(cache)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
