"""The current publications of a drive, from the ledger or from files on disk."""

from pathlib import Path

from console.recipes import published
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import BlobRef, Bucket, current_key
from panoveil.contracts.messages import PanoramaPublished, outcome
from panoveil.ledger import Ledger


async def of_drive(drive_id: str, ledger: Ledger, blobs: Blobs) -> tuple[PanoramaPublished, ...]:
    """Return what is current of every capture, as the car went; `Misconfigured` where there is nothing.

    The ledger remembers what was published for ever: what was taken back or erased since is not in the bucket any more.
    """
    drive = await published.read(drive_id, ledger)
    there = {blob.ref async for blob in blobs.list(Bucket.PUBLISHED, f"{drive_id}/")}
    pointed = [drive.outcomes.get(pointer.recipe_id, {}).get(capture) for capture, pointer in drive.pointers.items()]
    found = [one for one in pointed if isinstance(one, PanoramaPublished) and {*_needed(one)} <= there]
    if not found:
        raise Misconfigured(await _why_not(drive_id, ledger))
    return in_order(found)


def _needed(one: PanoramaPublished) -> tuple[BlobRef, ...]:
    return BlobRef(Bucket.PUBLISHED, one.key), current_key(one.capture_id)


def in_folder(folder: Path) -> dict[Path, PanoramaPublished]:
    """Return every publication whose JSON lies in a folder, as the demo writes them; `Misconfigured` where there is none."""
    found = {path: message for path in sorted(folder.glob("*.json")) if (message := _publication(path)) is not None}
    if not found:
        raise Misconfigured(
            f"{folder} holds no publication: `panoveil demo` leaves <capture>.jpg and .json in its folder published/."
        )
    return found


def in_order(found: list[PanoramaPublished]) -> tuple[PanoramaPublished, ...]:
    """Return publications as the car went: by time, then by capture."""
    return tuple(sorted(found, key=lambda one: (one.captured_at, one.capture_id)))


async def _why_not(drive_id: str, ledger: Ledger) -> str:
    states = [capture.state.value async for capture in ledger.captures(drive_id)]
    if not states:
        return f"No drive {drive_id!r} is in the ledger; `panoveil status` lists those that are."
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    return f"Nothing of drive {drive_id!r} is published: {counts}; `panoveil status {drive_id}` says why."


def _publication(path: Path) -> PanoramaPublished | None:
    try:
        message = outcome(path.read_bytes())
    except Rejected:
        return None
    return message if isinstance(message, PanoramaPublished) else None
