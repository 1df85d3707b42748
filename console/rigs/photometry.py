"""Estimates how a rig's lenses render light from what two of them see of the same place. Pure: samples in, photometry out.

After Goldman, "Vignette and exposure calibration and compensation" (PAMI 2010): fall-off, gains, response and the exposures of every
capture are fitted at once to the logarithms of light, by iteratively reweighted Gauss-Newton steps. Overlaps tell a response only up to
a power law, under which fall-off, gains and exposures bend alike: there, and wherever else overlaps are silent, the identity is assumed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import FLATTEST_RESPONSE, Photometry, Vec3
from panoveil.pixels import light

Floats = NDArray[np.floating[Any]]

_ROUNDS = 12
_SETTLED = 1e-4
_FALL_OFF_PRIOR = (0.6, 0.2, 0.1)
_GAIN_PRIOR, _RESPONSE_PRIOR, _EXPOSURE_PRIOR = 0.3, 0.3, 0.5
_EXPONENT_PRIOR = 0.003
"""The power law in a response is held at none: the priors of all that bends with it would else pull at it."""

_ALIKE = 10.0
"""Neighbouring samples err alike: so many count as one against the priors."""

_LEAST = 0.15
"""No lens is believed to lose more light than that."""

_DIM = 60.0
_NUDGE = 1e-3
_GRID = np.linspace(0.5, 255, 1024)


@dataclass(frozen=True, slots=True)
class Samples:
    """What pairs of lenses saw of the same places in one capture.

    `lenses` int [2, n], `squares` float [2, n] squared radii in half diagonals, `values` float [2, n, 3] grey values as sensed,
    `trust` float [n], 0-1.
    """

    lenses: NDArray[np.int64]
    squares: Floats
    values: Floats
    trust: Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """The lenses' photometry in the rig's order, and every capture's exposures float [C, L] with a geometric mean of 1 for each lens."""

    lenses: tuple[Photometry, ...]
    exposures: Floats


def disagreement(captures: Iterable[Samples], lenses: Sequence[Photometry]) -> float:
    """Return by how much two lenses differ where they overlap, the median as a share, each capture's exposures matched."""
    left = [np.abs(_matched(_logs(samples, lenses), samples, len(lenses))).ravel() for samples in captures]
    return float(np.median(np.concatenate(left)))


def estimate(captures: Sequence[Samples], lenses: int) -> Estimate:
    """Return the likeliest photometry of so many lenses; captures must be samples of the same rig."""
    state: Floats = np.zeros(_size(lenses, len(captures)))
    for _ in range(_ROUNDS):
        step = _step(captures, state, lenses)
        state = _sane(state + step, lenses)
        if np.abs(step).max() < _SETTLED:
            break
    return _read(state, lenses, len(captures))


def _logs(samples: Samples, lenses: Sequence[Photometry]) -> Floats:
    """Return the log ratio [n, 3] of the light that the first and the second lens say came in."""
    sides = []
    for own, squares, values in zip(samples.lenses, samples.squares, samples.values, strict=True):
        logs: Floats = np.empty_like(values)
        for index, model in enumerate(lenses):
            mine = own == index
            fall_off = np.maximum(light.fall_off(model.vignetting, squares[mine]), _LEAST)[:, None]
            logs[mine] = np.log(np.maximum(light.linear(model.response, values[mine]), 0.5) / fall_off / model.gain)
        sides.append(logs)
    ratio: Floats = sides[0] - sides[1]
    return ratio


def _matched(ratios: Floats, samples: Samples, count: int) -> Floats:
    """Take out of the ratios [n, 3] what gains by lens and channel explain: least squares over the medians of the pairs."""
    pairs = np.unique(samples.lenses, axis=1).T
    rows, medians, weights = np.zeros((len(pairs), count)), np.empty((len(pairs), 3)), np.empty((len(pairs), 1))
    for number, (one, other) in enumerate(pairs):
        own = (samples.lenses[0] == one) & (samples.lenses[1] == other)
        rows[number, [one, other]] = 1, -1
        medians[number], weights[number] = np.median(ratios[own], axis=0), np.sqrt(own.sum())
    gains: Floats = np.linalg.lstsq(rows * weights, medians * weights, rcond=None)[0]
    matched: Floats = ratios - (gains[samples.lenses[0]] - gains[samples.lenses[1]])
    return matched


