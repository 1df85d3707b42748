import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from panoveil.contracts.errors import Misconfigured, Rejected, Unavailable
from panoveil.contracts.keys import Stream
from panoveil.streams import Consumer, MemoryStreams, Outgoing, Record, RetryPolicy
from panoveil.streams.consumer import trace

RECORD = Record("shard", "1", "key", b"the payload", 0.0)
POLICY = RetryPolicy(attempts=3, first_pause=1.0, longest_pause=10.0)


@dataclass
class Shelf:
    """A quarantine that is down for the first `down` calls."""

    down: int = 0
    kept: list[tuple[str, str, str, int]] = field(default_factory=list)

    async def put(self, record: Record, reason: str, detail: str, traceback: str, attempts: int) -> None:
        if self.down:
            self.down -= 1
            raise Unavailable("s3")
        self.kept.append((reason, detail, traceback, attempts))


@dataclass
class Bench:
    """A consumer whose pauses pass at once and are noted; its handler raises `errors`, one a call, and then succeeds."""

    service: str
    errors: list[Exception] = field(default_factory=list)
    shelf: Shelf = field(default_factory=Shelf)
    pauses: list[float] = field(default_factory=list)

    def consumer(self, handler: Callable[[Record], Awaitable[None]] | None = None) -> Consumer:
        source = MemoryStreams().source(Stream.UPLOADS, self.service)
        return Consumer(
            self.service, source, handler or self.handle, self.shelf, policy=POLICY, sleep=self._sleep, chance=lambda: 0.0
        )

    async def handle(self, record: Record) -> None:
        if self.errors:
            raise self.errors.pop(0)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def metric(self, name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"panoveil_{name}", {"service": self.service, **labels}) or 0.0


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(service=request.node.name)


async def test_a_good_record_is_done(bench: Bench) -> None:
    await bench.consumer().work(RECORD)
    assert bench.metric("records_total", outcome="done") == 1
    assert (bench.pauses, bench.shelf.kept) == ([], [])


async def test_rejected_input_is_quarantined_at_once(bench: Bench) -> None:
    bench.errors = [Rejected("not_json", "line 1")]
    await bench.consumer().work(RECORD)
    assert bench.shelf.kept == [("not_json", "line 1", "", 1)]
    assert bench.pauses == []
    assert bench.metric("quarantined_total", reason="not_json") == 1
    assert bench.metric("records_total", outcome="quarantined") == 1


async def test_a_bug_is_retried_a_bounded_number_of_times_and_then_quarantined(bench: Bench) -> None:
    bench.errors = [ValueError("the payload")] * 9
    await bench.consumer().work(RECORD)
    [(reason, detail, traceback, attempts)] = bench.shelf.kept
    assert (reason, detail, attempts) == ("handler_failed", "ValueError", 3)
    assert "in handle" in traceback
    assert "the payload" not in traceback
    assert bench.pauses == [1.0, 2.0]
    assert bench.metric("retries_total", cause="bug") == 2


async def test_a_bug_that_goes_away_leaves_no_trace(bench: Bench) -> None:
    bench.errors = [ValueError(), ValueError()]
    await bench.consumer().work(RECORD)
    assert bench.shelf.kept == []
    assert bench.metric("records_total", outcome="done") == 1


async def test_a_dependency_is_waited_for_ever_so_long(bench: Bench) -> None:
    bench.errors = [Unavailable("triton")] * 50
    await bench.consumer().work(RECORD)
    assert bench.shelf.kept == []
    assert bench.pauses[:5] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert len(bench.pauses) == 50
    assert bench.metric("dependency_up", dependency="triton") == 1


async def test_the_gauge_shows_who_is_down(bench: Bench) -> None:
    seen: list[float] = []

    async def look(record: Record) -> None:
        seen.append(bench.metric("dependency_up", dependency="s3"))
        if len(seen) < 3:
            raise Unavailable("s3")

    await bench.consumer(look).work(RECORD)
    assert seen[1:] == [0, 0]
    assert bench.metric("dependency_up", dependency="s3") == 1


async def test_waiting_for_a_dependency_uses_no_attempts_up(bench: Bench) -> None:
    bench.errors = [ValueError(), Unavailable("s3"), Unavailable("s3"), ValueError(), Unavailable("s3")]
    await bench.consumer().work(RECORD)
    assert bench.metric("records_total", outcome="done") == 1


