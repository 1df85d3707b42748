"""One shard's conversation with the daemon: its protocol, answered message by message.

The daemon asks (`initialize`, `processRecords`, `shutdownRequested`, `leaseLost`, `shardEnded`), waits for a `status`, and
accepts `checkpoint` only in between.
"""

import asyncio
import base64
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from panoveil.streams._kcl.channel import Channel, LinkClosed
from panoveil.streams._kcl.config import Limits
from panoveil.streams._lag import Lag
from panoveil.streams._port import Record
from panoveil.streams._shard import Shard

_log = logging.getLogger("panoveil.streams.kcl")
_RETRYABLE = frozenset({"ThrottlingException", "KinesisClientLibDependencyException"})
_LEASE_GONE = "ShutdownException"


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what a session sees: accepted checkpoints, the shard that is worked on, and how far it has come.

    `passed` hears up to when (epoch seconds) all that had arrived in a shard is worked off.
    """

    checkpointed: Callable[[], None]
    lag: Lag
    passed: Callable[[str, float], None] = lambda _shard_id, _at: None


class Session:
    """Lives as long as the child's connection. `said_bye` tells an ordered end from a crash."""

    def __init__(self, channel: Channel, shard: Shard, limits: Limits, watch: Watch) -> None:
        """`shard` is new and becomes this session's own."""
        self.said_bye = False
        self.shard_id = "?"
        self._channel = channel
        self._shard = shard
        self._limits = limits
        self._watch = watch
        self._checkpointed: str | None = None
        self._next_checkpoint = 0.0
        self._stopping = False
        self._position = -math.inf
        self._answers = {
            "initialize": self._initialize,
            "processRecords": self._process,
            "shutdownRequested": self._hand_over,
            "leaseLost": self._drop,
            "shardEnded": self._finish,
        }

    async def run(self) -> None:
        """Answer until the child hangs up, or its protocol breaks; nothing of the shard runs when this returns."""
        try:
            with self._watch.lag.of(self._shard):
                await self._converse()
        except LinkClosed as end:
            if not self.said_bye:
                _log.warning("shard %s: the child's link closed without a bye (%s)", self.shard_id, end)
        finally:
            await self._shard.cancel()
            await self._channel.close()

    async def _converse(self) -> None:
        while True:
            await self._answer(await self._next())

    def stop_starting(self) -> None:
        """Return held batches at once, drop new ones, start nothing more."""
        self._stopping = True
        self._shard.stop_starting()

    async def quiet(self, timeout: float) -> None:
        """Wait until nothing runs and what is finished is checkpointed, or the child is gone, or `timeout` seconds."""
        give_up = self._time() + timeout
        while (self._shard.held or self._owes_checkpoint) and not self._channel.hung_up and self._time() < give_up:
            await self._shard.changed(timeout=0.1)

    @property
    def _owes_checkpoint(self) -> bool:
        return self._shard.mark != self._checkpointed

    async def _next(self) -> dict[str, Any]:
        # The daemon calls with empty batches too, and answers each checkpoint, so silence means that it is stuck.
        try:
            return await asyncio.wait_for(self._channel.receive(), self._limits.stall_seconds)
        except TimeoutError as error:
            raise LinkClosed(f"nothing heard for {self._limits.stall_seconds:.0f} s") from error

    async def _answer(self, message: dict[str, Any]) -> None:
        action = str(message.get("action"))
        if action not in self._answers:
            raise LinkClosed(f"unknown action {action[:40]!r}")
        await self._answers[action](message)
        await self._channel.send({"action": "status", "responseFor": action})

    async def _initialize(self, message: dict[str, Any]) -> None:
        self.shard_id = str(message["shardId"])
        _log.info("shard %s: ours, from %s", self.shard_id, message.get("sequenceNumber"))

    async def _process(self, message: dict[str, Any]) -> None:
        records = [_record(self.shard_id, entry) for entry in message["records"]]
        self._report_position()  # before: of a stream that is busy something is always under way after a batch
        self._shard.offer(records, behind=float(message.get("millisBehindLatest") or 0) / 1000)
        await self._hold()
        self._position = max(self._position, _position(records, message.get("millisBehindLatest")))
        self._report_position()

    async def _hold(self) -> None:
        deadline = self._time() + self._limits.hold_seconds
        while not self._may_return(deadline):
            await self._checkpoint_if_due()
            await self._shard.changed(self._until_next_look(deadline))
        await self._checkpoint_if_due()

    def _until_next_look(self, deadline: float) -> float:
        left = deadline - self._time()
        pause = self._limits.checkpoint_seconds
        return max(0.01, min(pause, left) if left > 0 else pause)

    def _may_return(self, deadline: float) -> bool:
        if self._stopping or not self._shard.waiting or self._channel.hung_up:
            return True
        return self._time() >= deadline and self._shard.held < self._limits.max_held_per_shard

    async def _hand_over(self, _: dict[str, Any]) -> None:
        await self._shard.drain(self._limits.drain_seconds)
        await self._checkpoint()
        self.said_bye = True

    async def _drop(self, _: dict[str, Any]) -> None:
        await self._shard.cancel()
        self.said_bye = True

    async def _finish(self, _: dict[str, Any]) -> None:
        await self._shard.finish()
        await self._shard.drain(self._limits.drain_seconds)
        # The last checkpoint says that nobody need read this shard again.
        ended = self._shard.whole and await self._send_checkpoint(None)
        if ended:
            self._watch.passed(self.shard_id, math.inf)
        if not ended:
            _log.warning("shard %s: its end is left to the next owner", self.shard_id)
            await self._checkpoint()
        # A daemon that misses it asks no child again and keeps the lease: unless it is being stopped, it must be started again.
        self.said_bye = ended or self._stopping

    async def _checkpoint_if_due(self) -> None:
        if self._time() >= self._next_checkpoint or self._stopping:
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        mark = self._shard.mark
        if mark is not None and mark != self._checkpointed and await self._send_checkpoint(mark):
            self._checkpointed = mark
        self._next_checkpoint = self._time() + self._limits.checkpoint_seconds

    async def _send_checkpoint(self, mark: str | None) -> bool:
        """Checkpoint at `mark`, or at the shard's end; return whether it was accepted."""
        await self._channel.send({"action": "checkpoint", "sequenceNumber": mark, "subSequenceNumber": None})
        error = (await self._next()).get("error")
        if error is None:
            self._watch.checkpointed()
        elif error == _LEASE_GONE:
            _log.warning("shard %s: the lease is gone, dropping its records", self.shard_id)
            await self._shard.cancel()
        elif error in _RETRYABLE:
            _log.warning("shard %s: checkpoint put off: %s", self.shard_id, error)
        else:
            raise LinkClosed(f"checkpoint refused: {error}")
        return error is None

    def _report_position(self) -> None:
        if not self._shard.held:
            self._watch.passed(self.shard_id, self._position)

    @staticmethod
    def _time() -> float:
        return asyncio.get_running_loop().time()


def _position(records: list[Record], behind: object) -> float:
    """Return how far a batch brings its shard (epoch seconds): to its last record, to the tip where nothing lay ahead.

    A batch may have been fetched a while ago, so how far one lags behind says nothing else.
    """
    return math.inf if behind == 0 else records[-1].arrived_at if records else -math.inf


def _record(shard_id: str, entry: dict[str, Any]) -> Record:
    return Record(
        shard_id=shard_id,
        sequence_number=str(entry["sequenceNumber"]),
        partition_key=str(entry["partitionKey"]),
        data=base64.b64decode(entry["data"]),
        arrived_at=float(entry["approximateArrivalTimestamp"] or 0) / 1000,
    )
