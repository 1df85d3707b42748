"""`panoveil restore` and `panoveil erase`: options in, one function called, text out."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from console import status
from console.archive import costs
from console.archive import erase as erasing
from console.archive import restore as restoring
from console.archive.restore import Found, Standing
from console.archive.scope import Scope
from panoveil.blobs import Tier
from panoveil.keys import DriveKeys, KmsDriveKeys
from panoveil.runtime import Connections, connect

_OUT, _ERR = Console(), Console(stderr=True)
_NOT_DONE, _USAGE, _NOT_YET = 65, 64, 75
_Result = TypeVar("_Result")

OfDrive = Annotated[str | None, typer.Option("--drive", help="All of this drive: <survey>/<drive>.")]
OfCaptures = Annotated[
    list[str] | None, typer.Option("--capture", help="This capture, <survey>/<drive>/<capture>; may be repeated.")
]
By = Annotated[
    str,
    typer.Option(
        envvar="PANOVEIL_OPERATOR", help="Who decides: a role or a number that your own register explains, no person's name."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, it is only said what would be done.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]


def restore(
    drive: OfDrive = None,
    captures: OfCaptures = None,
    tier: Annotated[
        Tier,
        typer.Option(
            help="How quickly: of Deep Archive Standard within 12 hours, Bulk within 48 and for an eighth of the price."
        ),
    ] = "Standard",
    days: Annotated[int, typer.Option(min=1, max=365, help="For how many days the archive keeps a readable copy.")] = 7,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until all originals are back.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --wait: look again after so many seconds.")] = 300.0,
    by: By = "operator",
    because: Annotated[str, typer.Option(help="Why; it goes into the audit chain, so name nobody and no place.")] = "restored",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring the originals of archived captures back to where they were, so that `panoveil replay --stage stitcher` finds them.

    Says first what it costs and when it will be done; asks the archive only with --yes. Run it again, with the same options, to put back
    what has become readable meanwhile: nothing is asked for or paid twice, whatever became of the first run.

    Exit code 0: all originals are where they were; 64: --yes is missing; 65: some cannot be brought back; 75: not restored yet.

    Examples:
        panoveil restore --drive fyn-2026/car7-0601 --tier Bulk
        panoveil restore --drive fyn-2026/car7-0601 --tier Bulk --yes --by operator-4 --because "the new plate model"
        panoveil restore --capture fyn-2026/car7-0601/000001 --yes --wait
        panoveil replay --stage stitcher --drive fyn-2026/car7-0601 --recipe new.json
    """
    scope = Scope.of(drive, captures or ())
    wish = restoring.Wish(tier, days, by, because, _now)

    async def work(world: Connections, keys: DriveKeys) -> list[Found]:
        found = await restoring.look(scope, world, keys)
        _tell_plan(found, wish, as_json=as_json)
        if not yes:
            return found
        return await _restored(scope, wish, world, keys, every if wait else None)

    _show_restored(_connected(work), yes=yes, as_json=as_json)


async def _restored(scope: Scope, wish: restoring.Wish, world: Connections, keys: DriveKeys, every: float | None) -> list[Found]:
    """Ask, then bring back what can be read; with `every` (seconds) look again until nothing is under way."""
    while True:
        found = await restoring.look(scope, world, keys)
        await restoring.ask(found, wish, world)
        problems = {name: text for name, text in (await restoring.bring_back(found, wish, world, keys)).items() if text}
        for text in problems.values():
            _say(text, _ERR)
        if problems:
            raise typer.Exit(_NOT_DONE)
        found = await restoring.look(scope, world, keys)
        if every is None or not any(one.standing in {Standing.RESTORING, Standing.READY} for one in found):
            return found
        await asyncio.sleep(every)


def _tell_plan(found: Sequence[Found], wish: restoring.Wish, *, as_json: bool) -> None:
    """Say what is where, and what it costs to bring back what lies in the archive."""
    wanted = [one.archived for one in found if one.standing is Standing.ARCHIVED or _is_read_at_once(one)]
    price = costs.quote(wanted, wish.tier, wish.days)
    console = _ERR if as_json else _OUT
    _say(f"{len(found)} captures are archived: {_counts(found)}.", console)
    if not wanted:
        return
    until = (wish.now() + price.takes).isoformat(timespec="minutes")
    hours = price.takes.total_seconds() / 3600
    _say(
        f"To ask for: {price.objects} objects, {price.size / costs.GB:.3f} GB, tier {wish.tier}: within {hours:g} hours, by {until}.",
        console,
    )
    _say(
        f"It costs about {price.total:.4f} $: requests {price.requests:.4f}, retrieval {price.retrieval:.4f}, readable copies for {wish.days} "
        f"days {price.copies:.4f}, originals put back and kept for a month {price.originals:.4f} (list prices: console/archive/costs.py).",
        console,
    )


def _is_read_at_once(one: Found) -> bool:
    return one.standing is Standing.READY and not one.archived.storage_class.cold


