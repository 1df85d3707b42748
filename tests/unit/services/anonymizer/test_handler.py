import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pmtiles.reader import MemorySource, Reader

from console.audit import verify
from panoveil.blobs import MemoryBlobs, StoredBlob
from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import (
    BlobRef,
    Bucket,
    CaptureId,
    Stream,
    carried_key,
    current_key,
    publication_key,
    published_key,
    published_keys,
    stitched_key,
    thumbnail_key,
    tiles_key,
)
from panoveil.contracts.messages import (
    CurrentPublication,
    Derivative,
    PanoramaBox,
    PanoramaHeld,
    PanoramaPublished,
    PanoramaStitched,
    Pose,
    Quality,
    decode,
    encode,
)
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.detection import Detections, Detector, Images, Kind, RectangleDetector
from panoveil.ledger import MemoryLedger, State
from panoveil.pixels import jpeg
from panoveil.streams import MemoryStreams
from services.anonymizer import handler
from services.anonymizer.derivatives import Derivatives, derived
from services.anonymizer.handler import Ports, handle
from services.anonymizer.metadata import scan
from tests.unit.panoveil.detection.test_triton import Server
from tests.unit.services.anonymizer import scenes
from tests.unit.services.anonymizer.test_anonymize import Blinded, Down, Haunted

CAPTURE = CaptureId("fyn-2026", "car7-0601", "000001")
RECIPE, HASTY = (each.model_copy(update={"stitch_recipe_id": "5f1c0a9be37d2468"}) for each in (scenes.RECIPE, scenes.HASTY))
PICTURES = (published_key, thumbnail_key, tiles_key)


def panorama() -> bytes:
    picture = scenes.street(512, 256)
    scenes.paint(picture, scenes.FACE, 504, 120, 16, 16)
    scenes.paint(picture, scenes.PLATE, 200, 130, 24, 8)
    return jpeg.encode(picture, 95)


def stitched(data: bytes, **changes: Any) -> PanoramaStitched:
    fields: dict[str, Any] = {
        "capture_id": str(CAPTURE), "rig_id": "ring", "recipe_id": "5f1c0a9be37d2468",
        "captured_at": datetime(2026, 6, 1, 12, tzinfo=UTC), "pose": Pose(latitude=55.4, longitude=10.4, heading=12.0),
        "key": stitched_key(str(CAPTURE), "5f1c0a9be37d2468").key, "sha256": hashlib.sha256(data).hexdigest(),
        "width": 512, "height": 256,
        "quality": Quality(sharpness=1, clipped_share=0, overlap_difference=0, coverage=1), "carried": (), "carried_elsewhere": None,
        "hold": None,
    }  # fmt: skip
    return PanoramaStitched.model_validate(fields | changes)


class World:
    """The twins behind the ports."""

    def __init__(self) -> None:
        self.blobs, self.ledger, self.streams = MemoryBlobs(), MemoryLedger(), MemoryStreams()
        self.recipe = scenes.RECIPE

    def ports(self, detector: Detector) -> Ports:
        async def recipe() -> AnonymizeRecipe:
            return self.recipe

        return Ports(self.blobs, self.ledger, self.streams, detector, recipe)

    async def put(self, data: bytes) -> None:
        await self.blobs.put(stitched_key(str(CAPTURE), "5f1c0a9be37d2468"), data)

    async def published(self) -> list[str]:
        """Everything in the bucket but what says which publication is the current one."""
        keys = [blob.ref.key async for blob in self.blobs.list(Bucket.PUBLISHED)]
        current = current_key(str(CAPTURE)).key
        assert current not in keys or len(keys) > 1
        return [key for key in keys if key != current]

    async def current(self) -> CurrentPublication:
        return CurrentPublication.model_validate_json(await self.blobs.get(current_key(str(CAPTURE))))

    def sent(self) -> list[Any]:
        return [decode(record.data) for record in self.streams.records(Stream.PUBLICATIONS)]


@pytest.fixture(name="world")
def a_world() -> World:
    return World()


