from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.season.assumptions import Assumptions, Prices
from benchmarks.season.thousand import MEASURED, rows, table

OPERATIONS = Path(__file__).parents[4] / "docs/operations.md"


def cost(what: str, assumptions: Assumptions = Assumptions()) -> float:  # noqa: B008 - frozen
    return {name: dollars for name, dollars, _ in rows(MEASURED, assumptions, Prices())}[what]


def test_the_guide_says_what_the_assumptions_come_to() -> None:
    assert table() in OPERATIONS.read_text()


def test_a_thousand_panoramas_at_one_vcpu_hour_cost_one_vcpu_hour() -> None:
    cpu = replace(MEASURED, ingest_cpu_s=3.6, stitcher_cpu_s=0, anonymizer_cpu_s=0)
    fargate = next(iter(rows(cpu, replace(Assumptions(), efficiency=1.0), Prices())))
    assert fargate[0] == "Fargate"
    assert fargate[1] == pytest.approx(0.04048 + 2 * 0.004445)


def test_storage_is_paid_by_gigabyte_and_month() -> None:
    assert cost("published, a month") == pytest.approx(12 * 1.3 * 0.023)
    assert cost("archived originals, a year") == pytest.approx(25 * 0.00099 * 12)
    twice = replace(Assumptions(), capture_mb=50)
    assert cost("archived originals, a year", twice) == pytest.approx(2 * cost("archived originals, a year"))
