"""Hugin's projects, held against Hugin's own pano_trafo."""

import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from console.rigs import importers
from console.rigs.importers import Wish
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt, Lens
from panoveil.pixels import equirect, lenses

WITHIN = 0.05
_PANORAMA = 72_000
"""Pixels across: pano_trafo prints a millionth of one."""

needs_hugin = pytest.mark.skipif(shutil.which("pano_trafo") is None, reason="Hugin's pano_trafo is not installed (hugin-tools)")


@dataclass(frozen=True)
class Shot:
    """An image line's numbers; angles in degrees."""

    f: int = 0
    v: float = 70
    w: int = 1600
    h: int = 1200
    abc: tuple[float, float, float] = (0, 0, 0)
    shift: tuple[float, float] = (0, 0)
    ypr: tuple[float, float, float] = (0, 0, 0)
    more: str = ""

    def __str__(self) -> str:
        a, b, c = (f"{value:.9f}" for value in self.abc)
        y, p, r = (f"{value:.9f}" for value in self.ypr)
        d, e = self.shift
        given = f"i w{self.w} h{self.h} f{self.f} v{self.v} Eev0 Er1 Eb1 r{r} p{p} y{y} TrX0 TrY0 TrZ0"
        return f"{given} a{a} b{b} c{c} d{d} e{e} g0 t0 Va1 {self.more}"


def _written(folder: Path, *lines: object) -> Path:
    path = folder / "project.pto"
    images = [f'{line} n"lens {index}.jpg"' for index, line in enumerate(lines)]
    head = ["# hugin project file", "#hugin_ptoversion 2", f'p f2 w{_PANORAMA} h{_PANORAMA // 2} v360  n"TIFF_m c:LZW"']
    path.write_text("\n".join([*head, "m i0", "", *images, "", "v y0", "*", ""]))
    return path


