"""The viewer in a real browser: it shows what is published, fetches only what is looked at, and is walked through."""

import base64
import hashlib
import io
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from PIL import Image

from console.catalogue.sources import Folder
from console.viewer.app import serving
from panoveil.contracts.keys import published_key, thumbnail_key, tiles_key
from panoveil.contracts.messages import Derivative, PanoramaPublished, Pose, encode
from panoveil.pixels import jpeg
from services.anonymizer.derivatives import derived
from tests.viewer import chromium
from tests.viewer.chromium import Page

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(chromium.program() is None, reason="no Chromium: run `make chromium`"),
]
WIDTH = 4096
RECIPE = "0a1b2c3d4e5f6071"
NORTH, EAST, SOUTH, WEST = (200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)
"""What is seen in each direction, if headings are right."""


def panorama(heading: float) -> NDArray[np.uint8]:
    """A world with a colour in each direction and dark ground, seen by a camera that was headed somewhere."""
    bearing = (heading + (np.arange(WIDTH) + 0.5) / WIDTH * 360 - 180) % 360
    colours = np.array([NORTH, EAST, SOUTH, WEST], np.uint8)[np.round(bearing / 90).astype(int) % 4]
    picture = np.repeat(colours[None], WIDTH // 2, axis=0)
    picture[WIDTH // 4 :] //= 3
    return picture


def save(folder: Path, number: int, pose: Pose, *, tiled: bool = True) -> None:
    """Publish a panorama into a folder, as the demo leaves it."""
    capture_id = f"dk/d1/{number:06d}"
    picture = panorama(pose.heading or 0.0)
    data = jpeg.encode_patchable(picture, 92)
    made = derived(picture, data)
    files = {"thumbnail": (".thumbnail.jpg", made.thumbnail, thumbnail_key), "tiles": (".pmtiles", made.tiles, tiles_key)}
    derivatives = [
        Derivative.model_validate({"kind": kind, "key": key(capture_id, RECIPE).key, "sha256": hashlib.sha256(text).hexdigest(), "size": len(text)})
        for kind, (_, text, key) in files.items()
    ]  # fmt: skip
    one = PanoramaPublished(
        capture_id=capture_id, recipe_id=RECIPE, stitch_recipe_id="s", captured_at=datetime(2026, 6, 1, 12, tzinfo=UTC) + timedelta(seconds=number),
        pose=pose, key=published_key(capture_id, RECIPE).key, sha256=hashlib.sha256(data).hexdigest(), width=WIDTH, height=WIDTH // 2,
        boxes=(), verification_rounds=1, size=len(data), derivatives=tuple(derivatives) if tiled else (),
    )  # fmt: skip
    (folder / f"{number:06d}.json").write_bytes(encode(one))
    (folder / f"{number:06d}.jpg").write_bytes(data)
    for suffix, text, _ in files.values():
        (folder / f"{number:06d}{suffix}").write_bytes(text)


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A drive that turns from north to east; the last of it comes without tiles, the one before was tilted."""
    drive = tmp_path / "published"
    drive.mkdir()
    save(drive, 0, Pose(latitude=55.4, longitude=10.4, heading=0))
    save(drive, 1, Pose(latitude=55.4001, longitude=10.4, heading=45))
    save(drive, 2, Pose(latitude=55.4001, longitude=10.4002, heading=90, pitch=10, roll=0))
    save(drive, 3, Pose(latitude=55.4001, longitude=10.4004, heading=90), tiled=False)
    async with serving(Folder(drive, None), 0) as address, chromium.opened(address, tmp_path / "profile") as page:
        await page.until("document.body?.dataset.ready")
        yield page
        assert page.trouble == []


def pixels(png: bytes) -> NDArray[np.uint8]:
    """Return a picture's RGB."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


async def seen(page: Page, tmp_path: Path, wanted: tuple[int, int, int]) -> None:
    """Require a colour in the middle of the picture, a little above the horizon; what is fetched may take its time."""
    for _ in range(100):
        await page.photograph(tmp_path / "seen.png")
        shown = pixels((tmp_path / "seen.png").read_bytes())
        width, height = await page.ask("[innerWidth - document.querySelector('aside').clientWidth, innerHeight]")
        found = shown[int(height * 0.4), int(width / 2)]
        if np.abs(found.astype(int) - wanted).max() < 40:
            return
    pytest.fail(f"{found} is seen, not {wanted}")


async def count(page: Page) -> str:
    return str(await page.ask("document.getElementById('count').textContent"))


async def shown_of(page: Page, term: str) -> str:
    terms = "[...document.querySelectorAll('#facts dt')]"
    return str(await page.ask(f"{terms}.find((dt) => dt.textContent === '{term}').nextSibling.textContent"))


async def test_who_walks_goes_on_looking_the_same_way(page: Page, tmp_path: Path) -> None:
    assert await count(page) == "Panorama 1 of 4"
    await seen(page, tmp_path, NORTH)
    for number in (2, 3, 4):
        await page.press("ArrowRight")
        await page.until(f"walk.shown === {number - 1}")
        assert await count(page) == f"Panorama {number} of 4"
        await seen(page, tmp_path, NORTH)
    await page.press("ArrowLeft")
    assert await count(page) == "Panorama 3 of 4"


async def test_who_walks_fast_arrives_looking_the_same_way(page: Page, tmp_path: Path) -> None:
    for _ in range(3):
        await page.press("ArrowRight")
    await page.until("walk.shown === 3")
    assert await count(page) == "Panorama 4 of 4"
    await seen(page, tmp_path, NORTH)


async def test_a_panorama_that_is_gone_is_said_to_be_and_the_walk_goes_on(page: Page, tmp_path: Path) -> None:
    for path in (tmp_path / "published").glob("000001.[jp]*g*"):
        path.unlink()
    (tmp_path / "published" / "000001.pmtiles").unlink()
    await page.press("ArrowRight")
    said = await page.until("!document.getElementById('trouble').hidden && document.getElementById('trouble').textContent")
    assert said.startswith("The panorama cannot be shown")
    await page.press("ArrowRight")
    await page.until("walk.shown === 2")
    assert await page.ask("document.getElementById('trouble').hidden") is True
    await seen(page, tmp_path, NORTH)
    page.trouble.clear()  # the browser noted that something was not found


async def test_it_is_said_what_is_seen(page: Page) -> None:
    await page.press("ArrowRight")
    await page.until("document.getElementById('count').textContent === 'Panorama 2 of 4'")
    assert await shown_of(page, "Capture") == "dk/d1/000001"
    assert await shown_of(page, "Time") == "2026-06-01 12:00:01.0 UTC"
    assert await shown_of(page, "Heading") == "45.0°"
    assert await shown_of(page, "Recipe") == RECIPE
    assert "Faces and number plates" in await page.ask("document.getElementById('notice').textContent")
    assert await page.ask("document.querySelectorAll('#map .place').length") == 4
    assert await page.ask("[...document.querySelectorAll('#map .place')].findIndex((dot) => dot.classList.contains('here'))") == 1


async def test_a_place_on_the_map_is_gone_to(page: Page, tmp_path: Path) -> None:
    await page.ask("document.querySelectorAll('#map .place')[3].dispatchEvent(new Event('click'))")
    await page.until("document.getElementById('count').textContent === 'Panorama 4 of 4'")
    assert await page.ask("document.getElementById('next').disabled") is True
    assert await page.ask("location.hash") == "#000003"


async def test_only_what_is_looked_at_is_fetched(page: Page, tmp_path: Path) -> None:
    await seen(page, tmp_path, NORTH)
    of_panorama = [request for request in page.requests if request["url"].endswith(f"{RECIPE}.jpg")]
    assert all("Range" in request["headers"] for request in of_panorama)
    await page.ask("walk.viewer.zoom(100)")
    await page.until("walk.viewer.state.hFov < 60")
    for _ in range(100):
        ranges = {request["headers"]["Range"] for request in page.requests if request["url"].endswith(f"{RECIPE}.jpg")}
        if ranges:
            break
        await page.photograph(tmp_path / "waiting.png")
    assert 0 < len(ranges) < 8


async def test_a_tilted_panorama_is_set_upright(page: Page) -> None:
    await page.ask("walk.go(2)")
    assert await horizon(page, yaw=0) == pytest.approx(0.5 + 10 / 180, abs=0.002)  # nose up: it is seen below the middle
    await page.ask("walk.go(1)")
    assert await horizon(page, yaw=90) == pytest.approx(0.5, abs=0.002)
    await page.ask("walk.items[0].properties['panoveil:roll'] = 10, walk.go(0)")
    assert await horizon(page, yaw=90) == pytest.approx(0.5 - 10 / 180, abs=0.002)  # right side down: above it, to the right


async def horizon(page: Page, yaw: float) -> float:
    """Where in the picture the horizon is seen in a direction, as a share of its height from the top."""
    place = f"{{ yaw: {math.radians(yaw)}, pitch: 0 }}"
    found = await page.ask(f"walk.viewer.dataHelper.sphericalCoordsToTextureCoords({place}).textureY")
    return float(found) / float(await page.ask("walk.viewer.state.textureData.panoData.fullHeight"))


async def test_the_finest_tiles_are_the_panoramas_own_pixels(page: Page, tmp_path: Path) -> None:
    text = await page.ask(
        "(async () => { const { zoom } = walk.pyramid.facts;"
        "const tile = await walk.pyramid.image(`${walk.pyramid.name}#${zoom}/3/1`); return tile.toDataURL('image/png'); })()"
    )
    found = pixels(base64.b64decode(text.split(",", 1)[1]))
    wanted = jpeg.decode((tmp_path / "published" / "000000.jpg").read_bytes())[512:1024, 3 * 512 : 4 * 512]
    assert np.abs(found.astype(int) - wanted).mean() < 1


async def test_a_drive_with_nothing_published_says_so(tmp_path: Path) -> None:
    drive = tmp_path / "published"
    drive.mkdir()
    save(drive, 0, Pose(latitude=55.4, longitude=10.4), tiled=False)
    source = Folder(drive, None)
    source.found = ()
    async with serving(source, 0) as address, chromium.opened(address, tmp_path / "profile") as page:
        said = await page.until("document.getElementById('trouble')?.textContent")
        assert "Nothing of this drive is published." in said
