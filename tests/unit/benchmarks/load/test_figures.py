"""What the load benchmark makes of what it saw."""

import pytest

from benchmarks.load import backlog, efficiency
from benchmarks.load.backlog import _Look
from benchmarks.load.efficiency import Spent
from benchmarks.load.meter import Memory


def look(at: float, done: float, cpu: float, service: float) -> _Look:
    return _Look(at, done, cpu, Memory(service, 100.0, 0.0))


def test_rates_count_from_the_first_record_seen_and_growth_from_a_tenth_of_the_way() -> None:
    looks = [look(10, 5, 2.0, 50), look(12, 100, 3.0, 100), look(15, 500, 6.0, 160), look(20, 1005, 12.0, 120)]
    found = backlog._figures(1000, looks)
    assert found["records_per_s"] == 100.0
    assert found["cpu_ms_per_record"] == 10.0
    assert (found["service_mb_first"], found["service_mb_last"], found["service_mb_most"]) == (160, 120, 160)
    assert found["memory_growth"] == pytest.approx(220 / 260, abs=1e-3)


def test_efficiency_is_a_rounds_pure_work_over_all_that_its_services_took_and_their_median_counts() -> None:
    ingest = [Spent(1.0, 0.5), Spent(2.0, 1.0), Spent(1.0, 0.1)]
    stitcher = [Spent(3.0, 2.7), Spent(2.0, 2.0), Spent(1.0, 1.0)]
    found = efficiency._figures({"ingest": ingest, "stitcher": stitcher})
    assert found["efficiency_by_round"] == [0.8, 0.75, 0.55]
    assert found["efficiency"] == 0.75
    assert found["efficiency_by_stage"] == {"ingest": 0.5, "stitcher": 1.0}
    assert found["services_cpu_s"] == {"ingest": 1.0, "stitcher": 2.0}
    assert found["pure_cpu_s"] == {"ingest": 0.5, "stitcher": 2.0}
