"""STAC items: one a panorama. An item collection of them is GeoJSON too, which any map reads."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from console.catalogue.projection import Reference
from panoveil.contracts.keys import CaptureId, publication_key
from panoveil.contracts.messages import Derivative, PanoramaPublished, Pose

STAC_VERSION = "1.1.0"
PERSPECTIVE = "https://stac-extensions.github.io/perspective-imagery/v1.0.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
VIEW = "https://stac-extensions.github.io/view/v1.0.0/schema.json"
PMTILES = "application/vnd.pmtiles"

_SHA2_256 = "1220"
"""How multihash begins a SHA-256: its number, and that 32 bytes follow."""
_DERIVED: Mapping[str, dict[str, Any]] = {
    "thumbnail": {"title": "Thumbnail", "type": "image/jpeg", "roles": ["thumbnail"]},
    "tiles": {"title": "Tiles, in one file that is read in parts", "type": PMTILES, "roles": ["visual", "overview"]},
}

Href = Callable[[str], str]
"""Returns where an object of the published bucket is found, by its key."""


def item_collection(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return items as a STAC item collection, which is a GeoJSON feature collection."""
    return {"type": "FeatureCollection", "features": items}


def item(one: PanoramaPublished, href: Href, reference: Reference) -> dict[str, Any]:
    """Return a panorama's STAC item, without links."""
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [PERSPECTIVE, FILE, PROCESSING, *([] if one.pose.heading is None else [VIEW])],
        "id": item_id(CaptureId.parse(one.capture_id)),
        "collection": collection_id(one.capture_id),
        "geometry": {"type": "Point", "coordinates": (place := coordinates(one.pose))},
        "bbox": [*place, *place],
        "properties": _properties(one, reference),
        "assets": _assets(one, href),
        "links": [],
    }


def item_id(capture: CaptureId) -> str:
    """Return an id that STAC's tools can put in a path."""
    return f"{capture.survey}.{capture.drive}.{capture.capture}"


def collection_id(capture_or_drive_id: str) -> str:
    """Return the id of the collection of a drive, by its id or that of one of its captures."""
    return ".".join(capture_or_drive_id.split("/")[:2])


def coordinates(pose: Pose) -> list[float]:
    """Return longitude, latitude and, where it is known, the height above the ellipsoid."""
    return [pose.longitude, pose.latitude, *([] if pose.altitude is None else [pose.altitude])]


def stamp(at: datetime) -> str:
    """Return a time as STAC writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _properties(one: PanoramaPublished, reference: Reference) -> dict[str, Any]:
    pose = one.pose
    counts = Counter(box.kind for box in one.boxes)
    known = {"heading": pose.heading, "pitch": pose.pitch, "roll": pose.roll, "accuracy": pose.accuracy}
    return {
        "datetime": stamp(one.captured_at),
        "pers:interior_orientation": {"field_of_view": 360, "sensor_array_dimensions": [one.width, one.height]},
        **reference.perspective(pose),
        **({} if pose.heading is None else {"view:azimuth": pose.heading}),
        "processing:lineage": _lineage(one),
        "panoveil:capture_id": one.capture_id,
        "panoveil:recipe_id": one.recipe_id,
        "panoveil:stitch_recipe_id": one.stitch_recipe_id,
        **{f"panoveil:{name}": value for name, value in known.items() if value is not None},
        "panoveil:obfuscated": {"face": counts["face"], "plate": counts["plate"]},
    }


def _lineage(one: PanoramaPublished) -> str:
    rounds = f"{one.verification_rounds} round{'s' if one.verification_rounds > 1 else ''}"
    return (
        f"Stitched under recipe {one.stitch_recipe_id}; faces and number plates that were found obfuscated under recipe "
        f"{one.recipe_id}, verified in {rounds}."
    )


def _assets(one: PanoramaPublished, href: Href) -> dict[str, Any]:
    """Return what can be fetched of a panorama, with what proves it whole."""
    beside = publication_key(one.capture_id, one.recipe_id).key
    panorama = {"title": "Panorama", "type": "image/jpeg", "roles": ["data", "visual"]}
    publication = {"title": "Publication", "type": "application/json", "roles": ["metadata"]}
    return {
        "panorama": {"href": href(one.key), **panorama, **_file(one)},
        **{made.kind: {"href": href(made.key), **_DERIVED[made.kind], **_file(made)} for made in one.derivatives},
        "publication": {"href": href(beside), **publication},
    }


def _file(one: PanoramaPublished | Derivative) -> dict[str, Any]:
    size = {} if one.size is None else {"file:size": one.size}
    return {"file:checksum": _SHA2_256 + one.sha256, **size}