def _asked(path: Path, index: int, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rays [N, 3] that pano_trafo says pixels [N, 2] of an image see."""
    lines = "\n".join(f"{x:.6f} {y:.6f}" for x, y in pixels)
    said = subprocess.run(["pano_trafo", str(path), str(index)], input=lines, capture_output=True, text=True, check=True).stdout
    u, v = np.array([line.split() for line in said.splitlines()], np.float64).T
    yaw, pitch = ((u + 0.5) / _PANORAMA - 0.5) * 2 * np.pi, (0.5 - (v + 0.5) / (_PANORAMA // 2)) * np.pi
    return np.stack([np.cos(pitch) * np.sin(yaw), -np.sin(pitch), np.cos(pitch) * np.cos(yaw)], axis=-1)


def _deviation(path: Path, lens: Lens, index: int = 0, reach: float = 1.69) -> float:
    """Return the largest distance in pixels to pano_trafo over the image, up to `reach` radians off axis."""
    pixels = np.random.default_rng(2).uniform(0, 1, (400, 2)) * (lens.width - 1, lens.height - 1)
    rays = _asked(path, index, pixels) @ np.asarray(lens.rotation)
    sensible = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2]) < reach
    found, visible = lenses.project(lens.intrinsics, rays[sensible])
    assert sensible.sum() > 150
    assert visible.all()
    return float(np.linalg.norm(found - pixels[sensible], axis=-1).max())


@needs_hugin
@pytest.mark.parametrize(
    "shot",
    [
        Shot(),
        Shot(ypr=(-140, 35, -100)),
        Shot(abc=(0, -0.02, 0)),
        Shot(abc=(0.004, -0.015, 0.01), shift=(12.5, -7.25), ypr=(30, 20, 10)),
        Shot(v=50, w=1000, h=1500, abc=(0.004, -0.015, 0.01), shift=(12.5, -7.25), ypr=(30, 20, 10)),
        Shot(f=2, v=150, abc=(0.002, -0.015, 0.005), shift=(12.5, -7.25), ypr=(30, 20, 10)),
        Shot(f=3, v=130, ypr=(170, -50, 80)),
        Shot(f=3, v=100, w=1000, h=1500, abc=(0.002, -0.015, 0.005), shift=(12.5, -7.25), ypr=(30, 20, 10)),
        Shot(f=10, v=140, abc=(0, -0.01, 0), ypr=(30, 20, 10)),
        Shot(f=21, v=140, abc=(0, -0.01, 0), ypr=(30, 20, 10)),
        Shot(f=20, v=110, ypr=(30, 20, 10)),
        Shot(f=8, v=100, ypr=(30, 20, 10)),
    ],
    ids=str,
)
def test_an_image_is_where_hugin_says(shot: Shot, tmp_path: Path) -> None:
    path = _written(tmp_path, shot)
    assert _deviation(path, importers.load_rig(path).lenses[0]) < WITHIN


@needs_hugin
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    f=st.sampled_from([0, 2, 3]),
    size=st.sampled_from([(1600, 1200), (1000, 1500)]),
    v=st.floats(30, 75),
    abc=st.tuples(st.floats(-0.003, 0.003), st.floats(-0.02, 0.02), st.floats(-0.003, 0.003)),
    shift=st.tuples(st.integers(-30, 30), st.integers(-30, 30)),
    ypr=st.tuples(st.floats(-180, 180), st.floats(-89, 89), st.floats(-180, 180)),
)
def test_any_image_is_where_hugin_says(
    f: int,
    size: tuple[int, int],
    v: float,
    abc: tuple[float, float, float],
    shift: tuple[int, int],
    ypr: tuple[float, float, float],
    tmp_path: Path,
) -> None:
    path = _written(tmp_path, Shot(f, round(v, 6), *size, abc, shift, ypr))
    assert _deviation(path, importers.load_rig(path).lenses[0]) < WITHIN


@needs_hugin
def test_back_references_share_a_lens_as_hugin_shares_it(tmp_path: Path) -> None:
    first = Shot(f=3, v=130, abc=(0.002, -0.015, 0.005), shift=(12.5, -7.25))
    second = "i w1600 h1200 f3 v=0 Er1 Eb1 r3 p-4 y120 TrX0 a=0 b=0 c=0 d=0 e=0 g=0 t=0 Va=0 Vb=0 Vm5"
    third = second.replace("=0", "=1").replace("y120", "y240")
    path = _written(tmp_path, first, second, third)
    rig = importers.load_rig(path)
    assert [lens.name for lens in rig.lenses] == ["lens-0", "lens-1", "lens-2"]
    assert rig.lenses[0].intrinsics == rig.lenses[1].intrinsics == rig.lenses[2].intrinsics
    assert max(_deviation(path, lens, index) for index, lens in enumerate(rig.lenses)) < WITHIN


@needs_hugin
def test_a_circular_fisheye_ends_at_its_crop(tmp_path: Path) -> None:
    path = _written(tmp_path, Shot(f=2, v=240, abc=(0, -0.01, 0), more="S200,1400,0,1200"))
    lens = importers.load_rig(path).lenses[0]
    assert isinstance(lens.intrinsics, KannalaBrandt)
    edge = lens.intrinsics.max_theta
    outermost, _ = lenses.project(lens.intrinsics, np.array([np.sin(edge - 2e-3), 0, np.cos(edge - 2e-3)]))
    assert outermost[0] - lens.intrinsics.cx == pytest.approx(600, abs=2)
    assert _deviation(path, lens, reach=edge) < WITHIN


@needs_hugin
def test_a_polynomial_that_folds_inside_the_image_ends_the_lens_there(tmp_path: Path) -> None:
    path = _written(tmp_path, Shot(v=70, abc=(0, -0.3, 0)))
    lens = importers.load_rig(path, Wish(within=0.2)).lenses[0]
    assert isinstance(lens.intrinsics, KannalaBrandt)
    fold = math.atan(math.sqrt(1.3 / 0.9) * 600 / 800 * math.tan(math.radians(35)))
    assert lens.intrinsics.max_theta == pytest.approx(fold, abs=0.05)


@needs_hugin
def test_the_middle_of_the_panorama_is_ahead(tmp_path: Path) -> None:
    path = _written(tmp_path, Shot(ypr=(90, 0, 0)), Shot(ypr=(0, 30, 0)))
    right, up = importers.load_rig(path).lenses
    np.testing.assert_allclose(np.asarray(right.rotation)[:, 2], (1, 0, 0), atol=1e-12)
    yaw, pitch = equirect.to_angles(np.asarray(up.rotation)[:, 2])
    assert (float(yaw), float(np.degrees(pitch))) == pytest.approx((0, 30), abs=1e-4)
    assert _asked(path, 1, np.array([[799.5, 599.5]]))[0] == pytest.approx((0, -0.5, np.sqrt(0.75)), abs=1e-6)


def test_without_distortion_the_numbers_are_plain(tmp_path: Path) -> None:
    lens = importers.load_rig(_written(tmp_path, Shot(v=90, shift=(10, -20)))).lenses[0]
    expected = BrownConrady(fx=800, fy=800, cx=809.5, cy=579.5).model_dump(exclude={"model"})
    assert lens.intrinsics.model_dump(exclude={"model"}) == pytest.approx(expected)


@needs_hugin
def test_a_person_may_allow_a_looser_fit(tmp_path: Path) -> None:
    path = _written(tmp_path, Shot(f=2, v=150, abc=(0.01, -0.03, 0.03)))
    with pytest.raises(Misconfigured, match=r"off by 0\.1\d+ px \(--within 0\.05\)"):
        importers.load_rig(path)
    imported = importers.import_rig(path, Wish(within=0.5))
    assert WITHIN < _deviation(path, imported.rig.lenses[0]) < 0.5
    assert any("may be off by 0.5 px" in notice for notice in imported.notices)


def test_photometry_becomes_ours(tmp_path: Path) -> None:
    bright = "i w1600 h1200 f0 v70 Eev10 Er1.1 Eb0.9 r0 p0 y0 Va1 Vb-0.3 Vc0.1 Vd-0.02 Vx0 Vy0 Vm5"
    dark = bright.replace("Eev10", "Eev12").replace("Va1", "Va2")
    imported = importers.import_rig(_written(tmp_path, bright, dark))
    first, second = (lens.photometry for lens in imported.rig.lenses)
    assert first.gain == pytest.approx((2.2, 2.0, 1.8))
    assert second.gain == pytest.approx((1.1, 1.0, 0.9))
    assert first.vignetting == pytest.approx((-0.3, 0.1, -0.02))
    assert second.vignetting == pytest.approx((-0.15, 0.05, -0.01))
    assert any("linear light" in notice for notice in imported.notices)


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    line = "i w1600 h1200 f0 v70 r0 p0 y0 Vb-0.3 Vx200 Vy0 S10,1500,10,1100"
    notices = importers.import_rig(_written(tmp_path, line)).notices
    for said in ("lenses stand at the rig's origin", "crops of images", "vignetting centre", "2.5 m were taken as height"):
        assert any(said in notice for notice in notices), said


def test_two_lenses_on_one_picture_are_told_apart(tmp_path: Path) -> None:
    halves = [f'i w3000 h1500 f2 v380 r0 p0 y{180 * side} d{1500 * side - 750} n"both.jpg"' for side in (0, 1)]
    path = tmp_path / "dual.pto"
    path.write_text("\n".join(["# hugin project file", *halves]).replace("d-750", "d-740").replace("d750", "d740"))
    imported = importers.import_rig(path)
    assert [lens.name for lens in imported.rig.lenses] == ["both-0", "both-1"]
    assert any("both-0, both-1 lie on one picture" in notice for notice in imported.notices)


def test_images_switched_off_are_left_out_and_names_made_unique(tmp_path: Path) -> None:
    path = tmp_path / "project.pto"
    image = 'i w1600 h1200 f0 v70 r0 p0 y0 n"/data/a folder/front.jpg"'
    path.write_text(f"# hugin project file\n#-hugin cropFactor=1 disabled\n{image}\n#-hugin cropFactor=1\n{image}\n")
    assert [lens.name for lens in importers.load_rig(path).lenses] == ["front-1"]
    path.write_text(f"#-hugin cropFactor=1 disabled\n{image}\n")
    with pytest.raises(Misconfigured, match="no images that are switched on"):
        importers.load_rig(path)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("i w1600 h1200 f4 v70", r"image lens 0: Hugin's projection f4 cannot be imported \(these can: 0 rectilinear, 2 and 3"),
        ("i w1600 h1200 f0 v0", "image lens 0: a field of view of 0 degrees is none"),
        ("i w1600 h1200 f0 v180", "image lens 0: a field of view of 180 degrees is none"),
        ("i w1600 h1200 f0 vnan", "image 0: v is not a finite number"),
        ("i w1600 h1200 f0 v1.2.3", "image 0: a value is no number"),
        ("i w1600 h1200 f0 v70 g3", r"image lens 0: shear \(g, t\)"),
        ("i w1600 h1200 f0 v70 TrX0.5", "image lens 0: TrX to Tpp move it on a mosaic's plane"),
        ("i w1600 h1200 f0 v=3", "image 0: v=3 refers to no image"),
        ("i w1600 h1200 f0 v=0", "image 0: v refers to itself"),
        ("i w1600 h1200 f0 v70 d700", "image lens 0: its principal point"),
        ("i w1600 h1200 f0 v70 Va0", "image lens 0: a vignetting of 0 in the image's middle is none"),
        ("i w1600 h1200 f0 v110 a0.3 b-0.7 c0.3", r"closest of ours is off by .* px \(--within 0\.05\)"),
        ("i w0 h1200 f0 v70", "0 x 1200 is no image size"),
        ("i w1600 h1200 f0 v70 ynan", "image 0: y is not a finite number"),
    ],
)
def test_a_wrong_project_is_one_clear_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=sentence) as caught:
        importers.load_rig(_written(tmp_path, line), Wish())
    assert "\n" not in str(caught.value)
