"""`panoveil audit`: is a drive's chain whole, is what lies in the published bucket what it says, and a file for an auditor.

The file's format, and how to check it without Panoveil, stand at the top of `panoveil/ledger/_chain.py`.

A chain that is whole by itself may still have been cut short or written anew by whoever may write to the ledger. What shows that is its
head, noted elsewhere: every verification prints it, an exported file carries it, and `--head` compares with it.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from console import status
from console.side_by_side import each
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.messages import CurrentPublication
from panoveil.ledger import AuditEntry, AuditHead, Ledger, export_lines, read_export, verify_chain
from panoveil.runtime import Connections, connect
from panoveil.settings import Settings

_POINTER = "/current.json"


@dataclass(frozen=True)
class Verdict:
    """How a chain stands: what is wrong with it, in the order of its entries, and its end."""

    drive_id: str
    entries: int
    objects: int
    head: AuditHead | None
    findings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        return {
            "drive": self.drive_id,
            "whole": not self.findings,
            "entries": self.entries,
            "objects": self.objects,
            "head": str(self.head) if self.head else None,
            "findings": list(self.findings),
        }


def parse_head(text: str | None) -> AuditHead | None:
    """Read what `--head` was given; `Misconfigured` where it is no head."""
    try:
        return AuditHead.parse(text) if text else None
    except ValueError as error:
        raise Misconfigured(str(error)) from error


async def verify_drive(chosen: Settings, drive_id: str, noted: AuditHead | None, *, objects: bool) -> Verdict:
    """Verify a drive's chain in the ledger, and with `objects` everything published of it, byte for byte."""
    async with _connected(chosen) as world:
        return await verify(world.ledger, world.blobs if objects else None, drive_id, noted)


def verify_file(file: Path, noted: AuditHead | None) -> Verdict:
    """Verify an exported file."""
    found = read_export(_bytes(file), noted)
    return Verdict(found.drive_id, len(found.entries), 0, found.entries[-1].head if found.entries else None, found.findings)


async def export(chosen: Settings, drive_id: str, out: Path) -> Verdict:
    """Write a drive's chain to a file, as it is, whole or not; return the verdict on that file."""
    async with _connected(chosen) as world:
        entries = await _chain(world.ledger, drive_id)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="ascii", newline="") as file:
        file.writelines(export_lines(drive_id, entries))
    return verify_file(out, None)


async def verify(ledger: Ledger, blobs: Blobs | None, drive_id: str, noted: AuditHead | None) -> Verdict:
    """Verify a chain, the head noted beside it and one noted elsewhere, and where `blobs` is given the published objects.

    Objects are listed before the chain is read: what is published meanwhile is in the chain by then, but for the one being published.
    """
    there = [blob.ref.key async for blob in blobs.list(Bucket.PUBLISHED, f"{drive_id}/")] if blobs else []
    beside = await ledger.audit_head(drive_id)  # before the chain too, which only grows
    entries = await _chain(ledger, drive_id)
    findings = verify_chain(entries, [head for head in (beside, noted) if head], drive_id)
    findings += [] if beside else ["no head is noted beside the chain"]
    promised = standing(entries)
    if blobs:
        findings += await _object_faults(blobs, promised, there)
    return Verdict(drive_id, len(entries), len(promised) if blobs else 0, entries[-1].head if entries else None, tuple(findings))


@dataclass(frozen=True, slots=True)
class Promise:
    """What a chain says must lie in the published bucket: since which entry, with which SHA-256."""

    sequence: int
    sha256: str


def standing(entries: Iterable[AuditEntry]) -> dict[str, Promise]:
    """Return by key what is published according to a chain: every entry may publish anew, or withdraw, what others published."""
    promised: dict[str, Promise] = {}
    for entry in entries:
        for key in _items(entry.body, "withdrawn"):
            promised.pop(str(key), None)
        for output in _items(entry.body, "outputs"):
            if isinstance(output, Mapping) and output.get("bucket") == Bucket.PUBLISHED:
                promised[str(output.get("key"))] = Promise(entry.sequence, str(output.get("sha256")))
    return promised


def _items(body: Mapping[str, object], name: str) -> Sequence[object]:
    value = body.get(name)
    return value if isinstance(value, list) else []


async def _object_faults(blobs: Blobs, promised: Mapping[str, Promise], there: Iterable[str]) -> list[str]:
    faults = await each(promised.items(), lambda item: _object_fault(blobs, *item))
    pointers = [key for key in there if key.endswith(_POINTER)]
    faults += await each(pointers, lambda key: _pointer_fault(blobs, key, promised))
    stray = [key for key in there if key not in promised and key not in pointers]
    return [text for text in faults if text] + [f"no entry says that {key} was published" for key in stray]


async def _pointer_fault(blobs: Blobs, key: str, promised: Mapping[str, Promise]) -> str:
    """Judge a `current.json`: what it points to must be what the chain says was published."""
    try:
        current = CurrentPublication.model_validate_json(await blobs.get(BlobRef(Bucket.PUBLISHED, key)))
    except (Rejected, ValidationError):
        return f"{key} does not say which publication is the current one"
    promise = promised.get(current.key)
    whole = promise is not None and promise.sha256 == current.sha256 and current.key.startswith(key.removesuffix(_POINTER) + "/")
    return "" if whole else f"{key} points to {current.key}, which no entry says was published so"


async def _object_fault(blobs: Blobs, key: str, promise: Promise) -> str:
    try:
        data = await blobs.get(BlobRef(Bucket.PUBLISHED, key))
    except Rejected:
        return f"entry {promise.sequence}: {key} is not there"
    same = hashlib.sha256(data).hexdigest() == promise.sha256
    return "" if same else f"entry {promise.sequence}: {key} is not what was published"


async def _chain(ledger: Ledger, drive_id: str) -> list[AuditEntry]:
    entries = [entry async for entry in ledger.audit_chain(drive_id)]
    if not entries and await ledger.audit_head(drive_id) is None:
        raise Misconfigured(f"Nothing was ever decided about a drive {drive_id!r}; `panoveil status` lists the drives there are.")
    return entries


@contextlib.asynccontextmanager
async def _connected(chosen: Settings) -> AsyncIterator[Connections]:
    with status.asking(chosen):
        async with connect(chosen) as world:
            yield world


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
