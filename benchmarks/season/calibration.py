"""What a panorama costs on this machine, measured now: the pure functions of every stage on captures of the street, 8192 × 4096."""

import statistics
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from benchmarks.anonymizer import noninference
from benchmarks.options import Tell
from benchmarks.season.assumptions import Measured
from benchmarks.stitching.ours import Line
from benchmarks.stitching.scenes import Scene, first
from panoveil.contracts.messages import FrameEntry
from panoveil.detection.views import panorama_plan
from panoveil.pixels import jpeg
from panoveil.pixels.process import prepare
from panoveil.pixels.shrinking import Shrinking
from services.ingest.validate import check_frame

WIDTH = 8192
_BEST = "best"


def measure(rounds: int, tell: Tell, width: int = WIDTH) -> Measured:
    """Return medians of `rounds`, after one that warms up; tables are made before, as a task makes them once."""
    prepare()
    cv2.setNumThreads(1)
    tell("calibration: rendering a capture")
    scene = first(width)
    with tempfile.TemporaryDirectory() as cache:
        tell("calibration: the rig's tables")
        line = Line(scene.rig, _BEST, width, Path(cache))
        tell(f"calibration: {rounds} rounds")
        panorama = line.alone(scene.frames)
        ingest = _median(lambda: _validate(scene), rounds)
        stitcher = _median(lambda: line.alone(scene.frames), rounds)
    return Measured(
        ingest_cpu_s=ingest,
        stitcher_cpu_s=stitcher,
        anonymizer_cpu_s=_anonymizer(panorama, width, rounds),
    )


def _validate(scene: Scene) -> None:
    for lens in scene.rig.lenses:
        data = scene.frames[lens.name]
        check_frame(data, FrameEntry(lens=lens.name, file=f"{lens.name}.jpg", sha256=sha256(data).hexdigest()), lens)


def _anonymizer(panorama: bytes, width: int, rounds: int) -> float:
    """Everything but the models: what `benchmarks.anonymizer` counts, the scan, and sampling all the views of both looks."""
    subject = noninference.Subject("street", panorama, tuple(noninference.anywhere(width, noninference.OBJECTS)))
    steps = [sum(noninference.once(subject)[0].values()) for _ in range(rounds)]
    picture = jpeg.decode(panorama)
    views = [view for second in (False, True) for view in panorama_plan(width, "standard", second=second)]

    def sample() -> None:
        shown = Shrinking(picture)
        for view in views:
            np.asarray(view.sample(shown))

    return statistics.median(steps) + _median(sample, rounds)


def _median(work: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
    return statistics.median(seconds)
