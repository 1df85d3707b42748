"""Uploading captures: frames, then the manifest; each acknowledged object is journaled, then announced, then journaled again.

So whatever moment the car is switched off at, a restart repeats at most what was not yet journaled, and nothing is ever
announced that is not in S3.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from panoveil.blobs import Blobs, StoredBlob
from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import MANIFEST_NAME, BlobRef, CaptureId, Stream, raw_key
from panoveil.streams import Outgoing, PartlySent, RecordSink
from services.agent.captures import Capture, Entry, LocalFile
from services.agent.events import (
    CaptureSkipped,
    CaptureUploaded,
    FrameDamaged,
    FrameMissing,
    FrameUploaded,
    Listener,
    SkipReason,
    Waiting,
)
from services.agent.limit import Limit
from services.agent.notification import object_created
from services.agent.patience import Backoff, Patience, Sleep

_CAPTURES_AT_ONCE = 2
_EVENTS_AT_ONCE = 100
_BACKOFF = Backoff()


class Journal(Protocol):
    """What the agent remembers on disk; each method returns when the disk has it."""

    def entries(self) -> Mapping[str, Entry]:
        """Return every entry by key."""
        ...

    def put(self, entry: Entry) -> None:
        """Note an object whose PUT was acknowledged."""
        ...

    def announced(self, entries: Sequence[Entry]) -> None:
        """Note that these objects' notifications were acknowledged."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What the agent needs of the world.

    `bucket` is the raw bucket's real name; `destination` names it beyond doubt, for the journal; `parallel` is how many
    objects are on their way at once. `settle` and `every` are the seconds between two looks at a folder that is being written,
    and at one that is watched.
    """

    blobs: Blobs
    sink: RecordSink
    bucket: str
    destination: str
    parallel: int = 4
    backoff: Backoff = _BACKOFF
    sleep: Sleep = asyncio.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    limit: Limit = field(default_factory=lambda: Limit(0))
    settle: float = 2.0
    every: float = 10.0


async def upload(captures: Iterable[Capture], journal: Journal, ports: Ports, on_event: Listener) -> Sequence[Capture]:
    """Upload and announce what the journal does not know yet, oldest capture first; raise what made it stop.

    Return what is put off: captures that are not whole, and not settled either. Their manifests have not been sent.
    """
    oldest_first = sorted(captures, key=lambda capture: (capture.captured_at, str(capture.capture_id)))
    for capture in oldest_first:
        for name in capture.missing if capture.settled else ():
            on_event(FrameMissing(str(capture.capture_id), name, "not in the folder"))
    known = await asyncio.to_thread(journal.entries)
    work = _Upload(known, journal, ports, on_event)
    try:
        await work.run(oldest_first)
    except BaseExceptionGroup as group:
        raise _first(group) from None
    return work.put_off


@dataclass(frozen=True, slots=True)
class _Pending:
    """An object in S3 that is not announced yet; without one: all of the capture's objects went before."""

    capture_id: CaptureId
    entry: Entry | None


