"""docs/agent.md says what the code does, and its examples are what other tools read."""

import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from panoveil.settings import Settings
from services.agent import __main__ as command
from services.agent import events
from services.agent.app import upload_drive
from services.agent.listeners import json_lines, log_lines
from services.agent.settings import AgentSettings
from tests.unit.services.agent.conftest import Car, add_capture

_TEXT = (Path(__file__).parents[4] / "docs" / "agent.md").read_text()
_EXAMPLES: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", _TEXT, re.DOTALL)]
_KINDS = {kind.__name__: kind for kind in get_args(events.Event)}


def test_there_is_one_example_of_every_event() -> None:
    assert sorted(example["event"] for example in _EXAMPLES) == sorted(_KINDS)


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda example: example["event"])
def test_the_example_is_what_is_written_and_can_be_logged(example: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    fields = {name: value for name, value in example.items() if name != "event"}
    event = _KINDS[example["event"]](**fields)
    out = io.StringIO()
    json_lines(out)(event)
    assert json.loads(out.getvalue()) == example
    log_lines(event)
    assert len(caplog.messages) == 1


def test_every_field_has_its_kind_of_value() -> None:
    for example in _EXAMPLES:
        for field in dataclasses.fields(_KINDS[example["event"]]):
            kind = {"reason": str}.get(field.name, field.type)
            assert isinstance(example[field.name], kind), (example["event"], field.name)  # type: ignore[arg-type]


async def test_events_of_a_run_have_the_fields_of_their_examples(car: Car, drive: Path) -> None:
    (drive / "captures/c1/left.jpg").unlink()
    (drive / "captures/c2/left.jpg").write_bytes(b"half")
    (add_capture(drive, "c4") / "capture.json").write_text("{")
    out = io.StringIO()
    await upload_drive(drive, car.ports(), json_lines(out))
    written = [json.loads(line) for line in out.getvalue().splitlines()]
    shapes = {example["event"]: example.keys() for example in _EXAMPLES}
    assert {one["event"] for one in written} == set(shapes) - {"JournalLost", "PosesRead", "PosesKept", "Waiting"}
    assert [one for one in written if one.keys() != shapes[one["event"]]] == []


def test_every_reason_and_every_setting_is_named() -> None:
    assert [reason for reason in events.SkipReason if f"`{reason}`" not in _TEXT] == []
    own = AgentSettings.model_fields.keys() - Settings.model_fields.keys() - {"pose"}
    assert [name for name in own if f"| `PANOVEIL_{name.upper()}`" not in _TEXT] == []


def test_defaults_are_those_of_the_table() -> None:
    settings = AgentSettings()
    for name in ("parallel", "give_up_after", "limit", "multipart_above", "settle", "watch_every"):
        row = next(line for line in _TEXT.splitlines() if line.startswith(f"| `PANOVEIL_{name.upper()}`"))
        assert float(row.rstrip(" |").rpartition("|")[2]) == getattr(settings, name)


def test_the_exit_codes_are_those_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    told = set(re.findall(r"^ +(\d+)  ", capsys.readouterr().out.partition("exit codes")[2], re.MULTILINE))
    rows = re.findall(r"^\| ([\d, ]+) \|", _TEXT, re.MULTILINE)
    assert told == {code for row in rows for code in row.split(", ")}
