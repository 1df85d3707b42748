from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from services.stitcher import steady
from services.stitcher.steady import Drives, Light, Neighbour

NOON = datetime(2026, 6, 17, 12, tzinfo=UTC)
DRIVE = ("fyn/car7", "recipe")
SECONDS = 1.2
_SCENE = np.random.default_rng(0).uniform(3.5, 5.0, (32, 64, 1))


def _light(level: float = 0.0, colour: tuple[float, float, float] = (0, 0, 0), seed: int = 0) -> Light:
    """Return a capture whose light is `level`, a logarithm, above the scene's; what stands in a fifth of it is its own."""
    own = np.random.default_rng(seed)
    small = _SCENE + level + np.array(colour)
    small[own.random((32, 64)) < 0.2] = own.uniform(2, 5)
    trust = np.cos(np.linspace(-1.5, 1.5, 32))[:, None] * np.ones((1, 64))
    return Light(np.ones((5, 3)), small.astype(np.float32), trust.astype(np.float32))


def _drive(lights: list[Light]) -> NDArray[np.float64]:
    """Return the log corrections [n, 3] of captures that come in order."""
    drives, corrections = Drives(), []
    for number, light in enumerate(lights):
        at = NOON + timedelta(seconds=SECONDS * number)
        steadied = steady.steadied(light, drives.near(DRIVE, str(number), at, 5))
        drives.remember(DRIVE, str(number), at, steadied)
        corrections.append(np.log(steadied.gains[0]))
    return np.array(corrections)


def test_the_first_capture_stays_as_it_is() -> None:
    assert _drive([_light()]) == pytest.approx(0)


def test_jumps_of_automatic_exposure_are_taken_out() -> None:
    """Levels wobble by 10 %, white balance by 4 %; three quarters of either are gone."""
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 0.1, (30, 1)) + rng.normal(0, 0.04, (30, 3))
    output = raw + _drive([_light(0, tuple(row), seed) for seed, row in enumerate(raw)])
    assert np.diff(output.mean(axis=1)).std() < 0.25 * np.diff(raw.mean(axis=1)).std()
    colour, steadied = (part[:, 0] - part[:, 2] for part in (raw, output))
    assert np.diff(steadied).std() < 0.25 * np.diff(colour).std()


def test_slow_change_is_followed() -> None:
    """Dusk: a hundredth a capture. The drive lags by no more than a tenth."""
    raw = -0.01 * np.arange(60)
    output = raw + _drive([_light(level, seed=seed) for seed, level in enumerate(raw)]).mean(axis=1)
    assert np.abs(output - raw).max() < 0.15


def test_a_step_is_followed_within_half_a_minute() -> None:
    raw = np.where(np.arange(60) < 5, 0.0, -0.25)
    corrections = _drive([_light(level, seed=seed) for seed, level in enumerate(raw)]).mean(axis=1)
    assert corrections[5] > 0.15
    assert corrections[5 + 25] < 0.06
    assert all(later <= earlier + 0.005 for earlier, later in pairwise(corrections[5:]))


def test_a_tunnel_is_followed_at_once() -> None:
    raw = np.where(np.arange(12) < 6, 0.0, -1.2)
    corrections = _drive([_light(level, seed=seed) for seed, level in enumerate(raw)]).mean(axis=1)
    assert np.abs(corrections).max() < 0.02


def test_corrections_are_bounded() -> None:
    far = Neighbour(0.0, _light(0.36, (0.3, -0.3, 0)))
    correction = np.log(steady.steadied(_light(), [far] * 50).gains[0])
    assert correction.mean() <= 0.4
    assert np.abs(correction - correction.mean()).max() <= 0.12 + 1e-6


def test_a_neighbour_that_saw_nothing_to_trust_says_nothing() -> None:
    blind = _light(0.2)
    blind.trust[:] = 0
    assert steady.steadied(_light(), [Neighbour(1.0, blind)]).gains == pytest.approx(1)


def test_order_does_not_matter_to_who_is_asked() -> None:
    drives = Drives()
    for number in (7, 2, 5, 3):
        drives.remember(DRIVE, str(number), NOON + timedelta(seconds=number), _light(number))
    near = drives.near(DRIVE, "4", NOON + timedelta(seconds=4), 5)
    assert sorted(neighbour.seconds for neighbour in near) == [1, 1, 2, 3]


def test_a_capture_is_no_neighbour_of_itself_nor_of_another_drive_recipe_or_rig() -> None:
    drives = Drives()
    drives.remember(DRIVE, "1", NOON, _light())
    assert drives.near(DRIVE, "1", NOON, 5) == []
    assert drives.near(("fyn/car8", "recipe"), "2", NOON, 5) == []
    assert drives.near((DRIVE[0], "other"), "2", NOON, 5) == []
    assert drives.near(DRIVE, "2", NOON, 4) == []
    assert len(drives.near(DRIVE, "2", NOON, 5)) == 1


def test_a_minute_later_all_is_forgotten() -> None:
    drives = Drives()
    drives.remember(DRIVE, "1", NOON, _light())
    assert drives.near(DRIVE, "2", NOON + timedelta(seconds=61), 5) == []


def test_memory_does_not_grow_with_the_season() -> None:
    drives = Drives()
    for drive in range(40):
        for number in range(50):
            drives.remember((f"drive{drive}", "recipe"), str(number), NOON, _light())
    assert drives.near(("drive0", "recipe"), "x", NOON, 5) == []
    assert sum(len(captures) for captures in drives._drives.values()) == 16 * 32


def test_lenses_are_predicted_from_the_drive_without_its_common_level() -> None:
    light = _light()
    gains = np.array([1.2, 0.9, 1.0, 1.0, 1.0])[:, None] * np.ones((1, 3))
    neighbours = [Neighbour(1.0, light.under(gains * common)) for common in (1.0, 1.3)]
    predicted = steady.predicted(neighbours)
    assert predicted is not None
    assert predicted[:, 0] / predicted[2, 0] == pytest.approx([1.2, 0.9, 1, 1, 1], rel=1e-6)
    assert np.log(predicted).mean() == pytest.approx(0, abs=1e-9)


def test_other_gains_change_what_is_seen_by_their_mean() -> None:
    light = _light()
    brighter = light.under(np.full((5, 3), 1.1))
    assert brighter.small - light.small == pytest.approx(np.log(1.1), abs=1e-5)
