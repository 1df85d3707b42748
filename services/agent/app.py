"""Wires the agent: settings → ports, folder + journal + ports → a drive uploaded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from panoveil.blobs import S3Blobs
from panoveil.contracts.keys import Bucket
from panoveil.streams import kinesis_sink
from services.agent.adapters import open_journal, scan
from services.agent.adapters.journal import JOURNAL_NAME
from services.agent.captures import Capture
from services.agent.events import DriveDone, Event, Listener, Tally
from services.agent.handler import Ports, upload
from services.agent.patience import Backoff
from services.agent.poses import NO_POSES, Poses
from services.agent.settings import AgentSettings


@asynccontextmanager
async def connect(settings: AgentSettings) -> AsyncIterator[Ports]:
    """Open S3 and Kinesis for as long as the block runs."""
    async with (
        S3Blobs(settings.buckets, settings.region, settings.endpoint_url) as blobs,
        kinesis_sink(settings.streams, settings.region, settings.endpoint_url) as sink,
    ):
        yield Ports(
            blobs=blobs,
            sink=sink,
            bucket=settings.bucket(Bucket.RAW),
            destination=f"{settings.endpoint_url or settings.region}/{settings.bucket(Bucket.RAW)}",
            parallel=settings.parallel,
            backoff=Backoff(give_up_after=settings.give_up_after),
        )


async def upload_drive(
    folder: Path, ports: Ports, on_event: Listener, *, journal: Path | None = None, again: bool = False, poses: Poses = NO_POSES
) -> DriveDone:
    """Upload and announce every finished capture below the folder that is not there yet; `again`: even if it is.

    Manifests without a pose are completed from `poses`: a capture whose pose comes out otherwise than last time is sent again.

    Raise `Unavailable` when the backoff gives up and `Misconfigured` when something must be mended first; what was
    acknowledged until then is in the journal (`.panoveil-agent.sqlite3` in the folder, or `journal`) and not sent again.
    """
    tally = Tally()

    def tell(event: Event) -> None:
        tally(event)
        on_event(event)

    found = await asyncio.to_thread(lambda: list(scan(folder, poses)))
    captures = [one for one in found if isinstance(one, Capture)]
    for one in found:
        if not isinstance(one, Capture):
            tell(one)
    with open_journal(journal or folder / JOURNAL_NAME, ports.destination, tell) as opened:
        if again:
            opened.forget()
        await upload(captures, opened, ports, tell)
    done = tally.done(str(folder))
    on_event(done)
    return done
