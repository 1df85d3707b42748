"""Holds as rows, tables and text. Never pixels: those are in `pictures`, for whoever asks for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from console import listing
from console.holds.cases import Case
from console.holds.deeds import Ended, Release
from console.listing import age, iso
from panoveil.contracts.messages import PanoramaBox, PanoramaHeld, PanoramaStitched
from panoveil.contracts.reasons import ADVICE
from panoveil.ledger import CaptureState, State
from services.anonymizer.regions import Extent, from_box

_COLUMNS = ("capture", "reason", "left", "detail", "age", "decided", "by", "because", "state")
_WAITING = "waiting"


def row(state: CaptureState, case: Case | None, now: datetime) -> dict[str, Any]:
    """Return the keys programs rely on; times are ISO 8601 in UTC, ages seconds. `left` is None where the chain does not tell."""
    decision = case.decision if case else None
    hold = case.hold if case else None
    return {
        "capture": str(state.capture_id),
        "state": state.state.value,
        "reason": hold.reason.value if hold else state.reason,
        "detail": hold.verification.findings if hold else state.detail,
        "left": len(hold.left) if hold else None,
        "since": iso(hold.at.timestamp() if hold else state.since),
        "age_seconds": round(now.timestamp() - (hold.at.timestamp() if hold else state.since), 3),
        "recipe": hold.recipe_id if hold else None,
        "decided": decision.action if decision else _WAITING,
        "decided_at": iso(decision.at.timestamp()) if decision else None,
        "by": decision.by if decision else None,
        "because": decision.because if decision else None,
    }


def is_open(one: Mapping[str, Any]) -> bool:
    """Say whether somebody has to look at it still."""
    return bool(one["state"] == State.HELD and one["decided"] != "keep")


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what `list` shows to a person."""
    return listing.table(_COLUMNS, rows)


def details(case: Case, message: PanoramaStitched | None, now: datetime) -> dict[str, Any]:
    """Return all that is known of a hold. Regions that the last round hid have no number: nothing needs to be decided about them."""
    hold = case.hold
    numbered = [(one.number, one.box) for one in case.finds(hold)]
    regions = [_region(number, box, message) for number, box in [*numbered, *((None, box) for box in hold.regions)]]
    return {
        **row(case.capture, case, now),
        "advice": ADVICE[hold.reason],
        "rounds": hold.verification.rounds,
        "width": message.width if message else None,
        "height": message.height if message else None,
        "review": hold.recipe.review.model_dump(mode="json") if hold.recipe.review else None,
        "regions": regions,
        "decisions": [one.model_dump(mode="json", exclude={"inputs", "version", "drive_id"}) for one in case.decisions],
    }


def _region(number: int | None, box: PanoramaBox, message: PanoramaStitched | None) -> dict[str, Any]:
    facts = {"number": number, "left": number is not None, **box.model_dump(mode="json")}
    return {**facts, "pixels": _pixels(box, message) if message else None}


def _pixels(box: PanoramaBox, message: PanoramaStitched) -> list[int]:
    """Return X0,Y0,X1,Y1 as `--hide` takes them."""
    region = from_box(box, Extent(message.width, message.height, wraps=True))
    right = region.x1 - message.width if region.x1 > message.width else region.x1
    return [round(value) for value in (region.x0, region.y0, right, region.y1)]


def text(shown: Mapping[str, Any]) -> str:
    """Return what `show` prints for a person, without its regions."""
    hidden = sum(not region["left"] for region in shown["regions"])
    decided = [f"{one['action']} by {one['by']} on {one['at']}: {one['because']}" for one in shown["decisions"]]
    facts = {
        **{name: shown[name] for name in ("capture", "state", "reason", "detail", "advice")},
        "held": f"{shown['since']}, {age(shown['age_seconds'])} ago, after {shown['rounds']} rounds of verification",
        "hidden": f"{hidden} regions; {len(shown['regions']) - hidden} were left",
        "size": f"{shown['width']} x {shown['height']} pixels" if shown["width"] else "",
        "decided": "\n            ".join(decided),
    }
    return "\n".join(f"{name:<12}{value}" for name, value in facts.items() if value)


def regions(shown: Mapping[str, Any]) -> Table:
    """Return what was left and what is hidden, as a table."""
    made = Table()
    for column in ("number", "kind", "score", "west, south, east, north", "x0,y0,x1,y1", ""):
        made.add_column(column)
    for one in shown["regions"]:
        degrees = ", ".join(f"{one[side]:.2f}" for side in ("west", "south", "east", "north"))
        pixels = ",".join(map(str, one["pixels"] or ()))
        number = "" if one["number"] is None else str(one["number"])
        made.add_row(number, one["kind"], f"{one['score']:.2f}", degrees, pixels, "left" if one["left"] else "hidden")
    return made


def plan(meant: Release) -> dict[str, Any]:
    """Return what a release comes to."""
    return {
        "capture": str(meant.capture_id),
        "held": meant.hold.recipe_id,
        "recipe": meant.recipe.recipe_id,
        "review": meant.review.model_dump(mode="json"),
    }


def told(meant: Release) -> str:
    """Say what a release comes to, a sentence."""
    review = meant.review
    parts = [
        f"{len(review.accept)} finds accepted" if review.accept else "",
        f"{len(review.hide)} boxes hidden besides" if review.hide else "",
        "the quality gate waived" if review.waive else "",
    ]
    return f"{meant.capture_id} is looked at once more, with {', '.join(part for part in parts if part)} (recipe {meant.recipe.recipe_id})."


def ending(ended: Ended | None) -> dict[str, Any]:
    """Return what came of it: `published`, `held`, or `waiting`."""
    if ended is None:
        return {"outcome": _WAITING, "by_recipe": None, "reason": "", "detail": ""}
    facts = {"outcome": ended.type.removeprefix("panorama."), "by_recipe": ended.recipe_id}
    held = (ended.reason.value, ended.detail) if isinstance(ended, PanoramaHeld) else ("", "")
    return {**facts, "reason": held[0], "detail": held[1]}
