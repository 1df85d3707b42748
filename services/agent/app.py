"""Wires the agent: settings → ports, folder + journal + ports → a drive uploaded."""

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from panoveil.blobs import Multipart, S3Blobs
from panoveil.contracts.keys import Bucket
from panoveil.streams import kinesis_sink
from services.agent.drive import Drive
from services.agent.events import DriveDone, Listener, StillWritten, Tally, both
from services.agent.handler import Ports
from services.agent.limit import Limit
from services.agent.patience import Backoff
from services.agent.poses import NO_POSES, WITHOUT_POSES, PoseFiles, PoseOptions, Poses
from services.agent.settings import AgentSettings


@asynccontextmanager
async def connect(settings: AgentSettings) -> AsyncIterator[Ports]:
    """Open S3 and Kinesis for as long as the block runs."""
    async with (
        S3Blobs(settings.buckets, settings.region, settings.endpoint_url, multipart=Multipart(settings.multipart_above)) as blobs,
        kinesis_sink(settings.streams, settings.region, settings.endpoint_url) as sink,
    ):
        yield Ports(
            blobs=blobs,
            sink=sink,
            bucket=settings.bucket(Bucket.RAW),
            destination=f"{settings.endpoint_url or settings.region}/{settings.bucket(Bucket.RAW)}",
            parallel=settings.parallel,
            backoff=Backoff(give_up_after=settings.give_up_after),
            limit=Limit(settings.limit),
            settle=settings.settle,
            every=settings.watch_every,
        )


async def upload_drive(
    folder: Path, ports: Ports, on_event: Listener, *, journal: Path | None = None, again: bool = False, poses: Poses = NO_POSES
) -> DriveDone:
    """Upload and announce every capture below the folder that is not there yet; `again`: even if it is.

    Manifests without a pose are completed from `poses`: a capture whose pose comes out otherwise than last time is sent again.
    What is still being written is waited for, for as long as it changes.

    Raise `Unavailable` when the backoff gives up and `Misconfigured` when something must be mended first; what was
    acknowledged until then is in the journal (`.panoveil-agent.sqlite3` in the folder, or `journal`) and not sent again.
    """
    tally = Tally()
    tell = both(tally, on_event)
    drive = Drive(folder, ports, journal, again=again)
    while put_off := await drive.look(poses, tell):
        tell(StillWritten(str(folder), put_off, ports.settle))
        await ports.sleep(ports.settle)
    done = tally.done(str(folder))
    on_event(done)
    return done


async def watch_drives(
    folders: Sequence[Path],
    ports: Ports,
    on_event: Listener,
    *,
    journal: Path | None = None,
    again: bool = False,
    poses: PoseOptions = WITHOUT_POSES,
) -> NoReturn:
    """Upload what is there and what comes, until cancelled; pose files are read again when they have changed.

    What does not answer is waited for without end; `Misconfigured` as for `upload_drive`.
    """
    patient = dataclasses.replace(ports, backoff=dataclasses.replace(ports.backoff, give_up_after=0))
    drives = {folder: Drive(folder, patient, journal, again=again) for folder in folders}
    files = PoseFiles(poses, on_event)
    while True:
        if files.reopen():
            for drive in drives.values():
                drive.reconsider()
        for folder, drive in drives.items():
            tally = Tally()
            await drive.look(files.poses, both(tally, on_event))
            if tally:
                on_event(tally.done(str(folder)))
        await ports.sleep(ports.every)
