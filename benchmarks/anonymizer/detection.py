"""CPU seconds of detection and verification for a panorama, through Triton, as the service spends them.

Counted is everything between the decoded panorama and the verified bytes: sampling views, requests, both models, obfuscating,
patching, decoding what would be published, looking again. Pictures go to Triton through shared memory where there is room for it, as on
every machine that runs both. The panoramas are brought to 8192 x 4096 first.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.anonymizer.noninference import street
from console.stack import triton
from console.stack.stack import MODELS, TRITON_VENV
from panoveil.detection import Detections, Detector, Images, Kind, TritonDetector
from panoveil.pixels import jpeg
from services.anonymizer.anonymize import Anonymized, anonymize
from services.anonymizer.app import recipe_of
from services.anonymizer.settings import AnonymizerSettings

WIDTH, QUALITY = 8192, 92


@dataclass(slots=True)
class Counting:
    """A detector that counts the megapixels it passes on."""

    inner: Detector
    megapixels: dict[Kind, float] = field(default_factory=lambda: {"face": 0.0, "plate": 0.0})

    @property
    def interruptions(self) -> int:
        """Those of the detector behind."""
        return self.inner.interruptions

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        """Pass on and count."""
        self.megapixels[kind] += images[..., 0].size / 1e6
        return await self.inner.detect(kind, images)

    async def prove(self, since: int | None = None) -> None:
        """Pass on."""
        await self.inner.prove(since)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one panorama took: CPU seconds of this process and of Triton's, wall seconds, megapixels that each model was shown."""

    client_cpu_s: float
    triton_cpu_s: float
    wall_s: float
    face_megapixels: float
    plate_megapixels: float
    rounds: int
    held: bool
    faces: int
    plates: int

    @property
    def cpu_s(self) -> float:
        """Both processes together."""
        return self.client_cpu_s + self.triton_cpu_s


def section(options: argparse.Namespace) -> dict[str, Any]:
    """Anonymise the procedural street and every panorama of a folder, one after the other, under the default recipe."""
    names, panoramas = zip(*_subjects(options.panoramas), strict=True)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as work:
        costs = asyncio.run(_costs(panoramas, Path(work)))
    return {
        "detection_cpu_s_per_panorama": round(statistics.median(cost.cpu_s for cost in costs), 2),
        "panoramas_per_s": round(len(costs) / sum(cost.wall_s for cost in costs), 3),
        "held": sum(cost.held for cost in costs),
        "detection": {name: {**asdict(cost), "cpu_s": round(cost.cpu_s, 2)} for name, cost in zip(names, costs, strict=True)},
    }


def _subjects(folder: Path | None) -> Iterator[tuple[str, bytes]]:
    """Yield names and JPEGs of panoramas 8192 pixels wide; smaller ones are left out, since enlarging would change what they cost."""
    subject = street()
    yield subject.name, subject.data
    for path in sorted(folder.rglob("*.jpg")) if folder else ():
        picture = jpeg.decode(path.read_bytes())
        if picture.shape[1] >= WIDTH:
            size = (WIDTH, WIDTH // 2)
            small = cast("NDArray[np.uint8]", cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
            yield path.name, jpeg.encode_patchable(small, QUALITY)


async def _costs(panoramas: Sequence[bytes], work: Path) -> list[Cost]:
    """Measure each once, after the first has been worked on to warm up."""
    async with triton.running(MODELS, TRITON_VENV, work / "triton") as server:
        settings = AnonymizerSettings(triton_url=server.grpc_url, triton_shared_memory=triton.can_share_memory())
        async with TritonDetector.of(settings) as detector:
            await _cost(panoramas[0], detector, settings)
            return [await _cost(source, detector, settings) for source in panoramas]


async def _cost(source: bytes, detector: TritonDetector, settings: AnonymizerSettings) -> Cost:
    panorama, recipe = jpeg.decode(source), await recipe_of(settings, detector)()
    counting = Counting(detector)
    began, client, server = time.perf_counter(), time.process_time(), _children_cpu_s()
    result = await anonymize(panorama, counting, recipe, panorama=True, source=source)
    client, server, wall = time.process_time() - client, _children_cpu_s() - server, time.perf_counter() - began
    kinds = [region.kind for region in result.regions]
    print(f"{client + server:.2f} CPU-s, {result.rounds} rounds", file=sys.stderr, flush=True)
    return Cost(
        round(client, 3), round(server, 3), round(wall, 3),
        round(counting.megapixels["face"], 1), round(counting.megapixels["plate"], 1),
        result.rounds, not isinstance(result, Anonymized), kinds.count("face"), kinds.count("plate"),
    )  # fmt: skip


def _children_cpu_s() -> float:
    """CPU seconds so far of every process this one has started: Triton's server and its stubs."""
    return float(sum(sum(process.cpu_times()[:2]) for process in psutil.Process().children(recursive=True)))
