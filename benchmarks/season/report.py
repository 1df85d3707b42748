"""From an outcome to figures, and from figures to tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.season.assumptions import Assumptions, Measured, Prices, measured_rows, rows
from benchmarks.season.demand import DAY, HOUR, Demand
from benchmarks.season.queueing import quantiles
from benchmarks.season.simulate import Outcome, Stage

Figures = dict[str, Any]

_SHARES = (0.5, 0.95, 0.99)
_GB_PER_VCPU, _MONTH = 2, 30.4 * DAY
_SEASON_H = 183 * 24
_SEASON_MONTHS, _YEAR_MONTHS = 6.0, 12.0


def figures(demand: Demand, outcome: Outcome, assumptions: Assumptions, prices: Prices) -> Figures:
    """Return what the JSON shows of one season."""
    total = sum(outcome.published)
    cost = costs(demand, outcome, assumptions, prices)
    return {
        "panoramas": {"wanted": demand.wanted, "taken": demand.panoramas, "published": total},
        "cars": demand.cars,
        "days_driven": demand.days,
        "arrivals_per_s": {
            "season_mean": round(demand.panoramas / (_SEASON_H * HOUR), 3),
            "driven_days_mean": round(demand.panoramas / (demand.days * DAY), 2),
            "busiest_hour": round(demand.busiest(HOUR) / HOUR, 2),
            "busiest_minute": round(demand.busiest(60) / 60, 2),
        },
        "busiest_day_panoramas": demand.busiest(DAY),
        "stages": {name: _stage(stage) for name, stage in outcome.stages.items()},
        "gpus": {"peak": outcome.gpu_peak, "gpu_hours": round(outcome.gpu_s / HOUR), "lost": outcome.gpu_lost},
        "upload_to_published_s": _ages(outcome.since_upload, outcome.published),
        "capture_to_published_s": _ages(outcome.since_capture, outcome.published),
        "cost_usd": cost,
        "cost_usd_per_1000": {name: round(value / demand.panoramas * 1000, 4) for name, value in cost.items()},
    }


def _stage(stage: Stage) -> Figures:
    work = stage.work
    return {
        "shards": work.shards,
        "tasks_planned": work.most,
        "tasks_peak": stage.peak,
        "task_hours": round(stage.task_s / HOUR),
        "panoramas_per_s_a_task": round(work.rate, 3),
        "backlog_max": round(stage.backlog_max),
        "tasks_lost": stage.lost,
        "lag_s": _ages(stage.ages, stage.counts),
    }


def _ages(ages: Sequence[float], counts: Sequence[float]) -> Figures:
    values = np.asarray(ages)
    p50, p95, p99 = quantiles(values, np.asarray(counts), _SHARES)
    return {"p50": round(p50, 1), "p95": round(p95, 1), "p99": round(p99, 1), "max": round(float(values.max()), 1)}


def costs(demand: Demand, outcome: Outcome, assumptions: Assumptions, prices: Prices) -> dict[str, float]:
    """Return US dollars of a season by item; what is stored beyond it is in items that end in `_year`."""
    thousands, stages = demand.panoramas / 1000, outcome.stages.values()
    vcpu_h = sum(stage.task_s / HOUR * stage.work.vcpu for stage in stages)
    sizes = (assumptions.panorama_mb, assumptions.published_mb, assumptions.capture_mb)
    stitched_gb, published_gb, originals_gb = (demand.panoramas * mb / 1000 for mb in sizes)
    puts = demand.panoramas * (assumptions.records_per_capture + 3) / 1e6
    hot_gb = originals_gb + stitched_gb
    items = {
        "fargate": vcpu_h * (prices.fargate_vcpu_h + _GB_PER_VCPU * prices.fargate_gb_h),
        "gpu": outcome.gpu_s / HOUR * prices.gpu_h,
        "kinesis": (_shards(outcome) + 1) * _SEASON_H * prices.shard_h + puts * prices.put_units_million,
        "s3_requests": thousands * _requests(assumptions, prices),
        "dynamodb": demand.panoramas / 1e6 * _units(assumptions, prices),
        "hot_storage": hot_gb * assumptions.hot_days * DAY / _MONTH * prices.s3_gb_month,
        "published_storage": published_gb * _mean_months(demand) * prices.s3_gb_month,
    }
    items["season"] = sum(items.values())
    items["published_storage_year"] = published_gb * _YEAR_MONTHS * prices.s3_gb_month
    items["deep_archive_year"] = originals_gb * _YEAR_MONTHS * prices.archive_gb_month
    return {name: round(value, 2) for name, value in items.items()}


def _shards(outcome: Outcome) -> int:
    return sum(stage.work.shards for stage in outcome.stages.values())


def _requests(assumptions: Assumptions, prices: Prices) -> float:
    """Return dollars for 1,000 panoramas; one object of each goes into the archive."""
    hot = assumptions.puts_per_panorama * prices.s3_puts_thousand + assumptions.gets_per_panorama * prices.s3_gets_thousand
    return hot + prices.archive_puts_thousand


def _units(assumptions: Assumptions, prices: Prices) -> float:
    return assumptions.writes_per_panorama * prices.writes_million + assumptions.reads_per_panorama * prices.reads_million


def _mean_months(demand: Demand) -> float:
    """Return for how long the mean panorama lies published by the end of September."""
    mean = float(np.average(demand.arrived, weights=demand.count))
    return max(0.0, _SEASON_MONTHS - mean / _MONTH)


def assumptions_markdown(assumptions: Assumptions, measured: Measured | None, prices: Prices) -> str:
    """Return the tables of what is assumed, measured and paid."""
    head = ("name", "value", "unit", "source", "why")
    taken = markdown(head, [*measured_rows(measured), *rows(assumptions)])
    return f"{taken}\n\n{Prices.__doc__}\n\n{markdown(head, rows(prices))}"


def markdown(head: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def text(figures: Figures) -> str:
    """Return the report of a season in Markdown."""
    stages: Mapping[str, Figures] = figures["stages"]
    parts = [
        f"{figures['panoramas']['published']:,.0f} panoramas published of {figures['panoramas']['wanted']:,.0f}: {figures['cars']} cars on {figures['days_driven']} days",
        markdown(("arrivals", "panoramas/s"), figures["arrivals_per_s"].items()),
        _stage_table(stages),
        markdown(("GPUs", ""), figures["gpus"].items()),
        _lag_table({name: stage["lag_s"] for name, stage in stages.items()} | _ways(figures)),
        _cost_table(figures),
    ]
    if "sensitivity" in figures:
        parts.append(_sensitivity_table(figures["sensitivity"]))
    return "\n\n".join(parts)


def _ways(figures: Figures) -> Figures:
    return {"upload to published": figures["upload_to_published_s"], "capture to published": figures["capture_to_published_s"]}


def _stage_table(stages: Mapping[str, Figures]) -> str:
    keys = [key for key in next(iter(stages.values())) if key != "lag_s"]
    return markdown(("stage", *keys), [(name, *(stage[key] for key in keys)) for name, stage in stages.items()])


def _lag_table(lags: Mapping[str, Figures]) -> str:
    return markdown(("lag", "p50", "p95", "p99", "max"), [(name, *map(_time, lag.values())) for name, lag in lags.items()])


def _cost_table(figures: Figures) -> str:
    per = figures["cost_usd_per_1000"]
    return markdown(
        ("cost", "$", "$ per 1,000 panoramas"), [(name, f"{each:,.0f}", per[name]) for name, each in figures["cost_usd"].items()]
    )


def _sensitivity_table(table: Mapping[str, Figures]) -> str:
    first = next(iter(table.values()))
    body = [
        (name, *(_time(value) if key.endswith("_s") else f"{value:,}" for key, value in each.items()))
        for name, each in table.items()
    ]
    return markdown(("what if", *first), body)


def brief(figures: Figures) -> Figures:
    """Return the line of a season in the table of sensitivity."""
    stages = figures["stages"]
    return {
        "published": round(figures["panoramas"]["published"]),
        "cars": figures["cars"],
        "days": figures["days_driven"],
        "tasks_peak": sum(stage["tasks_peak"] for stage in stages.values()),
        "gpus_peak": figures["gpus"]["peak"],
        "shards": sum(stage["shards"] for stage in stages.values()),
        "upload_to_published_p50_s": figures["upload_to_published_s"]["p50"],
        "upload_to_published_p99_s": figures["upload_to_published_s"]["p99"],
        "upload_to_published_max_s": figures["upload_to_published_s"]["max"],
        "compute_usd": round(figures["cost_usd"]["fargate"] + figures["cost_usd"]["gpu"]),
        "season_usd": round(figures["cost_usd"]["season"]),
    }


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"
