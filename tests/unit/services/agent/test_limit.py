"""The bandwidth limit, on a clock that only the waiting moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Misconfigured
from services.agent.limit import Limit, bytes_per_second
from services.agent.settings import read_settings


class Clock:
    """Seconds; sleeping moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(sizes=st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 5)), min_size=1, max_size=50), rate=st.floats(1, 1e4))
async def test_never_more_than_the_rate_and_one_object(sizes: list[tuple[int, float]], rate: float) -> None:
    clock = Clock()
    limit = Limit(rate, clock, clock.sleep)
    begun: list[tuple[float, int]] = []
    for size, pause in sizes:
        clock.now += pause
        await limit.take(size)
        begun.append((clock.now, size))
    for first, (began, _) in enumerate(begun):
        sent = 0
        for at, size in begun[first:]:
            assert sent <= rate * (at - began) * (1 + 1e-6) + 1e-3
            sent += size


async def test_time_in_which_nothing_was_sent_is_not_saved_up() -> None:
    clock = Clock()
    limit = Limit(100, clock, clock.sleep)
    clock.now += 1e6
    for _ in range(3):
        await limit.take(200)
    assert clock.now == 1000 + 1e6 + 4


async def test_no_limit_waits_for_nothing() -> None:
    clock = Clock()
    await Limit(0, clock, clock.sleep).take(10**12)
    assert clock.now == 1000


@pytest.mark.parametrize(
    ("text", "rate"), [("20MB/s", 20e6), ("500 kB/s", 500e3), ("8Mbit/s", 1e6), ("1.5GB/s", 1.5e9), ("99B/s", 99)]
)
def test_rates_are_read(text: str, rate: float) -> None:
    assert bytes_per_second(text) == rate


@pytest.mark.parametrize("text", ["", "20", "20MB", "MB/s", "-1MB/s", "0MB/s", "20mb/s", "20MiB/s", "nanMB/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="20MB/s"):
        bytes_per_second(text)


def test_the_setting_is_read_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().limit == 0
    monkeypatch.setenv("PANOVEIL_LIMIT", "2MB/s")
    assert read_settings().limit == 2e6
    monkeypatch.setenv("PANOVEIL_LIMIT", "fast")
    with pytest.raises(Misconfigured, match="PANOVEIL_LIMIT"):
        read_settings()
