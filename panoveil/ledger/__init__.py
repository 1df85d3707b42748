"""The one memory all services share, in DynamoDB and in memory, behind one port.

`DynamoLedger` and `provision_table` need the extra `aws` and are loaded on first use, so that a handler, which needs
only the port, never loads an AWS client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from panoveil.ledger._chain import GENESIS, AuditEntry, AuditHead, Export, export_lines, read_export, verify_chain
from panoveil.ledger._entries import note
from panoveil.ledger._memory import MemoryLedger
from panoveil.ledger._port import (
    ANYWHERE,
    ENDS,
    FAR_FUTURE,
    MAY_FOLLOW,
    UNFINISHED,
    UNGRADED,
    CaptureState,
    Finished,
    Grade,
    Ledger,
    Pointer,
    SeenObject,
    State,
)
from panoveil.ledger._quarantined import LISTED, NO_DRIVE, Fate, QuarantineEntry

if TYPE_CHECKING:
    from panoveil.ledger._dynamodb import DynamoLedger, provision_table
else:

    def __getattr__(name: str) -> object:
        if name in {"DynamoLedger", "provision_table"}:
            return getattr(import_module("panoveil.ledger._dynamodb"), name)
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)


__all__ = [
    "ANYWHERE",
    "ENDS",
    "FAR_FUTURE",
    "GENESIS",
    "LISTED",
    "MAY_FOLLOW",
    "NO_DRIVE",
    "UNFINISHED",
    "UNGRADED",
    "AuditEntry",
    "AuditHead",
    "CaptureState",
    "DynamoLedger",
    "Export",
    "Fate",
    "Finished",
    "Grade",
    "Ledger",
    "MemoryLedger",
    "Pointer",
    "QuarantineEntry",
    "SeenObject",
    "State",
    "export_lines",
    "note",
    "provision_table",
    "read_export",
    "verify_chain",
]
