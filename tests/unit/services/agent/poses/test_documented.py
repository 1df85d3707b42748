"""docs/poses.md says what the code does."""

import argparse
import re
from pathlib import Path

import pytest

from services.agent.events import SkipReason
from services.agent.pose_flags import add_pose_flags
from services.agent.poses import PoseOptions
from services.agent.poses._csv import _NAMES, read_csv
from services.agent.poses.formats import _SUFFIXES

_TEXT = (Path(__file__).parents[5] / "docs" / "poses.md").read_text()


def test_every_flag_and_every_setting_has_a_row() -> None:
    parser = argparse.ArgumentParser()
    add_pose_flags(parser)
    flags = [flag for action in parser._actions for flag in action.option_strings if action.dest != "help"]
    assert [flag for flag in flags if f"| `{flag}" not in _TEXT] == []
    assert [name for name in PoseOptions.model_fields if f"`PANOVEIL_POSE__{name.upper()}`" not in _TEXT] == []


@pytest.mark.parametrize(("role", "names"), _NAMES.items())
def test_every_column_is_named(role: str, names: tuple[str, ...]) -> None:
    table = _TEXT[_TEXT.index("### CSV") : _TEXT.index("```csv")]
    assert [name for name in names if f"`{name}`" not in table] == []


def test_every_reason_and_every_suffix_is_named() -> None:
    reasons = [reason for reason in SkipReason if "pose" in reason]
    assert len(reasons) == 4
    assert [reason for reason in reasons if f"| `{reason}` |" not in _TEXT] == []
    assert [suffix for suffix in _SUFFIXES if f"`{suffix}`" not in _TEXT] == []


def test_defaults_are_those_of_the_table() -> None:
    options = PoseOptions()
    for name in ("time_offset", "leap_seconds", "longest_gap", "least_speed"):
        row = next(line for line in _TEXT.splitlines() if f"`PANOVEIL_POSE__{name.upper()}`" in line)
        assert re.search(rf"\| {getattr(options, name):g}\b[^|]*\|$", row), row


def test_the_example_is_read(tmp_path: Path) -> None:
    example = re.search(r"```csv\n(.*?)```", _TEXT, re.DOTALL)
    assert example
    (tmp_path / "poses.csv").write_text(example[1])
    assert read_csv(tmp_path / "poses.csv", 18).fix(0).heading == 84.412
