"""One capture at a time: frames in, panorama out."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from panoveil import telemetry
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, carried_key, rig_key, stitched_key
from panoveil.contracts.limits import LARGEST_PICTURE
from panoveil.contracts.messages import (
    CARRIED,
    CaptureReady,
    CarriedBox,
    CarriedBoxes,
    FrameRef,
    PanoramaStitched,
    Quality,
    encode,
)
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import SecondSource, StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.detection import Detector
from panoveil.detection.views import Crop
from panoveil.ledger import Grade, Ledger, State
from panoveil.pixels import jpeg
from panoveil.pixels.spread import Spread
from panoveil.streams import Outgoing, RecordSink, Shared
from services.stitcher import gate, tables
from services.stitcher.carry import Drawing
from services.stitcher.inspection import Inspection, Spots, inspect
from services.stitcher.lens_views import plan
from services.stitcher.level import Turn, pose_after, turn_of
from services.stitcher.lookout import look
from services.stitcher.steady import Drives, Light
from services.stitcher.stitch import Panorama, Views, in_order, stitch
from services.stitcher.stitch import look as look_small
from services.stitcher.watch import Watches

STAGE = "stitcher"
LIGHT = "stitcher.light"
"""The ledger's name for the gains that a capture gets: fixed before it is stitched, so that whoever stitches it again makes the same."""

GAINS: TypeAdapter[list[tuple[float, float, float]]] = TypeAdapter(list[tuple[float, float, float]])
"""Reads and writes the gains of a capture's lenses, in the rig's order, as the ledger holds them."""


MOST_INLINE = 500
"""Carried boxes in a message: about 75 kB, which DynamoDB (400 kB an item) and Kinesis (1 MB a record) take with room to spare."""

Crops = tuple[tuple[Crop, ...], ...]


@dataclass(frozen=True, slots=True)
class Mounted:
    """A rig, its tables, where each of its lenses is drawn, and where its frames are inspected."""

    rig: Rig
    tables: tables.Tables
    drawing: Drawing
    spots: Spots


class Rigs:
    """The rigs and tables this process has met: fetched, built and mapped once each, however many captures ask at a time."""

    def __init__(self, blobs: Blobs, recipe: StitchRecipe, cache: Path) -> None:
        self._blobs, self._recipe, self._cache = blobs, recipe, cache
        self._known: dict[str, Mounted] = {}
        self._views: dict[tuple[str, SecondSource], Crops] = {}
        self._lock = asyncio.Lock()

    async def get(self, rig_id: str) -> Mounted:
        """Return the rig with what belongs to it, or raise `Rejected(UNKNOWN_RIG)`."""
        async with self._lock:
            if rig_id not in self._known:
                rig = await _fetch_rig(rig_id, self._blobs)
                self._known[rig_id] = await asyncio.to_thread(self._load, rig)
            return self._known[rig_id]

    async def without(self, rig_id: str, missing: Sequence[str]) -> Mounted:
        """Return what is left of the rig without some lenses, mounted as a rig of its own: its neighbours reach as far as they see.

        `Rejected(FRAME_MISSING)` where no lens is left.
        """
        whole = await self.get(rig_id)
        left = tuple(lens for lens in whole.rig.lenses if lens.name not in missing)
        if len(left) == len(whole.rig.lenses) or not left:
            raise Rejected(Reason.FRAME_MISSING, f"rig {rig_id} without {', '.join(missing)} is {len(left)} lenses")
        name = "~".join((rig_id, *sorted(missing)))
        async with self._lock:
            if name not in self._known:
                rig = whole.rig.model_copy(update={"rig_id": name, "lenses": left})
                self._known[name] = await asyncio.to_thread(self._load, rig)
            return self._known[name]

    async def views(self, rig_id: str, source: SecondSource) -> Crops:
        """Return the views in which the rig's frames are looked at."""
        mounted = await self.get(rig_id)
        async with self._lock:
            if (rig_id, source) not in self._views:
                self._views[rig_id, source] = await asyncio.to_thread(plan, mounted.drawing, source)
            return self._views[rig_id, source]

    def _load(self, rig: Rig) -> Mounted:
        with telemetry.measured(STAGE, "tables"):
            loaded = tables.load(rig, self._recipe, self._cache)
            return Mounted(rig, loaded, Drawing.of(rig, self._recipe, loaded), Spots.of(rig, self._recipe, loaded.overview))


@dataclass(frozen=True)
class Ports:
    """What the handler needs of the world; `workers` run the strips of a panorama.

    `recipe` names the models that the detector serves where frames are looked at, so it is asked for, not known. `watches` are what
    this process remembers of its drives; only the event loop touches them.
    """

    blobs: Blobs
    ledger: Ledger
    sink: RecordSink
    recipe: Callable[[], Awaitable[StitchRecipe]]
    rigs: Rigs
    workers: Executor = field(repr=False)
    detector: Detector | None = None
    drives: Drives = field(default_factory=Drives)
    watches: Watches = field(default_factory=Watches)
    under_way: Shared[bytes] = field(default_factory=Shared)


