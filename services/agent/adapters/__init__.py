"""The car's disk: drive folders and the journal."""

from services.agent.adapters.folder import Folder, Found
from services.agent.adapters.journal import SqliteJournal, open_journal

__all__ = ["Folder", "Found", "SqliteJournal", "open_journal"]
