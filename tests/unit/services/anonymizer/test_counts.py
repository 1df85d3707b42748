"""The counts by which an alert proves that nothing unverified is published."""

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from panoveil.contracts.errors import Unavailable
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.detection import Detector, RectangleDetector
from services.anonymizer.handler import handle
from tests.unit.services.anonymizer import scenes
from tests.unit.services.anonymizer.test_anonymize import Down, Haunted
from tests.unit.services.anonymizer.test_handler import World, panorama, stitched

NAMES = {
    "published": ("panoveil_publications_total", {}),
    "clean": ("panoveil_verifications_total", {"result": "clean"}),
    "found": ("panoveil_verifications_total", {"result": "found"}),
    "faces": ("panoveil_detections_total", {"kind": "face", "height": "16-24"}),
    "plates": ("panoveil_detections_total", {"kind": "plate", "height": "08-12"}),
}


def counts() -> dict[str, float]:
    return {name: REGISTRY.get_sample_value(*of) or 0.0 for name, of in NAMES.items()}


async def grown(detector: Detector, deliveries: int = 1, recipe: AnonymizeRecipe = scenes.RECIPE) -> dict[str, float]:
    """What grew while a panorama was worked on, and by how much."""
    world, data, before = World(), panorama(), counts()
    world.recipe = recipe
    await world.put(data)
    for _ in range(deliveries):
        await handle(stitched(data), world.ports(detector))
    return {name: value - before[name] for name, value in counts().items() if value > before[name]}


async def test_a_publication_is_counted_after_the_verification_it_stands_on_and_its_objects_by_height() -> None:
    assert await grown(RectangleDetector()) == {"published": 1.0, "clean": 1.0, "faces": 1.0, "plates": 1.0}


async def test_one_delivered_again_is_not_counted_again() -> None:
    assert await grown(RectangleDetector(), deliveries=3) == {"published": 1.0, "clean": 1.0, "faces": 1.0, "plates": 1.0}


async def test_what_is_held_is_no_publication() -> None:
    assert await grown(Haunted(), recipe=scenes.HASTY) == {"found": 1.0}


@pytest.mark.parametrize("detector", [Down])
async def test_what_nobody_answered_for_counts_as_nothing(detector: Callable[[], Detector]) -> None:
    before = counts()
    with pytest.raises(Unavailable):
        await grown(detector())
    assert counts() == before


async def test_what_goes_round_the_last_check_is_one_publication_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.anonymizer.anonymize._checked", lambda result, _extent: result)
    assert await grown(RectangleDetector()) == {"published": 1.0}
