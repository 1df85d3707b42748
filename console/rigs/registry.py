"""Rigs where the services look for them."""

from panoveil.blobs import Blobs
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import rig_key
from panoveil.contracts.rig import Rig
from panoveil.runtime import connect
from panoveil.settings import Settings


async def put_rig(rig: Rig, blobs: Blobs) -> None:
    """Write the rig into the registry; the same again changes nothing, a different one under its id is `Misconfigured`."""
    ref = rig_key(rig.rig_id)
    if await blobs.head(ref) is None:
        await blobs.put(ref, rig.model_dump_json().encode(), "application/json")
    elif Rig.model_validate_json(await blobs.get(ref)) != rig:
        raise Misconfigured(f"Another calibration is known as {rig.rig_id}: give this one a rig_id of its own.")


async def store(rig: Rig, settings: Settings) -> None:
    """Connect, and write the rig into the registry."""
    async with connect(settings) as world:
        await put_rig(rig, world.blobs)
