"""A short run of the chaos benchmark; the long one is `python -m benchmarks.chaos`."""

import json
from pathlib import Path

import pytest

from benchmarks.chaos.__main__ import summary
from benchmarks.chaos.run import Plan, run

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1800)]

PLAN = Plan(captures=12, a_drive=6, kills=9, every=4.0, width=512, seed=5)


async def test_whatever_is_killed_nothing_is_lost_doubled_or_unverified(tmp_path: Path) -> None:
    outcome = await run(PLAN, tmp_path, lambda _step: None)
    figures = summary(outcome)
    assert (figures["kills"], figures["captures"]) == (9, 12)
    assert outcome.verdict.kept, json.dumps(figures["broken"])
    assert figures["faults"]["dynamodb_throttled"] > 0
