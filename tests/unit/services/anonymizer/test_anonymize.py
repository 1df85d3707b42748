from dataclasses import dataclass, field

import numpy as np
import pytest

from panoveil.contracts.errors import Unavailable
from panoveil.contracts.messages import Pose
from panoveil.contracts.reasons import Reason
from panoveil.detection import Detections, Images, Kind, RectangleDetector
from panoveil.detection.views import flat_plan, panorama_plan
from panoveil.pixels import jpeg
from services.anonymizer import metadata
from services.anonymizer.anonymize import Anonymized, Description, Held, Verification, anonymize, possible
from services.anonymizer.regions import Extent, Rect, Region, mask
from tests.unit.services.anonymizer import scenes

RECIPE = scenes.RECIPE


def red(picture: np.ndarray) -> int:
    """Pixels that still look like a face."""
    return int(((picture[..., 0] > 200) & (picture[..., 1:].max(axis=2) < 80)).sum())


@dataclass
class Forgetful:
    """Misses everything in the first look, and finds from the second on what the twin finds, with a score of its own."""

    skip: int
    interruptions: int = 0
    twin: RectangleDetector = field(default_factory=RectangleDetector)
    score: float = 0.9

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        self.skip -= 1
        found = await self.twin.detect(kind, images)
        if self.skip >= 0:
            return [Detections(each.boxes[:0], each.scores[:0]) for each in found]
        return [Detections(each.boxes, np.full_like(each.scores, self.score)) for each in found]

    async def prove(self, since: int | None = None) -> None:
        await self.twin.prove(since)


def looks_at(width: int, height: int, *, second: bool = False) -> int:
    """How often a detector is asked in the first look at a photo, or in the second."""
    return scenes.looks(flat_plan(width, height, RECIPE.view_plan, second=second))


@dataclass
class Wavering(Forgetful):
    """Forgets likewise, and from the third look on sees a face in the corner of every view as well."""

    wavers: int = 0

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        self.wavers -= 1
        if self.wavers >= 0 or kind == "plate":
            return await super().detect(kind, images)
        return [Detections(np.array([[2, 2, 12, 12]], np.float32), np.array([0.9], np.float32)) for _ in images]


@dataclass
class Haunted:
    """Sees a small face somewhere else at every look: so small that however many are hidden, the next ones lie in the open."""

    at: int = 0
    interruptions: int = 0

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        self.at += 1
        x, y = self.at * 89 % (images.shape[2] - 8), self.at * 53 % (images.shape[1] - 8)
        box = np.array([[x, y, x + 8, y + 8]], np.float32)
        return [Detections(box, np.array([0.9], np.float32)) for _ in images]

    async def prove(self, since: int | None = None) -> None:
        """Sees something in everything, so in the golden picture too."""


class Down:
    interruptions = 0

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        raise Unavailable("triton", "down")

    async def prove(self, since: int | None = None) -> None:
        raise Unavailable("triton", "down")


@dataclass
class Blinded(RectangleDetector):
    """Sees nothing any more, as if that were an answer; saw the golden picture when it was still well."""

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        self.pixels += images[..., 0].size
        return [Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32)) for _ in images]


async def test_faces_and_plates_of_a_panorama_are_gone_also_across_the_edge() -> None:
    picture = scenes.street()
    scenes.paint(picture, scenes.FACE, 1016, 250, 16, 20)
    scenes.paint(picture, scenes.FACE, 300, 420, 60, 40)
    scenes.paint(picture, scenes.PLATE, 500, 270, 26, 8)
    result = await anonymize(picture, RectangleDetector(), RECIPE, panorama=True)
    assert isinstance(result, Anonymized)
    assert sorted(region.kind for region in result.regions) == ["face", "face", "plate"]
    assert red(jpeg.decode(result.jpeg)) == 0
    assert any(rect.x1 > 1024 for rect in result.rects)


async def test_outside_of_the_rectangles_the_picture_is_kept() -> None:
    picture = scenes.street()
    scenes.paint(picture, scenes.FACE, 300, 250, 20, 20)
    result = await anonymize(picture, RectangleDetector(), RECIPE, panorama=True)
    assert isinstance(result, Anonymized)
    untouched = ~mask(result.rects, Extent.of(picture, panorama=True))
    difference = np.abs(jpeg.decode(result.jpeg).astype(int) - picture)[untouched]
    assert difference.mean() < 2


