import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.stitching import hugin
from benchmarks.stitching.hugin import angles, deviation, fitted, image_line
from benchmarks.stitching.scenes import Scene, survey_rig
from panoveil.contracts.rig import BrownConrady, KannalaBrandt, Lens, Rig
from panoveil.pixels import jpeg
from simulator.rigs import as_matrix, demo_rig, turned
from simulator.sensor import shading

_MISSING = hugin.missing()
needs_hugin = pytest.mark.skipif(bool(_MISSING), reason=f"{', '.join(_MISSING)} not installed: {hugin.INSTALL}")


@pytest.mark.parametrize("lens", demo_rig(8192).lenses, ids=lambda lens: lens.name)
def test_hugins_fisheye_follows_the_lens_to_its_corners(lens: Lens) -> None:
    bent, model, half = fitted(lens), lens.intrinsics, min(lens.width, lens.height) / 2
    assert isinstance(model, KannalaBrandt)
    theta = np.linspace(0, 1.02 * np.hypot(lens.width, lens.height) / 2 / model.fx, 100)
    radius = bent.focal * theta
    share = radius / half
    theirs = radius * (1 - bent.a - bent.b - bent.c + share * (bent.c + share * (bent.b + share * bent.a)))
    ours = model.fx * theta * (1 + model.k1 * theta**2 + model.k2 * theta**4)
    assert np.abs(theirs - ours).max() < 0.1


def test_a_pinhole_is_refused() -> None:
    lens = demo_rig(1024).lenses[0].model_copy(update={"intrinsics": BrownConrady(fx=100, fy=100, cx=50, cy=50)})
    with pytest.raises(ValueError, match="no Kannala-Brandt fisheye"):
        fitted(lens)


def test_angles_undo_the_simulators_turns() -> None:
    lens = demo_rig(1024).lenses[0].model_copy(update={"rotation": as_matrix(turned(np.radians(-130), np.radians(25)))})
    assert angles(lens) == pytest.approx((-130, 25, 0))


def test_gains_go_into_exposure_and_white_balance() -> None:
    words = {word[:2]: word[2:] for word in image_line(demo_rig(1024).lenses[1]).split() if word[:2] in {"Er", "Eb", "Ee"}}
    assert float(words["Er"]) == pytest.approx(0.97)
    assert float(words["Eb"]) == pytest.approx(1.02)


@needs_hugin
@pytest.mark.parametrize("rolled", [False, True])
def test_pano_trafo_sees_as_the_rig_does(tmp_path: Path, rolled: bool) -> None:  # noqa: FBT001
    assert deviation(_rolled() if rolled else survey_rig(8192), 8192, tmp_path) < 0.3


def _rolled() -> Rig:
    """A rig whose lenses are also turned about their axes."""
    rig, turn = demo_rig(4096), np.radians(12)
    roll = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    lenses = [lens.model_copy(update={"rotation": as_matrix(np.asarray(lens.rotation) @ roll)}) for lens in rig.lenses]
    return rig.model_copy(update={"lenses": tuple(lenses)})


@needs_hugin
def test_nona_undoes_vignetting_and_gains(tmp_path: Path) -> None:
    rig = survey_rig(1024)
    for lens in rig.lenses:
        grey = np.rint(110 * shading(lens)[..., None] * np.array(lens.photometry.gain))
        cv2.imwrite(str(tmp_path / f"{lens.name}.png"), grey[..., ::-1].astype(np.uint8))
    (tmp_path / "rig.pto").write_text(hugin.project(rig, 1024).replace(".jpg", ".png"))
    subprocess.run(["nona", "-o", "part", "rig.pto"], cwd=tmp_path, check=True, capture_output=True)
    for path in sorted(tmp_path.glob("part*.tif")):
        part = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert part is not None
        seen = part[part[..., 3] == 255][:, :3].astype(float)
        assert seen.mean(axis=0) == pytest.approx(110, abs=0.7)
        assert np.abs(seen - 110).max() < 3


@needs_hugin
def test_a_panorama_of_grey_frames_is_whole_and_grey(tmp_path: Path) -> None:
    rig = survey_rig(512)
    frames = {}
    for lens in rig.lenses:
        grey = np.rint(110 * shading(lens)[..., None] * np.array(lens.photometry.gain))
        frames[lens.name] = jpeg.encode(grey.astype(np.uint8), 95)
    scene = Scene("grey", True, rig, frames, np.zeros((256, 512, 3), np.uint8))  # noqa: FBT003
    image, cost = hugin.run(scene, 512, tmp_path)
    assert image.shape == (256, 512, 3)
    assert np.abs(image[20:180].astype(float) - 110).max() < 6
    assert cost.nona_cpu_s > 0
    assert cost.enblend_cpu_s > 0
