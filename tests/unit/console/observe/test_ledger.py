"""What the ledger says, as Prometheus gets it."""

import asyncio
from collections.abc import Mapping

import pytest

from console.observe.ledger import Pace, Survey, verified_by, watch
from panoveil import telemetry
from panoveil.contracts.keys import CaptureId
from panoveil.ledger import AuditEntry, MemoryLedger, QuarantineEntry, State

NOW = 1_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def a_clock() -> Clock:
    for gauge in (
        telemetry.LEDGER_CAPTURES,
        telemetry.LEDGER_DRIVES,
        telemetry.LEDGER_OLDEST_SECONDS,
        telemetry.LEDGER_QUARANTINE,
    ):
        gauge.clear()
    return Clock()


@pytest.fixture(name="ledger")
def a_ledger(clock: Clock) -> MemoryLedger:
    return MemoryLedger(clock)


@pytest.fixture(name="survey")
def a_survey(ledger: MemoryLedger, clock: Clock) -> Survey:
    return Survey(ledger, clock)


def said(name: str, **labels: str) -> float | None:
    return telemetry.LEDGER.get_sample_value(f"panoveil_ledger_{name}", labels)


def capture(number: int, drive: str = "d1") -> CaptureId:
    return CaptureId("dk", drive, f"{number:06d}")


async def one_round(survey: Survey) -> list[str]:
    await survey.look()
    due = await survey.due()
    for drive_id in due:
        await survey.read(drive_id)
    return due


async def test_captures_are_counted_by_state_and_reason_and_what_is_gone_is_0(ledger: MemoryLedger, survey: Survey) -> None:
    await ledger.move(capture(1), State.RECEIVING)
    await ledger.move(capture(2), State.READY)
    await ledger.move(capture(3), State.HELD, "not_verified", "2 regions")
    await ledger.move(capture(4), State.QUARANTINED, "unknown_rig")
    await one_round(survey)
    assert (said("captures", state="receiving", reason=""), said("captures", state="ready", reason="")) == (1.0, 1.0)
    assert said("captures", state="held", reason="not_verified") == 1.0
    assert said("captures", state="quarantined", reason="unknown_rig") == 1.0
    assert said("captures", state="published", reason="") == 0.0
    for number in (1, 2, 3, 4):
        await ledger.move(capture(number), State.PUBLISHED)
    await one_round(survey)
    assert said("captures", state="published", reason="") == 4.0
    assert said("captures", state="held", reason="not_verified") == 0.0
    assert said("captures", state="ready", reason="") == 0.0


async def test_a_reason_that_nobody_knows_makes_no_label(ledger: MemoryLedger, survey: Survey) -> None:
    await ledger.move(capture(1), State.HELD, "somebody wrote a sentence here")
    await one_round(survey)
    assert said("captures", state="held", reason="") == 1.0


async def test_the_oldest_of_each_state_ages(ledger: MemoryLedger, survey: Survey, clock: Clock) -> None:
    await ledger.move(capture(1), State.STITCHED)
    clock.now += 60
    await ledger.move(capture(2), State.STITCHED)
    clock.now += 40
    await survey.look()
    assert said("oldest_seconds", state="stitched") == 100.0
    assert said("oldest_seconds", state="ready") == 0.0
    await ledger.move(capture(1), State.PUBLISHED)
    await survey.look()
    assert said("oldest_seconds", state="stitched") == 40.0


async def test_drives_are_working_while_one_of_their_captures_is(ledger: MemoryLedger, survey: Survey) -> None:
    await ledger.move(capture(1, "d1"), State.PUBLISHED)
    await ledger.move(capture(1, "d2"), State.PUBLISHED)
    await ledger.move(capture(2, "d2"), State.READY)
    await one_round(survey)
    assert (said("drives", state="working"), said("drives", state="ended")) == (1.0, 1.0)


async def test_only_drives_in_which_something_moves_are_read_again_and_the_one_read_longest_ago(
    ledger: MemoryLedger, survey: Survey, clock: Clock
) -> None:
    for drive in ("d1", "d2", "d3"):
        await ledger.move(capture(1, drive), State.PUBLISHED)
    await ledger.move(capture(2, "d3"), State.READY)
    rounds = [["dk/d1", "dk/d2", "dk/d3"], ["dk/d3", "dk/d1"], ["dk/d3", "dk/d1"]]
    assert [await one_round(survey) for _ in rounds] == rounds
    clock.now += 1
    await survey.read("dk/d1")
    await ledger.move(capture(2, "d3"), State.PUBLISHED)
    assert await one_round(survey) == ["dk/d3", "dk/d2"]
    assert said("captures", state="published", reason="") == 4.0
    clock.now += 1
    assert await one_round(survey) == ["dk/d1"]


async def test_what_waits_in_quarantine_is_counted_by_reason(ledger: MemoryLedger, survey: Survey) -> None:
    for number in range(3):
        reason = "unknown_rig" if number else "not_json"
        await ledger.keep(QuarantineEntry(f"{number:012d}", "ingest", str(capture(number)), reason, "", since=NOW, first=NOW))
    assert await survey.look() == 3
    assert said("quarantine", reason="unknown_rig") == 2.0
    assert said("quarantine", reason="not_json") == 1.0
    assert said("quarantine", reason="bad_manifest") == 0.0


def publication(number: int, rounds: int = 1, findings: str = "", kind: str = "publication") -> Mapping[str, object]:
    return {"kind": kind, "capture_id": str(capture(number)), "verification": {"rounds": rounds, "findings": findings}}


async def test_a_publication_of_which_the_chain_knows_no_clean_verification_is_counted(
    ledger: MemoryLedger, survey: Survey
) -> None:
    for number in range(1, 6):
        await ledger.move(capture(number), State.PUBLISHED)
    await ledger.audit("dk/d1", publication(1))
    await one_round(survey)
    await ledger.audit("dk/d1", publication(2, rounds=0))
    await ledger.audit("dk/d1", publication(3, findings="2 regions"))
    await ledger.audit("dk/d1", publication(4, kind="hold"))
    assert await survey.audit() == 5 + 4
    assert (said("audited"), said("unverified")) == (5.0, 4.0)
    for number in range(2, 6):
        await ledger.audit("dk/d1", publication(number))
    await survey.audit()
    assert (said("audited"), said("unverified")) == (5.0, 0.0)


async def test_drives_are_audited_in_turn(ledger: MemoryLedger, survey: Survey, clock: Clock) -> None:
    assert await survey.audit() == 0
    for number, drive in enumerate(("d1", "d2"), 1):
        for one in range(number):
            await ledger.move(capture(one, drive), State.PUBLISHED)
    await one_round(survey)
    await survey.audit()
    clock.now += 1
    await survey.audit()
    assert (said("audited"), said("unverified")) == (3.0, 3.0)


def test_what_was_tampered_with_verifies_nothing() -> None:
    bodies: list[Mapping[str, object]] = [{"not as it was written": "x"}, {"kind": "publication", "verification": "yes"}]
    assert [verified_by(AuditEntry(1, body, "", "")) for body in bodies] == [set(), set()]


async def test_a_ledger_that_is_away_is_waited_for(
    ledger: MemoryLedger, survey: Survey, caplog: pytest.LogCaptureFixture
) -> None:
    await ledger.move(capture(1), State.READY)
    ledger.down = True
    watching = asyncio.create_task(watch(survey, Pace(every=0.001, items_per_second=1e6)))
    async with asyncio.timeout(10):
        while not caplog.records:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        ledger.down = False
        while said("captures", state="ready", reason="") != 1.0:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
