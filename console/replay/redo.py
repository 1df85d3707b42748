"""One capture again, through the services' own handlers in this process: stitched, handed over, anonymised, flipped.

The stitcher's message goes straight to the anonymizer's handler, so that the streams of live traffic carry nothing of a replay; only
what is published is told on the publications stream, as ever. Whatever was done before under the same recipe is not done again.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast

from panoveil import publication
from panoveil.blobs import Blobs
from panoveil.contracts.audit import HoldDecision
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream
from panoveil.contracts.messages import CaptureReady, PanoramaHeld, PanoramaPublished, PanoramaStitched, decode, encode, outcome
from panoveil.contracts.reasons import Reason
from panoveil.contracts.review import Review
from panoveil.ledger import Ledger
from panoveil.streams import Outgoing
from services.anonymizer import handler as anonymizer
from services.anonymizer.app import stitched
from services.archivist.handler import STAGE as ARCHIVIST
from services.stitcher import handler as stitcher

Kind = Literal["redone", "skipped", "held", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a capture ended: published anew, published before, held under this recipe, or not worked on; `flipped` made it current."""

    capture_id: str
    kind: Kind
    recipe_id: str = ""
    reason: str = ""
    detail: str = ""
    flipped: bool = False
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who replays, and why; `now` tells the time."""

    by: str
    because: str
    now: Callable[[], datetime]

    def decision(self, action: Literal["flip", "rollback"] = "flip") -> publication.Decision:
        """Return what goes into the audit chain."""
        return publication.Decision(self.by, self.because, self.now(), action)


Redo = Callable[[bytes], Awaitable[Outcome]]
"""Works a message off again, or only looks what would come of that; raises what the handlers raise."""


@dataclass(frozen=True)
class Anonymizing:
    """Anonymises a panorama again; with `flipping` what is published becomes current, else that is left as it is."""

    ports: anonymizer.Ports
    flipping: Operator | None

    async def __call__(self, data: bytes) -> Outcome:
        """Redo a `panorama.stitched`."""
        message = await self._reviewed(stitched(data))
        capture_id = CaptureId.parse(message.capture_id)
        before = await self.outcome(message)
        await anonymizer.handle(message, self.ports)  # also where it is done: whoever was killed may not have told
        outcome = before or await self.outcome(message)
        assert outcome is not None, "a handler that returns has finished"
        if isinstance(outcome, PanoramaHeld):
            return Outcome(message.capture_id, "held", outcome.recipe_id, outcome.reason, outcome.detail)
        flipped = self.flipping is not None and await publication.flip(
            capture_id, outcome.recipe_id, self.flipping.decision(), self.ports.ledger, self.ports.blobs
        )
        return Outcome(message.capture_id, "skipped" if before else "redone", outcome.recipe_id, flipped=flipped)

    async def look(self, data: bytes) -> Outcome:
        """Say what would come of it, as far as that is known; what was never worked on is taken to be published."""
        message = await self._reviewed(stitched(data))
        capture_id = CaptureId.parse(message.capture_id)
        outcome = await self.outcome(message)
        if isinstance(outcome, PanoramaHeld):
            return Outcome(message.capture_id, "held", outcome.recipe_id, outcome.reason, outcome.detail)
        recipe_id = (await anonymizer.recipe_for(message, self.ports)).recipe_id
        pointer = await self.ports.ledger.current(capture_id)
        flips = self.flipping is not None and (pointer is None or pointer.recipe_id != recipe_id)
        return Outcome(message.capture_id, "skipped" if outcome else "redone", recipe_id, flipped=flips)

    async def published(self, capture_id: CaptureId, stitch_recipe_id: str) -> PanoramaPublished | None:
        """Return what was published of a capture that was stitched by that recipe, None where nothing was."""
        recipe = (await self.ports.recipe()).model_copy(update={"stitch_recipe_id": stitch_recipe_id})
        done = await self.ports.ledger.finished(capture_id, anonymizer.STAGE, recipe.recipe_id)
        found = None if done is None else outcome(done)
        return found if isinstance(found, PanoramaPublished) else None

    async def again(self, published: PanoramaPublished) -> Outcome:
        """Tell once more of what is published, and make it current where that is wanted."""
        await self.ports.sink.send(Stream.PUBLICATIONS, [Outgoing(published.capture_id, encode(published))])
        capture_id = CaptureId.parse(published.capture_id)
        flipped = self.flipping is not None and await publication.flip(
            capture_id, published.recipe_id, self.flipping.decision(), self.ports.ledger, self.ports.blobs
        )
        return Outcome(published.capture_id, "skipped", published.recipe_id, flipped=flipped)

    async def flips(self, published: PanoramaPublished) -> bool:
        """Say whether it would become current."""
        pointer = await self.ports.ledger.current(CaptureId.parse(published.capture_id))
        return self.flipping is not None and (pointer is None or pointer.recipe_id != published.recipe_id)

    async def outcome(self, message: PanoramaStitched) -> PanoramaPublished | PanoramaHeld | None:
        """Return what came of a panorama under this recipe, None where it was never worked on."""
        recipe = await anonymizer.recipe_for(await self._reviewed(message), self.ports)
        done = await self.ports.ledger.finished(CaptureId.parse(message.capture_id), anonymizer.STAGE, recipe.recipe_id)
        return None if done is None else outcome(done)

    async def _reviewed(self, message: PanoramaStitched) -> PanoramaStitched:
        """Return the message with what a person decided last about the capture: what was drawn by hand is hidden by every recipe.

        `Rejected(NOT_VERIFIED)` where something was drawn in a panorama that is turned otherwise: there it would hide something else.
        """
        if message.review is not None or (decision := await _last_release(message.capture_id, self.ports.ledger)) is None:
            return message
        review = cast("Review", decision.review)
        if review.hide and not await _is_turned_alike(message, decision, self.ports.ledger):
            raise Rejected(Reason.NOT_VERIFIED, "a person drew what to hide in it, and the panorama is turned otherwise now")
        return message.model_copy(update={"review": review})


async def _last_release(capture_id: str, ledger: Ledger) -> HoldDecision | None:
    capture = CaptureId.parse(capture_id)
    noted = [one.message async for one in ledger.messages(capture.drive_id, anonymizer.REVIEW, capture.capture)]
    return max(map(HoldDecision.model_validate_json, noted), key=lambda one: one.at, default=None)


async def _is_turned_alike(message: PanoramaStitched, decision: HoldDecision, ledger: Ledger) -> bool:
    """Say whether the panorama that the person looked at and this one show the same at the same angles."""
    stitch_recipe_id = decision.inputs[0].key.rsplit("/", 1)[-1].removesuffix(".jpg")
    done = await ledger.finished(CaptureId.parse(message.capture_id), stitcher.STAGE, stitch_recipe_id)
    return done is not None and _angles(stitched(done)) == _angles(message)


def _angles(message: PanoramaStitched) -> tuple[str, float | None, float | None, float | None]:
    return message.rig_id, message.pose.heading, message.pose.pitch, message.pose.roll


@dataclass(frozen=True)
class Stitching:
    """Stitches a capture again and hands it over. What was stitched before is made anew only where it is damaged or gone."""

    ports: stitcher.Ports
    onward: Anonymizing

    async def __call__(self, data: bytes) -> Outcome:
        """Redo a `capture.ready`."""
        message = _ready(data)
        if (published := await self._published(message)) is not None:
            return await self.onward.again(published)
        link = _HandOver(self.onward)
        ledger = self.ports.ledger
        if await self._is_needed_again(message):
            ledger = cast("Ledger", _Forgetful(ledger, stitcher.STAGE))
        try:
            await stitcher.handle(message, replace(self.ports, sink=link, ledger=ledger))
        except Rejected as error:
            raise await self._told(message.capture_id, error) from error
        assert link.outcome is not None, "a handler that returns has told"
        return link.outcome

    async def _told(self, capture_id: str, error: Rejected) -> Rejected:
        """Say of originals that are gone whether they lie in the archive."""
        archived = self.ports.ledger.messages(
            CaptureId.parse(capture_id).drive_id, ARCHIVIST, CaptureId.parse(capture_id).capture
        )
        if error.reason != Reason.OBJECT_GONE or await anext(archived, None) is None:
            return error
        return Rejected(Reason.NOT_RESTORED, f"the originals of {capture_id} lie in the archive and are not restored yet")

    async def look(self, data: bytes) -> Outcome:
        """Say what would come of it, as far as that is known."""
        message = _ready(data)
        done = await self.stitched(message)
        if done is None and (published := await self._published(message)) is not None:
            return Outcome(message.capture_id, "skipped", published.recipe_id, flipped=await self.onward.flips(published))
        if done is None:
            return Outcome(message.capture_id, "redone", flipped=self.onward.flipping is not None)
        return await self.onward.look(encode(done))

    async def _published(self, message: CaptureReady) -> PanoramaPublished | None:
        """Return what is published under both recipes though nobody knows what was stitched: the ledger was rebuilt since."""
        if await self.stitched(message) is not None:
            return None
        recipe = await stitcher.recipe_for(message, self.ports)
        return await self.onward.published(CaptureId.parse(message.capture_id), recipe.recipe_id)

    async def _is_needed_again(self, message: CaptureReady) -> bool:
        done = await self.stitched(message)
        return done is not None and await self.onward.outcome(done) is None and not await _is_intact(done, self.ports.blobs)

    async def stitched(self, message: CaptureReady) -> PanoramaStitched | None:
        """Return what was stitched of a capture under this recipe, None where nothing was."""
        recipe = await stitcher.recipe_for(message, self.ports)
        done = await self.ports.ledger.finished(CaptureId.parse(message.capture_id), stitcher.STAGE, recipe.recipe_id)
        return None if done is None else stitched(done)


def unless_erased(redo: Redo, ledger: Ledger) -> Redo:
    """Return what redoes a message, but refuses one of a capture that was erased: `Rejected(ERASED)`."""

    async def living(data: bytes) -> Outcome:
        capture_id = CaptureId.parse(decode(data).capture_id)
        if await ledger.erased(capture_id):
            raise Rejected(Reason.ERASED, f"{capture_id} was erased: nothing of it is worked on any more")
        return await redo(data)

    return living


def _ready(data: bytes) -> CaptureReady:
    message = decode(data)
    if not isinstance(message, CaptureReady):
        raise Rejected(Reason.UNKNOWN_MESSAGE, f"the stitcher works on capture.ready, not on {message.type}")
    return message


class _HandOver:
    """A `RecordSink` to whoever works on it next, in this process."""

    def __init__(self, onward: Callable[[bytes], Awaitable[Outcome]]) -> None:
        self._onward = onward
        self.outcome: Outcome | None = None

    async def send(self, stream: Stream, records: Sequence[Outgoing]) -> None:
        assert stream is Stream.PANORAMAS, "a stitcher tells of panoramas"
        for record in records:
            self.outcome = await self._onward(record.data)


class _Forgetful:
    """The ledger, but what a stage finished is not remembered: it works again, and the message of then still wins."""

    def __init__(self, ledger: Ledger, stage: str) -> None:
        self._ledger, self._stage = ledger, stage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def finished(self, capture_id: CaptureId, stage: str, recipe_id: str) -> bytes | None:
        return None if stage == self._stage else await self._ledger.finished(capture_id, stage, recipe_id)


async def _is_intact(message: PanoramaStitched, blobs: Blobs) -> bool:
    try:
        data = await blobs.get(BlobRef(Bucket.STITCHED, message.key))
        elsewhere = message.carried_elsewhere
        if elsewhere is not None and await blobs.head(BlobRef(Bucket.STITCHED, elsewhere.key)) is None:
            return False
    except Rejected:
        return False
    return hashlib.sha256(data).hexdigest() == message.sha256