async def test_a_photo_does_not_wrap() -> None:
    picture = scenes.street(320, 240)
    scenes.paint(picture, scenes.FACE, 300, 100, 20, 20)
    result = await anonymize(picture, RectangleDetector(), RECIPE, panorama=False)
    assert isinstance(result, Anonymized)
    assert all(rect.x1 <= 320 for rect in result.rects)
    assert red(jpeg.decode(result.jpeg)) == 0


async def test_what_the_first_look_missed_the_second_finds() -> None:
    picture = scenes.street(320, 240)
    scenes.paint(picture, scenes.FACE, 100, 100, 20, 20)
    result = await anonymize(picture, Forgetful(looks_at(320, 240)), RECIPE, panorama=False)
    assert isinstance(result, Anonymized)
    assert result.rounds == 2
    assert red(jpeg.decode(result.jpeg)) == 0


async def test_what_verification_finds_is_hidden_more_broadly() -> None:
    picture = scenes.street(320, 240)
    scenes.paint(picture, scenes.FACE, 100, 100, 40, 40)
    early = await anonymize(picture, RectangleDetector(), RECIPE, panorama=False)
    late = await anonymize(picture, Forgetful(looks_at(320, 240)), RECIPE, panorama=False)
    assert isinstance(early, Anonymized)
    assert isinstance(late, Anonymized)
    (narrow,), (broad,) = early.rects, late.rects
    assert broad.x0 < narrow.x0 < narrow.x1 < broad.x1
    assert broad.y0 < narrow.y0 < narrow.y1 < broad.y1


async def test_later_rounds_look_only_where_pixels_changed() -> None:
    picture = scenes.street(2048, 1024)
    scenes.paint(picture, scenes.FACE, 1000, 500, 20, 20)
    patient = RectangleDetector()
    await anonymize(picture, patient, RECIPE, panorama=True)
    forgetful = Forgetful(skip=scenes.looks(panorama_plan(2048, RECIPE.view_plan)))
    result = await anonymize(picture, forgetful, RECIPE, panorama=True)
    assert isinstance(result, Anonymized)
    assert result.rounds == 2
    assert forgetful.twin.pixels - patient.pixels < 0.25 * patient.pixels


async def test_what_a_later_round_finds_in_pixels_that_did_not_change_was_no_find_before_and_is_none_now() -> None:
    picture = scenes.street(640, 480)
    scenes.paint(picture, scenes.FACE, 300, 200, 20, 20)
    first, second = looks_at(640, 480), looks_at(640, 480, second=True)
    result = await anonymize(picture, Wavering(first, wavers=first + second), RECIPE, panorama=False)
    assert isinstance(result, Anonymized)
    assert result.rounds == 2
    early = await anonymize(picture, Wavering(first, wavers=first), RECIPE, panorama=False)
    assert len(early.regions) > len(result.regions)


@pytest.mark.parametrize(("left", "is_a_find"), [(144, False), (112, True)])
async def test_what_lies_beside_pixels_that_changed_holds_none_of_them(left: int, *, is_a_find: bool) -> None:
    picture = scenes.street(320, 240)
    scenes.paint(picture, scenes.FACE, 96, 96, 32, 32)
    verification = Verification(Extent(320, 240, wraps=False), Forgetful(looks_at(320, 240, second=True)), RECIPE)
    assert await verification.left_in(jpeg.encode(picture, 90), ()) == []
    patched = picture.copy()
    patched[112:128, left : left + 16] = 128
    found = await verification.left_in(jpeg.encode(patched, 90), (Rect(left, 112, left + 16, 128),))
    assert bool(found) is is_a_find


