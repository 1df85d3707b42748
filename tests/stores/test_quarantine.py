"""What lies in quarantine is found, sent again and dropped, over both implementations of every store."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.quarantine import deeds, views
from console.quarantine.selection import Wish, find, parse_time
from panoveil import quarantine
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream
from panoveil.ledger import NO_DRIVE, Fate, Ledger, QuarantineEntry, SeenObject, State
from panoveil.quarantine import Failure
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams, Record
from services.ingest.events import parse_uploads

C1 = CaptureId("dk", "d1", "c1")
C2 = CaptureId("dk", "d2", "c2")
AT = 1.7e9
EVERYTHING = Wish()
NOW = datetime.fromtimestamp(AT + 7_380, UTC)
OPERATOR = deeds.Operator("operator-4", lambda: NOW)


class World(Connections):
    """Stores under test, and streams in memory."""

    sink: MemoryStreams

    def sent(self, stream: Stream) -> list[tuple[str, bytes]]:
        return [(record.partition_key, record.data) for record in self.sink.records(stream)]

    async def put(
        self, key: CaptureId | str, data: bytes, reason: str = "unknown_rig", at: float = AT, service: str = "ingest"
    ) -> None:
        record = Record("shardId-000000000000", "4711", str(key), data, at - 60)
        await quarantine.put_record(
            service, record, Failure(reason, "why", "Traceback: handler.py", 4, at), self.blobs, self.ledger
        )

    async def listed(self, wish: Wish = EVERYTHING) -> list[QuarantineEntry]:
        return [found.entry async for found in find(wish, self.ledger)]

    async def do(self, deed: deeds.Deed, wish: Wish = EVERYTHING) -> list[deeds.Outcome]:
        return await deeds.each(await self.listed(wish), deed)

    async def redrive(self, wish: Wish = EVERYTHING) -> list[deeds.Outcome]:
        return await self.do(deeds.redrive(self, "raw", OPERATOR), wish)


@pytest.fixture(name="world")
def a_world(blobs: Blobs, ledger: Ledger) -> World:
    return World(blobs, ledger, MemoryStreams())


async def state_of(world: World, capture_id: CaptureId) -> tuple[State, str, str]:
    found = await world.ledger.state(capture_id)
    assert found is not None
    return found.state, found.reason, found.detail


async def test_a_record_is_listed_with_its_capture_and_read_back(world: World) -> None:
    await world.ledger.saw(C1, SeenObject("a.jpg", "e", 1))
    await world.put(C1, b'{"a": 1}')
    (entry,) = await world.listed()
    assert (entry.capture_id, entry.reason, entry.attempts, entry.times, entry.fate) == (C1, "unknown_rig", 4, 1, Fate.WAITING)
    assert await state_of(world, C1) == (State.QUARANTINED, "unknown_rig", "why")
    content = await quarantine.content(entry, world.blobs)
    assert content is not None
    assert (content["data"], content["traceback"], content["sequence_number"]) == (b'{"a": 1}', "Traceback: handler.py", "4711")


async def test_the_same_record_delivered_again_is_the_same_entry(world: World) -> None:
    for at in (AT, AT + 5):
        await world.put(C1, b"x", at=at)
    await world.put(C1, b"another")
    entries = await world.listed()
    assert sorted((entry.times, entry.first, entry.since) for entry in entries) == [(1, AT, AT), (2, AT, AT + 5)]


async def test_a_record_that_names_no_capture_is_kept_too(world: World) -> None:
    await world.put("junk/../x", b"\xff\xd8")
    (entry,) = await world.listed()
    assert (entry.drive_id, entry.capture_id) == (NO_DRIVE, None)
    assert entry.record == f"entries/-/-/{entry.entry_id}.json"


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (Wish(), "abc"),
        (Wish(reason="unknown_rig"), "a"),
        (Wish(service="stitcher"), "b"),
        (Wish(drive="dk/d2"), "b"),
        (Wish(survey="dk"), "ab"),
        (Wish(since=AT + 5), "bc"),
        (Wish(until=AT + 15), "ab"),
        (Wish(names=(str(C1),)), "a"),
        (Wish(reason="not_json", survey="dk"), ""),
        (Wish(decided=True), "abc"),
    ],
)
async def test_entries_are_found_by_reason_drive_survey_and_time(world: World, wish: Wish, found: str) -> None:
    await world.ledger.saw(C1, SeenObject("a.jpg", "e", 1))
    await world.ledger.saw(C2, SeenObject("a.jpg", "e", 1))
    await world.put(C1, b"a")
    await world.put(C2, b"b", "hash_mismatch", AT + 10, "stitcher")
    await world.put("junk", b"c", "not_json", AT + 20)
    contents = [await quarantine.content(entry, world.blobs) for entry in await world.listed(wish)]
    assert sorted(content["data"].decode() for content in contents if content) == list(found)


@pytest.mark.parametrize(
    ("service", "stream"), [("ingest", Stream.UPLOADS), ("stitcher", Stream.CAPTURES), ("anonymizer", Stream.PANORAMAS)]
)
async def test_a_record_goes_back_to_the_stream_it_came_from_and_who_sent_it_is_noted(
    world: World, service: str, stream: Stream
) -> None:
    await world.put(C1, b"\x00the record", service=service)
    (outcome,) = await world.redrive()
    assert world.sent(stream) == [(str(C1), b"\x00the record")]
    entry = outcome.entry
    noted = (entry.fate, entry.redrives, entry.decided_by, entry.decided_at)
    assert noted == (Fate.REDRIVEN, 1, "operator-4", NOW.timestamp())
    assert await world.listed() == [entry]


async def test_a_redriven_entry_whose_capture_is_published_leaves_the_list_and_stays_in_evidence(world: World) -> None:
    await world.put(C1, b"x")
    await world.redrive()
    await world.ledger.move(C1, State.PUBLISHED)
    assert await world.listed() == []
    (entry,) = await world.listed(Wish(decided=True))
    assert (entry.fate, entry.redrives) == (Fate.SETTLED, 1)
    assert await quarantine.content(entry, world.blobs) is not None


async def test_an_entry_of_a_capture_that_was_published_before_stays_until_it_is_redriven(world: World) -> None:
    await world.ledger.move(C1, State.PUBLISHED)
    published = await world.ledger.state(C1)
    assert published is not None
    await world.put(C1, b"of a replay", at=published.since + 1, service="stitcher")
    assert [entry.fate for entry in await world.listed()] == [Fate.WAITING]
    await world.redrive()
    assert await world.listed() == []


async def test_what_fails_again_is_listed_again_with_its_history(world: World) -> None:
    await world.put(C1, b"x")
    await world.redrive()
    await world.put(C1, b"x", "corrupt_frame", AT + 100)
    (entry,) = await world.listed()
    assert (entry.reason, entry.times, entry.redrives, entry.fate) == ("corrupt_frame", 2, 1, Fate.WAITING)


async def test_junk_that_is_redriven_leaves_the_list_until_it_fails_again(world: World) -> None:
    await world.put("junk", b"x")
    await world.redrive()
    assert await world.listed() == []
    await world.put("junk", b"x")
    assert [entry.redrives for entry in await world.listed()] == [1]


async def test_a_record_that_is_gone_is_said_and_keeps_nobody_from_being_sent(world: World) -> None:
    await world.put(C1, b"gone")
    await world.put(C2, b"there")
    (lost,) = await world.listed(Wish(drive="dk/d1"))
    await world.blobs.delete(BlobRef(Bucket.QUARANTINE, lost.record))
    problems = {outcome.entry.drive_id: outcome.problem for outcome in await world.redrive()}
    assert problems["dk/d2"] == ""
    assert "object_gone" in problems["dk/d1"]
    assert world.sent(Stream.UPLOADS) == [(str(C2), b"there")]


async def test_a_capture_without_a_record_is_announced_again_from_what_the_ledger_saw(world: World) -> None:
    for name in ("front.jpg", "capture.json"):
        await world.ledger.saw(C1, SeenObject(name, "e", 7))
    await quarantine.put_capture("ingest", C1, Failure("frame_missing", "back.jpg has not arrived", "", 1, AT), world.ledger)
    assert await state_of(world, C1) == (State.QUARANTINED, "frame_missing", "back.jpg has not arrived")
    await world.redrive()
    events = [parse_uploads(data)[0] for _, data in world.sent(Stream.UPLOADS)]
    assert {(event.key, event.size, event.etag) for event in events} == {
        (f"{C1}/capture.json", 7, "e"),
        (f"{C1}/front.jpg", 7, "e"),
    }
    assert (await state_of(world, C1))[0] is State.RECEIVING
    assert [state.capture_id async for state in world.ledger.receiving(4e9)] == [C1]


async def test_what_is_dropped_stays_quarantined_with_the_note_and_is_audited_once(world: World) -> None:
    await world.put(C1, b"x")
    drop = deeds.drop(world, OPERATOR, "the disk was lost")
    (outcome,) = await world.do(drop)
    assert (outcome.entry.fate, outcome.entry.because, outcome.problem) == (Fate.DROPPED, "the disk was lost", "")
    await deeds.each([outcome.entry], drop)
    assert await world.listed() == []
    assert await state_of(world, C1) == (State.QUARANTINED, "unknown_rig", "why Dropped: the disk was lost")
    (audited,) = [entry.body async for entry in world.ledger.audit_chain("dk/d1")]
    said = (audited["kind"], audited["action"], audited["by"], audited["because"], audited["capture_id"])
    assert said == ("quarantine", "drop", "operator-4", "the disk was lost", str(C1))


async def test_a_redelivery_does_not_take_a_decision_back(world: World) -> None:
    await world.put(C1, b"x")
    await world.do(deeds.drop(world, OPERATOR, "so be it"))
    await world.put(C1, b"x")
    assert await world.listed() == []
    assert [entry.times for entry in await world.listed(Wish(decided=True))] == [2]


async def test_entries_of_an_earlier_version_are_adopted_once(world: World) -> None:
    entry = {
        "service": "stitcher", "reason": "unknown_rig", "detail": "d", "traceback": "t", "attempts": 2,
        "partition_key": str(C1), "arrived_at": AT, "data": base64.b64encode(b"old").decode(),
    }  # fmt: skip
    old = BlobRef(Bucket.QUARANTINE, "stitcher/shardId-000000000001-4711.json")
    await world.ledger.move(C1, State.QUARANTINED, "unknown_rig")
    await world.blobs.put(old, json.dumps(entry).encode())
    assert [ref async for ref in deeds.of_before(world)] == [old]
    assert (await deeds.adopt(world), await deeds.adopt(world)) == (1, 0)
    (listed,) = await world.listed()
    content = await quarantine.content(listed, world.blobs)
    assert content is not None
    kept = (content["shard_id"], content["sequence_number"], content["data"], listed.attempts, listed.since)
    assert kept == ("shardId-000000000001", "4711", b"old", 2, AT)


async def test_all_is_shown_of_an_entry_but_what_may_be_a_picture(world: World) -> None:
    await world.put(C1, json.dumps({"type": "x", "picture": "A" * 9000}).encode())
    await world.put(C2, b"\xff\xd8\xff\xe0 a picture")
    texts = []
    async for found in find(Wish(), world.ledger):
        shown = views.details(found, await quarantine.content(found.entry, world.blobs), "", NOW)
        texts.append(views.text(shown))
    told, picture = sorted(texts, key=lambda text: "no JSON" in text)
    for words in (
        '"type": "x"',
        "(9000 characters)",
        "Traceback: handler.py",
        "unknown_rig",
        "2 h 3 m ago",
        "panoveil rig import",
    ):
        assert words in told
    assert "A" * 400 not in told
    assert "a picture" not in picture


def test_times_are_read_as_ago_or_iso() -> None:
    assert parse_time(None, NOW) is None
    assert parse_time("3d", NOW) == (NOW - timedelta(days=3)).timestamp()
    assert parse_time("2026-06-01T12:00", NOW) == datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
    assert parse_time("2026-06-01T12:00+02:00", NOW) == datetime(2026, 6, 1, 10, tzinfo=UTC).timestamp()
    with pytest.raises(Misconfigured, match="is no time"):
        parse_time("yesterday", NOW)


def test_nothing_asked_for_is_everything() -> None:
    assert Wish().everything
    assert Wish(decided=True).everything
    assert not replace(Wish(), since=1.0).everything
