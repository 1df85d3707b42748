"""One uploaded object at a time, until its capture is whole."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from pydantic import ValidationError

from panoveil import telemetry
from panoveil.blobs import Blobs
from panoveil.contracts import limits, reasons
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import MANIFEST_NAME, CaptureId, Stream, parse_raw_key, raw_key, rig_key
from panoveil.contracts.messages import CaptureManifest, CaptureReady, FrameEntry, FrameRef, encode, parse_manifest
from panoveil.contracts.rig import Lens, Rig
from panoveil.ledger import Ledger, SeenObject, State
from panoveil.streams import Outgoing, RecordSink, Shared
from services.ingest import validate
from services.ingest.events import Uploaded

STAGE = "ingest"
RECIPE = "1"
"""Ingest decides nothing about pixels; this is raised when validation changes and captures should be judged anew."""


@dataclass(frozen=True)
class Ports:
    """What the handler needs of the world."""

    blobs: Blobs
    ledger: Ledger
    sink: RecordSink
    now: Callable[[], datetime]
    under_way: Shared[None] = field(default_factory=Shared)


async def handle(uploaded: Uploaded, ports: Ports) -> None:
    """Note the object; announce the capture once all of it is there and valid. One announced already is only announced again."""
    capture_id, name = parse_raw_key(uploaded.key)
    if uploaded.size == 0:
        raise Rejected(reasons.Reason.EMPTY_OBJECT, name)
    if done := await ports.ledger.finished(capture_id, STAGE, RECIPE):
        await _announce(capture_id, done, ports)
        return
    seen = await ports.ledger.saw(capture_id, SeenObject(name, uploaded.etag, uploaded.size))
    if MANIFEST_NAME not in seen:
        return
    manifest = parse_manifest(await ports.blobs.get(raw_key(capture_id, MANIFEST_NAME), limits.LONGEST_MANIFEST))
    validate.check_manifest(manifest, capture_id, ports.now())
    if all(frame.file in seen for frame in manifest.frames):
        # The events of one capture come together: several of them see it whole, and its frames need be read once.
        await ports.under_way.do((capture_id, frozenset(seen.values())), partial(_admit, capture_id, manifest, seen, ports))


async def close(capture_id: CaptureId, most_missing: int, ports: Ports) -> None:
    """End the wait for a capture whose time is up: announce it whole, or without at most so many lenses' frames.

    An object whose event never came counts once it lies in the bucket. `Rejected(FRAME_MISSING)` names what is missing, where that is
    too much. May be repeated until the state says that the capture is no longer receiving.
    """
    seen = await _arrived(capture_id, [MANIFEST_NAME], await ports.ledger.seen(capture_id), ports)
    if MANIFEST_NAME not in seen:
        raise Rejected(reasons.Reason.FRAME_MISSING, f"{MANIFEST_NAME} has not arrived, only {', '.join(seen) or 'nothing'}")
    manifest = parse_manifest(await ports.blobs.get(raw_key(capture_id, MANIFEST_NAME), limits.LONGEST_MANIFEST))
    validate.check_manifest(manifest, capture_id, ports.now())
    seen = await _arrived(capture_id, [frame.file for frame in manifest.frames], seen, ports)
    missing = [frame for frame in manifest.frames if frame.file not in seen]
    if len(missing) > min(most_missing, len(manifest.frames) - 1):
        files = ", ".join(f"{frame.file} (lens {frame.lens})" for frame in missing)
        raise Rejected(reasons.Reason.FRAME_MISSING, f"{len(missing)} of {len(manifest.frames)} frames have not arrived: {files}")
    await _announce(capture_id, await _finished(capture_id, manifest, seen, ports), ports)
    # The state last: until then the sweep comes by again, and there is no record that would.
    await ports.ledger.move(capture_id, State.READY)
    telemetry.CAPTURES.labels(STAGE, State.READY).inc()


async def _arrived(
    capture_id: CaptureId, names: Iterable[str], seen: Mapping[str, SeenObject], ports: Ports
) -> Mapping[str, SeenObject]:
    """Return what was seen, and which of `names` lie in the bucket besides."""
    for name in names:
        if name not in seen and (stored := await ports.blobs.head(raw_key(capture_id, name))):
            seen = await ports.ledger.saw(capture_id, SeenObject(name, stored.etag, stored.size))
    return seen


async def _admit(capture_id: CaptureId, manifest: CaptureManifest, seen: Mapping[str, SeenObject], ports: Ports) -> None:
    message = await _checked(capture_id, manifest, seen, ports)
    # The state first: a crash after `finish` would leave it behind for good.
    await ports.ledger.move(capture_id, State.READY)
    winner = await ports.ledger.finish(capture_id, STAGE, RECIPE, encode(message))
    telemetry.CAPTURES.labels(STAGE, State.READY).inc()
    await _announce(capture_id, winner, ports)


async def _finished(capture_id: CaptureId, manifest: CaptureManifest, seen: Mapping[str, SeenObject], ports: Ports) -> bytes:
    """Note the message of a capture, whole or with a gap: each gap is an outcome of its own, so that the whole one may follow."""
    message = await _checked(capture_id, manifest, seen, ports)
    recipe = "~".join((RECIPE, *sorted(message.missing)))
    return await ports.ledger.finish(capture_id, STAGE, recipe, encode(message))


async def _checked(
    capture_id: CaptureId, manifest: CaptureManifest, seen: Mapping[str, SeenObject], ports: Ports
) -> CaptureReady:
    """Return the capture's message, once every frame that was seen is known to be valid."""
    rig = await _rig(manifest.rig_id, ports.blobs)
    validate.check_lenses(manifest, rig)
    lenses = {lens.name: lens for lens in rig.lenses}
    for entry in manifest.frames:
        if entry.file in seen:
            await _check_frame(capture_id, entry, lenses[entry.lens], ports.blobs)
    return ready(capture_id, manifest, seen)


async def _check_frame(capture_id: CaptureId, entry: FrameEntry, lens: Lens, blobs: Blobs) -> None:
    data = await blobs.get(raw_key(capture_id, entry.file), limits.LARGEST_PICTURE)
    telemetry.BYTES.labels(STAGE, "read").inc(len(data))
    await asyncio.to_thread(_measured_check, data, entry, lens)


def _measured_check(data: bytes, entry: FrameEntry, lens: Lens) -> None:
    with telemetry.measured(STAGE, "validate"):
        validate.check_frame(data, entry, lens)


async def _rig(rig_id: str, blobs: Blobs) -> Rig:
    try:
        return Rig.model_validate_json(await blobs.get(rig_key(rig_id)))
    except (Rejected, ValidationError) as error:
        raise Rejected(reasons.Reason.UNKNOWN_RIG, rig_id) from error


async def _announce(capture_id: CaptureId, message: bytes, ports: Ports) -> None:
    await ports.sink.send(Stream.CAPTURES, [Outgoing(str(capture_id), message)])


def ready(capture_id: CaptureId, manifest: CaptureManifest, seen: Mapping[str, SeenObject]) -> CaptureReady:
    """Return the message of a capture that is valid as far as these objects go."""
    frames = tuple(
        FrameRef(lens=entry.lens, key=raw_key(capture_id, entry.file).key, sha256=entry.sha256, size=seen[entry.file].size)
        for entry in manifest.frames
        if entry.file in seen
    )
    return CaptureReady(
        capture_id=str(capture_id),
        rig_id=manifest.rig_id,
        captured_at=manifest.captured_at,
        pose=manifest.pose,
        frames=frames,
        missing=tuple(entry.lens for entry in manifest.frames if entry.file not in seen),
    )
