"""The car's disk: drive folders and the journal."""

from services.agent.adapters.folder import scan
from services.agent.adapters.journal import SqliteJournal, open_journal

__all__ = ["SqliteJournal", "open_journal", "scan"]
