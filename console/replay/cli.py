"""`panoveil replay`: options in, one function called, text out."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from console import status
from console.quarantine.selection import parse_time
from console.recipes import document
from console.replay import report
from console.replay.app import Origin, Wish
from console.replay.app import replay as replay_all
from console.replay.inputs import Stage
from console.replay.redo import Operator
from console.replay.scope import Area, Scope
from panoveil import telemetry
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.ledger import FAR_FUTURE

_OUT, _ERR = Console(), Console(stderr=True)
_NOT_ALL, _STOPPED = 65, 130


def replay(
    stage: Annotated[
        Stage, typer.Option(help="Where to begin: stitch anew from the originals, or anonymise anew what is stitched.")
    ],
    drive: Annotated[str | None, typer.Option(help="Only this drive: <survey>/<drive>.")] = None,
    survey: Annotated[str | None, typer.Option(help="Only this survey.")] = None,
    captures: Annotated[
        list[str] | None, typer.Option("--capture", help="Only this capture, <survey>/<drive>/<capture>; may be repeated.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what was taken since then: 12h, 3d, 2w ago, or 2026-06-01T12:00 (UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only what was taken until then, likewise.")] = None,
    area: Annotated[str | None, typer.Option(metavar="W,S,E,N", help="Only what was taken there, in degrees.")] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="Settings of the new recipe, as `panoveil recipes show` prints them; else the running ones."),
    ] = None,
    origin: Annotated[
        Origin,
        typer.Option(
            "--from",
            help="Where the stage's messages come from: the ledger, which has all there ever were, or the stream, while it keeps them. "
            "auto: the stream where only --since and --until are given and it reaches back that far.",
        ),
    ] = "auto",
    rate: Annotated[float | None, typer.Option(min=0.001, help="At most so many captures a second.")] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="So many captures at a time.")] = 1,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip",
            help="Whether what is verified and published becomes the current publication at once; unset: where there is a --recipe.",
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            envvar="PANOVEIL_OPERATOR", help="Who decides: a role or a number that your own register explains, no person's name."
        ),
    ] = "operator",
    because: Annotated[str, typer.Option(help="Why; it goes into the audit chain, so name nobody and no place.")] = "replayed",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a capture on standard output, then the counts.")] = False,
) -> None:
    """Run a part of the past again under another recipe, beside live traffic and at the lowest priority.

    What the new recipe publishes lies beside the old, and becomes current per panorama once it is verified; with --no-flip nothing
    visible changes until `panoveil recipes flip`. Without --recipe the running one does what it has not done yet: a panorama that is
    damaged or gone is stitched anew, what was never published is, and what is current stays so. What a recipe did before is not done again, so a replay that was stopped or killed
    goes on with the same command. A panorama that the new recipe holds keeps its old publication.

    PANOVEIL_METRICS_PORT serves Prometheus metrics there, while it runs.

    Exit code 0: all redone, skipped or held; 65: some failed, each with its sentence; 130: stopped before its end.

    Examples:
        panoveil recipes show > new.json
        panoveil replay --stage anonymizer --drive fyn-2026/car7-0601 --recipe new.json --dry-run
        panoveil replay --stage anonymizer --survey fyn-2026 --recipe new.json --no-flip --rate 2
        panoveil replay --stage stitcher --since 2026-06-01 --until 2026-06-08 --area 10.3,55.3,10.5,55.5 --recipe new.json
        panoveil replay --stage stitcher --capture fyn-2026/car7-0601/000001
    """
    scope = _scope(drive, survey, captures or (), since, until, area)
    status.settings()
    if origin == "stream" and not scope.since:
        raise typer.BadParameter("--from stream needs --since: from when on to read")
    wanted = recipe is not None if flip is None else flip
    operator = Operator(by, because, lambda: datetime.now(UTC)) if wanted else None
    wish = Wish(stage, scope, document.read(recipe), operator, rate, parallel, dry_run, origin)
    tally = report.Tally()
    with status.asking(wish.recipes.stitcher):
        whole = _run(wish, tally, as_json=as_json)
    if as_json:
        typer.echo(json.dumps({**tally.as_json(), "dry_run": dry_run, "stopped": not whole}))
    else:
        _say(f"Would be: {tally}" if dry_run else str(tally))
    if not whole:
        _ERR.print("Stopped: the same command does the rest.", soft_wrap=True)
        raise typer.Exit(_STOPPED)
    raise typer.Exit(_NOT_ALL if tally.counts["failed"] else 0)


def _run(wish: Wish, tally: report.Tally, *, as_json: bool) -> bool:
    bar = report.Bar(wish.stage, _ERR)
    shown = report.json_lines(wish.stage, typer.echo) if as_json else bar
    listeners: list[report.Listener] = [tally, shown, *_metered(wish)]

    def hear(event: report.Event) -> None:
        for listener in listeners:
            listener(event)

    with contextlib.nullcontext() if as_json else bar.progress:
        whole = asyncio.run(replay_all(wish, hear))
    if whole:
        telemetry.linger()
    return whole


def _metered(wish: Wish) -> list[report.Listener]:
    """Serve metrics where they are asked for."""
    settings = wish.recipes.anonymizer
    if wish.dry_run or not settings.metrics_port:
        return []
    telemetry.serve(settings.metrics_host, settings.metrics_port)
    return [report.metered(wish.stage, [settings.face_model, settings.plate_model])]


def _scope(
    drive: str | None, survey: str | None, captures: Sequence[str], since: str | None, until: str | None, area: str | None
) -> Scope:
    now = datetime.now(UTC)
    first, last = parse_time(since, now), parse_time(until, now)
    try:
        named = frozenset(map(CaptureId.parse, captures))
    except Rejected as error:
        raise typer.BadParameter(f"--capture: {error.detail}") from error
    times = (first or 0.0, FAR_FUTURE if last is None else last)
    scope = Scope(drive, survey, named, *times, Area.parse(area) if area else None)
    if scope.everything:
        raise typer.BadParameter("say what: --drive, --survey, --capture, --since, --until or --area")
    return scope


def _say(text: str) -> None:
    _OUT.print(text, soft_wrap=True, markup=False, highlight=False)
