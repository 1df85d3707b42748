import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from panoveil.blobs import Blobs, MemoryBlobs, StoredBlob
from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import BlobRef, CaptureId, Stream, raw_key, rig_key
from panoveil.contracts.messages import CaptureReady, Pose, decode
from panoveil.contracts.reasons import Reason
from panoveil.ledger import FAR_FUTURE, CaptureState, QuarantineEntry, SeenObject, State
from panoveil.streams import MemoryStreams, Outgoing
from services.ingest.app import handle_all
from services.ingest.events import Uploaded
from services.ingest.handler import handle
from services.ingest.sweep import sweep
from tests.unit.services.ingest.conftest import CAPTURE, NOW, RIG, World, ref

LATE = FAR_FUTURE
FILES = ("front.jpg", "back.jpg", "capture.json")


@pytest.mark.parametrize("order", list(itertools.permutations(FILES)))
async def test_in_whatever_order_events_come_the_capture_is_announced_once(world: World, order: tuple[str, ...]) -> None:
    for name in order[:-1]:
        await handle(world.event(name), world.ports)
        assert world.announced() == []
    await handle(world.event(order[-1]), world.ports)
    (message,) = map(decode, world.announced())
    assert isinstance(message, CaptureReady)
    assert message.capture_id == str(CAPTURE)
    assert {(frame.lens, frame.key) for frame in message.frames} == {
        (n, raw_key(CAPTURE, f"{n}.jpg").key) for n in ("front", "back")
    }


async def test_a_repeated_event_announces_the_very_same_message_again(world: World) -> None:
    for name in (*FILES, "front.jpg"):
        await handle(world.event(name), world.ports)
    first, second = world.announced()
    assert first == second


async def test_events_that_come_all_at_once_announce_it_once_and_read_its_frames_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    all_written = asyncio.Barrier(len(FILES))
    get, saw = world.blobs.get, world.ledger.saw

    async def get_and_count(blob: BlobRef, most: int | None = None) -> bytes:
        read.append(blob.key.rsplit("/", 1)[-1])
        await asyncio.sleep(0)  # as with any store: others have their turn meanwhile
        return await get(blob, most)

    async def saw_all(capture_id: CaptureId, seen: SeenObject) -> dict[str, SeenObject]:
        await saw(capture_id, seen)
        await all_written.wait()
        return await world.ledger.seen(capture_id)

    monkeypatch.setattr(world.blobs, "get", get_and_count)
    monkeypatch.setattr(world.ledger, "saw", saw_all)
    ports = world.ports
    await asyncio.gather(*(handle(world.event(name), ports) for name in FILES))
    assert (len(world.announced()), read.count("front.jpg"), read.count("back.jpg")) == (1, 1, 1)


async def test_a_crash_before_sending_is_made_good_by_the_redelivery(world: World) -> None:
    for name in FILES[:2]:
        await handle(world.event(name), world.ports)
    await world.ledger.move(CAPTURE, State.READY)
    await world.ledger.finish(CAPTURE, "ingest", "1", b"the message")
    await handle(world.event(FILES[2]), world.ports)
    assert world.announced() == [b"the message"]


async def handle_events(world: World) -> None:
    for name in FILES:
        await handle(world.event(name), world.ports)


async def rejection(world: World) -> str:
    with pytest.raises(Rejected) as caught:
        await handle_events(world)
    assert world.announced() == []
    return caught.value.reason


async def test_truncated_jpeg(world: World) -> None:
    world.put("front.jpg", world.files["front.jpg"][:-400])
    world.put_manifest()
    assert await rejection(world) == Reason.CORRUPT_FRAME


async def test_hash_that_does_not_match(world: World) -> None:
    world.put("back.jpg", world.files["front.jpg"])
    assert await rejection(world) == Reason.HASH_MISMATCH


async def test_zero_byte_object(world: World) -> None:
    world.put("front.jpg", b"")
    assert await rejection(world) == Reason.EMPTY_OBJECT


async def test_object_that_is_gone(world: World) -> None:
    del world.blobs.objects[ref("back.jpg")]
    assert await rejection(world) == Reason.OBJECT_GONE


