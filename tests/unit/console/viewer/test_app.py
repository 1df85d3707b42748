"""What the viewer's server answers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from console.catalogue.sources import Folder, Published, Source
from console.viewer.app import serving
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.ledger import MemoryLedger
from tests.unit.console.catalogue.drives import DRIVE, HELD, publish, published, save

ONE = published(1)


@pytest_asyncio.fixture(params=["bucket", "folder"])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """Two panoramas, in the published bucket or in a folder."""
    found = [published(0), ONE]
    if request.param == "folder":
        save(tmp_path, found)
        return Folder(tmp_path, None)
    ledger, blobs = MemoryLedger(), MemoryBlobs()
    await publish(ledger, blobs, found)
    return Published(DRIVE, ledger, blobs)


@pytest_asyncio.fixture
async def browser(source: Source) -> AsyncIterator[ClientSession]:
    async with serving(source, 0) as address, ClientSession(address) as session:
        yield session


async def test_the_drive_is_geojson_whose_ways_lead_to_objects(browser: ClientSession) -> None:
    async with browser.get("/drive.geojson") as answer:
        assert answer.content_type == "application/geo+json"
        drive = await answer.json(content_type=None)
    assert [one["properties"]["panoveil:capture_id"] for one in drive["features"]] == [f"{DRIVE}/000000", f"{DRIVE}/000001"]
    for name, kind in (("panorama", "image/jpeg"), ("thumbnail", "image/jpeg"), ("tiles", "application/vnd.pmtiles")):
        async with browser.get("/" + drive["features"][1]["assets"][name]["href"]) as answer:
            assert (answer.status, answer.content_type, await answer.read()) == (200, kind, HELD)
            assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [("bytes=0-9", 0, 10), ("bytes=10-19", 10, 20), ("bytes=90-", 90, 100), ("bytes=-5", 95, 100), ("bytes=95-999", 95, 100), ("bytes=-999", 0, 100)],
)  # fmt: skip
async def test_a_part_is_answered_with_where_it_lies(browser: ClientSession, asked: str, first: int, end: int) -> None:
    async with browser.get(f"/objects/{ONE.key}", headers={"Range": asked}) as answer:
        assert (answer.status, await answer.read()) == (206, HELD[first:end])
        assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/100"


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=7-3", "bytes=-0"])
async def test_a_part_that_is_not_there_is_said_to_be_none(browser: ClientSession, asked: str) -> None:
    async with browser.get(f"/objects/{ONE.key}", headers={"Range": asked}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */100")


async def test_a_range_of_another_kind_is_answered_with_the_whole(browser: ClientSession) -> None:
    async with browser.get(f"/objects/{ONE.key}", headers={"Range": "bytes=0-1,4-5"}) as answer:
        assert (answer.status, await answer.read()) == (200, HELD)


@pytest.mark.parametrize("key", ["fyn-2026/car8/000001/0a1b2c3d4e5f6071.jpg", f"{DRIVE}/000001/other.jpg", "../secret", "x"])
async def test_nothing_else_is_shown(browser: ClientSession, source: Source, key: str) -> None:
    if isinstance(source, Published):
        await source.blobs.put(BlobRef(Bucket.PUBLISHED, "fyn-2026/car8/000001/0a1b2c3d4e5f6071.jpg"), b"another drive's")
    async with browser.get(f"/objects/{key}") as answer:
        assert answer.status == 404


async def test_pages_are_found_and_may_load_nothing_from_elsewhere(browser: ClientSession) -> None:
    for path in ("/", "/viewer.js", "/map.js", "/pyramid.js", "/viewer.css", "/vendor/psv/index.module.js"):
        async with browser.get(path) as answer:
            assert answer.status == 200
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_what_is_not_published_yet_is_said_to_the_browser() -> None:
    source = Published("dk/none", MemoryLedger(), MemoryBlobs())
    async with serving(source, 0) as address, ClientSession(address) as session, session.get("/drive.geojson") as answer:
        assert (answer.status, await answer.text()) == (
            404,
            "No drive 'dk/none' is in the ledger; `panoveil status` lists those that are.",
        )


async def test_while_the_store_is_down_the_browser_is_told() -> None:
    blobs = MemoryBlobs()
    blobs.down = True
    source = Published(DRIVE, MemoryLedger(), blobs)
    async with serving(source, 0) as address, ClientSession(address) as session, session.get(f"/objects/{ONE.key}") as answer:
        assert answer.status == 503


async def test_a_port_that_is_taken_is_named(source: Source) -> None:
    async with serving(source, 0) as address:
        port = int(address.rstrip("/").rsplit(":", 1)[1])
        with pytest.raises(Misconfigured, match=f"Port {port} on 127.0.0.1"):
            async with serving(source, port):
                pass


def test_a_folder_with_several_drives_wants_one_named(tmp_path: Path) -> None:
    other = ONE.model_copy(update={"capture_id": "fyn-2026/car8/000007"})
    save(tmp_path, [ONE, other])
    with pytest.raises(Misconfigured, match="several drives, name one: fyn-2026/car7-0601, fyn-2026/car8"):
        Folder(tmp_path, None)
    assert [one.capture_id for one in Folder(tmp_path, "fyn-2026/car8").found] == ["fyn-2026/car8/000007"]
    with pytest.raises(Misconfigured, match="holds nothing of drive 'dk/d1'"):
        Folder(tmp_path, "dk/d1")


def test_a_folder_without_publications_says_what_would_be_one(tmp_path: Path) -> None:
    (tmp_path / "rig.json").write_text("{}")
    with pytest.raises(Misconfigured, match="holds no publication: `panoveil demo` leaves"):
        Folder(tmp_path, None)
