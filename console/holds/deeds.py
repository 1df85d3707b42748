"""What a person decides about a hold: it is looked at once more with that counting, or it stays held.

The decision is noted in the audit chain, then in the ledger, where the anonymizer looks for it, then the panorama is sent again. Whoever
was killed in between gives the same command again: all three may be repeated, and once there is an outcome it is only told.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from console.holds.cases import Case, find
from panoveil.contracts.audit import Hold, HoldDecision
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import BlobRef, CaptureId, Stream
from panoveil.contracts.messages import PanoramaHeld, PanoramaPublished, PanoramaStitched, encode, outcome
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import CODE_VERSION, AnonymizeRecipe
from panoveil.contracts.review import Marked, Review
from panoveil.detection import Kind
from panoveil.ledger import Ledger, note
from panoveil.runtime import Connections
from panoveil.streams import Outgoing
from services.anonymizer.app import stitched
from services.anonymizer.handler import REVIEW, STAGE
from services.anonymizer.regions import Extent, Region, to_box

Ended = PanoramaPublished | PanoramaHeld


@dataclass(frozen=True, slots=True)
class Operator:
    """Who decides: a role or a number, never a person's name; `because` names nobody; `now` tells the time."""

    by: str
    because: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A box that a person drew, in whole pixels of the panorama: [x0, x1) x [y0, y1), round its edge where x0 lies beyond x1."""

    kind: Kind
    x0: int
    y0: int
    x1: int
    y1: int

    def marked(self, width: int, height: int) -> Marked:
        """Return it in degrees; `Misconfigured` where it is not in the panorama, or holds nothing."""
        if max(self.x0, self.x1) > width or self.y1 > height:
            raise Misconfigured(f"The box {self} does not lie in the panorama, which is {width} x {height} pixels.")
        if self.x0 == self.x1 or self.y0 >= self.y1:
            raise Misconfigured(f"The box {self} is empty: X0,Y0 is its upper left corner, X1,Y1 its lower right one.")
        right = self.x1 + (width if self.x1 < self.x0 else 0)
        region = Region(self.kind, 1.0, float(self.x0), float(self.y0), float(right), float(self.y1))
        return Marked(**to_box(region, Extent(width, height, wraps=True)).model_dump(exclude={"score"}))

    def __str__(self) -> str:
        return f"{self.x0},{self.y0},{self.x1},{self.y1}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody decides: finds by their numbers, or all that were left before anybody accepted anything; what to hide besides; whether quality may be poor."""

    accept: tuple[int, ...] = ()
    all_left: bool = False
    hide: tuple[Drawn, ...] = ()
    waive: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """What a wish comes to: the hold it is about, the panorama, the recipe it is looked at by, and what came of that, where anything did."""

    case: Case
    hold: Hold
    message: PanoramaStitched
    recipe: AnonymizeRecipe
    review: Review
    ended: Ended | None

    @property
    def capture_id(self) -> CaptureId:
        """The capture."""
        return self.case.capture.capture_id


async def planned(capture_id: CaptureId, wish: Wish, world: Connections) -> Release:
    """Say what a wish comes to, changing nothing; `Misconfigured` or `Rejected` says in one sentence why it cannot be followed."""
    if wish == Wish():
        raise Misconfigured(
            "Nothing was decided: say --accept, --hide or --waive-quality, or `panoveil holds keep` that it stays held."
        )
    case = await find(capture_id, world.ledger)
    hold, accepted = _accepted(case, wish)
    message = await _message(case, hold, world.ledger)
    if wish.waive and message.hold is None:
        raise Misconfigured(f"{capture_id} is not held by the quality gate: there is nothing to waive.")
    hide = tuple(box.marked(message.width, message.height) for box in wish.hide)
    review = Review(hide=hide, accept=accepted, waive=wish.waive).joined(hold.recipe.review)
    recipe = hold.recipe.model_copy(update={"review": review})
    meant = Release(case, hold, message, recipe, review, await _ended(capture_id, recipe.recipe_id, world.ledger))
    if meant.ended is None:
        await _require_possible(meant, world)
    return meant


def _accepted(case: Case, wish: Wish) -> tuple[Hold, tuple[Marked, ...]]:
    """Return the hold that is meant, and what of it is accepted."""
    if wish.all_left:
        hold = case.origin
        finds = case.finds(hold)
        if not finds:
            raise Misconfigured(f"Nothing was left in {case.capture.capture_id} that could be accepted: {_why(case)}.")
    elif wish.accept:
        hold = _hold_of(case, wish.accept)
        finds = tuple(one for one in case.finds(hold) if one.number in wish.accept)
    else:
        hold, finds = case.hold, ()
    return hold, tuple(Marked(**one.box.model_dump(exclude={"score"})) for one in finds)


def _hold_of(case: Case, numbers: Iterable[int]) -> Hold:
    """Return the hold that left what has these numbers."""
    by_number = {one.number: hold for hold in case.holds for one in case.finds(hold)}
    for number in numbers:
        if number not in by_number:
            known = ", ".join(map(str, sorted(by_number))) or f"no numbers: {_why(case)}"
            raise Misconfigured(f"Nothing that was left in {case.capture.capture_id} has the number {number}; there are {known}.")
    meant = [hold for hold in case.holds if any(by_number[number] is hold for number in numbers)]
    if len(meant) > 1:
        raise Misconfigured(f"The numbers are of several holds; the last one left {_numbers(case)}.")
    return meant[0]


