from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from benchmarks.season import picture, report
from benchmarks.season.__main__ import main, once
from benchmarks.season.assumptions import Assumptions, Measured, Prices, changed
from benchmarks.season.demand import DAY, Demand, driving_hours, season
from benchmarks.season.simulate import Outcome
from benchmarks.season.supply import Fleet, planned
from panoveil.contracts.errors import Misconfigured

DOCS = Path(__file__).parents[4] / "docs/season.md"

MEASURED = Measured(ingest_cpu_s=0.2, stitcher_cpu_s=0.8, anonymizer_cpu_s=0.6)
SMALL = Assumptions(panoramas=200_000, cars=2)


def _quiet(sentence: str) -> None:
    pass


def _season(assumptions: Assumptions, batch: int = 60, seed: int = 1) -> tuple[Demand, Outcome]:
    return once(assumptions, MEASURED, batch, seed, _quiet)


def _figures(assumptions: Assumptions, batch: int = 60, seed: int = 1) -> report.Figures:
    return report.figures(*_season(assumptions, batch, seed), assumptions, Prices())


@pytest.fixture(scope="module")
def small() -> tuple[Demand, Outcome]:
    return _season(SMALL)


def test_what_was_taken_is_published_and_no_more(small: tuple[Demand, Outcome]) -> None:
    demand, outcome = small
    assert sum(outcome.published) == demand.panoramas == SMALL.panoramas
    assert all(sum(stage.counts) == SMALL.panoramas for stage in outcome.stages.values())


def test_nothing_is_published_before_it_was_taken_and_uploaded(small: tuple[Demand, Outcome]) -> None:
    demand, outcome = small
    assert (demand.arrived >= demand.captured).all()
    alone = sum(stage.work.alone_s for stage in outcome.stages.values())
    assert min(outcome.since_upload) >= alone


def test_the_same_seed_is_the_same_season_and_another_is_not() -> None:
    assert _figures(SMALL) == _figures(SMALL)
    assert _figures(SMALL) != _figures(SMALL, seed=2)


def test_the_size_of_batches_decides_nothing() -> None:
    fine, coarse = _figures(SMALL, batch=10), _figures(SMALL, batch=60)
    assert coarse["busiest_day_panoramas"] == pytest.approx(fine["busiest_day_panoramas"], rel=0.01)
    for share in ("p50", "p95", "p99"):
        mine, other = coarse["upload_to_published_s"][share], fine["upload_to_published_s"][share]
        assert mine == pytest.approx(other, rel=0.05, abs=30)
    assert coarse["cost_usd"]["season"] == pytest.approx(fine["cost_usd"]["season"], rel=0.02)


def test_there_are_never_more_tasks_than_shards(small: tuple[Demand, Outcome]) -> None:
    assert all(stage.peak <= stage.work.most <= stage.work.shards for stage in small[1].stages.values())


def test_stages_sleep_at_night(small: tuple[Demand, Outcome]) -> None:
    demand, outcome = small
    hours = sum(stage.task_s for stage in outcome.stages.values()) / 3600
    assert 0 < hours < demand.days * 24 * 3


def test_failures_cost_time_and_lose_nothing(small: tuple[Demand, Outcome]) -> None:
    calm, rough = (
        replace(SMALL, spot_per_h=rate, crash_per_h=rate, zone_outages=0, dependency_outages=count)
        for rate, count in ((0.0, 0.0), (0.5, 200.0))
    )
    quiet, worse = _figures(calm), _figures(rough)
    assert worse["panoramas"]["published"] == quiet["panoramas"]["published"]
    assert worse["stages"]["stitcher"]["tasks_lost"] > quiet["stages"]["stitcher"]["tasks_lost"] == 0
    assert worse["upload_to_published_s"]["p95"] > quiet["upload_to_published_s"]["p95"]


def test_gpus_twice_as_slow_are_twice_as_many() -> None:
    slow, fast = (_figures(replace(SMALL, gpu_s=seconds))["gpus"]["peak"] for seconds in (2.0, 1.0))
    assert slow == pytest.approx(2 * fast, abs=1)