async def test_a_panorama_is_published_without_what_identifies(world: World) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data), world.ports(RectangleDetector()))
    (message,) = world.sent()
    assert isinstance(message, PanoramaPublished)
    assert {box.kind for box in message.boxes} == {"face", "plate"}
    assert next(box for box in message.boxes if box.kind == "face").west > next(b for b in message.boxes if b.kind == "face").east
    published = await world.blobs.get(BlobRef(Bucket.PUBLISHED, message.key))
    assert hashlib.sha256(published).hexdigest() == message.sha256
    assert scan(published) == []
    assert b"GPano:PoseHeadingDegrees" in published
    beside = await world.blobs.get(publication_key(str(CAPTURE), message.recipe_id))
    assert json.loads(beside) == message.model_dump(mode="json")
    state = await world.ledger.state(CAPTURE)
    assert state is not None
    assert state.state == State.PUBLISHED


async def test_what_is_made_of_a_panorama_is_made_of_what_is_published(world: World) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data), world.ports(RectangleDetector()))
    (message,) = world.sent()
    before = jpeg.decode(data)
    published = jpeg.decode(await world.blobs.get(BlobRef(Bucket.PUBLISHED, message.key)))
    thumbnail = jpeg.decode(await world.blobs.get(thumbnail_key(str(CAPTURE), message.recipe_id)))
    plate = np.s_[66:68, 102:110]  # at half the size: well within the plate
    assert np.abs(thumbnail[plate].mean((0, 1)) - published[132:136, 204:220].mean((0, 1))).max() < 5
    assert np.abs(thumbnail[plate].mean((0, 1)) - before[132:136, 204:220].mean((0, 1))).max() > 50
    tiles = Reader(MemorySource(await world.blobs.get(tiles_key(str(CAPTURE), message.recipe_id))))
    assert np.array_equal(jpeg.decode(tiles.get(0, 0, 0)), thumbnail)


async def test_a_panorama_is_held_where_what_was_made_of_it_holds_more_than_pixels(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talkative(picture: NDArray[np.uint8], source: bytes) -> Derivatives:
        made = derived(picture, source)
        told = made.thumbnail[:2] + b"\xff\xfe\x00\x07Kirk!" + made.thumbnail[2:]
        return replace(made, pictures=(told, *made.pictures))

    monkeypatch.setattr(handler, "derived", talkative)
    data = panorama()
    await world.put(data)
    await handle(stitched(data), world.ports(RectangleDetector()))
    (message,) = world.sent()
    assert (message.type, message.reason) == ("panorama.held", Reason.NOT_VERIFIED)
    assert "0xFE" in message.detail
    assert await world.published() == []


@pytest.mark.parametrize("picture", PICTURES)
async def test_an_audit_finds_what_was_changed_of_what_is_published(world: World, picture: Callable[[str, str], BlobRef]) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data), world.ports(RectangleDetector()))
    (message,) = world.sent()
    assert (await verify(world.ledger, world.blobs, CAPTURE.drive_id, None)).findings == ()
    ref = picture(str(CAPTURE), message.recipe_id)
    await world.blobs.put(ref, b"another picture")
    assert (await verify(world.ledger, world.blobs, CAPTURE.drive_id, None)).findings == (
        f"entry 1: {ref.key} is not what was published",
    )


CARRIED_FACE = {"kind": "face", "score": 0.9, "west": 60.0, "east": 64.0, "south": -6.0, "north": -2.0, "lens": "front"}


def hidden_by(message: PanoramaPublished) -> list[PanoramaBox]:
    """What covers the carried face."""
    return [box for box in message.boxes if box.west <= 60 and box.east >= 64 and box.south <= -6 and box.north >= -2]


async def test_what_the_stitcher_carried_is_hidden_too(world: World) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data, carried=[CARRIED_FACE]), world.ports(RectangleDetector()))
    (message,) = world.sent()
    assert [box.kind for box in hidden_by(message)] == ["face"]
    assert len(message.boxes) == 3


async def test_what_was_carried_counts_from_the_anonymizers_own_threshold(world: World) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data, carried=[CARRIED_FACE | {"score": 0.2}]), world.ports(RectangleDetector()))
    (message,) = world.sent()
    assert hidden_by(message) == []


async def test_what_was_carried_elsewhere_is_hidden_too(world: World) -> None:
    data, carried = panorama(), json.dumps([CARRIED_FACE]).encode()
    await world.put(data)
    ref = carried_key(str(CAPTURE), "5f1c0a9be37d2468")
    await world.blobs.put(ref, carried)
    elsewhere = {"key": ref.key, "sha256": hashlib.sha256(carried).hexdigest(), "count": 1}
    await handle(stitched(data, carried_elsewhere=elsewhere), world.ports(RectangleDetector()))
    (message,) = world.sent()
    assert len(hidden_by(message)) == 1


