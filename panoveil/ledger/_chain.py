"""The audit chain as pure functions, and the file that an auditor gets. Needs nothing but Python's standard library.

An entry's hash is the SHA-256, in hex, of the canonical JSON of `{"body": …, "previous": …, "sequence": …}`: keys sorted, no
blanks, ASCII. Sequence numbers begin at 1 and the first entry's `previous` is `GENESIS`, 64 zeros. Anyone can check a chain with that.

What a chain alone cannot show is that its end was cut off, or that all of it was replaced and hashed anew: compare it with a head that
was noted elsewhere (`verify_chain(entries, heads)`). A head is written `<sequence>:<hash>`.

The file (`export_lines`) is ASCII text, each line canonical JSON and ended by a line feed. The first line is the header
`{"drive": "<survey>/<drive>", "format": "panoveil-audit/1", "head": "<sequence>:<hash>"}`, `"head": ""` where there are no entries;
every further line is an entry `{"body": …, "hash": …, "previous": …, "sequence": …}`. This module is a program as well, to be run by
whoever has the file and a Python but no Panoveil: `python _chain.py FILE [HEAD]`.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GENESIS = "0" * 64
FORMAT = "panoveil-audit/1"

_ENTRY = {"body": dict, "hash": str, "previous": str, "sequence": int}
_HEADER = {"drive": str, "format": str, "head": str}


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The last link of a chain: noted elsewhere, it shows whether the chain was cut short or written anew."""

    sequence: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> "AuditHead":
        """Read `<sequence>:<hash>`; ValueError where it is something else."""
        sequence, _, digest = text.partition(":")
        if not sequence.isdecimal() or len(digest) != len(GENESIS) or set(digest) - set("0123456789abcdef"):
            raise ValueError(f"{text[:100]!r} is no head: it must read <sequence>:<64 hexadecimal digits>")
        return cls(int(sequence), digest)

    def __str__(self) -> str:
        """`<sequence>:<hash>`."""
        return f"{self.sequence}:{self.hash}"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One link of a drive's audit chain: `hash` covers the body, the sequence number and the previous hash."""

    sequence: int
    body: Mapping[str, object] = field(hash=False)
    previous: str
    hash: str

    @property
    def head(self) -> AuditHead:
        """What to note of the chain that ends here."""
        return AuditHead(self.sequence, self.hash)


