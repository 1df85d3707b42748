import json

import pytest
from typer.testing import CliRunner

from console.cli import app
from console.recipes.views import rows
from panoveil.detection.views import megapixels, panorama_plan


def test_the_cost_of_every_plan_is_printed() -> None:
    answer = CliRunner().invoke(app, ["recipes", "views", "--width", "4096", "--json"])
    told = {(row["plan"], row["look"]): row for row in map(json.loads, answer.stdout.splitlines())}
    plan = panorama_plan(4096, "standard", second=True)
    row = told["standard", "second"]
    assert len(told) == 6
    assert row["views"] == len(plan)
    assert row["face_mpx"] + row["plate_mpx"] == pytest.approx(megapixels(plan), abs=0.11)


def test_a_finer_plan_costs_more() -> None:
    first = {row["plan"]: row["plate_mpx"] for row in rows(8192) if row["look"] == "first"}
    assert first["fast"] < first["standard"] < first["thorough"]
