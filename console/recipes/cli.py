"""`panoveil recipes …`: options in, one function called, text out."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from console import status
from console.recipes import deeds, document, pictures, published, views
from console.recipes.diff import Change, Diff, diff
from panoveil.publication import Decision
from panoveil.runtime import Connections

recipes_app = typer.Typer(
    no_args_is_help=True, help="Which recipes are published, how they differ, and which publication is the current one."
)
_OUT, _ERR = Console(), Console(stderr=True)
_NOT_ALL = 65

OfDrive = Annotated[str | None, typer.Option("--drive", help="This drive: <survey>/<drive>.")]
OfSurvey = Annotated[str | None, typer.Option("--survey", help="Every drive of this survey.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]
By = Annotated[
    str,
    typer.Option(
        envvar="PANOVEIL_OPERATOR", help="Who decides: a role or a number that your own register explains, no person's name."
    ),
]
Because = Annotated[str, typer.Option(help="Why; it goes into the audit chain, so name nobody and no place.")]


@recipes_app.command("show")
def show_recipe(
    recipe: Annotated[Path | None, typer.Option(help="A file that is to be completed with the running settings.")] = None,
) -> None:
    """Print the settings that services run by in this environment, to change and give to `panoveil replay --recipe`.

    Examples:
        panoveil recipes show > new.json
        panoveil recipes show --recipe new.json
    """
    status.settings()
    typer.echo(json.dumps(document.read(recipe).document(), indent=2))


@recipes_app.command("views")
def show_views(
    width: Annotated[int, typer.Option(min=256, help="Of the panoramas, pixels.")] = 8192, as_json: AsJson = False
) -> None:
    """Print what each view plan (PANOVEIL_VIEW_PLAN) shows the detectors of a panorama: views, scales, megapixels for faces and for plates.

    What a panorama costs is about proportional to the megapixels of both looks; the second is the verification's.

    Examples:
        panoveil recipes views
        panoveil recipes views --width 12000 --json
    """
    rows = views.rows(width)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
    else:
        _OUT.print(_table([row | {"scales": " ".join(map(str, row["scales"]))} for row in rows]))


@recipes_app.command("list")
def list_recipes(drive: OfDrive = None, survey: OfSurvey = None, as_json: AsJson = False) -> None:
    """List the recipes that published something, how many captures each, and of how many it is the current publication.

    Examples:
        panoveil recipes list --drive fyn-2026/car7-0601
        panoveil recipes list --survey fyn-2026 --json
    """

    async def work(world: Connections) -> list[dict[str, Any]]:
        return [row async for one in published.drives(drive, survey, world.ledger) for row in published.rows(one)]

    rows = status.answer(work)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
    elif rows:
        _OUT.print(_table(rows))
    else:
        _say("Nothing was published or held yet.")


@recipes_app.command("diff")
def diff_recipes(
    before: Annotated[str, typer.Argument(metavar="A", help="A recipe: its id, or the beginning of it.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    drive: Annotated[str, typer.Option("--drive", help="What they published of this drive: <survey>/<drive>.")],
    drawn: Annotated[
        Path | None, typer.Option("--pictures", help="Write published pictures there, A and B side by side, where boxes differ.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="With --pictures: at most so many.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Say what B changes against A: boxes gained and lost, publications missing, the share that is hidden, settings that differ.

    A box stands for another of its kind from an intersection over union of 0.3, or where it holds nearly all of it.

    Examples:
        panoveil recipes diff 9d2e8b 0a1b2c --drive fyn-2026/car7-0601 --pictures looked-at/
        panoveil recipes diff 9d2e8b 0a1b2c --drive fyn-2026/car7-0601 --json | jq -c 'select(.lost != [])'
    """

    async def work(world: Connections) -> tuple[Diff, int]:
        of_drive = await published.read(drive, world.ledger)
        names = [published.resolve(name, of_drive) for name in (before, after)]
        found = await diff(of_drive, names[0], names[1], world.ledger)
        return found, await pictures.write(found, world.blobs, drawn, most) if drawn else 0

    found, count = status.answer(work)
    if as_json:
        for change in found.changes:
            typer.echo(json.dumps(change.as_json()))
        typer.echo(json.dumps(found.totals()))
    else:
        _show_diff(found)
    if drawn:
        _ERR.print(f"{count} pictures in {drawn}: A on the left, B on the right; gained green, lost red.", soft_wrap=True)


