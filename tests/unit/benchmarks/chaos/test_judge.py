"""Every promise that is broken is found: a judge that cannot convict proves nothing."""

from pathlib import Path

import pytest

from benchmarks.chaos.judge import Verdict, judge
from console.demo.run import Drive
from panoveil.contracts.audit import Publication
from panoveil.contracts.keys import BlobRef, Bucket, Stream, published_key
from panoveil.detection import RectangleDetector
from panoveil.ledger import State, note
from services.anonymizer.handler import handle
from tests.unit.services.anonymizer.test_handler import CAPTURE, World, panorama, stitched


class Done:
    """A drive of one capture, published by the real handler."""

    def __init__(self) -> None:
        self.world = World()

    async def publish(self) -> None:
        data = panorama()
        await self.world.put(data)
        await handle(stitched(data), self.world.ports(RectangleDetector()))

    @property
    def told(self) -> list[bytes]:
        return [record.data for record in self.world.streams.records(Stream.PUBLICATIONS)]

    async def judged(self, told: list[bytes] | None = None, *more: str) -> Verdict:
        drive = Drive(Path(), CAPTURE.drive_id, frozenset({CAPTURE.capture, *more}), 512)
        return await judge([drive], self.world.ledger, self.world.blobs, self.told if told is None else told)

    async def entry(self) -> Publication:
        (entry,) = [entry async for entry in self.world.ledger.audit_chain(CAPTURE.drive_id)]
        return Publication.model_validate(entry.body)


@pytest.fixture(name="done")
async def a_drive_that_is_done() -> Done:
    done = Done()
    await done.publish()
    return done


async def test_what_is_as_it_should_be_is_kept(done: Done) -> None:
    verdict = await done.judged(done.told * 2)
    assert verdict.kept
    assert (verdict.captures, dict(verdict.states)) == (1, {State.PUBLISHED: 1})


async def test_what_never_arrived_is_lost(done: Done) -> None:
    verdict = await done.judged(None, "000002")
    assert (verdict.lost, verdict.kept) == ([f"{CAPTURE.drive_id}/000002"], False)


async def test_what_nobody_was_told_of_is_lost(done: Done) -> None:
    assert (await done.judged([])).lost == [str(CAPTURE)]


async def test_what_was_told_in_other_words_is_published_twice(done: Done) -> None:
    (message,) = done.told
    assert (await done.judged([message, message.replace(b"12.0", b"13.0")])).published_twice == [str(CAPTURE)]


async def test_what_was_decided_on_twice_is_published_twice(done: Done) -> None:
    entry = await done.entry()
    other = entry.outputs[0].model_copy(update={"sha256": "0" * 64})
    await note(done.world.ledger, entry.model_copy(update={"outputs": (other, entry.outputs[1])}))
    verdict = await done.judged()
    assert verdict.published_twice == [str(CAPTURE)]
    assert verdict.chain_findings  # the bytes are those of the first


async def test_a_picture_that_no_entry_tells_of_is_unverified(done: Done) -> None:
    stray = published_key(str(CAPTURE), "another-recipe")
    await done.world.blobs.put(stray, b"a picture")
    assert (await done.judged()).unverified_published == [stray.key]


async def test_a_picture_that_nobody_looked_through_is_unverified() -> None:
    done, blind = Done(), Done()
    await done.publish()
    entry = await done.entry()
    unseen = entry.verification.model_copy(update={"rounds": 0})
    await note(blind.world.ledger, entry.model_copy(update={"verification": unseen}))
    await blind.world.blobs.put(BlobRef(Bucket.PUBLISHED, entry.outputs[0].key), b"any")
    assert (await blind.judged(done.told)).unverified_published == [entry.outputs[0].key]


async def test_a_picture_that_is_not_the_one_that_was_verified_is_a_finding(done: Done) -> None:
    entry = await done.entry()
    await done.world.blobs.put(BlobRef(Bucket.PUBLISHED, entry.outputs[0].key), b"another")
    assert (await done.judged()).chain_findings


async def test_a_whole_capture_in_quarantine_breaks_the_promise() -> None:
    done = Done()
    await done.world.ledger.move(CAPTURE, State.QUARANTINED, "handler_failed")
    verdict = await done.judged()
    assert (verdict.quarantined, verdict.lost) == ([str(CAPTURE)], [])
    assert not verdict.kept
