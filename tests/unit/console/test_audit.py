"""An auditor's commands over a drive in memory."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from console import audit
from console.cli import app
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.audit import AuditedObject, OperatorAction
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import BlobRef, Bucket, current_key
from panoveil.contracts.messages import CurrentPublication, encode
from panoveil.ledger import AuditEntry, AuditHead, MemoryLedger, export_lines, note

DRIVE = "fyn-2026/car7-0601"
WHEN = datetime(2026, 11, 1, 8, tzinfo=UTC)


def key(number: int) -> str:
    return f"{DRIVE}/{number:06d}/r.jpg"


class Drive:
    """Three published pictures, and the chain that says so."""

    def __init__(self) -> None:
        self.blobs, self.ledger = MemoryBlobs(), MemoryLedger()

    async def publish(self, number: int, data: bytes, *withdrawn: str) -> AuditEntry:
        await self.blobs.put(BlobRef(Bucket.PUBLISHED, key(number)), data)
        output = AuditedObject(bucket=Bucket.PUBLISHED, key=key(number), sha256=sha256(data).hexdigest())
        return await self.note("release", outputs=(output,), withdrawn=withdrawn)

    async def note(self, action: str, **facts: Any) -> AuditEntry:
        return await note(self.ledger, OperatorAction(at=WHEN, drive_id=DRIVE, action=action, by="dpo-1", **facts))

    @property
    def chain(self) -> list[AuditEntry]:
        return self.ledger._chains[DRIVE]

    async def findings(self, noted: AuditHead | None = None) -> tuple[str, ...]:
        return (await audit.verify(self.ledger, self.blobs, DRIVE, noted)).findings


@pytest.fixture(name="drive")
async def a_drive() -> Drive:
    drive = Drive()
    for number in range(3):
        await drive.blobs.put(BlobRef(Bucket.PUBLISHED, key(number)), b"%d" % number)
        output = AuditedObject(bucket=Bucket.PUBLISHED, key=key(number), sha256=sha256(b"%d" % number).hexdigest())
        await drive.note(f"release-{number}", outputs=(output,))
    return drive


async def test_a_drive_as_it_was_left_is_whole(drive: Drive) -> None:
    verdict = await audit.verify(drive.ledger, drive.blobs, DRIVE, drive.chain[1].head)
    assert verdict.as_json() == {
        "drive": DRIVE, "whole": True, "entries": 3, "objects": 3, "head": str(drive.chain[2].head), "findings": [],
    }  # fmt: skip


async def _changed(drive: Drive) -> None:
    await drive.blobs.put(BlobRef(Bucket.PUBLISHED, key(1)), b"another picture")


async def _removed(drive: Drive) -> None:
    await drive.blobs.delete(BlobRef(Bucket.PUBLISHED, key(1)))


async def _added(drive: Drive) -> None:
    await drive.blobs.put(BlobRef(Bucket.PUBLISHED, key(7)), b"a picture nobody decided on")


@pytest.mark.parametrize(
    ("happens", "finding"),
    [
        (_changed, f"entry 2: {key(1)} is not what was published"),
        (_removed, f"entry 2: {key(1)} is not there"),
        (_added, f"no entry says that {key(7)} was published"),
    ],
)
async def test_what_lies_in_the_bucket_is_held_against_the_chain(
    drive: Drive, happens: Callable[[Drive], Awaitable[None]], finding: str
) -> None:
    await happens(drive)
    assert await drive.findings() == (finding,)
    assert (await audit.verify(drive.ledger, None, DRIVE, None)).findings == ()


def pointing(to: str, data: bytes) -> bytes:
    digest = sha256(data).hexdigest()
    made = CurrentPublication(
        capture_id=f"{DRIVE}/000001", recipe_id="r", key=to, sha256=digest, publication=to.replace("jpg", "json")
    )
    return encode(made)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (pointing(key(1), b"1"), ()),
        (pointing(key(1), b"2"), (f"{DRIVE}/000001/current.json points to {key(1)}, which no entry says was published so",)),
        (pointing(key(2), b"2"), (f"{DRIVE}/000001/current.json points to {key(2)}, which no entry says was published so",)),
        (b"{}", (f"{DRIVE}/000001/current.json does not say which publication is the current one",)),
    ],
)
async def test_what_is_told_to_be_current_must_be_what_was_published(drive: Drive, text: bytes, finding: tuple[str, ...]) -> None:
    await drive.blobs.put(current_key(f"{DRIVE}/000001"), text)
    assert await drive.findings() == finding


async def test_the_last_entry_about_an_object_counts(drive: Drive) -> None:
    await _changed(drive)
    await drive.publish(1, b"a better picture")
    assert await drive.findings() == ()


async def test_what_was_withdrawn_must_be_gone(drive: Drive) -> None:
    await drive.note("withdraw", withdrawn=(key(1),))
    assert await drive.findings() == (f"no entry says that {key(1)} was published",)
    await _removed(drive)
    assert await drive.findings() == ()


async def test_a_deed_noted_again_is_one_entry(drive: Drive) -> None:
    first = await drive.note("withdraw", withdrawn=(key(1),))
    assert await drive.note("withdraw", withdrawn=(key(1),)) == first
    assert len(drive.chain) == 4


async def test_a_chain_cut_short_behind_the_ledgers_back_is_told(drive: Drive) -> None:
    class Forgetful(MemoryLedger):
        async def audit_head(self, drive_id: str) -> AuditHead | None:
            return drive.chain[2].head

    ledger = Forgetful()
    ledger._chains[DRIVE] = drive.chain[:2]
    verdict = await audit.verify(ledger, None, DRIVE, None)
    assert verdict.findings == ("cut short: entry 3 is known to exist",)


async def test_a_chain_replaced_whole_is_told_against_a_head(drive: Drive) -> None:
    other = Drive()
    await other.publish(0, b"0")
    noted = drive.chain[0].head
    assert (await audit.verify(other.ledger, None, DRIVE, noted)).findings == ("entry 1 is not the one noted elsewhere",)


async def test_a_drive_nobody_knows_is_no_whole_chain(drive: Drive) -> None:
    with pytest.raises(Misconfigured, match="panoveil status"):
        await audit.verify(drive.ledger, None, "fyn-2026/another", None)


async def test_an_exported_file_is_verified_without_a_ledger(drive: Drive, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text("".join(export_lines(DRIVE, drive.chain)))
    runner = CliRunner()
    answer = runner.invoke(app, ["audit", "verify", "--file", str(file), "--json", "--head", str(drive.chain[1].head)])
    assert (answer.exit_code, json.loads(answer.output)["whole"]) == (0, True)
    file.write_text(file.read_text().replace("release-1", "release-9"))
    answer = runner.invoke(app, ["audit", "verify", "--file", str(file)])
    assert (answer.exit_code, answer.output.splitlines()[0]) == (65, "entry 2 was altered")


@pytest.mark.parametrize("arguments", [[], ["a/b", "--file", "x"], ["--file", "x", "--objects"]])
def test_a_drive_or_a_file_must_be_named(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["audit", "verify", *arguments]).exit_code == 2


@pytest.mark.parametrize("head", ["12", "12:xyz"])
def test_a_head_must_be_one(head: str) -> None:
    with pytest.raises(Misconfigured, match="no head"):
        audit.parse_head(head)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12))
def test_what_stands_is_what_was_published_last_and_not_withdrawn(deeds: list[tuple[bool, int]]) -> None:
    entries, expected = [], {}
    for sequence, (published, number) in enumerate(deeds, 1):
        outputs = [{"bucket": "published", "key": key(number), "sha256": str(sequence)}]
        body: dict[str, object] = {"outputs": outputs} if published else {"withdrawn": [key(number)]}
        entries.append(AuditEntry(sequence, body, "", ""))
        expected[key(number)] = audit.Promise(sequence, str(sequence)) if published else None
    assert audit.standing(entries) == {name: promise for name, promise in expected.items() if promise}
