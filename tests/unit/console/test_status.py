"""What `panoveil status` says of quality."""

import contextlib
import io
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from console import status
from panoveil.contracts.keys import CaptureId
from panoveil.ledger import Grade, MemoryLedger, State
from panoveil.settings import Settings

ALARM = "Lens left is turned by 0.51° (± 0.06°) against rig car7."


class World:
    """Connections to a ledger in memory."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()


@pytest.fixture(name="world")
def a_world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    @contextlib.asynccontextmanager
    async def connect(_: Settings) -> AsyncIterator[World]:
        yield world

    monkeypatch.setattr(status, "connect", connect)
    return world


async def _shown(drive: str | None, *, as_json: bool = False) -> str:
    text = io.StringIO()
    await status.show(Settings(), drive, Console(file=text, width=200), as_json=as_json)
    return text.getvalue()


async def _drive(world: World) -> None:
    grades = [Grade(0.9), Grade(0.4, ALARM), Grade()]
    for number, grade in enumerate(grades):
        await world.ledger.move(CaptureId("dk", "d1", f"c{number}"), State.PUBLISHED, grade=grade)


async def test_a_drives_row_has_the_mean_score_and_its_alarm_a_line(world: World) -> None:
    await _drive(world)
    shown = await _shown(None)
    assert "0.65" in shown
    assert f"Alarm, dk/d1: {ALARM}" in shown


async def test_a_captures_row_has_its_score(world: World) -> None:
    await _drive(world)
    shown = await _shown("dk/d1")
    assert [score for score in ("0.9", "0.4") if score in shown] == ["0.9", "0.4"]
    assert shown.count(ALARM) == 1


async def test_a_drive_that_nobody_graded_has_no_score(world: World) -> None:
    await world.ledger.move(CaptureId("dk", "d1", "c0"), State.READY)
    shown = await _shown(None)
    assert "Alarm" not in shown
    assert "None" not in shown
    assert '"score": null' in await _shown(None, as_json=True)
