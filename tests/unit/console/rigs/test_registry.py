import pytest

from console.rigs.registry import put_rig
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import rig_key
from panoveil.contracts.rig import Photometry
from simulator.rigs import demo_rig

RIG = demo_rig(512)


async def test_what_an_older_version_wrote_of_the_same_rig_stays() -> None:
    """It does not name fields that came later."""
    blobs = MemoryBlobs()
    old = RIG.model_dump_json(exclude={"lenses": {"__all__": {"chromatic": True, "photometry": {"response"}}}}).encode()
    assert old != RIG.model_dump_json().encode()
    blobs.objects[rig_key(RIG.rig_id)] = old
    await put_rig(RIG, blobs)
    assert blobs.objects[rig_key(RIG.rig_id)] == old


async def test_another_calibration_needs_a_name_of_its_own() -> None:
    blobs = MemoryBlobs()
    await put_rig(RIG, blobs)
    lens = RIG.lenses[0].model_copy(update={"photometry": Photometry(response=(0.1, 0, 0))})
    with pytest.raises(Misconfigured, match="rig_id"):
        await put_rig(RIG.model_copy(update={"lenses": (lens, *RIG.lenses[1:])}), blobs)
