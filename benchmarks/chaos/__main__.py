"""Everything is killed and everything fails while captures go through the pipeline; then every capture is accounted for.

    python -m benchmarks.chaos                                    300 captures, 110 kills, about a quarter of an hour
    python -m benchmarks.chaos --json --seed 7
    python -m benchmarks.chaos --captures 30 --kills 12 --every 5 --out /tmp/chaos

Killed (SIGKILL, by a seeded schedule): both tasks of ingest, stitcher, anonymizer, their JVMs, the KCL's leader, shard children, Triton,
its model processes, the agent; all connections are cut besides. S3, Kinesis and DynamoDB throttle, fail, do without answering, take a
PutRecords in part, and repeat and reorder its records.

`lost` captures have no end, no decision in the audit chain, or were never told of; `published_twice` were decided on more than once under
one recipe, or told of in different words; `unverified_published` pictures have no entry that says they were looked through. Every
capture is whole, so none may be `quarantined`; `chain_findings` are what `panoveil audit verify --objects` says. Progress goes to
standard error.

Exit codes: 0 every promise was kept, 1 one was broken, 2 the command line is wrong, 69 or 78 the pipeline could not run.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.chaos.run import Outcome, Plan, run
from benchmarks.options import positive, teller
from panoveil.contracts.errors import PanoveilError

_BROKEN = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, judge, print; return the exit code."""
    options = _parser().parse_args(arguments)
    chosen = ("captures", "a_drive", "kills", "every", "width", "seed", "patience")
    plan = Plan(**{name: getattr(options, name) for name in chosen})
    with TemporaryDirectory(prefix="panoveil-chaos-") as scratch:
        folder = options.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            figures = summary(outcome := asyncio.run(run(plan, folder, teller())))
        except PanoveilError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    print(json.dumps(figures | {"plan": asdict(plan)}) if options.json else _readable(figures))
    return os.EX_OK if outcome.verdict.kept else _BROKEN


def summary(outcome: Outcome) -> dict[str, Any]:
    """Return what the JSON shows."""
    verdict = outcome.verdict
    return {
        "kills": outcome.kills.total(),
        "captures": verdict.captures,
        "lost": len(verdict.lost),
        "published_twice": len(verdict.published_twice),
        "unverified_published": len(verdict.unverified_published),
        "quarantined": len(verdict.quarantined),
        "chain_findings": len(verdict.chain_findings),
        "ended": dict(verdict.states),
        "kills_by_kind": dict(outcome.kills),
        "faults": dict(outcome.faults),
        "restarts": dict(outcome.restarts),
        "seconds": round(outcome.seconds, 1),
        "broken": {name: value for name, value in asdict(verdict).items() if isinstance(value, list) and value},
    }


def _readable(figures: dict[str, Any]) -> str:
    return "\n".join(f"{name:>22}  {value}" for name, value in figures.items())


def _parser() -> argparse.ArgumentParser:
    plan = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--captures", type=positive, default=plan.captures)
    parser.add_argument("--a-drive", type=positive, default=plan.a_drive, help="captures in a drive")
    parser.add_argument("--kills", type=positive, default=plan.kills)
    parser.add_argument("--every", type=float, default=plan.every, metavar="SECONDS", help="mean time between two kills")
    parser.add_argument("--width", type=positive, default=plan.width, help="of a panorama, pixels")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--patience", type=float, default=plan.patience, metavar="SECONDS", help="to wait after the last kill")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep drives and logs here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
