"""`panoveil quarantine …`: options in, one function called, text out."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from console import status
from console.quarantine import deeds, views
from console.quarantine.selection import Found, Wish, find, parse_time
from panoveil import quarantine
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import Bucket
from panoveil.ledger import FAR_FUTURE, QuarantineEntry
from panoveil.runtime import Connections, connect
from panoveil.settings import Settings

quarantine_app = typer.Typer(
    no_args_is_help=True, help="What cannot be worked on: find it, read why, send it again once it is mended, or let it be."
)
_OUT, _ERR = Console(), Console(stderr=True)
_NOT_ALL = 65
_Result = TypeVar("_Result")

Entries = Annotated[list[str] | None, typer.Argument(metavar="[ENTRY]...", help="Entry ids, or <survey>/<drive>/<capture>.")]
OfReason = Annotated[str | None, typer.Option("--reason", help="Only this reason, as `list` names it.")]
OfService = Annotated[
    str | None, typer.Option("--service", help="Only what this service put away: ingest, stitcher, anonymizer.")
]
OfDrive = Annotated[str | None, typer.Option("--drive", help="Only this drive: <survey>/<drive>.")]
OfSurvey = Annotated[str | None, typer.Option("--survey", help="Only this survey.")]
Since = Annotated[
    str | None, typer.Option("--since", help="Put away since then: 30m, 12h, 3d, 2w ago, or 2026-06-01T12:00 (UTC).")
]
Until = Annotated[str | None, typer.Option("--until", help="Put away until then, likewise.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON line an entry on standard output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
By = Annotated[
    str,
    typer.Option(
        "--by",
        envvar="PANOVEIL_OPERATOR",
        help="Who decides: a role or a number that your own register explains, no person's name.",
    ),
]


def _wish(
    names: Sequence[str] | None,
    reason: str | None,
    service: str | None,
    drive: str | None,
    survey: str | None,
    since: str | None,
    until: str | None,
    *,
    decided: bool = False,
) -> Wish:
    now = datetime.now(UTC)
    first, last = parse_time(since, now), parse_time(until, now)
    times = {"since": first or 0.0, "until": FAR_FUTURE if last is None else last}
    return Wish(tuple(names or ()), reason, service, drive, survey, **times, decided=decided)


@quarantine_app.command("list")
def list_entries(
    names: Entries = None,
    reason: OfReason = None,
    service: OfService = None,
    drive: OfDrive = None,
    survey: OfSurvey = None,
    since: Since = None,
    until: Until = None,
    decided: Annotated[bool, typer.Option("--all", help="Those that are settled or dropped too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what lies in quarantine, oldest first.

    An entry whose capture was published or held after all leaves the list by itself; --all shows it still.

    Examples:
        panoveil quarantine list
        panoveil quarantine list --reason unknown_rig --since 3d
        panoveil quarantine list --drive fyn-2026/car7-0601 --all --json
    """
    wish = _wish(names, reason, service, drive, survey, since, until, decided=decided)
    _show_list(asyncio.run(_connected(lambda world, _: _listed(wish, world))), as_json=as_json)


@quarantine_app.command("show")
def show_entry(
    name: Annotated[str, typer.Argument(metavar="ENTRY", help="An entry's id, or <survey>/<drive>/<capture>.")],
    as_json: AsJson = False,
) -> None:
    """Show an entry: the record as JSON, the reason and what to do about it, the traceback, attempts and ages. Never pixels.

    Examples:
        panoveil quarantine show 5f0c1a9be37d
        panoveil quarantine show fyn-2026/car7-0601/000001 --json
    """
    for shown in asyncio.run(_connected(lambda world, _: _shown(name, world))):
        if as_json:
            typer.echo(json.dumps(shown))
        else:
            _print(views.text(shown) + "\n", _OUT)


