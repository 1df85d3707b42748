import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, carried_key, raw_key, rig_key, stitched_key
from panoveil.contracts.messages import CARRIED, CaptureReady, FrameRef, PanoramaStitched, Pose, decode, encode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import Model, QualityGate, SecondSource, StitchRecipe
from panoveil.detection import Detections, Detector, Images, Kind, RectangleDetector
from panoveil.ledger import MemoryLedger, State
from panoveil.pixels import jpeg
from panoveil.streams import MemoryStreams
from services.stitcher import handler
from services.stitcher.handler import Ports, Rigs, handle
from services.stitcher.steady import Drives
from tests.unit.services.stitcher import virtual

CAPTURE = CaptureId("fyn-2026", "car7-0601", "000001")
RIG = virtual.ring(4, size=160)
RECIPE = StitchRecipe(width=512)
MODEL = Model(name="any", version="1", sha256="0" * 64, threshold=0.3)
LOOKING = RECIPE.model_copy(update={"second_source": SecondSource(face=MODEL, plate=MODEL, where="everywhere")})
READY = CaptureReady(
    capture_id=str(CAPTURE),
    rig_id=RIG.rig_id,
    captured_at=datetime(2026, 6, 1, 12, tzinfo=UTC),
    pose=Pose(latitude=55.4, longitude=10.4),
    frames=tuple(
        FrameRef(lens=name, key=raw_key(CAPTURE, f"{name}.jpg").key, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        for name, data in ((name, jpeg.encode(image, 95)) for name, image in virtual.frames(RIG).items())
    ),
)


@pytest.fixture(scope="module", name="cache")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(name="blobs")
def everything_uploaded() -> MemoryBlobs:
    return uploaded()


def uploaded() -> MemoryBlobs:
    blobs = MemoryBlobs()
    blobs.objects[rig_key(RIG.rig_id)] = RIG.model_dump_json().encode()
    for name, image in virtual.frames(RIG).items():
        blobs.objects[raw_key(CAPTURE, f"{name}.jpg")] = jpeg.encode(image, 95)
    return blobs


def _always(recipe: StitchRecipe) -> Callable[[], Awaitable[StitchRecipe]]:
    async def asked() -> StitchRecipe:
        return recipe

    return asked


@pytest.fixture(name="ports")
def ports_to_twins(blobs: MemoryBlobs, cache: Path) -> Iterator[Ports]:
    with ThreadPoolExecutor(2) as workers:
        yield ports_to(blobs, cache, workers)


def ports_to(blobs: MemoryBlobs, cache: Path, workers: Executor) -> Ports:
    return Ports(blobs, MemoryLedger(), MemoryStreams(), _always(RECIPE), Rigs(blobs, RECIPE, cache), workers)


def _looking(ports: Ports, detector: Detector) -> Ports:
    return replace(ports, recipe=_always(LOOKING), detector=detector)


class Blind(RectangleDetector):
    """Answers, but would not see anything now."""

    async def prove(self, since: int | None = None) -> None:
        raise Unavailable("triton", "blind")


class Down(RectangleDetector):
    """Gives no answer."""

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        raise Unavailable("triton", "down")


def _sent(ports: Ports) -> list[PanoramaStitched]:
    assert isinstance(ports.sink, MemoryStreams)
    messages = [decode(record.data) for record in ports.sink.records(Stream.PANORAMAS)]
    return [message for message in messages if isinstance(message, PanoramaStitched)]


async def test_a_capture_becomes_a_panorama(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(READY, ports)
    (message,) = _sent(ports)
    data = blobs.objects[stitched_key(str(CAPTURE), RECIPE.recipe_id)]
    image = jpeg.decode(data)
    assert image.shape == (message.height, message.width, 3) == (256, 512, 3)
    assert message.key == stitched_key(str(CAPTURE), RECIPE.recipe_id).key
    assert message.sha256 == hashlib.sha256(data).hexdigest()
    assert (message.capture_id, message.rig_id, message.recipe_id) == (str(CAPTURE), RIG.rig_id, RECIPE.recipe_id)
    assert (message.captured_at, message.pose) == (READY.captured_at, READY.pose)
    assert message.quality.coverage > 0.7
    middle = (slice(100, 156), slice(None))
    assert virtual.psnr(image[middle], virtual.truth(512)[middle]) > 38


async def test_the_ledger_knows(ports: Ports) -> None:
    await handle(READY, ports)
    state = await ports.ledger.state(CAPTURE)
    assert state is not None
    assert state.state is State.STITCHED


async def test_every_lens_is_graded_in_message_ledger_and_metrics(ports: Ports) -> None:
    """The virtual world holds no edges: it looks as through a lens out of focus."""
    await handle(READY, ports)
    (message,) = _sent(ports)
    quality = message.quality
    assert [lens.lens for lens in quality.lenses] == [lens.name for lens in RIG.lenses]
    assert quality.score == min(lens.score for lens in quality.lenses)
    assert message.hold is not None
    assert message.hold.reason is Reason.POOR_QUALITY
    state = await ports.ledger.state(CAPTURE)
    assert state is not None
    assert state.grade.score == pytest.approx(quality.score)
    for lens in quality.lenses:
        labels = {"rig": RIG.rig_id, "lens": lens.lens}
        assert REGISTRY.get_sample_value("panoveil_lens_score", labels) == lens.score


async def _with_a_dead_lens(ports: Ports, blobs: MemoryBlobs) -> CaptureReady:
    frame = READY.frames[1]
    data = jpeg.encode(np.zeros((160, 160, 3), np.uint8), 95)
    blobs.objects[BlobRef(Bucket.RAW, frame.key)] = data
    changed = frame.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)})
    return READY.model_copy(update={"frames": (READY.frames[0], changed, *READY.frames[2:])})


