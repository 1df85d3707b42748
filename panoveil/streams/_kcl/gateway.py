"""The service's side of all children: accepts their connections and keeps what they share."""

import asyncio
import logging
from pathlib import Path

from panoveil.streams._kcl.channel import Channel
from panoveil.streams._kcl.config import Limits
from panoveil.streams._kcl.session import Session, Watch
from panoveil.streams._port import Work
from panoveil.streams._shard import Shard

_log = logging.getLogger("panoveil.streams.kcl")


class Gateway:
    """Listens while its context is entered. `lost` is set when a child vanished without a bye."""

    def __init__(self, work: Work, limits: Limits, watch: Watch) -> None:
        """Needs a running event loop."""
        self.lost = asyncio.Event()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._work = work
        self._limits = limits
        self._watch = watch
        self._slots = asyncio.Semaphore(limits.max_in_flight)
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._closed_to_new = False

    async def listen(self, path: Path) -> asyncio.Server:
        """Accept children on the Unix socket `path`."""
        return await asyncio.start_unix_server(self._accept, path)

    @property
    def sessions(self) -> int:
        """Connected children."""
        return len(self._sessions)

    def stop_starting(self) -> None:
        """Start no more work, accept no more children, let go of held batches."""
        self._closed_to_new = True
        for session in self._sessions:
            session.stop_starting()

    async def quiet(self, timeout: float) -> None:
        """Wait until what ran is finished and checkpointed, at most `timeout` seconds."""
        await asyncio.gather(*(session.quiet(timeout) for session in self._sessions))

    async def emptied(self) -> None:
        """Wait until every child is gone."""
        while self._sessions:
            await asyncio.wait(self._sessions.values())

    async def reset(self) -> None:
        """Hang up on every child, cancel what runs, and be ready for a new daemon."""
        tasks = list(self._sessions.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.lost.clear()
        self._closed_to_new = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer)
        if self._closed_to_new:
            channel.hang_up()
            return
        shard = Shard(self._work, self._slots, self._limits.max_in_flight_per_shard, self._fail)
        session = Session(channel, shard, self._limits, self._watch)
        task = asyncio.create_task(session.run(), name="kcl session")
        self._sessions[session] = task
        task.add_done_callback(lambda done: self._ended(session, channel, done))

    def _ended(self, session: Session, channel: Channel, task: asyncio.Task[None]) -> None:
        # A session that is cancelled before its first step has had no chance to.
        channel.hang_up()
        del self._sessions[session]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("shard %s: its session broke", session.shard_id, exc_info=error)
        if not session.said_bye:
            self.lost.set()

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # seen: asyncio need not complain where nobody comes to ask
