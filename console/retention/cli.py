"""`panoveil retention …`: options in, one function called, text out."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from console import status
from console.retention import apply as applying
from console.retention.apply import Done
from console.retention.due import Due
from console.retention.rules import read
from panoveil.contracts.errors import Misconfigured
from panoveil.runtime import Connections

retention_app = typer.Typer(
    no_args_is_help=True, help="How long each class of data is kept: what is due by the rules, and its end."
)
_OUT, _ERR = Console(), Console(stderr=True)
_NOT_ALL = 65

RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        envvar="PANOVEIL_RETENTION",
        help="The file of rules; else the one that comes with Panoveil (`rules` prints it).",
    ),
]
OfDrive = Annotated[str | None, typer.Option("--drive", help="Only this drive: <survey>/<drive>.")]
OfSurvey = Annotated[str | None, typer.Option("--survey", help="Only this survey.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON line a drive and class on standard output.")]
By = Annotated[
    str,
    typer.Option(envvar="PANOVEIL_OPERATOR", help="Who applies the rules: a role or a number, no person's name."),
]


@retention_app.command("rules")
def show_rules(rules: RulesFile = None) -> None:
    """Print the rules in force, after checking them: to change, and to give to `plan` and `apply`.

    Examples:
        panoveil retention rules > retention.toml
        panoveil retention rules --rules retention.toml
    """
    typer.echo(read(rules).source.read_text(), nl=False)


@retention_app.command("plan")
def plan_retention(rules: RulesFile = None, drive: OfDrive = None, survey: OfSurvey = None, as_json: AsJson = False) -> None:
    """Say what is due by the rules, of which drive and why. Removes nothing.

    Originals are due only once they lie in the archive, checked; those of captures that are still worked on never are. What is left of
    something erased is due at once.

    Examples:
        panoveil retention plan
        panoveil retention plan --survey fyn-2026 --rules retention.toml --json
    """
    chosen = read(rules)

    async def work(world: Connections) -> list[Due]:
        meant = await _meant(world, survey, drive)
        return [one async for one in applying.plan(meant, chosen, world, datetime.now(UTC).timestamp())]

    _show([Done(one) for one in status.answer(work)], "due", as_json=as_json)


@retention_app.command("apply")
def apply_retention(
    rules: RulesFile = None, drive: OfDrive = None, survey: OfSurvey = None, by: By = "retention", as_json: AsJson = False
) -> None:
    """Remove what is due, each drive and class noted in the drive's audit chain first. Meant to run daily; again, it does what is left.

    An original stays where its archive object is not there, or where it was written again since it was archived.

    Exit code 0: all that was due is gone; 65: some had to stay, each with its sentence.

    Examples:
        panoveil retention apply --survey fyn-2026 --rules retention.toml
    """
    chosen = read(rules)

    async def work(world: Connections) -> list[Done]:
        meant = await _meant(world, survey, drive)
        return [one async for one in applying.apply(meant, chosen, by, world, lambda: datetime.now(UTC))]

    _show(status.answer(work), "removed", as_json=as_json)


async def _meant(world: Connections, survey: str | None, drive: str | None) -> list[str]:
    meant = await applying.drives(world.ledger, survey, drive)
    if not meant and (drive or survey):
        raise Misconfigured(f"No drive of {drive or survey!r} is in the ledger; `panoveil status` lists those that are.")
    return meant


def _show(done: Sequence[Done], word: str, *, as_json: bool) -> None:
    rows = [_row(one.due) for one in done if one.due.objects]
    for row in rows if as_json else ():
        typer.echo(json.dumps(row))
    if rows and not as_json:
        _OUT.print(_table(rows))
    problems = [problem for one in done for problem in one.problems]
    for problem in problems:
        _say(problem, _ERR)
    objects, size = sum(len(one.due.objects) for one in done), sum(one.due.size for one in done)
    _say(f"{objects} objects {word}, {size / 1e9:.3f} GB; {len(problems)} had to stay.", _ERR if as_json else _OUT)
    raise typer.Exit(_NOT_ALL if problems else 0)


def _row(one: Due) -> dict[str, Any]:
    """Return the keys programs rely on."""
    return {
        "drive": one.drive_id,
        "class": one.data_class,
        "keep": one.keep,
        "objects": len(one.objects),
        "bytes": one.size,
        "oldest": datetime.fromtimestamp(one.oldest, UTC).isoformat(timespec="seconds"),
    }


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table()
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row.values()))
    return table


def _say(text: str, console: Console) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)
