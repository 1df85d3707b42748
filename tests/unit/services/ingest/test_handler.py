import itertools
from datetime import UTC, datetime, timedelta

import pytest

from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import raw_key, rig_key
from panoveil.contracts.messages import CaptureReady, Pose, decode
from panoveil.contracts.reasons import Reason
from panoveil.ledger import State
from services.ingest.app import handle_all
from services.ingest.events import Uploaded
from services.ingest.handler import handle
from services.ingest.sweep import sweep
from tests.unit.services.ingest.conftest import CAPTURE, NOW, RIG, World, ref

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


async def test_frame_missing_for_good_is_noticed_and_the_late_frame_takes_the_capture_up_again(world: World) -> None:
    for name in ("front.jpg", "capture.json"):
        await handle(world.event(name), world.ports)
    began = await world.ledger.state(CAPTURE)
    assert began is not None
    assert await sweep(world.ledger, older_than=began.since) == 0
    assert await sweep(world.ledger, older_than=began.since + 1) == 1
    given_up = await world.ledger.state(CAPTURE)
    assert given_up is not None
    assert (given_up.state, given_up.reason) == (State.QUARANTINED, Reason.FRAME_MISSING)
    await handle(world.event("back.jpg"), world.ports)
    taken_up = await world.ledger.state(CAPTURE)
    assert taken_up is not None
    assert taken_up.state is State.READY
    assert len(world.announced()) == 1
