"""STAC items: one a panorama. An item collection of them is GeoJSON too, which any map reads."""

from collections.abc import Callable, Iterable
from datetime import UTC
from typing import Any

from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import PanoramaPublished, Pose

_DERIVED: dict[str, dict[str, Any]] = {
    "thumbnail": {"type": "image/jpeg", "roles": ["thumbnail"]},
    "tiles": {"type": "application/vnd.pmtiles", "roles": ["overview"]},
}

Href = Callable[[str], str]
"""Returns where an object of the published bucket is found, by its key."""


def item_collection(found: Iterable[PanoramaPublished], href: Href) -> dict[str, Any]:
    """Return the panoramas as a STAC item collection, which is a GeoJSON feature collection."""
    return {"type": "FeatureCollection", "features": [item(one, href) for one in found]}


def item(one: PanoramaPublished, href: Href) -> dict[str, Any]:
    """Return a panorama's STAC item."""
    capture = CaptureId.parse(one.capture_id)
    pose = one.pose
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": item_id(capture),
        "geometry": {"type": "Point", "coordinates": coordinates(pose)},
        "bbox": [pose.longitude, pose.latitude, pose.longitude, pose.latitude],
        "properties": {
            "datetime": f"{one.captured_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "panoveil:capture_id": one.capture_id,
            "panoveil:recipe_id": one.recipe_id,
            "panoveil:heading": pose.heading,
        },
        "assets": assets(one, href),
        "links": [],
    }


def assets(one: PanoramaPublished, href: Href) -> dict[str, Any]:
    """Return what can be fetched of a panorama."""
    panorama = {"href": href(one.key), "type": "image/jpeg", "roles": ["data"]}
    return {"panorama": panorama} | {made.kind: {"href": href(made.key), **_DERIVED[made.kind]} for made in one.derivatives}


def item_id(capture: CaptureId) -> str:
    """Return an id that STAC's tools can put in a path."""
    return f"{capture.survey}.{capture.drive}.{capture.capture}"


def coordinates(pose: Pose) -> list[float]:
    """Return longitude, latitude and, where it is known, the height above the ellipsoid."""
    return [pose.longitude, pose.latitude, *([] if pose.altitude is None else [pose.altitude])]
