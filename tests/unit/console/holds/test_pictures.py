"""The picture for a person's eyes: it shows what was left and hides what is hidden."""

import stat
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from console.holds import pictures
from console.holds.pictures import drawn, write
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.pixels import jpeg
from tests.unit.console.holds.worlds import World
from tests.unit.services.anonymizer.test_handler import panorama

YELLOW, GREEN, RED = (255, 220, 0), (60, 200, 60), (255, 0, 0)


def count(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    """Pixels of nearly that colour."""
    return int((np.abs(picture.astype(int) - colour).max(axis=2) < 30).sum())


@pytest.fixture(name="world")
async def a_held_capture() -> World:
    return await World().hold()


async def test_what_was_left_is_outlined_and_enlarged_below(world: World) -> None:
    case = await world.case()
    shown = drawn(jpeg.decode(panorama()), case.hold, case.finds(case.hold))
    assert shown.shape[1] == 512
    assert count(shown[:256], YELLOW) > 100
    assert shown.shape[0] == 256 + 2 * 480  # a crop each, one to a row in so narrow a panorama
    assert count(shown[256:], RED) > 4 * count(shown[:256], RED) > 0


async def test_an_outline_across_the_edge_is_drawn_on_both_sides(world: World) -> None:
    case = await world.case()
    finds = [one for one in case.finds(case.hold) if one.box.kind == "face"]
    shown = drawn(jpeg.decode(panorama()), case.hold, finds)[:256]
    assert min(count(shown[:, :40], YELLOW), count(shown[:, -40:], YELLOW)) > 10


async def test_what_is_hidden_is_hidden_in_the_picture_too(world: World) -> None:
    case = await world.case()
    hold = case.hold.model_copy(update={"regions": case.hold.left, "left": ()})
    shown = drawn(jpeg.decode(panorama()), hold, ())
    assert (count(shown, RED), shown.shape) == (0, (256, 512, 3))
    assert count(shown, GREEN) > 50


async def test_a_wide_panorama_is_shown_smaller(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_WIDEST", 300)
    case = await world.case()
    shown = drawn(jpeg.decode(panorama()), case.hold, case.finds(case.hold))
    assert shown.shape == (150 + 2 * 300, 300, 3)


async def test_only_its_owner_may_read_the_file(world: World, tmp_path: Path) -> None:
    await write(await world.case(), world.blobs, tmp_path / "look.jpg")
    assert stat.S_IMODE((tmp_path / "look.jpg").stat().st_mode) == 0o600
    assert jpeg.decode((tmp_path / "look.jpg").read_bytes()).shape[1] == 512


async def test_nothing_is_written_over(world: World, tmp_path: Path) -> None:
    (tmp_path / "look.jpg").write_bytes(b"somebody's")
    with pytest.raises(Misconfigured, match="cannot be written: File exists"):
        await write(await world.case(), world.blobs, tmp_path / "look.jpg")
    assert (tmp_path / "look.jpg").read_bytes() == b"somebody's"


async def test_a_panorama_that_is_not_the_one_that_was_held_is_not_shown(world: World, tmp_path: Path) -> None:
    case = await world.case()
    await world.blobs.put(BlobRef(Bucket.STITCHED, case.hold.inputs[0].key), b"another")
    with pytest.raises(Rejected, match="hash_mismatch"):
        await write(case, world.blobs, tmp_path / "look.jpg")
    assert not (tmp_path / "look.jpg").exists()