async def test_unknown_rig(world: World) -> None:
    del world.blobs.objects[rig_key(RIG.rig_id)]
    assert await rejection(world) == Reason.UNKNOWN_RIG


async def test_manifest_of_another_capture(world: World) -> None:
    world.put_manifest(capture="000002")
    assert await rejection(world) == Reason.BAD_MANIFEST


async def test_manifest_that_is_no_manifest(world: World) -> None:
    world.put("capture.json", b'{"type": "capture", "version": 1}')
    assert await rejection(world) == Reason.BAD_MANIFEST


async def test_manifest_without_one_of_the_rigs_lenses(world: World) -> None:
    manifest = world.files["capture.json"]
    assert b"front" in manifest
    world.put("capture.json", manifest.replace(b'"lens":"back"', b'"lens":"top"'))
    assert await rejection(world) == Reason.FRAME_MISSING


@pytest.mark.parametrize("captured_at", [NOW + timedelta(days=3), datetime(1980, 1, 6, tzinfo=UTC)])
async def test_time_that_cannot_be(world: World, captured_at: datetime) -> None:
    world.put_manifest(captured_at=captured_at)
    assert await rejection(world) == Reason.IMPLAUSIBLE_POSE


async def test_position_without_a_fix(world: World) -> None:
    world.put_manifest(pose=Pose(latitude=0, longitude=0))
    assert await rejection(world) == Reason.IMPLAUSIBLE_POSE


async def test_frame_of_another_size(world: World) -> None:
    bigger = RIG.model_copy(update={"lenses": (RIG.lenses[0].model_copy(update={"width": 65}), RIG.lenses[1])})
    world.blobs.objects[rig_key(RIG.rig_id)] = bigger.model_dump_json().encode()
    assert await rejection(world) == Reason.WRONG_FRAME_SIZE


@pytest.mark.parametrize("key", ["front.jpg", "a/b/c", "../x/y/z.jpg", "a/b/c/d/e.jpg", "a/b/c/.hidden"])
async def test_key_the_agent_would_not_write(world: World, key: str) -> None:
    with pytest.raises(Rejected) as caught:
        await handle(Uploaded(key, 1, ""), world.ports)
    assert caught.value.reason == Reason.UNKNOWN_KEY


async def test_a_bad_object_in_a_record_does_not_keep_the_others_from_their_turn(world: World) -> None:
    with pytest.raises(Rejected):
        await handle_all([Uploaded("nonsense", 1, ""), *map(world.event, FILES)], world.ports)
    assert len(world.announced()) == 1


async def test_a_store_that_is_down_is_not_the_records_fault(world: World) -> None:
    world.blobs.down = True
    with pytest.raises(Unavailable):
        await handle_events(world)


async def state(world: World) -> CaptureState:
    found = await world.ledger.state(CAPTURE)
    assert found is not None
    return found


async def entries(world: World) -> list[QuarantineEntry]:
    return [entry async for entry in world.ledger.quarantined()]


async def begun(world: World, *names: str) -> None:
    """Only these were ever uploaded."""
    for name in set(world.files) - set(names):
        del world.blobs.objects[ref(name)]
    for name in names:
        await handle(world.event(name), world.ports)


async def test_frame_missing_for_good_is_noticed_and_the_late_frame_takes_the_capture_up_again(world: World) -> None:
    await begun(world, "front.jpg", "capture.json")
    began = await state(world)
    assert await sweep(world.ports, older_than=began.since) == {}
    assert await sweep(world.ports, older_than=began.since + 1) == {"quarantined": 1}
    given_up = await state(world)
    assert (given_up.state, given_up.reason) == (State.QUARANTINED, Reason.FRAME_MISSING)
    assert given_up.detail == "1 of 2 frames have not arrived: back.jpg (lens back)"
    assert [(entry.capture_id, entry.reason, entry.detail) for entry in await entries(world)] == [
        (CAPTURE, Reason.FRAME_MISSING, given_up.detail)
    ]
    assert await sweep(world.ports, older_than=LATE) == {}
    world.put("back.jpg", world.files["back.jpg"])
    await handle(world.event("back.jpg"), world.ports)
    assert (await state(world)).state is State.READY
    assert len(world.announced()) == 1


