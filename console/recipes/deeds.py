"""Pointers moved for a whole drive: to a recipe, or back to what was before."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from console.recipes.published import Drive
from console.side_by_side import each
from panoveil import publication
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.publication import Decision
from panoveil.runtime import Connections

_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of a capture's pointer: moved to `recipe_id`, left where it is, or why it could not be moved."""

    capture_id: str
    kind: Literal["moved", "left", "failed"]
    recipe_id: str
    detail: str = ""


async def flip(drive: Drive, recipe_id: str, decision: Decision, world: Connections) -> list[Moved]:
    """Make a recipe's publications current where it published; captures that it did not publish stay as they are."""

    async def one(capture_id: CaptureId) -> Moved:
        moved = await publication.flip(capture_id, recipe_id, decision, world.ledger, world.blobs)
        return Moved(str(capture_id), "moved" if moved else "left", recipe_id)

    return await _each(list(drive.published(recipe_id)), one, recipe_id)


async def roll_back(drive: Drive, decision: Decision, world: Connections) -> list[Moved]:
    """Make current again what was so before the last flip of each capture. A capture that was rolled back already stays."""

    async def one(capture_id: CaptureId) -> Moved:
        pointer = drive.pointers[capture_id]
        if pointer.previous is None:
            await publication.tell(capture_id, world.ledger, world.blobs)  # whoever was killed may not have told
            return Moved(str(capture_id), "left", pointer.recipe_id)
        if await publication.roll_back(pointer, decision, world.ledger, world.blobs):
            return Moved(str(capture_id), "moved", pointer.previous)
        return Moved(str(capture_id), "failed", pointer.recipe_id, "somebody else moved it meanwhile: look again")

    return await _each(list(drive.pointers), one, "")


async def _each(captures: list[CaptureId], deed: Callable[[CaptureId], Awaitable[Moved]], recipe_id: str) -> list[Moved]:
    async def one(capture_id: CaptureId) -> Moved:
        try:
            return await deed(capture_id)
        except Rejected as error:
            return Moved(str(capture_id), "failed", recipe_id, str(error))

    return await each(captures, one)


def require_some(drives: list[_Thing], what: str) -> list[_Thing]:
    """Return them, or raise `Misconfigured` where there are none."""
    if not drives:
        raise Misconfigured(what)
    return drives