async def test_nothing_is_published_where_what_was_carried_elsewhere_is_not_what_was_said(world: World) -> None:
    data = panorama()
    await world.put(data)
    ref = carried_key(str(CAPTURE), "5f1c0a9be37d2468")
    await world.blobs.put(ref, b"[]")
    message = stitched(data, carried_elsewhere={"key": ref.key, "sha256": "0" * 64, "count": 1})
    with pytest.raises(Rejected) as caught:
        await handle(message, world.ports(RectangleDetector()))
    assert caught.value.reason == Reason.HASH_MISMATCH
    assert await world.published() == []


async def test_the_audit_chain_says_what_was_done(world: World) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data), world.ports(RectangleDetector()))
    (entry,) = [entry async for entry in world.ledger.audit_chain(CAPTURE.drive_id)]
    body: dict[str, Any] = dict(entry.body)
    (message,) = world.sent()
    assert (body["kind"], body["capture_id"], body["recipe_id"]) == ("publication", str(CAPTURE), message.recipe_id)
    assert body["inputs"] == [
        {"bucket": "stitched", "key": stitched(data).key, "sha256": hashlib.sha256(data).hexdigest()},
    ]
    for output in body["outputs"]:
        assert hashlib.sha256(await world.blobs.get(BlobRef(Bucket.PUBLISHED, output["key"]))).hexdigest() == output["sha256"]
    assert sorted(output["key"] for output in body["outputs"]) == sorted(await world.published())
    assert body["recipe"] == RECIPE.model_dump(mode="json")
    assert body["regions"] == [box.model_dump(mode="json") for box in message.boxes]
    assert body["verification"] == {"rounds": message.verification_rounds, "findings": ""}


async def test_the_audit_chain_says_why_something_is_held(world: World) -> None:
    data = panorama()
    world.recipe = scenes.HASTY
    await world.put(data)
    await handle(stitched(data), world.ports(Haunted()))
    (entry,) = [entry async for entry in world.ledger.audit_chain(CAPTURE.drive_id)]
    body: dict[str, Any] = dict(entry.body)
    assert (body["kind"], body["reason"]) == ("hold", Reason.NOT_VERIFIED)
    assert body["verification"]["rounds"] == HASTY.verification_rounds
    assert "still found" in body["verification"]["findings"]
    assert {region["kind"] for region in body["regions"]} >= {"face", "plate"}
    assert body["withdrawn"] == [ref.key for ref in published_keys(str(CAPTURE), HASTY.recipe_id)]


async def test_the_audit_chain_does_not_say_who_was_where_when(world: World) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data), world.ports(RectangleDetector()))
    (entry,) = [entry async for entry in world.ledger.audit_chain(CAPTURE.drive_id)]
    text = json.dumps(dict(entry.body))
    assert not [fact for fact in ("pose", "latitude", "heading", "captured_at", "2026-06-01") if fact in text]


async def test_a_second_delivery_is_only_told_of_again(world: World) -> None:
    data = panorama()
    await world.put(data)
    detector = RectangleDetector()
    await handle(stitched(data), world.ports(detector))
    pixels = detector.pixels
    await handle(stitched(data), world.ports(detector))
    first, second = world.sent()
    assert first == second
    assert detector.pixels == pixels


async def test_what_cannot_be_verified_is_held_and_not_written(world: World) -> None:
    data = panorama()
    world.recipe = scenes.HASTY
    await world.put(data)
    await handle(stitched(data), world.ports(Haunted()))
    (message,) = world.sent()
    assert isinstance(message, PanoramaHeld)
    assert message.reason == Reason.NOT_VERIFIED
    assert await world.published() == []
    state = await world.ledger.state(CAPTURE)
    assert state is not None
    assert (state.state, state.reason) == (State.HELD, Reason.NOT_VERIFIED)


DRIFTED = {"reason": Reason.RIG_DRIFTED, "detail": "Lens left is turned by 0.51° (± 0.06°) against rig ring."}