async def test_a_quarantine_that_is_down_is_waited_for(bench: Bench) -> None:
    bench.errors, bench.shelf.down = [Rejected("not_json")], 4
    await bench.consumer().work(RECORD)
    assert [reason for reason, *_ in bench.shelf.kept] == ["not_json"]
    assert len(bench.pauses) == 4


async def test_misconfiguration_stops_the_service(bench: Bench) -> None:
    bench.errors = [Misconfigured("no bucket")]
    with pytest.raises(Misconfigured):
        await bench.consumer().work(RECORD)
    assert bench.metric("in_flight") == 0


async def test_what_runs_is_counted(bench: Bench) -> None:
    counts: list[float] = []

    async def look(record: Record) -> None:
        counts.append(bench.metric("in_flight"))

    await bench.consumer(look).work(RECORD)
    assert (counts, bench.metric("in_flight")) == ([1], 0)


async def test_errors_are_found_in_the_groups_that_task_groups_raise(bench: Bench) -> None:
    bench.errors = [
        ExceptionGroup("", [Rejected("not_json"), ExceptionGroup("", [Unavailable("s3"), ValueError()])]),
        ExceptionGroup("", [ValueError(), Rejected("corrupt_frame", "front")]),
    ]
    await bench.consumer().work(RECORD)
    assert bench.shelf.kept == [("corrupt_frame", "front", "", 1)]
    assert len(bench.pauses) == 1


async def test_a_group_of_strangers_is_a_bug(bench: Bench) -> None:
    bench.errors = [ExceptionGroup("", [ValueError()])] * 3
    await bench.consumer().work(RECORD)
    assert [(reason, detail) for reason, detail, *_ in bench.shelf.kept] == [("handler_failed", "ExceptionGroup")]


async def test_stop_gives_up_records_that_only_wait(bench: Bench) -> None:
    waiting = asyncio.Event()

    async def never(record: Record) -> None:
        waiting.set()
        raise Unavailable("s3")

    source = MemoryStreams().source(Stream.UPLOADS, bench.service)
    consumer = Consumer(bench.service, source, never, bench.shelf, sleep=lambda _: asyncio.sleep(3600))
    work = asyncio.create_task(consumer.work(RECORD))
    await waiting.wait()
    await asyncio.sleep(0)
    consumer.stop()
    with pytest.raises(asyncio.CancelledError):
        await work
    with pytest.raises(asyncio.CancelledError):
        await consumer.work(RECORD)
    assert bench.metric("records_total", outcome="done") == 0


async def test_run_consumes_until_stop(bench: Bench) -> None:
    streams = MemoryStreams()
    await streams.send(Stream.UPLOADS, [Outgoing("key", b"x")])

    async def handle(record: Record) -> None:
        consumer.stop()

    consumer = Consumer(bench.service, streams.source(Stream.UPLOADS, bench.service), handle, bench.shelf)
    await asyncio.wait_for(consumer.run(), 60)
    assert streams.drained(Stream.UPLOADS, bench.service)


def test_a_trace_names_causes_and_places_and_quotes_nobody() -> None:
    def inner() -> None:
        int("secret plate AB12345")

    try:
        try:
            inner()
        except ValueError as error:
            raise Rejected("not_json", "our own words") from error
    except Rejected as error:
        text = trace(error)
    assert "in inner" in text
    assert "ValueError" in text
    assert "Rejected: not_json: our own words" in text
    assert "invalid literal" not in text


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_stay_within_bounds(failures: int, chance: float) -> None:
    pause = POLICY.pause(failures, chance)
    assert POLICY.first_pause / 2 <= pause <= POLICY.longest_pause


class Store:
    """Down until it is told otherwise; counts who asks."""

    def __init__(self) -> None:
        self.down = True
        self.asked: list[bytes] = []

    async def handle(self, record: Record) -> None:
        self.asked.append(record.data)
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("s3", "switched off")


@dataclass
class Clock:
    """Seconds that pass only where a test lets them: every pause takes a step of the test."""

    pauses: list[float] = field(default_factory=list)
    step: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.step.acquire()


async def settled() -> None:
    """Let every task run until all of them wait."""
    for _ in range(1000):
        await asyncio.sleep(0)


def records(count: int) -> list[Record]:
    return [Record("shard", str(number), "key", b"%d" % number, 1000.0 + number) for number in range(count)]


@dataclass
class Crowd:
    """A hundred records in flight while their store is down, after the first wave of calls."""

    store: Store
    clock: Clock
    consumer: Consumer
    work: list[asyncio.Task[None]]


