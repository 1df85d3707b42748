"""What a drive's catalogue says, read by others' readers and held against their schemas."""

import hashlib
import json
import os
import posixpath
import subprocess
import sys
from pathlib import Path
from typing import Any

import pystac
import pytest
from arro3.io import read_parquet
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from console.catalogue.collection import About
from console.catalogue.documents import documents
from console.catalogue.items import Href, item
from console.catalogue.projection import WGS84, Reference, reference
from panoveil.contracts.messages import PanoramaPublished, Pose
from tests.unit.console.catalogue.drives import DRIVE, RECIPE, published

FOUND = tuple(published(number) for number in range(3))
BARE = published(9, Pose(latitude=-33.9, longitude=18.4), derived=False)
ABOUT = About(DRIVE, "CC-BY-4.0", "Kortdata", {RECIPE: {"margin": 0.2}})


def place(_folder: str) -> Href:
    return lambda key: f"https://panoramas.example.org/{key}"


def made(found: tuple[PanoramaPublished, ...] = FOUND, system: Reference = WGS84) -> dict[str, bytes]:
    return {one.path: one.data for one in documents(ABOUT, found, system, place)}


class Offline(JsonSchemaSTACValidator):
    """Holds against STAC's own schemas, which pystac brings, and against those of extensions where STAC_SCHEMAS has them.

    That is a folder with `<extension>/<version>/schema.json` in it, as https://stac-extensions.github.io serves them.
    """

    def _get_schema(self, schema_uri: str) -> dict[str, Any]:
        folder = os.environ.get("STAC_SCHEMAS")
        if "stac-extensions" not in schema_uri:
            return super()._get_schema(schema_uri)
        name = schema_uri.removeprefix("https://stac-extensions.github.io/")
        return json.loads((Path(folder) / name).read_text()) if folder else {}


@pytest.mark.parametrize("system", [None, "EPSG:25832"])
@pytest.mark.parametrize("found", [FOUND, (BARE,), (*FOUND, BARE)])
def test_the_catalogue_is_valid_stac(tmp_path: Path, found: tuple[PanoramaPublished, ...], system: str | None) -> None:
    for path, data in made(found, reference(system)).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    collection = pystac.Collection.from_file(tmp_path / "collection.json")
    assert collection.validate(validator=Offline())
    items = list(collection.get_items())
    assert [one.properties["panoveil:capture_id"] for one in items] == [one.capture_id for one in found]
    for one in items:
        assert one.validate(validator=Offline())
        assert one.get_collection() is collection
        assert one.collection_id == collection.id
    told = pystac.ItemCollection.from_file(str(tmp_path / "items.geojson"))
    assert [one.to_dict(include_self_link=False)["properties"] for one in told] == [one.properties for one in items]


def test_a_checksum_is_a_multihash_and_sizes_are_bytes() -> None:
    assets = item(FOUND[0], place(""), WGS84)["assets"]
    assert assets["panorama"]["file:checksum"] == "1220" + "a" * 64
    assert [assets[name]["file:size"] for name in ("panorama", "thumbnail", "tiles")] == [9, 7, 8]
    assert assets["tiles"]["href"] == f"https://panoramas.example.org/{FOUND[0].derivatives[1].key}"
    collection = json.loads(made()["collection.json"])
    for name in ("geojson", "geoparquet"):
        told = collection["assets"][name]
        assert told["file:checksum"] == "1220" + hashlib.sha256(made()[posixpath.normpath(told["href"])]).hexdigest()


def test_what_is_not_known_is_left_out() -> None:
    told = item(BARE, place(""), WGS84)
    assert set(told["assets"]) == {"panorama", "publication"}
    assert "file:size" not in told["assets"]["panorama"]
    assert told["geometry"]["coordinates"] == [18.4, -33.9]
    assert {name for name in told["properties"] if "heading" in name or "azimuth" in name or "rotation" in name} == set()
    assert [name for name in told["stac_extensions"] if "/view/" in name] == []  # its schema wants an angle
    assert (told["properties"]["pers:crs"], told["properties"]["pers:perspective_center"]) == (4326, [18.4, -33.9])


def test_an_item_says_where_when_and_how_it_was_made() -> None:
    told = item(FOUND[1], place(""), WGS84)["properties"]
    assert told["datetime"] == "2026-06-01T12:00:01.250000Z"
    assert (told["pers:crs"], told["pers:perspective_center"]) == (4979, [10.4, 55.4001, 47.25])
    assert told["pers:interior_orientation"] == {"field_of_view": 360, "sensor_array_dimensions": [8192, 4096]}
    assert (told["view:azimuth"], told["panoveil:pitch"], told["panoveil:roll"]) == (30.0, -2.0, 1.0)
    assert told["panoveil:obfuscated"] == {"face": 2, "plate": 0}
    assert RECIPE in told["processing:lineage"]
    assert "2 rounds" in told["processing:lineage"]


def test_the_collection_says_what_is_in_it_and_under_which_recipe_it_was_made() -> None:
    told = json.loads(made()["collection.json"])
    assert told["extent"]["spatial"]["bbox"] == [[10.4, 55.4, 10.4, 55.4002]]
    assert told["extent"]["temporal"]["interval"] == [["2026-06-01T12:00:00.250000Z", "2026-06-01T12:00:02.250000Z"]]
    expression = told["summaries"]["processing:expression"]
    assert expression == [{"format": "panoveil-recipe", "expression": {"recipe_id": RECIPE, "margin": 0.2}}]
    assert (told["license"], told["providers"][0]["name"]) == ("CC-BY-4.0", "Kortdata")


def test_a_drive_across_the_antimeridian_begins_in_the_east() -> None:
    fiji = tuple(published(number, Pose(latitude=-17, longitude=east)) for number, east in enumerate((179.9, -179.9)))
    (box,) = json.loads(made(fiji)["collection.json"])["extent"]["spatial"]["bbox"]
    assert box == pytest.approx([179.9, -17, -179.9, -17])


@pytest.mark.parametrize("found", [FOUND, (BARE,), (*FOUND, BARE)])
def test_the_table_conforms_to_geoparquet(tmp_path: Path, found: tuple[PanoramaPublished, ...]) -> None:
    path = tmp_path / "items.parquet"
    path.write_bytes(made(found)["items.parquet"])
    validator = Path(sys.executable).with_name("geoparquet-validator")
    checked = subprocess.run([validator, "check", "--json", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1.1.0" in checked.stdout


def test_the_table_has_a_row_a_panorama(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").write_bytes(made((*FOUND, BARE))["items.parquet"])
    table = read_parquet(tmp_path / "items.parquet").read_all()
    rows = {name: table[name].to_pylist() for name in table.column_names}
    assert rows["capture_id"] == [one.capture_id for one in (*FOUND, BARE)]
    assert rows["datetime"][0] == FOUND[0].captured_at
    assert [list(rows[name]) for name in ("heading", "faces", "size")] == [[30.0, 30.0, 30.0, None], [2] * 4, [9, 9, 9, None]]
    assert rows["bbox"][3] == {"xmin": 18.4, "ymin": -33.9, "xmax": 18.4, "ymax": -33.9}
