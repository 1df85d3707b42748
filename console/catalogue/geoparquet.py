"""A drive as GeoParquet 1.1: a row a panorama, its position as a point in WGS84."""

import io
import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyproj
from arro3.core import Array, DataType, Field, Schema, Table, struct_array
from arro3.io import write_parquet

_POINT, _POINT_Z = 1, 1001
"""ISO WKB's numbers."""
_TEXT, _REAL, _WHOLE = DataType.string(), DataType.float64(), DataType.int64()

Item = dict[str, Any]


def geoparquet(items: Sequence[Item]) -> bytes:
    """Return STAC items of panoramas as a Parquet file with GeoParquet's metadata."""
    columns = {name: Array([read(item) for item in items], kind) for name, (kind, read) in _COLUMNS.items()}
    columns |= {
        "datetime": _times(items),
        "geometry": Array([_wkb(item) for item in items], DataType.binary()),
        "bbox": _boxes(items),
    }
    file = io.BytesIO()
    write_parquet(_table(columns), file, compression="zstd(3)", key_value_metadata={"geo": json.dumps(_metadata(items))})
    return file.getvalue()


def _property(name: str) -> Callable[[Item], Any]:
    return lambda item: item["properties"].get(name)


def _asset(name: str, what: str) -> Callable[[Item], Any]:
    return lambda item: item["assets"].get(name, {}).get(what)


def _size(axis: int) -> Callable[[Item], Any]:
    return lambda item: item["properties"]["pers:interior_orientation"]["sensor_array_dimensions"][axis]


def _hidden(kind: str) -> Callable[[Item], Any]:
    return lambda item: item["properties"]["panoveil:obfuscated"][kind]


_COLUMNS: dict[str, tuple[DataType, Callable[[Item], Any]]] = {
    "id": (_TEXT, lambda item: item["id"]),
    "capture_id": (_TEXT, _property("panoveil:capture_id")),
    "recipe_id": (_TEXT, _property("panoveil:recipe_id")),
    "stitch_recipe_id": (_TEXT, _property("panoveil:stitch_recipe_id")),
    "heading": (_REAL, _property("panoveil:heading")),
    "pitch": (_REAL, _property("panoveil:pitch")),
    "roll": (_REAL, _property("panoveil:roll")),
    "accuracy": (_REAL, _property("panoveil:accuracy")),
    "width": (_WHOLE, _size(0)),
    "height": (_WHOLE, _size(1)),
    "faces": (_WHOLE, _hidden("face")),
    "plates": (_WHOLE, _hidden("plate")),
    "panorama": (_TEXT, _asset("panorama", "href")),
    "checksum": (_TEXT, _asset("panorama", "file:checksum")),
    "size": (_WHOLE, _asset("panorama", "file:size")),
    "thumbnail": (_TEXT, _asset("thumbnail", "href")),
    "tiles": (_TEXT, _asset("tiles", "href")),
}
"""Name, type, and where in an item it stands; degrees, metres, pixels, bytes."""


def _times(items: Sequence[Item]) -> Array:
    times = np.array([item["properties"]["datetime"].removesuffix("Z") for item in items], "datetime64[us]")
    return Array.from_numpy(times).cast(DataType.timestamp("us", tz="UTC"))


def _wkb(item: Item) -> bytes:
    place = item["geometry"]["coordinates"]
    return struct.pack(f"<BI{len(place)}d", 1, _POINT_Z if len(place) == 3 else _POINT, *place)  # noqa: PLR2004 - with height


def _boxes(items: Sequence[Item]) -> Array:
    """Return the column that lets readers skip what lies elsewhere."""
    east, north = (Array([item["geometry"]["coordinates"][axis] for item in items], _REAL) for axis in (0, 1))
    fields = [Field(name, _REAL) for name in ("xmin", "ymin", "xmax", "ymax")]
    return struct_array([east, north, east, north], fields=fields)


def _table(columns: dict[str, Array]) -> Table:
    schema = Schema([Field(name, column.type) for name, column in columns.items()])
    return Table.from_arrays(list(columns.values()), schema=schema)


def _metadata(items: Sequence[Item]) -> dict[str, Any]:
    places = [item["geometry"]["coordinates"] for item in items]
    east, north = [place[0] for place in places], [place[1] for place in places]
    kinds = sorted({"Point Z" if len(place) == 3 else "Point" for place in places})  # noqa: PLR2004 - with height
    covering = {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}
    column = {
        "encoding": "WKB",
        "geometry_types": kinds,
        "crs": pyproj.CRS.from_authority("OGC", "CRS84h" if kinds == ["Point Z"] else "CRS84").to_json_dict(),
        "bbox": [min(east), min(north), max(east), max(north)],
        "covering": {"bbox": covering},
    }
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
