"""A part of the past again: what is done is not done again, what is killed goes on, what is visible changes only when it may."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.recipes import deeds, published
from console.recipes.document import running
from console.replay import app
from console.replay.redo import Anonymizing, Outcome
from console.replay.report import Event, Found, line
from console.replay.scope import Scope
from console.replay.source import Pace
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, published_key
from panoveil.contracts.reasons import Reason
from panoveil.detection import Detections, Images, Kind, RectangleDetector
from panoveil.ledger import State
from panoveil.streams import Outgoing, RetryPolicy
from tests.unit.console.replay.worlds import BEGAN, DRIVE, OPERATOR, STITCH, Heard, Killed, Life, World, capture, message_of
from tests.unit.services.anonymizer import test_handler as anonymizers
from tests.unit.services.anonymizer.test_anonymize import Haunted


@pytest.fixture(name="world")
async def a_world() -> World:
    """Three captures, published live."""
    return await (await World().stitched()).live()


async def test_a_replay_publishes_beside_and_flips_each_panorama(world: World) -> None:
    heard = await world.replay()
    assert heard.as_json() == {"redone": 3, "skipped": 0, "held": 0, "failed": 0, "flipped": 3}
    assert heard.events[0] == Found(3)
    assert await world.current() == [world.recipe_id(0.5)] * 3
    for capture_id in world.captures:
        for margin in (0.2, 0.5):
            assert await world.blobs.head(published_key(str(capture_id), world.recipe_id(margin))) is not None


async def test_the_streams_of_live_traffic_carry_nothing_of_it_but_what_is_published(world: World) -> None:
    await world.replay()
    assert world.streams.records(Stream.PANORAMAS) == []
    assert world.streams.records(Stream.CAPTURES) == []
    assert [message.recipe_id for message in world.told()] == [world.recipe_id(0.2)] * 3 + [world.recipe_id(0.5)] * 3


async def test_again_it_has_nothing_to_do(world: World) -> None:
    await world.replay()
    detector = RectangleDetector()
    heard = await world.replay(detector=detector)
    assert heard.as_json() == {"redone": 0, "skipped": 3, "held": 0, "failed": 0, "flipped": 0}
    assert detector.pixels == 0


async def test_a_dry_run_says_so_and_does_nothing(world: World) -> None:
    heard = await world.replay(dry_run=True)
    assert heard.as_json() == {"redone": 3, "skipped": 0, "held": 0, "failed": 0, "flipped": 3}
    assert await world.current() == [world.recipe_id(0.2)] * 3
    assert len(world.told()) == 3
    await world.replay()
    assert (await world.replay(dry_run=True)).as_json()["skipped"] == 3


async def test_without_a_flip_nothing_visible_changes(world: World) -> None:
    heard = await world.replay(flip=False)
    assert (heard.counts["redone"], heard.flipped) == (3, 0)
    assert await world.current() == [world.recipe_id(0.2)] * 3
    heard = await world.replay()
    assert (heard.counts["skipped"], heard.flipped) == (3, 3)
    assert await world.current() == [world.recipe_id(0.5)] * 3


@settings(max_examples=40)
@given(st.integers(0, 150), st.integers(0, 150))
async def test_killed_at_any_moment_the_same_again_does_the_rest(first: int, second: int) -> None:
    world = await (await World(2).stitched()).live()
    for ticks in (first, second):
        try:
            await world.replay(life=Life(ticks))
        except Killed:
            continue
    heard = await world.replay()
    assert heard.counts["redone"] + heard.counts["skipped"] == 2
    assert await world.current() == [world.recipe_id(0.5)] * 2
    assert {message.capture_id for message in world.told() if message.recipe_id == world.recipe_id(0.5)} == set(
        map(str, world.captures)
    )
    kinds = [str(entry.body["kind"]) async for entry in world.ledger.audit_chain(DRIVE)]
    assert sorted(kinds) == ["flip"] * 2 + ["publication"] * 4
    assert [pointer.version async for pointer in world.ledger.pointers(DRIVE)] == [2, 2]


async def test_what_the_new_recipe_holds_keeps_its_publication(world: World) -> None:
    heard = await world.replay(detector=Haunted())
    assert heard.as_json() == {"redone": 0, "skipped": 0, "held": 3, "failed": 0, "flipped": 0}
    assert await world.current() == [world.recipe_id(0.2)] * 3
    states = [state.state async for state in world.ledger.captures(DRIVE)]
    assert states == [State.PUBLISHED] * 3
    held = next(event for event in heard.events if isinstance(event, Outcome))
    assert (held.kind, held.reason) == ("held", Reason.NOT_VERIFIED)
    assert line("anonymizer", held).endswith("What was published before stays.")


async def test_a_panorama_that_is_no_longer_kept_fails_with_what_to_do_and_the_others_go_on(world: World) -> None:
    await world.blobs.delete(BlobRef(Bucket.STITCHED, f"{capture(1)}/{STITCH}.jpg"))
    heard = await world.replay()
    assert heard.as_json() == {"redone": 2, "skipped": 0, "held": 0, "failed": 1, "flipped": 2}
    (failed,) = [event for event in heard.events if isinstance(event, Outcome) and event.kind == "failed"]
    assert f"`panoveil replay --stage stitcher --capture {capture(1)}` makes it anew" in line("anonymizer", failed)


class Buggy(RectangleDetector):
    """Something nobody thought of."""

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        raise ZeroDivisionError


async def test_captures_asked_for_by_name_that_nobody_knows_are_told(world: World) -> None:
    stranger = CaptureId.parse(f"{DRIVE}/999999")
    heard = await world.replay(scope=Scope(captures=frozenset({capture(0), stranger})))
    assert heard.as_json() == {"redone": 1, "skipped": 0, "held": 0, "failed": 1, "flipped": 1}
    failed = heard.events[-1]
    assert isinstance(failed, Outcome)
    assert (failed.capture_id, failed.detail) == (str(stranger), "nothing was stitched of it")


async def test_of_several_panoramas_the_one_behind_the_current_publication_is_redone(world: World) -> None:
    data = anonymizers.panorama()
    await world.put(message_of(data, capture(0), recipe_id="0" * 16), data)
    await world.put(message_of(data, capture(1), recipe_id="0" * 16, missing=["left"]), data)
    await world.replay()
    assert {message.stitch_recipe_id for message in world.told()} == {STITCH}


async def test_of_several_panoramas_of_what_was_never_published_one_with_all_its_lenses_is_redone() -> None:
    world, data = await World(1).stitched(), anonymizers.panorama()
    message = message_of(data, capture(0), recipe_id="0" * 16, missing=["left"])
    await world.put(message, data)
    await world.replay()
    assert [message.stitch_recipe_id for message in world.told()] == [STITCH]


async def test_a_drive_flips_and_rolls_back(world: World) -> None:
    await world.replay(flip=False)
    new, old = world.recipe_id(0.5), world.recipe_id(0.2)
    moved = await deeds.flip(await published.read(DRIVE, world.ledger), new, OPERATOR.decision(), world.connections())
    assert [one.kind for one in moved] == ["moved"] * 3
    assert await world.current() == [new] * 3
    (before, after) = sorted(published.rows(await published.read(DRIVE, world.ledger)), key=lambda row: int(row["current"]))
    assert (before["recipe"], before["published"], before["current"], before["previous"]) == (old, 3, 0, 3)
    assert (after["recipe"], after["published"], after["current"], after["previous"]) == (new, 3, 3, 0)
    for kind in ("moved", "left"):
        drive = await published.read(DRIVE, world.ledger)
        back = await deeds.roll_back(drive, OPERATOR.decision("rollback"), world.connections())
        assert [one.kind for one in back] == [kind] * 3
        assert await world.current() == [old] * 3


async def test_only_what_a_recipe_published_is_flipped_to_it(world: World) -> None:
    await world.replay(flip=False, scope=Scope(captures=frozenset({capture(1)})))
    drive = await published.read(DRIVE, world.ledger)
    moved = await deeds.flip(drive, world.recipe_id(0.5), OPERATOR.decision(), world.connections())
    assert [one.capture_id for one in moved] == [str(capture(1))]
    assert await world.current() == [world.recipe_id(margin) for margin in (0.2, 0.5, 0.2)]


async def test_a_bug_is_reported_with_its_traceback_after_a_few_attempts(world: World) -> None:
    heard = await world.replay(detector=Buggy(), scope=Scope(captures=frozenset({capture(0)})))
    failed = heard.events[-1]
    assert isinstance(failed, Outcome)
    assert (failed.kind, failed.reason) == ("failed", Reason.HANDLER_FAILED)
    assert "ZeroDivisionError" in failed.traceback


async def test_what_a_stream_holds_is_redone_once_each_where_it_is_meant(world: World) -> None:
    heard = Heard()
    ports = world.ports(0.5, RectangleDetector(), fills_gaps=False)
    scope = Scope(since=BEGAN.timestamp() + 1)
    await world.streams.send(Stream.PANORAMAS, [Outgoing("junk", b"no JSON")])
    for capture_id in world.captures:
        sent = Outgoing(str(capture_id), await world.stitched_message(capture_id))
        await world.streams.send(Stream.PANORAMAS, [sent, sent])
    source = world.streams.source(Stream.PANORAMAS, "replay", 8, 8)

    def hear(event: Event) -> None:
        heard(event)
        if heard.counts.total() == 2:
            source.stop()

    streamed = app.Streamed(scope, Anonymizing(ports, OPERATOR), Pace(None), hear)
    wish = app.Wish("anonymizer", scope, running(), OPERATOR)
    await app.run(wish, source, streamed, hear, asyncio.Event(), RetryPolicy(first_pause=0.0))
    assert heard.as_json() == {"redone": 2, "skipped": 0, "held": 0, "failed": 0, "flipped": 2}
    assert heard.events.count(Found(1)) == 2
    assert await world.current() == [world.recipe_id(margin) for margin in (0.2, 0.5, 0.5)]


async def test_a_message_that_fails_at_first_is_tried_again(world: World) -> None:
    class Late(RectangleDetector):
        async def detect(self, kind: Kind, images: Images) -> list[Detections]:
            self.interruptions += 1
            if self.interruptions == 1:
                raise ZeroDivisionError
            self.interruptions = 1
            return await super().detect(kind, images)

    streamed = app.Streamed(Scope(drive=DRIVE), Anonymizing(world.ports(0.5, Late()), None), Pace(None), Heard())
    message = await world.stitched_message(capture(0))
    with pytest.raises(ZeroDivisionError):
        await streamed(message)
    again = await streamed(message)
    assert again is not None
    assert again.kind == "redone"
    assert await streamed(message) is None


@pytest.mark.parametrize(
    ("origin", "scope", "expected"),
    [
        ("auto", Scope(since=2000.0), "stream"),
        ("auto", Scope(since=2000.0, until=3000.0), "stream"),
        ("auto", Scope(since=500.0), "ledger"),
        ("auto", Scope(until=3000.0), "ledger"),
        ("auto", Scope(since=2000.0, drive=DRIVE), "ledger"),
        ("stream", Scope(since=500.0, drive=DRIVE), "stream"),
        ("ledger", Scope(since=2000.0), "ledger"),
    ],
)
def test_the_stream_is_read_where_only_a_time_is_asked_for_that_it_keeps(
    origin: app.Origin, scope: Scope, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "kept_since", lambda *_: 1000.0)
    assert app.origin_of(app.Wish("anonymizer", scope, running(), None, origin=origin)) == expected
