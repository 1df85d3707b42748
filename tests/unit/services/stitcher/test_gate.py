from typing import Any

import pytest

from panoveil.contracts.messages import LensQuality, Quality, QualityV1
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import QualityGate
from services.stitcher import gate
from services.stitcher.dirt import Stain
from services.stitcher.watch import Turn, Verdict

MEASURED = QualityV1(sharpness=100, clipped_share=0.01, overlap_difference=3, coverage=0.9)
NOTHING_KNOWN = Verdict((None, None), None)
OFF = QualityGate.model_validate(dict.fromkeys(QualityGate.model_fields))


def lens(name: str, **changes: Any) -> LensQuality:
    fields: dict[str, Any] = {
        "lens": name, "score": 0.9, "dead": False, "sharpness": 0.4, "dark_share": 0, "bright_share": 0,
        "level": 0, "gain": 0, "overlap_difference": 3,
    }  # fmt: skip
    return LensQuality.model_validate(fields | changes)


def graded(verdict: Verdict = NOTHING_KNOWN, measured: QualityV1 = MEASURED, **changes: Any) -> Quality:
    return gate.graded(measured, [lens("front"), lens("left", **changes)], verdict, "rig7")


TURNED = Verdict((Turn(0.05, 0.06), Turn(0.5, 0.1)), ())
DIRTY = Verdict((None, None), (Stain(1, 0.03, (10, 20, 30, 40)), Stain(1, 0.01, (5, 6, 7, 8))))


def test_a_good_capture_passes_and_alarms_nobody() -> None:
    quality = graded()
    assert (quality.score, quality.alarms) == (0.9, ())
    assert gate.held(quality, QualityGate(), "rig7") is None


def test_the_score_is_the_worst_lenss() -> None:
    assert graded(score=0.4).score == 0.4


@pytest.mark.parametrize(
    ("quality", "reason", "says"),
    [
        (graded(dead=True, score=0), Reason.LENS_DEAD, "Lens left shows nothing."),
        (graded(TURNED), Reason.RIG_DRIFTED, "Lens left is turned by 0.50° (± 0.10°) against rig rig7."),
        (
            graded(DIRTY),
            Reason.LENS_DIRTY,
            "Something covers 4.0% of what lens left sees, most of it at pixels (10, 20) to (30, 40).",
        ),
        (graded(score=0.1), Reason.POOR_QUALITY, "The score (lens left's) is 0.10, below the gate's 0.20."),
        (graded(bright_share=0.5, dark_share=0.2), Reason.POOR_QUALITY, "The clipped share of lens left is 0.70, above"),
        (graded(measured=MEASURED.model_copy(update={"coverage": 0.05})), Reason.POOR_QUALITY, "The coverage is 0.05, below"),
        (
            graded(measured=MEASURED.model_copy(update={"overlap_difference": 50.0})),
            Reason.POOR_QUALITY,
            "overlap is 50.00, above",
        ),
    ],
)
def test_what_falls_short_is_held_with_its_reason_unless_the_gate_is_off(quality: Quality, reason: Reason, says: str) -> None:
    hold = gate.held(quality, QualityGate(), "rig7")
    assert hold is not None
    assert hold.reason is reason
    assert says in hold.detail
    assert gate.held(quality, OFF, "rig7") is None


def test_what_a_drive_knows_lowers_the_score_and_alarms() -> None:
    for verdict in (TURNED, DIRTY):
        quality = graded(verdict)
        assert quality.score is not None
        assert quality.score < 0.9
        assert len(quality.alarms) == 1


def test_a_turn_within_its_bound_is_no_alarm() -> None:
    quality = graded(Verdict((Turn(0.3, 0.2), Turn(0.1, 0.02)), ()))
    assert quality.alarms == ()
    assert gate.held(quality, QualityGate(), "rig7") is None


def test_the_gravest_comes_first() -> None:
    quality = graded(TURNED, dead=True, score=0)
    hold = gate.held(quality, QualityGate(), "rig7")
    assert hold is not None
    assert hold.reason is Reason.LENS_DEAD
    assert len(quality.alarms) == 2


def test_a_missing_lens_is_told_lowers_the_score_and_holds_where_the_gate_does_not_allow_it() -> None:
    quality = gate.graded(MEASURED, [lens("front"), lens("left")], NOTHING_KNOWN, "rig7", ["back"])
    assert quality.score == pytest.approx(0.6)
    assert quality.alarms == ("Lens back delivered no frame.",)
    hold = gate.held(quality, QualityGate(), "rig7", ["back"])
    assert hold is not None
    assert (hold.reason, hold.detail) == (Reason.FRAME_MISSING, "Lens back delivered no frame.")
    assert gate.held(quality, QualityGate(missing_lenses=1), "rig7", ["back"]) is None
    assert gate.held(quality, QualityGate(missing_lenses=1), "rig7", ["back", "top"]) is not None
