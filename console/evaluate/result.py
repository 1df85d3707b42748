"""What an evaluation found, for a person and for a program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from console.evaluate.annotated import CLASSES
from console.evaluate.score import Area, ClassScore, Pair, Rate, Recall, blurred, score_class


@dataclass(frozen=True)
class Result:
    """Scores by class, for the classes that are annotated.

    `unanswered` are pictures of which the report says nothing, `refused` those held or rejected: nothing of either counts as hidden.
    """

    directory: str
    pictures: int
    unanswered: tuple[str, ...]
    refused: tuple[str, ...]
    classes: Mapping[str, ClassScore]
    area: Area
    recipe_id: str | None
    plan: str | None

    @classmethod
    def of(
        cls,
        directory: str,
        pairs: Sequence[Pair],
        unanswered: Sequence[str],
        recipe_id: str | None = None,
        plan: str | None = None,
    ) -> "Result":
        """Score pictures with their answers; an unanswered one has an empty answer."""
        annotated = [name for name in CLASSES if any(name in picture.objects for picture, _ in pairs)]
        scores = {name: score_class(pairs, name) for name in annotated}
        return cls(directory, len(pairs), tuple(unanswered), refused_of(pairs), scores, blurred(pairs), recipe_id, plan)

    @property
    def complete(self) -> bool:
        """Whether every picture was published."""
        return not self.unanswered and not self.refused

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        return {
            "directory": self.directory,
            "recipe_id": self.recipe_id,
            "plan": self.plan,
            "pictures": self.pictures,
            "unanswered": list(self.unanswered),
            "refused": list(self.refused),
            "classes": {name: score.as_json() for name, score in self.classes.items()},
            "area": self.area.as_json(),
        }


def refused_of(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Return the pictures that were held or rejected."""
    return tuple(picture.image for picture, answer in pairs if not answer.published)


def show(result: Result, console: Console) -> None:
    """Print the result for a person."""
    for name, score in result.classes.items():
        console.print(
            _table(
                f"{name}: {score.recall.covered.of} in {score.false.pictures} pictures; covered ≥ 90 %, found at IoU ≥ .5", score
            )
        )
        low, high = score.false.bounds or (0.0, 0.0)
        told = (
            f"false boxes: {score.false.events} of {score.boxes}, {score.false.mean or 0:.2f} a picture ({low:.2f} to {high:.2f})"
        )
        console.print(told, highlight=False)
    area = result.area
    if area.pictures:
        share = area.over / area.hidden if area.hidden else 0.0
        console.print(
            f"hidden: {area.hidden / area.pictures:.3%} of the pictures, {share:.0%} of it on nothing annotated "
            f"({area.over / area.pictures:.3%} of the pictures)",
            highlight=False,
            soft_wrap=True,
        )
    _show_images("without an answer", result.unanswered, console)
    show_refused(result.refused, console)


def show_refused(refused: Sequence[str], console: Console) -> None:
    """Name the first few pictures that were held or rejected."""
    _show_images("held or rejected", refused, console)


def _show_images(what: str, images: Sequence[str], console: Console) -> None:
    if images:
        console.print(f"{len(images)} pictures {what}: {', '.join(images[:5])}", markup=False, soft_wrap=True)


def _table(title: str, score: ClassScore) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("px", "objects", "covered", "95 %", "found", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, recall in (*score.by_height.items(), ("all", score.recall)):
        table.add_row(*cells(name, recall))
    return table


def cells(name: str, recall: Recall) -> tuple[str, ...]:
    """Return a table's row: name, objects, shares with their bounds."""
    return name, str(recall.covered.of), *rate_cells(recall.covered), *rate_cells(recall.found)


def rate_cells(rate: Rate) -> tuple[str, str]:
    """Return a share and its bounds as a person reads them."""
    if rate.share is None or rate.bounds is None:
        return "-", ""
    return f"{rate.share:.3f}", f"{rate.bounds[0]:.3f} to {rate.bounds[1]:.3f}"
