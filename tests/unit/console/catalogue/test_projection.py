import math

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.catalogue.projection import Projected, reference, rotation
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.messages import Pose

UTM32 = Projected(25832)
ODENSE = Pose(latitude=55.3959, longitude=10.3883, altitude=53.2, heading=90.0)
degrees = st.floats(-80, 80)


def matrix(pose: Pose, convergence: float = 0.0) -> np.ndarray:
    return np.array(rotation(pose, convergence)).reshape(3, 3)


def test_positions_are_told_in_etrs89_utm32() -> None:
    told = UTM32.perspective(ODENSE)
    back = pyproj.Transformer.from_crs(25832, 4326, always_xy=True).transform(*told["pers:perspective_center"][:2])
    assert back == pytest.approx((ODENSE.longitude, ODENSE.latitude), abs=1e-9)
    assert (told["pers:crs"], told["pers:vertical_crs"], told["pers:perspective_center"][2]) == (25832, 4937, 53.2)


def test_the_image_looks_where_the_car_was_headed_on_the_grid() -> None:
    """East of the zone's middle grid north lies east of true north: who heads east heads a little north on the grid."""
    here = pyproj.Transformer.from_crs(4326, 25832, always_xy=True)
    step = 1e-4
    one, other = (here.transform(ODENSE.longitude + east, ODENSE.latitude) for east in (-step, step))
    travelled = np.subtract(other, one) / math.dist(one, other)
    told = np.array(UTM32.perspective(ODENSE)["pers:rotation_matrix"]).reshape(3, 3)
    assert -told[2, :2] == pytest.approx(travelled, abs=1e-4)
    assert travelled[1] == pytest.approx(math.sin(math.radians(UTM32.convergence(ODENSE))), abs=1e-4)
    assert travelled[1] > 0.01


@given(st.floats(0, 360), degrees, degrees)
def test_a_rotation_turns_and_nothing_else(heading: float, pitch: float, roll: float) -> None:
    turned = matrix(Pose(latitude=0, longitude=0, heading=heading, pitch=pitch, roll=roll))
    assert turned @ turned.T == pytest.approx(np.eye(3), abs=1e-7)
    assert np.linalg.det(turned) == pytest.approx(1)


def test_nose_up_looks_up_and_right_side_down_hangs() -> None:
    north = Pose(latitude=0, longitude=0, heading=0, pitch=10, roll=0)
    assert -matrix(north)[2] == pytest.approx([0, math.cos(math.radians(10)), math.sin(math.radians(10))])
    hanging = Pose(latitude=0, longitude=0, heading=0, pitch=0, roll=10)
    assert matrix(hanging)[0] == pytest.approx([math.cos(math.radians(10)), 0, -math.sin(math.radians(10))])


def test_without_a_heading_there_is_no_rotation() -> None:
    assert "pers:rotation_matrix" not in UTM32.perspective(Pose(latitude=55, longitude=10))


@pytest.mark.parametrize("text", ["EPSG:4326", "25832x", "", "EPSG:1"])
def test_what_is_no_projected_system_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="EPSG:25832"):
        reference(text)
