"""Rigs where the services look for them."""

from panoveil.blobs import Blobs
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import rig_key
from panoveil.contracts.rig import Rig
from panoveil.runtime import connect
from panoveil.settings import Settings


async def put_rig(rig: Rig, blobs: Blobs) -> None:
    """Write the rig into the registry; the same again changes nothing, a different one under its id is `Misconfigured`."""
    ref, data = rig_key(rig.rig_id), rig.model_dump_json().encode()
    if await blobs.head(ref) is not None and await blobs.get(ref) != data:
        raise Misconfigured(f"Another calibration is known as {rig.rig_id}: give this one a rig_id of its own.")
    await blobs.put(ref, data, "application/json")


async def store(rig: Rig, settings: Settings) -> None:
    """Connect, and write the rig into the registry."""
    async with connect(settings) as world:
        await put_rig(rig, world.blobs)
