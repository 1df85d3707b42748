"""What was measured, put together, and whether it may pass.

What a drive's watch knows lowers a lens's score by two more factors: 1 - the share that stains cover, and
1 / (1 + (degrees that it is surely turned / 0.5)^2). The panorama's score is its worst lens's, times the share of lenses that are there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from panoveil.contracts.messages import LensQuality, Quality, QualityHold, QualityV1, Stain
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import QualityGate
from services.stitcher import dirt
from services.stitcher.watch import Verdict

NOTICED_DRIFT = 0.15
"""Degrees from which a surely turned lens is told of, whatever the recipe holds for."""

_TURNED = 0.5


def graded(
    measured: QualityV1, lenses: Sequence[LensQuality], verdict: Verdict, rig_id: str, missing: Sequence[str] = ()
) -> Quality:
    """Return the panorama's quality, with what the drive's watch knows of its lenses; `missing` ones lower it by their share."""
    known = tuple(_known(lens, index, verdict) for index, lens in enumerate(lenses))
    alarms = (*map(_missing, missing), *(text for lens in known for text in _alarms(lens, rig_id)))
    worst = min((lens.score for lens in known), default=None)
    score = worst and worst * len(known) / (len(known) + len(missing))
    return Quality(**measured.model_dump(), score=score, lenses=known, alarms=alarms)


def _known(lens: LensQuality, index: int, verdict: Verdict) -> LensQuality:
    turn = verdict.turns[index]
    own = None if verdict.stains is None else tuple(_told(stain) for stain in verdict.stains if stain.lens == index)
    known = lens.model_copy(update={"drift": turn and turn.degrees, "drift_bound": turn and turn.bound, "stains": own})
    drifted = 1 / (1 + (known.surely_turned / _TURNED) ** 2)
    return known.model_copy(update={"score": lens.score * drifted * (1 - (known.dirt_share or 0.0))})


def _told(stain: dirt.Stain) -> Stain:
    x0, y0, x1, y1 = stain.box
    return Stain(x0=x0, y0=y0, x1=x1, y1=y1, share=min(1.0, stain.share))


def _alarms(lens: LensQuality, rig_id: str) -> Iterator[str]:
    if lens.dead:
        yield _dead(lens)
    if lens.surely_turned > NOTICED_DRIFT:
        yield _turned(lens, rig_id)
    if lens.stains:
        yield _dirty(lens)


def _missing(name: str) -> str:
    return f"Lens {name} delivered no frame."


def _dead(lens: LensQuality) -> str:
    return f"Lens {lens.lens} shows nothing."


def _turned(lens: LensQuality, rig_id: str) -> str:
    return f"Lens {lens.lens} is turned by {lens.drift or 0:.2f}° (± {lens.drift_bound or 0:.2f}°) against rig {rig_id}."


def _dirty(lens: LensQuality) -> str:
    first = (lens.stains or ())[0]
    place = f"({first.x0}, {first.y0}) to ({first.x1}, {first.y1})"
    return f"Something covers {lens.dirt_share or 0:.1%} of what lens {lens.lens} sees, most of it at pixels {place}."


def held(quality: Quality, gate: QualityGate, rig_id: str, missing: Sequence[str] = ()) -> QualityHold | None:
    """Return why the recipe lets nobody publish the panorama, the gravest reason first; None where it may pass."""
    if len(missing) > (gate.missing_lenses or 0):
        return QualityHold(reason=Reason.FRAME_MISSING, detail=" ".join(map(_missing, missing)))
    return next((hold for check in _CHECKS if (hold := check(quality, gate, rig_id)) is not None), None)


def _held_for_death(quality: Quality, gate: QualityGate, _: str) -> QualityHold | None:
    dead = [lens for lens in quality.lenses if lens.dead and gate.dead_lens]
    return QualityHold(reason=Reason.LENS_DEAD, detail=_dead(dead[0])) if dead else None


def _held_for_drift(quality: Quality, gate: QualityGate, rig_id: str) -> QualityHold | None:
    worst = max(quality.lenses, key=lambda lens: lens.surely_turned, default=None)
    if worst is None or gate.most_drift is None or worst.surely_turned <= gate.most_drift:
        return None
    return QualityHold(reason=Reason.RIG_DRIFTED, detail=_turned(worst, rig_id))


def _held_for_dirt(quality: Quality, gate: QualityGate, _: str) -> QualityHold | None:
    worst = max(quality.lenses, key=lambda lens: lens.dirt_share or 0.0, default=None)
    if worst is None or gate.most_dirt is None or (worst.dirt_share or 0.0) <= gate.most_dirt:
        return None
    return QualityHold(reason=Reason.LENS_DIRTY, detail=_dirty(worst))


def _held_for_quality(quality: Quality, gate: QualityGate, _: str) -> QualityHold | None:
    failed = [check.says for check in _bars(quality, gate) if check.fails]
    return QualityHold(reason=Reason.POOR_QUALITY, detail=failed[0]) if failed else None


@dataclass(frozen=True, slots=True)
class _Bar:
    """One figure against the gate's; a bar that is None, or a figure that is not known, fails nobody."""

    name: str
    figure: float | None
    bar: float | None
    least: bool

    @property
    def fails(self) -> bool:
        if self.figure is None or self.bar is None:
            return False
        return self.figure < self.bar if self.least else self.figure > self.bar

    @property
    def says(self) -> str:
        side = "below" if self.least else "above"
        return f"{self.name} is {self.figure or 0:.2f}, {side} the gate's {self.bar or 0:.2f}."


def _bars(quality: Quality, gate: QualityGate) -> Iterator[_Bar]:
    for lens in quality.lenses:
        yield _Bar(f"The clipped share of lens {lens.lens}", lens.dark_share + lens.bright_share, gate.most_clipped, least=False)
    worst = min(quality.lenses, key=lambda lens: lens.score, default=None)
    name = "The score" if worst is None else f"The score (lens {worst.lens}'s)"
    yield _Bar(name, quality.score, gate.least_score, least=True)
    yield _Bar("The difference where lenses overlap", quality.overlap_difference, gate.most_overlap_difference, least=False)
    yield _Bar("The coverage", quality.coverage, gate.least_coverage, least=True)


_CHECKS: tuple[Callable[[Quality, QualityGate, str], QualityHold | None], ...] = (
    _held_for_death,
    _held_for_drift,
    _held_for_dirt,
    _held_for_quality,
)