def _size(lenses: int, captures: int) -> int:
    """Fall-off, gains, response, then the exposures of every capture."""
    return 6 * lenses + 3 + captures * lenses


def _step(captures: Sequence[Samples], state: Floats, lenses: int) -> Floats:
    """Return one Gauss-Newton step, residuals weighted by how far they are off: the farthest do not speak at all."""
    residuals = [_residual(samples, state, number, lenses) for number, samples in enumerate(captures)]
    scale = max(1.4826 * float(np.median(np.abs(np.concatenate([left.ravel() for left in residuals])))), 1e-4)
    precision = 1 / _priors(lenses, len(captures)) ** 2
    normal, target = np.diag(precision), -precision * state
    for number, (samples, left) in enumerate(zip(captures, residuals, strict=True)):
        jacobian, columns = _jacobian(samples, state, number, lenses)
        flat = left.ravel()
        weight = _weights(samples, left, scale) / (scale**2 * _ALIKE)
        weighted = jacobian.T * weight
        normal[np.ix_(columns, columns)] += weighted @ jacobian
        target[columns] -= weighted @ flat
    _hold_exponent(normal, target, state, lenses)
    step: Floats = np.linalg.solve(normal, target)
    return step


def _hold_exponent(normal: Floats, target: Floats, state: Floats, lenses: int) -> None:
    """Add the wish that the response be no power law, linearised."""
    place = slice(6 * lenses, 6 * lenses + 3)
    at = state[place]
    by = np.array([(_exponent(at + nudge) - _exponent(at - nudge)) / (2 * _NUDGE) for nudge in _NUDGE * np.eye(3)])
    normal[place, place] += np.outer(by, by) / _EXPONENT_PRIOR**2
    target[place] -= by * (_exponent(at) - 1) / _EXPONENT_PRIOR**2


def _exponent(response: Floats) -> float:
    """Return the power of grey values that light is nearest to: the slope of their logarithms, least squares."""
    first, second, third = response.tolist()
    greys = np.geomspace(20, 235, 100)
    logs, _ = _response_logs((first, second, third), greys)
    return float(np.polyfit(np.log(greys), logs, 1)[0])


def _weights(samples: Samples, left: Floats, scale: float) -> Floats:
    """Tukey's biweight at 4.7 deviations; dim pixels, whose noise is larger against them, count less."""
    robust = np.clip(1 - (left / (4.685 * scale)) ** 2, 0, 1) ** 2
    bright = np.minimum(samples.values.min(axis=0) / _DIM, 1) ** 2
    weights: Floats = (robust * bright * samples.trust[:, None]).ravel()
    return weights


def _priors(lenses: int, captures: int) -> Floats:
    parts = [
        np.tile(_FALL_OFF_PRIOR, lenses),
        np.full(3 * lenses, _GAIN_PRIOR),
        np.full(3, _RESPONSE_PRIOR),
        np.full(captures * lenses, _EXPOSURE_PRIOR),
    ]
    return np.concatenate(parts)


def _parts(state: Floats, lenses: int) -> tuple[Floats, Floats, Vec3, Floats]:
    """Return fall-off [L, 3], log gains [L, 3], response and log exposures [C, L]."""
    fall_off, gains, response, exposures = np.split(state, np.cumsum([3 * lenses, 3 * lenses, 3]))
    first, second, third = response.tolist()
    return fall_off.reshape(lenses, 3), gains.reshape(lenses, 3), (first, second, third), exposures.reshape(-1, lenses)


def _residual(samples: Samples, state: Floats, capture: int, lenses: int) -> Floats:
    """Return the residuals [n, 3]: log ratios of light, told in log ratios of grey values.

    In light alone a power law with a small exponent would make all of them small.
    """
    fall_off, gains, response, exposures = _parts(state, lenses)
    logs, slopes = _response_logs(response, samples.values)
    for side, own in enumerate(samples.lenses):
        logs[side] -= gains[own] + (exposures[capture, own] + np.log(_fall_off(fall_off[own], samples.squares[side])))[:, None]
    residual: Floats = (logs[0] - logs[1]) / slopes.mean(axis=0)
    return residual


