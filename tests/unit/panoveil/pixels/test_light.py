import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from panoveil.contracts.rig import Photometry, Vec3
from panoveil.pixels import light

LEVELS = np.linspace(0, 255, 511)


def test_without_coefficients_light_is_what_is_sensed() -> None:
    assert light.respond((0, 0, 0), LEVELS) == pytest.approx(LEVELS, abs=1e-12)
    assert light.linear((0, 0, 0), LEVELS) is LEVELS


@given(st.tuples(*[st.floats(-0.9, 0.9)] * 3))
def test_whatever_the_contract_takes_can_be_undone(response: Vec3) -> None:
    try:
        Photometry(response=response)
    except ValidationError:
        return
    sensed = light.respond(response, LEVELS)
    assert (np.diff(sensed) > 0).all()
    assert (sensed[0], sensed[-1]) == (0, 255)
    assert light.linear(response, sensed) == pytest.approx(LEVELS, abs=0.02)


def test_light_beyond_white_is_white() -> None:
    assert light.respond((0.4, 0, 0), np.array([255.0, 300.0, 900.0])).tolist() == [255, 255, 255]


def test_r1_lifts_the_middle_by_a_quarter_of_itself() -> None:
    assert light.respond((0.4, 0, 0), np.array([127.5])) == pytest.approx(127.5 + 0.1 * 255)


@given(st.tuples(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05)), st.floats(0, 1.2))
def test_moving_out_and_back_ends_where_it_began(shift: tuple[float, float], square: float) -> None:
    green = np.array([square])
    moved = light.magnified(shift, green)
    assert light.shrunk(shift, green * moved * moved) * moved == pytest.approx(1, abs=1e-6)
