"""One capture at a time: frames in, panorama out."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from panoveil import telemetry
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, rig_key, stitched_key
from panoveil.contracts.messages import CaptureReady, FrameRef, PanoramaStitched, encode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.ledger import Ledger, State
from panoveil.pixels import jpeg
from panoveil.streams import Outgoing, RecordSink
from services.stitcher import tables
from services.stitcher.stitch import Panorama, stitch

STAGE = "stitcher"


class Rigs:
    """The rigs and tables this process has met: fetched, built and mapped once each, however many captures ask at a time."""

    def __init__(self, blobs: Blobs, recipe: StitchRecipe, cache: Path) -> None:
        self._blobs, self._recipe, self._cache = blobs, recipe, cache
        self._known: dict[str, tuple[Rig, tables.Tables]] = {}
        self._lock = asyncio.Lock()

    async def get(self, rig_id: str) -> tuple[Rig, tables.Tables]:
        """Return the rig and its tables, or raise `Rejected(UNKNOWN_RIG)`."""
        async with self._lock:
            if rig_id not in self._known:
                rig = await _fetch_rig(rig_id, self._blobs)
                self._known[rig_id] = rig, await asyncio.to_thread(self._load, rig)
            return self._known[rig_id]

    def _load(self, rig: Rig) -> tables.Tables:
        with telemetry.measured(STAGE, "tables"):
            return tables.load(rig, self._recipe, self._cache)


@dataclass(frozen=True)
class Ports:
    """What the handler needs of the world; `workers` run the strips of a panorama."""

    blobs: Blobs
    ledger: Ledger
    sink: RecordSink
    recipe: StitchRecipe
    rigs: Rigs
    workers: Executor = field(repr=False)


async def handle(message: CaptureReady, ports: Ports) -> None:
    """Stitch the capture once per recipe, and tell; a capture already stitched is only told of again."""
    capture_id = CaptureId.parse(message.capture_id)
    done = await ports.ledger.finished(capture_id, STAGE, ports.recipe.recipe_id)
    if done is None:
        done = await _stitch_and_store(capture_id, message, ports)
    await ports.sink.send(Stream.PANORAMAS, [Outgoing(message.capture_id, done)])


async def _stitch_and_store(capture_id: CaptureId, message: CaptureReady, ports: Ports) -> bytes:
    rig, rig_tables = await ports.rigs.get(message.rig_id)
    frames = await _frames(message, ports.blobs)
    data, panorama = await asyncio.to_thread(_make, frames, rig, rig_tables, ports)
    ref = stitched_key(str(capture_id), ports.recipe.recipe_id)
    await ports.blobs.put(ref, data, "image/jpeg")
    telemetry.BYTES.labels(STAGE, "written").inc(len(data))
    # The state first: a crash after `finish` would leave it behind for good.
    await ports.ledger.move(capture_id, State.STITCHED)
    stitched = _stitched(message, ports.recipe, ref, data, panorama)
    winner = await ports.ledger.finish(capture_id, STAGE, ports.recipe.recipe_id, encode(stitched))
    telemetry.CAPTURES.labels(STAGE, State.STITCHED).inc()
    return winner


async def _fetch_rig(rig_id: str, blobs: Blobs) -> Rig:
    try:
        return Rig.model_validate_json(await blobs.get(rig_key(rig_id)))
    except Rejected as error:
        raise Rejected(Reason.UNKNOWN_RIG, f"{rig_id} is not in the registry") from error
    except ValidationError as error:
        raise Rejected(Reason.UNKNOWN_RIG, f"what the registry holds as {rig_id} is no rig") from error


async def _frames(message: CaptureReady, blobs: Blobs) -> dict[str, NDArray[np.uint8]]:
    images = await asyncio.gather(*(_frame(frame, blobs) for frame in message.frames))
    return {frame.lens: image for frame, image in zip(message.frames, images, strict=True)}


async def _frame(frame: FrameRef, blobs: Blobs) -> NDArray[np.uint8]:
    data = await blobs.get(BlobRef(Bucket.RAW, frame.key))
    telemetry.BYTES.labels(STAGE, "read").inc(len(data))
    return await asyncio.to_thread(_decode, data, frame)


def _decode(data: bytes, frame: FrameRef) -> NDArray[np.uint8]:
    with telemetry.measured(STAGE, "decode"):
        if hashlib.sha256(data).hexdigest() != frame.sha256:
            raise Rejected(Reason.HASH_MISMATCH, f"lens {frame.lens}")
        return jpeg.decode(data)


def _make(frames: Mapping[str, NDArray[np.uint8]], rig: Rig, rig_tables: tables.Tables, ports: Ports) -> tuple[bytes, Panorama]:
    with telemetry.measured(STAGE, "stitch"):
        panorama = stitch(frames, rig, ports.recipe, rig_tables, _spread_over(ports.workers))
    with telemetry.measured(STAGE, "encode"):
        return jpeg.encode_patchable(panorama.image, ports.recipe.jpeg_quality), panorama


def _spread_over(workers: Executor) -> Any:
    """Return a `blend.Spread` over a pool, which counts its threads' CPU seconds."""

    def spread(work: Callable[[int], None], numbers: Iterable[int]) -> None:
        def measured(number: int) -> None:
            with telemetry.measured(STAGE, "strip"):
                work(number)

        for _ in workers.map(measured, numbers):
            pass

    return spread


def _stitched(message: CaptureReady, recipe: StitchRecipe, ref: BlobRef, data: bytes, panorama: Panorama) -> PanoramaStitched:
    height, width = panorama.image.shape[:2]
    return PanoramaStitched(
        capture_id=message.capture_id,
        rig_id=message.rig_id,
        recipe_id=recipe.recipe_id,
        captured_at=message.captured_at,
        pose=message.pose,
        key=ref.key,
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        quality=panorama.quality,
        carried=(),
        carried_elsewhere=None,
    )