def test_at_the_depot_everything_comes_in_the_evening() -> None:
    demand = season(replace(SMALL, mobile_mbit=0), 60, 1)
    assert (demand.arrived % DAY).min() > 15 * 3600


def test_enough_mobile_network_brings_panoramas_at_once() -> None:
    demand = season(replace(SMALL, mobile_mbit=10_000), 60, 1)
    assert np.quantile(demand.arrived - demand.captured, 0.99) < 60


def test_nobody_drives_at_weekends() -> None:
    demand = season(SMALL, 60, 1)
    days = {int(time // DAY) for time in demand.captured}
    assert not [day for day in days if date.fromordinal(date(2027, 4, 1).toordinal() + day).weekday() >= 5]


def test_light_limits_the_day_in_autumn_and_the_shift_in_june() -> None:
    assert driving_hours(date(2027, 6, 21), SMALL) == SMALL.shift_h
    assert 4 < driving_hours(date(2027, 9, 30), SMALL) < SMALL.shift_h
    assert driving_hours(date(2027, 12, 21), SMALL) == 0


@pytest.mark.parametrize("latitude", [0, 35, 56])
def test_on_the_day_of_the_equinox_the_sun_is_up_for_twelve_hours_everywhere(latitude: float) -> None:
    assert driving_hours(date(2027, 3, 22), replace(SMALL, latitude=latitude, sun_above=0, shift_h=24)) == pytest.approx(
        12, abs=0.1
    )


def test_too_few_cars_do_not_finish() -> None:
    assert season(replace(SMALL, panoramas=30e6), 600, 1).panoramas < 30e6


def test_a_burst_over_one_shard_plans_for_more() -> None:
    demand = Demand(np.zeros(1), np.zeros(1), np.array([60_000.0]), 1, 1, 60_000)
    assert planned(demand, SMALL, MEASURED)["ingest"].shards >= 9


def test_a_fleet_starts_slowly_and_stops_those_on_their_way_first() -> None:
    fleet = Fleet(start_s=60)
    fleet.want(2, 0)
    fleet.arrive(60)
    fleet.want(5, 60)
    fleet.want(3, 90)
    assert (fleet.running, fleet.coming) == (2, [(120, 1)])
    assert fleet.lose(5, 200) == 2
    fleet.arrive(200)
    assert fleet.running == 3


def test_the_picture_is_well_formed(small: tuple[Demand, Outcome]) -> None:
    root = ET.fromstring(picture.svg(*small))  # noqa: S314 - our own
    assert len(root.findall(".//{*}polyline")) == 2 * (1 + 3 + 4)


def test_the_report_names_every_stage_and_cost(small: tuple[Demand, Outcome]) -> None:
    figures = report.figures(*small, SMALL, Prices())
    text = report.text(figures | {"sensitivity": {"as assumed": report.brief(figures)}})
    assert all(name in text for name in _names(figures))
    items = {name: value for name, value in figures["cost_usd"].items() if name != "season" and not name.endswith("_year")}
    assert figures["cost_usd"]["season"] == pytest.approx(sum(items.values()), abs=0.1)


def _names(figures: report.Figures) -> Iterable[str]:
    return (*figures["stages"], *figures["cost_usd"], "upload to published", "as assumed")


def test_the_page_has_the_tables_of_the_code() -> None:
    assert report.assumptions_markdown(Assumptions(), None, Prices()) in DOCS.read_text()


@pytest.mark.parametrize("change", ["gpus=2", "gpu_s", "gpu_s=fast", "gpu_s=-1", "gpu_s=nan", "gpu_s=inf"])
def test_an_assumption_that_is_none_is_refused_in_one_sentence(
    change: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["season", "--set", change])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == Misconfigured.exit_code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_assumption_can_be_changed() -> None:
    assert changed(SMALL, ["gpu_s=0.25"]) == replace(SMALL, gpu_s=0.25)