@pytest.fixture
async def crowd(bench: Bench) -> AsyncIterator[Crowd]:
    store, clock = Store(), Clock()
    source = MemoryStreams().source(Stream.UPLOADS, bench.service)
    options: dict[str, Any] = {"policy": POLICY, "sleep": clock.sleep, "chance": lambda: 0.0}
    consumer = Consumer(bench.service, source, store.handle, bench.shelf, **options)
    work = [asyncio.create_task(consumer.work(record)) for record in records(100)]
    await settled()
    yield Crowd(store, clock, consumer, work)
    consumer.stop()
    await asyncio.gather(*work, return_exceptions=True)


async def test_an_open_circuit_lets_one_record_ask_at_a_time_with_growing_pauses(bench: Bench, crowd: Crowd) -> None:
    assert len(crowd.store.asked) == 100
    for probes in range(1, 7):
        crowd.clock.step.release()
        await settled()
        assert len(crowd.store.asked) == 100 + probes
    assert crowd.clock.pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    assert bench.metric("dependency_up", dependency="s3") == 0
    assert bench.metric("in_flight") == 100
    assert (bench.shelf.kept, any(task.done() for task in crowd.work)) == ([], False)


async def test_each_record_has_its_turn_to_ask(crowd: Crowd) -> None:
    for _ in range(5):
        crowd.clock.step.release()
        await settled()
    assert len(set(crowd.store.asked[100:])) == 5


async def test_a_record_that_comes_while_the_circuit_is_open_does_not_ask(crowd: Crowd) -> None:
    late = asyncio.create_task(crowd.consumer.work(replace(RECORD, data=b"late")))
    crowd.clock.step.release()
    await settled()
    assert b"late" not in crowd.store.asked
    late.cancel()


async def test_the_first_success_closes_the_circuit_for_all(bench: Bench, crowd: Crowd) -> None:
    crowd.store.down = False
    crowd.clock.step.release()
    await asyncio.gather(*crowd.work)
    assert len(crowd.store.asked) == 200
    assert crowd.clock.pauses == [1.0]
    assert bench.metric("dependency_up", dependency="s3") == 1
    assert bench.metric("records_total", outcome="done") == 100


async def test_stop_gives_up_whoever_waits_for_a_turn(bench: Bench, crowd: Crowd) -> None:
    crowd.consumer.stop()
    ends = await asyncio.gather(*crowd.work, return_exceptions=True)
    assert {type(end) for end in ends} == {asyncio.CancelledError}
    assert bench.metric("records_total", outcome="done") == 0


async def test_a_record_that_is_refused_shows_that_the_dependency_answers(bench: Bench) -> None:
    bench.errors = [Unavailable("s3"), Rejected("not_json")]
    await bench.consumer().work(RECORD)
    assert bench.metric("dependency_up", dependency="s3") == 1
    assert [reason for reason, *_ in bench.shelf.kept] == ["not_json"]


async def test_every_dependency_that_was_down_is_said_to_be_up_again(bench: Bench) -> None:
    bench.errors = [Unavailable("s3"), Unavailable("dynamodb")]
    await bench.consumer().work(RECORD)
    assert [bench.metric("dependency_up", dependency=name) for name in ("s3", "dynamodb")] == [1, 1]
    assert [bench.metric("retries_total", cause=name) for name in ("s3", "dynamodb")] == [1, 1]


async def test_a_record_that_alone_finds_its_store_down_waits_longer_and_longer_and_holds_nobody_up(bench: Bench) -> None:
    clock, others = Clock(), iter(records(100))

    async def broken_shelf(record: Record) -> None:
        if record is RECORD:
            raise Unavailable("s3", "that one object")

    source = MemoryStreams().source(Stream.UPLOADS, bench.service)
    consumer = Consumer(bench.service, source, broken_shelf, bench.shelf, policy=POLICY, sleep=clock.sleep, chance=lambda: 0.0)
    unlucky = asyncio.create_task(consumer.work(RECORD))
    for _ in range(4):
        await settled()
        passing = asyncio.create_task(consumer.work(next(others)))
        await settled()
        clock.step.release()
        await settled()
        clock.step.release()
        await asyncio.wait_for(passing, 60)
    assert max(clock.pauses) > 2.0
    consumer.stop()
    await asyncio.gather(unlucky, return_exceptions=True)