def _fall_off(coefficients: Floats, squares: Floats) -> Floats:
    fall_off: Floats = np.maximum(1 + np.sum(coefficients * _powers(squares), axis=-1), _LEAST)
    return fall_off


def _powers(squares: Floats) -> Floats:
    return np.stack([squares, squares**2, squares**3], axis=-1)


def _response_logs(response: Vec3, values: Floats) -> tuple[Floats, Floats]:
    """Return the log light of grey values [...], and its derivative by their logarithm."""
    logs = np.log(np.maximum(light.linear(response, _GRID), 1e-3))
    slopes = np.gradient(logs, np.log(_GRID))
    return np.interp(values, _GRID, logs), np.interp(values, _GRID, slopes)


def _jacobian(samples: Samples, state: Floats, capture: int, lenses: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return the derivatives [3 n, k] of a capture's residuals and the k places in the state that they are by."""
    count = samples.lenses.shape[1]
    own, rows = samples.lenses, np.arange(count)
    fall_off, _, response, _ = _parts(state, lenses)
    _, slopes = _response_logs(response, samples.values)
    derivatives = np.zeros((count, 3, 7 * lenses + 3))
    for side, sign in ((0, -1.0), (1, 1.0)):
        scaled = sign / slopes.mean(axis=0)
        by_light = _powers(samples.squares[side]) / _fall_off(fall_off[own[side]], samples.squares[side])[:, None]
        for channel in range(3):
            by = scaled[:, channel]
            for power in range(3):
                derivatives[rows, channel, 3 * own[side] + power] += by * by_light[:, power]
            derivatives[rows, channel, 3 * lenses + 3 * own[side] + channel] += by
            derivatives[rows, channel, 6 * lenses + 3 + own[side]] += by
    _by_response(derivatives, samples, state, capture, lenses)
    shared, own_exposures = np.arange(6 * lenses + 3), 6 * lenses + 3 + capture * lenses + np.arange(lenses)
    return derivatives.reshape(3 * count, -1), np.concatenate([shared, own_exposures])


def _by_response(derivatives: Floats, samples: Samples, state: Floats, capture: int, lenses: int) -> None:
    """Fill in the derivatives by the response, by central differences."""
    for place in range(6 * lenses, 6 * lenses + 3):
        nudge = np.zeros_like(state)
        nudge[place] = _NUDGE
        after, before = (_residual(samples, state + side * nudge, capture, lenses) for side in (1, -1))
        derivatives[:, :, place] = (after - before) / (2 * _NUDGE)


def _sane(state: Floats, lenses: int) -> Floats:
    """Draw a response that does not rise everywhere back towards the identity."""
    place = slice(6 * lenses, 6 * lenses + 3)
    for _ in range(_ROUNDS):
        first, second, third = state[place].tolist()
        if np.gradient(light.respond((first, second, third), _GRID), _GRID).min() > 2 * FLATTEST_RESPONSE:
            break
        state[place] *= 0.8
    return state


def _read(state: Floats, lenses: int, captures: int) -> Estimate:
    """Turn the state into photometry; what all captures' exposures share is a lens's gain, what all gains share is the rig's mean."""
    fall_off, gains, response, exposures = _parts(state, lenses)
    constant = exposures.mean(axis=0) if captures else np.zeros(lenses)
    gains = gains + constant[:, None]
    gains = np.exp(gains - gains.mean(axis=0))
    rounded: Vec3 = (round(response[0], 5), round(response[1], 5), round(response[2], 5))
    models = tuple(
        Photometry(gain=own, vignetting=loss, response=rounded)
        for own, loss in zip(np.round(gains, 5).tolist(), np.round(fall_off, 5).tolist(), strict=True)
    )
    return Estimate(models, np.exp(exposures - constant))
