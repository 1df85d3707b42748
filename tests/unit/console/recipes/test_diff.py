"""What another recipe changes."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from console.recipes import pictures, published
from console.recipes.diff import Diff, diff
from panoveil.contracts.errors import Misconfigured
from panoveil.detection import Detections, Images, Kind, RectangleDetector
from panoveil.pixels import jpeg
from tests.unit.console.recipes.test_boxes import box
from tests.unit.console.replay.worlds import DRIVE, World
from tests.unit.services.anonymizer.test_anonymize import Haunted


class FacesOnly(RectangleDetector):
    """Sees no plates."""

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        found = await super().detect(kind, images)
        return [one.above(2.0) if kind == "plate" else one for one in found]

    async def prove(self, since: int | None = None) -> None:
        """It swears that it sees."""


async def compared(world: World) -> Diff:
    drive = await published.read(DRIVE, world.ledger)
    return await diff(drive, world.recipe_id(0.2), world.recipe_id(0.5), world.ledger)


@pytest.fixture(name="world")
async def a_world() -> World:
    return await (await World(2).stitched()).live()


async def test_a_wider_margin_hides_more_and_says_so(world: World) -> None:
    await world.replay(0.5)
    totals = (await compared(world)).totals()
    assert (totals["both"], totals["changed"], totals["gained"]) == (2, 0, {"face": 0, "plate": 0})
    assert totals["share"][1] > totals["share"][0] > 0
    assert totals["settings"] == {"margin": [0.2, 0.5]}


async def test_what_is_no_longer_found_is_lost_and_the_other_way_round_gained(world: World, tmp_path: Path) -> None:
    await world.replay(0.5, detector=FacesOnly())
    found = await compared(world)
    assert [[one.kind for one in change.lost] for change in found.changes] == [["plate"], ["plate"]]
    assert found.totals()["lost"] == {"face": 0, "plate": 2}
    back = await diff(await published.read(DRIVE, world.ledger), found.after, found.before, world.ledger)
    assert back.totals()["gained"] == {"face": 0, "plate": 2}
    assert await pictures.write(found, world.blobs, tmp_path, 1) == 1
    (file,) = tmp_path.iterdir()
    assert file.name == "car7-0601-000000-lost-1-plate.jpg"
    assert jpeg.decode(file.read_bytes()).shape == (480, 968, 3)


async def test_what_was_held_is_missing_and_says_why(world: World) -> None:
    await world.replay(0.5, detector=Haunted())
    first, _ = (await compared(world)).changes
    told = first.as_json()
    assert (told["missing"], told["why"], told["gained"], told["lost"]) == ("after", "held: not_verified", [], [])


async def test_a_recipe_is_named_by_the_beginning_of_its_id(world: World) -> None:
    drive = await published.read(DRIVE, world.ledger)
    assert published.resolve(world.recipe_id(0.2)[:4], drive) == world.recipe_id(0.2)
    await world.replay(0.5)
    drive = await published.read(DRIVE, world.ledger)
    for text, said in (("", "several"), ("xyz", "no recipe")):
        with pytest.raises(Misconfigured, match=said):
            published.resolve(text, drive)


@pytest.mark.parametrize("west", [-3.0, 177.0, 120.0])
def test_a_crop_shows_the_box_in_its_middle_wherever_it_lies(west: float) -> None:
    picture = np.zeros((512, 1024, 3), np.uint8)
    east = (west + 6 + 180) % 360 - 180
    columns = np.arange(round((west + 180) / 360 * 1024), round((west + 186) / 360 * 1024)) % 1024
    picture[256 - 9 : 256 + 9, columns] = 255
    shown = pictures.crop(picture, box(west, -3, east, 3), (255, 0, 0))
    assert shown.shape == (480, 480, 3)
    assert shown[240, 240].tolist() == [255, 255, 255]
    drawn: Any = cv2.inRange(shown, (200, 0, 0), (255, 60, 60))
    x, y, wide, high = cv2.boundingRect(drawn)
    assert (x + wide / 2, y + high / 2) == pytest.approx((240, 240), abs=8)
    assert not shown[5, 5].any()
