import numpy as np
import pytest

from benchmarks import flicker


def test_changes_are_told_in_per_cent_and_delta_e() -> None:
    changes = np.array([[0.1, 3.0, 4.0, 0.0], [-0.1, 0.0, 0.0, 5.0]])
    found = flicker._flicker("street", "steadied", changes)
    assert (found.luma_sd, found.luma_largest) == (10, 10)
    assert found.delta_e == pytest.approx(5)
    assert found.delta_ab == pytest.approx(np.sqrt(41 / 2), abs=0.01)


def test_the_table_has_a_line_a_world_and_mode() -> None:
    rows = [flicker.Flicker("street", mode, 1, 2, 3, 4) for mode in flicker.MODES]
    assert len(flicker._table(rows).splitlines()) == 2 + len(flicker.MODES)
