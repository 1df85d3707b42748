"""The STAC collection of a drive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.catalogue.items import FILE, PROCESSING, STAC_VERSION, collection_id, coordinates, stamp
from panoveil.contracts.messages import PanoramaPublished

_LINEAGE = "Stitched, anonymised and verified by Panoveil under the recipes that the summaries name."


@dataclass(frozen=True)
class About:
    """What is said of a drive as a whole.

    `licence` is an SPDX identifier, or "other"; `producer` whoever made the panoramas. `recipes` are settings, models and thresholds by
    recipe id, as far as the audit chain was at hand.
    """

    drive_id: str
    licence: str = "other"
    producer: str = "unknown"
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def collection(
    about: About, found: Sequence[PanoramaPublished], assets: dict[str, Any], links: list[dict[str, str]]
) -> dict[str, Any]:
    """Return the collection of a drive's panoramas, which are in the order of the drive."""
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [FILE, PROCESSING],
        "id": collection_id(about.drive_id),
        "title": f"Street panoramas of drive {about.drive_id}",
        "description": f"{len(found)} equirectangular street panoramas. Faces and number plates that were found are hidden: "
        "their pixels were replaced before publication.",
        "license": about.licence,
        "providers": [{"name": about.producer, "roles": ["producer", "processor"], "processing:lineage": _LINEAGE}],
        "extent": {"spatial": {"bbox": [_box(found)]}, "temporal": {"interval": [_interval(found)]}},
        "summaries": {
            "panoveil:recipe_id": sorted({one.recipe_id for one in found}),
            "panoveil:stitch_recipe_id": sorted({one.stitch_recipe_id for one in found}),
            **_expressions(about, {one.recipe_id for one in found}),
        },
        "assets": assets,
        "links": links,
    }


def _expressions(about: About, recipe_ids: set[str]) -> dict[str, Any]:
    known = [{"recipe_id": name, **about.recipes[name]} for name in sorted(recipe_ids & set(about.recipes))]
    return {"processing:expression": [{"format": "panoveil-recipe", "expression": one} for one in known]} if known else {}


def _box(found: Sequence[PanoramaPublished]) -> list[float]:
    """Return west, south, east, north; a drive across the antimeridian has its west in the east, as GeoJSON wants it."""
    east, north = ([coordinates(one.pose)[axis] for one in found] for axis in (0, 1))
    if max(east) - min(east) > 180:  # noqa: PLR2004 - half round the earth: it was the other way round
        east = [degrees % 360 for degrees in east]
    west, most = min(east), max(east)
    return [_signed(west), min(north), _signed(most), max(north)]


def _signed(degrees: float) -> float:
    return degrees - 360 if degrees > 180 else degrees  # noqa: PLR2004 - half round the earth


def _interval(found: Sequence[PanoramaPublished]) -> list[str]:
    times = [one.captured_at for one in found]
    return [stamp(min(times)), stamp(max(times))]
