import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from services.ingest.events import Uploaded, parse_uploads


def notification(key: str, name: str = "ObjectCreated:Put") -> dict[str, object]:
    return {"eventName": name, "s3": {"bucket": {"name": "raw"}, "object": {"key": key, "size": 7, "eTag": "e"}}}


def test_a_notification_announces_its_objects_with_keys_decoded() -> None:
    data = json.dumps({"Records": [notification("a/b/c/two+words%C3%A6.jpg"), notification("a/b/c/d.jpg")]}).encode()
    assert parse_uploads(data) == [Uploaded("a/b/c/two wordsæ.jpg", 7, "e"), Uploaded("a/b/c/d.jpg", 7, "e")]


def test_an_eventbridge_event_announces_its_object() -> None:
    detail = {"bucket": {"name": "raw"}, "object": {"key": "a/b/c/x+y.jpg", "size": 9, "etag": "t"}}
    data = json.dumps({"detail-type": "Object Created", "detail": detail}).encode()
    assert parse_uploads(data) == [Uploaded("a/b/c/x+y.jpg", 9, "t")]


@pytest.mark.parametrize(
    "document",
    [
        {"Records": [notification("a/b/c/d.jpg", "ObjectRemoved:Delete")]},
        {"Event": "s3:TestEvent", "Bucket": "raw"},
        {"detail-type": "Object Deleted", "detail": {}},
    ],
)
def test_other_events_announce_nothing(document: dict[str, object]) -> None:
    assert parse_uploads(json.dumps(document).encode()) == []


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{", b"hello"])
def test_what_is_not_json_is_named_so(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        parse_uploads(data)
    assert caught.value.reason == Reason.NOT_JSON


def test_a_notification_of_a_newer_form_is_not_guessed_at() -> None:
    data = json.dumps({"Records": [notification("a/b/c/d.jpg") | {"eventVersion": "3.0"}]}).encode()
    with pytest.raises(Rejected) as caught:
        parse_uploads(data)
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE
    assert caught.value.detail.startswith("S3 notification version 3.0 is newer than this service knows (2): deploy the newer")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["Records", "s3", "object", "key", "size", "eventName", "detail", "detail-type"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_other_json_announces_objects_or_is_rejected_by_name(document: object) -> None:
    assert all(isinstance(upload, Uploaded) for upload in uploads_or_nothing(document))


def uploads_or_nothing(document: object) -> list[Uploaded]:
    try:
        return parse_uploads(json.dumps(document).encode())
    except Rejected:
        return []