def _counts(found: Sequence[Found]) -> str:
    words = {
        Standing.HOT: "where they were",
        Standing.READY: "readable",
        Standing.RESTORING: "being restored",
        Standing.ARCHIVED: "in cold storage",
        Standing.MISSING: "missing in the archive",
    }
    counts = Counter(one.standing for one in found)
    return ", ".join(f"{counts[standing]} {word}" for standing, word in words.items() if counts[standing])


def _show_restored(found: Sequence[Found], *, yes: bool, as_json: bool) -> None:
    if as_json:
        for one in found:
            typer.echo(json.dumps(_row(one)))
    counts = Counter(one.standing for one in found)
    for one in found:
        if one.standing is Standing.MISSING:
            _say(f"{one.capture_id}: {one.ref} is not there: it was deleted, or expired by a retention rule.", _ERR)
    if counts[Standing.MISSING]:
        raise typer.Exit(_NOT_DONE)
    if counts[Standing.HOT] == len(found):
        _say("All originals are where they were.", _ERR if as_json else _OUT)
        return
    if not yes and {Standing.ARCHIVED, Standing.READY} & counts.keys():
        _say("Nothing was done: add --yes.", _ERR)
        raise typer.Exit(_USAGE)
    _say(
        f"{len(found) - counts[Standing.HOT]} captures are not restored yet{_expected(found)}: run the same command again then.",
        _ERR,
    )
    raise typer.Exit(_NOT_YET)


def _expected(found: Sequence[Found]) -> str:
    """Say when the last of those that were asked for should be there, where that is known."""
    times = [one.requested.expected_at for one in found if one.standing is Standing.RESTORING and one.requested]
    return f", expected by {max(times).isoformat(timespec='minutes')}" if times else ""


def _row(one: Found) -> dict[str, Any]:
    """Return the keys programs rely on."""
    asked = one.requested
    return {
        "capture": str(one.capture_id),
        "standing": one.standing.value,
        "bytes": one.archived.size,
        "class": one.archived.storage_class.value,
        "requested_at": asked.requested_at.isoformat() if asked else None,
        "expected_at": asked.expected_at.isoformat() if asked else None,
        "tier": asked.tier if asked else None,
    }


def erase(
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the audit chain, so name nobody and no place.")],
    drive: OfDrive = None,
    captures: OfCaptures = None,
    by: By = "operator",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase a capture or a drive for good: publications, panoramas, originals, archive objects, and with a drive its key.

    Without --yes it only says what there is. Nothing brings it back: no service works on it any more, replay and redrive refuse it. What
    stays is the ledger's record and the audit chain, which says who erased what and when. Run it again and it does what is left.

    Exit code 0: nothing is left; 64: --yes is missing; 69: something came in meanwhile, run it again.

    Examples:
        panoveil erase --capture fyn-2026/car7-0601/000001 --reason "request R-2026-118" --by dpo-2
        panoveil erase --drive fyn-2026/car7-0601 --reason "driven by mistake" --by dpo-2 --yes
        panoveil audit verify fyn-2026/car7-0601 --objects
    """
    scope = Scope.of(drive, captures or ())
    if not reason.strip():
        raise typer.BadParameter("--reason says why: it goes into the audit chain")
    wish = erasing.Wish(by, reason, _now)
    found = _connected(lambda world, keys: erasing.look(scope, world, keys))
    _tell_erasure(found, as_json=as_json)
    if not yes:
        _say("Nothing was done: add --yes.", _ERR)
        raise typer.Exit(_USAGE)
    done = _connected(lambda world, keys: erasing.erase(scope, wish, world, keys))
    if as_json:
        typer.echo(json.dumps({"captures": done.captures, "removed": done.removed, "key_sha256": done.key_sha256}))
    removed = ", ".join(f"{count} {bucket}" for bucket, count in done.removed.items() if count) or "nothing"
    key = " The drive's key is destroyed: what was archived of it cannot be read by anyone." if done.key_sha256 else ""
    _say(f"Erased captures: {done.captures}. Removed: {removed}.{key}", _ERR if as_json else _OUT)


def _tell_erasure(found: erasing.Look, *, as_json: bool) -> None:
    objects = ", ".join(f"{count} {bucket}" for bucket, count in found.objects.items()) or "none"
    key = ", and the drive's key" if found.key else ""
    told = (
        f"Captures: {len(found.captures)}, of them erased before: {len(found.captures) - found.living}. Objects: {objects}{key}."
    )
    _say(told, _ERR if as_json else _OUT)


def _now() -> datetime:
    return datetime.now(UTC)


def _connected(work: Callable[[Connections, DriveKeys], Awaitable[_Result]]) -> _Result:
    settings = status.settings()

    async def connected() -> _Result:
        async with (
            connect(settings) as world,
            KmsDriveKeys(world.blobs, settings.wrapping_alias, settings.region, settings.endpoint_url) as keys,
        ):
            return await work(world, keys)

    with status.asking(settings):
        return asyncio.run(connected())


def _say(text: str, console: Console) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)