def canonical(value: object) -> str:
    """Return the one JSON text of a value; what JSON cannot say raises TypeError or ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def link(previous: AuditEntry | AuditHead | None, body: Mapping[str, object]) -> AuditEntry:
    """Return the entry that follows `previous`; its body is what `body` reads as after a trip through JSON."""
    sequence, before = (previous.sequence + 1, previous.hash) if previous else (1, GENESIS)
    plain = json.loads(canonical(dict(body)))
    return AuditEntry(sequence, plain, before, _hash(sequence, plain, before))


def verify_chain(
    entries: Iterable[AuditEntry], heads: Sequence[AuditEntry | AuditHead] = (), drive_id: str | None = None
) -> list[str]:
    """Return one sentence for each thing wrong with a chain, in the order given; none means it is whole.

    With `heads`, its end as it was noted elsewhere, now or earlier, a chain that was cut short or written anew is told as well; with
    `drive_id` an entry that belongs to another drive.
    """
    findings: list[str] = []
    last: AuditEntry | None = None
    hashes: dict[int, str] = {}
    for entry in entries:
        findings += _faults(last, entry)
        if drive_id is not None and entry.body.get("drive_id") != drive_id:
            findings.append(f"entry {entry.sequence} is not of drive {drive_id}")
        last = entry
        hashes[entry.sequence] = entry.hash
    return findings + [fault for head in heads if (fault := _end_fault(hashes.get(head.sequence), head))]


def _faults(last: AuditEntry | None, entry: AuditEntry) -> list[str]:
    """Judge one entry against itself and the one given before it."""
    own = [] if entry.hash == _hash(entry.sequence, entry.body, entry.previous) else [f"entry {entry.sequence} was altered"]
    expected = last.sequence + 1 if last else 1
    if entry.sequence > expected:
        return [*own, f"missing: {expected} to {entry.sequence - 1}"]
    if entry.sequence < expected:
        return [*own, f"entry {entry.sequence} is out of order: it stands where {expected} belongs"]
    before = last.hash if last else GENESIS
    return own if entry.previous == before else [*own, f"entry {entry.sequence} does not follow the one before it"]


def _end_fault(found: str | None, head: AuditEntry | AuditHead) -> str:
    if found is None:
        return f"cut short: entry {head.sequence} is known to exist"
    return "" if found == head.hash else f"entry {head.sequence} is not the one noted elsewhere"


def _hash(sequence: int, body: Mapping[str, object], previous: str) -> str:
    text = canonical({"body": dict(body), "previous": previous, "sequence": sequence})
    return hashlib.sha256(text.encode()).hexdigest()


def export_lines(drive_id: str, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """Yield the lines of the file for an auditor, each with its line feed."""
    yield canonical({"drive": drive_id, "format": FORMAT, "head": str(entries[-1].head) if entries else ""}) + "\n"
    for entry in entries:
        fields = {"body": dict(entry.body), "hash": entry.hash, "previous": entry.previous, "sequence": entry.sequence}
        yield canonical(fields) + "\n"


@dataclass(frozen=True, slots=True)
class Export:
    """What a file holds, and one sentence for each thing wrong with it; an entry that cannot be read is not among the entries."""

    drive_id: str
    entries: tuple[AuditEntry, ...]
    findings: tuple[str, ...]


def read_export(data: bytes, noted: AuditHead | None = None) -> Export:
    """Read and verify the bytes of a file, also against a head that was noted elsewhere, where there is one."""
    lines = data.decode("ascii", "replace").split("\n")
    ended = [] if lines.pop() == "" else ["the last line does not end: the file was cut short"]
    header = _read(lines[0], _HEADER) if lines else None
    if header is None or header["format"] != FORMAT:
        return Export("", (), (f"line 1 is no header of {FORMAT}",))
    rows = [_read(line, _ENTRY) for line in lines[1:]]
    unread = [f"line {number} is no entry as it was written" for number, row in enumerate(rows, 2) if row is None]
    entries = tuple(AuditEntry(**row) for row in rows if row is not None)
    findings = [
        *ended,
        *unread,
        *verify_chain(entries, [noted] if noted else [], header["drive"]),
        *_header_faults(header["head"], entries),
    ]
    return Export(header["drive"], entries, tuple(findings))


def _read(line: str, form: Mapping[str, type]) -> dict[str, Any] | None:
    """Return the fields of a line, None unless it is the canonical JSON of exactly these."""
    try:
        row = json.loads(line)
        alike = isinstance(row, dict) and row.keys() == form.keys() and canonical(row) == line
    except (ValueError, RecursionError):
        return None
    return row if alike and all(type(row[name]) is kind for name, kind in form.items()) else None


def _header_faults(head: str, entries: Sequence[AuditEntry]) -> list[str]:
    last = str(entries[-1].head) if entries else ""
    return (
        []
        if head == last
        else [f"the header says that the chain ends with {head or 'nothing'}, it ends with {last or 'nothing'}"]
    )


def main(arguments: Sequence[str]) -> int:
    """Verify a file for somebody without Panoveil: 0 where it is whole, 1 with a sentence a finding, 2 without a file."""
    if not arguments:
        sys.stderr.write("usage: python _chain.py FILE [<sequence>:<hash>]\n")
        return 2
    noted = AuditHead.parse(arguments[1]) if arguments[1:] else None
    found = read_export(Path(arguments[0]).read_bytes(), noted)
    sys.stdout.writelines(f"{finding}\n" for finding in found.findings or (f"whole: {len(found.entries)} entries",))
    return 1 if found.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
