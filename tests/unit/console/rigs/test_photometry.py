import numpy as np
import pytest
from numpy.typing import NDArray

from console.rigs import photometry
from console.rigs.photometry import Estimate, Samples
from panoveil.contracts.rig import Photometry, Vec3
from panoveil.pixels import light

LENSES, CAPTURES, PLACES = 4, 8, 500
IDENTITY: Vec3 = (0.0, 0.0, 0.0)
BENT: Vec3 = (0.2, -0.6, 0.2)


def _truth(response: Vec3) -> tuple[Photometry, ...]:
    logs = np.random.default_rng(7).normal(0, 0.03, (LENSES, 3))
    gains = np.exp(logs - logs.mean(axis=0))
    return tuple(
        Photometry(gain=gain, vignetting=(-0.2 - 0.05 * number, 0.03, 0.0), response=response)
        for number, gain in enumerate(gains.tolist())
    )


def _exposures() -> NDArray[np.float64]:
    """Return exposures [C, L] with a geometric mean of 1 for every lens: what all captures share would be a gain."""
    logs = np.random.default_rng(8).normal(0, 0.08, (CAPTURES, LENSES))
    return np.asarray(np.exp(logs - logs.mean(axis=0)))


def _samples(truth: tuple[Photometry, ...]) -> list[Samples]:
    """Return noisy samples; in every eighth place the two lenses look at different things."""
    rng = np.random.default_rng(9)
    return [_capture(truth, exposures, rng) for exposures in _exposures()]


def _capture(truth: tuple[Photometry, ...], exposures: NDArray[np.float64], rng: np.random.Generator) -> Samples:
    first = rng.integers(0, LENSES, PLACES)
    lenses = np.stack([first, (first + 1) % LENSES])
    squares: NDArray[np.float64] = np.asarray(rng.uniform(0.2, 1.0, (2, PLACES)))
    grey, colour = rng.uniform(np.log(25), np.log(230), (PLACES, 1)), rng.normal(0, 0.05, (PLACES, 3))
    scene = np.asarray(np.exp(grey + colour + rng.normal(0, 0.015, (2, PLACES, 3))))
    scene[1, rng.random(PLACES) < 0.125] *= 1.5
    fall_off = np.stack([light.fall_off(model.vignetting, squares) for model in truth])
    own = np.take_along_axis(fall_off, lenses[None], axis=0)[0]
    gains = np.array([model.gain for model in truth])[lenses] * exposures[lenses][..., None]
    values = light.respond(truth[0].response, scene * own[..., None] * gains)
    kept = np.all((values > 10) & (values < 242), axis=(0, 2))
    return Samples(lenses[:, kept], squares[:, kept], values[:, kept], np.ones(kept.sum()))


@pytest.fixture(name="plain", scope="module")
def of_lenses_without_response() -> Estimate:
    return photometry.estimate(_samples(_truth(IDENTITY)), LENSES)


@pytest.fixture(name="bent", scope="module")
def of_lenses_with_one() -> Estimate:
    return photometry.estimate(_samples(_truth(BENT)), LENSES)


def test_fall_off_is_found_to_a_hundredth_in_the_corner(plain: Estimate) -> None:
    for found, true in zip(plain.lenses, _truth(IDENTITY), strict=True):
        for square in (0.25, 0.5, 1.0):
            where = np.array([square])
            assert light.fall_off(found.vignetting, where) == pytest.approx(light.fall_off(true.vignetting, where), abs=0.012)


def test_gains_and_exposures_are_found_to_half_a_hundredth(plain: Estimate) -> None:
    found, true = (np.array([model.gain for model in models]) for models in (plain.lenses, _truth(IDENTITY)))
    assert found / true == pytest.approx(1, abs=0.006)
    relative = plain.exposures / _exposures()
    assert relative / np.exp(np.log(relative).mean(axis=1, keepdims=True)) == pytest.approx(1, abs=0.006)


def test_where_there_is_no_response_none_is_invented(plain: Estimate) -> None:
    levels = np.linspace(0, 255, 256)
    assert np.abs(light.respond(plain.lenses[0].response, levels) - levels).max() < 1.5


def test_a_response_is_found_but_for_a_power_law(bent: Estimate) -> None:
    """Log light agrees with the truth's up to a factor and a constant; what is left is less than three grey levels up to 220, beyond which few places are left."""
    greys = np.linspace(20, 220, 201)
    found, true = (np.log(light.linear(response, greys)) for response in (bent.lenses[0].response, BENT))
    grey_per_log = greys / np.gradient(found, np.log(greys))
    line = np.polyfit(true, found, 1, w=grey_per_log)
    assert np.abs((found - np.polyval(line, true)) * grey_per_log).max() < 3
    unbent = np.polyfit(np.log(greys), true, 1, w=grey_per_log)
    assert np.abs((true - np.polyval(unbent, np.log(greys))) * grey_per_log).max() > 7


def test_lenses_agree_as_well_as_under_the_truth(bent: Estimate) -> None:
    samples = _samples(_truth(BENT))
    before, after, best = (photometry.disagreement(samples, models) for models in ([Photometry()] * 4, bent.lenses, _truth(BENT)))
    assert before > 0.05
    assert after < 1.03 * best


def test_a_response_that_would_fall_is_never_returned() -> None:
    """Nonsense in, a valid rig out: two lenses that contradict any photometry."""
    rng = np.random.default_rng(3)
    wild = [
        Samples(np.repeat([[0], [1]], 300, axis=1), rng.uniform(0, 1, (2, 300)), rng.uniform(11, 240, (2, 300, 3)), np.ones(300))
        for _ in range(3)
    ]
    for model in photometry.estimate(wild, 2).lenses:
        assert Photometry.model_validate(model.model_dump()) == model
