"""What somebody may upload who means harm, or whose camera writes something else: refused by name, before it costs anything."""

import json
from typing import Any

import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts import limits
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import raw_key
from panoveil.contracts.reasons import Reason
from panoveil.ledger import State
from services.ingest.app import handle_all
from services.ingest.events import parse_uploads
from services.ingest.handler import handle
from tests.unit.services.ingest.conftest import CAPTURE, World, whole_capture

FILES = ("front.jpg", "back.jpg", "capture.json")


@pytest.fixture(autouse=True)
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    real = simplejpeg.decode_jpeg

    def harmless(data: bytes, **how: Any) -> Any:
        assert data == HARMLESS
        return real(data, **how)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", harmless)


HARMLESS = whole_capture().files["front.jpg"]


async def rejection(world: World) -> Rejected:
    uploads = [world.event(name) for name in FILES]
    with pytest.raises(Rejected) as caught:
        await handle_all(uploads, world.ports)
    assert world.announced() == []
    return caught.value


@pytest.mark.parametrize("tail", [b"PK\x03\x04\x14\x00", b"<html><script>", b"%PDF-1.7", HARMLESS])
async def test_a_frame_that_is_another_kind_of_file_as_well(world: World, tail: bytes) -> None:
    world.put("back.jpg", world.files["back.jpg"] + tail)
    world.put_manifest()
    assert (await rejection(world)).reason == Reason.UNSAFE_FRAME


async def test_a_frame_of_another_size_than_its_lens_is_not_decoded(world: World) -> None:
    data = world.files["back.jpg"]
    at = data.index(b"\xff\xc0")
    world.put("back.jpg", data[: at + 5] + b"\x01\x00\x01\x00" + data[at + 9 :])
    world.put_manifest()
    assert (await rejection(world)).reason == Reason.WRONG_FRAME_SIZE


async def test_a_frame_larger_than_any_jpeg_is_not_fetched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGEST_PICTURE", len(world.files["front.jpg"]) - 1)
    refused = await rejection(world)
    assert refused.reason == Reason.TOO_LARGE
    assert "front.jpg has" in refused.detail


async def test_a_manifest_larger_than_any_is_not_fetched(world: World) -> None:
    world.put("capture.json", world.files["capture.json"] + b" " * limits.LONGEST_MANIFEST)
    assert (await rejection(world)).reason == Reason.TOO_LARGE


@pytest.mark.parametrize("frames", [0, 17, 200])
async def test_a_manifest_of_no_or_many_frames(world: World, frames: int) -> None:
    document = json.loads(world.files["capture.json"])
    world.put("capture.json", json.dumps(document | {"frames": document["frames"][:1] * frames}).encode())
    assert (await rejection(world)).reason == Reason.BAD_MANIFEST


async def test_a_manifest_that_names_itself_as_a_frame(world: World) -> None:
    document = json.loads(world.files["capture.json"])
    document["frames"][1]["file"] = "capture.json"
    world.put("capture.json", json.dumps(document).encode())
    assert (await rejection(world)).reason == Reason.HASH_MISMATCH


SIZES: st.SearchStrategy[Any] = st.integers(-2, 1 << 70) | st.sampled_from([None, "7", 1e308, float("inf")])
NAMES = st.sampled_from([*FILES, "../x", "x" * 300, "a%00", "\ud800", ".jpg", "capture.json/", "other.jpg"])


def event(name: str, size: object, etag: object) -> dict[str, Any]:
    key = name if "/" in name else f"{CAPTURE}/{name}"
    return {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key, "size": size, "eTag": etag}}}


EVENTS = st.builds(event, NAMES | st.text(max_size=8), SIZES, st.text(max_size=40) | st.none())


@given(events=st.lists(EVENTS, max_size=6), order=st.permutations(FILES))
async def test_whatever_events_come_the_whole_capture_is_announced_or_one_of_them_refused(
    events: list[dict[str, Any]], order: list[str]
) -> None:
    world = whole_capture()
    world.files["back.jpg"] = HARMLESS
    world.put("back.jpg", HARMLESS)
    world.put_manifest()
    try:
        await handle_all(parse_uploads(json.dumps({"Records": events}).encode()), world.ports)
    except Rejected as refused:
        assert refused.reason in {Reason.UNKNOWN_MESSAGE, Reason.UNKNOWN_KEY, Reason.EMPTY_OBJECT}  # noqa: PT017 - or none is
    for name in order:
        await handle(world.event(name), world.ports)
    state = await world.ledger.state(CAPTURE)
    assert state is not None
    assert (state.state, len(set(world.announced()))) == (State.READY, 1)
    assert raw_key(CAPTURE, "capture.json") in world.blobs.objects
