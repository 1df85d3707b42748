from pathlib import Path

import numpy as np
import pytest

from panoveil.pixels import equirect, jpeg, lenses
from simulator.extras import Extras
from simulator.rigs import demo_rig
from simulator.worlds import Photographs, centred

_WIDTH = 512
_SHARED = Path(__file__).parents[4] / "shared/eval/panoramas/survey_vehicles/images"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two panoramas whose colour says the angle: red the yaw's sine, green its cosine, blue the pitch."""
    rays = equirect.rays(_WIDTH)
    image = np.stack([127 + 120 * rays[..., 0], 127 + 120 * rays[..., 2], 127 - 120 * rays[..., 1]], axis=-1)
    for name in ("b.jpg", "a.jpg"):
        (tmp_path / name).write_bytes(jpeg.encode(image.astype(np.uint8), 98))
    (tmp_path / "notes.txt").write_text("not a panorama")
    return tmp_path


def test_every_lens_sees_the_panorama_along_its_own_rays(folder: Path) -> None:
    world, rig = Photographs(folder), centred(demo_rig(_WIDTH))
    for lens in rig.lenses:
        frame = world.frame(rig, lens, 0).astype(float)
        for column, row in ((10, 20), (lens.width // 2, lens.height // 2), (lens.width - 5, lens.height - 40)):
            ray = np.array(lens.rotation) @ lenses.unproject(lens.intrinsics, np.array([column, row], float))
            assert frame[row, column] == pytest.approx([127 + 120 * ray[0], 127 + 120 * ray[2], 127 - 120 * ray[1]], abs=4)


def test_panoramas_come_in_order_and_end(folder: Path) -> None:
    world = Photographs(folder)
    assert [path.name for path in world.paths] == ["a.jpg", "b.jpg"]
    assert world.station(1).z - world.station(0).z == pytest.approx(10)
    with pytest.raises(IndexError, match="there are 2 panoramas"):
        world.station(2)


def test_drawn_people_stand_where_the_panorama_wraps_and_change_the_frames(folder: Path) -> None:
    rig = centred(demo_rig(_WIDTH))
    plain, peopled = Photographs(folder), Photographs(folder, Extras(people=3, cars=2, seed=2))
    assert plain.truth(rig, 0, 4096) == ()
    truth = peopled.truth(rig, 0, 4096)
    assert {item.kind for item in truth} == {"face", "plate"}
    assert any(abs(item.west) > 177 for item in truth if item.kind == "face")
    rear = rig.lenses[2]
    assert (plain.frame(rig, rear, 0) != peopled.frame(rig, rear, 0)).any()


@pytest.mark.skipif(not _SHARED.exists(), reason="no survey panoramas on this machine")
def test_a_real_panorama_is_photographed() -> None:
    world, rig = Photographs(_SHARED), centred(demo_rig(_WIDTH))
    assert len(world) == 10
    assert world.frame(rig, rig.lenses[0], 0).std() > 20