async def handle(message: CaptureReady, ports: Ports) -> None:
    """Stitch the capture once per recipe, and tell; a capture already stitched is only told of again.

    `Unavailable` where the recipe wants the frames looked at and the detector gives no valid answer: then nothing is written.
    """
    capture_id = CaptureId.parse(message.capture_id)
    recipe = await recipe_for(message, ports)
    if not message.missing:  # a gap is a recipe of its own, and there are many gaps
        telemetry.recipe_in_use(STAGE, recipe.recipe_id)
    done = await ports.ledger.finished(capture_id, STAGE, recipe.recipe_id)
    if done is None:
        work = partial(_stitch_and_store, capture_id, message, recipe, ports)
        done = await ports.under_way.do((recipe.recipe_id, encode(message)), work)
    await ports.sink.send(Stream.PANORAMAS, [Outgoing(message.capture_id, done)])


async def recipe_for(message: CaptureReady, ports: Ports) -> StitchRecipe:
    """Return the recipe by which the capture is stitched now."""
    recipe = await ports.recipe()
    if message.missing:  # another output than the whole capture's, should the frames come after all
        return recipe.model_copy(update={"without": tuple(sorted(message.missing))})
    return recipe


async def _stitch_and_store(capture_id: CaptureId, message: CaptureReady, recipe: StitchRecipe, ports: Ports) -> bytes:
    rigs = ports.rigs
    mounted = await (rigs.without(message.rig_id, message.missing) if message.missing else rigs.get(message.rig_id))
    frames = await _frames(message, ports.blobs)
    turn = turn_of(message.pose, recipe)
    carried = await _carried(frames, mounted, recipe, ports, turn)
    views = await asyncio.to_thread(_looked, frames, mounted, recipe, ports.workers)
    light = await _light(capture_id, message, views, mounted, recipe, ports) if recipe.steady else None
    data, panorama, seen = await asyncio.to_thread(_make, frames, mounted, recipe, ports.workers, light, views, turn)
    quality = _graded(message, panorama, seen, mounted, ports.watches)
    ref = stitched_key(str(capture_id), recipe.recipe_id)
    await ports.blobs.put(ref, data, "image/jpeg")
    telemetry.BYTES.labels(STAGE, "written").inc(len(data))
    elsewhere = await _put_elsewhere(carried, carried_key(str(capture_id), recipe.recipe_id), ports.blobs)
    # The state first: a crash after `finish` would leave it behind for good.
    await ports.ledger.move(capture_id, State.STITCHED, grade=Grade.of(quality))
    stitched = _stitched(message, recipe, ref, data, quality, () if elsewhere else carried, elsewhere)
    winner = await ports.ledger.finish(capture_id, STAGE, recipe.recipe_id, encode(stitched))
    telemetry.CAPTURES.labels(STAGE, State.STITCHED).inc()
    return winner


def _graded(message: CaptureReady, panorama: Panorama, seen: Inspection, mounted: Mounted, watches: Watches) -> Quality:
    """Let the drive's watch take the capture in, and say what is known by now; in the event loop, so that nobody else does meanwhile."""
    drive_id = CaptureId.parse(message.capture_id).drive_id
    with telemetry.measured(STAGE, "watch"):
        watch = watches.of(drive_id, mounted.rig.rig_id, mounted.spots, mounted.tables.overview)
        watch.add(message.capture_id, seen.glance)
        quality = gate.graded(panorama.quality, seen.lenses, watch.verdict(), message.rig_id, message.missing)
    telemetry.grade(message.rig_id, quality)
    return quality


async def _carried(
    frames: Mapping[str, NDArray[np.uint8]], mounted: Mounted, recipe: StitchRecipe, ports: Ports, turn: Turn | None
) -> tuple[CarriedBox, ...]:
    """Return what is found in the frames, nothing where the recipe does not want them looked at."""
    if recipe.second_source is None:
        return ()
    assert ports.detector is not None, "a recipe that looks at frames comes with a detector"
    views = await ports.rigs.views(mounted.rig.rig_id, recipe.second_source)
    ordered = in_order(frames, mounted.rig)
    return await look(ordered, mounted.drawing, views, recipe.second_source, ports.detector, turn)