def _show_diff(found: Diff) -> None:
    rows = [_diff_row(change) for change in found.changes if change.gained or change.lost or not (change.before and change.after)]
    if rows:
        _OUT.print(_table(rows))
    totals = found.totals()
    for name, (old, new) in found.settings.items():
        _say(f"{name}: {old} → {new}")
    gained, lost = ((f"{totals[way]['face']} faces and {totals[way]['plate']} plates") for way in ("gained", "lost"))
    _say(f"{totals['both']} captures published by both: {gained} gained, {lost} lost in {totals['changed']} of them.")
    _say(f"{totals['only_before']} published by A only, {totals['only_after']} by B only.")
    if totals["both"]:
        _say(f"Hidden on average: {totals['share'][0]:.3%} of the picture by A, {totals['share'][1]:.3%} by B.")


def _diff_row(change: Change) -> dict[str, Any]:
    told = change.as_json()
    return {
        "capture": change.capture_id.capture,
        "gained": len(change.gained),
        "lost": len(change.lost),
        "boxes": " → ".join("-" if count is None else str(count) for count in told["boxes"]),
        "hidden": " → ".join("-" if part is None else f"{part:.3%}" for part in told["share"]),
        "missing": {"before": "in A", "after": "in B", None: ""}[told["missing"]],
        "why": change.why,
    }


@recipes_app.command("flip")
def flip_recipe(
    to: Annotated[str, typer.Option(help="The recipe whose publications become current: its id, or the beginning of it.")],
    drive: OfDrive = None,
    survey: OfSurvey = None,
    by: By = "operator",
    because: Because = "flipped",
    as_json: AsJson = False,
) -> None:
    """Make a recipe's publications the current ones, per panorama; what the recipe did not publish stays as it is.

    Exit code 0: all that it published are current; 65: some could not be flipped. Again, it does the rest.

    Examples:
        panoveil recipes flip --drive fyn-2026/car7-0601 --to 0a1b2c --by operator-4 --because "the new plate model"
    """
    _require(drive, survey)

    async def work(world: Connections) -> list[deeds.Moved]:
        found = [one async for one in published.drives(drive, survey, world.ledger)]
        meant = [one for one in found if len(found) == 1 or any(recipe.startswith(to) for recipe in one.outcomes)]
        what = f"No drive of {survey} was published under a recipe {to!r}."
        decision = _decision(by, because, "flip")
        moved = [await deeds.flip(one, published.resolve(to, one), decision, world) for one in deeds.require_some(meant, what)]
        return [one for of_drive in moved for one in of_drive]

    _show(status.answer(work), "flipped", as_json=as_json)


@recipes_app.command("rollback")
def roll_back_recipe(
    drive: OfDrive = None, survey: OfSurvey = None, by: By = "operator", because: Because = "rolled back", as_json: AsJson = False
) -> None:
    """Make current again what was so before the last flip of each capture.

    What was rolled back already stays: again, it does only the rest. Exit code 65: some could not be rolled back.

    Examples:
        panoveil recipes rollback --drive fyn-2026/car7-0601 --by operator-4 --because "misses plates"
    """
    _require(drive, survey)

    async def work(world: Connections) -> list[deeds.Moved]:
        decision = _decision(by, because, "rollback")
        found = published.drives(drive, survey, world.ledger)
        return [moved async for one in found for moved in await deeds.roll_back(one, decision, world)]

    _show(status.answer(work), "rolled back", as_json=as_json)


def _decision(by: str, because: str, action: Literal["flip", "rollback"]) -> Decision:
    return Decision(by, because, datetime.now(UTC), action)


def _require(drive: str | None, survey: str | None) -> None:
    if (drive is None) == (survey is None):
        raise typer.BadParameter("name a drive with --drive, or a survey with --survey")


def _show(moved: list[deeds.Moved], done: str, *, as_json: bool) -> None:
    for one in moved:
        if as_json:
            typer.echo(
                json.dumps({"capture": one.capture_id, "outcome": one.kind, "recipe": one.recipe_id, "detail": one.detail})
            )
        elif one.kind == "failed":
            _say(f"{one.capture_id}: {one.detail}")
    counts = {kind: sum(one.kind == kind for one in moved) for kind in ("moved", "left", "failed")}
    text = f"{counts['moved']} {done}, {counts['left']} left as they are, {counts['failed']} failed."
    (_ERR if as_json else _OUT).print(text, soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(_NOT_ALL if counts["failed"] else 0)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table()
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row.values()))
    return table


def _say(text: str) -> None:
    _OUT.print(text, soft_wrap=True, markup=False, highlight=False)