@pytest.mark.parametrize(("hidden", "score", "holds"), [
    (Rect(112, 112, 128, 128), 0.6, True),  # a quarter of the face
    (Rect(108, 108, 118, 118), 0.6, True),  # a tenth, and its middle
    (Rect(120, 112, 136, 128), 0.6, False),  # an eighth at its edge
    (Rect(120, 112, 136, 128), 0.8, True),
])  # fmt: skip
async def test_in_the_last_round_a_doubtful_find_holds_a_picture_where_hiding_may_have_brought_it_to_light(
    hidden: Rect, score: float, *, holds: bool
) -> None:
    picture = scenes.street(320, 240)
    scenes.paint(picture, scenes.FACE, 96, 96, 32, 32)
    for last in (False, True):
        detector = Forgetful(looks_at(320, 240, second=True), score=score)
        verification = Verification(Extent(320, 240, wraps=False), detector, RECIPE)
        assert await verification.left_in(jpeg.encode(picture, 90), ()) == []
        patched = picture.copy()
        patched[hidden.y0 : hidden.y1, hidden.x0 : hidden.x1] = 128
        found = await verification.left_in(jpeg.encode(patched, 90), (hidden,), last=last)
        assert bool(found) is (holds or not last)


@pytest.mark.parametrize("rounds", [1, 2, 3, 4])
async def test_the_last_of_three_rounds_and_more_lets_doubtful_finds_pass(monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    told = []

    async def left_in(self: Verification, data: bytes, rects: tuple[Rect, ...], *, last: bool) -> list[Region]:
        told.append(last)
        return [Region("face", 0.9, 10.0 * len(told), 10, 10.0 * len(told) + 8, 18)]

    monkeypatch.setattr(Verification, "left_in", left_in)
    recipe = RECIPE.model_copy(update={"verification_rounds": rounds})
    result = await anonymize(scenes.street(320, 240), RectangleDetector(), recipe, panorama=False)
    assert isinstance(result, Held)
    assert told == {1: [False], 2: [False] * 2, 3: [False, False, True], 4: [False, False, False, True]}[rounds]


async def test_a_picture_that_never_comes_clean_is_held() -> None:
    result = await anonymize(scenes.street(512, 256), Haunted(), scenes.HASTY, panorama=True)
    assert isinstance(result, Held)
    assert (result.reason, result.rounds) == (Reason.NOT_VERIFIED, scenes.HASTY.verification_rounds)


async def test_a_file_that_carries_more_than_it_may_is_held() -> None:
    pose = Pose(latitude=55.0, longitude=12.0)
    smuggled = Description(b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00secret", metadata.xmp(pose, 512, 256))
    result = await anonymize(scenes.street(512, 256), RectangleDetector(), RECIPE, panorama=True, description=smuggled)
    assert isinstance(result, Held)
    assert "EXIF" in result.detail


async def test_without_a_detector_there_is_no_result() -> None:
    with pytest.raises(Unavailable):
        await anonymize(scenes.street(512, 256), Down(), RECIPE, panorama=True)


async def test_a_detection_on_an_obfuscated_patch_counts_as_gone() -> None:
    class FiresOnPatches(RectangleDetector):
        looks = 0

        async def detect(self, kind: Kind, images: Images) -> list[Detections]:
            found = await super().detect(kind, images)
            self.looks += 1
            if kind == "face" and self.looks > 2 and images.shape[1] > 300:
                patch = np.array([[150, 150, 180, 180]], np.float32)  # in pixels of the 1.5x view: 100 to 120 in the picture
                found = [Detections(patch, np.array([0.9], np.float32))]
            return found

    picture = scenes.street(320, 240)
    scenes.paint(picture, scenes.FACE, 100, 100, 20, 20)
    result = await anonymize(picture, FiresOnPatches(), RECIPE, panorama=False)
    assert isinstance(result, Anonymized)
    assert result.rounds == 1


@pytest.mark.parametrize(("kind", "width", "wraps", "there"), [
    ("plate", 228.0, True, True), ("plate", 232.0, True, False), ("plate", 900.0, False, True), ("face", 900.0, True, True),
])  # fmt: skip
def test_what_is_larger_in_a_panorama_than_a_plate_at_arms_length_is_none(
    kind: Kind, width: float, *, wraps: bool, there: bool
) -> None:
    assert possible(Region(kind, 0.9, 100.0, 900.0, 100.0 + width, 910.0), Extent(3600, 1800, wraps=wraps)) is there