def _numbers(case: Case) -> str:
    return ", ".join(str(one.number) for one in case.finds(case.hold)) or "nothing"


def _why(case: Case) -> str:
    return case.hold.verification.findings or case.hold.reason


async def _message(case: Case, hold: Hold, ledger: Ledger) -> PanoramaStitched:
    """Return what the stitcher said of the panorama that was held."""
    capture_id = case.capture.capture_id
    done = await ledger.finished(capture_id, "stitcher", hold.recipe.stitch_recipe_id)
    message = None if done is None else stitched(done)
    if message is None or (message.key, message.sha256) != (hold.inputs[0].key, hold.inputs[0].sha256):
        again = f"`panoveil replay --stage stitcher --capture {capture_id}`"
        raise Misconfigured(f"The ledger does not know the panorama that was held of {capture_id}: {again} makes it anew.")
    return message


async def _require_possible(meant: Release, world: Connections) -> None:
    """Refuse what would come to nothing, or is not about what is held now."""
    case, hold, capture_id = meant.case, meant.hold, meant.capture_id
    if not case.held:
        raise Misconfigured(f"{capture_id} is not held any more: it is {case.capture.state}.")
    if hold is not case.hold:
        raise Misconfigured(f"{capture_id} was held again since: what is left now is {_numbers(case)}. Look at it once more.")
    if hold.code != CODE_VERSION:
        again = f"`panoveil replay --stage anonymizer --capture {capture_id}`"
        raise Misconfigured(f"{capture_id} was held by another version of Panoveil: {again} looks at it with this one.")
    if meant.message.hold is not None and not meant.review.waive:
        raise Misconfigured(
            f"{capture_id} is held by the quality gate, before anybody looked: --waive-quality lets it be looked at."
        )
    ref = BlobRef(hold.inputs[0].bucket, hold.inputs[0].key)
    if await world.blobs.head(ref) is None:
        raise Rejected(Reason.OBJECT_GONE, f"{ref} is not there any more: stitch it anew, where its originals are")


async def _ended(capture_id: CaptureId, recipe_id: str, ledger: Ledger) -> Ended | None:
    done = await ledger.finished(capture_id, STAGE, recipe_id)
    return None if done is None else outcome(done)


async def release(meant: Release, operator: Operator, world: Connections) -> None:
    """Note the decision, let the anonymizer know of it, and send the panorama once more. May be repeated."""
    decision = HoldDecision(
        **_about(meant.case, meant.hold, operator), action="release", recipe_id=meant.recipe.recipe_id, review=meant.review
    )
    entry = await note(world.ledger, decision)
    noted = HoldDecision.model_validate(dict(entry.body))  # of whoever decided the same before
    await world.ledger.finish(meant.capture_id, REVIEW, meant.recipe.recipe_id, encode(noted))
    message = meant.message.model_copy(update={"review": meant.review})
    await world.sink.send(Stream.PANORAMAS, [Outgoing(message.capture_id, encode(message))])


async def keep(capture_id: CaptureId, operator: Operator, world: Connections) -> HoldDecision:
    """Note that a capture stays held; `Misconfigured` where it is not."""
    case = await find(capture_id, world.ledger)
    if not case.held:
        raise Misconfigured(f"{capture_id} is not held any more: it is {case.capture.state}.")
    decision = HoldDecision(**_about(case, case.hold, operator), action="keep")
    await note(world.ledger, decision)
    return decision


def _about(case: Case, hold: Hold, operator: Operator) -> dict[str, Any]:
    capture_id = case.capture.capture_id
    return {
        "at": operator.now(),
        "drive_id": capture_id.drive_id,
        "by": operator.by,
        "because": operator.because,
        "capture_id": str(capture_id),
        "held": hold.recipe_id,
        "inputs": hold.inputs,
    }


async def awaited(meant: Release, known: frozenset[str], ledger: Ledger, pause: Callable[[], Awaitable[bool]]) -> Ended | None:
    """Return what came of a release, or else of a recipe that is not `known`: then the service has other settings by now.

    None where `pause` says that it was waited for long enough; `Rejected(ERASED)` where the capture was erased meanwhile.
    """
    capture_id = meant.capture_id
    while True:
        if (ended := await _ended(capture_id, meant.recipe.recipe_id, ledger)) is not None:
            return ended
        async for one in ledger.messages(capture_id.drive_id, STAGE, capture_id.capture):
            if one.recipe_id not in known and (other := outcome(one.message)) is not None:
                return other
        if await ledger.erased(capture_id):
            raise Rejected(Reason.ERASED, f"{capture_id} was erased meanwhile")
        if not await pause():
            return None


async def known_recipes(capture_id: CaptureId, ledger: Ledger) -> frozenset[str]:
    """Return the recipes by which something came of a capture."""
    return frozenset([one.recipe_id async for one in ledger.messages(capture_id.drive_id, STAGE, capture_id.capture)])
