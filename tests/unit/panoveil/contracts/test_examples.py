"""Every version of every message is read, for ever."""

import json

import pytest
from pydantic import BaseModel

from panoveil.contracts import examples
from panoveil.contracts.archive import CaptureRestored, RestoreRequested, parse_archived
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import (
    CaptureId,
    archive_key,
    catalogue_key,
    parse_raw_key,
    publication_key,
    published_key,
    published_keys,
    suffix,
)
from panoveil.contracts.messages import (
    CaptureReady,
    CurrentPublication,
    PanoramaHeld,
    PanoramaPublished,
    PanoramaStitched,
    PanoramaStitchedV1,
    PanoramaStitchedV2,
    decode,
    encode,
    outcome,
    parse_manifest,
)
from panoveil.contracts.reasons import Reason
from panoveil.contracts.rig import Rig

MESSAGES = [name for name, _ in examples.messages()]


@pytest.mark.parametrize("kind", [CaptureReady, PanoramaStitched, PanoramaPublished, PanoramaHeld])
def test_every_message_of_today_has_an_example(kind: type[BaseModel]) -> None:
    assert f"{kind.model_fields['type'].default}.{kind.model_fields['version'].default}" in MESSAGES


@pytest.mark.parametrize("name", MESSAGES)
def test_an_example_is_read_and_written_back(name: str) -> None:
    message = decode(examples.read(name))
    assert f"{message.type}.{message.version}" == name
    assert json.loads(encode(message)) == json.loads(examples.read(name))
    assert decode(encode(message)) == message
    assert str(CaptureId.parse(message.capture_id)) == message.capture_id


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(
    "change", [{"version": 99}, {"version": None}, {"version": "1.1"}, {"type": "capture.unheard"}, {"type": None}]
)
def test_a_newer_version_or_unheard_type_is_unknown(name: str, change: dict[str, object]) -> None:
    document = json.loads(examples.read(name)) | change
    with pytest.raises(Rejected) as caught:
        decode(json.dumps(document).encode())
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE


def refusal(document: object) -> str:
    with pytest.raises(Rejected) as caught:
        decode(json.dumps(document).encode())
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE
    return caught.value.detail


@pytest.mark.parametrize("name", MESSAGES)
def test_of_a_newer_version_it_is_said_that_it_is_newer_and_what_to_do(name: str) -> None:
    newest = max(int(other.rsplit(".", 1)[1]) for other in MESSAGES if other.rsplit(".", 1)[0] == name.rsplit(".", 1)[0])
    document = json.loads(examples.read(name)) | {"version": newest + 1}
    assert refusal(document) == (
        f"{name.rsplit('.', 1)[0]} version {newest + 1} is newer than this service knows ({newest}): "
        "deploy the newer service, then `panoveil quarantine redrive --reason unknown_message`"
    )


def test_of_an_unheard_type_it_is_said_which_are_known_and_what_to_do() -> None:
    said = refusal({"type": "capture.recalled", "version": 1})
    assert said.startswith("'capture.recalled' is no message that this service knows (capture.ready, panorama.held, ")
    assert said.endswith("deploy the newer service, then `panoveil quarantine redrive --reason unknown_message`")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "it is no message: it names no type"),
        ({"type": 7}, "it is no message: it names no type"),
        ({"type": "capture.ready"}, "capture.ready carries no version"),
        ({"type": "capture.ready", "version": "2"}, "capture.ready carries no version"),
        ({"type": "capture.ready", "version": True}, "capture.ready carries no version"),
        ({"type": "panorama.stitched", "version": 0}, "panorama.stitched version 0 never was: this service knows 1, 2, 3"),
    ],
)
def test_of_what_is_no_message_it_is_said_what_it_lacks(document: object, said: str) -> None:
    assert refusal(document) == said


def test_a_text_from_outside_is_quoted_in_part() -> None:
    assert len(refusal({"type": "x" * 10_000})) < 400