async def test_what_the_stitcher_holds_is_held_without_a_look(world: World) -> None:
    """Neither the detector nor the picture is asked: the one is down, the other not there."""
    quality = Quality(sharpness=1, clipped_share=0, overlap_difference=0, coverage=1, score=0.31, alarms=(DRIFTED["detail"],))
    await handle(stitched(panorama(), hold=DRIFTED, quality=quality), world.ports(Down()))
    (message,) = world.sent()
    assert isinstance(message, PanoramaHeld)
    assert (message.reason, message.detail) == (Reason.RIG_DRIFTED, DRIFTED["detail"])
    assert await world.published() == []
    state = await world.ledger.state(CAPTURE)
    assert state is not None
    assert (state.state, state.reason, state.detail) == (State.HELD, Reason.RIG_DRIFTED, DRIFTED["detail"])
    assert (state.grade.score, state.grade.alarm) == (0.31, DRIFTED["detail"])
    (entry,) = [entry async for entry in world.ledger.audit_chain(CAPTURE.drive_id)]
    body: dict[str, Any] = dict(entry.body)
    assert (body["kind"], body["reason"], body["regions"]) == ("hold", Reason.RIG_DRIFTED, [])
    assert body["verification"] == {"rounds": 0, "findings": DRIFTED["detail"]}


async def test_a_hold_takes_back_what_an_attempt_left(world: World) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data), world.ports(RectangleDetector()))
    assert await world.published() == sorted(ref.key for ref in published_keys(str(CAPTURE), RECIPE.recipe_id))
    world.ledger = MemoryLedger()
    await handle(stitched(data, hold=DRIFTED), world.ports(Down()))
    assert await world.published() == []


async def test_what_is_published_keeps_its_grade(world: World) -> None:
    data = panorama()
    await world.put(data)
    quality = Quality(sharpness=1, clipped_share=0, overlap_difference=0, coverage=1, score=0.87)
    await handle(stitched(data, quality=quality), world.ports(RectangleDetector()))
    state = await world.ledger.state(CAPTURE)
    assert state is not None
    assert (state.state, state.grade.score, state.grade.alarm) == (State.PUBLISHED, 0.87, "")


async def test_without_a_detector_nothing_is_written_or_said(world: World) -> None:
    data = panorama()
    await world.put(data)
    with pytest.raises(Unavailable):
        await handle(stitched(data), world.ports(Down()))
    assert await world.published() == []
    assert world.sent() == []
    assert await world.ledger.state(CAPTURE) is None
    assert await world.ledger.finished(CAPTURE, "anonymizer", RECIPE.recipe_id) is None


async def nothing_happened(world: World) -> bool:
    told = (
        world.sent() or await world.ledger.state(CAPTURE) or [entry async for entry in world.ledger.audit_chain(CAPTURE.drive_id)]
    )
    return not told and not await world.published()


async def test_a_detector_that_went_blind_publishes_nothing(world: World) -> None:
    data = panorama()
    await world.put(data)
    with pytest.raises(Unavailable, match="does not see"):
        await handle(stitched(data), world.ports(Blinded()))
    assert await nothing_happened(world)


@dataclass
class Interrupted(RectangleDetector):
    """Its server is replaced while it looks, and sees well again when it is shown the golden picture."""

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        self.interruptions += 1
        return await super().detect(kind, images)


async def test_what_was_seen_before_and_after_an_interruption_publishes_nothing(world: World) -> None:
    data = panorama()
    await world.put(data)
    with pytest.raises(Unavailable, match="interrupted"):
        await handle(stitched(data), world.ports(Interrupted()))
    assert await nothing_happened(world)


async def test_a_model_that_goes_blind_after_the_golden_picture_publishes_nothing(world: World) -> None:
    data = panorama()
    await world.put(data)
    server = Server()
    await server.detector.prove()
    server.sees = False
    with pytest.raises(Unavailable, match="golden picture"):
        await handle(stitched(data), world.ports(server.detector))
    assert len(server.asked) > 10
    assert await nothing_happened(world)


class Crash(Exception):
    """The process died here."""


class CrashingBlobs(MemoryBlobs):
    """Dies instead of putting a JSON, until told otherwise."""

    crashes = True

    async def put(self, ref: BlobRef, data: bytes, *arguments: Any, **more: Any) -> StoredBlob:
        if self.crashes and ref.key.endswith(".json"):
            raise Crash
        return await super().put(ref, data, *arguments, **more)


class CrashingLedger(MemoryLedger):
    """Dies instead of noting the end, until told otherwise."""

    crashes = True

    async def finish(self, capture_id: CaptureId, stage: str, recipe_id: str, message: bytes) -> bytes:
        if self.crashes:
            raise Crash
        return await super().finish(capture_id, stage, recipe_id, message)


async def crashed_without_json(world: World, data: bytes) -> None:
    world.blobs = blobs = CrashingBlobs()
    await world.put(data)
    with pytest.raises(Crash):
        await handle(stitched(data), world.ports(RectangleDetector()))
    blobs.crashes = False