async def test_without_a_manifest_it_is_said_what_came(world: World) -> None:
    await begun(world, "front.jpg")
    await sweep(world.ports, LATE, most_missing=5)
    assert (await state(world)).detail == "capture.json has not arrived, only front.jpg"
    assert world.announced() == []


async def test_an_object_whose_event_was_lost_is_found_in_the_bucket(world: World) -> None:
    await handle(world.event("front.jpg"), world.ports)
    assert await sweep(world.ports, LATE) == {"announced": 1}
    (message,) = map(decode, world.announced())
    assert isinstance(message, CaptureReady)
    assert (len(message.frames), message.missing) == (2, ())
    assert (await state(world)).state is State.READY
    await handle(world.event("back.jpg"), world.ports)
    assert len(set(world.announced())) == 1


async def test_a_gap_is_announced_where_it_is_allowed_and_the_late_frame_announces_the_whole(world: World) -> None:
    await begun(world, "front.jpg", "capture.json")
    assert await sweep(world.ports, LATE, most_missing=1) == {"announced": 1}
    assert (await state(world)).state is State.READY
    assert await entries(world) == []
    world.put("back.jpg", world.files["back.jpg"])
    await handle(world.event("front.jpg"), world.ports)
    await handle(world.event("back.jpg"), world.ports)
    gap, *whole = map(decode, world.announced())
    assert isinstance(gap, CaptureReady)
    assert ([frame.lens for frame in gap.frames], gap.missing) == (["front"], ("back",))
    assert {len(message.frames) for message in whole if isinstance(message, CaptureReady)} == {2}


async def test_a_capture_of_which_no_frame_came_is_no_gap(world: World) -> None:
    await begun(world, "capture.json")
    assert await sweep(world.ports, LATE, most_missing=9) == {"quarantined": 1}
    assert (await state(world)).detail.startswith("2 of 2 frames have not arrived: front.jpg")


async def test_what_came_of_a_gap_is_validated_as_ever(world: World) -> None:
    world.put("front.jpg", world.files["back.jpg"])
    await begun(world, "front.jpg", "capture.json")
    assert await sweep(world.ports, LATE, most_missing=1) == {"quarantined": 1}
    assert (await state(world)).reason == Reason.HASH_MISMATCH


async def test_a_sweep_that_dies_before_it_sends_is_made_good_by_the_next(world: World) -> None:
    await begun(world, "front.jpg", "capture.json")

    class Dead(MemoryStreams):
        async def send(self, stream: Stream, records: Sequence[Outgoing]) -> None:
            raise Unavailable("kinesis")

    with pytest.raises(Unavailable):
        await sweep(replace(world.ports, sink=Dead()), LATE, most_missing=1)
    assert (await state(world)).state is State.RECEIVING
    await sweep(world.ports, LATE, most_missing=1)
    assert (len(world.announced()), (await state(world)).state) == (1, State.READY)


async def test_a_bug_at_one_capture_keeps_the_sweep_from_no_other(world: World) -> None:
    await world.ledger.saw(CaptureId("fyn-2026", "car7-0601", "000000"), SeenObject("front.jpg", "", 1))
    await begun(world, "front.jpg", "capture.json")
    ports = replace(world.ports, blobs=cast("Blobs", Breaking(world.blobs, "000000")))
    assert await sweep(ports, LATE) == {"failed": 1, "quarantined": 1}


class Breaking:
    """Fails in an unforeseen way at one capture."""

    def __init__(self, blobs: MemoryBlobs, capture: str) -> None:
        self._blobs, self._capture = blobs, capture

    async def head(self, ref: BlobRef) -> StoredBlob | None:
        if f"/{self._capture}/" in ref.key:
            raise ZeroDivisionError
        return await self._blobs.head(ref)

    async def get(self, ref: BlobRef, most: int | None = None) -> bytes:
        return await self._blobs.get(ref, most)
