"""`python -m services.agent DRIVE_FOLDER…`."""

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from panoveil import logs, telemetry
from panoveil.contracts.errors import PanoveilError, Rejected
from services.agent.app import connect, upload_drive, watch_drives
from services.agent.events import CaptureUploaded, Listener, both, but_not
from services.agent.limit import bytes_per_second
from services.agent.listeners import json_lines, log_lines, metered
from services.agent.pose_flags import add_pose_flags, pose_options
from services.agent.poses import open_poses
from services.agent.progress import ProgressLine
from services.agent.settings import AgentSettings, read_settings

_EPILOG = """
examples:
  python -m services.agent /data/drives/2026-05-11-a        upload one drive
  python -m services.agent --json /data/drives/*            several, one JSON object a line on stdout
  python -m services.agent --journal ~/a.sqlite3 /mnt/card  a card that cannot be written to
  python -m services.agent --again /data/drives/2026-05-11-a
                                                            everything once more, whatever the journal says
  python -m services.agent --watch --limit 20MB/s /data/drives
                                                            a depot machine: what comes is uploaded as it becomes whole, until SIGTERM
  python -m services.agent /data/drives/2026-05-11-a --poses sbet_0511.out --time-offset -0.012 --lever-arm 0.31 0 -1.84
                                                            captures without a pose get theirs from a file (docs/poses.md)

PANOVEIL_METRICS_PORT serves Prometheus metrics there, while it runs.
Where to: PANOVEIL_REGION, PANOVEIL_NAMESPACE and PANOVEIL_ENDPOINT_URL (an emulator's), with AWS's own credentials.
Kill it at any moment and start it again: it goes on where it was.

exit codes
    0  everything is uploaded and announced; with --watch: ended by SIGTERM
    2  the command line is wrong
   65  some captures or frames stayed behind: each was named, with its reason
   69  gave up waiting for S3 or Kinesis (PANOVEIL_GIVE_UP_AFTER); start it again, it goes on where it was
   78  something must be mended first: a setting, a permission, a pose file, the machine's clock, a full disk
  130  interrupted by Ctrl-C
  143  ended by SIGTERM
Events as JSON, one a line, with --json: docs/agent.md has an example of each.
"""


class _How(TypedDict):
    journal: Path | None
    again: bool


_log = logging.getLogger("panoveil.agent")


def main(arguments: Sequence[str] | None = None) -> int:
    """Upload the drives named; return the exit code."""
    options = _parser().parse_args(arguments)
    listener = _listen(options)
    try:
        settings = read_settings()
        if options.limit:
            settings = settings.model_copy(update={"limit": options.limit})
        logs.say(settings.log_level)
        if settings.metrics_port:
            telemetry.serve(settings.metrics_host, settings.metrics_port)
            listener = both(metered(), listener)
        return asyncio.run(_upload(options, settings, listener))
    except PanoveilError as error:
        _log.critical("%s", error)
        return error.exit_code
    except asyncio.CancelledError:
        return os.EX_OK if options.watch else 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _listen(options: argparse.Namespace) -> Listener:
    """Send events to stdout as JSON, or as log lines to stderr; on a terminal the progress stands below them."""
    line = ProgressLine(sys.stderr, lambda: shutil.get_terminal_size().columns) if sys.stderr.isatty() else None
    handler = logging.StreamHandler(line or sys.stderr)
    logs.begin("INFO", handler, "%(asctime)s %(levelname)s %(message)s")
    told = json_lines(sys.stdout) if options.json else log_lines
    if line is None:
        return told
    # What the line counts is not told besides.
    return both(line, told if options.json else but_not(CaptureUploaded, told))


async def _upload(options: argparse.Namespace, settings: AgentSettings, listener: Listener) -> int:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    about = pose_options(options, settings.pose)
    how: _How = {"journal": options.journal, "again": options.again}
    async with connect(settings) as ports:
        if options.watch:
            await watch_drives(options.folders, ports, listener, poses=about, **how)
        poses = open_poses(about, listener)
        done = [await upload_drive(folder, ports, listener, poses=poses, **how) for folder in options.folders]
    await asyncio.to_thread(telemetry.linger)
    return Rejected.exit_code if any(one.left_behind for one in done) else os.EX_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.agent",
        description="Upload finished captures of survey drives, and announce each object.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DRIVE_FOLDER", help="a folder below which captures lie")
    parser.add_argument("--journal", type=Path, help="where to remember what is uploaded (default: in the drive folder)")
    parser.add_argument("--again", action="store_true", help="upload everything, even what the journal knows")
    parser.add_argument("--json", action="store_true", help="write events as JSON lines to stdout instead of logging them")
    parser.add_argument("--watch", action="store_true", help="go on for ever: upload what comes, until SIGTERM")
    parser.add_argument("--limit", type=bytes_per_second, metavar="RATE", help="send no faster than 20MB/s, 500kB/s or 8Mbit/s")
    add_pose_flags(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