async def crashed_before_the_end(world: World, data: bytes) -> None:
    world.ledger = ledger = CrashingLedger()
    await world.put(data)
    with pytest.raises(Crash):
        await handle(stitched(data), world.ports(RectangleDetector()))
    ledger.crashes = False


async def agreed(world: World) -> PanoramaPublished:
    """Message, JSON and JPEG say the same."""
    (message,) = world.sent()
    assert isinstance(message, PanoramaPublished)
    assert decode(await world.blobs.get(publication_key(str(CAPTURE), message.recipe_id))) == message
    pictures: tuple[PanoramaPublished | Derivative, ...] = (message, *message.derivatives)
    for each in pictures:
        data = await world.blobs.get(BlobRef(Bucket.PUBLISHED, each.key))
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (each.sha256, each.size)
    assert await world.ledger.finished(CAPTURE, "anonymizer", message.recipe_id) == encode(message)
    state = await world.ledger.state(CAPTURE)
    assert state is not None
    assert state.state == State.PUBLISHED
    return message


async def test_a_crash_between_picture_and_json_is_worked_anew(world: World) -> None:
    data = panorama()
    await crashed_without_json(world, data)
    assert await world.published() == sorted(ref(str(CAPTURE), RECIPE.recipe_id).key for ref in PICTURES)
    await handle(stitched(data), world.ports(RectangleDetector()))
    await agreed(world)


async def test_a_crash_between_json_and_end_is_taken_up(world: World) -> None:
    data = panorama()
    await crashed_before_the_end(world, data)
    detector = RectangleDetector()
    await handle(stitched(data), world.ports(detector))
    await agreed(world)
    assert detector.pixels == 0
    assert [entry.body["kind"] async for entry in world.ledger.audit_chain(CAPTURE.drive_id)] == ["publication"]


@pytest.mark.parametrize("damage", [b"another picture", None])
@pytest.mark.parametrize("picture", PICTURES)
async def test_a_json_whose_picture_differs_is_not_taken_up(
    world: World, damage: bytes | None, picture: Callable[[str, str], BlobRef]
) -> None:
    data = panorama()
    await crashed_before_the_end(world, data)
    ref = picture(str(CAPTURE), RECIPE.recipe_id)
    await (world.blobs.put(ref, damage) if damage else world.blobs.delete(ref))
    detector = RectangleDetector()
    await handle(stitched(data), world.ports(detector))
    await agreed(world)
    assert detector.pixels > 0


async def test_the_json_of_another_pose_is_not_taken_up(world: World) -> None:
    data = panorama()
    await crashed_before_the_end(world, data)
    moved = Pose(latitude=55.5, longitude=10.4)
    await handle(stitched(data, pose=moved), world.ports(RectangleDetector()))
    assert (await agreed(world)).pose == moved


@pytest.mark.parametrize("json_too", [False, True])
async def test_a_redo_that_holds_leaves_nothing_published(world: World, json_too: bool) -> None:  # noqa: FBT001 - a parameter of the test
    data = panorama()
    world.recipe = scenes.HASTY
    await crashed_without_json(world, data)
    if json_too:
        await world.blobs.put(publication_key(str(CAPTURE), HASTY.recipe_id), b"{}")
    await handle(stitched(data), world.ports(Haunted()))
    assert isinstance(world.sent()[0], PanoramaHeld)
    assert await world.published() == []


async def test_a_slower_worker_leaves_the_picture_of_the_faster_one(world: World) -> None:
    class Overtaken(Haunted):
        async def detect(self, kind: Kind, images: Images) -> list[Detections]:
            self.at += 1
            if self.at == 1:
                await handle(stitched(data), world.ports(RectangleDetector()))
            return await super().detect(kind, images)

    data = panorama()
    world.recipe = scenes.HASTY
    await world.put(data)
    await handle(stitched(data), world.ports(Overtaken()))
    first, second = world.sent()
    assert first == second
    assert isinstance(first, PanoramaPublished)
    assert await world.published() == sorted(ref.key for ref in published_keys(str(CAPTURE), first.recipe_id))


