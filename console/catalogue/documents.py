"""The files that a drive's catalogue is made of."""

import hashlib
import json
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from console.catalogue.collection import About, collection
from console.catalogue.geoparquet import geoparquet
from console.catalogue.items import Href, item, item_collection
from console.catalogue.projection import Reference
from panoveil.contracts.messages import PanoramaPublished

GEOJSON, PARQUET, JSON = "application/geo+json", "application/vnd.apache.parquet", "application/json"

Place = Callable[[str], Href]
"""Returns, for a folder of the catalogue ("" or "items"), how objects are referred to from the documents in it."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file of the catalogue: its path in it, what it holds, what that is."""

    path: str
    data: bytes
    content_type: str


def documents(about: About, found: Sequence[PanoramaPublished], reference: Reference, place: Place) -> Iterator[Document]:
    """Yield the catalogue of a drive: its panoramas as GeoJSON and GeoParquet, an item each, and the collection last."""
    items = [item(one, place(""), reference) for one in found]
    told = [{**one, "links": _links("")} for one in items]
    tables = (
        Document("items.geojson", _json(item_collection(told)), GEOJSON),
        Document("items.parquet", geoparquet(items), PARQUET),
    )
    yield from tables
    for one in found:
        document = item(one, place("items"), reference) | {"links": _links("..")}
        yield Document(f"items/{_name(one)}", _json(document), GEOJSON)
    yield Document("collection.json", _json(collection(about, found, _assets(tables), _item_links(found))), JSON)


def _name(one: PanoramaPublished) -> str:
    return f"{one.capture_id.rsplit('/', 1)[1]}.json"


def _links(up: str) -> list[dict[str, str]]:
    href = posixpath.join(up or ".", "collection.json")
    return [{"rel": rel, "href": href, "type": JSON} for rel in ("root", "parent", "collection")]


def _item_links(found: Sequence[PanoramaPublished]) -> list[dict[str, str]]:
    root = {"rel": "root", "href": "./collection.json", "type": JSON}
    return [root, *({"rel": "item", "href": f"./items/{_name(one)}", "type": GEOJSON} for one in found)]


def _assets(tables: Sequence[Document]) -> dict[str, Any]:
    titles = {GEOJSON: ("geojson", "All panoramas as GeoJSON"), PARQUET: ("geoparquet", "All panoramas as GeoParquet")}
    return {
        titles[one.content_type][0]: {
            "href": f"./{one.path}",
            "title": titles[one.content_type][1],
            "type": one.content_type,
            "roles": ["metadata"],
            "file:checksum": f"1220{hashlib.sha256(one.data).hexdigest()}",
            "file:size": len(one.data),
        }
        for one in tables
    }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
