import asyncio

import pytest
from prometheus_client import REGISTRY

from panoveil.streams import Record
from panoveil.streams._lag import Lag
from panoveil.streams._shard import Shard


class Bench:
    """A lag whose clock stands at `now`, and work that waits for `gate`."""

    def __init__(self, service: str) -> None:
        self.now = 100.0
        self.service = service
        self.gate = asyncio.Event()
        self.lag = Lag(service, "uploads", lambda: self.now)

    def shard(self) -> Shard:
        return Shard(self._work, asyncio.Semaphore(1), 1, lambda _: None)

    @property
    def gauge(self) -> float | None:
        return REGISTRY.get_sample_value("panoveil_lag_seconds", {"service": self.service, "stream": "uploads"})

    async def _work(self, record: Record) -> None:
        await self.gate.wait()


def arrived(*seconds: float) -> list[Record]:
    return [Record("shard", f"{number}", "key", b"", at) for number, at in enumerate(seconds, 1)]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.node.name)


async def test_it_is_the_age_of_the_oldest_record_and_grows_while_nothing_finishes(bench: Bench) -> None:
    shard = bench.shard()
    with bench.lag.of(shard):
        shard.offer(arrived(40.0, 60.0, 90.0))
        await settle()
        assert bench.gauge == 60.0
        bench.now = 1000.0
        assert bench.gauge == 960.0
        bench.gate.set()
        await settle()
        assert bench.gauge == 0.0
    await shard.cancel()


async def test_a_record_that_waits_for_a_slot_counts(bench: Bench) -> None:
    shard = bench.shard()
    with bench.lag.of(shard):
        shard.offer(arrived(90.0))
        assert bench.gauge == 10.0
    await shard.cancel()


async def test_a_clock_behind_the_streams_is_no_lag(bench: Bench) -> None:
    shard = bench.shard()
    with bench.lag.of(shard):
        shard.offer(arrived(130.0))
        assert bench.gauge == 0.0
    await shard.cancel()


async def test_the_shard_furthest_behind_counts_and_one_that_is_gone_does_not(bench: Bench) -> None:
    near, far = bench.shard(), bench.shard()
    with bench.lag.of(near):
        near.offer(arrived(95.0))
        with bench.lag.of(far):
            far.offer([], behind=50.0)
            assert bench.gauge == 50.0
        assert bench.gauge == 5.0
    for shard in (near, far):
        await shard.cancel()


def test_nothing_to_do_is_no_lag() -> None:
    assert Lag("idle").seconds() == 0.0
