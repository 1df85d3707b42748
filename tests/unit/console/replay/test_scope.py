"""Which captures are meant."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from console.cli import app
from console.replay.scope import Area, Scope
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import CaptureReady, Pose
from panoveil.ledger import MemoryLedger, State

C1 = CaptureId.parse("fyn/d1/c1")


def ready(capture_id: CaptureId = C1, latitude: float = 55.4, longitude: float = 10.4) -> CaptureReady:
    pose = Pose(latitude=latitude, longitude=longitude)
    at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    return CaptureReady(capture_id=str(capture_id), rig_id="r", captured_at=at, pose=pose, frames=())


NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope(drive="fyn/d1"), True),
        (Scope(drive="fyn/d2"), False),
        (Scope(survey="fyn"), True),
        (Scope(survey="fy"), False),
        (Scope(captures=frozenset({C1})), True),
        (Scope(captures=frozenset({CaptureId.parse("fyn/d1/c2")})), False),
        (Scope(since=NOON, until=NOON), True),
        (Scope(since=NOON + 1), False),
        (Scope(until=NOON - 1), False),
        (Scope(area=Area(10.3, 55.3, 10.5, 55.5)), True),
        (Scope(area=Area(10.5, 55.3, 10.6, 55.5)), False),
        (Scope(drive="fyn/d1", area=Area(10.5, 55.3, 10.6, 55.5)), False),
    ],
)
def test_a_capture_is_meant_where_everything_says_so(scope: Scope, *, covered: bool) -> None:
    assert scope.covers(ready()) is covered


def test_an_area_wraps_round_the_antimeridian() -> None:
    area = Area.parse("179,-18,-179,-16")
    assert [area.holds(Pose(latitude=-17, longitude=longitude)) for longitude in (178, 179.5, 180, -180, -179.5, 0)] == [
        False, True, True, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "10,56,11,55", "190,0,191,1"])
def test_an_area_must_be_one(text: str) -> None:
    with pytest.raises(Misconfigured, match="no area"):
        Area.parse(text)


async def test_only_drives_that_may_hold_something_are_read() -> None:
    ledger = MemoryLedger()
    for name in ("fyn/d1/c1", "fyn/d2/c1", "jyl/d1/c1"):
        await ledger.move(CaptureId.parse(name), State.READY)

    async def read(scope: Scope) -> list[str]:
        return [drive async for drive in scope.drives(ledger)]

    assert await read(Scope(survey="fyn")) == ["fyn/d1", "fyn/d2"]
    assert await read(Scope(since=1.0)) == ["fyn/d1", "fyn/d2", "jyl/d1"]
    assert await read(Scope(drive="fyn/d9")) == ["fyn/d9"]
    assert await read(Scope(captures=frozenset({C1}))) == ["fyn/d1"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--stage", "stitcher"], ["--stage", "ingest", "--drive", "a/b"], ["--stage", "stitcher", "--capture", "a/b"]],
)
def test_what_is_to_be_replayed_must_be_said(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["replay", *arguments]).exit_code == 2
