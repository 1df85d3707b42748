"""Whatever arrives at a door is a value or `Rejected`, never another exception, and what is said about it is short."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts import examples
from panoveil.contracts.archive import parse_archived
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import CaptureId, parse_raw_key
from panoveil.contracts.messages import decode, outcome, parse_manifest
from panoveil.contracts.reasons import Reason
from services.ingest.events import parse_uploads

UPLOAD = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "dk/d1/c1/front.jpg", "size": 7, "eTag": "e"}}}
BRIDGED = {"detail-type": "Object Created", "detail": {"object": {"key": "dk/d1/c1/front.jpg", "size": 7, "etag": "e"}}}
DOORS: dict[str, tuple[Callable[[bytes], object], list[Any]]] = {
    "message": (decode, [json.loads(text) for _, text in examples.messages()]),
    "outcome": (outcome, [json.loads(text) for _, text in examples.messages()]),
    "manifest": (parse_manifest, [json.loads(examples.read("capture.1"))]),
    "uploads": (parse_uploads, [{"Records": [UPLOAD, UPLOAD]}, BRIDGED]),
    "archived": (parse_archived, [json.loads(examples.read("capture.archived.1"))]),
}
LONGEST_SENTENCE = 1000
ODD = st.one_of(
    st.sampled_from(
        [
            1e308,
            float("inf"),
            float("nan"),
            -1,
            10**30,
            10**4299,
            "",
            "\ud800",
            "\x00",
            "a\nb",
            "..",
            "%00",
            "æ" * 1024,
            [],
            {},
            None,
        ]
    ),
    st.text(max_size=3),
    st.integers(),
    st.recursive(st.none() | st.booleans(), st.lists, max_leaves=8),
)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Return (container, key or index) of everything in a document."""
    inside = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    return [place for key, value in list(inside) for place in ((document, key), *places(value))]


@st.composite
def spoilt(draw: st.DrawFn, documents: list[Any]) -> bytes:
    """Return a valid document with a few of its values replaced by odd ones or taken out, and sometimes bytes of its text changed."""
    document = json.loads(json.dumps(draw(st.sampled_from(documents))))
    for _ in range(draw(st.integers(1, 3))):
        if found := places(document):
            container, key = draw(st.sampled_from(found))
            if draw(st.booleans()) or isinstance(container, list):
                container[key] = draw(ODD)
            else:
                del container[key]
    text = bytearray(json.dumps(document).encode())
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
    return bytes(text)


@pytest.mark.parametrize("door", DOORS)
@given(data=st.data())
def test_a_spoilt_document_is_read_or_refused(door: str, data: st.DataObject) -> None:
    read, documents = DOORS[door]
    assert_read_or_refused(read, data.draw(spoilt(documents)))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "odd",
    [
        b"[" * 100_000,
        b'{"type":' * 50_000,
        b"1" * 5000,
        b"1e999999",
        b"\xff\xfe\x00",
        b'"\\ud800"',
        b'{"type":"' + b"x" * 1_000_000 + b'"}',
        b"[" + b"0," * 400_000 + b"0]",
        b'{"Records":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=["deep", "deeper", "long number", "large number", "no text", "half a character", "long name", "long list", "nested"],
)
def test_an_absurd_document_is_refused(door: str, odd: bytes) -> None:
    assert_read_or_refused(DOORS[door][0], odd)
    with pytest.raises(Rejected):
        DOORS[door][0](odd)


@pytest.mark.parametrize("size", ["1e999", "-1", "1" * 40, "null", "[]", '"x"'])
@pytest.mark.parametrize("form", [UPLOAD, BRIDGED], ids=["notification", "EventBridge"])
def test_an_upload_of_no_possible_size_is_refused(form: dict[str, Any], size: str) -> None:
    event = {"Records": [form]} if form is UPLOAD else form
    with pytest.raises(Rejected) as caught:
        parse_uploads(json.dumps(event).replace('"size": 7', f'"size": {size}').encode())
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE


@pytest.mark.parametrize("etag", ["\ud800", "e" * 129, "a b", "a\n"])
def test_an_etag_that_s3_never_gives_is_refused(etag: str) -> None:
    event = json.loads(json.dumps(BRIDGED))
    event["detail"]["object"]["etag"] = etag
    with pytest.raises(Rejected) as caught:
        parse_uploads(json.dumps(event).encode())
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE


ODD_KEYS = [
    "", "/", "///", "a/b/c", "a/b/c/d/e", "../a/b/c", "a/../b/c", "a/b/c/..", "a/b/c/.hidden", "a/b/c/d.jpg\n", "a/b/c/d\x00.jpg",
    "a/b/c/d%00.jpg", "a/b/c/d%2e%2e", "a\\b/c/d/e", "a/b/c/dé.jpg", "a/b/c/d\u202egpj.exe", "a/b/c/d e.jpg", "/a/b/c/d.jpg",
    "a//b/c/d.jpg", "a/b/c/" + "d" * 65, "a/b/c/" + "d" * 1018, "a/b/c/\ud800", "ａ/b/c/d.jpg", "a/b/c/d.jpg ", "_catalogue/a/b/c",
]  # fmt: skip


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_odd_key_is_refused_by_name(key: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_raw_key(key)
    assert caught.value.reason == Reason.UNKNOWN_KEY
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) <= 400


@given(st.text(max_size=40) | st.lists(st.text(alphabet="aZ0.-_/%+\n\x00é", max_size=6), max_size=6).map("/".join))
def test_a_key_that_is_taken_is_written_back_the_same(key: str) -> None:
    try:
        capture_id, name = parse_raw_key(key)
    except Rejected as refused:
        assert refused.reason == Reason.UNKNOWN_KEY  # noqa: PT017 - which keys are refused is the question
        return
    assert f"{capture_id}/{name}" == key
    assert CaptureId.parse(str(capture_id)) == capture_id
    assert ".." not in key.split("/")


def assert_read_or_refused(door: Callable[[bytes], object], data: bytes) -> None:
    try:
        door(data)
    except Rejected as refused:
        said = refused.detail
        assert len(said) <= LONGEST_SENTENCE, said[:LONGEST_SENTENCE]
        said.encode()  # it goes into the ledger and into logs
