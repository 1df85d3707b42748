import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, raw_key, rig_key, stitched_key
from panoveil.contracts.messages import CaptureReady, FrameRef, PanoramaStitched, Pose, decode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.ledger import MemoryLedger, State
from panoveil.pixels import jpeg
from panoveil.streams import MemoryStreams
from services.stitcher.handler import Ports, Rigs, handle
from tests.unit.services.stitcher import virtual

CAPTURE = CaptureId("fyn-2026", "car7-0601", "000001")
RIG = virtual.ring(4, size=160)
RECIPE = StitchRecipe(width=512)
READY = CaptureReady(
    capture_id=str(CAPTURE),
    rig_id=RIG.rig_id,
    captured_at=datetime(2026, 6, 1, 12, tzinfo=UTC),
    pose=Pose(latitude=55.4, longitude=10.4),
    frames=tuple(
        FrameRef(lens=name, key=raw_key(CAPTURE, f"{name}.jpg").key, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        for name, data in ((name, jpeg.encode(image, 95)) for name, image in virtual.frames(RIG).items())
    ),
)


@pytest.fixture(scope="module", name="cache")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(name="blobs")
def everything_uploaded() -> MemoryBlobs:
    blobs = MemoryBlobs()
    blobs.objects[rig_key(RIG.rig_id)] = RIG.model_dump_json().encode()
    for name, image in virtual.frames(RIG).items():
        blobs.objects[raw_key(CAPTURE, f"{name}.jpg")] = jpeg.encode(image, 95)
    return blobs


@pytest.fixture(name="ports")
def ports_to_twins(blobs: MemoryBlobs, cache: Path) -> Iterator[Ports]:
    with ThreadPoolExecutor(2) as workers:
        yield Ports(blobs, MemoryLedger(), MemoryStreams(), RECIPE, Rigs(blobs, RECIPE, cache), workers)


def _sent(ports: Ports) -> list[PanoramaStitched]:
    assert isinstance(ports.sink, MemoryStreams)
    messages = [decode(record.data) for record in ports.sink.records(Stream.PANORAMAS)]
    return [message for message in messages if isinstance(message, PanoramaStitched)]


async def test_a_capture_becomes_a_panorama(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(READY, ports)
    (message,) = _sent(ports)
    data = blobs.objects[stitched_key(str(CAPTURE), RECIPE.recipe_id)]
    image = jpeg.decode(data)
    assert image.shape == (message.height, message.width, 3) == (256, 512, 3)
    assert message.key == stitched_key(str(CAPTURE), RECIPE.recipe_id).key
    assert message.sha256 == hashlib.sha256(data).hexdigest()
    assert (message.capture_id, message.rig_id, message.recipe_id) == (str(CAPTURE), RIG.rig_id, RECIPE.recipe_id)
    assert (message.captured_at, message.pose) == (READY.captured_at, READY.pose)
    assert message.quality.coverage > 0.7
    middle = (slice(100, 156), slice(None))
    assert virtual.psnr(image[middle], virtual.truth(512)[middle]) > 38


async def test_the_ledger_knows(ports: Ports) -> None:
    await handle(READY, ports)
    state = await ports.ledger.state(CAPTURE)
    assert state is not None
    assert state.state is State.STITCHED


async def test_a_redelivery_only_tells_again(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(READY, ports)
    blobs.objects.clear()
    await handle(READY, ports)
    first, second = _sent(ports)
    assert first == second
    assert not blobs.objects


async def test_a_crash_before_the_ledger_knew_repeats_to_the_same_bytes(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(READY, ports)
    ref = stitched_key(str(CAPTURE), RECIPE.recipe_id)
    before = blobs.objects.pop(ref)
    await handle(READY, Ports(blobs, MemoryLedger(), ports.sink, RECIPE, ports.rigs, ports.workers))
    assert blobs.objects[ref] == before
    first, second = _sent(ports)
    assert first == second


async def test_another_recipe_stitches_beside(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(READY, ports)
    other = RECIPE.model_copy(update={"jpeg_quality": 60})
    await handle(READY, Ports(blobs, ports.ledger, ports.sink, other, ports.rigs, ports.workers))
    stitched = [ref for ref in blobs.objects if ref.bucket is Bucket.STITCHED]
    assert len(stitched) == 2


async def _reason(message: CaptureReady, ports: Ports) -> str:
    with pytest.raises(Rejected) as caught:
        await handle(message, ports)
    assert _sent(ports) == []
    assert await ports.ledger.finished(CAPTURE, "stitcher", RECIPE.recipe_id) is None
    return caught.value.reason


async def test_an_unknown_rig_is_the_captures_fault(ports: Ports) -> None:
    assert await _reason(READY.model_copy(update={"rig_id": "nobody"}), ports) == Reason.UNKNOWN_RIG


async def test_a_rig_that_is_none_too(ports: Ports, blobs: MemoryBlobs) -> None:
    blobs.objects[rig_key(RIG.rig_id)] = b"{}"
    assert await _reason(READY, ports) == Reason.UNKNOWN_RIG


async def test_a_frame_that_is_gone(ports: Ports, blobs: MemoryBlobs) -> None:
    del blobs.objects[BlobRef(Bucket.RAW, READY.frames[1].key)]
    assert await _reason(READY, ports) == Reason.OBJECT_GONE


async def test_a_frame_that_changed(ports: Ports, blobs: MemoryBlobs) -> None:
    blobs.objects[BlobRef(Bucket.RAW, READY.frames[1].key)] += b"!"
    assert await _reason(READY, ports) == Reason.HASH_MISMATCH


async def test_a_frame_that_does_not_decode(ports: Ports, blobs: MemoryBlobs) -> None:
    frame = READY.frames[0]
    half = blobs.objects[BlobRef(Bucket.RAW, frame.key)][: frame.size // 2]
    blobs.objects[BlobRef(Bucket.RAW, frame.key)] = half
    promised = frame.model_copy(update={"sha256": hashlib.sha256(half).hexdigest()})
    assert await _reason(READY.model_copy(update={"frames": (promised, *READY.frames[1:])}), ports) == Reason.CORRUPT_FRAME


async def test_a_frame_too_few(ports: Ports) -> None:
    assert await _reason(READY.model_copy(update={"frames": READY.frames[:2]}), ports) == Reason.FRAME_MISSING


async def test_a_rig_is_fetched_once(ports: Ports, blobs: MemoryBlobs) -> None:
    await ports.rigs.get(RIG.rig_id)
    blobs.objects.clear()
    rig, found = await ports.rigs.get(RIG.rig_id)
    assert rig == RIG
    assert found.width == RECIPE.width
