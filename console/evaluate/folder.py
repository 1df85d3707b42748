"""Evaluates a folder of annotated pictures: what `panoveil anonymize` hides in them, or what a report says was hidden."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from console.evaluate.annotated import Annotated, Answer, answer_to, read_annotations, read_report
from console.evaluate.draw import draw, require_apart
from console.evaluate.result import Result
from console.evaluate.score import Pair
from console.evaluate.staging import Wanted, stage
from console.pictures import Running, anonymize_pictures
from panoveil.contracts.errors import Misconfigured


@dataclass(frozen=True)
class Wish:
    """What the person asked for. `boxes` is a report to score instead of running; `pictures` where to draw; `limit` so many pictures."""

    directory: Path
    boxes: Path | None = None
    pictures: Path | None = None
    limit: int | None = None
    wanted: Wanted = field(default_factory=Wanted)
    running: Running = field(default_factory=Running)


async def evaluate_folder(wish: Wish, console: Console) -> Result:
    """Run or read, score, and draw where that was asked for."""
    annotated = read_annotations(wish.directory)[: wish.limit]
    if wish.pictures is not None:
        require_apart(wish.directory, wish.pictures)
    if wish.boxes is not None:
        return _scored(wish, wish.directory, annotated, wish.boxes)
    with tempfile.TemporaryDirectory(prefix="panoveil-evaluate-") as work:
        source, report = Path(work) / "in", Path(work) / "report.jsonl"
        staged = stage(annotated, wish.directory, source, wish.wanted)
        await anonymize_pictures(source, Path(work) / "out", report, wish.running, console)
        return _scored(wish, source, staged, report)


def _scored(wish: Wish, source: Path, annotated: Sequence[Annotated], report: Path) -> Result:
    answers = read_report(report)
    pairs = [(picture, answer_to(picture, answers) or Answer({})) for picture in annotated]
    unanswered = [picture.image for picture in annotated if answer_to(picture, answers) is None]
    if len(unanswered) == len(annotated):
        raise Misconfigured(f"{report} says nothing of any picture in {wish.directory}")
    if wish.pictures is not None:
        _draw(pairs, source, wish.pictures)
    return Result.of(str(wish.directory), pairs, unanswered, _recipe_id(report), wish.running.plan)


def _draw(pairs: Sequence[Pair], source: Path, out: Path) -> None:
    for picture, answer in pairs:
        draw(picture, answer, source, out)


def _recipe_id(report: Path) -> str | None:
    first: Mapping[str, object] = json.loads(report.read_text(encoding="utf-8").splitlines()[0])
    found = first.get("recipe_id")
    return found if isinstance(found, str) else None