@quarantine_app.command("redrive")
def redrive_entries(
    names: Entries = None,
    reason: OfReason = None,
    service: OfService = None,
    drive: OfDrive = None,
    survey: OfSurvey = None,
    since: Since = None,
    until: Until = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is listed.")] = False,
    by: By = "operator",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send entries again, to the stream they came from, once their cause is mended.

    A capture that never became whole is announced anew from what the ledger saw, and has all its time again. Sending something
    twice does no harm. An entry that fails again is listed again; one whose capture is published or held leaves the list.

    Exit code 0: all were sent; 65: some could not be, each with its sentence.

    Examples:
        panoveil quarantine redrive --reason unknown_rig --dry-run
        panoveil quarantine redrive --reason unknown_rig --drive fyn-2026/car7-0601 --by operator-4
        panoveil quarantine redrive 5f0c1a9be37d
    """
    wish = _chosen(_wish(names, reason, service, drive, survey, since, until), every=every)

    async def work(world: Connections, settings: Settings) -> list[deeds.Outcome]:
        deed = deeds.redrive(world, settings.bucket(Bucket.RAW), deeds.Operator(by))
        return await _done(wish, world, None if dry_run else deed)

    _show_outcomes(asyncio.run(_connected(work)), "sent again", dry_run=dry_run, as_json=as_json)


@quarantine_app.command("drop")
def drop_entries(
    names: Entries = None,
    reason: OfReason = None,
    service: OfService = None,
    drive: OfDrive = None,
    survey: OfSurvey = None,
    since: Since = None,
    until: Until = None,
    *,
    because: Annotated[str, typer.Option(help="Why; it goes into the drive's audit chain, so name nobody and no place.")],
    every: Annotated[bool, typer.Option("--all", help="Everything that is listed.")] = False,
    by: By = "operator",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Decide that entries stay as they are: their captures stay quarantined, with this note. Nothing is deleted.

    Exit code 0: all were dropped; 65: some could not be.

    Examples:
        panoveil quarantine drop --reason unknown_key --until 4w --because "test uploads of the depot" --by operator-4
        panoveil quarantine drop fyn-2026/car7-0601/000001 --because "the frame was never written to disk"
    """
    wish = _chosen(_wish(names, reason, service, drive, survey, since, until), every=every)

    async def work(world: Connections, _settings: Settings) -> list[deeds.Outcome]:
        return await _done(wish, world, None if dry_run else deeds.drop(world, deeds.Operator(by), because))

    _show_outcomes(asyncio.run(_connected(work)), "dropped", dry_run=dry_run, as_json=as_json)


@quarantine_app.command("adopt")
def adopt_entries() -> None:
    """Make entries that an earlier version of Panoveil wrote listable. Once is enough; again does no harm.

    Examples:
        panoveil quarantine adopt
    """
    count = asyncio.run(_connected(lambda world, _: deeds.adopt(world)))
    _print(f"{count} entries of an earlier version can be listed now.", _OUT)


def _chosen(wish: Wish, *, every: bool) -> Wish:
    if wish.everything and not every:
        raise typer.BadParameter("say which: entries, --reason, --drive, --survey, --service, --since, --until, or --all")
    return wish


async def _connected(work: Callable[[Connections, Settings], Awaitable[_Result]]) -> _Result:
    settings = status.settings()
    with status.asking(settings):
        async with connect(settings) as world:
            return await work(world, settings)


async def _listed(wish: Wish, world: Connections) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows, and whether there are entries of an earlier version besides."""
    now = datetime.now(UTC)
    rows = [views.row(found, now) async for found in find(wish, world.ledger)]
    return rows, await anext(deeds.of_before(world), None) is not None


async def _shown(name: str, world: Connections) -> list[dict[str, Any]]:
    for wish in (Wish((name,)), Wish((name,), decided=True)):  # what is listed is found without reading every drive
        if found := [one async for one in find(wish, world.ledger)]:
            return [await _details(one, world) for one in found]
    raise Misconfigured(f"No entry {name!r} is in quarantine; `panoveil quarantine list` lists those that are.")


async def _details(found: Found, world: Connections) -> dict[str, Any]:
    now = datetime.now(UTC)
    try:
        return views.details(found, await quarantine.content(found.entry, world.blobs), "", now)
    except Rejected as error:
        return views.details(found, None, str(error), now)


async def _done(wish: Wish, world: Connections, deed: deeds.Deed | None) -> list[deeds.Outcome]:
    """Do it for all that is meant; without a deed only say for which."""
    entries: list[QuarantineEntry] = [found.entry async for found in find(wish, world.ledger)]
    return await deeds.each(entries, deed) if deed else [deeds.Outcome(entry) for entry in entries]


def _show_list(result: tuple[list[dict[str, Any]], bool], *, as_json: bool) -> None:
    rows, older = result
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
    elif rows:
        _OUT.print(views.table(rows))
        _print(f"{len(rows)} entries. `panoveil quarantine show ENTRY` says more about one.", _OUT)
    else:
        _print("Nothing lies in quarantine.", _OUT)
    if older:
        _print("Entries of an earlier version are not listed: run `panoveil quarantine adopt` once.", _ERR)


def _show_outcomes(outcomes: list[deeds.Outcome], done: str, *, dry_run: bool, as_json: bool) -> None:
    for outcome in outcomes:
        entry = outcome.entry
        if as_json:
            facts = {"entry": entry.entry_id, "capture": entry.partition_key, "reason": entry.reason, "fate": entry.fate.value}
            typer.echo(json.dumps({**facts, "redrives": entry.redrives, "dry_run": dry_run, "problem": outcome.problem}))
        elif outcome.problem or dry_run:
            _print(f"{entry.entry_id} {entry.partition_key}: {outcome.problem or f'would be {done}'}", _OUT)
    failed = sum(bool(outcome.problem) for outcome in outcomes)
    _print(f"{len(outcomes) - failed} {'would be ' if dry_run else ''}{done}, {failed} not.", _ERR if as_json else _OUT)
    raise typer.Exit(_NOT_ALL if failed else 0)


def _print(text: str, console: Console) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)