async def _light(
    capture_id: CaptureId,
    message: CaptureReady,
    views: Views,
    mounted: Mounted,
    recipe: StitchRecipe,
    ports: Ports,
) -> NDArray[np.float64]:
    """Return the gains of the capture's lenses, [L, 3]: those that the ledger knows, else what the drive around it asks for."""
    drive, at = (capture_id.drive_id, recipe.recipe_id), message.captured_at
    neighbours = ports.drives.near(drive, str(capture_id), at, len(mounted.rig.lenses))
    light = await asyncio.to_thread(views.light, recipe, neighbours)
    gains = await _fixed(capture_id, light, recipe, ports.ledger)
    ports.drives.remember(drive, str(capture_id), at, light.under(gains))
    return gains


async def _fixed(capture_id: CaptureId, light: Light, recipe: StitchRecipe, ledger: Ledger) -> NDArray[np.float64]:
    """Return the gains of whoever was first to say what this capture gets."""
    known = await ledger.finished(capture_id, LIGHT, recipe.recipe_id)
    if known is None:
        own = GAINS.dump_json(GAINS.validate_python(np.round(light.gains, 6).tolist()))
        known = await ledger.finish(capture_id, LIGHT, recipe.recipe_id, own)
    return np.array(GAINS.validate_json(known), np.float64)


def _looked(frames: Mapping[str, NDArray[np.uint8]], mounted: Mounted, recipe: StitchRecipe, workers: Executor) -> Views:
    with telemetry.measured(STAGE, "light"):
        ordered = in_order(frames, mounted.rig)
        return look_small(ordered, mounted.rig, recipe, mounted.tables.overview, _spread_over(workers))


async def _put_elsewhere(carried: tuple[CarriedBox, ...], ref: BlobRef, blobs: Blobs) -> CarriedBoxes | None:
    """Put what is too much for a message into the sealed bucket; None where it is not."""
    if len(carried) <= MOST_INLINE:
        return None
    data = CARRIED.dump_json(carried)
    await blobs.put(ref, data, "application/json")
    return CarriedBoxes(key=ref.key, sha256=hashlib.sha256(data).hexdigest(), count=len(carried))


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
    data = await blobs.get(BlobRef(Bucket.RAW, frame.key), LARGEST_PICTURE)
    telemetry.BYTES.labels(STAGE, "read").inc(len(data))
    return await asyncio.to_thread(_decode, data, frame)


def _decode(data: bytes, frame: FrameRef) -> NDArray[np.uint8]:
    with telemetry.measured(STAGE, "decode"):
        if hashlib.sha256(data).hexdigest() != frame.sha256:
            raise Rejected(Reason.HASH_MISMATCH, f"lens {frame.lens}")
        return jpeg.decode(data)


def _make(
    frames: Mapping[str, NDArray[np.uint8]],
    mounted: Mounted,
    recipe: StitchRecipe,
    workers: Executor,
    light: NDArray[np.float64] | None,
    views: Views,
    turn: Turn | None,
) -> tuple[bytes, Panorama, Inspection]:
    spread = _spread_over(workers)
    with telemetry.measured(STAGE, "stitch"):
        panorama = stitch(frames, mounted.rig, recipe, mounted.tables, spread, light, views, turn)
    with telemetry.measured(STAGE, "inspect"):
        seen = _inspected(frames, panorama, mounted)
    with telemetry.measured(STAGE, "encode"):
        return jpeg.encode_patchable(panorama.image, recipe.jpeg_quality, spread), panorama, seen


def _inspected(frames: Mapping[str, NDArray[np.uint8]], panorama: Panorama, mounted: Mounted) -> Inspection:
    ordered = in_order(frames, mounted.rig)
    return inspect(ordered, panorama.views, panorama.gains, mounted.rig, mounted.spots, mounted.tables.overview)


def _spread_over(workers: Executor) -> Spread:
    """Return a `Spread` over a pool, which counts its threads' CPU seconds."""

    def spread(work: Callable[[int], None], numbers: Iterable[int]) -> None:
        def measured(number: int) -> None:
            with telemetry.measured(STAGE, "strip"):
                work(number)

        for _ in workers.map(measured, numbers):
            pass

    return spread


def _stitched(
    message: CaptureReady,
    recipe: StitchRecipe,
    ref: BlobRef,
    data: bytes,
    quality: Quality,
    carried: tuple[CarriedBox, ...],
    elsewhere: CarriedBoxes | None,
) -> PanoramaStitched:
    return PanoramaStitched(
        capture_id=message.capture_id,
        rig_id=message.rig_id,
        recipe_id=recipe.recipe_id,
        captured_at=message.captured_at,
        pose=pose_after(message.pose, turn_of(message.pose, recipe)),
        key=ref.key,
        sha256=hashlib.sha256(data).hexdigest(),
        width=recipe.width,
        height=recipe.width // 2,
        quality=quality,
        carried=carried,
        carried_elsewhere=elsewhere,
        hold=gate.held(quality, recipe.gate, message.rig_id, message.missing),
        missing=message.missing,
    )
