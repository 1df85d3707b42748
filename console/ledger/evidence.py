"""What an exported audit chain adds to the buckets: the chain itself, holds and releases, erasures, and how often a pointer was moved."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from panoveil.contracts.audit import Audited, Erasure, Flip, Hold, HoldDecision
from panoveil.contracts.errors import Misconfigured
from panoveil.ledger import AuditEntry, Ledger, read_export

_BODY: TypeAdapter[Audited] = TypeAdapter(Audited)


@dataclass
class Evidence:
    """A drive's chain, and what of it tells how captures stand: by capture its holds and releases in order, its last flip, who is erased."""

    drive_id: str
    entries: tuple[AuditEntry, ...] = ()
    holds: dict[str, list[Hold]] = field(default_factory=dict)
    releases: dict[str, list[HoldDecision]] = field(default_factory=dict)
    flips: dict[str, Flip] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    drive_erased: bool = False

    def add(self, entry: Audited) -> None:
        """Take in what an entry tells."""
        if isinstance(entry, Hold):
            self.holds.setdefault(entry.capture_id, []).append(entry)
        elif isinstance(entry, HoldDecision) and entry.action == "release":
            self.releases.setdefault(entry.capture_id, []).append(entry)
        elif isinstance(entry, Flip):
            self.flips[entry.capture_id] = entry
        elif isinstance(entry, Erasure):
            self.drive_erased |= entry.capture_id is None
            self.erased |= {entry.capture_id} if entry.capture_id else set()


def read(files: Iterable[Path]) -> dict[str, Evidence]:
    """Read the files of `panoveil audit export`, by drive; `Misconfigured` where one is not whole."""
    found: dict[str, Evidence] = {}
    for file in files:
        try:
            exported = read_export(file.read_bytes())
        except OSError as error:
            raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
        if exported.findings:
            raise Misconfigured(f"{file} is no whole audit chain: {exported.findings[0]}")
        found[exported.drive_id] = evidence = Evidence(exported.drive_id, exported.entries)
        for entry in exported.entries:
            if (parsed := _parsed(entry)) is not None:
                evidence.add(parsed)
    return found


async def write_chain(evidence: Evidence, ledger: Ledger) -> None:
    """Append the entries as they were, one by one, to a chain that has none or was begun by this. May be repeated.

    Their hashes come out the same, for they say what is in an entry and before it, and nothing else.
    """
    there = [entry async for entry in ledger.audit_chain(evidence.drive_id)]
    for entry in evidence.entries[len(there) :]:
        parsed = _parsed(entry)
        await ledger.audit(evidence.drive_id, entry.body, once=parsed.identity if parsed else "")


async def follows(evidence: Evidence, ledger: Ledger) -> bool:
    """Say whether what the ledger has of the chain is its beginning, or nothing."""
    there = [entry.hash async for entry in ledger.audit_chain(evidence.drive_id)]
    return there == [entry.hash for entry in evidence.entries[: len(there)]]


def _parsed(entry: AuditEntry) -> Audited | None:
    """Return an entry, None where a newer version wrote it."""
    try:
        return _BODY.validate_python(dict(entry.body))
    except ValidationError:
        return None
