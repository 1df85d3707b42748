"""A drive folder, gone through look by look: what is whole is uploaded, what is being written is put off."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from services.agent.adapters import Folder, Found, open_journal
from services.agent.adapters.journal import JOURNAL_NAME
from services.agent.captures import Capture
from services.agent.events import CaptureFound, CaptureSkipped, Listener, SkipReason
from services.agent.handler import Ports, upload
from services.agent.poses import Poses

_MAY_BE_WRITTEN = frozenset({SkipReason.UNFINISHED, SkipReason.BAD_MANIFEST, SkipReason.UNREADABLE})


class Drive:
    """One folder and its journal."""

    def __init__(self, folder: Path, ports: Ports, journal: Path | None = None, *, again: bool = False) -> None:
        """`Misconfigured` where the folder is not there; `again`: forget what was uploaded."""
        self._folder = Folder(folder)
        self._journal = journal or folder / JOURNAL_NAME
        self._ports = ports
        self._again = again

    async def look(self, poses: Poses, on_event: Listener) -> int:
        """Upload what is new, tell what is wrong for good, and return how many captures are put off."""
        found = await asyncio.to_thread(lambda: list(self._folder.look(poses)))
        put_off = {one.place for one in found if _may_become_whole(one)}
        _tell([one for one in found if one.place not in put_off], on_event)
        captures = [one.what for one in found if isinstance(one.what, Capture)]
        if captures:
            put_off |= {capture.manifest.path.parent for capture in await self._upload(captures, on_event)}
        self._folder.finish(one.place for one in found if one.place not in put_off)
        return len(put_off)

    def reconsider(self) -> None:
        """Look at everything again, for other poses are known now."""
        self._folder.reconsider()

    async def _upload(self, captures: Sequence[Capture], on_event: Listener) -> Sequence[Capture]:
        with open_journal(self._journal, self._ports.destination, on_event) as journal:
            if self._again:
                journal.forget()
                self._again = False
            return await upload(captures, journal, self._ports, on_event)


def _may_become_whole(found: Found) -> bool:
    return isinstance(found.what, CaptureSkipped) and found.what.reason in _MAY_BE_WRITTEN and not found.settled


def _tell(found: Sequence[Found], on_event: Listener) -> None:
    for one in found:
        if isinstance(one.what, CaptureSkipped):
            on_event(one.what)
        elif one.new:
            on_event(CaptureFound(str(one.what.capture_id), len(one.what.frames) + 1, one.what.size))
