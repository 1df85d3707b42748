import numpy as np
import pytest

from panoveil.contracts.rig import BrownConrady, Chromatic, Lens, Photometry
from simulator.sensor import Sensor, exposures, sense, shading

_QUIET = Sensor(read_noise=0, shot_noise=0, blur=0)


def _lens(photometry: Photometry | None = None) -> Lens:
    return Lens(
        name="one",
        width=160,
        height=120,
        intrinsics=BrownConrady(fx=80, fy=80, cx=79.5, cy=59.5),
        rotation=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        photometry=photometry or Photometry(),
    )


def _grey(level: int) -> np.ndarray:
    return np.full((120, 160, 3), level, np.uint8)


def test_a_perfect_sensor_changes_nothing() -> None:
    assert (sense(_grey(120), _lens(), _QUIET, 1) == 120).all()


def test_exposure_and_gain_multiply() -> None:
    sensed = sense(
        _grey(100), _lens(Photometry(gain=(1.1, 1.0, 0.9))), Sensor(exposure=1.2, read_noise=0, shot_noise=0, blur=0), 1
    )
    assert sensed[60, 80].tolist() == [132, 120, 108]


def test_vignetting_is_the_rigs_polynomial_of_the_half_diagonal() -> None:
    fall_off = shading(_lens(Photometry(vignetting=(-0.3, 0.05, 0.0))))
    assert fall_off[59:61, 79:81] == pytest.approx(1, abs=1e-4)
    assert fall_off[0, 0] == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("level", [20, 90, 180])
def test_noise_grows_with_the_signal(level: int) -> None:
    sensor = Sensor(read_noise=1.5, shot_noise=0.1, blur=0)
    noise = sense(_grey(level), _lens(), sensor, 7).astype(float) - level
    assert noise.mean() == pytest.approx(0, abs=0.1)
    assert noise.var() == pytest.approx(1.5**2 + 0.1 * level + 1 / 12, rel=0.05)


def test_the_same_seed_gives_the_same_picture() -> None:
    pictures = [sense(_grey(90), _lens(), Sensor(), seed) for seed in (3, 3, 4)]
    assert (pictures[0] == pictures[1]).all()
    assert (pictures[0] != pictures[2]).any()


def test_exposures_differ_a_little_by_lens_and_stay_bounded() -> None:
    names = ("a", "b", "c", "d", "e")
    drawn = np.array([list(exposures(names, seed).values()) for seed in range(200)])
    assert np.log(drawn).std() == pytest.approx(0.05, rel=0.1)
    assert (np.abs(np.log(drawn)) <= 0.125 + 1e-9).all()


def test_the_response_comes_last() -> None:
    sensed = sense(_grey(100), _lens(Photometry(gain=(1.275, 1, 1), response=(0.4, 0, 0))), _QUIET, 1)
    assert sensed[60, 80].tolist() == [153, 124, 124]


def test_red_and_blue_lie_where_the_lateral_colour_says() -> None:
    """A bright dot 60 pixels from the principal point, which is .6 half diagonals: red moves out by .72 px, blue in by .6 px."""
    lens = _lens().model_copy(update={"chromatic": Chromatic(red=(0.012, 0), blue=(0, -0.01 / 0.36))})
    picture = _grey(20)
    picture[57:63, 136:144] = 220
    sensed = sense(picture, lens, _QUIET, 1)[58:62].astype(float) - 20
    centre = np.sum(sensed * np.arange(160)[:, None], axis=(0, 1)) / sensed.sum(axis=(0, 1)) - 79.5
    assert centre[1] == pytest.approx(60, abs=0.01)
    assert centre[0] - centre[1] == pytest.approx(0.72, abs=0.05)
    assert centre[2] - centre[1] == pytest.approx(-0.6, abs=0.05)