def test_of_a_newer_manifest_it_is_said_that_it_is_newer() -> None:
    with pytest.raises(Rejected) as caught:
        parse_manifest(json.dumps(json.loads(examples.read("capture.1")) | {"version": 2}).encode())
    assert caught.value.detail == (
        "capture version 2 is newer than this service knows (1): "
        "deploy the newer service, then `panoveil quarantine redrive --reason bad_manifest`"
    )


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_without_one_of_its_facts_is_unknown(name: str) -> None:
    document = json.loads(examples.read(name))
    for fact in set(document) - {"version"}:
        with pytest.raises(Rejected) as caught:
            decode(json.dumps({key: value for key, value in document.items() if key != fact}).encode())
        assert caught.value.reason == Reason.UNKNOWN_MESSAGE


@pytest.mark.parametrize("name", MESSAGES)
def test_a_fact_from_the_future_is_passed_over(name: str) -> None:
    document = json.loads(examples.read(name)) | {"added_later": 1}
    assert decode(json.dumps(document).encode()) == decode(examples.read(name))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"nul"])
def test_what_is_no_json_says_so(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode(data)
    assert caught.value.reason == Reason.NOT_JSON


@pytest.mark.parametrize("data", [b"null", b"[]", b"1", b'"x"', b"{}"])
def test_json_of_another_form_is_unknown(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode(data)
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_version_says_the_same_as_todays(version: int) -> None:
    old = decode(examples.read(f"panorama.stitched.{version}"))
    assert isinstance(old, PanoramaStitchedV1 | PanoramaStitchedV2)
    today = old.upgraded()
    assert (today.version, today.hold, today.quality.score, today.quality.lenses) == (3, None, None, ())
    assert (today.carried, today.carried_elsewhere) == (getattr(old, "carried", ()), None)
    then, now = json.loads(encode(old)), json.loads(encode(today))
    assert then["quality"].items() <= now["quality"].items()
    kept = set(then) - {"version", "quality"}
    assert {key: now[key] for key in kept} == {key: then[key] for key in kept}


def test_an_older_publication_says_the_same_as_todays_with_nothing_made_of_it() -> None:
    old, today = decode(examples.read("panorama.published.1")), outcome(examples.read("panorama.published.1"))
    assert isinstance(today, PanoramaPublished)
    assert (today.version, today.size, today.derivatives, today.derivative("tiles")) == (2, None, (), None)
    assert old.model_dump(exclude={"version"}) == today.model_dump(exclude={"version", "size", "derivatives"})


def test_a_publication_names_what_was_made_of_it() -> None:
    today = outcome(examples.read("panorama.published.2"))
    assert isinstance(today, PanoramaPublished)
    tiles, thumbnail = today.derivative("tiles"), today.derivative("thumbnail")
    assert tiles is not None
    assert thumbnail is not None
    names = {ref.key for ref in published_keys(today.capture_id, today.recipe_id)}
    assert names == {today.key, tiles.key, thumbnail.key, publication_key(today.capture_id, today.recipe_id).key}
    assert [suffix(key) for key in (today.key, *(one.key for one in today.derivatives))] == [".jpg", ".thumbnail.jpg", ".pmtiles"]


def test_other_messages_are_no_outcome() -> None:
    assert outcome(examples.read("capture.ready.1")) is None
    assert isinstance(outcome(examples.read("panorama.held.1")), PanoramaHeld)


def test_a_drives_catalogue_lies_beside_no_survey() -> None:
    with pytest.raises(Rejected):
        parse_raw_key(catalogue_key("fyn-2026/car7-0601", "collection.json").key)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (1, 3), (2, 3)])
def test_an_older_version_cannot_pass_for_a_later_one(old: int, new: int) -> None:
    document = json.loads(examples.read(f"panorama.stitched.{old}")) | {"version": new}
    with pytest.raises(Rejected):
        decode(json.dumps(document).encode())


