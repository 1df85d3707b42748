"""Which recipes are published of a drive, and which publication of each capture is current."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import PanoramaHeld, PanoramaPublished, outcome
from panoveil.ledger import Ledger, Pointer

STAGE = "anonymizer"


@dataclass(frozen=True)
class Drive:
    """What the ledger knows of a drive's publications; `outcomes` by recipe and capture."""

    drive_id: str
    pointers: dict[CaptureId, Pointer] = field(default_factory=dict)
    outcomes: dict[str, dict[CaptureId, PanoramaPublished | PanoramaHeld]] = field(default_factory=dict)

    def published(self, recipe_id: str) -> dict[CaptureId, PanoramaPublished]:
        """Return what a recipe published, by capture."""
        of_recipe = self.outcomes.get(recipe_id, {})
        return {capture: found for capture, found in of_recipe.items() if isinstance(found, PanoramaPublished)}


async def read(drive_id: str, ledger: Ledger) -> Drive:
    """Read a drive's publications and pointers."""
    drive = Drive(drive_id)
    async for pointer in ledger.pointers(drive_id):
        drive.pointers[pointer.capture_id] = pointer
    async for one in ledger.messages(drive_id, STAGE):
        if (found := outcome(one.message)) is not None:
            drive.outcomes.setdefault(one.recipe_id, {})[one.capture_id] = found
    return drive


async def drives(drive: str | None, survey: str | None, ledger: Ledger) -> AsyncIterator[Drive]:
    """Read the drives that are meant, one after the other; `Misconfigured` where there is none."""
    meant = [drive] if drive else [name async for name in ledger.drives() if survey in {None, name.split("/")[0]}]
    if not meant:
        raise Misconfigured(f"No drive of a survey {survey!r} is in the ledger; `panoveil status` lists those that are.")
    for name in meant:
        yield await read(name, ledger)


def resolve(text: str, drive: Drive) -> str:
    """Return the recipe that a beginning of its id means in a drive; `Misconfigured` where it means none, or several."""
    meant = [recipe_id for recipe_id in sorted(drive.outcomes) if recipe_id.startswith(text)]
    if len(meant) == 1:
        return meant[0]
    known = ", ".join(meant or sorted(drive.outcomes)) or "none"
    what = "means several recipes" if meant else "is no recipe"
    raise Misconfigured(f"{text!r} {what} of drive {drive.drive_id}: {known}.")


def rows(drive: Drive) -> Iterable[dict[str, Any]]:
    """Yield the keys programs rely on, a recipe each."""
    current = Counter(pointer.recipe_id for pointer in drive.pointers.values())
    previous = Counter(pointer.previous for pointer in drive.pointers.values() if pointer.previous)
    for recipe_id, outcomes in sorted(drive.outcomes.items()):
        published = drive.published(recipe_id)
        yield {
            "drive": drive.drive_id,
            "recipe": recipe_id,
            "stitch_recipe": next((found.stitch_recipe_id for found in published.values()), ""),
            "published": len(published),
            "held": len(outcomes) - len(published),
            "current": current[recipe_id],
            "previous": previous[recipe_id],
        }
