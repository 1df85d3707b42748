"""What the stream costs beside the work on pixels: throughput, latency, memory, efficiency, idling.

    python -m benchmarks.load                                     everything, about forty minutes
    python -m benchmarks.load --json --sections latency efficiency
    python -m benchmarks.load --sections backlog --backlog 10000

backlog     records that ingest works off: a second, CPU-milliseconds each, and memory from a tenth of them to the end
latency     from a record's acknowledgement to its handler, at --rate a second; and from start to first record
shards      memory of a task by its shards
efficiency  CPU-seconds of the pure functions ÷ CPU-seconds of services, JVMs and shard children, on the same captures; and what
            the three services cost when there is nothing to do

The emulator, Triton and this process are not counted. Progress goes to standard error.
Exit codes: 0, 2 the command line is wrong, 69 or 78 something could not run.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.load import backlog, efficiency, latency, shards
from benchmarks.options import Tell, positive, teller
from panoveil.contracts.errors import PanoveilError

_SECTIONS = ("backlog", "latency", "shards", "efficiency")
_SHARDS = (1, 4, 16)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    options = _parser().parse_args(arguments)
    with TemporaryDirectory(prefix="panoveil-load-") as scratch:
        try:
            figures = asyncio.run(_measured(options, Path(scratch), teller()))
        except PanoveilError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    print(json.dumps(figures) if options.json else "\n".join(_lines(figures)))
    return 0


async def _measured(options: argparse.Namespace, folder: Path, tell: Tell) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    if "latency" in options.sections:
        figures["latency"] = await latency.measure(options.rate, options.seconds, folder / "latency", tell)
    if "shards" in options.sections:
        figures["shards"] = await shards.measure(_SHARDS, folder, tell)
    if "backlog" in options.sections:
        figures["backlog"] = await backlog.measure(options.backlog, options.shards, folder / "backlog", tell)
    if "efficiency" in options.sections:
        figures["efficiency"] = await efficiency.measure(
            options.captures, options.rounds, options.width, options.idle, folder / "pixels", tell
        )
    return figures


def _lines(figures: dict[str, Any]) -> list[str]:
    lines = []
    for section, found in figures.items():
        rows = found if isinstance(found, list) else [found]
        lines += [f"{section:12}" + "  ".join(f"{name} {value}" for name, value in row.items()) for row in rows]
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--sections", nargs="+", choices=_SECTIONS, default=list(_SECTIONS))
    parser.add_argument("--backlog", type=positive, default=100_000, help="records")
    parser.add_argument("--shards", type=positive, default=4, help="of the stream that holds the backlog")
    parser.add_argument("--rate", type=float, default=60.0, help="records a second whose latency is measured")
    parser.add_argument("--seconds", type=float, default=30.0, help="for so long")
    parser.add_argument("--captures", type=positive, default=8, help="of a drive whose efficiency is measured")
    parser.add_argument("--rounds", type=positive, default=3, help="drives, after one that warms up")
    parser.add_argument("--width", type=positive, default=8192, help="of their panoramas, pixels")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds for which idling is measured")
    return parser


if __name__ == "__main__":
    sys.exit(main())