def test_no_message_can_say_not_a_number() -> None:
    text = examples.read("panorama.stitched.1").replace(b"212.4", b"NaN")
    with pytest.raises(Rejected):
        decode(text)


def test_the_manifest_and_its_message_agree() -> None:
    manifest = parse_manifest(examples.read("capture.1"))
    ready = decode(examples.read("capture.ready.1"))
    assert ready.type == "capture.ready"
    assert ready.capture_id == f"{manifest.survey}/{manifest.drive}/{manifest.capture}"
    assert [parse_raw_key(frame.key)[1] for frame in ready.frames] == [frame.file for frame in manifest.frames]


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"frames": []}, {"drive": "../x"}, {"captured_at": "2026-05-11T08:13:58"}, {"pose": {}}]
)
def test_a_manifest_that_is_wrong_says_where(change: dict[str, object]) -> None:
    document = json.loads(examples.read("capture.1")) | change
    with pytest.raises(Rejected) as caught:
        parse_manifest(json.dumps(document).encode())
    assert caught.value.reason == Reason.BAD_MANIFEST
    assert next(iter(change)) in caught.value.detail


def test_the_rig_is_the_manifests() -> None:
    rig = Rig.model_validate_json(examples.read("rig.1"))
    manifest = parse_manifest(examples.read("capture.1"))
    assert rig.rig_id == manifest.rig_id
    assert [lens.name for lens in rig.lenses] == [frame.lens for frame in manifest.frames]
    assert json.loads(rig.model_dump_json(exclude_unset=True)) == json.loads(examples.read("rig.1"))


def test_both_forms_of_an_upload_name_the_same_object() -> None:
    notified = json.loads(examples.read("uploads.s3_notification.2.1"))["Records"][0]["s3"]
    bridged = json.loads(examples.read("uploads.eventbridge.0"))["detail"]
    assert notified["bucket"]["name"] == bridged["bucket"]["name"]
    for there, here in (("key", "key"), ("size", "size"), ("eTag", "etag"), ("sequencer", "sequencer")):
        assert notified["object"][there] == bridged["object"][here]
    assert parse_raw_key(bridged["object"]["key"])[1] == "front.jpg"


def test_what_says_which_publication_is_the_current_one_is_read_and_written_back() -> None:
    text = examples.read("publication.current.1")
    current = CurrentPublication.model_validate_json(text)
    assert json.loads(encode(current)) == json.loads(text)
    assert current.key == published_key(current.capture_id, current.recipe_id).key


def test_what_the_ledger_notes_of_an_archived_capture_is_read_and_written_back() -> None:
    text = examples.read("capture.archived.1")
    archived = parse_archived(text)
    assert json.loads(encode(archived)) == json.loads(text)
    assert archived.key == archive_key(archived.capture_id, archived.index_sha256[:16]).key
    with pytest.raises(Rejected, match="another version"):
        parse_archived(json.dumps(json.loads(text) | {"version": 2}).encode())


def test_what_the_ledger_notes_of_a_restore_is_read_and_written_back() -> None:
    kinds: dict[str, type[RestoreRequested | CaptureRestored]] = {
        "capture.restore.1": RestoreRequested,
        "capture.restored.1": CaptureRestored,
    }
    for name, kind in kinds.items():
        text = examples.read(name)
        assert json.loads(encode(kind.model_validate_json(text))) == json.loads(text)


def test_the_folder_holds_nothing_unread() -> None:
    read = {
        *MESSAGES,
        "capture.1",
        "capture.archived.1",
        "capture.restore.1",
        "capture.restored.1",
        "rig.1",
        "publication.current.1",
    }
    read |= {"uploads.s3_notification.2.1", "uploads.eventbridge.0"}
    audited = {name for name in examples.names() if name.startswith("audit.")}  # test_audit reads them
    assert set(examples.names()) - audited == read
