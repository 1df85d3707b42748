"""`panoveil ledger …`: options in, one function called, text out."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from console import status
from console.ledger import evidence, inventory, rebuild
from console.ledger.rebuild import Rebuilt
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.runtime import connect
from panoveil.settings import Settings

ledger_app = typer.Typer(no_args_is_help=True, help="The memory that all services share, and how to get it back.")
_OUT = Console()
_PROBLEMS = 65


@ledger_app.callback()
def _group() -> None:
    """Keep `rebuild` a command of its own, also while it is the only one."""


@ledger_app.command("rebuild")
def rebuild_ledger(
    drive: Annotated[str | None, typer.Option("--drive", help="Only this drive: <survey>/<drive>.")] = None,
    survey: Annotated[str | None, typer.Option("--survey", help="Only this survey.")] = None,
    audit: Annotated[
        list[Path] | None, typer.Option("--audit", help="A file of `panoveil audit export`, one a drive; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a drive on standard output.")] = False,
) -> None:
    """Write what the ledger would say, read from the buckets, where it says nothing: after its table was lost.

    Stop the services, provision the table, rebuild, start them again. What is published is known again, and which publication is current;
    what lies in quarantine is listed again; whatever else is there is worked on again from its originals. What stands in the ledger is
    never overwritten, so this may be repeated, and be stopped.

    The buckets do not know: audit chains (give their exported files by --audit: then also what was held, which single captures were
    erased, and how often a pointer was moved), grades, what was found in frames, what archive objects hold, and who decided what about
    quarantine entries.

    Exit code 0: all is known again; 65: something is left to a person, each with its sentence.

    Examples:
        panoveil ledger rebuild --dry-run
        panoveil ledger rebuild --survey fyn-2026 --audit car7-0601.audit --audit car7-0602.audit
        panoveil ledger rebuild --drive fyn-2026/car7-0601 --json
    """
    if drive is not None and survey is not None:
        raise typer.BadParameter("say --drive or --survey, not both")
    _require_name(f"{drive}/x" if drive is not None else f"{survey}/x/x" if survey is not None else "x/x/x")
    known = evidence.read(audit or ())
    chosen = status.settings()
    with status.asking(chosen):
        results = asyncio.run(_rebuilt(chosen, drive, survey, known, dry_run=dry_run, as_json=as_json))
    if not as_json:
        _say(_summary(results, dry_run=dry_run))
    raise typer.Exit(_PROBLEMS if any(result.problems for result in results) else 0)


def _require_name(text: str) -> None:
    try:
        CaptureId.parse(text)
    except Rejected as error:
        raise Misconfigured("That is no name: write --drive <survey>/<drive> or --survey <survey>.") from error


async def _rebuilt(
    chosen: Settings,
    drive: str | None,
    survey: str | None,
    known: Mapping[str, evidence.Evidence],
    *,
    dry_run: bool,
    as_json: bool,
) -> list[Rebuilt]:
    results = []
    async with connect(chosen) as world:
        meant = [drive] if drive else sorted({*await inventory.drives(survey, world.blobs), *(() if survey else known)})
        async for result in rebuild.rebuild(meant, dict(known), world, dry_run=dry_run):
            results.append(result)
            for line in [rebuild.document_of(result, dry_run=dry_run)] if as_json else _lines(result, dry_run=dry_run):
                _say(line)
    return results


def _lines(result: Rebuilt, *, dry_run: bool) -> list[str]:
    verb = "would write" if dry_run else "wrote"
    told = f"{result.drive_id}: {_counted(result.states) or 'no captures'}; {verb} {_counted(result.wrote) or 'nothing'}"
    return [told, *(f"  {problem}." for problem in result.problems)]


def _summary(results: list[Rebuilt], *, dry_run: bool) -> str:
    states = sum((result.states for result in results), Counter[str]())
    problems = sum(len(result.problems) for result in results)
    rest = f"{problems} things are left to a person" if problems else "nothing is left to a person"
    return (
        f"{'Would be known' if dry_run else 'Known'} again: {len(results)} drives, {_counted(states) or 'no captures'}; {rest}."
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _say(text: str) -> None:
    _OUT.print(text, soft_wrap=True, markup=False, highlight=False)
