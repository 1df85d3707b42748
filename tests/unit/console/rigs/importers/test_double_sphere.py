"""A double sphere camera, by the formula of its paper written down once more, held against what was imported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from console.rigs import importers
from console.rigs.importers import Wish
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import Lens
from panoveil.pixels import lenses

_PARAMS = {"fx": 1038.0, "fy": 1038.9, "cx": 1952.7, "cy": 1930.7, "alpha": 0.558, "Xi": -0.01}


def _written(folder: Path, circle: float | None = None, **changes: float) -> Path:
    for name in ("front", "back"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        document = {"resolution": [3872, 3872], "params_ds": _PARAMS | changes}
        (folder / name / "calibration.json").write_text(json.dumps(document))
        if circle is not None:
            round_it = {"cx": _PARAMS["cx"] + 3, "cy": _PARAMS["cy"] - 4, "r": circle}
            (folder / name / "vignette_circle.json").write_text(json.dumps(round_it))
    return folder


def _expected(ray: NDArray[np.float64]) -> NDArray[np.float64]:
    """Usenko, Demmel and Cremers 2018, equations 40 to 42, a ray at a time."""
    x, y, z = ray
    d1 = (x * x + y * y + z * z) ** 0.5
    lifted = _PARAMS["Xi"] * d1 + z
    d2 = (x * x + y * y + lifted * lifted) ** 0.5
    below = _PARAMS["alpha"] * d2 + (1 - _PARAMS["alpha"]) * lifted
    return np.array([_PARAMS["fx"] * x / below + _PARAMS["cx"], _PARAMS["fy"] * y / below + _PARAMS["cy"]])


def _two(folder: Path, **wishes: Any) -> tuple[Lens, ...]:
    return importers.load_rig(folder, Wish(poses=importers.poses_of_yaws("front=0,back=180"), **wishes)).lenses


def test_a_double_sphere_is_where_its_paper_says(tmp_path: Path) -> None:
    rays = np.random.default_rng(3).normal(size=(3000, 3))
    lens = _two(_written(tmp_path))[0]
    expected = np.array([_expected(ray) for ray in rays])
    off_axis = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2])
    shown = (off_axis < 1.6) & ((expected > 0) & (expected < 3871)).all(axis=1)
    found, visible = lenses.project(lens.intrinsics, rays)
    assert shown.sum() > 1000
    assert visible[shown].all()
    assert np.linalg.norm(found - expected, axis=1)[shown].max() < 0.05


def test_it_images_nothing_outside_its_circle(tmp_path: Path) -> None:
    edge = lenses.edge(_two(_written(tmp_path, circle=1505))[0].intrinsics)
    outermost = _expected(np.array([np.sin(edge), 0, np.cos(edge)]))
    assert outermost[0] - _PARAMS["cx"] == pytest.approx(1500, abs=3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"alpha": 1.5}, "camera back: a double sphere's alpha lies in 0 to 1"),
        ({"Xi": float("nan")}, "camera back: Xi holds a number that is not finite"),
        ({"fx": 0.0}, "camera back: its camera matrix is singular"),
        ({"cx": 100.0}, "camera back: its principal point"),
    ],
)
def test_a_wrong_double_sphere_is_one_clear_sentence(changes: dict[str, float], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=sentence):
        _two(_written(tmp_path, **changes))


def test_kalibrs_double_sphere_is_read_too(tmp_path: Path) -> None:
    keys = ("Xi", "alpha", "fx", "fy", "cx", "cy")
    (tmp_path / "camchain.yaml").write_text(
        f"cam0:\n  camera_model: ds\n  intrinsics: {[_PARAMS[key] for key in keys]}\n"
        "  distortion_model: none\n  distortion_coeffs: []\n  resolution: [3872, 3872]\n"
    )
    chained = importers.load_rig(tmp_path / "camchain.yaml").lenses[0]
    assert chained.intrinsics == _two(_written(tmp_path / "folders"))[0].intrinsics
