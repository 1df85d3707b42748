"""`panoveil holds …`: options in, one function called, text out."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from console import status
from console.holds import deeds, pictures, views
from console.holds.cases import captures, find
from console.holds.deeds import Drawn, Ended, Operator, Release, Wish
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import Name, PanoramaHeld, PanoramaStitched
from panoveil.ledger import Ledger
from panoveil.runtime import Connections
from services.anonymizer.app import stitched

holds_app = typer.Typer(
    no_args_is_help=True, help="What must not be published until a person decides: look at it, release it, or keep it held."
)
_OUT, _ERR = Console(), Console(stderr=True)
_USAGE, _HELD, _NOT_YET = 64, 65, 75
_EVERY = 1.0
"""Seconds between two looks at what came of a release."""
_BOX = re.compile(r"(?:(face|plate):)?(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})")
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_LONGEST_WHY = 500


def _role(value: str) -> str:
    try:
        return _NAME.validate_python(value)
    except ValidationError as error:
        raise typer.BadParameter("a role or a number: letters, digits, '.', '_' and '-', no blank, no person's name") from error


def _reason(value: str) -> str:
    if not value.strip() or len(value) > _LONGEST_WHY:
        raise typer.BadParameter(f"say why, in at most {_LONGEST_WHY} characters: it goes into the audit chain")
    return value


Capture = Annotated[str, typer.Argument(metavar="CAPTURE", help="<survey>/<drive>/<capture>.")]
By = Annotated[
    str,
    typer.Option(
        "--by",
        envvar="PANOVEIL_OPERATOR",
        callback=_role,
        help="Who decides: a role or a number that your own register explains, no person's name.",
    ),
]
Because = Annotated[
    str,
    typer.Option("--because", callback=_reason, help="Why; it goes into the drive's audit chain, so name nobody and no place."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, a line each.")]


@holds_app.command("list")
def list_holds(
    drive: Annotated[str | None, typer.Argument(metavar="[DRIVE]", help="Only this drive: <survey>/<drive>.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only what is held for this reason.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Those too that somebody decided to keep held, or that were published since.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is held and waits for a person: why, how much was left, since when, and what was decided.

    Examples:
        panoveil holds list
        panoveil holds list fyn-2026/car7-0601 --reason not_verified
        panoveil holds list --all --json
    """

    async def work(world: Connections) -> list[dict[str, Any]]:
        now = datetime.now(UTC)
        found = [views.row(state, case, now) async for state, case in captures(drive, world.ledger, every=every)]
        return [row for row in found if reason in {None, row["reason"]}]

    rows = status.answer(work)
    shown = [row for row in rows if every or views.is_open(row)]
    if as_json:
        for row in shown:
            typer.echo(json.dumps(row))
        return
    if shown:
        _OUT.print(views.table(shown))
    kept = "" if len(shown) == len(rows) else f" {len(rows) - len(shown)} more are kept held: --all."
    _say(f"{len(shown)} {'listed' if every else 'wait for a decision'}.{kept} `panoveil holds show CAPTURE` says more about one.")


