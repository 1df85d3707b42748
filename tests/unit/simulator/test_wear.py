import numpy as np
import pytest

from simulator import wear
from simulator.rigs import demo_rig

FRAME = np.random.default_rng(0).integers(0, 255, (200, 100, 3)).astype(np.uint8)


def test_a_drop_blurs_what_lies_behind_and_nothing_else() -> None:
    wet = wear.wet(FRAME, (0.5, 0.25), 0.2)
    assert wet[45:55, 45:55].std() < 10 < FRAME[45:55, 45:55].std()
    assert np.array_equal(wet[90:], FRAME[90:])
    assert abs(int(wet[45:55, 45:55].mean()) - 127) < 15


def test_mud_hides_what_lies_behind() -> None:
    assert wear.muddy(FRAME, (0.5, 0.25), 0.2)[50, 50].tolist() == [60, 50, 40]


def test_a_covered_lens_sees_nothing_but_noise() -> None:
    dark = wear.covered(FRAME, 1)
    assert dark.shape == FRAME.shape
    assert 0 < dark.mean() < 4


@pytest.mark.parametrize("turn", [(0.5, 0.0, 0.0), (0.3, -0.4, 0.0)])
def test_a_knocked_lens_is_turned_by_as_much(turn: tuple[float, float, float]) -> None:
    rig = demo_rig(512)
    (there, here) = (np.asarray(one.lenses[2].rotation) for one in (wear.knocked(rig, "rear-right", turn), rig))
    assert np.degrees(np.arccos((np.trace(here.T @ there) - 1) / 2)) == pytest.approx(0.5, abs=1e-6)