async def test_a_lens_that_shows_nothing_asks_for_a_hold(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(await _with_a_dead_lens(ports, blobs), ports)
    (message,) = _sent(ports)
    assert message.hold is not None
    assert (message.hold.reason, message.hold.detail) == (Reason.LENS_DEAD, "Lens lens1 shows nothing.")
    assert (message.quality.score, message.quality.alarms) == (0, ("Lens lens1 shows nothing.",))
    assert stitched_key(str(CAPTURE), RECIPE.recipe_id) in blobs.objects
    state = await ports.ledger.state(CAPTURE)
    assert state is not None
    assert (state.state, state.grade.score) == (State.STITCHED, 0)


async def test_a_gate_that_is_off_lets_it_pass(ports: Ports, blobs: MemoryBlobs) -> None:
    off = QualityGate.model_validate(dict.fromkeys(QualityGate.model_fields))
    open_gate = replace(ports, recipe=_always(RECIPE.model_copy(update={"gate": off})))
    await handle(await _with_a_dead_lens(ports, blobs), open_gate)
    (message,) = _sent(ports)
    assert message.hold is None
    assert message.quality.lenses[1].dead
    assert message.recipe_id != RECIPE.recipe_id


async def test_a_redelivery_only_tells_again(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(READY, ports)
    blobs.objects.clear()
    await handle(READY, ports)
    first, second = _sent(ports)
    assert first == second
    assert not blobs.objects


async def test_a_crash_before_the_ledger_knew_repeats_to_the_same_bytes(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(READY, ports)
    ref = stitched_key(str(CAPTURE), RECIPE.recipe_id)
    before = blobs.objects.pop(ref)
    await handle(READY, replace(ports, ledger=MemoryLedger()))
    assert blobs.objects[ref] == before
    first, second = _sent(ports)
    assert first == second


async def test_another_recipe_stitches_beside(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(READY, ports)
    other = RECIPE.model_copy(update={"jpeg_quality": 60})
    await handle(READY, replace(ports, recipe=_always(other)))
    stitched = [ref for ref in blobs.objects if ref.bucket is Bucket.STITCHED]
    assert len(stitched) == 2


async def _reason(message: CaptureReady, ports: Ports) -> str:
    with pytest.raises(Rejected) as caught:
        await handle(message, ports)
    assert _sent(ports) == []
    assert await ports.ledger.finished(CAPTURE, "stitcher", RECIPE.recipe_id) is None
    return caught.value.reason


async def test_an_unknown_rig_is_the_captures_fault(ports: Ports) -> None:
    assert await _reason(READY.model_copy(update={"rig_id": "nobody"}), ports) == Reason.UNKNOWN_RIG


async def test_a_rig_that_is_none_too(ports: Ports, blobs: MemoryBlobs) -> None:
    blobs.objects[rig_key(RIG.rig_id)] = b"{}"
    assert await _reason(READY, ports) == Reason.UNKNOWN_RIG


async def test_a_frame_that_is_gone(ports: Ports, blobs: MemoryBlobs) -> None:
    del blobs.objects[BlobRef(Bucket.RAW, READY.frames[1].key)]
    assert await _reason(READY, ports) == Reason.OBJECT_GONE


async def test_a_frame_that_changed(ports: Ports, blobs: MemoryBlobs) -> None:
    blobs.objects[BlobRef(Bucket.RAW, READY.frames[1].key)] += b"!"
    assert await _reason(READY, ports) == Reason.HASH_MISMATCH


async def test_a_frame_that_does_not_decode(ports: Ports, blobs: MemoryBlobs) -> None:
    frame = READY.frames[0]
    half = blobs.objects[BlobRef(Bucket.RAW, frame.key)][: frame.size // 2]
    blobs.objects[BlobRef(Bucket.RAW, frame.key)] = half
    promised = frame.model_copy(update={"sha256": hashlib.sha256(half).hexdigest()})
    assert await _reason(READY.model_copy(update={"frames": (promised, *READY.frames[1:])}), ports) == Reason.CORRUPT_FRAME


async def test_a_frame_too_few(ports: Ports) -> None:
    assert await _reason(READY.model_copy(update={"frames": READY.frames[:2]}), ports) == Reason.FRAME_MISSING


async def test_a_rig_is_fetched_once(ports: Ports, blobs: MemoryBlobs) -> None:
    await ports.rigs.get(RIG.rig_id)
    blobs.objects.clear()
    mounted = await ports.rigs.get(RIG.rig_id)
    assert mounted.rig == RIG
    assert mounted.tables.width == RECIPE.width


@pytest.fixture(name="with_face")
def a_face_in_a_frame(blobs: MemoryBlobs) -> CaptureReady:
    """Put something red into the middle of the second lens's frame, 90° to the right of the panorama's centre."""
    frame = READY.frames[1]
    image = virtual.frames(RIG)[frame.lens].copy()
    image[75:85, 76:85] = (255, 0, 0)
    data = jpeg.encode(image, 95)
    blobs.objects[BlobRef(Bucket.RAW, frame.key)] = data
    changed = frame.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    return READY.model_copy(update={"frames": (READY.frames[0], changed, *READY.frames[2:])})


async def test_what_is_in_a_frame_is_carried_where_the_recipe_wants_it(ports: Ports, with_face: CaptureReady) -> None:
    await handle(with_face, ports)
    await handle(with_face, _looking(ports, RectangleDetector()))
    without, carrying = _sent(ports)
    assert (without.carried, without.carried_elsewhere, carrying.carried_elsewhere) == ((), None, None)
    assert {(box.kind, box.lens) for box in carrying.carried} == {("face", "lens1")}
    assert all(box.west < 90 < box.east and box.south < 0 < box.north for box in carrying.carried)
    assert all(box.east - box.west < 30 for box in carrying.carried)
    assert carrying.recipe_id != without.recipe_id


LEANING = Pose(latitude=55.4, longitude=10.4, heading=30.0, pitch=0.0, roll=10.0)


async def test_the_message_says_how_the_panorama_is_held_not_the_car(ports: Ports) -> None:
    await handle(READY.model_copy(update={"pose": LEANING}), ports)
    as_it_was = RECIPE.model_copy(update={"level": False})
    await handle(READY.model_copy(update={"pose": LEANING}), replace(ports, recipe=_always(as_it_was)))
    north = RECIPE.model_copy(update={"north": True})
    rigs = Rigs(ports.blobs, north, ports.rigs._cache)
    await handle(READY.model_copy(update={"pose": LEANING}), replace(ports, recipe=_always(north), rigs=rigs))
    level, left, northward = (message.pose for message in _sent(ports))
    assert level == LEANING.model_copy(update={"roll": 0.0})
    assert left == LEANING
    assert northward == LEANING.model_copy(update={"heading": 0.0, "roll": 0.0})


async def test_a_levelled_capture_is_stitched_once_and_to_the_same_bytes(ports: Ports, blobs: MemoryBlobs) -> None:
    leaning = READY.model_copy(update={"pose": LEANING})
    await handle(leaning, ports)
    ref = stitched_key(str(CAPTURE), RECIPE.recipe_id)
    before = blobs.objects.pop(ref)
    await handle(leaning, ports)
    assert ref not in blobs.objects
    await handle(leaning, replace(ports, ledger=MemoryLedger()))
    assert blobs.objects[ref] == before
    first, second, third = _sent(ports)
    assert first == second == third


async def test_what_is_in_a_frame_is_carried_to_where_the_levelled_panorama_shows_it(
    ports: Ports, blobs: MemoryBlobs, with_face: CaptureReady
) -> None:
    """The car leans 10° to the right: what is straight to its right is 10° below the horizon."""
    await handle(with_face.model_copy(update={"pose": LEANING}), _looking(ports, RectangleDetector()))
    (message,) = _sent(ports)
    image = jpeg.decode(blobs.objects[stitched_key(str(CAPTURE), LOOKING.recipe_id)]).astype(int)
    rows, columns = (image[..., 0] - image[..., 1:].max(axis=-1) > 150).nonzero()
    yaw, pitch = (columns + 0.5) / 512 * 360 - 180, 90 - (rows + 0.5) / 256 * 180
    assert (yaw.mean(), pitch.mean()) == pytest.approx((90, -10), abs=1)
    edges = np.array([(box.west, box.east, box.south, box.north) for box in message.carried])
    assert np.abs(edges - (yaw.min(), yaw.max(), pitch.min(), pitch.max())).max() < 2.5


async def test_nothing_carries_what_only_a_person_could_have_drawn(ports: Ports) -> None:
    await handle(READY, _looking(ports, RectangleDetector()))
    (message,) = _sent(ports)
    assert message.carried == ()


async def test_too_much_for_a_message_lies_beside_the_panorama(
    ports: Ports, blobs: MemoryBlobs, with_face: CaptureReady, monkeypatch: pytest.MonkeyPatch
) -> None:
    await handle(with_face, _looking(ports, RectangleDetector()))
    monkeypatch.setattr(handler, "MOST_INLINE", 0)
    await handle(with_face, replace(_looking(ports, RectangleDetector()), ledger=MemoryLedger()))
    inline, beside = _sent(ports)
    assert inline.carried
    assert beside.carried == ()
    elsewhere = beside.carried_elsewhere
    assert elsewhere is not None
    data = blobs.objects[carried_key(str(CAPTURE), LOOKING.recipe_id)]
    assert (elsewhere.key, elsewhere.count) == (carried_key(str(CAPTURE), LOOKING.recipe_id).key, len(inline.carried))
    assert hashlib.sha256(data).hexdigest() == elsewhere.sha256
    assert CARRIED.validate_json(data) == inline.carried


@pytest.mark.parametrize("detector", [Blind(), Down()], ids=["blind", "down"])
async def test_without_a_valid_answer_nothing_goes_on(ports: Ports, blobs: MemoryBlobs, detector: Detector) -> None:
    with pytest.raises(Unavailable):
        await handle(READY, _looking(ports, detector))
    assert _sent(ports) == []
    assert await ports.ledger.finished(CAPTURE, "stitcher", LOOKING.recipe_id) is None
    assert [ref for ref in blobs.objects if ref.bucket is Bucket.STITCHED] == []


async def test_a_frame_too_few_is_the_captures_fault_when_looking_too(ports: Ports) -> None:
    with pytest.raises(Rejected) as caught:
        await handle(READY.model_copy(update={"frames": READY.frames[:2]}), _looking(ports, RectangleDetector()))
    assert caught.value.reason == Reason.FRAME_MISSING


DIMMED = CaptureId("fyn-2026", "car7-0601", "000002")


@pytest.fixture(name="dimmed")
def the_same_place_a_second_later_under_another_exposure(blobs: MemoryBlobs) -> CaptureReady:
    frames = []
    for frame in READY.frames:
        data = jpeg.encode((virtual.frames(RIG)[frame.lens] * 0.85).astype("uint8"), 95)
        ref = raw_key(DIMMED, f"{frame.lens}.jpg")
        blobs.objects[ref] = data
        frames.append(FrameRef(lens=frame.lens, key=ref.key, sha256=hashlib.sha256(data).hexdigest(), size=len(data)))
    later = READY.captured_at + timedelta(seconds=1)
    return READY.model_copy(update={"capture_id": str(DIMMED), "captured_at": later, "frames": tuple(frames)})


def _level(blobs: MemoryBlobs, capture: CaptureId, recipe: StitchRecipe = RECIPE) -> float:
    return float(jpeg.decode(blobs.objects[stitched_key(str(capture), recipe.recipe_id)])[100:156].mean())


async def test_a_jump_of_exposure_is_taken_out_along_a_drive(ports: Ports, blobs: MemoryBlobs, dimmed: CaptureReady) -> None:
    await handle(READY, ports)
    await handle(dimmed, ports)
    assert 0.95 < _level(blobs, DIMMED) / _level(blobs, CAPTURE) < 0.99


async def test_it_is_left_where_the_recipe_says_so(ports: Ports, blobs: MemoryBlobs, dimmed: CaptureReady) -> None:
    plain = RECIPE.model_copy(update={"steady": False})
    ports = replace(ports, recipe=_always(plain))
    await handle(READY, ports)
    await handle(dimmed, ports)
    assert _level(blobs, DIMMED, plain) / _level(blobs, CAPTURE, plain) == pytest.approx(0.85, abs=0.01)
    assert await ports.ledger.finished(DIMMED, handler.LIGHT, plain.recipe_id) is None


async def test_another_task_without_the_drive_in_mind_makes_the_same_bytes(
    ports: Ports, blobs: MemoryBlobs, dimmed: CaptureReady
) -> None:
    """The first task fixed the gains in the ledger and died before it was done."""
    await handle(READY, ports)
    await handle(dimmed, ports)
    before = blobs.objects.pop(stitched_key(str(DIMMED), RECIPE.recipe_id))
    ledger = MemoryLedger()
    fixed = await ports.ledger.finished(DIMMED, handler.LIGHT, RECIPE.recipe_id)
    assert fixed is not None
    await ledger.finish(DIMMED, handler.LIGHT, RECIPE.recipe_id, fixed)
    await handle(dimmed, replace(ports, ledger=ledger, drives=Drives()))
    assert blobs.objects[stitched_key(str(DIMMED), RECIPE.recipe_id)] == before


async def test_two_tasks_at_once_agree_on_the_first_ones_gains(ports: Ports, blobs: MemoryBlobs, dimmed: CaptureReady) -> None:
    """One remembers the drive and the other does not; both write, and whoever is second writes the same."""
    await handle(READY, ports)
    forgetful = replace(ports, drives=Drives())
    await asyncio.gather(handle(dimmed, forgetful), handle(dimmed, ports))
    first, second = _sent(ports)[1:]
    assert first.sha256 == second.sha256
    data = blobs.objects[stitched_key(str(DIMMED), RECIPE.recipe_id)]
    assert hashlib.sha256(data).hexdigest() == first.sha256


GAP = READY.model_copy(update={"frames": READY.frames[:1] + READY.frames[2:], "missing": (READY.frames[1].lens,)})
# The virtual world is too smooth for a lens to prove itself sharp: its score is 0.
MAY_LACK_ONE = RECIPE.model_copy(update={"gate": QualityGate(least_score=None, missing_lenses=1)})


async def test_a_capture_with_a_gap_is_stitched_from_what_is_there_graded_and_held(ports: Ports, blobs: MemoryBlobs) -> None:
    await handle(GAP, ports)
    (message,) = _sent(ports)
    assert message.hold is not None
    assert (message.hold.reason, message.hold.detail) == (Reason.FRAME_MISSING, "Lens lens1 delivered no frame.")
    assert [lens.lens for lens in message.quality.lenses] == ["lens0", "lens2", "lens3"]
    assert message.quality.alarms[0] == message.hold.detail
    assert message.rig_id == RIG.rig_id
    image = jpeg.decode(blobs.objects[BlobRef(Bucket.STITCHED, message.key)])
    ahead = (slice(100, 156), slice(226, 286))  # where lens 0 looks, far from the gap to its right
    assert virtual.psnr(image[ahead], virtual.truth(512)[ahead]) > 38


async def test_a_gap_that_the_gate_allows_is_not_held_and_covers_less(ports: Ports) -> None:
    allowing = replace(ports, recipe=_always(MAY_LACK_ONE))
    await handle(GAP, allowing)
    await handle(READY, allowing)
    gap, whole = _sent(ports)
    assert gap.hold is None
    assert gap.quality.coverage < whole.quality.coverage - 0.05


async def test_the_whole_capture_is_another_output_than_the_one_with_a_gap(ports: Ports, blobs: MemoryBlobs) -> None:
    for message in (GAP, READY, GAP):
        await handle(message, ports)
    gap, whole, again = _sent(ports)
    assert again == gap
    assert whole.recipe_id == RECIPE.recipe_id != gap.recipe_id
    assert (gap.missing, whole.missing) == (GAP.missing, ())
    assert b'"missing"' not in encode(whole)
    assert {gap.key, whole.key} <= {ref.key for ref in blobs.objects if ref.bucket is Bucket.STITCHED}


@pytest.mark.parametrize("missing", [("nobody",), tuple(frame.lens for frame in READY.frames)])
async def test_a_gap_that_cannot_be_is_refused(ports: Ports, missing: tuple[str, ...]) -> None:
    with pytest.raises(Rejected) as caught:
        await handle(GAP.model_copy(update={"missing": missing}), ports)
    assert caught.value.reason == Reason.FRAME_MISSING


async def test_a_frame_that_lacks_unsaid_is_refused(ports: Ports) -> None:
    with pytest.raises(Rejected) as caught:
        await handle(GAP.model_copy(update={"missing": ()}), ports)
    assert caught.value.reason == Reason.FRAME_MISSING


async def test_frames_of_a_capture_with_a_gap_are_looked_at_too(ports: Ports) -> None:
    await handle(GAP, _looking(ports, RectangleDetector()))
    (message,) = _sent(ports)
    assert message.hold is not None


def test_what_is_not_missing_changes_no_recipe() -> None:
    assert RECIPE.model_copy(update={"without": None}).recipe_id == RECIPE.recipe_id
    assert "missing" not in encode(READY).decode()
    assert decode(encode(GAP)) == GAP