class _Upload:
    def __init__(self, known: Mapping[str, Entry], journal: Journal, ports: Ports, on_event: Listener) -> None:
        self.put_off: list[Capture] = []
        self._known = known
        self._journal = journal
        self._ports = ports
        self._on_event = on_event
        self._patience = Patience(ports.backoff, self._waiting, ports.sleep)
        self._gate = asyncio.Semaphore(ports.parallel)
        self._pending: asyncio.Queue[_Pending | None] = asyncio.Queue()

    async def run(self, captures: Sequence[Capture]) -> None:
        async with asyncio.TaskGroup() as announcing:
            announcing.create_task(self._announce())
            left = iter(captures)
            async with asyncio.TaskGroup() as uploading:
                for _ in range(_CAPTURES_AT_ONCE):
                    uploading.create_task(self._work(left))
            self._pending.put_nowait(None)

    async def _work(self, left: Iterator[Capture]) -> None:
        for capture in left:
            await self._capture(capture)

    async def _capture(self, capture: Capture) -> None:
        before = [self._done(capture, file) for file in (*capture.frames, capture.manifest)]
        async with asyncio.TaskGroup() as frames:
            tasks = [frames.create_task(self._object(capture, frame)) for frame in capture.frames]
        there = [task.result() for task in tasks]
        if not capture.settled and (capture.missing or not all(there)):
            self.put_off.append(capture)
            return
        # Last, as on the disk: the manifest says that the capture is whole.
        there.append(await self._object(capture, capture.manifest))
        if not there[-1]:
            self._put_off_or_skip(capture)
        elif all(was or not is_now for was, is_now in zip(before, there, strict=True)):
            self._on_event(CaptureUploaded(str(capture.capture_id), before=True))
        else:
            self._pending.put_nowait(_Pending(capture.capture_id, None))

    def _put_off_or_skip(self, capture: Capture) -> None:
        """The manifest has changed or gone since it was read."""
        if not capture.settled:
            self.put_off.append(capture)
            return
        place = capture.manifest.path.parent
        self._on_event(CaptureSkipped(str(place), SkipReason.UNREADABLE, f"{MANIFEST_NAME} cannot be read, or is another now"))

    def _done(self, capture: Capture, file: LocalFile) -> bool:
        entry = self._known.get(raw_key(capture.capture_id, file.name).key)
        return entry is not None and entry.is_of(file) and entry.announced

    async def _object(self, capture: Capture, file: LocalFile) -> bool:
        """Upload a file unless it is in S3, and have it announced unless it is; False where it cannot be read, or is another."""
        entry = self._known.get(raw_key(capture.capture_id, file.name).key)
        if entry is None or not entry.is_of(file):
            async with self._gate:
                entry = await self._put(capture, file, entry)
        if entry and not entry.announced:
            self._pending.put_nowait(_Pending(capture.capture_id, entry))
        return entry is not None

    async def _put(self, capture: Capture, file: LocalFile, last: Entry | None) -> Entry | None:
        """Upload one file and journal it; None where it cannot be read, or is not what the manifest promises."""
        ref = raw_key(capture.capture_id, file.name)
        try:
            data = await asyncio.to_thread(file.read)
            stored = await self._patience.until_answered(lambda: self._store(ref, data, file))
        except OSError as error:
            self._tell_settled(capture, file, FrameMissing(str(capture.capture_id), file.name, str(error)))
            return None
        except Rejected as error:
            self._tell_settled(capture, file, FrameDamaged(str(capture.capture_id), file.name, error.detail))
            return None
        now = self._ports.now()
        entry = Entry(ref.key, stored.size, file.modified, stored.etag, last.later(now) if last else now)
        await asyncio.to_thread(self._journal.put, entry)
        self._on_event(FrameUploaded(str(capture.capture_id), file.name, stored.size))
        return entry

    async def _store(self, ref: BlobRef, data: bytes, file: LocalFile) -> StoredBlob:
        await self._ports.limit.take(len(data))
        return await self._ports.blobs.put(ref, data, _content_type(file.name), sha256=file.sha256)

    def _tell_settled(self, capture: Capture, file: LocalFile, event: FrameMissing | FrameDamaged) -> None:
        """Tell what is wrong with a frame, unless that may be because somebody is still writing it."""
        if capture.settled and file is not capture.manifest:
            self._on_event(event)

    async def _announce(self) -> None:
        async for batch in _batches(self._pending):
            await self._send(batch)
            for one in batch:
                if one.entry is None:
                    self._on_event(CaptureUploaded(str(one.capture_id)))

    async def _send(self, batch: Sequence[_Pending]) -> None:
        left = {Outgoing(str(one.capture_id), self._notification(one.entry)): one.entry for one in batch if one.entry}
        if left:
            await self._patience.until_answered(lambda: self._send_left(left))

    async def _send_left(self, left: dict[Outgoing, Entry]) -> None:
        """Send once, journal what was acknowledged and take it out of `left`; raise `Unavailable` where something stays."""
        try:
            await self._ports.sink.send(Stream.UPLOADS, list(left))
        except PartlySent as partly:
            await self._acknowledged(left, left.keys() - set(partly.left))
            raise
        await self._acknowledged(left, set(left))

    async def _acknowledged(self, left: dict[Outgoing, Entry], records: AbstractSet[Outgoing]) -> None:
        if records:
            await asyncio.to_thread(self._journal.announced, [left.pop(record) for record in records])

    def _waiting(self, error: Unavailable, seconds: float) -> None:
        self._on_event(Waiting(error.dependency, seconds, error.detail))

    def _notification(self, entry: Entry) -> bytes:
        return object_created(self._ports.bucket, entry.key, entry.size, entry.etag, entry.at)


async def _batches(queue: asyncio.Queue[_Pending | None]) -> AsyncIterator[list[_Pending]]:
    """Yield what has gathered in the queue, until None."""
    while (first := await queue.get()) is not None:
        batch = [first]
        while len(batch) < _EVENTS_AT_ONCE and not queue.empty():
            if (one := queue.get_nowait()) is None:
                yield batch
                return
            batch.append(one)
        yield batch


def _first(error: BaseException) -> BaseException:
    """Return the failure that a task group wraps."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _content_type(name: str) -> str:
    return "application/json" if name == MANIFEST_NAME else "image/jpeg"
