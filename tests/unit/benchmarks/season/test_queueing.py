import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.season.queueing import Batch, Fifo, exact, quantiles


def _arrivals(rate: float, number: int, seed: int = 5) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, number))


def _served(arrived: np.ndarray, counts: np.ndarray, rate: float, tick: float = 30.0) -> np.ndarray:
    """Return when each batch is ready."""
    queue, now, ready = Fifo(), 0.0, dict[int, float]()
    for number, (time, count) in enumerate(zip(arrived.tolist(), counts.tolist(), strict=True)):
        queue.put(Batch(time, number, count, time, time))
    while queue.backlog > 1e-6:
        ready |= {batch.number: finish for finish, batch in queue.serve(now, now + tick, rate)}
        now += tick
    return np.array([ready[number] for number in range(len(arrived))])


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_the_mean_wait_is_pollaczek_and_khinchines(load: float) -> None:
    arrived = _arrivals(load, 400_000)
    wait = _served(arrived, np.ones(len(arrived)), 1.0) - arrived - 1
    assert wait.mean() == pytest.approx(load / (2 * (1 - load)), rel=0.04)


def test_one_slot_is_exactly_a_simulation_of_every_record() -> None:
    arrived = _arrivals(0.9, 5000)
    assert _served(arrived, np.ones(5000), 1.0) == pytest.approx(exact(arrived, 1, 1.0))


def test_many_slots_are_never_too_quick_and_at_most_a_service_too_slow() -> None:
    """Round robin: a record waits for every c-th before it, the fast slot's for every one; the difference is less than one service."""
    arrived, servers, service = _arrivals(18.0, 40_000), 10, 0.5
    rate = servers / service
    ours = _served(arrived, np.ones(len(arrived)), rate) + service - 1 / rate
    late = ours - exact(arrived, servers, service)
    assert late.min() > -1e-6
    assert late.max() <= service * (1 - 1 / servers) + 1e-6
    assert late.mean() < service / 5


def test_batches_end_when_their_last_record_does() -> None:
    arrived = np.repeat(_arrivals(0.02, 200), 40)
    batched = _served(arrived[::40], np.full(200, 40.0), 1.0)
    assert batched == pytest.approx(exact(arrived, 1, 1.0)[39::40])


@given(st.floats(0.5, 100), st.integers(1, 50))
def test_when_one_looks_at_the_clock_makes_no_difference(tick: float, number: int) -> None:
    arrived = _arrivals(0.7, number)
    assert _served(arrived, np.ones(number), 1.0, tick) == pytest.approx(_served(arrived, np.ones(number), 1.0))


def test_without_a_rate_everything_waits_and_grows_old() -> None:
    queue = Fifo()
    queue.put(Batch(10, 0, 5, 10, 10))
    assert queue.serve(0, 100, 0.0) == []
    assert (queue.backlog, queue.behind(100)) == (5, 90)


def test_quantiles_weigh_by_count() -> None:
    assert quantiles(np.array([3.0, 1.0, 2.0]), np.array([1.0, 98.0, 1.0]), (0.5, 0.985, 1.0)) == [1.0, 2.0, 3.0]
