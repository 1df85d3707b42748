"""What happens on the road: clocks that jump, disks that fill up, networks that are gone for hours, streams that take a part."""

import dataclasses
import json
import operator
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.contracts.keys import Stream
from panoveil.streams import KinesisSink, Outgoing, PartlySent, Resend
from services.agent.adapters import SqliteJournal
from services.agent.app import upload_drive
from services.agent.events import CaptureUploaded, Waiting
from services.agent.handler import Ports
from tests.unit.services.agent.conftest import START, Car, add_capture, key_of, rewrite

HOUR = 3600.0


def _sequencers(car: Car) -> dict[str, list[str]]:
    """Sequencers of each key in the order they were sent."""
    found: dict[str, list[str]] = {}
    for record in car.sent:
        thing = json.loads(record.data)["Records"][0]["s3"]["object"]
        found.setdefault(thing["key"], []).append(thing["sequencer"])
    return found


@given(jumps=st.lists(st.timedeltas(timedelta(days=-9000), timedelta(days=9000)), min_size=2, max_size=4), again=st.booleans())
async def test_the_later_upload_has_the_later_sequencer_whatever_the_clock_does(
    jumps: list[timedelta], *, again: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drive, car = tmp_path_factory.mktemp("drive"), Car()
    place = add_capture(drive, "c1", lenses=["front"])
    for number, jump in enumerate(jumps):
        if not again:
            rewrite(place, "front", b"picture %d" % number)
        ports = dataclasses.replace(car.ports(), now=partial(operator.add, START, jump))
        await upload_drive(drive, ports, car.events.append, again=again)
    for key, sequencers in _sequencers(car).items():
        assert len(sequencers) == len(jumps), key
        assert sequencers == sorted(set(sequencers)), key


async def test_a_clock_that_stands_still_does_not_hide_the_newer_upload(car: Car, drive: Path) -> None:
    ports = dataclasses.replace(car.ports(), now=lambda: START)
    await upload_drive(drive, ports, car.events.append)
    rewrite(drive / "captures/c1", "left", b"mended")
    await upload_drive(drive, ports, car.events.append)
    assert [len(set(found)) for key, found in _sequencers(car).items() if key == "dk/d1/c1/left.jpg"] == [2]


async def test_hours_without_a_network_are_waited_out_and_nothing_goes_twice(car: Car, drive: Path) -> None:
    car.blobs.down = car.kinesis_down = True

    def mend() -> None:
        car.blobs.down = sum(car.slept) < 5 * HOUR
        car.kinesis_down = sum(car.slept) < 9 * HOUR

    car.on_sleep = mend
    done = await upload_drive(drive, car.ports(give_up_after=0), car.events.append)
    assert (done.uploaded, sorted(car.announced())) == (3, sorted(car.stored()))
    puts = [key for what, key in car.log if what == "put"]
    assert len(puts) == len(set(puts)) == 12
    assert sum(car.slept) >= 9 * HOUR
    assert max(event.seconds for event in car.events if isinstance(event, Waiting)) == 30


async def test_a_disk_that_is_full_stops_it_and_with_room_it_goes_on(
    car: Car, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = SqliteJournal._prepare

    def small(self: SqliteJournal) -> None:
        prepare(self)
        self._database.execute("PRAGMA max_page_count = 3")

    for name in ("c1", "c2", "c3"):
        rewrite(drive / "captures" / name, "left", name.encode() * 9)
    add_capture(drive, "c-with-a-long-name-" + "n" * 40, minute=-5, lenses=[f"lens{n}" + "l" * 40 for n in range(16)])
    with monkeypatch.context() as patch:
        patch.setattr(SqliteJournal, "_prepare", small)
        with pytest.raises(Misconfigured, match="make room"):
            await upload_drive(drive, car.ports(), car.events.append)
    journal = SqliteJournal(drive / ".panoveil-agent.sqlite3", "test")
    known = dict(journal.entries())
    journal.close()
    assert 0 < len(known) < 29
    car.log.clear()
    await upload_drive(drive, car.ports(), car.events.append)
    assert set(car.announced()) == car.stored()
    assert not {key for what, key in car.log if what == "put"} & known.keys()
    assert not {key for what, key in car.log if what == "event"} & {key for key, entry in known.items() if entry.announced}


class Throttled:
    """Kinesis, which takes of each PutRecords what `taken` says, and counts how often it acknowledged a key."""

    def __init__(self, taken: Iterator[Sequence[bool] | None]) -> None:
        self._taken = taken
        self.acknowledged: list[str] = []

    async def put_records(self, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        taken = next(self._taken, [True])
        if taken is None:
            raise OSError("connection reset")
        answers = []
        for number, record in enumerate(Records):
            good = taken[number % len(taken)]
            answers.append({} if good else {"ErrorCode": "ProvisionedThroughputExceededException"})
            if good:
                self.acknowledged.append(key_of(Outgoing(record["PartitionKey"], record["Data"])))
        return {"Records": answers}


def _through(car: Car, kinesis: Throttled, **more: Any) -> Ports:
    sink = KinesisSink(kinesis, {Stream.UPLOADS: "uploads"}, Resend(attempts=2), car.sleep)
    return dataclasses.replace(car.ports(**more), sink=sink)


@given(taken=st.lists(st.none() | st.lists(st.booleans(), min_size=1, max_size=5), max_size=8))
async def test_of_records_taken_in_part_only_the_others_are_sent_again(
    taken: list[list[bool] | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    drive, car = tmp_path_factory.mktemp("drive"), Car()
    for minute in range(3):
        add_capture(drive, f"c{minute}", minute=minute)
    kinesis = Throttled(iter(taken))
    await upload_drive(drive, _through(car, kinesis, give_up_after=0), car.events.append)
    assert sorted(kinesis.acknowledged) == sorted(car.stored())
    assert len(kinesis.acknowledged) == 12


async def test_what_was_taken_before_it_gave_up_is_not_sent_by_the_next_run(car: Car, drive: Path) -> None:
    half = Throttled(iter([[True, False]] + [[False]] * 500))
    with pytest.raises(Unavailable):
        await upload_drive(drive, _through(car, half), car.events.append)
    assert not any(isinstance(event, CaptureUploaded) for event in car.events)
    whole = Throttled(iter([]))
    await upload_drive(drive, _through(car, whole), car.events.append)
    assert half.acknowledged
    assert sorted(half.acknowledged + whole.acknowledged) == sorted(car.stored())


async def test_a_sink_says_what_of_several_batches_is_left() -> None:
    records = [Outgoing("p", b"%d" % number) for number in range(1200)]
    kinesis = Counting(iter([[True], [True, False], [False]]))
    sink = KinesisSink(kinesis, {Stream.UPLOADS: "uploads"}, Resend(attempts=2), Car().sleep)
    with pytest.raises(PartlySent) as caught:
        await sink.send(Stream.UPLOADS, records)
    assert list(caught.value.left) == [*records[501:1000:2], *records[1000:]]


class Counting(Throttled):
    """Takes records that announce nothing."""

    async def put_records(self, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        taken = next(self._taken) or [False]
        return {"Records": [{} if taken[n % len(taken)] else {"ErrorCode": "Busy"} for n in range(len(Records))]}