@pytest.mark.parametrize(
    ("data", "changes", "reason"),
    [
        (panorama(), {"sha256": "0" * 64}, Reason.HASH_MISMATCH),
        (panorama()[:3000], {}, Reason.CORRUPT_PANORAMA),
        (panorama(), {"width": 1024, "height": 512}, Reason.CORRUPT_PANORAMA),
        (b"no picture", {}, Reason.CORRUPT_PANORAMA),
    ],
)
async def test_a_bad_panorama_is_rejected(world: World, data: bytes, changes: dict[str, Any], reason: Reason) -> None:
    await world.put(data)
    with pytest.raises(Rejected) as caught:
        await handle(stitched(data, **changes), world.ports(RectangleDetector()))
    assert caught.value.reason == reason
    assert await world.published() == []


def under(world: World, **changes: Any) -> Ports:
    """Ports to a service with another recipe."""

    async def recipe() -> AnonymizeRecipe:
        return scenes.RECIPE.model_copy(update=changes)

    return replace(world.ports(RectangleDetector()), recipe=recipe)


async def test_the_first_publication_is_the_current_one_and_another_recipe_changes_nothing_of_that(world: World) -> None:
    data = panorama()
    await world.put(data)
    await handle(stitched(data), world.ports(RectangleDetector()))
    await handle(stitched(data), under(world, margin=0.5))
    first, second = world.sent()
    assert first.recipe_id != second.recipe_id
    pointer = await world.ledger.current(CAPTURE)
    assert pointer is not None
    assert (pointer.recipe_id, pointer.version) == (first.recipe_id, 1)
    current = await world.current()
    assert (current.recipe_id, current.key, current.sha256) == (first.recipe_id, first.key, first.sha256)
    assert json.loads(await world.blobs.get(BlobRef(Bucket.PUBLISHED, current.publication)))["sha256"] == first.sha256
    both = (published_keys(str(CAPTURE), message.recipe_id) for message in (first, second))
    assert await world.published() == sorted(ref.key for refs in both for ref in refs)


async def stitched_without(world: World, data: bytes, *lenses: str) -> PanoramaStitched:
    """A panorama that the ledger knows, stitched without some lenses."""
    recipe_id = hashlib.sha256("".join(lenses).encode()).hexdigest()[:16]
    message = stitched(data, recipe_id=recipe_id, missing=lenses)
    await world.ledger.finish(CAPTURE, "stitcher", recipe_id, encode(message))
    return message


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (["left", "right"], [], ["publication", "publication", "flip"]),
        (["left", "right"], ["left"], ["publication", "publication", "flip"]),
        (["left"], ["right"], ["publication", "publication"]),
        ([], ["left"], ["publication", "publication"]),
        ([], [], ["publication", "publication"]),
    ],
)
async def test_a_capture_with_more_of_its_frames_takes_the_place_of_one_with_a_gap(
    world: World, before: list[str], after: list[str], kinds: list[str]
) -> None:
    data = panorama()
    await world.put(data)
    await handle(await stitched_without(world, data, *before), world.ports(RectangleDetector()))
    await handle(await stitched_without(world, data, *after), under(world, margin=0.5))
    first, second = world.sent()
    now = await world.current()
    assert now.recipe_id == (second if "flip" in kinds else first).recipe_id
    assert [entry.body["kind"] async for entry in world.ledger.audit_chain(CAPTURE.drive_id)] == kinds


async def test_who_died_after_pointing_points_again_to_the_same(world: World) -> None:
    class Dying(MemoryLedger):
        async def finish(self, *arguments: Any) -> bytes:
            raise Unavailable("dynamodb", "gone")

    data = panorama()
    await world.put(data)
    alive, world.ledger = world.ledger, Dying()
    with pytest.raises(Unavailable):
        await handle(stitched(data), world.ports(RectangleDetector()))
    alive._pointers = world.ledger._pointers
    world.ledger = alive
    await world.blobs.delete(current_key(str(CAPTURE)))
    await handle(stitched(data), world.ports(RectangleDetector()))
    pointer = await world.ledger.current(CAPTURE)
    assert pointer is not None
    assert (pointer.recipe_id, pointer.version) == ((await world.current()).recipe_id, 1)


async def test_a_message_that_comes_twice_at_once_is_worked_on_once_and_told_of_twice(world: World) -> None:
    data = panorama()
    await world.put(data)
    detector = RectangleDetector()
    ports = world.ports(detector)
    await handle(stitched(data), ports)
    alone = detector.pixels
    twice, detector = World(), RectangleDetector()
    await twice.put(data)
    ports = twice.ports(detector)
    await asyncio.gather(*(handle(stitched(data), ports) for _ in range(2)))
    first, second = twice.sent()
    assert first == second
    assert detector.pixels == alone
