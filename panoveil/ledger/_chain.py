"""The audit chain as pure functions: each entry's hash covers its body, its number and the hash before it.

The hash is the SHA-256, in hex, of the canonical JSON of `{"body": …, "previous": …, "sequence": …}`: keys sorted, no
blanks, ASCII. Numbers begin at 1 and the first entry's `previous` is `GENESIS`. Anyone can check a chain with that.

What a chain alone cannot show is that its end was cut off, or replaced and hashed anew: compare it with a head that
was noted elsewhere (`verify_chain(entries, head)`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from panoveil.ledger._port import AuditEntry

GENESIS = "0" * 64


def canonical(value: object) -> str:
    """Return the one JSON text of a value; what JSON cannot say raises TypeError or ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def link(previous: AuditEntry | None, body: Mapping[str, object]) -> AuditEntry:
    """Return the entry that follows `previous`; its body is what `body` reads as after a trip through JSON."""
    sequence, before = (previous.sequence + 1, previous.hash) if previous else (1, GENESIS)
    plain = json.loads(canonical(dict(body)))
    return AuditEntry(sequence, plain, before, _hash(sequence, plain, before))


def verify_chain(entries: Iterable[AuditEntry], head: AuditEntry | None = None) -> list[str]:
    """Return one sentence for each thing wrong with a chain, in the order given; none means it is whole.

    With `head`, the last entry as noted elsewhere, a chain that was cut short or ends otherwise is told as well.
    """
    findings: list[str] = []
    last: AuditEntry | None = None
    at_head: AuditEntry | None = None
    for entry in entries:
        findings += _faults(last, entry)
        last = entry
        at_head = entry if head and entry.sequence == head.sequence else at_head
    return findings + (_end_faults(at_head, head) if head else [])


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


def _end_faults(found: AuditEntry | None, head: AuditEntry) -> list[str]:
    if found is None:
        return [f"cut short: entry {head.sequence} is known to exist"]
    return [] if found.hash == head.hash else [f"entry {head.sequence} is not the one noted elsewhere"]


def _hash(sequence: int, body: Mapping[str, object], previous: str) -> str:
    text = canonical({"body": dict(body), "previous": previous, "sequence": sequence})
    return hashlib.sha256(text.encode()).hexdigest()
