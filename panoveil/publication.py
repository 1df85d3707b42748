"""Which of a capture's publications is the current one: decided in the ledger, told to the public in `current.json`.

Every recipe publishes beside the others. The ledger's pointer says which one counts; it is moved by one conditional write, after an entry
in the audit chain that says who moves it and why. `current.json` follows it: whoever writes it looks at the pointer once more afterwards
and writes again where that was moved meanwhile, so the last one to write has written what the pointer says. Whoever dies in between is
made good by whoever does the same again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from panoveil.blobs import Blobs
from panoveil.contracts.audit import Flip
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, CaptureId, current_key, publication_key
from panoveil.contracts.messages import CurrentPublication, PanoramaPublished, PanoramaStitched, decode, encode, outcome
from panoveil.contracts.reasons import Reason
from panoveil.ledger import Ledger, Pointer, note


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides, why and when. `by` is a role or a number, never a person's name; `because` names nobody and no place."""

    by: str
    because: str
    at: datetime
    action: Literal["flip", "rollback"] = "flip"


async def published(capture_id: CaptureId, recipe_id: str, blobs: Blobs) -> PanoramaPublished:
    """Return what lies in the published bucket of a capture and recipe; `Rejected(OBJECT_GONE)` where nothing does."""
    ref = publication_key(str(capture_id), recipe_id)
    found = outcome(await blobs.get(ref))
    if not isinstance(found, PanoramaPublished):
        raise Rejected(Reason.UNKNOWN_MESSAGE, f"{ref} is no publication")
    return found


async def first(capture_id: CaptureId, recipe_id: str, ledger: Ledger, blobs: Blobs) -> Pointer:
    """Make a publication the current one where there is none yet; return the one that is. May be repeated."""
    await ledger.point(capture_id, recipe_id, expected=None)
    return await tell(capture_id, ledger, blobs)


async def flip(capture_id: CaptureId, recipe_id: str, decision: Decision, ledger: Ledger, blobs: Blobs) -> bool:
    """Make a recipe's publication the current one, whichever was; say whether it was another. May be repeated.

    `Rejected(OBJECT_GONE)` where that recipe published nothing of the capture: then nothing is changed.
    """
    await published(capture_id, recipe_id, blobs)
    moved = False
    while not moved:
        now = await ledger.current(capture_id)
        if now is not None and now.recipe_id == recipe_id:
            break
        moved = await move(now, capture_id, recipe_id, decision, ledger)
    await tell(capture_id, ledger, blobs)
    return moved


async def replace(now: Pointer, recipe_id: str, decision: Decision, ledger: Ledger, blobs: Blobs) -> bool:
    """Move the pointer from where it is; False where somebody moved it since: what they decided stays."""
    moved = await move(now, now.capture_id, recipe_id, decision, ledger)
    await tell(now.capture_id, ledger, blobs)
    return moved


async def move(now: Pointer | None, capture_id: CaptureId, recipe_id: str, decision: Decision, ledger: Ledger) -> bool:
    """Note the decision, then move the pointer from where it is; False where somebody else moved it meanwhile."""
    entry = Flip(
        at=decision.at,
        drive_id=capture_id.drive_id,
        action=decision.action,
        by=decision.by,
        because=decision.because,
        capture_id=str(capture_id),
        recipe_id=recipe_id,
        instead_of=now.recipe_id if now else None,
        place=now.version + 1 if now else 1,
    )
    await note(ledger, entry)
    return await ledger.point(capture_id, recipe_id, expected=now, back=decision.action == "rollback")


async def roll_back(pointer: Pointer, decision: Decision, ledger: Ledger, blobs: Blobs) -> bool:
    """Make current what was before the pointer was moved there; say whether that was possible. May be repeated.

    False where there is nothing to go back to, or somebody moved the pointer since: what they decided stays.
    """
    if pointer.previous is None:
        return False
    await published(pointer.capture_id, pointer.previous, blobs)
    return await replace(pointer, pointer.previous, decision, ledger, blobs)


async def missing(pointer: Pointer, ledger: Ledger, blobs: Blobs) -> frozenset[str]:
    """Return the lenses whose frames the current publication was made without."""
    found = await published(pointer.capture_id, pointer.recipe_id, blobs)
    stitched = await ledger.finished(pointer.capture_id, "stitcher", found.stitch_recipe_id)
    message = None if stitched is None else decode(stitched)
    return frozenset(message.missing if isinstance(message, PanoramaStitched) else ())


async def tell(capture_id: CaptureId, ledger: Ledger, blobs: Blobs) -> Pointer:
    """Let `current.json` say what the ledger says; return that. Something must be current."""
    told: Pointer | None = None
    while (pointer := await ledger.current(capture_id)) != told:
        assert pointer is not None, "a pointer is moved, never taken away"
        await _write(pointer, blobs)
        told = pointer
    assert told is not None
    return told


async def _write(pointer: Pointer, blobs: Blobs) -> None:
    """Write `current.json`, unless it says so already."""
    found = await published(pointer.capture_id, pointer.recipe_id, blobs)
    beside = publication_key(str(pointer.capture_id), pointer.recipe_id).key
    text = encode(
        CurrentPublication(
            capture_id=found.capture_id, recipe_id=found.recipe_id, key=found.key, sha256=found.sha256, publication=beside
        )
    )
    ref = current_key(found.capture_id)
    if await _there(ref, blobs) != text:
        await blobs.put(ref, text, "application/json")


async def _there(ref: BlobRef, blobs: Blobs) -> bytes | None:
    try:
        return await blobs.get(ref)
    except Rejected:
        return None


async def untell(capture_id: str, recipe_id: str, blobs: Blobs) -> None:
    """Let no `current.json` point to what is withdrawn."""
    text = await _there(current_key(capture_id), blobs)
    if text is not None and CurrentPublication.model_validate_json(text).recipe_id == recipe_id:
        await blobs.delete(current_key(capture_id))
