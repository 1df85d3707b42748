"""What another recipe changes about a drive: boxes gained and lost, publications missing, how much is hidden, which settings differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.recipes import boxes
from console.recipes.published import Drive
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import PanoramaBox, PanoramaPublished
from panoveil.ledger import Ledger

_NAMED = "recipe_id"


@dataclass(frozen=True, slots=True)
class Change:
    """A capture under both recipes; None where that recipe published nothing of it, and `why` where it held it."""

    capture_id: CaptureId
    before: PanoramaPublished | None
    after: PanoramaPublished | None
    why: str = ""

    @property
    def gained(self) -> tuple[PanoramaBox, ...]:
        """What is hidden only after."""
        return boxes.without_like(self.after.boxes, self.before.boxes) if self.before and self.after else ()

    @property
    def lost(self) -> tuple[PanoramaBox, ...]:
        """What is hidden only before."""
        return boxes.without_like(self.before.boxes, self.after.boxes) if self.before and self.after else ()

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        missing = "before" if self.before is None else "after" if self.after is None else None
        return {
            "capture": str(self.capture_id),
            "missing": missing,
            "why": self.why,
            "gained": [box.model_dump(mode="json") for box in self.gained],
            "lost": [box.model_dump(mode="json") for box in self.lost],
            "boxes": [len(one.boxes) if one else None for one in (self.before, self.after)],
            "share": [round(boxes.share(one.boxes), 6) if one else None for one in (self.before, self.after)],
        }


@dataclass(frozen=True)
class Diff:
    """All changes of a drive from one recipe to another; `settings` are those that differ, before and after."""

    before: str
    after: str
    changes: tuple[Change, ...]
    settings: Mapping[str, tuple[Any, Any]]

    def totals(self) -> dict[str, Any]:
        """The keys programs rely on; shares are means over the captures that both published."""
        both = [change for change in self.changes if change.before and change.after]
        told = [change.as_json() for change in both]
        return {
            "before": self.before,
            "after": self.after,
            "captures": len(self.changes),
            "both": len(both),
            "only_before": sum(change.after is None for change in self.changes),
            "only_after": sum(change.before is None for change in self.changes),
            "changed": sum(bool(one["gained"] or one["lost"]) for one in told),
            **{way: _by_kind(told, way) for way in ("gained", "lost")},
            "share": [_mean([one["share"][side] for one in told]) for side in (0, 1)],
            "settings": {name: list(pair) for name, pair in self.settings.items()},
        }


async def diff(drive: Drive, before: str, after: str, ledger: Ledger) -> Diff:
    """Compare what two recipes published of a drive."""
    return Diff(before, after, tuple(_changes(drive, before, after)), await _settings(drive.drive_id, before, after, ledger))


def _changes(drive: Drive, before: str, after: str) -> Iterator[Change]:
    old, new = drive.published(before), drive.published(after)
    for capture_id in sorted(old.keys() | new.keys(), key=str):
        missing = before if capture_id not in old else after
        held = drive.outcomes.get(missing, {}).get(capture_id)
        why = f"held: {held.reason}" if held is not None and held.type == "panorama.held" else ""
        yield Change(capture_id, old.get(capture_id), new.get(capture_id), why)


async def _settings(drive_id: str, before: str, after: str, ledger: Ledger) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, as the drive's audit chain has them."""
    known: dict[str, dict[str, Any]] = {}
    async for entry in ledger.audit_chain(drive_id):
        recipe, name = entry.body.get("recipe"), entry.body.get(_NAMED)
        if isinstance(recipe, Mapping) and isinstance(name, str):
            known[name] = {"code": entry.body.get("code"), **dict(_flat(recipe))}
    old, new = known.get(before, {}), known.get(after, {})
    return {name: (old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)}


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", one


def _by_kind(told: Sequence[Mapping[str, Any]], way: str) -> dict[str, int]:
    return {kind: sum(box["kind"] == kind for one in told for box in one[way]) for kind in ("face", "plate")}


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 6) if values else None
