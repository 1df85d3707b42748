"""`panoveil catalogue` as an operator types it."""

import asyncio
import contextlib
import json
import posixpath
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.catalogue import cli
from console.cli import app
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.audit import Publication
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.examples import read
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, current_key
from panoveil.contracts.messages import encode
from panoveil.ledger import MemoryLedger, State
from panoveil.ledger import note as note_entry
from panoveil.settings import Settings
from tests.unit.console.catalogue.drives import DRIVE, RECIPE, publish, published, save


class World:
    """Connections to twins in memory."""

    def __init__(self) -> None:
        self.ledger, self.blobs = MemoryLedger(), MemoryBlobs()

    def catalogued(self) -> list[str]:
        """What lies in the published bucket as a catalogue."""
        return sorted(ref.key for ref in self.blobs.objects if ref.key.startswith("_catalogue/"))

    def document(self, path: str) -> Any:
        """A file of the published catalogue."""
        return json.loads(self.blobs.objects[BlobRef(Bucket.PUBLISHED, f"_catalogue/{DRIVE}/{path}")])


@pytest.fixture(name="world")
def a_world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    @contextlib.asynccontextmanager
    async def connect(_: Settings) -> AsyncIterator[World]:
        yield world

    monkeypatch.setattr(cli, "connect", connect)
    asyncio.run(publish(world.ledger, world.blobs, [published(number) for number in range(3)]))
    return world


def run(*arguments: str | Path) -> str:
    answer = CliRunner().invoke(app, ["catalogue", *map(str, arguments)], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return " ".join(answer.output.split())


def test_a_drive_is_written_into_a_folder(world: World, tmp_path: Path) -> None:
    said = run(DRIVE, "--out", tmp_path / "out")
    assert said.startswith("3 panoramas")
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert names == ["collection.json", "items.geojson", "items.parquet", *(f"items/00000{number}.json" for number in range(3))]
    first = json.loads((tmp_path / "out" / "items.geojson").read_text())["features"][0]
    assert first["assets"]["panorama"]["href"] == f"s3://panoveil-published/{published(0).key}"


def test_a_drive_is_published_beside_itself_and_refers_to_what_it_is_of(world: World) -> None:
    run(DRIVE, "--publish")
    assert len(world.catalogued()) == 6
    for folder, href in (("", world.document("items.geojson")["features"][1]), ("items", world.document("items/000001.json"))):
        found = posixpath.normpath(posixpath.join(f"_catalogue/{DRIVE}", folder, href["assets"]["tiles"]["href"]))
        assert found == published(1).derivatives[1].key


def test_what_is_published_no_longer_leaves_the_catalogue(world: World) -> None:
    run(DRIVE, "--publish")
    asyncio.run(world.blobs.delete(current_key(published(0).capture_id)))
    asyncio.run(world.blobs.delete(BlobRef(Bucket.PUBLISHED, published(2).key)))
    run(DRIVE, "--publish")
    assert [key for key in world.catalogued() if "/items/" in key] == [f"_catalogue/{DRIVE}/items/000001.json"]
    assert len(world.document("items.geojson")["features"]) == 1


def test_where_nothing_is_published_any_more_there_is_no_catalogue_either(world: World) -> None:
    run(DRIVE, "--publish")
    for ref in [ref for ref in world.blobs.objects if not ref.key.startswith("_catalogue/")]:
        asyncio.run(world.blobs.delete(ref))
    assert run(DRIVE, "--publish") == f"Nothing of {DRIVE} is published any more: its catalogue was removed."
    assert world.catalogued() == []
    with pytest.raises(Misconfigured, match="3 published"):
        run(DRIVE, "--publish")


def test_only_what_is_current_is_in_it(world: World) -> None:
    other = published(1, recipe_id="ffff000011112222")
    asyncio.run(world.ledger.finish(CaptureId.parse(other.capture_id), "anonymizer", other.recipe_id, encode(other)))
    run(DRIVE, "--publish", "--base-url", "https://panoramas.example.org/")
    told = world.document("items/000001.json")
    assert told["properties"]["panoveil:recipe_id"] == RECIPE
    assert told["assets"]["panorama"]["href"] == f"https://panoramas.example.org/{published(1).key}"


def test_the_collection_tells_the_recipes_that_the_audit_chain_holds(world: World) -> None:
    entry = Publication.model_validate_json(read("audit.publication.1"))
    asyncio.run(note_entry(world.ledger, entry.model_copy(update={"recipe_id": RECIPE})))
    run(DRIVE, "--publish")
    (told,) = world.document("collection.json")["summaries"]["processing:expression"]
    assert (told["expression"]["recipe_id"], told["expression"]["face"]["threshold"]) == (RECIPE, 0.18)


def test_a_folder_is_catalogued_with_ways_to_its_files(tmp_path: Path) -> None:
    save(tmp_path / "published", [published(0), published(1)])
    run("--folder", tmp_path / "published", "--out", tmp_path / "catalogue", "--crs", "EPSG:25832")
    told = json.loads((tmp_path / "catalogue" / "items" / "000001.json").read_text())
    assert told["properties"]["pers:crs"] == 25832
    for asset in told["assets"].values():
        assert (tmp_path / "catalogue" / "items" / asset["href"]).resolve().is_file()


def test_of_an_unknown_drive_and_of_one_with_nothing_published_it_is_said_which(world: World, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="No drive 'dk/none' is in the ledger; `panoveil status` lists those that are"):
        run("dk/none", "--out", tmp_path)
    asyncio.run(world.ledger.move(CaptureId("dk", "d2", "c1"), State.HELD))
    with pytest.raises(Misconfigured, match="Nothing of drive 'dk/d2' is published: 1 held; `panoveil status dk/d2` says why"):
        run("dk/d2", "--out", tmp_path)


@pytest.mark.parametrize(
    "arguments", [[DRIVE], [DRIVE, "--out", "x", "--publish"], ["--out", "x"], ["--folder", "x", "--publish"]]
)
def test_what_cannot_be_meant_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["catalogue", *arguments]).exit_code == 2
