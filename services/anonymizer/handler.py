"""One panorama at a time: out of the sealed bucket, through detection and verification, into the published one or on hold."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from panoveil import publication, telemetry
from panoveil.blobs import Blobs
from panoveil.contracts.audit import Audited, AuditedObject, Erasure, Hold, Publication, Verification
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import (
    BlobRef,
    Bucket,
    CaptureId,
    Stream,
    publication_key,
    published_key,
    published_keys,
    thumbnail_key,
    tiles_key,
)
from panoveil.contracts.limits import LARGEST_PICTURE
from panoveil.contracts.messages import (
    CARRIED,
    Derivative,
    PanoramaBox,
    PanoramaHeld,
    PanoramaPublished,
    PanoramaStitched,
    QualityHold,
    decode,
    encode,
)
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.detection import Detector
from panoveil.ledger import Grade, Ledger, State, note
from panoveil.pixels import jpeg
from panoveil.streams import Outgoing, RecordSink, Shared
from services.anonymizer import metadata
from services.anonymizer.anonymize import Anonymized, Description, Held, anonymize
from services.anonymizer.derivatives import Derivatives, derived
from services.anonymizer.regions import Extent, Region, from_box, to_box

STAGE = "anonymizer"
REVIEW = "review"
"""The stage under which the ledger notes what a person decided about a hold: by the recipe that comes of it."""

Outcome = PanoramaPublished | PanoramaHeld


@dataclass(frozen=True, slots=True)
class Publishable:
    """A panorama that was looked at and found clean, and what was made of it."""

    panorama: Anonymized
    made: Derivatives


@dataclass(frozen=True)
class Ports:
    """What the handler needs of the world. `recipe` names the models that the detector serves, so it is asked for, not known.

    A capture that has more of its frames than the current publication takes its place, unless `fills_gaps` is false.
    """

    blobs: Blobs
    ledger: Ledger
    sink: RecordSink
    detector: Detector
    recipe: Callable[[], Awaitable[AnonymizeRecipe]]
    fills_gaps: bool = True
    under_way: Shared[bytes] = field(default_factory=Shared)


async def handle(message: PanoramaStitched, ports: Ports) -> None:
    """Publish the panorama or hold it, once per recipe, and tell; one already decided on is only told of again.

    `Unavailable` where the detector gives no valid answer: then nothing is written, and the record waits.
    """
    capture_id = CaptureId.parse(message.capture_id)
    recipe = await recipe_for(message, ports)
    if not message.missing and not recipe.review:  # a gap or a review is a recipe of its own, and there are many
        telemetry.recipe_in_use(STAGE, recipe.recipe_id)
    done = await ports.ledger.finished(capture_id, STAGE, recipe.recipe_id)
    if done is None:
        work = partial(_decided, capture_id, message, recipe, ports)
        done = await ports.under_way.do((recipe.recipe_id, encode(message)), work)
    await ports.sink.send(Stream.PUBLICATIONS, [Outgoing(message.capture_id, done)])


async def recipe_for(message: PanoramaStitched, ports: Ports) -> AnonymizeRecipe:
    """Return the recipe by which the panorama is anonymised now.

    A review is part of it where that very decision was noted, about finds of the very models that run, and nothing was published since.
    Of any other only what it hides counts: that needs nobody's word.
    """
    recipe = (await ports.recipe()).model_copy(update={"stitch_recipe_id": message.recipe_id})
    if message.review is None:
        return recipe
    reviewed = recipe.model_copy(update={"review": message.review})
    if message.review.only_hides or await _is_decided(CaptureId.parse(message.capture_id), reviewed.recipe_id, ports.ledger):
        return reviewed
    return recipe.model_copy(update={"review": message.review.hiding})


async def _is_decided(capture_id: CaptureId, recipe_id: str, ledger: Ledger) -> bool:
    if await ledger.finished(capture_id, STAGE, recipe_id) is not None:
        return True
    current = await ledger.current(capture_id)
    overtaken = current is not None and current.recipe_id != recipe_id
    return not overtaken and await ledger.finished(capture_id, REVIEW, recipe_id) is not None


def _holds(message: PanoramaStitched, recipe: AnonymizeRecipe) -> QualityHold | None:
    """Return why the quality gate holds the panorama, None where it does not, or a person waived that."""
    return None if recipe.review is not None and recipe.review.waive else message.hold


async def _decided(capture_id: CaptureId, message: PanoramaStitched, recipe: AnonymizeRecipe, ports: Ports) -> bytes:
    """Take up what an attempt left that crashed on its way to the end, or work anew; then audit, set the state, note the end."""
    adopted = None if _holds(message, recipe) else await _adopted(message, recipe, ports)
    if adopted is None:
        result = await _anonymized(message, recipe, ports)
        done = await ports.ledger.finished(capture_id, STAGE, recipe.recipe_id)
        if done is not None:  # by another worker that got the same record meanwhile: its picture must stay as it is
            return done
        outcome, evidence = await _stored(message, recipe, result, ports)
    else:
        outcome, evidence = adopted, _publication(message, recipe, adopted)
    await note(ports.ledger, evidence)
    await _require_living(outcome, evidence, ports)
    if isinstance(outcome, PanoramaPublished):
        await _point_unless_erased(outcome, evidence, message, ports)
    return await _settle(message, recipe, outcome, ports)


async def _point_unless_erased(outcome: PanoramaPublished, evidence: Audited, message: PanoramaStitched, ports: Ports) -> None:
    """Point to it, and look once more: what points to it may have been written after the eraser came by."""
    try:
        await _point_to(outcome, message, ports)
    except Rejected:  # it is not there any more
        await _require_living(outcome, evidence, ports)
        raise
    await _require_living(outcome, evidence, ports)


async def _require_living(outcome: Outcome, evidence: Audited, ports: Ports) -> None:
    """Withdraw what was published while somebody erased the capture, whichever of the two came first, and raise `Rejected(ERASED)`."""
    if not await ports.ledger.erased(CaptureId.parse(outcome.capture_id)):
        return
    for stored in [one async for one in ports.blobs.list(Bucket.PUBLISHED, f"{outcome.capture_id}/")]:
        await ports.blobs.delete(stored.ref)
    withdrawn = tuple(output.key for output in evidence.outputs) if isinstance(evidence, Publication) else ()
    about: dict[str, Any] = {"drive_id": evidence.drive_id, "capture_id": outcome.capture_id, "withdrawn": withdrawn}
    because = "It was erased while it was worked on."
    await note(ports.ledger, Erasure(**about, at=datetime.now(UTC), step="done", by=STAGE, because=because))
    raise Rejected(Reason.ERASED, f"{outcome.capture_id} was erased while it was worked on")


async def _point_to(outcome: PanoramaPublished, message: PanoramaStitched, ports: Ports) -> None:
    """Make it the current publication where it is the first, or where the current one lacks lenses that this one has."""
    capture_id = CaptureId.parse(outcome.capture_id)
    pointer = await publication.first(capture_id, outcome.recipe_id, ports.ledger, ports.blobs)
    if pointer.recipe_id == outcome.recipe_id or not ports.fills_gaps:
        return
    if frozenset(message.missing) < await publication.missing(pointer, ports.ledger, ports.blobs):
        why = publication.Decision(STAGE, "Frames that the current publication was made without have come.", datetime.now(UTC))
        await publication.replace(pointer, outcome.recipe_id, why, ports.ledger, ports.blobs)


async def _adopted(message: PanoramaStitched, recipe: AnonymizeRecipe, ports: Ports) -> PanoramaPublished | None:
    """Return what is published already, where JSON, JPEG and what was made of it are there and agree with each other and the message."""
    try:
        text = await ports.blobs.get(publication_key(message.capture_id, recipe.recipe_id))
        found = decode(text)
        if not isinstance(found, PanoramaPublished) or not _is_of(found, message, recipe) or encode(found) != text:
            return None
        there = [await _sha256_of(output, ports.blobs) for output in _outputs(found)]
    except Rejected:
        return None
    return found if there == [output.sha256 for output in _outputs(found)] else None


async def _sha256_of(output: AuditedObject, blobs: Blobs) -> str:
    return hashlib.sha256(await blobs.get(BlobRef(output.bucket, output.key))).hexdigest()


def _is_of(found: PanoramaPublished, message: PanoramaStitched, recipe: AnonymizeRecipe) -> bool:
    ours = (message.capture_id, recipe.recipe_id, message.recipe_id, message.captured_at, message.pose)
    theirs = (found.capture_id, found.recipe_id, found.stitch_recipe_id, found.captured_at, found.pose)
    return ours == theirs and (found.width, found.height) == (message.width, message.height)


async def _anonymized(message: PanoramaStitched, recipe: AnonymizeRecipe, ports: Ports) -> Publishable | Held:
    if (hold := _holds(message, recipe)) is not None:  # the detector need not look at what nobody may publish
        return Held(hold.reason, hold.detail, (), 0)
    data = await ports.blobs.get(BlobRef(Bucket.STITCHED, message.key), LARGEST_PICTURE)
    telemetry.BYTES.labels(STAGE, "read").inc(len(data))
    picture = await asyncio.to_thread(_decoded, data, message)
    described = Description(
        metadata.exif(message.pose, message.captured_at), metadata.xmp(message.pose, message.width, message.height)
    )
    carried = await _carried(message, ports.blobs)
    since = ports.detector.interruptions
    result = await anonymize(picture, ports.detector, recipe, panorama=True, description=described, source=data, carried=carried)
    if isinstance(result, Held):
        return result
    await ports.detector.prove(since)  # the last look found nothing: a blind detector would have said the same
    return await asyncio.to_thread(_derived, result)


def _derived(result: Anonymized) -> Publishable | Held:
    """Make what is published beside the panorama; like it, that may hold pixels and tables, nothing else."""
    with telemetry.measured(STAGE, "derive"):
        made = derived(result.picture, result.jpeg)
        findings = [finding for picture in made.pictures for finding in metadata.scan(picture)]
    if findings:
        return Held(Reason.NOT_VERIFIED, "; ".join(map(str, findings))[:400], result.regions, result.rounds)
    return Publishable(result, made)


async def _carried(message: PanoramaStitched, blobs: Blobs) -> list[Region]:
    """Return what the stitcher found in the frames, from the message or from where it says."""
    extent = Extent(message.width, message.height, wraps=True)
    if message.carried_elsewhere is None:
        return [from_box(box, extent) for box in message.carried]
    data = await blobs.get(BlobRef(Bucket.STITCHED, message.carried_elsewhere.key))
    if hashlib.sha256(data).hexdigest() != message.carried_elsewhere.sha256:
        raise Rejected(Reason.HASH_MISMATCH, message.carried_elsewhere.key)
    return [from_box(box, extent) for box in CARRIED.validate_json(data)]


def _decoded(data: bytes, message: PanoramaStitched) -> NDArray[np.uint8]:
    with telemetry.measured(STAGE, "decode"):
        if hashlib.sha256(data).hexdigest() != message.sha256:
            raise Rejected(Reason.HASH_MISMATCH, message.key)
        try:
            picture = jpeg.decode(data)
        except Rejected as error:
            raise Rejected(Reason.CORRUPT_PANORAMA, error.detail) from error
    if picture.shape[:2] != (message.height, message.width) or message.width != 2 * message.height:
        raise Rejected(Reason.CORRUPT_PANORAMA, f"{picture.shape[1]} x {picture.shape[0]} pixels")
    return picture


async def _stored(
    message: PanoramaStitched, recipe: AnonymizeRecipe, result: Publishable | Held, ports: Ports
) -> tuple[Outcome, Audited]:
    if isinstance(result, Held):
        return await _hold(message, recipe, result, ports), _held(message, recipe, result)
    telemetry.PUBLICATIONS.inc()  # before: what may lie there counts
    published = await _publish(message, recipe, result, ports)
    return published, _publication(message, recipe, published)


async def _publish(message: PanoramaStitched, recipe: AnonymizeRecipe, result: Publishable, ports: Ports) -> PanoramaPublished:
    """Put the pictures, then the JSON that vouches for them: where there is a JSON, its pictures were proven and written whole."""
    published = _published(message, recipe, result)
    pictures = (
        (result.panorama.jpeg, "image/jpeg"),
        (result.made.thumbnail, "image/jpeg"),
        (result.made.tiles, "application/vnd.pmtiles"),
    )
    for output, (data, kind) in zip(_outputs(published), pictures, strict=True):
        await ports.blobs.put(BlobRef(output.bucket, output.key), data, kind, sha256=output.sha256)
        telemetry.BYTES.labels(STAGE, "written").inc(len(data))
    await ports.blobs.put(publication_key(message.capture_id, recipe.recipe_id), encode(published), "application/json")
    return published


async def _hold(message: PanoramaStitched, recipe: AnonymizeRecipe, result: Held, ports: Ports) -> PanoramaHeld:
    """Take back what an attempt may have put that crashed before its end: what is held is not published."""
    for ref in published_keys(message.capture_id, recipe.recipe_id):
        await ports.blobs.delete(ref)
    await publication.untell(message.capture_id, recipe.recipe_id, ports.blobs)
    return PanoramaHeld(
        capture_id=message.capture_id,
        recipe_id=recipe.recipe_id,
        reason=result.reason,
        detail=result.detail,
        left=_boxes(result.left, message),
    )


async def _settle(message: PanoramaStitched, recipe: AnonymizeRecipe, outcome: Outcome, ports: Ports) -> bytes:
    """Set the state, then note the end: a crash in between repeats the work, the other way round would lose the state."""
    capture_id = CaptureId.parse(message.capture_id)
    state = State.HELD if isinstance(outcome, PanoramaHeld) else State.PUBLISHED
    reason, detail = (outcome.reason, outcome.detail) if isinstance(outcome, PanoramaHeld) else ("", "")
    await ports.ledger.move(capture_id, state, reason, detail, grade=Grade.of(message.quality))
    winner = await ports.ledger.finish(capture_id, STAGE, recipe.recipe_id, encode(outcome))
    telemetry.CAPTURES.labels(STAGE, state).inc()
    if reason:
        telemetry.HELD.labels(reason).inc()
    return winner


def _published(message: PanoramaStitched, recipe: AnonymizeRecipe, published: Publishable) -> PanoramaPublished:
    result, made = published.panorama, published.made
    extent = Extent(message.width, message.height, wraps=True)
    return PanoramaPublished(
        capture_id=message.capture_id,
        recipe_id=recipe.recipe_id,
        stitch_recipe_id=message.recipe_id,
        captured_at=message.captured_at,
        pose=message.pose,
        key=published_key(message.capture_id, recipe.recipe_id).key,
        sha256=hashlib.sha256(result.jpeg).hexdigest(),
        size=len(result.jpeg),
        width=message.width,
        height=message.height,
        boxes=tuple(to_box(rect.of(region), extent) for region, rect in zip(result.regions, result.rects, strict=True)),
        verification_rounds=result.rounds,
        derivatives=(
            _derivative("thumbnail", thumbnail_key(message.capture_id, recipe.recipe_id), made.thumbnail),
            _derivative("tiles", tiles_key(message.capture_id, recipe.recipe_id), made.tiles),
        ),
    )


def _derivative(kind: Literal["thumbnail", "tiles"], ref: BlobRef, data: bytes) -> Derivative:
    return Derivative(kind=kind, key=ref.key, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def _outputs(published: PanoramaPublished) -> tuple[AuditedObject, ...]:
    """Return the pictures of a publication, the panorama first."""
    pictures: tuple[PanoramaPublished | Derivative, ...] = (published, *published.derivatives)
    return tuple(AuditedObject(bucket=Bucket.PUBLISHED, key=each.key, sha256=each.sha256) for each in pictures)


def _publication(message: PanoramaStitched, recipe: AnonymizeRecipe, published: PanoramaPublished) -> Publication:
    beside = publication_key(message.capture_id, recipe.recipe_id)
    digest = hashlib.sha256(encode(published)).hexdigest()
    return Publication(
        **_decision(message, recipe),
        outputs=(*_outputs(published), AuditedObject(bucket=beside.bucket, key=beside.key, sha256=digest)),
        regions=published.boxes,
        verification=Verification(rounds=published.verification_rounds, findings=""),
    )


def _held(message: PanoramaStitched, recipe: AnonymizeRecipe, result: Held) -> Hold:
    return Hold(
        **_decision(message, recipe),
        withdrawn=tuple(ref.key for ref in published_keys(message.capture_id, recipe.recipe_id)),
        reason=result.reason,
        regions=_boxes(result.regions, message),
        left=_boxes(result.left, message),
        verification=Verification(rounds=result.rounds, findings=result.detail),
    )


def _boxes(regions: tuple[Region, ...], message: PanoramaStitched) -> tuple[PanoramaBox, ...]:
    extent = Extent(message.width, message.height, wraps=True)
    return tuple(to_box(region, extent) for region in regions)


def _decision(message: PanoramaStitched, recipe: AnonymizeRecipe) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC),
        "drive_id": CaptureId.parse(message.capture_id).drive_id,
        "capture_id": message.capture_id,
        "inputs": (AuditedObject(bucket=Bucket.STITCHED, key=message.key, sha256=message.sha256),),
        "recipe_id": recipe.recipe_id,
        "recipe": recipe,
    }
