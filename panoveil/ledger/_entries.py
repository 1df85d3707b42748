"""Appends what the contracts say to the chain of its drive, once."""

from panoveil.contracts.audit import Audited
from panoveil.ledger._chain import AuditEntry
from panoveil.ledger._port import Ledger


async def note(ledger: Ledger, entry: Audited) -> AuditEntry:
    """Append an entry; where the same was appended before, whenever that was, return the entry of then."""
    return await ledger.audit(entry.drive_id, entry.model_dump(mode="json"), once=entry.identity)