@holds_app.command("show")
def show_hold(
    capture: Capture,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture", dir_okay=False, help="Write a JPEG for your eyes there: it shows sealed pixels, so personal data."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show why a capture is held: what was left, numbered, what is hidden, what was decided about it.

    Without --picture no pixel is read. With it a JPEG is written that only you may read: the sealed panorama with what was found
    hidden as the service hides it, and what was left in the open, outlined, numbered and enlarged. Delete it when you have decided.

    Examples:
        panoveil holds show fyn-2026/car7-0601/000001
        panoveil holds show fyn-2026/car7-0601/000001 --picture look.jpg
    """
    capture_id = CaptureId.parse(capture)

    async def work(world: Connections) -> dict[str, Any]:
        case = await find(capture_id, world.ledger)
        if picture is not None:
            await pictures.write(case, world.blobs, picture)
        message = await _message(capture_id, case.hold.recipe.stitch_recipe_id, world.ledger)
        return views.details(case, message, datetime.now(UTC))

    shown = status.answer(work)
    if as_json:
        typer.echo(json.dumps(shown))
    else:
        _say(views.text(shown))
        if shown["regions"]:
            _OUT.print(views.regions(shown))
    if picture is not None:
        _say(f"{picture}: {pictures.LEGEND} {pictures.WARNING}", _ERR)


async def _message(capture_id: CaptureId, stitch_recipe_id: str, ledger: Ledger) -> PanoramaStitched | None:
    done = await ledger.finished(capture_id, "stitcher", stitch_recipe_id)
    try:
        return None if done is None else stitched(done)
    except Rejected:
        return None


@holds_app.command("release")
def release_hold(
    capture: Capture,
    *,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept", metavar="N|all", help="What was left under this number is nobody and no plate; may be repeated."
        ),
    ] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option(
            "--hide",
            metavar="X0,Y0,X1,Y1",
            help="Hide this box besides, in pixels of the panorama; X0 beyond X1 goes round the edge. It counts as a face, "
            "with plate: before it as a plate; may be repeated.",
        ),
    ] = None,
    waive: Annotated[
        bool, typer.Option("--waive-quality", help="The panorama is good enough: the quality gate does not count.")
    ] = False,
    by: By,
    because: Because,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only said what would be done.")] = False,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for what comes of it; 0 does not wait.")] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Have a held panorama looked at once more, with your decision counting, and wait for what comes of it.

    Everything is done as ever: found, hidden, verified with all looks. Only what you accepted does not hold it any more; what else is
    found still does. The decision goes into the audit chain before anything is sent, and into the recipe of what is published.
    Given again, the same decision only tells what came of it.

    Exit code 0: published; 64: --yes is missing; 65: held again; 75: nothing came of it yet, the same command tells later.

    Examples:
        panoveil holds release fyn-2026/car7-0601/000001 --accept 1 --accept 3 --by reviewer-3 --because "faces on a poster" --yes
        panoveil holds release fyn-2026/car7-0601/000001 --accept all --hide plate:8100,2210,60,2260 --by reviewer-3 --because "seen" --dry-run
        panoveil holds release fyn-2026/car7-0601/000002 --waive-quality --by reviewer-3 --because "rain, but readable" --yes
    """
    capture_id, operator = CaptureId.parse(capture), Operator(by, because)
    numbers, all_left = _numbers(accept or [])
    wish = Wish(numbers, all_left, tuple(map(_box, hide or [])), waive)

    async def work(world: Connections) -> tuple[Release, Ended | None]:
        meant = await deeds.planned(capture_id, wish, world)
        if meant.ended is not None or dry_run or not yes:
            return meant, meant.ended
        known = await deeds.known_recipes(capture_id, world.ledger)
        await deeds.release(meant, operator, world)
        with _ERR.status(f"Waiting for what comes of {capture_id}"):
            return meant, await deeds.awaited(meant, known, world.ledger, _until(patience))

    meant, ended = status.answer(work)
    asked_only = ended is None and (dry_run or not yes)
    if as_json:
        typer.echo(json.dumps(views.plan(meant) | views.ending(ended) | {"dry_run": asked_only}))
    if asked_only:
        _say(views.told(meant), _ERR if as_json else _OUT)
        if not dry_run:
            _say("Nothing was done: add --yes.", _ERR)
        raise typer.Exit(0 if dry_run else _USAGE)
    _tell(meant, ended, _ERR if as_json else _OUT)


def _tell(meant: Release, ended: Ended | None, console: Console) -> None:
    capture_id = meant.capture_id
    if ended is None:
        _say(f"{capture_id}: noted and sent; nothing came of it yet. Give the same command again, it tells.", console)
        raise typer.Exit(_NOT_YET)
    other = "" if ended.recipe_id == meant.recipe.recipe_id else ", by another recipe: the services' settings are others by now"
    if isinstance(ended, PanoramaHeld):
        look = f"`panoveil holds show {capture_id}` says what is left"
        _say(f"{capture_id}: held again ({ended.reason}: {ended.detail}){other}. {look}.", console)
        raise typer.Exit(_HELD)
    _say(f"{capture_id}: published by recipe {ended.recipe_id}{other}.", console)


@holds_app.command("keep")
def keep_hold(capture: Capture, by: By, because: Because, as_json: AsJson = False) -> None:
    """Note that a capture stays held: somebody looked, and it is not to be published. It may still be released later.

    Examples:
        panoveil holds keep fyn-2026/car7-0601/000001 --by reviewer-3 --because "a crowd, taken from too near"
    """
    capture_id = CaptureId.parse(capture)
    decision = status.answer(lambda world: deeds.keep(capture_id, Operator(by, because), world))
    if as_json:
        typer.echo(decision.model_dump_json(exclude_none=True))
    else:
        _say(f"{capture_id} stays held; the audit chain says so.")


def _numbers(texts: list[str]) -> tuple[tuple[int, ...], bool]:
    """Return the numbers that `--accept` names, and whether it says all."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    named = [part for part in parts if part != "all"]
    if not all(part.isdecimal() for part in named):
        raise typer.BadParameter("--accept takes a number that `panoveil holds show` gave, or all")
    if named and len(named) != len(parts):
        raise typer.BadParameter("--accept all goes with no number")
    return tuple(sorted({int(part) for part in named})), bool(parts) and not named


def _box(text: str) -> Drawn:
    found = _BOX.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"--hide {text!r}: write X0,Y0,X1,Y1 in whole pixels of the panorama, plate: before it where it is one"
        )
    x0, y0, x1, y1 = (int(found[index]) for index in range(2, 6))
    return Drawn("plate" if found[1] == "plate" else "face", x0, y0, x1, y1)


def _until(patience: float) -> Callable[[], Awaitable[bool]]:
    """Return what waits a moment, and says whether so many seconds are not over yet."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience

    async def pause() -> bool:
        if loop.time() >= end:
            return False
        await asyncio.sleep(min(_EVERY, end - loop.time()))
        return True

    return pause


def _say(text: str, console: Console = _OUT) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)
