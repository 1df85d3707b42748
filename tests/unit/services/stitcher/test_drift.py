"""The street is seen with real parallax, noise and unequal exposures; rig.json says one thing and the mount another."""

import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.rig import Rig
from services.stitcher import drift
from simulator.rigs import demo_rig
from simulator.wear import knocked
from tests.unit.services.stitcher import drives, virtual

WIDTH = 1024
CAPTURES = 6
RIG = demo_rig(WIDTH)
NAMES = [lens.name for lens in RIG.lenses]


@pytest.fixture(scope="module", name="windows")
def the_rigs_windows() -> drift.Windows:
    return drift.windows(RIG, 15.0)


def _turns(windows: drift.Windows, seed: int, lens: str = "", turn: drives.Turn = (0.0, 0.0, 0.0)) -> NDArray[np.floating]:
    said = [drift.measure(drives.frames(seed, CAPTURES, WIDTH, number, lens, turn), windows) for number in range(CAPTURES)]
    weights, pull = (np.mean([getattr(one, name) for one in said], axis=0) for name in ("weights", "pull"))
    return np.degrees(drift.turned(weights, pull, len(RIG.lenses)))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_sound_rig_is_not_turned(windows: drift.Windows, seed: int) -> None:
    assert np.linalg.norm(_turns(windows, seed), axis=1).max() < 0.12


@pytest.mark.parametrize(
    ("lens", "turn"),
    [("right", (0.5, 0.0, 0.0)), ("right", (0.0, 0.5, 0.0)), ("right", (0.0, 0.0, 0.5)), ("front", (0.0, -1.5, 0.0))],
)
def test_the_lens_that_turned_stands_out(windows: drift.Windows, lens: str, turn: drives.Turn) -> None:
    turns = _turns(windows, 1, lens, turn)
    angles = np.linalg.norm(turns, axis=1)
    own = angles[NAMES.index(lens)]
    assert own == pytest.approx(np.linalg.norm(turn), rel=0.35)
    assert own > 2.5 * np.delete(angles, NAMES.index(lens)).max()
    along = np.asarray(RIG.lenses[NAMES.index(lens)].rotation) @ np.asarray(turn)
    assert turns[NAMES.index(lens)] @ along > 0.8 * own * np.linalg.norm(turn)


def test_black_frames_say_nothing(windows: drift.Windows) -> None:
    black = [np.zeros_like(frame) for frame in drives.frames(1, CAPTURES, WIDTH, 0)]
    said = drift.measure(black, windows)
    assert said.matched == 0
    assert not said.weights.any()
    assert not drift.turned(said.weights, said.pull, len(RIG.lenses)).any()


def test_a_rig_without_overlaps_says_nothing() -> None:
    rig: Rig = RIG.model_copy(update={"lenses": RIG.lenses[:1]})
    windows = drift.windows(rig, 15.0)
    assert windows.glasses == ()
    assert drift.measure([np.zeros((RIG.lenses[0].height, RIG.lenses[0].width, 3), np.uint8)], windows).matched == 0


def test_both_glasses_of_a_window_show_the_same() -> None:
    """In a world without parallax, seen by a rig at one point."""
    rig = virtual.ring(5, size=400)
    windows = drift.windows(rig, 15.0)
    frames = list(virtual.frames(rig).values())
    assert len(windows.glasses) >= 25
    for one, other in windows.glasses:
        there, here = drift._through(frames[one.lens], one), drift._through(frames[other.lens], other)
        assert np.abs(there - here).max() < 3


def test_a_knocked_rig_differs_in_one_lens_only() -> None:
    rig = knocked(RIG, "left", (0.0, 0.5, 0.0))
    assert [one == other for one, other in zip(rig.lenses, RIG.lenses, strict=True)] == [name != "left" for name in NAMES]
    apart = np.asarray(rig.lenses[-1].rotation).T @ np.asarray(RIG.lenses[-1].rotation)
    assert np.degrees(np.arccos((np.trace(apart) - 1) / 2)) == pytest.approx(0.5, abs=1e-6)
